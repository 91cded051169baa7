//! Signing in and out, and what a token is worth.

use crate::support::{Answer, Caller, Client, PASSWORD, SECRET, Server, World, at_once, now};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use opiekun_http::Keys;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Attempts to sign in are counted by address, so that these tests have a server, and with it a count, of their own.
fn nobody() -> Client {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(|_| {}));
    Client::nobody().on(&SERVER)
}

fn with_password(client: &Client, username: &str, password: &str) -> Answer {
    client.post("/auth/token", json!({ "grant_type": "password", "username": username, "password": password }))
}

fn refresh(token: &Value) -> Answer {
    nobody().post("/auth/token", json!({ "grant_type": "refresh_token", "refresh_token": token }))
}

/// A pair of tokens.
fn sign_in(caller: &Caller) -> Value {
    with_password(&nobody(), &caller.email, PASSWORD).expect(200).0
}

fn me(token: &Value) -> Answer {
    nobody().bearer(token.as_str().unwrap()).get("/me")
}

/// A clock that is ahead.
fn ahead(by: TimeDelta) -> Server {
    Server::start(move |settings| settings.clock = Arc::new(move || now() + by))
}

#[test]
fn a_password_gives_a_token() {
    let w = World::new();
    let answer = with_password(&nobody(), &w.owner.email, PASSWORD);
    let token = answer.expect(200);
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let me = me(&token["access_token"]).expect(200);
    assert_eq!(me["operator"]["id"], w.owner.id.to_string());
    assert_eq!(me["organization"]["id"], w.organization_id.to_string());
    assert_eq!(w.changes("sign_in.signed_in"), 2, "the world's own and this one");
}

#[test]
fn a_form_does_as_well() {
    let w = World::new();
    let form = format!(
        "grant_type=password&username={}&password={PASSWORD}&scope=crm%3Aread&client_id=opiekun&client_secret=",
        w.owner.email.replace('@', "%40")
    );
    let send =
        |body: &str| nobody().send("POST", "/auth/token", Some("application/x-www-form-urlencoded"), body.as_bytes());
    let token = send(&form).expect(200);
    let form = format!("grant_type=refresh_token&refresh_token={}", token["refresh_token"].as_str().unwrap());
    me(&send(&form).expect(200)["access_token"]).expect(200);
    send("grant_type=authorization_code&code=x").refused(422, "validation_failed");
    send("").refused(422, "validation_failed");
}

#[test]
fn the_case_of_an_address_does_not_matter() {
    let w = World::new();
    with_password(&nobody(), &w.owner.email.to_uppercase(), PASSWORD).expect(200);
    with_password(&nobody(), &w.owner.email, &PASSWORD.to_uppercase()).refused(401, "unauthenticated");
}

#[test]
fn nobody_learns_which_accounts_there_are() {
    let w = World::new();
    let gone = w.operator("operator", "none", None);
    w.owner.at(1).patch(&format!("/operators/{}", gone.id), json!({ "active": false })).expect(200);
    let keyless = json!({ "email": format!("new.{}", gone.email), "full_name": "Without", "role": "viewer" });
    let keyless = w.owner.post("/operators", keyless).expect(201);
    let refusals = [
        with_password(&nobody(), &w.owner.email, "not the password"),
        with_password(&nobody(), &format!("nobody.{}", w.owner.email), PASSWORD),
        with_password(&nobody(), &gone.email, PASSWORD),
        with_password(&nobody(), keyless["email"].as_str().unwrap(), PASSWORD),
    ];
    let told = |answer: &Answer| {
        let mut problem = answer.refused(401, "unauthenticated");
        problem["request_id"] = Value::Null;
        let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        (problem, names)
    };
    for refusal in &refusals[1..] {
        assert_eq!(told(refusal), told(&refusals[0]));
    }
}

#[test]
fn an_unknown_account_takes_as_long_as_a_wrong_password() {
    let elapsed = |username: &str| -> Duration {
        let started = Instant::now();
        with_password(&nobody(), username, "not the password").refused(401, "unauthenticated");
        started.elapsed()
    };
    // The quickest of many, until they are alike: whatever else the machine does only makes an answer slower. A check
    // that is left out for unknown accounts is never alike.
    let (mut unknown, mut known) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        let w = World::new();
        for _ in 0..3 {
            unknown = unknown.min(elapsed(&format!("nobody.{}", w.owner.email)));
            known = known.min(elapsed(&w.owner.email));
        }
        if unknown < known * 3 && known < unknown * 3 {
            return;
        }
    }
    panic!("{unknown:?} for an unknown account, {known:?} for a known one");
}

