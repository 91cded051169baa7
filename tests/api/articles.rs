//! `/articles`, `/article-categories`: what is written, who reads it, its texts, votes and uses.

use crate::support::{Caller, Record, World};
use serde_json::{Value, json};

fn path(record: &Record) -> String {
    format!("/articles/{}", record.id())
}

fn change(who: &Caller, article: &Record, body: Value) -> Record {
    let now = who.get(&path(article)).expect(200);
    who.at(now.version()).patch(&path(article), body).expect(200)
}

fn revisions(w: &World, article: &Record) -> Vec<(i64, String, Value)> {
    let rows = w.owner.get(&format!("{}/revisions", path(article))).expect(200).items();
    let told = |row: &Record| {
        (row["number"].as_i64().unwrap(), row["title"].as_str().unwrap().to_owned(), row["restored_from"].clone())
    };
    rows.iter().map(told).collect()
}

#[test]
fn drafts_are_read_by_those_who_write() {
    let w = World::new();
    let draft = w.article("Szkic").create();
    let published = w.article("Gotowy").with("status", "published").create();
    assert_eq!((draft["status"].as_str(), draft["published_at"].is_null()), (Some("draft"), true));
    assert!(published["published_at"].is_string());
    let viewer = w.operator("viewer", "none", None);
    viewer.get(&path(&draft)).refused(404, "not_found");
    viewer.get(&path(&published)).expect(200);
    let seen: Vec<_> = viewer.get("/articles").expect(200).items().iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(seen, [published.id()]);
    assert_eq!(w.owner.get("/articles").expect(200).items().len(), 2);
    viewer.post("/articles", json!({ "title": "x" })).refused(403, "scope_missing");
    // Of its texts they see those with which it was published.
    let once_draft = w.article("Szkic na jutro").create();
    change(&w.owner, &once_draft, json!({ "title": "Na jutro", "status": "published" }));
    let texts = viewer.get(&format!("{}/revisions", path(&once_draft))).expect(200).items();
    assert_eq!(texts.iter().map(|text| text["title"].as_str().unwrap()).collect::<Vec<_>>(), ["Na jutro"]);
    change(&w.owner, &once_draft, json!({ "status": "draft" }));
    // Taken back, it is gone for them again.
    change(&w.owner, &published, json!({ "status": "archived" }));
    viewer.get(&path(&published)).refused(404, "not_found");
}

#[test]
fn each_text_is_kept_and_can_be_had_again() {
    let w = World::new();
    let article = w.article("Pierwszy").create();
    change(&w.owner, &article, json!({ "title": "Drugi", "body": "Inny" }));
    let after = change(&w.owner, &article, json!({ "status": "published", "valid_until_on": "2027-12-31" }));
    assert_eq!((after["revision"].as_i64(), after["version"].as_i64()), (Some(2), Some(3)));
    let restoration = format!("{}/restoration", path(&article));
    w.owner.at(3).post(&restoration, json!({ "revision": 7 })).refused(422, "reference_not_found");
    w.owner.at(2).post(&restoration, json!({ "revision": 1 })).refused(412, "precondition_failed");
    let restored = w.owner.at(3).post(&restoration, json!({ "revision": 1 })).expect(200);
    assert_eq!((restored["title"].as_str(), restored["body"].as_str()), (Some("Pierwszy"), Some("Tekst.")));
    assert_eq!((restored["status"].as_str(), restored["revision"].as_i64()), (Some("published"), Some(3)));
    assert_eq!(
        revisions(&w, &article),
        [(3, "Pierwszy".into(), json!(1)), (2, "Drugi".into(), Value::Null), (1, "Pierwszy".into(), Value::Null)]
    );
    // The text that it has already is no new one.
    let same = w.owner.at(4).post(&restoration, json!({ "revision": 3 })).expect(200);
    assert_eq!(same["revision"].as_i64(), Some(3));
}

#[test]
fn what_was_published_is_archived_and_not_removed() {
    let w = World::new();
    let draft = w.article("Szkic").create();
    w.owner.at(1).delete(&path(&draft)).expect(204);
    w.owner.get(&path(&draft)).refused(404, "not_found");
    let published = w.article("Gotowy").with("status", "published").create();
    assert_eq!(w.owner.at(1).delete(&path(&published)).refused(409, "state_invalid")["state"], "published");
    w.owner.get(&path(&published)).expect(200);
}

#[test]
fn html_is_text_and_nothing_else() {
    let w = World::new();
    let body =
        "# Zwrot\n\n<script>alert(1)</script>\n\n**60** dni ![x](https://evil.example/x.png) [a](javascript:alert(1))";
    let article = w.article("A <b>").with("body", body).create();
    let answer = w.owner.with("Accept", "text/html").get(&path(&article));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    let html = answer.text();
    assert!(html.contains("<h1>Zwrot</h1>") && html.contains("<strong>60</strong>"), "{html}");
    for part in ["<script", "<img", "evil.example", "javascript:", "A <b>"] {
        assert!(!html.contains(part), "{part}: {html}");
    }
    // Programs that name no type get JSON.
    assert_eq!(w.owner.with("Accept", "*/*").get(&path(&article)).expect(200)["body"], body);
}

