//! `/attachments`: files on records, who reads them, and what becomes of them when their records move or go.

use crate::support::fixtures::record;
use crate::support::{Answer, Caller, Record, World, at_once, binary, execute, text_rows};
use crate::tasks::{change, path};
use serde_json::{Value, json};
use uuid::Uuid;

const NOBODY: &str = "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa";

/// A file that somebody has sent, of a text of its own.
fn file(who: &Caller) -> String {
    file_of(who, &format!("Protocol {}", Uuid::now_v7()))
}

fn file_of(who: &Caller, content: &str) -> String {
    who.upload("protocol.txt", content.as_bytes()).expect(201).id().to_owned()
}

fn attach(who: &Caller, file_id: &str, kind: &str, id: &str) -> Answer {
    who.post("/attachments", json!({ "file_id": file_id, "subject": { "type": kind, "id": id } }))
}

/// A file of the owner's on a record.
#[track_caller]
fn attached(w: &World, kind: &str, id: &str) -> Record {
    attach(&w.owner, &file(&w.owner), kind, id).expect(201)
}

fn address(attachment: &Record) -> String {
    format!("/attachments/{}", attachment.id())
}

#[track_caller]
fn again(w: &World, attachment: &Record) -> Record {
    w.owner.get(&address(attachment)).expect(200)
}

fn listed(who: &Caller, query: &str) -> Vec<String> {
    let page = who.get(&format!("/attachments?limit=200&sort=created_at&{query}")).expect(200);
    page.items().iter().map(|attachment| attachment.id().to_owned()).collect()
}

fn ids(attachments: &[&Record]) -> Vec<String> {
    attachments.iter().map(|attachment| attachment.id().to_owned()).collect()
}

fn item(kind: &str, record: &Record) -> Value {
    json!({ "type": kind, "id": record.id() })
}

fn exists(w: &World, table: &str, id: &str) -> bool {
    w.count(&format!("(select * from {table} where id = '{id}') found")) > 0
}

/// The state of the object behind a file.
fn object_of(file_id: &str) -> String {
    let sql = format!("select object_id from files where id = '{file_id}'");
    text_rows(&sql).remove(0).unwrap()
}

fn is_kept(object_id: &str) -> bool {
    let sql = format!("select state from file_objects where id = '{object_id}'");
    text_rows(&sql).into_iter().flatten().any(|state| state == "kept")
}

/// What is kept by triggers, against what it comes to when it is looked up.
#[track_caller]
fn hold_together(w: &World) {
    let organization = w.organization_id;
    let behind = format!(
        "select a.id from attachments a
         left join interactions i on i.organization_id = a.organization_id and i.id = a.interaction_id
         left join tasks t on t.organization_id = a.organization_id and t.id = a.task_id
         left join threads m on m.organization_id = a.organization_id and m.id = a.thread_id
         left join invoices v on v.organization_id = a.organization_id and v.id = a.invoice_id
         where a.organization_id = '{organization}' and (a.of_customer_id, a.of_thread_id, a.of_caretaker_id) is distinct from (
             coalesce(i.customer_id, t.customer_id, m.customer_id, v.customer_id, a.customer_id),
             coalesce(i.thread_id, t.thread_id, m.id), coalesce(i.caretaker_id, t.caretaker_id))"
    );
    assert_eq!(text_rows(&behind), [], "behind their records");
    let counted = format!(
        "select f.id from files f where f.organization_id = '{organization}' and (f.crm_uses, f.billing_uses, f.logo_uses)
         is distinct from (
             (select count(*)::int from attachments a where a.file_id = f.id and a.invoice_id is null),
             (select count(*)::int from attachments a where a.file_id = f.id and a.invoice_id is not null),
             (select count(*)::int from organizations o where o.logo_file_id = f.id))"
    );
    assert_eq!(text_rows(&counted), [], "wrongly counted");
}

