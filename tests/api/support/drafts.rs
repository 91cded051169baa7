//! Records to be made through the API. A test names the fields that it is about; the rest is something that is taken.

use super::client::{Answer, Record};
use super::world::{Caller, World};
use serde_json::{Value, json};
use std::borrow::Cow;
use uuid::Uuid;

/// Where each request needs a key of its own, since a repeat would double money.
const KEYED: &[&str] = &["/invoices", "/payments"];

/// A record before it is made.
#[derive(Debug, Clone)]
pub struct Draft {
    caller: Caller,
    path: Cow<'static, str>,
    body: Value,
}

impl Draft {
    pub(super) fn new(caller: Caller, path: impl Into<Cow<'static, str>>, body: Value) -> Self {
        Self { caller, path: path.into(), body }
    }

    /// With this in a field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.body[field] = value.into();
        self
    }

    pub fn name(self, name: &str) -> Self {
        self.with("name", name)
    }

    /// Made by somebody else than the owner.
    pub fn by(mut self, caller: &Caller) -> Self {
        self.caller = caller.clone();
        self
    }

    /// What would be sent.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The answer to sending it, whatever it is.
    pub fn send(&self) -> Answer {
        if KEYED.contains(&&*self.path) {
            return self.caller.once(Uuid::now_v7()).post(&self.path, &self.body);
        }
        self.caller.post(&self.path, &self.body)
    }

    #[track_caller]
    pub fn create(&self) -> Record {
        self.send().expect(201)
    }
}

impl World {
    pub fn customer(&self) -> Draft {
        self.draft("/customers", json!({ "kind": "company", "name": "Piekarnia Złoty Kłos sp. z o.o." }))
    }

    pub fn person(&self, customer_id: &str) -> Draft {
        self.draft("/people", json!({ "customer_id": customer_id, "full_name": "Anna Nowak" }))
    }

    /// The organization's, unless a customer or an operator is named.
    pub fn hourly_rate(&self, amount: &str, valid_from_on: &str) -> Draft {
        self.draft("/hourly-rates", json!({ "amount": amount, "valid_from_on": valid_from_on }))
    }

    /// With New, Qualified, Proposal, Won and Lost.
    pub fn pipeline(&self) -> Draft {
        self.draft("/pipelines", json!({ "name": "New customers" }))
    }

    /// At the first stage of the newest pipeline; of one that is made for it, where there is none.
    pub fn opportunity(&self, customer_id: &str) -> Draft {
        let pipeline = self.owner.get("/pipelines?limit=1").expect(200).items().pop();
        let pipeline = pipeline.unwrap_or_else(|| self.pipeline().create());
        self.draft(
            "/opportunities",
            json!({
                "customer_id": customer_id, "title": "Bookkeeping from January", "value": "12000.00",
                "pipeline_id": pipeline.id(),
            }),
        )
    }

    pub fn interaction(&self, customer_id: &str) -> Draft {
        self.draft(
            "/interactions",
            json!({
                "customer_id": customer_id, "channel": "phone", "direction": "inbound",
                "started_at": "2026-11-02T09:00:00Z", "duration_minutes": 30, "subject": "A question",
            }),
        )
    }

    /// The owner's, with no date.
    pub fn task(&self, title: &str) -> Draft {
        self.draft("/tasks", json!({ "title": title }))
    }

    pub fn thread(&self, subject: &str) -> Draft {
        self.draft("/threads", json!({ "subject": subject }))
    }

    pub fn work_entry(&self, task_id: &str) -> Draft {
        self.draft(
            "/work-entries",
            json!({ "task_id": task_id, "started_at": "2026-11-02T09:00:00Z", "duration_minutes": 30 }),
        )
    }

    pub fn attachment(&self, file_id: &str, kind: &str, id: &str) -> Draft {
        self.draft("/attachments", json!({ "file_id": file_id, "subject": { "type": kind, "id": id } }))
    }

    pub fn article_category(&self, name: &str) -> Draft {
        self.draft("/article-categories", json!({ "name": name }))
    }

    /// A draft in Polish.
    pub fn article(&self, title: &str) -> Draft {
        self.draft("/articles", json!({ "title": title, "body": "Tekst." }))
    }

    pub fn synonyms(&self, terms: &[&str]) -> Draft {
        self.draft("/synonyms", json!({ "terms": terms }))
    }

    /// Everybody's entries, for the owner.
    pub fn calendar_feed(&self) -> Draft {
        self.draft("/calendar/feeds", json!({ "name": "Work" }))
    }

    /// Open: how likely to recommend, content or not, and why not.
    pub fn survey(&self) -> Draft {
        self.draft(
            "/surveys",
            json!({ "title": "Are you content?", "status": "open", "questions": [
            { "key": "recommend", "kind": "scale", "text": "How likely are you to recommend us?" },
            { "key": "content", "kind": "yes_no", "text": "Are you content with us?", "required": true },
            { "key": "why", "kind": "text", "text": "What do you miss?", "required": true,
              "shown_if": { "question": "content", "is": "no" } },
        ] }),
        )
    }

