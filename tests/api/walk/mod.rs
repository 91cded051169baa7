//! Walks: what every operation of the contract must do, asked of every operation of the contract.
//!
//! They read the operations from the document that the server publishes, so that a new one is walked by itself.

mod access;
mod authority;
mod hostile;
mod lists;
mod preconditions;
mod repeats;
mod wire;

use crate::support::Answer;

/// What holds for every answer, whatever it says.
#[track_caller]
fn hold(answer: &Answer) {
    for (name, expected) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        assert_eq!(answer.header(name), Some(expected), "{name}: {answer:?}");
    }
    // What is sent as it was uploaded is put in a sandbox on top.
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; frame-ancestors 'none'"), "{answer:?}");
    let vary = answer.header("vary").unwrap_or_default();
    for name in ["Accept", "Accept-Language", "Authorization", "Origin"] {
        assert!(vary.split(", ").any(|varied| varied == name), "Vary lacks {name}: {answer:?}");
    }
    let cache = answer.header("cache-control").unwrap_or_default();
    assert!(["private, no-cache", "no-store"].contains(&cache), "Cache-Control: {answer:?}");
    assert!(answer.header("strict-transport-security").is_some(), "{answer:?}");
    assert!(answer.header("server").is_none(), "{answer:?}");
    for name in ["ratelimit", "ratelimit-policy"] {
        assert!(answer.header(name).is_some_and(|value| value.starts_with("\"default\";")), "{name}: {answer:?}");
    }
    let request_id = answer.header("x-request-id").unwrap_or_default();
    assert!(uuid::Uuid::try_parse(request_id).is_ok(), "X-Request-Id: {answer:?}");
    if answer.status >= 400 {
        answer.problem();
    }
}
