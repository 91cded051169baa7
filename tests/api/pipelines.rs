//! `/pipelines` and their stages.

use crate::support::{Caller, Record, World, at_once};
use serde_json::{Value, json};

fn names(page: &Record) -> Vec<String> {
    page.items().iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect()
}

/// Name, kind and probability of each stage, in the order that the pipeline shows.
fn stages(pipeline: &Value) -> Vec<(String, String, i64)> {
    let of = |stage: &Value| {
        let text = |name: &str| stage[name].as_str().unwrap().to_owned();
        (text("name"), text("kind"), stage["probability_percent"].as_i64().unwrap())
    };
    let all = pipeline["stages"].as_array().unwrap();
    for (index, stage) in all.iter().enumerate() {
        assert_eq!((&stage["position"], &stage["pipeline_id"]), (&json!(index + 1), &pipeline["id"]));
    }
    all.iter().map(of).collect()
}

fn stage_names(pipeline: &Value) -> Vec<String> {
    stages(pipeline).into_iter().map(|(name, _, _)| name).collect()
}

/// The id of the stage at a place, counted from 0.
fn stage_id(pipeline: &Record, place: usize) -> String {
    pipeline["stages"][place]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_pipeline_starts_with_stages_that_can_be_used() {
    let w = World::new();
    let answer = w.owner.post("/pipelines", json!({ "name": "  New customers " }));
    let pipeline = answer.expect(201);
    assert_eq!((&pipeline["name"], &pipeline["archived_at"]), (&json!("New customers"), &Value::Null));
    let told: Vec<_> = stages(&pipeline);
    let told: Vec<_> = told.iter().map(|(name, kind, chance)| (name.as_str(), kind.as_str(), *chance)).collect();
    assert_eq!(
        told,
        [
            ("New", "open", 10),
            ("Qualified", "open", 30),
            ("Proposal", "open", 60),
            ("Won", "won", 100),
            ("Lost", "lost", 0)
        ]
    );
    assert_eq!(w.owner.get(answer.header("location").unwrap()).expect(200), pipeline);
    let taken = w.pipeline().send();
    taken.refused(409, "duplicate");
    assert_eq!(taken.wrong(), ["/name duplicate"]);
    assert_eq!((w.changes("pipeline.created"), w.changes("stage.created")), (1, 5));
    // Another organization's names are its own.
    World::new().pipeline().create();
}

#[test]
fn one_call_makes_a_pipeline_with_its_own_stages() {
    let w = World::new();
    let own = json!([
        { "name": "Call", "kind": "open", "probability_percent": 5 },
        { "name": "Signed", "kind": "won" },
        { "name": "Gone", "kind": "lost", "probability_percent": 0 },
    ]);
    let pipeline = w.pipeline().with("stages", own).create();
    assert_eq!(
        stages(&pipeline),
        [("Call".into(), "open".into(), 5), ("Signed".into(), "won".into(), 100), ("Gone".into(), "lost".into(), 0)]
    );

    let refused = |stages: Value| {
        let answer = w.pipeline().name("Another").with("stages", stages).send();
        answer.refused(422, "validation_failed");
        answer.wrong()
    };
    assert_eq!(refused(json!([])), ["/stages minItems"]);
    let many: Vec<_> = (0..31).map(|n| json!({ "name": format!("S{n}"), "kind": "won" })).collect();
    assert_eq!(refused(json!(many)), ["/stages maxItems"]);
    let wrong = json!([
        { "name": "A", "kind": "open" },
        { "name": "A", "kind": "won", "probability_percent": 99 },
        { "name": "B", "kind": "lost", "probability_percent": 1 },
    ]);
    assert_eq!(
        refused(wrong),
        [
            "/stages/0/probability_percent probability",
            "/stages/1/name duplicate",
            "/stages/1/probability_percent probability",
            "/stages/2/probability_percent probability"
        ]
    );
    assert_eq!((w.count("pipelines"), w.count("stages")), (1, 3));
}

#[test]
fn one_out_of_use_is_hidden_from_lists_only() {
    let w = World::new();
    let (first, second) = (w.pipeline().name("First").create(), w.pipeline().name("Second").create());
    let list = |query: &str| names(&w.owner.get(&format!("/pipelines{query}")).expect(200));
    assert_eq!(list(""), ["Second", "First"]);
    assert_eq!(list("?name=First"), ["First"]);
    let archival = format!("/pipelines/{}/archival", first.id());
    let archived = w.owner.post(&archival, Value::Null).expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(w.owner.post(&archival, Value::Null).expect(200), archived, "done twice it stays as it is");
    assert_eq!(
        (list(""), list("?include_archived=true")),
        (vec!["Second".into()], list("?sort=-created_at&include_archived=true"))
    );
    assert_eq!(list("?include_archived=true"), ["Second", "First"]);
    assert_eq!(w.owner.get(&format!("/pipelines/{}", first.id())).expect(200), archived);
    assert_eq!(w.owner.delete(&archival).expect(200)["archived_at"], Value::Null);
    assert_eq!(list(""), ["Second", "First"]);
    assert_eq!((w.changes("pipeline.archived"), w.changes("pipeline.restored")), (1, 1));

    let path = format!("/pipelines/{}", second.id());
    let renamed = w.owner.at(1).patch(&path, json!({ "name": "Renewals" })).expect(200);
    assert_eq!((&renamed["name"], renamed.version()), (&json!("Renewals"), 2));
    w.owner.at(2).patch(&path, json!({ "name": "First" })).refused(409, "duplicate");
    w.owner.delete(&path).refused(405, "method_not_allowed");
}

#[test]
fn stages_come_last_and_are_put_in_order_at_once() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let path = format!("/pipelines/{}", pipeline.id());
    let stage = json!({ "name": "Negotiation", "kind": "open", "probability_percent": 80 });
    let answer = w.owner.post(&format!("{path}/stages"), &stage);
    let added = answer.expect(201);
    assert_eq!((&added["position"], &added["pipeline_id"]), (&json!(6), &json!(pipeline.id())));
    assert_eq!(w.owner.get(answer.header("location").unwrap()).expect(200), added);
    let twice = w.owner.post(&format!("{path}/stages"), &stage);
    twice.refused(409, "duplicate");
    assert_eq!(twice.wrong(), ["/name duplicate"]);

    let ids: Vec<String> = (0..5).map(|place| stage_id(&pipeline, place)).collect();
    let order = [&ids[0], &ids[1], &ids[2], added.id(), &ids[3], &ids[4]].map(str::to_owned).to_vec();
    let put = |version: i64, ids: &[String]| {
        w.owner.at(version).put(&format!("{path}/stage-order"), json!({ "stage_ids": ids }))
    };
    let ordered = put(1, &order).expect(200);
    assert_eq!(stage_names(&ordered), ["New", "Qualified", "Proposal", "Negotiation", "Won", "Lost"]);
    assert_eq!(ordered.version(), 2);
    assert_eq!(w.owner.get(&path).expect(200), ordered);
    let listed = w.owner.get(&format!("{path}/stages")).expect(200);
    assert_eq!(names(&listed), stage_names(&ordered));
    assert_eq!(names(&w.owner.get(&format!("{path}/stages?sort=-position&limit=2")).expect(200)), ["Lost", "Won"]);
    // What has not moved has not changed.
    let versions: Vec<i64> = listed.items().iter().map(Record::version).collect();
    assert_eq!(versions, [1, 1, 1, 2, 2, 2]);
    assert_eq!((w.changes("pipeline.reordered"), w.changes("stage.updated")), (1, 3));
    let log = w.owner.get("/audit-log?action=reordered").expect(200).items();
    assert_eq!(log[0]["after"]["stage_ids"], json!(order));

    let stranger = w.pipeline().name("Another").create();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut ids = order.clone();
        change(&mut ids);
        let answer = put(2, &ids);
        answer.refused(422, "validation_failed");
        answer.wrong()
    };
    assert_eq!(with(&|ids| drop(ids.pop())), ["/stage_ids stages"]);
    assert_eq!(with(&|ids| ids.push(ids[0].clone())), ["/stage_ids stages"]);
    assert_eq!(with(&|ids| ids[1] = ids[0].clone()), ["/stage_ids stages"]);
    assert_eq!(with(&|ids| ids[5] = stage_id(&stranger, 0)), ["/stage_ids stages"]);
    assert_eq!(with(&|ids| ids.clear()), ["/stage_ids minItems"]);
    put(1, &order).refused(412, "precondition_failed");
    assert_eq!(w.owner.get(&path).expect(200), ordered);
}

