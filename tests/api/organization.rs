//! The organization itself.

use crate::support::{World, binary};
use serde_json::json;

#[test]
fn an_owner_changes_it_and_everybody_sees_it() {
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let before = viewer.get("/organization").expect(200);
    assert_eq!((&before["currency"], &before["time_zone"]), (&json!("PLN"), &json!("Europe/Warsaw")));
    let change =
        json!({ "legal_name": "Nowa Nazwa sp. z o.o.", "address": { "line2": "lok. 7" }, "round_up_minutes": 15 });
    let after = w.owner.at(1).patch("/organization", change).expect(200);
    assert_eq!(after["legal_name"], "Nowa Nazwa sp. z o.o.");
    assert_eq!(after["address"]["line2"], "lok. 7");
    assert_eq!(after["address"]["city"], before["address"]["city"], "a patch is merged");
    assert_eq!(viewer.get("/organization").expect(200), after);
    assert_eq!(w.changes("organization.updated"), 1);
    let cleared = w.owner.at(2).patch("/organization", json!({ "round_up_minutes": null })).expect(200);
    assert!(cleared["round_up_minutes"].is_null());
}

#[test]
fn only_an_owner_changes_it() {
    let w = World::new();
    for role in ["viewer", "operator", "manager"] {
        let caller = w.operator(role, "write", None);
        caller.at(1).patch("/organization", json!({ "legal_name": "Mine" })).refused(403, "scope_missing");
    }
    assert_eq!(w.organization().version(), 1);
}

#[test]
fn what_cannot_be_true_is_refused() {
    let w = World::new();
    let iban = |iban: &str| json!({ "bank_accounts": [{ "iban": iban, "currency": "PLN" }] });
    for (change, wrong) in [
        (json!({ "time_zone": "Europe/Warszawa" }), "/time_zone time_zone"),
        (json!({ "tax_id": { "number": "5261040829" } }), "/tax_id/number tax_id"),
        (json!({ "currency": "XYZ" }), "/currency value"),
        (json!({ "locale": "de" }), "/locale enum"),
        (json!({ "round_up_minutes": 0 }), "/round_up_minutes minimum"),
        (json!({ "address": { "country": "Polska" } }), "/address/country pattern"),
        (json!({ "legal_name": null }), "/legal_name type"),
        (json!({ "legal_name": "" }), "/legal_name minLength"),
        (iban("PL61109010140000071219812875"), "/bank_accounts/0/iban iban"),
    ] {
        let refused = w.owner.at(1).patch("/organization", &change);
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), [wrong], "{change}");
    }
    assert_eq!(w.organization().version(), 1, "nothing has changed");
    w.owner.at(1).patch("/organization", iban("PL61109010140000071219812874")).expect(200);
}

#[test]
fn a_logo_that_is_too_large_for_invoices_is_refused() {
    let w = World::new();
    // The head of a PNG, which tells its size, and as many bytes more.
    let png = |width: u32, more: usize| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(4000_u32.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0]);
        bytes.extend(vec![0; more]);
        w.file("logo.png", &bytes)
    };
    for logo in [png(4001, 40), png(4000, 2 << 20)] {
        let refused = w.owner.at(1).patch("/organization", json!({ "logo_file_id": logo.id() }));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), ["/logo_file_id size"]);
    }
}

#[test]
fn a_logo_that_cannot_be_drawn_is_no_end_of_all_invoices() {
    // It tries the logo out; the program that does takes a while to build.
    binary();
    let w = World::new();
    let whole = include_bytes!("support/logo.png");
    for broken in [&whole[..whole.len() / 2], &whole[..40]] {
        let logo = w.file("logo.png", broken);
        let refused = w.owner.at(1).patch("/organization", json!({ "logo_file_id": logo.id() }));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), ["/logo_file_id image"]);
    }
    let logo = w.file("logo.png", whole);
    w.owner.at(1).patch("/organization", json!({ "logo_file_id": logo.id() })).expect(200);
}
