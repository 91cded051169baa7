//! What the walks over every operation send: the contract's own examples, with the ids in them put right.
//!
//! A new collection needs a line in [`KINDS`]; the walks fail until it has one. An operation that works only on records
//! in some state, or whose example cannot stand as it is, needs a line in [`STATES`] or [`BODIES`].

use super::billing::number_of_ksef;
use super::client::{Answer, Client, Record};
use super::database::execute;
use super::drafts::time_line;
use super::files::Form;
use super::operations::{FORM_OF_PARTS, Operation, document};
use super::process::binary;
use super::world::{PASSWORD, World, now};
use chrono::{Days, NaiveDate};
use opiekun_domain::calendar_day::is_working_day;
use opiekun_domain::ids::InvoiceId;
use opiekun_domain::invoice_run::RunMode;
use opiekun_persistence::invoice_emails;
use opiekun_persistence::invoice_runs::{self, InvoiceRunFields};
use serde_json::{Value, json};
use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

/// Makes a record.
type Make = fn(&World) -> Record;
/// Puts something else in the place of what an example holds.
type Put = fn(&World, &mut Value);
/// What a path holds in place of an id.
type Name = fn(&World) -> String;
/// The query for a record that the path names.
type Ask = fn(&World, &Record) -> String;
/// Arranges what an operation wants to be there.
type Arrange = fn(&World);

/// One kind of record that has addresses of its own.
struct Kind {
    /// The collection: what stands between `/api/v1` and the id in the path.
    collection: &'static str,
    /// What bodies and queries call the id of such a record.
    names: &'static [&'static str],
    make: Make,
}