/// A record of each kind that a file can be on, with its type.
fn subjects(w: &World) -> [(&'static str, Record); 5] {
    [
        ("interaction", w.interaction(w.customer().create().id()).create()),
        ("task", w.task("VAT return").create()),
        ("customer", w.customer().create()),
        ("thread", w.thread("Inspection").create()),
        ("invoice", record(w, "/api/v1/invoices")),
    ]
}

#[test]
fn a_file_is_put_on_records_of_each_kind() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let (customer, thread) = (w.customer().create(), w.thread("Inspection").create());
    let task = w.task("VAT return").with("customer_id", customer.id()).with("thread_id", thread.id());
    let task = task.with("caretaker_id", operator.id.to_string()).create();
    let content = "a,b\n1,2\n";
    let file_id = file_of(&w.owner, content);
    let body = json!({ "file_id": file_id, "subject": item("task", &task), "description": "As sent" });
    let answer = w.owner.post("/attachments", body);
    let made = answer.expect(201);
    assert_eq!(w.owner.get(answer.header("location").unwrap()).expect(200), made);
    assert_eq!((&made["file_id"], &made["subject"]), (&json!(file_id), &item("task", &task)));
    assert_eq!((&made["name"], &made["size_bytes"]), (&json!("protocol.txt"), &json!(content.len())));
    assert_eq!(made["sha256"], w.owner.get(&format!("/files/{file_id}")).expect(200)["sha256"]);
    assert_eq!((&made["customer_id"], &made["thread_id"]), (&customer["id"], &thread["id"]));
    assert_eq!(made["caretaker_id"], operator.id.to_string());
    assert_eq!((&made["description"], &made["registered_by_id"]), (&json!("As sent"), &json!(w.owner.id.to_string())));
    assert_eq!(w.changes("attachment.created"), 1);

    for (kind, subject) in subjects(&w) {
        let made = attach(&w.owner, &file_id, kind, subject.id()).expect(201);
        let wanted = match kind {
            "customer" => (subject["id"].clone(), Value::Null),
            "thread" => (Value::Null, subject["id"].clone()),
            _ => (subject["customer_id"].clone(), Value::Null),
        };
        assert_eq!((made["customer_id"].clone(), made["thread_id"].clone()), wanted, "{kind}");
        assert_eq!(listed(&w.owner, &format!("subject_{kind}_id={}", subject.id())), ids(&[&made]));
        let twice = attach(&w.owner, &file_id, kind, subject.id());
        twice.refused(409, "duplicate");
        assert_eq!(twice.wrong(), ["/file_id duplicate"]);
    }
    assert_eq!(listed(&w.owner, &format!("file_id={file_id}")).len(), 6);
    assert_eq!(listed(&w.owner, &format!("file_id={file_id}&customer_id={}", customer.id())), ids(&[&made]));
    assert_eq!(listed(&w.owner, &format!("thread_id={}", thread.id())), ids(&[&made]));
    assert_eq!(listed(&w.owner, &format!("caretaker_id={}", operator.id)), ids(&[&made]));
    let two = format!("subject_task_id={}&subject_thread_id={}", task.id(), thread.id());
    assert!(listed(&w.owner, &two).is_empty(), "no file is on two records by one attachment");
    hold_together(&w);
}

#[test]
fn whoever_reads_a_record_reads_its_files_and_nobody_else() {
    let w = World::new();
    let stranger = World::new();
    let (viewer, clerk) = (w.operator("viewer", "none", None), w.operator("viewer", "read", None));
    let (crm, billing) = (w.api_key(&["crm:read"]), w.api_key(&["billing:read"]));
    let neither = w.api_key(&["crm:write", "billing:write", "knowledge:read", "admin:read"]);
    for (kind, subject) in subjects(&w) {
        let made = attached(&w, kind, subject.id());
        let is_invoice = kind == "invoice";
        for (who, reads) in
            [(&viewer, !is_invoice), (&clerk, true), (&crm, !is_invoice), (&billing, is_invoice), (&neither, false)]
        {
            let found = listed(who, &format!("file_id={}", made["file_id"].as_str().unwrap()));
            let counted = who.get(&format!("/attachments?count=exact&subject_{kind}_id={}", subject.id())).expect(200);
            if reads {
                assert_eq!(who.get(&address(&made)).expect(200), made, "{kind}");
                assert_eq!((found, counted["total_count"].as_i64()), (ids(&[&made]), Some(1)), "{kind}");
            } else {
                who.get(&address(&made)).refused(404, "not_found");
                assert_eq!((found, counted["total_count"].as_i64()), (Vec::new(), Some(0)), "{kind}");
            }
            // The file itself is as open as its records are.
            let file = who.get(&format!("/files/{}", made["file_id"].as_str().unwrap()));
            assert_eq!(file.status, if reads { 200 } else { 404 }, "{kind}: {file:?}");
        }
        stranger.owner.get(&address(&made)).refused(404, "not_found");
        let file_id = made["file_id"].as_str().unwrap();
        let theirs = attach(&stranger.owner, file_id, "task", stranger.task("Theirs").create().id());
        assert_eq!(theirs.wrong(), ["/file_id reference_not_found"]);
        let theirs = attach(&stranger.owner, &file(&stranger.owner), kind, subject.id());
        assert_eq!(theirs.wrong(), ["/subject/id reference_not_found"]);
    }
}

