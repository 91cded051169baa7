//! Lists: pages that miss nothing, and every parameter that is published is taken.

use super::hold;
use crate::support::fixtures::{prepared, record, sample};
use crate::support::operations::{Operation, each, resolved};
use crate::support::{Record, World};
use serde_json::{Value, json};

/// All records of a list, page by page.
fn followed(w: &World, path: &str, query: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut next = format!("{path}?limit=2{query}");
    loop {
        let answer = w.owner.get(&next);
        hold(&answer);
        let page = answer.expect(200);
        records.extend(page.items());
        assert!(records.len() < 1000, "the pages have no end");
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(answer.header("link"), None, "{answer:?}");
            return records;
        };
        assert_eq!(page.items().len(), 2, "only the last page is not full");
        next = format!("{path}?limit=2{query}&cursor={cursor}");
        let link = answer.header("link").unwrap_or_else(|| panic!("no Link: {answer:?}"));
        let (target, relation) = link.split_once("; ").unwrap();
        assert_eq!(relation, "rel=\"next\"");
        let target = target.trim_start_matches('<').trim_end_matches('>');
        assert!(target.starts_with(path) && target.contains("cursor="), "{link}");
        assert_eq!(w.owner.get(target).json(), w.owner.get(&next).json(), "the link leads where the cursor does");
    }
}

/// The path of a list in a world where it has some records.
fn filled(w: &World, operation: &Operation) -> String {
    let path = prepared(w, operation).path;
    if !operation.path.contains("{id}") && crate::support::fixtures::collections().contains(&operation.path.as_str()) {
        for _ in 0..5 {
            record(w, &operation.path);
        }
    }
    path
}

#[test]
fn pages_hold_every_record_once_in_each_order() {
    each(
        |operation| operation.is_list(),
        |operation| {
            let w = World::new();
            let path = filled(&w, operation);
            let sort = operation.query().find(|parameter| parameter["name"] == "sort").unwrap();
            let orders =
                resolved(&sort["schema"])["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            for query in orders.map(|order| format!("&sort={order}")).chain([String::new()]) {
                let whole = w.owner.get(&format!("{path}?limit=200&count=exact{query}")).expect(200);
                assert!(whole["next_cursor"].is_null());
                assert_eq!(whole["total_count"], whole.items().len());
                let paged = followed(&w, &path, &query);
                assert_eq!(paged, whole.items(), "{query}");
            }
        },
    );
}

#[test]
fn an_order_and_its_reverse_mirror_each_other() {
    each(
        |operation| operation.is_list(),
        |operation| {
            let w = World::new();
            let path = filled(&w, operation);
            let sort = operation.query().find(|parameter| parameter["name"] == "sort").unwrap();
            for order in resolved(&sort["schema"])["enum"].as_array().unwrap() {
                let order = order.as_str().unwrap();
                if order.starts_with('-') {
                    continue;
                }
                let up = w.owner.get(&format!("{path}?limit=200&sort={order}")).expect(200).items();
                let mut down = w.owner.get(&format!("{path}?limit=200&sort=-{order}")).expect(200).items();
                down.reverse();
                assert_eq!(up, down, "{order}");
            }
        },
    );
}

#[test]
fn every_parameter_that_is_published_is_taken() {
    let w = World::new();
    each(
        // What a parameter changes of a write is for the tests of that write.
        |operation| operation.method == "GET" && operation.query().next().is_some(),
        |operation| {
            let request = prepared(&w, operation);
            let required: Vec<_> =
                request.path.split_once('?').into_iter().flat_map(|(_, query)| query.split('&')).collect();
            let mut other = false;
            for parameter in operation.query() {
                let name = parameter["name"].as_str().unwrap();
                if name == "cursor" {
                    continue;
                }
                let mut query: Vec<_> = required
                    .iter()
                    .filter(|pair| pair.split('=').next() != Some(name))
                    .map(|&pair| pair.to_owned())
                    .collect();
                let schema = resolved(&parameter["schema"]);
                let words = schema["enum"].as_array().or(schema["items"]["enum"].as_array());
                let values = match words {
                    Some(words) => words.iter().map(|word| word.as_str().unwrap().to_owned()).collect(),
                    None => vec![sample(&w, parameter)],
                };
                for value in values {
                    query.push(format!("{name}={value}"));
                    let answer = request.with_query(&query.join("&")).send();
                    hold(&answer);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    query.pop();
                    other = true;
                }
            }
            assert!(other);
        },
    );
}