const KINDS: &[Kind] = &[
    Kind {
        collection: "operators",
        names: &["operator_id", "caretaker_id", "supervisor_id", "actor_id", "registered_by_id", "reader_id", "team"],
        make: |w| {
            let operator = w.operator("operator", "none", None);
            w.owner.get(&format!("/operators/{}", operator.id)).expect(200)
        },
    },
    Kind {
        collection: "api-keys",
        names: &["api_key_id"],
        make: |w| {
            let key = w.api_key(&["crm:read"]);
            w.owner.get(&format!("/api-keys/{}", key.id)).expect(200)
        },
    },
    Kind {
        collection: "customers",
        names: &["customer_id", "resource_id", "subject_customer_id"],
        make: |w| w.customer().create(),
    },
    Kind { collection: "people", names: &["person_id"], make: |w| w.person(w.customer().create().id()).create() },
    Kind {
        collection: "hourly-rates",
        names: &["hourly_rate_id"],
        // Of a customer, so that there can be many.
        make: |w| w.hourly_rate("120.00", "2026-01-01").with("customer_id", w.customer().create().id()).create(),
    },
    Kind { collection: "pipelines", names: &["pipeline_id"], make: |w| w.pipeline().name(&mark()).create() },
    Kind {
        collection: "stages",
        names: &["stage_id", "from_stage_id", "to_stage_id"],
        // The first of a pipeline of its own, where nothing stands.
        make: |w| {
            let pipeline = w.pipeline().name(&mark()).create();
            w.owner.get(&format!("/pipelines/{}/stages?limit=1", pipeline.id())).expect(200).items().remove(0)
        },
    },
    Kind {
        collection: "opportunities",
        names: &["opportunity_id"],
        make: |w| w.opportunity(w.customer().create().id()).create(),
    },
    Kind {
        collection: "interactions",
        names: &["interaction_id", "subject_interaction_id", "parent_interaction_id"],
        make: |w| w.interaction(w.customer().create().id()).create(),
    },
    Kind {
        collection: "threads",
        names: &["thread_id", "subject_thread_id", "merged_into_id"],
        make: |w| w.thread("Tax inspection").create(),
    },
    Kind {
        collection: "tasks",
        // A filter by series takes whatever id it is given.
        names: &["task_id", "subject_task_id", "parent_task_id", "task_series_id"],
        make: |w| w.task("VAT return").create(),
    },
    Kind {
        collection: "work-entries",
        names: &["work_entry_id"],
        make: |w| w.work_entry(&id_called(w, "task_id")).create(),
    },
    Kind {
        collection: "attachments",
        names: &["attachment_id"],
        make: |w| w.attachment(&id_called(w, "file_id"), "task", &id_called(w, "task_id")).create(),
    },
    Kind {
        collection: "files",
        names: &["file_id"],
        make: |w| w.file("umowa.txt", format!("Umowa {}", mark()).as_bytes()),
    },
    Kind {
        collection: "article-categories",
        names: &["category_id", "parent_id"],
        make: |w| w.article_category(&mark()).create(),
    },
    Kind {
        collection: "articles",
        names: &["article_id", "related_article_id", "subject_article_id"],
        make: |w| w.article(&format!("Zwrot {}", mark())).create(),
    },
    Kind { collection: "synonyms", names: &["synonym_group_id"], make: |w| w.synonyms(&["pensja", &mark()]).create() },
    Kind { collection: "surveys", names: &["survey_id"], make: |w| w.survey().create() },
    Kind {
        collection: "survey-responses",
        names: &["survey_response_id", "response_id"],
        make: |w| w.survey_response(open_survey(w).id()).create(),
    },
    Kind {
        collection: "survey-links",
        names: &["survey_link_id", "link_id"],
        make: |w| w.survey_link(open_survey(w).id()).create(),
    },
    Kind {
        collection: "procedures",
        names: &["procedure_id"],
        make: |w| w.procedure().name(&format!("Close {}", mark())).create(),
    },
    Kind {
        collection: "procedure-runs",
        names: &["procedure_run_id"],
        make: |w| w.procedure_run(any_procedure(w).id(), w.customer().create().id()).create(),
    },
    Kind {
        collection: "procedure-steps",
        names: &["procedure_step_id", "step_id"],
        make: |w| {
            let run = w.procedure_run(any_procedure(w).id(), w.customer().create().id()).create();
            w.owner.get(&format!("/procedure-steps/{}", run["steps"][0]["id"].as_str().unwrap())).expect(200)
        },
    },
    Kind {
        collection: "procedure-schedules",
        names: &["procedure_schedule_id", "schedule_id"],
        make: |w| w.procedure_schedule(any_procedure(w).id()).create(),
    },
    Kind { collection: "calendar/feeds", names: &["calendar_feed_id"], make: |w| w.calendar_feed().create() },
    Kind { collection: "month-locks", names: &["month_lock_id"], make: |w| w.month_lock(&month()).create() },
    Kind {
        collection: "exchange-rates",
        names: &["exchange_rate_id"],
        make: |w| w.exchange_rate("EUR", &table_day(), "4.2517").create(),
    },
    Kind { collection: "number-series", names: &["series_id"], make: number_series },
    Kind { collection: "invoice-layouts", names: &["layout_id"], make: |w| w.invoice_layout().name(&mark()).create() },
    Kind { collection: "invoice-templates", names: &["template_id"], make: invoice_template },
    Kind {
        collection: "price-changes",
        names: &["price_change_id"],
        make: |w| w.price_change(invoice_template(w).id(), &day()).with("percent", "3.6").create(),
    },
    Kind { collection: "subscriptions", names: &["subscription_id"], make: subscription },
    Kind {
        collection: "extra-lines",
        names: &["extra_line_id"],
        make: |w| w.extra_line(subscription(w).id()).create(),
    },
    Kind {
        collection: "occurrences",
        names: &["occurrence_id"],
        make: |w| {
            invoice(w);
            w.owner.get("/occurrences?limit=1").expect(200).items().remove(0)
        },
    },
    Kind {
        collection: "invoice-runs",
        names: &["run_id"],
        make: |w| {
            invoice(w);
            w.owner.get("/invoice-runs?limit=1").expect(200).items().remove(0)
        },
    },
    Kind {
        collection: "invoices",
        names: &["invoice_id", "pro_forma_id", "corrects_id", "subject_invoice_id"],
        make: invoice,
    },
    Kind {
        collection: "invoice-emails",
        names: &["invoice_email_id"],
        make: |w| {
            let path = format!("/invoices/{}/emails", invoice(w).id());
            w.owner.post(&path, json!({ "to": ["ksiegowosc@klos.example"] })).expect(201)
        },
    },
    Kind {
        collection: "payments",
        names: &["payment_id"],
        make: |w| w.payment(w.customer().create().id(), "1234.50").create(),
    },
];