#[test]
fn putting_a_file_on_a_record_asks_for_the_scope_of_its_area() {
    // It tries the logo out; the program that does takes a while to build.
    binary();
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let operator = w.operator("operator", "none", None);
    let biller = w.operator("viewer", "write", None);
    let blind = w.api_key(&["crm:write", "billing:write"]);
    for (kind, subject) in subjects(&w) {
        let is_invoice = kind == "invoice";
        // Everybody reads the logo, so that it is the record alone that matters.
        let image = w.file("logo.png", PNG);
        let organization = w.organization();
        w.owner.at(organization.version()).patch("/organization", json!({ "logo_file_id": image.id() })).expect(200);
        let try_by = |who: &Caller| attach(who, image.id(), kind, subject.id());
        try_by(&viewer).refused(403, "scope_missing");
        if is_invoice {
            let reader = w.operator("operator", "read", None);
            assert_eq!(try_by(&reader).refused(403, "scope_missing")["scope"], "billing:write");
            assert_eq!(try_by(&operator).wrong(), ["/subject/id reference_not_found"]);
        } else {
            assert_eq!(try_by(&biller).refused(403, "scope_missing")["scope"], "crm:write", "{kind}");
        }
        // Whoever may not read the record is told that there is none, as of one that there is not.
        assert_eq!(try_by(&blind).wrong(), ["/subject/id reference_not_found"], "{kind}");
        assert_eq!(attach(&w.owner, image.id(), kind, NOBODY).wrong(), ["/subject/id reference_not_found"], "{kind}");
        assert_eq!(attach(&w.owner, NOBODY, kind, subject.id()).wrong(), ["/file_id reference_not_found"], "{kind}");
        let made = try_by(if is_invoice { &biller } else { &operator }).expect(201);
        assert_eq!(w.count("attachments"), 1);
        w.owner.at(1).delete(&address(&made));
    }
}

#[test]
fn a_file_that_one_may_not_read_is_none() {
    let w = World::new();
    let (anna, basia) = (w.operator("operator", "none", None), w.operator("operator", "none", None));
    let task = w.task("VAT return").create();
    let hers = file(&basia);
    let told = |answer: Answer| {
        let mut problem = answer.refused(422, "reference_not_found");
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    let unseen = told(attach(&anna, &hers, "task", task.id()));
    assert_eq!(unseen, told(attach(&anna, NOBODY, "task", task.id())));
    assert_eq!(unseen, told(attach(&w.owner, &hers, "task", task.id())), "not the owner either");
    // An invoice's file is none for who does not read invoices, also where it could be put on a task.
    let invoice = record(&w, "/api/v1/invoices");
    let billed = attached(&w, "invoice", invoice.id());
    assert_eq!(unseen, told(attach(&anna, billed["file_id"].as_str().unwrap(), "task", task.id())));
    attach(&basia, &hers, "task", task.id()).expect(201);
    attach(&anna, &hers, "task", w.task("Another").create().id()).expect(201);
}

#[test]
fn those_who_hold_the_record_or_put_the_file_there_change_it() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let holder = w.operator("operator", "none", Some(&manager));
    let [guest, other] = [(); 2].map(|()| w.operator("operator", "none", Some(&w.owner)));
    let biller = w.operator("viewer", "write", None);
    let held = |draft: crate::support::Draft| draft.by(&holder).create();
    let customer = w.customer().with("caretaker_id", holder.id.to_string()).create();
    for (kind, subject) in [
        ("interaction", held(w.interaction(customer.id()))),
        ("task", held(w.task("VAT return"))),
        ("thread", held(w.thread("Inspection"))),
        ("customer", customer.clone()),
    ] {
        let made = attach(&guest, &file(&guest), kind, subject.id()).expect(201);
        other.at(1).patch(&address(&made), json!({ "description": "mine" })).refused(403, "forbidden");
        other.at(1).delete(&address(&made)).refused(403, "forbidden");
        assert_eq!(
            biller.at(1).delete(&address(&made)).refused(403, "scope_missing")["scope"],
            "crm:write",
            "billing alone does not change what is the CRM's"
        );
        for (version, who) in (1..).zip([&guest, &holder, &manager, &w.owner]) {
            let changed = who.at(version).patch(&address(&made), json!({ "description": version.to_string() }));
            assert_eq!(changed.expect(200)["description"], version.to_string(), "{kind}");
        }
        let fixed = |patch: Value| w.owner.at(5).patch(&address(&made), patch).wrong();
        assert_eq!(fixed(json!({ "file_id": NOBODY })), ["/file_id fixed"]);
        assert_eq!(fixed(json!({ "subject": { "type": kind, "id": NOBODY } })), ["/subject fixed"]);
        assert_eq!(again(&w, &made)["description"], "4");
        assert_eq!(manager.at(5).delete(&address(&made)).status, 204);
    }
    let made = attached(&w, "invoice", record(&w, "/api/v1/invoices").id());
    other.at(1).patch(&address(&made), json!({ "description": "x" })).refused(404, "not_found");
    let reader = w.operator("operator", "read", None);
    assert_eq!(reader.at(1).delete(&address(&made)).refused(403, "scope_missing")["scope"], "billing:write");
    biller.at(1).patch(&address(&made), json!({ "description": "Signed" })).expect(200);
    assert_eq!(biller.at(2).delete(&address(&made)).status, 204);
}