#[test]
fn bounds_of_a_page_are_kept() {
    let w = World::new();
    each(
        |operation| operation.is_list(),
        |operation| {
            let request = prepared(&w, operation);
            for (query, wrong) in [
                ("limit=201", "limit maximum"),
                ("limit=0", "limit minimum"),
                ("limit=-1", "limit minimum"),
                ("limit=many", "limit type"),
                ("limit=", "limit type"),
                ("limit=1&limit=2", "limit repeated"),
                ("sort=no_such_column", "sort enum"),
                ("count=about", "count enum"),
                ("fields=no_such_field", "fields enum"),
            ] {
                let answer = request.with_query(query).send();
                hold(&answer);
                answer.refused(400, "parameter_invalid");
                assert_eq!(answer.wrong(), [wrong], "{answer:?}");
            }
        },
    );
}

#[test]
fn a_cursor_is_good_for_its_own_list_only() {
    each(
        |operation| operation.is_list(),
        |operation| {
            let (w, stranger) = (World::new(), World::new());
            let path = filled(&w, operation);
            let page = w.owner.get(&format!("{path}?limit=1")).expect(200);
            for made_up in ["x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "eyJrIjoiMDE5MmYwYzEifQ"] {
                w.owner.get(&format!("{path}?cursor={made_up}")).refused(400, "cursor_invalid");
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                // A list with a single record has none to try.
                return;
            };
            w.owner.get(&format!("{path}?limit=1&cursor={cursor}")).expect(200);
            let order = operation.query().find(|parameter| parameter["name"] == "sort").unwrap();
            for word in resolved(&order["schema"])["enum"].as_array().unwrap() {
                let path = format!("{path}?sort={}&cursor={cursor}", word.as_str().unwrap());
                w.owner.get(&path).refused(400, "cursor_invalid");
            }
            if !operation.path.contains("{id}") {
                stranger.owner.get(&format!("{path}?limit=1&cursor={cursor}")).refused(400, "cursor_invalid");
            }
            let mut broken = cursor.to_owned().into_bytes();
            broken[3] = if broken[3] == b'A' { b'B' } else { b'A' };
            let broken = String::from_utf8(broken).unwrap();
            w.owner.get(&format!("{path}?limit=1&cursor={broken}")).refused(400, "cursor_invalid");
        },
    );
}

#[test]
fn fields_are_those_that_were_asked_for() {
    each(
        |operation| operation.method == "GET" && operation.has("fields"),
        |operation| {
            let w = World::new();
            let path = if operation.is_list() { filled(&w, operation) } else { prepared(&w, operation).path };
            let fields = operation.query().find(|parameter| parameter["name"] == "fields").unwrap();
            let names: Vec<_> = resolved(&fields["schema"])["items"]["enum"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            let whole = records(&w.owner.get(&path).expect(200), operation);
            for name in &names {
                let cut = records(&w.owner.get(&asked(&path, "fields", name)).expect(200), operation);
                assert_eq!(cut.len(), whole.len());
                for (cut, whole) in cut.iter().zip(&whole) {
                    let mut expected = json!({ "id": whole["id"] });
                    expected[*name] = whole[*name].clone();
                    assert_eq!(cut, &expected, "{name}");
                }
            }
            for record in &whole {
                let shown: Vec<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
                assert!(shown.iter().all(|name| names.contains(name)), "{shown:?} are shown, {names:?} published");
            }
        },
    );
}

/// With one parameter more.
fn asked(path: &str, name: &str, value: &str) -> String {
    format!("{path}{}{name}={value}", if path.contains('?') { '&' } else { '?' })
}

fn records(answer: &Record, operation: &Operation) -> Vec<Value> {
    if operation.is_list() {
        return answer.items().into_iter().map(Value::from).collect();
    }
    if answer["entries"].is_array() {
        return answer.entries().into_iter().map(Value::from).collect();
    }
    vec![answer.0.clone()]
}

#[test]
fn an_expansion_puts_the_record_beside_its_id() {
    each(
        |operation| operation.has("expand"),
        |operation| {
            let w = World::new();
            let path = if operation.is_list() { filled(&w, operation) } else { prepared(&w, operation).path };
            let expand = operation.query().find(|parameter| parameter["name"] == "expand").unwrap();
            for word in resolved(&expand["schema"])["items"]["enum"].as_array().unwrap() {
                let word = word.as_str().unwrap();
                for record in records(&w.owner.get(&asked(&path, "expand", word)).expect(200), operation) {
                    let mut here = &record;
                    for step in word.split('.') {
                        let id = &here[format!("{step}_id")];
                        assert_eq!(id.is_null(), here[step].is_null(), "{word}: {record}");
                        if id.is_null() {
                            break;
                        }
                        assert_eq!(&here[step]["id"], id, "{word}: {record}");
                        here = &here[step];
                    }
                }
            }
        },
    );
}