/// Operations that ask for a record in a state of its own.
const STATES: &[(&str, Make)] = &[
    ("update_payment", |w| w.payment(invoice(w)["customer_id"].as_str().unwrap(), "1234.50").create()),
    // Only what is published answers an interaction.
    ("create_article_use", published_article),
    ("delete_article_use", published_article),
    // Known by its name to those who put its stages in order.
    ("put_stage_order", |w| w.pipeline().name(&format!("Ordered {}", mark())).create()),
    // One that has ended by itself can't be cancelled; one that was cancelled can, and stays so.
    ("cancel_invoice_run", |w| {
        let run = w.write(|tx| {
            let fields = InvoiceRunFields {
                mode: RunMode::Preview,
                through_on: now().date_naive(),
                issue_on: now().date_naive(),
                subscription_ids: None,
                template_ids: None,
                customer_ids: None,
            };
            let run = invoice_runs::create(tx, fields)?;
            invoice_runs::cancel(tx, &run)
        });
        w.owner.get(&format!("/invoice-runs/{}", run.id)).expect(200)
    }),
    ("update_invoice", invoice_draft),
    ("void_invoice", invoice_draft),
    ("issue_invoice", invoice_draft),
    ("make_final_invoice", |w| {
        let series = number_series_of(w, "pro_forma");
        let pro_forma = w.invoice_draft(w.buyer().create().id(), series.id()).with("kind", "pro_forma").create();
        w.issue(&pro_forma, "2026-01-30")
    }),
    ("list_invoice_time_entries", |w| {
        w.hourly_rate("120.00", "2026-01-01").send();
        let customer = w.buyer().create();
        let template = w.invoice_template(number_series(w).id()).name(&mark()).with("lines", json!([time_line()]));
        w.arrears(template.create().id(), customer.id()).create();
        for day in ["2026-01-07", "2026-01-08", "2026-01-09"] {
            w.interaction(customer.id()).with("started_at", format!("{day}T09:00:00Z")).create();
        }
        let run = json!({ "mode": "issue", "through_on": "2026-02-01", "customer_ids": [customer.id()] });
        w.run_with(run).expect(200);
        w.owner.get(&format!("/invoices?customer_id={}", customer.id())).expect(200).items().remove(0)
    }),
    // Of a customer without an address, whom the organization wants it sent to.
    ("retry_invoice_email", |w| {
        let invoice = invoice(w);
        w.write(|tx| invoice_emails::queue_issued(tx, &[InvoiceId(invoice.id().parse().unwrap())]));
        w.owner.get(&format!("/invoice-emails?invoice_id={}", invoice.id())).expect(200).items().remove(0)
    }),
    ("skip_occurrence", planned_occurrence),
    ("restore_occurrence", planned_occurrence),
    // Of a buyer without an address, whom no invoice can name.
    ("retry_occurrence", |w| {
        let subscription = w.subscription(invoice_template(w).id(), w.customer().create().id()).create();
        // Dated by the organization's own day, as other runs of the walks are.
        let run = json!({ "mode": "issue", "through_on": "2026-01-31", "subscription_ids": [subscription.id()] });
        w.run_with(run).expect(200);
        let path = format!("/occurrences?limit=1&state=failed&subscription_id={}", subscription.id());
        w.owner.get(&path).expect(200).items().remove(0)
    }),
];

/// What a path names that is no id.
const NAMED: &[(&str, Name)] = &[
    // The owner's own, whoever makes the records of this world.
    ("read_calendar_feed", |w| w.calendar_feed().create().address()),
    ("read_survey_form", survey_form),
    ("answer_survey_form", |w| format!("{}/responses", survey_form(w))),
];

/// Of a form that is answered again and again.
fn survey_form(w: &World) -> String {
    w.survey_link(open_survey(w).id()).with("single_use", false).create().address()
}