#[test]
fn files_follow_what_their_records_are_about() {
    let w = World::new();
    let (anna, basia) = (w.operator("operator", "none", None), w.operator("operator", "none", None));
    let (first, second) = (w.customer().create(), w.customer().create());
    let (inspection, payroll) = (w.thread("Inspection").create(), w.thread("Payroll").create());
    let main = w.task("main").with("caretaker_id", anna.id.to_string()).create();
    let sub = w.task("sub").with("parent", item("task", &main)).create();
    let call = w.interaction(first.id()).with("parent", item("task", &sub)).create();
    let (on_main, on_sub) = (attached(&w, "task", main.id()), attached(&w, "task", sub.id()));
    let (on_call, on_thread) = (attached(&w, "interaction", call.id()), attached(&w, "thread", inspection.id()));
    let untouched = attached(&w, "customer", second.id());
    hold_together(&w);
    assert_eq!(listed(&w.owner, &format!("caretaker_id={}", anna.id)), ids(&[&on_main]));

    change(&w.owner, &main, json!({ "customer_id": first.id(), "caretaker_id": basia.id.to_string() }));
    assert!(listed(&w.owner, &format!("caretaker_id={}", anna.id)).is_empty());
    assert_eq!(listed(&w.owner, &format!("customer_id={}", first.id())), ids(&[&on_main, &on_call]));
    hold_together(&w);
    // With a whole tree, into a thread and out of it, by a link and by what the record says.
    w.owner.post(&format!("/threads/{}/items", inspection.id()), item("task", &main)).expect(200);
    let of_inspection = || listed(&w.owner, &format!("thread_id={}", inspection.id()));
    assert_eq!(of_inspection(), ids(&[&on_main, &on_sub, &on_call, &on_thread]));
    hold_together(&w);
    let unlink = format!("/threads/{}/items?type=task&item_id={}", inspection.id(), sub.id());
    w.owner.delete(&unlink).expect(200);
    assert_eq!(of_inspection(), ids(&[&on_main, &on_thread]));
    hold_together(&w);
    change(&w.owner, &sub, json!({ "thread_id": payroll.id() }));
    assert_eq!(listed(&w.owner, &format!("thread_id={}", payroll.id())), ids(&[&on_sub, &on_call]));
    hold_together(&w);
    let version = w.owner.get(&format!("/interactions/{}", call.id())).expect(200).version();
    let patch = json!({ "customer_id": second.id(), "caretaker_id": anna.id.to_string() });
    w.owner.at(version).patch(&format!("/interactions/{}", call.id()), patch).expect(200);
    assert_eq!(listed(&w.owner, &format!("customer_id={}", second.id())), ids(&[&on_call, &untouched]));
    hold_together(&w);
    let patch = json!({ "customer_id": second.id() });
    w.owner.at(1).patch(&format!("/threads/{}", inspection.id()), patch).expect(200);
    assert_eq!(listed(&w.owner, &format!("customer_id={}", second.id())), ids(&[&on_call, &on_thread, &untouched]));
    hold_together(&w);
    // Nothing of this is a change of the attachments themselves.
    for attachment in [&on_main, &on_sub, &on_call, &on_thread, &untouched] {
        assert_eq!(again(&w, attachment).version(), 1);
    }
    assert_eq!(w.changes("attachment.updated"), 0);
}

