//! How often a caller may ask.

use crate::support::{Answer, Client, Server, World};

fn few() -> Server {
    Server::start(|settings| settings.requests_a_minute = 5.try_into().unwrap())
}

/// What is left, as the answer tells it.
fn left(answer: &Answer) -> u32 {
    let value = answer.header("ratelimit").unwrap_or_else(|| panic!("no RateLimit: {answer:?}"));
    let rest = value.strip_prefix("\"default\";r=").unwrap_or_else(|| panic!("{value}"));
    rest.split_once(";t=").unwrap().0.parse().unwrap()
}

#[test]
fn an_answer_tells_what_is_left_and_the_last_one_when_to_come_again() {
    let (w, server) = (World::new(), few());
    let owner = w.owner.on(&server);
    for expected in (0..5).rev() {
        let answer = owner.get("/me");
        answer.expect(200);
        assert_eq!(left(&answer), expected, "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=5;w=60"));
    }
    let over = owner.get("/me");
    over.refused(429, "rate_limited");
    assert_eq!(left(&over), 0);
    let wait: u32 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{over:?}");
    // Others have quotas of their own, at the same address.
    w.operator("viewer", "none", None).on(&server).get("/me").expect(200);
    w.api_key(&["crm:read"]).on(&server).get("/me").expect(200);
}

#[test]
fn refusals_count_too() {
    let (w, server) = (World::new(), few());
    let owner = w.owner.on(&server);
    for expected in (0..5).rev() {
        let answer = owner.get("/customers?limit=0");
        answer.refused(400, "parameter_invalid");
        assert_eq!(left(&answer), expected);
    }
    owner.get("/customers").refused(429, "rate_limited");
}

#[test]
fn those_whom_nobody_knows_share_the_quota_of_their_address() {
    let (w, server) = (World::new(), few());
    let nobody = Client::nobody().on(&server);
    for guess in 0..5 {
        nobody.bearer(&format!("opk_guess_{guess}")).get("/me").refused(401, "unauthenticated");
    }
    nobody.bearer("opk_guess_6").get("/me").refused(429, "rate_limited");
    w.owner.on(&server).get("/me").expect(200);
}

#[test]
fn looking_around_counts_too() {
    let server = few();
    let nobody = Client::nobody().on(&server);
    for path in ["/nothing", "/no/thing", "/.env", "/customers/"] {
        nobody.get(path).refused(404, "not_found");
    }
    nobody.delete("/customers").refused(405, "method_not_allowed");
    nobody.get("/nothing").refused(429, "rate_limited");
}

#[test]
fn those_over_the_limit_change_nothing() {
    let (w, server) = (World::new(), few());
    let owner = w.owner.on(&server);
    let made = (0..10).filter(|turn| {
        let body = serde_json::json!({ "kind": "company", "name": format!("{turn}") });
        owner.post("/customers", body).status == 201
    });
    assert_eq!(made.count(), 5);
    assert_eq!(w.count("customers"), 5);
}
