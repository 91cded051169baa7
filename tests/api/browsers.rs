//! Browsers: which pages may call, what they may read, and what is sent compressed.

use crate::support::{Client, Server, World};

const ORIGIN: &str = "https://panel.kropka.example";

fn with_origin() -> Server {
    Server::start(|settings| settings.cors_origins = vec![ORIGIN.to_owned()])
}

fn preflight(client: &Client, origin: &str) -> crate::support::Answer {
    client
        .with("Origin", origin)
        .with("Access-Control-Request-Method", "PATCH")
        .with("Access-Control-Request-Headers", "authorization, if-match, idempotency-key, content-type")
        .options("/customers")
}

#[test]
fn a_page_of_a_known_origin_may_call() {
    let (w, server) = (World::new(), with_origin());
    let asked = preflight(&Client::nobody().on(&server), ORIGIN);
    assert_eq!(asked.header("access-control-allow-origin"), Some(ORIGIN), "{asked:?}");
    let allowed = asked.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
    for name in ["authorization", "if-match", "idempotency-key", "content-type"] {
        assert!(allowed.contains(name), "{asked:?}");
    }
    assert!(asked.header("access-control-allow-methods").unwrap_or_default().contains("PATCH"), "{asked:?}");
    let answer = w.owner.on(&server).with("Origin", ORIGIN).get("/me");
    answer.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in [
        "etag",
        "link",
        "location",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "x-request-id",
        "deprecation",
        "sunset",
        "idempotency-replayed",
    ] {
        assert!(exposed.split(", ").any(|other| other == name), "{name} is not in {exposed}");
    }
}

#[test]
fn a_page_of_another_origin_may_not() {
    let (w, server) = (World::new(), with_origin());
    for origin in
        ["https://evil.example", "https://panel.kropka.example.evil.example", "http://panel.kropka.example", "null"]
    {
        let asked = preflight(&Client::nobody().on(&server), origin);
        assert_eq!(asked.header("access-control-allow-origin"), None, "{origin}: {asked:?}");
        let answer = w.owner.on(&server).with("Origin", origin).get("/me");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}: {answer:?}");
    }
}

#[test]
fn no_page_may_unless_told() {
    let w = World::new();
    let answer = w.owner.with("Origin", ORIGIN).get("/me");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    assert_eq!(preflight(&Client::nobody(), ORIGIN).header("access-control-allow-origin"), None);
}

#[test]
fn long_answers_are_compressed_and_short_and_secret_ones_are_not() {
    let w = World::new();
    for _ in 0..5 {
        w.customer().create();
    }
    for encoding in ["gzip", "br", "zstd"] {
        let client = w.owner.with("Accept-Encoding", encoding);
        let long = client.get("/customers");
        assert_eq!((long.status, long.header("content-encoding")), (200, Some(encoding)), "{:?}", long.headers);
        assert!(long.header("vary").unwrap().contains("Accept-Encoding"));
        let short = client.get("/customers?limit=1&fields=id");
        assert_eq!(short.header("content-encoding"), None, "{short:?}");
        short.expect(200);
    }
    let grant = serde_json::json!({ "grant_type": "password", "username": w.owner.email, "password": crate::support::PASSWORD });
    let token = Client::nobody().with("Accept-Encoding", "gzip").post("/auth/token", grant);
    assert_eq!(token.header("content-encoding"), None, "{token:?}");
    token.expect(200);
}
