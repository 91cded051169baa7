//! What tests about invoices begin with: somebody who can be billed, and runs.

use super::client::{Answer, Record};
use super::drafts::{Draft, time_line};
use super::world::World;
use serde_json::{Value, json};

/// A number that KSeF could give to an invoice of a seller; it comes once.
pub fn number_of_ksef(nip: &str) -> String {
    let random = uuid::Uuid::now_v7().simple().to_string().to_uppercase();
    let number = format!("{nip}-20261123-{}", &random[20..]);
    let crc = number.bytes().fold(0_u8, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x07 })
    });
    format!("{number}-{crc:02X}")
}

impl World {
    /// With the address that an invoice needs.
    pub fn buyer(&self) -> Draft {
        self.customer()
            .with("billing_address", json!({ "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" }))
    }

    /// A template with one line of 100.00 net at 23 %, and a series of its own.
    pub fn template(&self) -> Record {
        let series = self.number_series().create();
        self.invoice_template(series.id()).create()
    }

    /// A template with a line for time, `hours`, and a series of its own.
    pub fn time_template(&self) -> Record {
        let series = self.number_series().create();
        self.invoice_template(series.id()).name("Hours").with("lines", json!([time_line()])).create()
    }

    /// A template put on a customer, every month in arrears, from the beginning of 2026.
    pub fn arrears(&self, template_id: &str, customer_id: &str) -> Draft {
        let every = json!({ "unit": "month", "count": 1 });
        let schedule = json!({ "every": every, "anchor_on": "2026-01-01", "billing": "in_arrears" });
        self.subscription(template_id, customer_id).with("schedule", schedule)
    }

    /// So many customers, each with a monthly subscription of one template. Gives the subscriptions in their order.
    pub fn subscribers(&self, count: usize) -> Vec<Record> {
        let template = self.template();
        let subscribe = |_| self.subscription(template.id(), self.buyer().create().id()).create();
        let mut subscriptions: Vec<Record> = (0..count).map(subscribe).collect();
        subscriptions.sort_by(|a, b| a.id().cmp(b.id()));
        subscriptions
    }

    /// A run that has come to its end: `w.run("issue", "2026-01-31")`, dated as it is due through.
    #[track_caller]
    pub fn run(&self, mode: &str, through_on: &str) -> Record {
        self.run_with(json!({ "mode": mode, "through_on": through_on, "issue_on": through_on })).expect(200)
    }

    /// The answer to a run that is waited for.
    pub fn run_with(&self, body: Value) -> Answer {
        self.owner.with("Prefer", "wait=30").post("/invoice-runs", body)
    }

    /// What became of each period in a run.
    #[track_caller]
    pub fn results(&self, run: &Record) -> Vec<Record> {
        self.owner.get(&format!("/invoice-runs/{}/results?limit=200", run.id())).expect(200).items()
    }

    /// Issues a draft on a day.
    #[track_caller]
    pub fn issue(&self, draft: &Record, issued_on: &str) -> Record {
        self.issue_answer(draft, json!({ "issued_on": issued_on })).expect(200)
    }

    /// The answer to an issue, whatever it is.
    pub fn issue_answer(&self, draft: &Record, body: Value) -> Answer {
        self.owner.post(&format!("/invoices/{}/issuance", draft.id()), body)
    }

    /// A series of its own for documents of a kind: `w.series("pro_forma")`.
    pub fn series(&self, kind: &str) -> Record {
        let letter = kind.chars().next().unwrap();
        let pattern = format!("{letter}{{number}}/{{month}}/{{year}}");
        self.number_series().name(kind).with("kind", kind).with("pattern", pattern).create()
    }

    /// Every invoice, the oldest first.
    #[track_caller]
    pub fn invoices(&self) -> Vec<Record> {
        self.owner.get("/invoices?sort=created_at&limit=200").expect(200).items()
    }

    #[track_caller]
    pub fn reread(&self, path: &str, record: &Record) -> Record {
        self.owner.get(&format!("{path}/{}", record.id())).expect(200)
    }
}