#[test]
fn files_of_a_series_stay_with_the_task_that_they_are_on() {
    let w = World::new();
    let customer = w.customer().create();
    let task = w.task("Return").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=MONTHLY").create();
    let made = attached(&w, "task", task.id());
    let patch = json!({ "customer_id": customer.id(), "recurrence": "FREQ=WEEKLY" });
    let version = w.owner.get(&path(&task)).expect(200).version();
    let query = format!("{}?apply_to=this_and_following", path(&task));
    w.owner.at(version).patch(&query, patch).expect(200);
    assert_eq!(again(&w, &made)["customer_id"], customer["id"]);
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(w.count("tasks"), 2);
    assert_eq!(listed(&w.owner, ""), ids(&[&made]), "the next one begins without");
    hold_together(&w);
}

#[test]
fn a_merge_takes_the_files_of_a_thread_along_each_once() {
    let w = World::new();
    let customer = w.customer().create();
    let from = w.thread("From").create();
    let into = w.thread("Into").with("customer_id", customer.id()).create();
    let task = w.task("task").with("thread_id", from.id()).create();
    let (both, alone) = (file(&w.owner), file(&w.owner));
    let twice = attach(&w.owner, &both, "thread", from.id()).expect(201);
    let there = attach(&w.owner, &both, "thread", into.id()).expect(201);
    let carried = attach(&w.owner, &alone, "thread", from.id()).expect(201);
    let on_task = attached(&w, "task", task.id());
    w.owner.post(&format!("/threads/{}/merges", into.id()), json!({ "thread_id": from.id() })).expect(200);
    assert!(listed(&w.owner, &format!("thread_id={}", from.id())).is_empty());
    assert_eq!(listed(&w.owner, &format!("thread_id={}", into.id())), ids(&[&there, &carried, &on_task]));
    let carried = again(&w, &carried);
    assert_eq!((&carried["subject"]["id"], &carried["customer_id"]), (&into["id"], &customer["id"]));
    assert_eq!((carried.version(), again(&w, &there).version()), (2, 1));
    w.owner.get(&address(&twice)).refused(404, "not_found");
    assert_eq!((w.changes("attachment.updated"), w.changes("attachment.deleted")), (1, 1));
    assert!(exists(&w, "files", &both));
    hold_together(&w);
    attach(&w.owner, &alone, "thread", from.id()).refused(409, "state_invalid");
}

#[test]
fn the_last_use_of_a_file_takes_it_along() {
    let w = World::new();
    let (first, second) = (w.task("first").create(), w.task("second").create());
    let file_id = file(&w.owner);
    let object = object_of(&file_id);
    let [one, two] = [&first, &second].map(|task| attach(&w.owner, &file_id, "task", task.id()).expect(201));
    assert_eq!(w.owner.at(1).delete(&address(&one)).status, 204);
    assert!(exists(&w, "files", &file_id));
    hold_together(&w);
    assert_eq!(w.owner.at(1).delete(&address(&two)).status, 204);
    assert!(!exists(&w, "files", &file_id) && !is_kept(&object));
    w.owner.get(&format!("/files/{file_id}")).refused(404, "not_found");
    assert_eq!((w.changes("attachment.deleted"), w.changes("file.deleted")), (2, 1));

    // What another file holds as well stays in the store.
    let content = "The same in both";
    let (gone, kept) = (file_of(&w.owner, content), file_of(&w.owner, content));
    let object = object_of(&kept);
    assert_eq!(object_of(&gone), object);
    let made = attach(&w.owner, &gone, "task", first.id()).expect(201);
    w.owner.at(1).delete(&address(&made));
    assert!(!exists(&w, "files", &gone) && exists(&w, "files", &kept) && is_kept(&object));
}

