//! Who may: nobody, the wrong scope, another organization.

use super::hold;
use crate::support::fixtures::{path, prepared};
use crate::support::operations::{each, leaves};
use crate::support::{Caller, Client, World};
use opiekun_domain::permission::Permission;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

#[test]
fn each_operation_works_as_its_example_shows() {
    each(
        |_| true,
        |operation| {
            let w = World::new();
            let answer = prepared(&w, operation).send();
            hold(&answer);
            assert!((200..300).contains(&answer.status), "{answer:?}");
            let published = &operation.value["responses"][answer.status.to_string()];
            assert!(published.is_object(), "the contract lacks the status: {answer:?}");
            match answer.header("content-type") {
                None => assert!(answer.body.is_empty() && published["content"].is_null(), "{answer:?}"),
                Some(media_type) => {
                    let media_type = media_type.split(';').next().unwrap();
                    let media_type = if operation.answers_bytes() { "*/*" } else { media_type };
                    let schema = &published["content"][media_type]["schema"];
                    assert!(schema.is_object(), "the contract lacks {media_type}: {answer:?}");
                    if media_type == "application/json" {
                        let body = answer.json();
                        let wrong: Vec<_> = crate::support::operations::validator(schema)
                            .iter_errors(&body)
                            .map(|error| format!("{}: {error}", error.instance_path()))
                            .collect();
                        assert!(wrong.is_empty(), "not as published: {wrong:#?}\n{answer:?}");
                    }
                }
            }
        },
    );
}

#[test]
fn nobody_is_told_to_sign_in() {
    let w = World::new();
    each(
        |operation| operation.secured,
        |operation| {
            let request = prepared(&w, operation);
            let answer = request.by(&Client::nobody()).send();
            hold(&answer);
            answer.refused(401, "unauthenticated");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{answer:?}");

            let forged = Client::nobody().bearer("opk_0192f0c17a107cc19d5e0f3b8a61c2aa_made-up");
            assert_eq!(request.by(&forged).send().refused(401, "unauthenticated")["detail"], answer.json()["detail"]);
        },
    );
}

#[test]
fn the_scope_that_is_published_is_the_one_that_is_required() {
    let w = World::new();
    let keys_for = |with: bool| -> BTreeMap<&str, Caller> {
        let words = || Permission::ALL.iter().map(|permission| permission.as_str());
        let scopes = |word| words().filter(|other| (*other == word) == with).collect::<Vec<_>>();
        words().map(|word| (word, w.api_key(&scopes(word)))).collect()
    };
    let (only, all_but) = (keys_for(true), keys_for(false));
    each(
        |operation| operation.scope.is_some(),
        |operation| {
            // Two with a space between are needed both.
            let scopes: Vec<&str> = operation.scope.as_deref().unwrap().split(' ').collect();
            let request = prepared(&w, operation);
            for scope in &scopes {
                let answer = request.by(&all_but[scope]).send();
                hold(&answer);
                assert_eq!(answer.refused(403, "scope_missing")["scope"], *scope, "{answer:?}");
            }
            let answer = match scopes[..] {
                [scope] => request.by(&only[scope]).send(),
                _ => request.by(&w.api_key(&scopes)).send(),
            };
            assert_ne!(answer.status, 403, "the scope alone is not enough: {answer:?}");
        },
    );
}

#[test]
fn operations_without_a_scope_take_every_caller() {
    let w = World::new();
    each(
        |operation| {
            let is_free = operation.scope.is_none() && operation.scopes.is_empty();
            operation.secured && is_free && !operation.has_object_rights()
        },
        |operation| {
            // A new one each time: whoever changes its password signs in again.
            let viewer = w.operator("viewer", "none", None);
            let answer = prepared(&w, operation).by(&viewer).send();
            assert!((200..300).contains(&answer.status), "{answer:?}");
        },
    );
}

#[test]
fn a_record_with_rights_of_its_own_is_not_there_for_others() {
    let w = World::new();
    let others = [w.operator("manager", "write", None), w.api_key(&["crm:read", "billing:read", "admin:read"])];
    each(
        |operation| operation.has_object_rights(),
        |operation| {
            let request = prepared(&w, operation);
            for other in &others {
                let answer = request.by(other).send();
                hold(&answer);
                answer.refused(404, "not_found");
            }
            assert_eq!(request.send().status, 200, "it is there for its own");
        },
    );
}

#[test]
fn of_several_scopes_one_is_enough_and_one_is_needed() {
    let w = World::new();
    each(
        |operation| !operation.scopes.is_empty(),
        |operation| {
            let words = Permission::ALL.iter().map(|permission| permission.as_str());
            let others: Vec<_> = words.filter(|word| !operation.scopes.iter().any(|scope| scope == word)).collect();
            let request = prepared(&w, operation);
            let answer = request.by(&w.api_key(&others)).send();
            hold(&answer);
            assert_eq!(answer.refused(403, "scope_missing")["scope"], operation.scopes.join(" "), "{answer:?}");
            for scope in &operation.scopes {
                let answer = request.by(&w.api_key(&[scope])).send();
                assert_ne!(answer.status, 403, "{scope} alone is not enough: {answer:?}");
            }
        },
    );
}

#[test]
fn the_records_of_others_are_not_there() {
    let (w, stranger) = (World::new(), World::new());
    each(
        |operation| operation.path.contains("{id}"),
        |operation| {
            let request = prepared(&w, operation);
            let theirs = request.by(&stranger.owner).send();
            hold(&theirs);
            theirs.refused(404, "not_found");
            let nowhere = path(operation, Some(&Uuid::now_v7().to_string()));
            let nowhere = request.by(&stranger.owner).with_path(&nowhere).anew();
            assert_eq!(told(&theirs.json()), told(&nowhere.send().refused(404, "not_found")));
            assert_eq!(request.send().status / 100, 2, "it is there for its own");
        },
    );
}

/// A problem without what differs from request to request.
fn told(problem: &Value) -> Value {
    let mut problem = problem.clone();
    for member in ["request_id", "instance"] {
        problem.as_object_mut().unwrap().remove(member);
    }
    problem
}

fn names_records(example: &Value) -> bool {
    let is_id = |value: &Value| value.as_str().is_some_and(|text| Uuid::try_parse(text).is_ok());
    leaves(example).iter().any(|(pointer, value)| pointer.ends_with("_id") && is_id(value))
}

#[test]
fn references_to_records_of_others_lead_nowhere() {
    let (w, stranger) = (World::new(), World::new());
    each(
        |operation| {
            operation.secured && operation.bodies().iter().any(|(_, content)| names_records(&content["example"]))
        },
        |operation| {
            let mut theirs = prepared(&stranger, operation);
            theirs.path = prepared(&w, operation).path;
            let answer = theirs.by(&w.owner).send();
            hold(&answer);
            answer.refused(422, "reference_not_found");
        },
    );
}