    /// Without any answer yet.
    pub fn survey_response(&self, survey_id: &str) -> Draft {
        self.draft("/survey-responses", json!({ "survey_id": survey_id }))
    }

    /// For a single use.
    pub fn survey_link(&self, survey_id: &str) -> Draft {
        self.draft(format!("/surveys/{survey_id}/links"), json!({}))
    }

    /// Documents, then the books, then the return; the caretaker's, without dates.
    pub fn procedure(&self) -> Draft {
        self.draft(
            "/procedures",
            json!({ "name": "Monthly close", "steps": [
            { "key": "collect", "title": "Collect the documents" },
            { "key": "book", "title": "Book the documents", "waits_for": ["collect"] },
            { "key": "vat", "title": "Send the VAT return", "waits_for": ["book"] },
        ] }),
        )
    }

    /// For no period.
    pub fn procedure_run(&self, procedure_id: &str, customer_id: &str) -> Draft {
        self.draft("/procedure-runs", json!({ "procedure_id": procedure_id, "customer_id": customer_id }))
    }

    /// For every customer and every month, far in the future.
    pub fn procedure_schedule(&self, procedure_id: &str) -> Draft {
        self.draft(
            "/procedure-schedules",
            json!({
                "procedure_id": procedure_id, "every": { "unit": "month", "count": 1 }, "first_on": "2090-01-01",
            }),
        )
    }

    pub fn month_lock(&self, month_start_on: &str) -> Draft {
        self.draft("/month-locks", json!({ "month_start_on": month_start_on }))
    }

    /// By a table of the National Bank.
    pub fn exchange_rate(&self, currency: &str, quoted_on: &str, rate: &str) -> Draft {
        let source = "NBP 226/A/NBP/2026";
        let body = json!({ "currency": currency, "quoted_on": quoted_on, "rate": rate, "source": source });
        self.draft("/exchange-rates", body)
    }

    pub fn number_series(&self) -> Draft {
        self.draft(
            "/number-series",
            json!({ "name": "Sales", "pattern": "FV/{number}/{month}/{year}", "reset": "monthly" }),
        )
    }

    /// The one that is built in, as it is. The server does not wait until the binary is built that tries out others.
    pub fn invoice_layout(&self) -> Draft {
        super::process::binary();
        self.draft("/invoice-layouts", json!({ "name": "Green" }))
    }

    /// One line of 100.00 net at 23 %.
    pub fn invoice_template(&self, series_id: &str) -> Draft {
        self.draft("/invoice-templates", json!({
            "name": "Bookkeeping", "series_id": series_id,
            "lines": [{ "key": "bookkeeping", "text": "Bookkeeping {{period.month}}/{{period.year}}", "quantity": "1",
                        "unit": "month", "unit_price": "100.00", "vat": { "code": "23" } }],
        }))
    }

    /// New prices of a template from a day on: `w.price_change(id, "2027-01-01").with("percent", "5")`.
    pub fn price_change(&self, template_id: &str, valid_from_on: &str) -> Draft {
        let path = format!("/invoice-templates/{template_id}/price-changes");
        self.draft(path, json!({ "valid_from_on": valid_from_on }))
    }

    /// One line of 100.00 net at 23 %.
    pub fn invoice_draft(&self, customer_id: &str, series_id: &str) -> Draft {
        self.draft(
            "/invoices",
            json!({ "customer_id": customer_id, "series_id": series_id, "lines": [line("1", "100.00")] }),
        )
    }

    /// 50.00 at 23 %, once.
    pub fn extra_line(&self, subscription_id: &str) -> Draft {
        let path = format!("/subscriptions/{subscription_id}/extra-lines");
        let line = json!({ "text": "Implementation", "quantity": "1", "unit": "pcs", "unit_price": "50.00",
                           "vat": { "code": "23" } });
        self.draft(path, line)
    }

    /// A period of a subscription, before a run takes it up.
    pub fn occurrence(&self, subscription_id: &str, period_start_on: &str) -> Draft {
        let body = json!({ "subscription_id": subscription_id, "period_start_on": period_start_on });
        self.draft("/occurrences", body)
    }

    /// For no invoice yet.
    pub fn payment(&self, customer_id: &str, amount: &str) -> Draft {
        self.draft("/payments", json!({ "customer_id": customer_id, "amount": amount, "paid_on": "2026-02-01" }))
    }

    /// Every month in advance, on the first, from the beginning of 2026.
    pub fn subscription(&self, template_id: &str, customer_id: &str) -> Draft {
        self.draft("/subscriptions", json!({
            "template_id": template_id, "customer_id": customer_id, "starts_on": "2026-01-01",
            "schedule": { "every": { "unit": "month", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" },
        }))
    }
}

/// A line of work at 23 %.
pub fn line(quantity: &str, unit_price: &str) -> Value {
    json!({ "text": "Work", "quantity": quantity, "unit": "h", "unit_price": unit_price, "vat": { "code": "23" } })
}

/// A template's line that bills time at 23 %.
pub fn time_line() -> Value {
    json!({ "key": "hours", "kind": "time", "text": "Hours of {{period.month}}/{{period.year}}", "unit": "month",
            "vat": { "code": "23" } })
}