/// One with the steps that the examples name, or one that is made.
fn any_procedure(w: &World) -> Record {
    let there = w.owner.get("/procedures?limit=200").expect(200).items();
    let usual = there.into_iter().find(|procedure| procedure["steps"][0]["key"] == "collect");
    usual.unwrap_or_else(|| w.procedure().name(&format!("Close {}", mark())).create())
}

/// One with the questions that the examples answer, or one that is made.
fn open_survey(w: &World) -> Record {
    let there = w.owner.get("/surveys?limit=200&status=open").expect(200).items();
    let usual = there.into_iter().find(|survey| survey["questions"][1]["key"] == "content");
    usual.unwrap_or_else(|| w.survey().create())
}

/// What a query names, in what the path's record holds.
const QUERIES: &[(&str, Ask)] = &[
    ("remove_thread_item", |w, thread| {
        let task = w.task("VAT return").with("thread_id", thread.id()).create();
        format!("type=task&item_id={}", task.id())
    }),
    ("delete_article_use", |w, article| {
        let interaction_id = id_called(w, "interaction_id");
        let path = format!("/articles/{}/uses", article.id());
        w.owner.post(&path, json!({ "interaction_id": interaction_id })).expect(200);
        format!("interaction_id={interaction_id}")
    }),
];

/// What is arranged before an operation that wants something to be there, though its path names no record.
const ARRANGED: &[(&str, Arrange)] = &[
    ("stop_timer", |w| {
        w.owner.put("/me/timer", json!({ "task_id": id_called(w, "task_id") })).expect(200);
    }),
    // What it begins with is more than a page.
    ("list_synonym_groups", |w| {
        execute(&format!("delete from synonyms where organization_id = '{}'", w.organization_id)).unwrap();
    }),
    // Both need the binary, whose building no server waits for.
    ("create_invoice_layout", |_| _ = binary()),
    ("get_invoice_document", |_| _ = binary()),
];

/// Examples that cannot be sent as they stand.
const BODIES: &[(&str, Put)] = &[
    ("create_token", |w, body| {
        body["username"] = json!(w.owner.email);
        body["password"] = json!(PASSWORD);
    }),
    ("change_password", |_, body| body["current_password"] = json!(PASSWORD)),
    // What no two may have.
    ("create_operator", |_, body| body["email"] = json!(format!("{}@test.example", Uuid::now_v7().simple()))),
    ("update_operator", |_, body| body["email"] = json!(format!("{}@test.example", Uuid::now_v7().simple()))),
    ("create_customer", |_, body| body["external_id"] = json!(mark())),
    ("update_customer", |_, body| body["external_id"] = json!(mark())),
    ("create_hourly_rate", |w, body| body["customer_id"] = json!(w.customer().create().id())),
    ("create_month_lock", |_, body| body["month_start_on"] = json!(month())),
    ("create_procedure", |_, body| body["name"] = json!(mark())),
    ("update_procedure", |_, body| body["name"] = json!(mark())),
    ("create_pipeline", |_, body| body["name"] = json!(mark())),
    ("update_pipeline", |_, body| body["name"] = json!(mark())),
    // All stages of the pipeline that the path names.
    ("put_stage_order", |w, body| {
        let pipelines = w.owner.get("/pipelines?limit=200").expect(200).items();
        let pipeline = pipelines.iter().find(|pipeline| pipeline["name"].as_str().unwrap().starts_with("Ordered"));
        let stages = pipeline.unwrap()["stages"].as_array().unwrap();
        body["stage_ids"] = stages.iter().rev().map(|stage| stage["id"].clone()).collect();
    }),
    ("create_attachment", |w, body| body["subject"] = json!({ "type": "task", "id": id_called(w, "task_id") })),
    ("add_thread_item", |w, body| *body = json!({ "type": "task", "id": id_called(w, "task_id") })),
    ("put_invoice_ksef_number", |_, body| body["ksef_number"] = json!(number_of_ksef("5261040828"))),
    ("create_correction", |w, body| body["series_id"] = json!(number_series_of(w, "correction").id())),
    // What is for one customer's invoice is not for another's.
    ("create_payment", |w, body| {
        body["customer_id"] = json!(w.customer().create().id());
        body["invoice_id"] = Value::Null;
        body["allocations"] = json!([]);
    }),
    // For an invoice of the customer whose money it is.
    ("update_payment", |w, body| {
        let payment = w.owner.get("/payments?limit=1").expect(200).items().remove(0);
        let customer_id = payment["customer_id"].as_str().unwrap();
        let invoice = w.owner.get(&format!("/invoices?customer_id={customer_id}")).expect(200).items().remove(0);
        body["allocations"] = json!([{ "invoice_id": invoice.id(), "amount": "0.01" }]);
    }),
    ("create_article_category", |_, body| body["name"] = json!(mark())),
    ("update_article_category", |_, body| body["name"] = json!(mark())),
    ("create_price_change", |_, body| body["valid_from_on"] = json!(day())),
    ("create_exchange_rate", |_, body| body["quoted_on"] = json!(table_day())),
    ("create_invoice_layout", |_, body| body["name"] = json!(mark())),
    ("update_invoice_layout", |_, body| body["name"] = json!(mark())),
    ("create_number_series", numbered),
    ("update_number_series", numbered),
];

