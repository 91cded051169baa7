//! `/hourly-rates`: what an hour costs, for whom, from which day on.

use crate::support::World;
use serde_json::{Value, json};

#[test]
fn a_rate_is_a_customers_an_operators_or_the_organizations() {
    let w = World::new();
    let customer = w.customer().create();
    let operator = w.operator("operator", "none", None);
    let ours = w.hourly_rate("80", "2026-01-01").create();
    assert_eq!((&ours["amount"], &ours["currency"]), (&json!("80.00"), &json!("PLN")));
    assert_eq!((&ours["customer_id"], &ours["operator_id"]), (&Value::Null, &Value::Null));
    let of_customer = w.hourly_rate("150.00", "2026-01-01").with("customer_id", customer.id()).create();
    let of_operator = w.hourly_rate("90.00", "2026-02-01").with("operator_id", operator.id.to_string()).create();
    let both = w
        .hourly_rate("1", "2026-01-01")
        .with("customer_id", customer.id())
        .with("operator_id", operator.id.to_string());
    assert_eq!(both.send().wrong(), ["/operator_id exclusive"]);

    let list = |query: &str| {
        let page = w.owner.get(&format!("/hourly-rates?{query}")).expect(200);
        page.items().iter().map(|rate| rate.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("holder=organization"), [ours.id()]);
    assert_eq!(list("holder=customer"), [of_customer.id()]);
    assert_eq!(list("holder=operator"), [of_operator.id()]);
    assert_eq!(list(&format!("customer_id={}", customer.id())), [of_customer.id()]);
    assert_eq!(list(&format!("operator_id={}", operator.id)), [of_operator.id()]);
    assert_eq!(list(&format!("customer_id={}", operator.id)), [""; 0], "no customer has an operator's id");
    assert_eq!(list("valid_from_on[gte]=2026-01-02"), [of_operator.id()]);
    assert_eq!(list("")[0], of_operator.id(), "the latest first");
    assert_eq!(w.owner.get(&format!("/hourly-rates/{}", ours.id())).expect(200), ours);
}

#[test]
fn a_holder_has_one_rate_a_day_in_the_organizations_currency() {
    let w = World::new();
    let customer = w.customer().create();
    w.hourly_rate("80.00", "2026-01-01").create();
    let again = w.hourly_rate("90.00", "2026-01-01").send();
    again.refused(409, "duplicate");
    assert_eq!(again.wrong(), ["/valid_from_on duplicate"]);
    w.hourly_rate("90.00", "2026-01-01").with("customer_id", customer.id()).create();
    let foreign = w.hourly_rate("90.00", "2026-03-01").with("currency", "EUR").send();
    assert_eq!(foreign.wrong(), ["/currency currency"]);
    for amount in ["-1.00", "1.001", "1e3", "123456789"] {
        w.hourly_rate(amount, "2026-04-01").send().refused(422, "validation_failed");
    }
    let nobody = w.hourly_rate("1", "2026-01-01").with("customer_id", "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa").send();
    assert_eq!(nobody.wrong(), ["/customer_id reference_not_found"]);
    assert_eq!(w.count("hourly_rates"), 2);
}

#[test]
fn amount_and_day_change_but_not_whose_it_is() {
    let w = World::new();
    let customer = w.customer().create();
    let rate = w.hourly_rate("80.00", "2026-01-01").create();
    let path = format!("/hourly-rates/{}", rate.id());
    let changed = w.owner.at(1).patch(&path, json!({ "amount": "85.50", "valid_from_on": "2026-02-01" })).expect(200);
    assert_eq!((&changed["amount"], &changed["valid_from_on"]), (&json!("85.50"), &json!("2026-02-01")));
    let given_away = w.owner.at(2).patch(&path, json!({ "customer_id": customer.id() }));
    assert_eq!(given_away.wrong(), ["/customer_id fixed"]);
    w.owner.delete(&path).refused(428, "precondition_required");
    w.owner.at(1).delete(&path).refused(412, "precondition_failed");
    assert_eq!(w.owner.at(2).delete(&path).status, 204);
    w.owner.get(&path).refused(404, "not_found");
    assert_eq!(w.changes("hourly_rate.deleted"), 1);
}

#[test]
fn nobody_sets_its_own_price() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let customer = w.customer().by(&below).create();
    let of = |operator: &crate::support::Caller| {
        w.hourly_rate("90.00", "2026-01-01").with("operator_id", operator.id.to_string())
    };

    of(&below).by(&below).send().refused(403, "forbidden");
    of(&manager).by(&manager).send().refused(403, "forbidden");
    let rate = of(&below).by(&manager).create();
    of(&manager).by(&w.owner).create();
    below.at(1).patch(&format!("/hourly-rates/{}", rate.id()), json!({ "amount": "900" })).refused(403, "forbidden");
    below.at(1).delete(&format!("/hourly-rates/{}", rate.id())).refused(403, "forbidden");

    w.hourly_rate("70.00", "2026-01-01").by(&manager).send().refused(403, "forbidden");
    let stranger = w.operator("operator", "none", None);
    let for_customer = w.hourly_rate("200.00", "2026-01-01").with("customer_id", customer.id());
    for_customer.clone().by(&stranger).send().refused(403, "forbidden");
    for_customer.by(&below).create();
    w.hourly_rate("70.00", "2026-01-01").by(&w.api_key(&["crm:write"])).create();
}
