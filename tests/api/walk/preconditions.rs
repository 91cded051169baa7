//! Versions: a change says which version it is meant for, and a reader which one it has.

use super::hold;
use crate::support::World;
use crate::support::fixtures::prepared;
use crate::support::operations::each;

#[test]
fn a_change_without_a_version_is_refused() {
    let w = World::new();
    each(
        |operation| operation.has("If-Match"),
        |operation| {
            let mut request = prepared(&w, operation);
            request.client = request.client.without("If-Match");
            let answer = request.send();
            hold(&answer);
            answer.refused(428, "precondition_required");
        },
    );
}

#[test]
fn a_change_of_another_version_is_refused_with_the_current_one() {
    each(
        |operation| operation.has("If-Match"),
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let tag = request.client.sent("If-Match").unwrap().to_owned();
            let version: i64 = tag.trim_matches('"').parse().unwrap();
            for other in [version + 1, version - 1, 2_147_483_647] {
                let mut stale = request.clone();
                stale.client = stale.client.at(other);
                let answer = stale.send();
                hold(&answer);
                assert_eq!(answer.refused(412, "precondition_failed")["current_etag"], tag, "{answer:?}");
            }
            assert_eq!(request.send().status / 100, 2, "nothing has changed by that");
            let again = request.send();
            assert!([404, 409, 412].contains(&again.status), "the version was taken twice: {again:?}");
        },
    );
}

#[test]
fn of_many_changes_of_one_version_one_happens() {
    each(
        |operation| operation.has("If-Match") && operation.method == "PATCH",
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let answers = crate::support::at_once(8, |_| request.send());
            assert!(answers.iter().all(|answer| [200, 412].contains(&answer.status)), "{answers:#?}");
            assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:#?}");
        },
    );
}

#[test]
fn a_version_that_is_none_is_refused() {
    let w = World::new();
    each(
        |operation| operation.has("If-Match"),
        |operation| {
            let request = prepared(&w, operation);
            for tag in ["7", "W/\"7\"", "\"seven\"", "\"1\", \"2\"", "\"-1\"", "\"99999999999\"", "\"\""] {
                let mut odd = request.clone();
                odd.client = odd.client.with("If-Match", tag);
                let answer = odd.send();
                hold(&answer);
                answer.refused(400, "parameter_invalid");
                assert_eq!(answer.wrong(), ["If-Match pattern"], "{tag}: {answer:?}");
            }
        },
    );
}

#[test]
fn any_version_is_taken_where_the_caller_says_so() {
    each(
        |operation| operation.has("If-Match"),
        |operation| {
            let w = World::new();
            let mut request = prepared(&w, operation);
            request.client = request.client.with("If-Match", "*");
            let answer = request.send();
            assert_eq!(answer.status / 100, 2, "{answer:?}");
        },
    );
}

#[test]
fn a_change_answers_with_the_next_version() {
    each(
        |operation| operation.has("If-Match") && operation.method == "PATCH",
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let seen: i64 = request.client.sent("If-Match").unwrap().trim_matches('"').parse().unwrap();
            let answer = request.send();
            let record = answer.expect(200);
            assert_eq!(record.version(), seen + 1, "{answer:?}");
            assert_eq!(answer.header("etag"), Some(&*format!("\"{}\"", record.version())), "{answer:?}");
            assert_eq!(w.owner.get(&request.path).expect(200).0, record.0, "what is read is what was answered");
        },
    );
}

#[test]
fn a_reader_who_has_the_version_is_spared_it() {
    let w = World::new();
    each(
        // What is no JSON has a tag of its own kind, and tests of its own.
        |operation| {
            operation.method == "GET"
                && operation.has("If-None-Match")
                && operation.produces().contains(&"application/json")
        },
        |operation| {
            let mut request = prepared(&w, operation);
            let whole = request.send();
            let tag = whole.header("etag").unwrap_or_else(|| panic!("no ETag: {whole:?}")).to_owned();
            assert_eq!(tag, format!("\"{}\"", whole.expect(200).version()), "{whole:?}");
            let client = request.client.clone();
            for known in [tag.clone(), format!("W/{tag}"), format!("\"77777\", {tag}"), "*".to_owned()] {
                request.client = client.with("If-None-Match", &known);
                let answer = request.send();
                assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}: {answer:?}");
                assert_eq!(answer.header("etag"), Some(&*tag), "{answer:?}");
                hold(&answer);
            }
            request.client = client.with("If-None-Match", "\"77777\"");
            assert_eq!(request.send().json(), whole.json());
        },
    );
}