#[test]
fn what_is_removed_takes_its_files_along() {
    let w = World::new();
    let customer = w.customer().create();
    let (task, thread) = (w.task("task").create(), w.thread("thread").create());
    let call = w.interaction(customer.id()).create();
    let kinds = [("task", "tasks", &task), ("thread", "threads", &thread), ("interaction", "interactions", &call)];
    // On all three, so that it goes with the last of them.
    let shared = file(&w.owner);
    for (kind, _, subject) in kinds {
        attach(&w.owner, &shared, kind, subject.id()).expect(201);
    }
    for (kind, path, subject) in kinds {
        let is_last = kind == "interaction";
        let made = [(); 3].map(|()| attached(&w, kind, subject.id()));
        let objects = made.each_ref().map(|made| object_of(made["file_id"].as_str().unwrap()));
        let below = match kind {
            "thread" => w.task("in it").with("thread_id", subject.id()).create(),
            _ => w.task("below it").with("parent", item(kind, subject)).create(),
        };
        let address = format!("/{path}/{}", subject.id());
        let version = || w.owner.get(&address).expect(200).version();
        // While it cannot go nothing of it does.
        w.owner.at(version()).delete(&address).refused(409, "conflict");
        assert_eq!(listed(&w.owner, &format!("subject_{kind}_id={}", subject.id())).len(), 4);
        assert_eq!(w.owner.at(1).delete(&self::path(&below)).status, 204);
        let (attachments, files) = (w.changes("attachment.deleted"), w.changes("file.deleted"));
        assert_eq!(w.owner.at(version()).delete(&address).status, 204, "{kind}");
        assert_eq!(w.changes("attachment.deleted"), attachments + 4);
        assert_eq!(w.changes("file.deleted"), files + if is_last { 4 } else { 3 });
        for (made, object) in made.iter().zip(&objects) {
            assert!(!exists(&w, "files", made["file_id"].as_str().unwrap()) && !is_kept(object), "{kind}");
        }
        assert_eq!(exists(&w, "files", &shared), !is_last, "{kind}");
        hold_together(&w);
    }
    assert_eq!(w.count("attachments"), 0);
}

#[test]
fn a_series_that_goes_with_its_only_task_takes_the_files_along() {
    let w = World::new();
    let task = w.task("Return").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=MONTHLY").create();
    let made = attached(&w, "task", task.id());
    assert_eq!(w.owner.at(task.version()).delete(&path(&task)).status, 204);
    assert_eq!((w.count("attachments"), w.count("task_series")), (0, 0));
    assert!(!exists(&w, "files", made["file_id"].as_str().unwrap()));
}

#[test]
fn uses_that_come_and_go_at_once_leave_a_file_or_none() {
    let w = World::new();
    for round in 0..12 {
        let tasks = [(); 3].map(|()| w.task("task").create());
        let file_id = file(&w.owner);
        let made: Vec<_> =
            tasks[..2].iter().map(|task| attach(&w.owner, &file_id, "task", task.id()).expect(201)).collect();
        // Two uses go, one of them with its task, while another comes: before the last has gone, or too late.
        let answers = at_once(3, |turn| match turn {
            0 => w.owner.at(1).delete(&address(&made[0])),
            1 => w.owner.at(1).delete(&path(&tasks[1])),
            _ => attach(&w.owner, &file_id, "task", tasks[2].id()),
        });
        assert_eq!((answers[0].status, answers[1].status), (204, 204), "{round}: {answers:?}");
        match answers[2].status {
            201 => assert!(exists(&w, "files", &file_id), "{round}"),
            _ => {
                assert_eq!(answers[2].wrong(), ["/file_id reference_not_found"], "{round}");
                assert!(!exists(&w, "files", &file_id), "{round}");
            }
        }
        hold_together(&w);
    }
}

#[test]
fn what_is_put_on_a_record_while_it_moves_or_goes_moves_or_goes_with_it() {
    let w = World::new();
    let customer = w.customer().create();
    for round in 0..8 {
        let (from, into) = (w.thread("From").create(), w.thread("Into").create());
        let task = w.task("task").with("thread_id", from.id()).create();
        let files = [(); 4].map(|()| file(&w.owner));
        let answers = at_once(5, |turn| match turn {
            0 => w.owner.post(&format!("/threads/{}/merges", into.id()), json!({ "thread_id": from.id() })),
            1 | 2 => attach(&w.owner, &files[turn - 1], "task", task.id()),
            3 => w.owner.with("If-Match", "*").patch(&path(&task), json!({ "customer_id": customer.id() })),
            _ => attach(&w.owner, &files[3], "thread", from.id()),
        });
        assert!(answers[..4].iter().all(|answer| answer.status < 300), "{round}: {answers:?}");
        assert!([201, 409].contains(&answers[4].status), "{round}: {answers:?}");
        assert!(listed(&w.owner, &format!("thread_id={}", from.id())).is_empty(), "{round}: left behind");
        hold_together(&w);

        let gone = w.task("gone").create();
        let answers = at_once(3, |turn| match turn {
            0 => w.owner.with("If-Match", "*").delete(&path(&gone)),
            _ => attach(&w.owner, &files[turn], "task", gone.id()),
        });
        assert_eq!(answers[0].status, 204, "{round}: {answers:?}");
        for answer in &answers[1..] {
            assert!([201, 422].contains(&answer.status), "{round}: {answer:?}");
        }
        assert!(listed(&w.owner, &format!("subject_task_id={}", gone.id())).is_empty(), "{round}");
        hold_together(&w);
    }
}