fn numbered(_: &World, body: &mut Value) {
    let mark = mark();
    body["name"] = json!(mark);
    body["pattern"] = json!(format!("FV{mark}/{{number}}/{{month}}/{{year}}"));
}

/// A short text that comes once.
fn mark() -> String {
    static MARKS: AtomicU32 = AtomicU32::new(1);
    format!("X{}", MARKS.fetch_add(1, Ordering::Relaxed))
}

/// A January that comes once, long before the months that the walks write in.
fn month() -> String {
    static YEARS: AtomicU32 = AtomicU32::new(1000);
    format!("{}-01-01", YEARS.fetch_add(1, Ordering::Relaxed))
}

/// A first of January that comes once, long after the days of the walks.
fn day() -> String {
    static YEARS: AtomicU32 = AtomicU32::new(3000);
    format!("{}-01-01", YEARS.fetch_add(1, Ordering::Relaxed))
}

/// A day of a table of the National Bank that comes once, long before the days of the walks.
fn table_day() -> String {
    static DAYS: AtomicU32 = AtomicU32::new(0);
    let first = NaiveDate::from_ymd_opt(1950, 1, 1).unwrap();
    let mut days = iter::from_fn(|| Some(first + Days::new(DAYS.fetch_add(1, Ordering::Relaxed).into())));
    days.find(|day| is_working_day(*day)).unwrap().to_string()
}

/// With a name and a pattern of its own, since no two of an organization have the same.
fn number_series(w: &World) -> Record {
    number_series_of(w, "invoice")
}

fn number_series_of(w: &World, kind: &str) -> Record {
    let mark = mark();
    let pattern = format!("FV{mark}/{{number}}/{{month}}/{{year}}");
    w.number_series().name(&format!("Sales {mark}")).with("kind", kind).with("pattern", pattern).create()
}

fn invoice_draft(w: &World) -> Record {
    w.invoice_draft(w.buyer().create().id(), number_series(w).id()).create()
}

fn invoice_template(w: &World) -> Record {
    w.invoice_template(number_series(w).id()).name(&format!("Bookkeeping {}", mark())).create()
}

fn subscription(w: &World) -> Record {
    w.subscription(invoice_template(w).id(), w.buyer().create().id()).create()
}

fn planned_occurrence(w: &World) -> Record {
    w.occurrence(subscription(w).id(), "2026-02-01").create()
}

/// The first invoice of a subscription, issued by a run.
fn invoice(w: &World) -> Record {
    let subscription = subscription(w);
    let run = json!({ "mode": "issue", "through_on": "2026-01-31", "subscription_ids": [subscription.id()] });
    let run = w.owner.with("Prefer", "wait=30").post("/invoice-runs", run).expect(200);
    assert_eq!(run["status"], "succeeded", "{}", *run);
    let invoices = w.owner.get(&format!("/invoices?run_id={}", run.id())).expect(200).items();
    w.owner.get(&format!("/invoices/{}", invoices[0].id())).expect(200)
}