#[test]
fn a_pipeline_has_at_most_thirty_stages_and_at_least_one() {
    let w = World::new();
    let one = json!([{ "name": "Only", "kind": "open", "probability_percent": 50 }]);
    let pipeline = w.pipeline().with("stages", one).create();
    let path = format!("/pipelines/{}/stages", pipeline.id());
    let only = w.owner.at(1).delete(&format!("/stages/{}", stage_id(&pipeline, 0)));
    only.refused(409, "conflict");
    let statuses =
        at_once(31, |turn| w.owner.post(&path, json!({ "name": format!("S{turn}"), "kind": "lost" })).status);
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 29, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 2, "{statuses:?}");
    assert_eq!(stages(&w.owner.get(&format!("/pipelines/{}", pipeline.id())).expect(200)).len(), 30);
}

#[test]
fn a_stage_goes_only_where_nothing_stands_or_has_stood() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let customer = w.customer().create();
    let opportunity = w.opportunity(customer.id()).with("stage_id", stage_id(&pipeline, 1)).create();
    let delete =
        |place: usize| w.owner.with("If-Match", "*").delete(&format!("/stages/{}", stage_id(&pipeline, place)));
    delete(1).refused(409, "conflict");
    let to = json!({ "stage_id": stage_id(&pipeline, 2) });
    w.owner.post(&format!("/opportunities/{}/stage-changes", opportunity.id()), to).expect(200);
    for place in [1, 2] {
        delete(place).refused(409, "conflict");
    }
    assert_eq!(delete(0).status, 204);
    let rest = w.owner.get(&format!("/pipelines/{}", pipeline.id())).expect(200);
    assert_eq!(stage_names(&rest), ["Qualified", "Proposal", "Won", "Lost"], "without a gap");
    assert_eq!((w.changes("stage.deleted"), w.changes("stage.updated")), (1, 4));
    delete(0).refused(404, "not_found");

    // With the opportunity goes its history, and then the stages may.
    let path = format!("/opportunities/{}", opportunity.id());
    assert_eq!(w.owner.with("If-Match", "*").delete(&path).status, 204);
    assert_eq!((delete(1).status, delete(2).status), (204, 204));
}