#[test]
fn tasks_that_share_files_are_removed_at_once() {
    let w = World::new();
    for round in 0..6 {
        let files: Vec<String> = (0..4).map(|_| file(&w.owner)).collect();
        let tasks: Vec<Record> = (0..4).map(|_| w.task("task").create()).collect();
        for (turn, task) in tasks.iter().enumerate() {
            // Each in another order.
            for place in 0..files.len() {
                attach(&w.owner, &files[(place + turn) % files.len()], "task", task.id()).expect(201);
            }
        }
        let answers = at_once(4, |turn| w.owner.at(1).delete(&path(&tasks[turn])));
        assert!(answers.iter().all(|answer| answer.status == 204), "{round}: {answers:?}");
        assert!(files.iter().all(|id| !exists(&w, "files", id)), "{round}");
    }
    assert_eq!(w.count("attachments"), 0);
}

#[test]
fn timelines_show_files_among_the_rest() {
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let customer = w.buyer().create();
    let thread = w.thread("Inspection").with("customer_id", customer.id()).create();
    let task = w.task("task").with("customer_id", customer.id()).with("thread_id", thread.id()).create();
    w.interaction(customer.id()).with("thread_id", thread.id()).create();
    w.work_entry(task.id()).create();
    let subscription = w.subscription(w.template().id(), customer.id()).create();
    w.run_with(json!({ "mode": "issue", "through_on": "2026-01-31", "subscription_ids": [subscription.id()] }))
        .expect(200);
    let invoice = w.invoices().remove(0);
    let mut made = Vec::new();
    for _ in 0..3 {
        for (kind, subject) in [("task", &task), ("thread", &thread), ("customer", &customer), ("invoice", &invoice)] {
            made.push(attached(&w, kind, subject.id()));
        }
    }
    // Whole pages, and pages of two that are followed.
    let entries = |who: &Caller, path: &str| {
        let whole = who.get(&format!("{path}/timeline?limit=200&count=exact")).expect(200);
        assert_eq!(whole["total_count"], whole.items().len());
        let mut followed = Vec::new();
        let mut next = format!("{path}/timeline?limit=2");
        loop {
            let page = who.get(&next).expect(200);
            followed.extend(page.items());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}/timeline?limit=2&cursor={cursor}");
        }
        assert_eq!(followed, whole.items());
        followed
    };
    let files = |who: &Caller, path: &str| {
        let of = entries(who, path).into_iter().filter(|entry| entry["kind"] == "attachment");
        of.map(|entry| {
            assert_eq!(entry["at"], entry["attachment"]["created_at"]);
            (entry["attachment"]["id"].as_str().unwrap().to_owned(), entry["attachment"]["subject"]["type"].clone())
        })
        .collect::<Vec<_>>()
    };
    let wanted = |kinds: &[&str]| {
        let of = made.iter().rev().map(|made| (made.id().to_owned(), made["subject"]["type"].clone()));
        of.filter(|(_, kind)| kinds.contains(&kind.as_str().unwrap())).collect::<Vec<_>>()
    };
    let (of_customer, of_thread) = (format!("/customers/{}", customer.id()), format!("/threads/{}", thread.id()));
    assert_eq!(files(&w.owner, &of_customer), wanted(&["task", "thread", "customer", "invoice"]));
    assert_eq!(files(&viewer, &of_customer), wanted(&["task", "thread", "customer"]));
    assert_eq!(files(&w.owner, &of_thread), wanted(&["task", "thread"]));
    assert_eq!(entries(&w.owner, &of_thread).len(), 3 + 6);
    let mut whole = entries(&viewer, &of_customer);
    whole.sort_by_key(|entry| std::cmp::Reverse(entry["at"].as_str().unwrap().to_owned()));
    assert_eq!(whole.len(), 3 + 9);
    let kinds: Vec<_> = whole.iter().map(|entry| entry["kind"].clone()).collect();
    let told: Vec<_> = entries(&viewer, &of_customer).iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(told, kinds, "in the order of their moments");
}

