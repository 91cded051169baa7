//! Who reads a file: whoever sent it, and who may read a record that it is on. For everybody else there is none.

use super::Office;
use crate::support::{Caller, Record, World};
use serde_json::json;

const TEXT: &[u8] = b"VAT-7, October";

fn sees(caller: &Caller, file: &Record) -> bool {
    let list = caller.get("/files?limit=200").expect(200).items();
    let is_listed = list.iter().any(|it| it.id() == file.id());
    for path in [format!("/files/{}", file.id()), format!("/files/{}/content", file.id())] {
        let answer = caller.get(&path);
        assert_eq!(answer.status, if is_listed { 200 } else { 404 }, "{answer:?}");
        if !is_listed {
            answer.refused(404, "not_found");
        }
    }
    is_listed
}

#[test]
fn a_file_follows_the_records_that_it_is_on() {
    let w = Office::in_folder();
    let sender = w.operator("operator", "none", None);
    let file = sender.upload("a.txt", TEXT).expect(201);
    let colleague = w.operator("viewer", "none", None);
    let accountant = w.api_key(&["billing:read"]);
    let gardener = w.api_key(&["knowledge:read", "admin:read"]);
    let stranger = World::new().owner;
    let who = |area: &str, count| {
        w.put_on(&file, area, count);
        let callers = [&sender, &w.world.owner, &colleague, &accountant, &gardener, &stranger];
        callers.map(|caller| sees(caller, &file))
    };
    assert_eq!(who("crm", 0), [true, false, false, false, false, false]);
    assert_eq!(who("crm", 1), [true, true, true, false, false, false]);
    assert_eq!(who("billing", 1), [true, true, true, true, false, false]);
    assert_eq!(who("crm", 0), [true, true, false, true, false, false]);
    assert_eq!(who("billing", 0), [true, false, false, false, false, false]);
    assert_eq!(who("logo", 1), [true, true, true, true, true, false]);
}

#[test]
fn a_script_reads_what_it_sent() {
    let w = World::new();
    let (script, another) = (w.api_key(&["crm:write"]), w.api_key(&["crm:write"]));
    let file = script.upload("a.txt", TEXT).expect(201);
    assert_eq!((&file["registered_by_id"], &file["registered_by_key_id"]), (&json!(null), &json!(script.id)));
    assert!(sees(&script, &file) && !sees(&another, &file));
    script.at(1).patch(&format!("/files/{}", file.id()), json!({ "name": "b.txt" })).expect(200);
    script.at(2).delete(&format!("/files/{}", file.id())).expect(204);
}

#[test]
fn who_only_reads_sends_nothing() {
    let w = World::new();
    for caller in [w.operator("viewer", "read", None), w.api_key(&["crm:read", "reports:read", "integrations:write"])] {
        caller.upload("a.txt", TEXT).refused(403, "scope_missing");
    }
    w.operator("viewer", "write", None).upload("a.txt", TEXT).expect(201);
    assert_eq!(w.count("file_objects"), 1);
}

#[test]
fn whoever_sent_it_changes_it_and_those_above() {
    let w = Office::in_folder();
    let manager = w.operator("manager", "none", None);
    let sender = w.operator("operator", "none", Some(&manager));
    let colleague = w.operator("operator", "none", Some(&manager));
    let file = sender.upload("a.txt", TEXT).expect(201);
    let path = format!("/files/{}", file.id());
    manager.at(1).patch(&path, json!({ "name": "b.txt" })).refused(404, "not_found");
    w.put_on(&file, "crm", 1);
    colleague.at(1).patch(&path, json!({ "name": "b.txt" })).refused(403, "forbidden");
    colleague.at(1).delete(&path).refused(403, "forbidden");
    let renamed = manager.at(1).patch(&path, json!({ "name": "b.txt" })).expect(200);
    assert_eq!((&renamed["name"], renamed.version(), &renamed["sha256"]), (&json!("b.txt"), 2, &file["sha256"]));
    for (name, code) in [("a/b", "path"), ("..", "minLength"), ("a\u{200b}", "control_character")] {
        let answer = sender.at(2).patch(&path, json!({ "name": name }));
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [format!("/name {code}")], "{answer:?}");
    }
    w.put_on(&file, "crm", 0);
    sender.at(2).delete(&path).expect(204);
}

#[test]
fn files_are_found_by_content_type_and_sender() {
    let w = World::new();
    let colleague = w.operator("operator", "none", None);
    let mine = w.file("a.txt", TEXT);
    let table = w.file("a.csv", b"a,b\n1,2\n");
    colleague.upload("c.txt", TEXT).expect(201);
    let found = |query: &str| -> Vec<String> {
        let items = w.owner.get(&format!("/files?{query}")).expect(200).items();
        items.iter().map(|file| file.id().to_owned()).collect()
    };
    assert_eq!(found(&format!("sha256={}", mine["sha256"].as_str().unwrap())), [mine.id()]);
    assert_eq!(found("media_type=text/csv"), [table.id()]);
    assert_eq!(found(&format!("registered_by_id={}", w.owner.id)), [table.id(), mine.id()]);
    assert_eq!(found("sort=created_at"), [mine.id(), table.id()]);
    assert_eq!(found("created_at[lt]=2020-01-01T00:00:00Z"), Vec::<String>::new());
    w.owner.get("/files?sha256=ABC").refused(400, "parameter_invalid");
}