/// A request that succeeds, to be sent as it is or spoilt.
#[derive(Clone)]
pub struct Prepared {
    /// The owner, with the headers that the operation requires.
    pub client: Client,
    pub method: String,
    pub path: String,
    /// The media type of the body; none where there is no body.
    pub media_type: Option<String>,
    pub body: Value,
    /// The record that the path names.
    pub target: Option<Record>,
}

impl Prepared {
    pub fn send(&self) -> Answer {
        self.send_by(&self.client)
    }

    pub fn send_by(&self, client: &Client) -> Answer {
        if self.media_type.as_deref() == Some(FORM_OF_PARTS) {
            let form = self.body.as_object().unwrap().iter().fold(Form::new(), |form, (name, part)| match part {
                Value::String(content) => form.part(name, Some("sent.txt"), content.as_bytes()),
                json => form.part(name, None, json.to_string().as_bytes()),
            });
            return client.send_form(&self.path, &form);
        }
        let media_type = self.media_type.as_deref().unwrap_or("application/json");
        client.send_json(&self.method, &self.path, media_type, &self.body)
    }

    /// With these bytes for a body, whatever they are.
    pub fn send_bytes(&self, body: &[u8]) -> Answer {
        self.client.send(&self.method, &self.path, self.media_type.as_deref(), body)
    }

    pub fn with_body(&self, body: Value) -> Self {
        Self { body, ..self.clone() }
    }

    pub fn with_query(&self, query: &str) -> Self {
        Self { path: format!("{}?{query}", self.path.split('?').next().unwrap()), ..self.clone() }
    }

    /// With another path, and the query that it has.
    pub fn with_path(&self, path: &str) -> Self {
        let query = self.path.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        Self { path: format!("{path}{query}"), ..self.clone() }
    }

    /// As another request than this: with a key of its own, where the operation requires one.
    pub fn anew(&self) -> Self {
        let mut request = self.clone();
        if request.client.sent("Idempotency-Key").is_some() {
            request.client = request.client.once(Uuid::now_v7());
        }
        request
    }

    /// The same request with another caller's token.
    pub fn by(&self, caller: &Client) -> Self {
        let mut client = caller.clone();
        for name in ["If-Match", "Idempotency-Key"] {
            if let Some(value) = self.client.sent(name) {
                client = client.with(name, value);
            }
        }
        Self { client, ..self.clone() }
    }
}

/// The contract's example of an operation, made into a request that succeeds in this world.
pub fn prepared(w: &World, operation: &Operation) -> Prepared {
    if let Some((_, arrange)) = ARRANGED.iter().find(|(id, _)| *id == operation.id) {
        arrange(w);
    }
    let target = operation.path.contains("{id}").then(|| target(w, operation));
    let id = target.as_ref().map(|target| target.id().to_owned());
    let mut prepared = Prepared {
        client: (*w.owner).clone(),
        method: operation.method.clone(),
        path: match NAMED.iter().find(|(id, _)| *id == operation.id) {
            Some((_, path)) => path(w),
            None => path(operation, id.as_deref()),
        },
        media_type: None,
        body: Value::Null,
        target,
    };
    let bodies = operation.bodies();
    let body = bodies.first().copied().or(operation.form().map(|content| (FORM_OF_PARTS, content)));
    if let Some((media_type, content)) = body {
        prepared.media_type = Some(media_type.to_owned());
        prepared.body = content["example"].clone();
        put_ids(w, &mut prepared.body);
        if let Some((_, put)) = BODIES.iter().find(|(id, _)| *id == operation.id) {
            put(w, &mut prepared.body);
        }
    }
    let required: Vec<_> = operation.query().filter(|parameter| parameter["required"] == true).collect();
    if let Some((_, query)) = QUERIES.iter().find(|(id, _)| *id == operation.id) {
        let query = query(w, prepared.target.as_ref().unwrap());
        prepared = prepared.with_query(&query);
    } else if !required.is_empty() {
        let pairs = required
            .iter()
            .map(|parameter| format!("{}={}", parameter["name"].as_str().unwrap(), sample(w, parameter)));
        prepared = prepared.with_query(&pairs.collect::<Vec<_>>().join("&"));
    }
    if operation.has("If-Match") {
        let version = match &prepared.target {
            Some(record) => record.version(),
            None => w.owner.get(&prepared.path).expect(200).version(),
        };
        prepared.client = prepared.client.at(version);
    }
    if operation.parameters().any(|parameter| parameter["name"] == "Idempotency-Key" && parameter["required"] == true) {
        prepared.client = prepared.client.once(Uuid::now_v7());
    }
    prepared
}