#[test]
fn the_progress_report_counts_what_the_list_shows() {
    let w = World::new();
    let (anna, basia) = (w.operator("operator", "none", None), w.operator("operator", "none", None));
    let customer = w.customer().create();
    let of = |who: &Caller| who.id.to_string();
    let task = w.task("task").with("caretaker_id", of(&anna)).create();
    let call = w.interaction(customer.id()).with("caretaker_id", of(&basia)).create();
    let shared = file(&w.owner);
    attach(&w.owner, &shared, "task", task.id()).expect(201);
    attach(&w.owner, &shared, "interaction", call.id()).expect(201);
    let old = attached(&w, "task", task.id());
    attached(&w, "task", task.id());
    // What has no caretaker, and what is no work.
    attached(&w, "customer", customer.id());
    attached(&w, "invoice", record(&w, "/api/v1/invoices").id());
    execute(&format!("update attachments set created_at = '2026-01-05 12:00+00' where id = '{}'", old.id())).unwrap();
    let hold = |from: &str, to: &str, before: &str, expected: [i64; 2]| {
        let report = w.owner.get(&format!("/reports/progress?from={from}&to={to}")).expect(200);
        let rows = report["rows"].as_array().unwrap();
        let counted = [&anna, &basia].map(|who| {
            let row = rows.iter().find(|row| row["operator_id"] == of(who)).unwrap();
            let query =
                format!("caretaker_id={}&created_at[gte]={from}T00:00:00%2B01:00&created_at[lt]={before}", who.id);
            assert_eq!(row["files"], listed(&w.owner, &query).len(), "{query}");
            row["files"].as_i64().unwrap()
        });
        assert_eq!(counted, expected);
        let sum: i64 = rows.iter().map(|row| row["files"].as_i64().unwrap()).sum();
        assert_eq!(report["totals"]["files"], sum);
        assert_eq!(sum, expected.iter().sum::<i64>());
    };
    hold("2026-01-01", "2026-01-31", "2026-02-01T00:00:00%2B01:00", [1, 0]);
    let today = crate::support::now().date_naive();
    let before = format!("{}T00:00:00Z", today + chrono::Days::new(2));
    hold(&(today - chrono::Days::new(1)).to_string(), &(today + chrono::Days::new(1)).to_string(), &before, [2, 1]);
    // They are of whoever does the work now.
    change(&w.owner, &task, json!({ "caretaker_id": of(&basia) }));
    hold("2026-01-01", "2026-01-31", "2026-02-01T00:00:00%2B01:00", [0, 1]);
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

#[test]
fn the_logo_is_an_image_that_everybody_sees() {
    // It tries the logo out; the program that does takes a while to build.
    binary();
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let operator = w.operator("operator", "none", None);
    let put = |id: Value| {
        let version = w.organization().version();
        w.owner.at(version).patch("/organization", json!({ "logo_file_id": id }))
    };
    let (first, second) = (w.file("logo.png", PNG), w.file("logo.png", PNG));
    assert_eq!(put(json!(NOBODY)).wrong(), ["/logo_file_id reference_not_found"]);
    let theirs = operator.upload("logo.png", PNG).expect(201);
    assert_eq!(put(theirs["id"].clone()).wrong(), ["/logo_file_id reference_not_found"], "unseen");
    assert_eq!(put(json!(file(&w.owner))).wrong(), ["/logo_file_id media_type"]);
    viewer.get(&format!("/files/{}", first.id())).refused(404, "not_found");
    assert_eq!(put(first["id"].clone()).expect(200)["logo_file_id"], first["id"]);
    assert_eq!(viewer.get("/organization").expect(200)["logo_file_id"], first["id"]);
    viewer.get(&format!("/files/{}", first.id())).expect(200);
    hold_together(&w);
    // Another takes its place, and it is on nothing else.
    put(second["id"].clone()).expect(200);
    assert!(!exists(&w, "files", first.id()));
    hold_together(&w);
    let task = w.task("Letterhead").create();
    attach(&operator, second.id(), "task", task.id()).expect(201);
    put(Value::Null).expect(200);
    assert!(exists(&w, "files", second.id()));
    hold_together(&w);
    let refused = execute(&format!(
        "update organizations set logo_file_id = '{}' where id = '{}'",
        attached(&w, "task", task.id())["file_id"].as_str().unwrap(),
        w.organization_id
    ));
    assert!(refused.unwrap_err().to_string().contains("a logo is an image"));
}