#[test]
fn categories_are_a_tree() {
    let w = World::new();
    let taxes = w.article_category("Podatki").create();
    let vat = w.article_category("VAT").with("parent_id", taxes.id()).create();
    let at = |category: &Record| format!("/article-categories/{}", category.id());
    w.article_category("VAT").with("parent_id", taxes.id()).send().refused(409, "duplicate");
    w.article_category("VAT").create();
    let below = json!({ "parent_id": vat.id() });
    assert_eq!(w.owner.at(1).patch(&at(&taxes), &below).wrong(), ["/parent_id tree"]);
    assert_eq!(w.owner.at(1).patch(&at(&vat), &below).wrong(), ["/parent_id tree"]);
    w.owner.at(1).delete(&at(&taxes)).refused(409, "conflict");
    let article = w.article("Zwrot").with("category_id", vat.id()).create();
    w.owner.at(1).delete(&at(&vat)).refused(409, "conflict");
    let listed = w.owner.get(&format!("/articles?category_id={}&expand=category", vat.id())).expect(200).items();
    assert_eq!((listed[0].id(), &listed[0]["category"]["name"]), (article.id(), &json!("VAT")));
    // Nine within each other are too many.
    let mut parent = vat;
    for depth in 3..=8 {
        parent = w.article_category(&format!("{depth}")).with("parent_id", parent.id()).create();
    }
    assert_eq!(w.article_category("9").with("parent_id", parent.id()).send().wrong(), ["/parent_id tree"]);
}

#[test]
fn an_article_leads_on_to_others() {
    let w = World::new();
    let (one, two) = (w.article("Jeden").create(), w.article("Dwa").create());
    let three = w.article("Trzy").with("related_article_ids", json!([two.id(), one.id()])).create();
    assert_eq!(three["related_article_ids"], json!([two.id(), one.id()]));
    let leading = w.owner.get(&format!("/articles?related_article_id={}", one.id())).expect(200).items();
    assert_eq!(leading.iter().map(Record::id).collect::<Vec<_>>(), [three.id()]);
    let with = |ids: Value| w.article("x").with("related_article_ids", ids).send();
    assert_eq!(
        with(json!([one.id(), "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa"])).wrong(),
        ["/related_article_ids/1 reference_not_found"]
    );
    let itself = json!({ "related_article_ids": [three.id()] });
    assert_eq!(w.owner.at(1).patch(&path(&three), itself).wrong(), ["/related_article_ids/0 itself"]);
    let none = change(&w.owner, &three, json!({ "related_article_ids": [] }));
    assert_eq!(none["related_article_ids"], json!([]));
}

#[test]
fn an_operator_has_one_vote() {
    let w = World::new();
    let article = w.article("Zwrot").with("status", "published").create();
    let votes = format!("{}/votes", path(&article));
    let voter = w.operator("operator", "none", None);
    voter.post(&votes, json!({ "helpful": true })).expect(200);
    w.owner.post(&votes, json!({ "helpful": true })).expect(200);
    let again = voter.post(&votes, json!({ "helpful": false, "comment": "Stary termin" })).expect(200);
    assert_eq!(again["version"], 2);
    let script = w.api_key(&["knowledge:write"]);
    for _ in 0..2 {
        script.post(&votes, json!({ "helpful": true })).expect(200);
    }
    let now = w.owner.get(&path(&article)).expect(200);
    assert_eq!((now["helpful_votes"].as_i64(), now["unhelpful_votes"].as_i64()), (Some(3), Some(1)));
    assert_eq!(now["version"], article["version"]);
    let against = w.owner.get(&format!("{votes}?helpful=false")).expect(200).items();
    assert_eq!((against.len(), &against[0]["comment"]), (1, &json!("Stary termin")));
    w.operator("viewer", "none", None).post(&votes, json!({ "helpful": true })).refused(403, "scope_missing");
}

#[test]
fn what_an_article_answered_is_noted_once() {
    let w = World::new();
    let article = w.article("Zwrot").with("status", "published").create();
    let call = w.interaction(w.customer().create().id()).create();
    let uses = format!("{}/uses", path(&article));
    let body = json!({ "interaction_id": call.id() });
    w.owner.post(&uses, &body).expect(200);
    w.owner.post(&uses, &body).refused(409, "duplicate");
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 1);
    let nothing = json!({ "interaction_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" });
    assert_eq!(w.owner.post(&uses, nothing).wrong(), ["/interaction_id reference_not_found"]);
    w.owner.delete(&format!("{uses}?interaction_id={}", call.id())).expect(204);
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 0);
    w.owner.post(&uses, &body).expect(200);
    // It goes with the interaction.
    w.owner.at(1).delete(&format!("/interactions/{}", call.id())).expect(204);
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 0);
    assert!(w.owner.get(&uses).expect(200).items().is_empty());
}