/// The path with an id in it, and with the contract's own examples in place of whatever else it names.
pub fn path(operation: &Operation, id: Option<&str>) -> String {
    let mut path = operation.path.clone();
    for parameter in operation.parameters().filter(|parameter| parameter["in"] == "path") {
        let name = parameter["name"].as_str().unwrap();
        let value = match id {
            Some(id) if name == "id" => id,
            _ => parameter["example"].as_str().unwrap_or_else(|| panic!("the contract has no example of {{{name}}}")),
        };
        path = path.replace(&format!("{{{name}}}"), value);
    }
    path
}

/// A record of the collection that a path begins with.
pub fn record(w: &World, path: &str) -> Record {
    let collection = path.strip_prefix("/api/v1/").and_then(|rest| rest.split("/{id}").next()).unwrap();
    let kind = KINDS.iter().find(|kind| kind.collection == collection);
    let kind = kind.unwrap_or_else(|| panic!("no fixture makes a record of {path}: add {collection:?} to KINDS"));
    (kind.make)(w)
}

/// A value of a parameter of the query that is taken.
pub fn sample(w: &World, parameter: &Value) -> String {
    let schema = super::operations::resolved(&parameter["schema"]);
    let name = parameter["name"].as_str().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(example) = parameter.get("example").or(schema.get("example")) {
        return text(example);
    }
    if schema["type"] == "array" {
        let mut item = parameter.clone();
        item["schema"] = schema["items"].clone();
        return sample(w, &item);
    }
    match (schema["enum"].get(0), schema["type"].as_str(), schema["format"].as_str()) {
        (Some(word), _, _) => text(word),
        (_, _, Some("uuid")) => id_called(w, name),
        (_, _, Some("date")) => "2026-11-23".to_owned(),
        (_, _, Some("date-time")) => "2026-11-23T09:15:00Z".to_owned(),
        (_, Some("integer"), _) => text(schema.get("minimum").unwrap_or(&json!(1))),
        (_, Some("boolean"), _) => "true".to_owned(),
        (_, Some("string"), _) if schema.get("pattern").is_none() => "text".to_owned(),
        (_, Some("string"), _) if name == "sha256" => "0".repeat(64),
        _ => panic!("no value is known for the parameter {name}: give it an example in the contract"),
    }
}

fn published_article(w: &World) -> Record {
    w.article(&format!("Zwrot {}", mark())).with("status", "published").create()
}

fn target(w: &World, operation: &Operation) -> Record {
    match STATES.iter().find(|(id, _)| *id == operation.id) {
        Some((_, make)) => make(w),
        None => record(w, &operation.path),
    }
}

/// Puts ids of records of this world in the place of those of the example, by the names of the fields.
fn put_ids(w: &World, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(id) if name.ends_with("_id") && Uuid::try_parse(id).is_ok() => {
                        *id = id_called(w, name)
                    }
                    Value::Array(ids) if name.ends_with("_ids") => {
                        let id = id_called(w, name.trim_end_matches('s'));
                        ids.iter_mut().for_each(|place| *place = json!(id));
                    }
                    _ => put_ids(w, member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put_ids(w, item)),
        _ => {}
    }
}

fn id_called(w: &World, name: &str) -> String {
    let kind = KINDS.iter().find(|kind| kind.names.contains(&name));
    let kind = kind.unwrap_or_else(|| panic!("no fixture is called {name}: add it to the names of its kind in KINDS"));
    (kind.make)(w).id().to_owned()
}

/// The collections of the contract that hold records.
pub fn collections() -> Vec<&'static str> {
    let paths = document()["paths"].as_object().unwrap();
    paths.keys().filter(|path| paths.contains_key(&format!("{path}/{{id}}"))).map(String::as_str).collect()
}