#[test]
fn a_refresh_token_is_good_once() {
    let w = World::new();
    let first = sign_in(&w.owner);
    let second = refresh(&first["refresh_token"]).expect(200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let third = refresh(&second["refresh_token"]).expect(200);
    me(&third["access_token"]).expect(200);
    me(&first["access_token"]).expect(200);

    // Whoever comes with a spent one ends the sign-in for everybody.
    refresh(&first["refresh_token"]).refused(401, "unauthenticated");
    for token in [&first["access_token"], &second["access_token"], &third["access_token"]] {
        me(token).refused(401, "unauthenticated");
    }
    refresh(&third["refresh_token"]).refused(401, "unauthenticated");
    w.owner.get("/me").expect(200);
}

#[test]
fn of_many_who_refresh_at_once_at_most_one_may_stay() {
    let w = World::new();
    let token = sign_in(&w.owner);
    let answers = at_once(8, |_| refresh(&token["refresh_token"]));
    let (given, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(given.len(), 1, "{answers:#?}");
    for answer in refused {
        answer.refused(401, "unauthenticated");
    }
    refresh(&given[0].json()["refresh_token"]).refused(401, "unauthenticated");
    me(&token["access_token"]).refused(401, "unauthenticated");
}

#[test]
fn a_refresh_token_runs_out_after_thirty_days() {
    let w = World::new();
    let token = sign_in(&w.owner);
    let body = json!({ "grant_type": "refresh_token", "refresh_token": token["refresh_token"] });
    let late = ahead(TimeDelta::days(30) + TimeDelta::minutes(1));
    nobody().on(&late).post("/auth/token", &body).refused(401, "unauthenticated");
    let early = ahead(TimeDelta::days(30) - TimeDelta::minutes(1));
    nobody().on(&early).post("/auth/token", &body).expect(200);
}

#[test]
fn an_access_token_runs_out_after_a_quarter_of_an_hour() {
    let w = World::new();
    let token = sign_in(&w.owner);
    let client = nobody().bearer(token["access_token"].as_str().unwrap());
    client.on(&ahead(TimeDelta::minutes(14))).get("/me").expect(200);
    let answer = client.on(&ahead(TimeDelta::minutes(16))).get("/me");
    answer.refused(401, "token_expired");
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"), "{answer:?}");
}

#[test]
fn signing_out_ends_the_sign_in_and_no_other() {
    let w = World::new();
    for kind in ["refresh_token", "access_token"] {
        let (ended, other) = (sign_in(&w.owner), sign_in(&w.owner));
        let body = json!({ "token": ended[kind], "token_type_hint": kind });
        assert_eq!(nobody().post("/auth/revocation", &body).status, 204);
        me(&ended["access_token"]).refused(401, "unauthenticated");
        refresh(&ended["refresh_token"]).refused(401, "unauthenticated");
        me(&other["access_token"]).expect(200);
        assert_eq!(nobody().post("/auth/revocation", &body).status, 204, "ended already");
    }
    assert_eq!(w.changes("sign_in.ended"), 2);
}

#[test]
fn a_token_that_is_none_can_be_revoked() {
    // As RFC 7009 has it: what the caller wants is so.
    assert_eq!(nobody().post("/auth/revocation", json!({ "token": "made-up" })).status, 204);
    let form = nobody().send("POST", "/auth/revocation", Some("application/x-www-form-urlencoded"), b"token=made-up");
    assert_eq!(form.status, 204);
}

#[test]
fn another_password_ends_every_sign_in() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let token = sign_in(&operator);
    let change = |current: &str, new: &str| {
        operator.put("/me/password", json!({ "current_password": current, "new_password": new }))
    };
    assert_eq!(change("not the password", "another-one-2026").wrong(), ["/current_password wrong"]);
    assert_eq!(change(PASSWORD, "short").wrong(), ["/new_password minLength"]);
    me(&token["access_token"]).expect(200);

    assert_eq!(change(PASSWORD, "another-one-2026").status, 204);
    me(&token["access_token"]).refused(401, "unauthenticated");
    refresh(&token["refresh_token"]).refused(401, "unauthenticated");
    operator.get("/me").refused(401, "unauthenticated");
    with_password(&nobody(), &operator.email, PASSWORD).refused(401, "unauthenticated");
    with_password(&nobody(), &operator.email, "another-one-2026").expect(200);
    w.owner.get("/me").expect(200);
    assert_eq!(w.changes("operator.password_changed"), 1);
}

#[test]
fn a_key_has_no_password_to_change() {
    let w = World::new();
    let body = json!({ "current_password": PASSWORD, "new_password": "another-one-2026" });
    w.api_key(&["admin:write"]).put("/me/password", body).refused(403, "forbidden");
}

#[test]
fn who_is_made_inactive_is_out_at_once() {
    let w = World::new();
    let operator = w.operator("manager", "none", None);
    let token = sign_in(&operator);
    let path = format!("/operators/{}", operator.id);
    w.owner.at(1).patch(&path, json!({ "active": false })).expect(200);
    me(&token["access_token"]).refused(401, "unauthenticated");
    refresh(&token["refresh_token"]).refused(401, "unauthenticated");
    with_password(&nobody(), &operator.email, PASSWORD).refused(401, "unauthenticated");

    // Active again, it signs in anew; what was ended stays so.
    w.owner.at(2).patch(&path, json!({ "active": true })).expect(200);
    me(&token["access_token"]).refused(401, "unauthenticated");
    with_password(&nobody(), &operator.email, PASSWORD).expect(200);
}

#[test]
fn rights_hold_from_the_next_request_on() {
    let w = World::new();
    let operator = w.operator("viewer", "none", None);
    let customer = json!({ "kind": "company", "name": "Nowa" });
    operator.post("/customers", &customer).refused(403, "scope_missing");
    w.owner.at(1).patch(&format!("/operators/{}", operator.id), json!({ "role": "operator" })).expect(200);
    operator.post("/customers", &customer).expect(201);
}

/// A token with other contents than the server gave it, signed as told.
fn forged(token: &Value, change: impl FnOnce(&mut Value, &mut Value), sign: impl FnOnce(&str) -> Vec<u8>) -> Value {
    let parts: Vec<_> = token.as_str().unwrap().split('.').collect();
    let decoded = |part: &str| serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (mut header, mut claims) = (decoded(parts[0]), decoded(parts[1]));
    change(&mut header, &mut claims);
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(&message));
    json!(format!("{message}.{signature}"))
}