#[test]
fn opportunities_follow_the_kind_of_their_stage() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let customer = w.customer().create();
    let (new, proposal, won) = (stage_id(&pipeline, 0), stage_id(&pipeline, 2), stage_id(&pipeline, 3));
    let at = |stage: &str| w.opportunity(customer.id()).with("stage_id", stage).create();
    let (begun, waiting, closed) = (at(&new), at(&proposal), at(&won));
    let read = |opportunity: &Record| w.owner.get(&format!("/opportunities/{}", opportunity.id())).expect(200);
    let told = |opportunity: &Record| {
        let now = read(opportunity);
        (now["stage_kind"].as_str().unwrap().to_owned(), now["closed_at"].clone(), now["weighted_value"].clone())
    };
    let entered = |opportunity: &Record| read(opportunity)["stage_entered_at"].clone();
    let open = |weighted: &str| ("open".to_owned(), Value::Null, json!(weighted));
    assert_eq!(told(&waiting), open("7200.00"));
    assert_eq!(told(&closed), ("won".into(), entered(&closed), json!("12000.00")));

    let patch = |stage: &str, body: Value| w.owner.with("If-Match", "*").patch(&format!("/stages/{stage}"), body);
    let half = patch(&proposal, json!({ "kind": "won" }));
    half.refused(422, "validation_failed");
    assert_eq!(half.wrong(), ["/probability_percent probability"]);
    patch(&proposal, json!({ "kind": "won", "probability_percent": null })).expect(200);
    assert_eq!(told(&waiting), ("won".into(), entered(&waiting), json!("12000.00")), "since it came here");
    let moved = json!({ "stage_id": won });
    let moved = w.owner.post(&format!("/opportunities/{}/stage-changes", waiting.id()), moved).expect(200);
    assert_eq!(moved["closed_at"], waiting["stage_entered_at"], "from one won stage to another it stays closed");
    patch(&won, json!({ "kind": "lost", "probability_percent": 0 })).expect(200);
    for opportunity in [&waiting, &closed] {
        assert_eq!(told(opportunity), ("lost".into(), entered(opportunity), json!("0.00")));
    }
    patch(&won, json!({ "kind": "open", "probability_percent": 1 })).expect(200);
    assert_eq!((told(&closed), told(&begun)), (open("120.00"), open("1200.00")));
    assert_eq!(read(&begun), begun, "what stands elsewhere is not touched");
    let kinds = |kind: &str| w.owner.get(&format!("/opportunities?stage_kind={kind}")).expect(200).items().len();
    assert_eq!((kinds("open"), kinds("won"), kinds("lost")), (3, 0, 0));
}

#[test]
fn managers_and_owners_arrange_pipelines_and_everybody_reads_them() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    let viewer = w.operator("viewer", "none", None);
    let pipeline = w.pipeline().by(&manager).create();
    let (path, stage) = (format!("/pipelines/{}", pipeline.id()), format!("/stages/{}", stage_id(&pipeline, 0)));
    let ids: Vec<Value> = pipeline["stages"].as_array().unwrap().iter().map(|stage| stage["id"].clone()).collect();
    let all = |who: &Caller| {
        let who = who.with("If-Match", "*");
        vec![
            who.post("/pipelines", json!({ "name": "Mine" })),
            who.patch(&path, json!({ "name": "Mine too" })),
            who.put(&format!("{path}/stage-order"), json!({ "stage_ids": ids })),
            who.post(&format!("{path}/archival"), Value::Null),
            who.delete(&format!("{path}/archival")),
            who.post(&format!("{path}/stages"), json!({ "name": "Mine", "kind": "won" })),
            who.patch(&stage, json!({ "name": "Mine too" })),
            who.delete(&stage),
        ]
    };
    for answer in all(&operator) {
        answer.refused(403, "forbidden");
    }
    for answer in all(&viewer) {
        answer.refused(403, "scope_missing");
    }
    for who in [&operator, &viewer] {
        assert_eq!(who.get(&path).expect(200), pipeline);
        who.get(&stage).expect(200);
        who.get(&format!("{path}/stages")).expect(200);
    }
    for answer in all(&manager) {
        assert!(answer.status < 300, "{answer:?}");
    }
}