fn signed_with(secret: &str) -> impl Fn(&str) -> Vec<u8> {
    move |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

#[test]
fn a_token_that_is_not_ours_is_worth_nothing() {
    let w = World::new();
    let other = w.operator("viewer", "none", None);
    let token = sign_in(&other)["access_token"].clone();
    let right = signed_with(SECRET);
    me(&forged(&token, |_, _| {}, &right)).expect(200);

    type Change<'c> = Box<dyn Fn(&mut Value, &mut Value) + 'c>;
    let changes: Vec<(&str, Change<'_>)> = vec![
        ("another algorithm", Box::new(|header, _| header["alg"] = json!("HS512"))),
        ("no algorithm", Box::new(|header, _| header["alg"] = json!("none"))),
        ("an algorithm with public keys", Box::new(|header, _| header["alg"] = json!("RS256"))),
        ("another type", Box::new(|header, _| header["typ"] = json!("JWT"))),
        ("no type", Box::new(|header, _| header["typ"] = Value::Null)),
        ("another key's name", Box::new(|header, _| header["kid"] = json!("AAAAAAAA"))),
        ("no key's name", Box::new(|header, _| header["kid"] = Value::Null)),
        ("another audience", Box::new(|_, claims| claims["aud"] = json!("somebody-else"))),
        ("no audience", Box::new(|_, claims| drop(claims.as_object_mut().unwrap().remove("aud")))),
        ("another issuer", Box::new(|_, claims| claims["iss"] = json!("somebody-else"))),
        ("no issuer", Box::new(|_, claims| drop(claims.as_object_mut().unwrap().remove("iss")))),
        ("no expiry", Box::new(|_, claims| drop(claims.as_object_mut().unwrap().remove("exp")))),
        ("no subject", Box::new(|_, claims| drop(claims.as_object_mut().unwrap().remove("sub")))),
        ("another operator in this sign-in", Box::new(|_, claims| claims["sub"] = json!(w.owner.id))),
        ("another organization", Box::new(|_, claims| claims["org"] = json!(World::new().organization_id))),
        ("another sign-in", Box::new(|_, claims| claims["sid"] = json!(w.owner.id))),
    ];
    for (what, change) in &changes {
        let answer = me(&forged(&token, change, &right));
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        answer.refused(401, "unauthenticated");
    }
    let past = forged(&token, |_, claims| claims["exp"] = json!((now() - TimeDelta::seconds(1)).timestamp()), &right);
    me(&past).refused(401, "token_expired");

    let wrong_secret = signed_with("another secret that is as long as the one of the tests");
    me(&forged(&token, |_, _| {}, wrong_secret)).refused(401, "unauthenticated");
    me(&forged(&token, |header, _| header["alg"] = json!("none"), |_| Vec::new())).refused(401, "unauthenticated");
    me(&forged(&token, |_, _| {}, |_| Vec::new())).refused(401, "unauthenticated");
    let past_and_wrong =
        forged(&token, |_, claims| claims["exp"] = json!(0), signed_with("a wrong secret, long enough to be one"));
    me(&past_and_wrong).refused(401, "unauthenticated");
    for text in ["", ".", "..", "a.b.c", "opk_", "opk__", "null", "Bearer"] {
        me(&json!(text)).refused(401, "unauthenticated");
    }
    let basic = nobody().with("Authorization", "Basic YW5uYTpoYXNsbw==");
    basic.get("/me").refused(401, "unauthenticated");
}

#[test]
fn a_secret_can_be_replaced_without_signing_anybody_out() {
    const NEXT: &str = "the secret that comes after the one of the tests";
    let with_secrets = |secrets: &[&str]| {
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Server::start(move |settings| settings.keys = Keys::new(&secrets).unwrap())
    };
    let (rotated, done) = (with_secrets(&[NEXT, SECRET]), with_secrets(&[NEXT]));
    let w = World::new();
    w.customer().create();
    w.customer().create();
    let cursor = w.owner.get("/customers?limit=1").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let path = format!("/customers?limit=1&cursor={cursor}");

    // The old one is still taken, for tokens and for cursors.
    w.owner.on(&rotated).get("/me").expect(200);
    w.owner.on(&rotated).get(&path).expect(200);
    // The new one signs.
    let token = with_password(&nobody().on(&rotated), &w.owner.email, PASSWORD).expect(200);
    let anew = nobody().bearer(token["access_token"].as_str().unwrap());
    anew.on(&rotated).get("/me").expect(200);
    anew.on(&done).get("/me").expect(200);
    anew.get("/me").refused(401, "unauthenticated");
    // Without the old one, what it signed is void. Refresh tokens and keys were never signed.
    w.owner.on(&done).get("/me").refused(401, "unauthenticated");
    anew.on(&done).get(&path).refused(400, "cursor_invalid");
    w.api_key(&["crm:read"]).on(&done).get("/customers").expect(200);
}

#[test]
fn weak_secrets_are_refused() {
    assert!(Keys::new(&[]).is_err());
    assert!(Keys::new(&["x".repeat(31)]).is_err());
    assert!(Keys::new(&["x".repeat(32), "short".to_owned()]).is_err());
    assert!(Keys::new(&["x".repeat(32)]).is_ok());
}

#[test]
fn attempts_on_one_account_are_limited() {
    let w = World::new();
    let server = Server::start(|_| {});
    let client = Client::nobody().on(&server);
    for account in [w.owner.email.clone(), format!("nobody.{}", w.owner.email)] {
        for _ in 0..10 {
            with_password(&client, &account, "not the password").refused(401, "unauthenticated");
        }
        let answer = with_password(&client, &account.to_uppercase(), PASSWORD);
        answer.refused(429, "rate_limited");
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{answer:?}");
    }
    let other = w.operator("viewer", "none", None);
    with_password(&client, &other.email, PASSWORD).expect(200);
}

#[test]
fn attempts_from_one_address_are_limited() {
    let server = Server::start(|_| {});
    let client = Client::nobody().on(&server);
    let answers = at_once(4, |thread| {
        (0..20)
            .map(|turn| with_password(&client, &format!("nobody.{thread}.{turn}@test.example"), "guess").status)
            .collect::<Vec<_>>()
    });
    let refused = answers.iter().flatten().filter(|status| **status == 429).count();
    assert!(refused >= 10, "only {refused} of 80 were over the limit of the address");
}
