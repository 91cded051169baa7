//! Invoices by e-mail: asked for and by themselves, to a mail server that fails in every way.
//!
//! Who sends takes up the e-mails of every organization, so each test has a database of its own.

use crate::support::files::Store;
use crate::support::mail::{Certificate, MailServer};
use crate::support::{
    Process, Record, Scratch, Server, World, at_once, binary, connection, eventually, eventually_within, now,
    scratch_database,
};
use diesel::connection::SimpleConnection;
use mail_parser::{Message, MessageParser, MimeHeaders};
use opiekun_domain::ids::InvoiceId;
use opiekun_http::Mail;
use opiekun_jobs::Worker;
use opiekun_jobs::invoice_emails::{Mailer, SmtpServer};
use opiekun_persistence::{Db, migrate, reminders};
use opiekun_typesetting::Workers;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A database, a server over it, a mail server, and a node that sends.
struct Office {
    nodes: Vec<Worker>,
    mail: MailServer,
    server: Server,
    db: Db,
    database: Scratch,
}

impl Office {
    fn new() -> Self {
        Self::with_nodes(1)
    }

    fn with_nodes(count: usize) -> Self {
        // It sets the documents, and nobody waits for an e-mail until it is built.
        binary();
        let database = scratch_database();
        migrate(&database.url).unwrap();
        let db = Db::connect(&database.url, 48).unwrap();
        let mail = MailServer::start();
        let nodes: Vec<Worker> = (0..count)
            .map(|_| {
                let mut node = Worker::start(&db, now, Store::folder());
                let workers = Arc::new(Workers::new(|| binary().clone()));
                let server = SmtpServer::parse(&mail.url()).unwrap();
                node.send_emails(&db, now, Mailer::new(server, workers, Store::folder().clone()));
                node
            })
            .collect();
        let wake = nodes.first().map(|node| Arc::new(node.waker()));
        let server = Server::over(&db, |settings| {
            if let Some(wake) = wake {
                settings.wake = wake;
            }
            settings.mail = Some(Mail { has_sender: false });
        });
        Self { nodes, mail, server, db, database }
    }

    /// An organization that has an address to send from.
    fn organization(&self) -> World {
        let w = self.silent_organization();
        let email = json!({ "from_address": "faktury@biuro.example", "reply_to": "biuro@biuro.example" });
        w.owner.at(1).patch("/organization", json!({ "email": email })).expect(200);
        w
    }

    fn silent_organization(&self) -> World {
        World::within(&self.db, |_| {}).on(&self.server)
    }

    /// Has every e-mail that waits tried at once.
    fn hurry(&self) {
        let sql = "update invoice_emails set next_attempt_at = now() - interval '1 second' where status = 'queued'";
        connection(&self.database.url).batch_execute(sql).unwrap();
    }

    /// Waits until so many e-mails were taken, and gives them.
    #[track_caller]
    fn mailbox(&self, count: usize) -> Vec<crate::support::mail::Received> {
        eventually("the e-mails", || (self.mail.count() >= count).then_some(()));
        let received = self.mail.received();
        assert_eq!(received.len(), count);
        received
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.nodes.drain(..).for_each(Worker::stop);
    }
}

fn parsed(data: &[u8]) -> Message<'_> {
    MessageParser::default().parse(data).unwrap()
}

fn customer(w: &World, email: &str) -> Record {
    w.buyer().with("email", email).create()
}

/// An invoice of January to a customer.
fn invoice_to(w: &World, customer: &Record) -> Record {
    let series = w.number_series().name(customer.id()).with("pattern", pattern(customer)).create();
    w.issue(&w.invoice_draft(customer.id(), series.id()).create(), "2026-01-31")
}

/// A series of its own.
fn pattern(customer: &Record) -> String {
    format!("FV{}/{{number}}/{{month}}/{{year}}", &customer.id()[24..])
}

fn emails(w: &World, query: &str) -> Vec<Record> {
    w.owner.get(&format!("/invoice-emails?limit=200&{query}")).expect(200).items()
}

fn send(w: &World, invoice: &Record, body: Value) -> Record {
    w.owner.post(&format!("/invoices/{}/emails", invoice.id()), body).expect(201)
}

#[track_caller]
fn settled(w: &World, email: &Record, status: &str) -> Record {
    eventually(status, || Some(w.reread("/invoice-emails", email)).filter(|email| email["status"] == status))
}

/// Waits until an e-mail was tried so often.
#[track_caller]
fn attempted(w: &World, email: &Record, attempts: i64) -> Record {
    eventually("an attempt", || Some(w.reread("/invoice-emails", email)).filter(|email| email["attempts"] == attempts))
}

/// Has an organization that was changed once remind at some steps.
fn have_reminded(w: &World, steps: Value) {
    w.owner.at(2).patch("/organization", json!({ "reminders": { "hour": 9, "steps": steps } })).expect(200);
}

/// Queues a reminder of an invoice at a step, and gives its e-mail.
fn remind(w: &World, invoice: &Record, days_after_due: i16) -> Record {
    let id = InvoiceId(invoice.id().parse().unwrap());
    w.write(|tx| reminders::queue(tx, &[(id, days_after_due)]).map(drop));
    emails(w, "").remove(0)
}

fn change_customer(w: &World, customer: &Record, change: Value) {
    w.owner.at(customer.version()).patch(&format!("/customers/{}", customer.id()), change).expect(200);
}

/// The bytes of a document as the API hands them out.
fn document(w: &World, invoice: &Record, media_type: &str) -> Vec<u8> {
    let path = format!("/invoices/{}/document", invoice.id());
    w.owner.with("Accept", media_type).get(&path).body
}

#[test]
fn an_invoice_is_sent_with_the_documents_that_the_api_hands_out() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    let number = invoice["number"].as_str().unwrap();
    let email = send(&w, &invoice, json!({}));
    assert_eq!((&email["status"], &email["reason"]), (&json!("queued"), &json!("requested")));
    assert_eq!((&email["to"], &email["attempts"]), (&json!(["ksiegowosc@klos.example"]), &json!(0)));
    let email = settled(&w, &email, "sent");
    assert_eq!(
        (&email["problem"], &email["attempts"], &email["next_attempt_at"]),
        (&Value::Null, &json!(1), &Value::Null)
    );

    let received = office.mailbox(1).remove(0);
    assert_eq!(
        (&*received.from, &*received.to),
        ("faktury@biuro.example", &["ksiegowosc@klos.example".to_owned()][..])
    );
    let message = parsed(&received.data);
    let from = message.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Biuro Testowe sp. z o.o."), Some("faktury@biuro.example")));
    assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ksiegowosc@klos.example"));
    assert_eq!(message.reply_to().unwrap().first().unwrap().address(), Some("biuro@biuro.example"));
    assert_eq!(message.subject(), Some(&*format!("Faktura {number} – Biuro Testowe sp. z o.o.")));
    assert_eq!(message.subject(), email["subject"].as_str());
    assert_eq!(Some(format!("<{}>", message.message_id().unwrap())).as_deref(), email["message_id"].as_str());
    assert!(message.header("Auto-Submitted").is_none());
    let text = message.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), email["body"].as_str().unwrap().trim_end());
    assert!(text.contains("Do zapłaty: 123,00\u{a0}PLN") && text.contains("Termin płatności: 2026-02-14"), "{text}");

    let attached: Vec<_> = message.attachments().collect();
    let file = number.replace('/', "-");
    assert_eq!(
        attached.iter().map(|part| part.attachment_name().unwrap().to_owned()).collect::<Vec<_>>(),
        [format!("{file}.pdf"), format!("{file}.xml")]
    );
    assert!(attached[0].contents().starts_with(b"%PDF"));
    assert!(attached[0].contents() == document(&w, &invoice, "application/pdf"), "another PDF");
    assert!(attached[1].contents() == document(&w, &invoice, "application/xml"), "another e-invoice");

    assert_eq!((w.changes("invoice_email.queued"), w.changes("invoice_email.sent")), (1, 1));
    assert_eq!(emails(&w, &format!("invoice_id={}", invoice.id())), std::slice::from_ref(&email));
    let of_invoice = w.owner.get(&format!("/invoices/{}/emails", invoice.id())).expect(200).items();
    assert_eq!(of_invoice, std::slice::from_ref(&email));
    let again = w.owner.post(&format!("/invoice-emails/{}/retries", email.id()), Value::Null);
    assert_eq!(again.refused(409, "state_invalid")["state"], "sent");
}

#[test]
fn whoever_asks_says_to_whom_and_in_which_words() {
    let office = Office::new();
    let w = office.organization();
    let buyer = customer(&w, "ksiegowosc@klos.example");
    let invoice = invoice_to(&w, &buyer);
    // No name is taken like that; were one there, it would be no header.
    let evil = "update customers set name = E'Zły\\r\\nBcc: wszyscy@example.com'";
    connection(&office.database.url).batch_execute(evil).unwrap();
    let email = send(
        &w,
        &invoice,
        json!({ "to": ["a@klos.example", "b@klos.example"], "cc": ["c@klos.example"], "attach_xml": false,
                "subject": "{{invoice.number}} for {{customer.name}}", "body": "Owed: {{invoice.owed}}\n.\nBye" }),
    );
    settled(&w, &email, "sent");
    let received = office.mailbox(1).remove(0);
    assert_eq!(received.to, ["a@klos.example", "b@klos.example", "c@klos.example"]);
    let message = parsed(&received.data);
    let subject = format!("{} for Zły Bcc: wszyscy@example.com", invoice["number"].as_str().unwrap());
    assert_eq!((message.subject(), message.bcc()), (Some(&*subject), None));
    assert_eq!(message.cc().unwrap().first().unwrap().address(), Some("c@klos.example"));
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), "Owed: 123,00\u{a0}PLN\n.\nBye");
    assert_eq!(message.attachment_count(), 1);
}

#[test]
fn the_organizations_words_are_checked_and_used() {
    let office = Office::new();
    let w = office.organization();
    let words = |subject: &str, body: &str| json!({ "texts": [{ "kind": "issued", "language": "pl", "subject": subject, "body": body }] });
    for (email, wrong) in [
        (words("{{invoice.nubmer}}", "x"), "/email/texts/0/subject placeholder"),
        (words("x", "{{period.moon}}"), "/email/texts/0/body placeholder"),
        (words("{{invoice.number", "x"), "/email/texts/0/subject placeholder"),
        (json!({ "from_address": "no address" }), "/email/from_address format"),
        (json!({ "from_address": "Biuro <faktury@biuro.example>" }), "/email/from_address format"),
        (json!({ "from_name": "A\nB" }), "/email/from_name pattern"),
    ] {
        let refused = w.owner.at(2).patch("/organization", json!({ "email": email }));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), [wrong]);
    }
    let text = words("Rachunek {{invoice.number}}", "{{customer.name}}, {{period.month_name}}")["texts"][0].clone();
    let twice = w.owner.at(2).patch("/organization", json!({ "email": { "texts": [text, text] } }));
    assert_eq!(twice.wrong(), ["/email/texts uniqueItems"]);
    let set = json!({ "email": { "from_name": "Kasia z Biura", "texts": [text] } });
    let set = w.owner.at(2).patch("/organization", set).expect(200);
    assert_eq!(set["email"]["from_address"], "faktury@biuro.example");

    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    settled(&w, &send(&w, &invoice, json!({})), "sent");
    let received = office.mailbox(1).remove(0);
    let message = parsed(&received.data);
    assert_eq!(message.subject(), Some(&*format!("Rachunek {}", invoice["number"].as_str().unwrap())));
    assert_eq!(message.from().unwrap().first().unwrap().name(), Some("Kasia z Biura"));
    assert_eq!(message.body_text(0).unwrap().trim_end(), "Piekarnia Złoty Kłos sp. z o.o., styczeń");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let office = Office::new();
    let w = office.silent_organization();
    let path = |invoice: &Record| format!("/invoices/{}/emails", invoice.id());
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    let state = |answer: crate::support::Answer| answer.refused(409, "state_invalid")["state"].clone();
    assert_eq!(state(w.owner.post(&path(&invoice), json!({}))), "no_sender");
    let email = json!({ "from_address": "faktury@biuro.example" });
    w.owner.at(1).patch("/organization", json!({ "email": email })).expect(200);
    let poor = w.buyer().create();
    let of_poor = invoice_to(&w, &poor);
    assert_eq!(state(w.owner.post(&path(&of_poor), json!({}))), "no_recipient");
    let draft = w.invoice_draft(poor.id(), w.number_series().create().id()).create();
    assert_eq!(state(w.owner.post(&path(&draft), json!({ "to": ["a@klos.example"] }))), "draft");
    let without = Server::over(&office.db, |settings| settings.mail = None);
    assert_eq!(state(w.owner.on(&without).post(&path(&invoice), json!({}))), "no_mail_server");
    for (body, wrong) in [
        (json!({ "to": ["klos.example"] }), "/to/0 format"),
        (json!({ "to": ["Anna <a@klos.example>"] }), "/to/0 format"),
        (json!({ "to": ["\"a b\"@klos.example"] }), "/to/0 format"),
        (json!({ "cc": ["a@[127.0.0.1]"] }), "/cc/0 format"),
        (json!({ "to": [] }), "/to minItems"),
        (json!({ "subject": "{{invoice.sum}}" }), "/subject placeholder"),
        (json!({ "bcc": ["a@klos.example"] }), "/bcc unknown"),
    ] {
        let refused = w.owner.post(&path(&invoice), body);
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), [wrong]);
    }
    assert_eq!(emails(&w, ""), []);
    // The database holds it as well.
    let of_draft = format!(
        "insert into invoice_emails (organization_id, id, invoice_id, customer_id, reason, status, recipients, cc, attach_pdf,
             attach_xml, requested_by_kind, queued_at, next_attempt_at, created_at, updated_at)
         select organization_id, gen_random_uuid(), id, customer_id, 'issued', 'queued', '{{a@klos.example}}', '{{}}', true,
             true, 'system', now(), now(), now(), now() from invoices where id = '{}'",
        draft.id()
    );
    let refusal = connection(&office.database.url).batch_execute(&of_draft).unwrap_err().to_string();
    assert!(refusal.contains("only what is issued is sent"), "{refusal}");
}

#[test]
fn invoices_of_subscriptions_are_sent_by_themselves_where_that_is_asked_for() {
    let office = Office::new();
    let w = office.organization();
    let template = w.template();
    let subscribe = |email: Option<&str>, emails: &str| {
        let customer = w.buyer().with("email", email.map_or(Value::Null, Value::from)).create();
        w.subscription(template.id(), customer.id()).with("email_invoices", emails).create()
    };
    let always = subscribe(Some("always@klos.example"), "always");
    subscribe(Some("never@klos.example"), "never");
    subscribe(Some("usual@klos.example"), "as_organization");
    w.run("issue", "2026-01-31");
    let by_hand = emails(&w, "");
    assert_eq!(by_hand.iter().map(|it| it["to"][0].as_str().unwrap()).collect::<Vec<_>>(), ["always@klos.example"]);
    settled(&w, &by_hand[0], "sent");
    assert_eq!(by_hand[0]["reason"], "issued");
    let received = office.mailbox(1).remove(0);
    assert_eq!(parsed(&received.data).header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));

    w.owner.at(2).patch("/organization", json!({ "email_invoices": true })).expect(200);
    let poor = subscribe(None, "as_organization");
    w.run("issue", "2026-02-28");
    let failed = emails(&w, "status=failed");
    assert_eq!(failed.len(), 2, "January and February of the one without an address");
    for email in &failed {
        assert_eq!((&email["problem"], &email["to"]), (&json!("no_recipient"), &json!([])));
        assert_eq!(email["customer_id"], poor["customer_id"]);
    }
    let received = office.mailbox(3);
    let mut to: Vec<_> = received.iter().map(|it| it.to.join(",")).collect();
    to.sort();
    assert_eq!(to, ["always@klos.example", "always@klos.example", "usual@klos.example"]);
    assert_eq!((w.changes("invoice_email.failed"), w.changes("invoice_email.sent")), (2, 3));

    // With an address it is sent.
    let path = format!("/customers/{}", poor["customer_id"].as_str().unwrap());
    w.owner.at(1).patch(&path, json!({ "email": "rich@klos.example" })).expect(200);
    w.owner.post(&format!("/invoice-emails/{}/retries", failed[0].id()), Value::Null).expect(200);
    settled(&w, &failed[0], "sent");
    assert_eq!(office.mailbox(4)[3].to, ["rich@klos.example"]);

    // What a run drafts is sent when somebody issues it, and once.
    let run = json!({ "mode": "draft", "through_on": "2026-03-31", "subscription_ids": [always.id()] });
    let run = w.run_with(run).expect(200);
    let draft = w.owner.get(&format!("/invoices?run_id={}", run.id())).expect(200).items().remove(0);
    assert_eq!(emails(&w, &format!("invoice_id={}", draft.id())), []);
    w.issue(&draft, "2026-03-31");
    settled(&w, &emails(&w, &format!("invoice_id={}", draft.id()))[0], "sent");
    let twice = format!(
        "insert into invoice_emails select (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid()))).*
         from invoice_emails e where invoice_id = '{}'",
        draft.id()
    );
    let refusal = connection(&office.database.url).batch_execute(&twice).unwrap_err().to_string();
    assert!(refusal.contains("invoice_emails_issued_key"), "{refusal}");
}

#[test]
fn what_a_mail_server_refuses_for_good_bounces() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "gone@klos.example"));
    let gone = ("550 5.1.1 No such user here".to_owned(), 1);
    office.mail.rules().recipients.insert("gone@klos.example".to_owned(), gone);
    let bounced = settled(&w, &send(&w, &invoice, json!({})), "bounced");
    assert_eq!(bounced["problem"], "recipient_refused");
    let detail = bounced["problem_detail"].as_str().unwrap();
    assert!(detail.contains("550") && detail.contains("No such user here"), "{detail}");
    // The connection goes on to be used.
    let fine = settled(&w, &send(&w, &invoice, json!({ "to": ["fine@klos.example"] })), "sent");
    assert_eq!(office.mailbox(1)[0].message_id(), fine["message_id"].as_str().unwrap());
    w.owner.post(&format!("/invoice-emails/{}/retries", bounced.id()), Value::Null).expect(200);
    settled(&w, &bounced, "sent");

    office.mail.rules().refuse_message = Some("552 5.3.4 Too large for us".to_owned());
    let large = settled(&w, &send(&w, &invoice, json!({})), "bounced");
    assert_eq!(large["problem"], "message_refused");
    assert_eq!((w.changes("invoice_email.bounced"), w.changes("invoice_email.sent")), (2, 2));
    assert_eq!(emails(&w, "status=bounced"), [large]);
    office.mailbox(2);
}

#[test]
fn what_is_not_taken_for_the_moment_is_tried_again() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "busy@klos.example"));
    let busy = ("451 4.2.1 Try again later".to_owned(), 2);
    office.mail.rules().recipients.insert("busy@klos.example".to_owned(), busy);
    let email = send(&w, &invoice, json!({}));
    for attempts in 1..=2 {
        let waiting = attempted(&w, &email, attempts);
        assert_eq!((&waiting["status"], &waiting["problem"]), (&json!("queued"), &json!("deferred")));
        let next: chrono::DateTime<chrono::Utc> = waiting["next_attempt_at"].as_str().unwrap().parse().unwrap();
        assert!(next > now() + chrono::TimeDelta::seconds(30), "{next}");
        office.hurry();
    }
    let sent = settled(&w, &email, "sent");
    assert_eq!((&sent["attempts"], &sent["problem"]), (&json!(3), &Value::Null));
    office.mailbox(1);
}

#[test]
fn a_connection_that_breaks_loses_nothing_and_what_is_unclear_keeps_its_message_id() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    office.mail.rules().break_in_data = 1;
    let email = send(&w, &invoice, json!({}));
    assert_eq!(attempted(&w, &email, 1)["problem"], "server_unavailable");
    office.hurry();
    settled(&w, &email, "sent");
    office.mailbox(1);

    // The server took it, and said so to nobody: it comes again, as the same message.
    office.mail.rules().break_before_reply = 1;
    let email = send(&w, &invoice, json!({}));
    let unclear = attempted(&w, &email, 1);
    office.hurry();
    settled(&w, &email, "sent");
    let received = office.mailbox(3);
    assert_eq!(received[1].message_id(), received[2].message_id());
    assert_eq!(Some(&*received[2].message_id()), unclear["message_id"].as_str());
    assert_ne!(received[0].message_id(), received[1].message_id());
}

#[test]
fn what_waits_for_days_is_given_up_and_can_be_queued_anew() {
    let office = Office::new();
    let w = office.organization();
    let mut rules = office.mail.rules();
    rules.recipients.insert("busy@klos.example".to_owned(), ("451 Later".to_owned(), 1));
    drop(rules);
    let email = send(&w, &invoice_to(&w, &customer(&w, "busy@klos.example")), json!({}));
    attempted(&w, &email, 1);
    let sql = "update invoice_emails set queued_at = now() - interval '5 days'";
    connection(&office.database.url).batch_execute(sql).unwrap();
    office.hurry();
    let failed = settled(&w, &email, "failed");
    assert_eq!(failed["problem"], "expired");
    assert!(failed["problem_detail"].as_str().unwrap().contains("Later"), "{failed:?}");
    w.owner.post(&format!("/invoice-emails/{}/retries", email.id()), Value::Null).expect(200);
    settled(&w, &email, "sent");
}

#[test]
fn a_reminder_says_what_its_step_says_unless_the_invoice_is_paid_by_then() {
    let office = Office::new();
    let w = office.organization();
    let text =
        json!({ "language": "pl", "subject": "Wezwanie: {{invoice.number}}", "body": "{{invoice.payment_details}}" });
    let steps = json!([{ "days_after_due": 3, "texts": [text] }, { "days_after_due": 10 }]);
    have_reminded(&w, steps);
    let customer = customer(&w, "ksiegowosc@klos.example");
    let invoice = invoice_to(&w, &customer);
    settled(&w, &remind(&w, &invoice, 3), "sent");
    settled(&w, &remind(&w, &invoice, 10), "sent");
    let received = office.mailbox(2);
    let subjects: Vec<_> = received.iter().map(|it| parsed(&it.data).subject().unwrap().to_owned()).collect();
    let number = invoice["number"].as_str().unwrap();
    assert_eq!(subjects, [format!("Wezwanie: {number}"), format!("Przypomnienie o płatności: {number}")]);
    let first = parsed(&received[0].data).body_text(0).unwrap().into_owned();
    assert!(first.starts_with("Do zapłaty: 123,00\u{a0}PLN"), "{first}");

    w.payment(customer.id(), "123.00").with("invoice_id", invoice.id()).create();
    let cancelled = settled(&w, &remind(&w, &invoice, 20), "cancelled");
    assert_eq!((&cancelled["problem"], w.changes("invoice_email.cancelled")), (&json!("paid"), 1));
    office.mailbox(2);
}

#[test]
fn a_reminder_that_waits_is_not_sent_to_whom_is_not_reminded_any_more() {
    let office = Office::new();
    let w = office.organization();
    let buyer = customer(&w, "ksiegowosc@klos.example");
    let invoice = invoice_to(&w, &buyer);
    let cancelled = |days| settled(&w, &remind(&w, &invoice, days), "cancelled");
    assert_eq!(cancelled(3)["problem"], "not_wanted");
    have_reminded(&w, json!([{ "days_after_due": 3 }]));
    change_customer(&w, &buyer, json!({ "send_reminders": false }));
    assert_eq!(cancelled(10)["problem"], "not_wanted");
    office.mailbox(0);
}

#[test]
fn what_comes_by_itself_goes_to_the_address_of_today() {
    let office = Office::new();
    let w = office.organization();
    have_reminded(&w, json!([{ "days_after_due": 3 }]));
    let buyer = customer(&w, "old@klos.example");
    let invoice = invoice_to(&w, &buyer);
    office.mail.rules().recipients.insert("old@klos.example".to_owned(), ("451 not now".to_owned(), 1));
    let email = remind(&w, &invoice, 3);
    attempted(&w, &email, 1);
    change_customer(&w, &buyer, json!({ "email": "new@klos.example" }));
    office.hurry();
    assert_eq!(settled(&w, &email, "sent")["to"], json!(["new@klos.example"]));
    assert_eq!(office.mailbox(1)[0].to, ["new@klos.example"]);
}

#[test]
fn a_sign_in_that_was_forgotten_loses_no_e_mail() {
    let office = Office::new();
    let w = office.organization();
    office.mail.rules().account = Some("nobody".to_owned());
    let email = send(&w, &invoice_to(&w, &customer(&w, "ksiegowosc@klos.example")), json!({}));
    let waiting = attempted(&w, &email, 1);
    assert_eq!((&waiting["status"], &waiting["problem"]), (&json!("queued"), &json!("server_unavailable")));
    office.mail.rules().account = None;
    office.hurry();
    settled(&w, &email, "sent");
    office.mailbox(1);
}

#[test]
fn a_subject_that_stands_for_nothing_is_the_number() {
    let office = Office::new();
    let w = office.organization();
    let text =
        |kind: &str| json!({ "kind": kind, "language": "pl", "subject": "{{invoice.bank_account}}", "body": "x" });
    let reminders = json!({ "hour": 9, "steps": [{ "days_after_due": 3 }] });
    let texts = json!({ "email": { "texts": [text("issued"), text("reminder")] }, "reminders": reminders });
    w.owner.at(2).patch("/organization", texts).expect(200);
    let buyer = customer(&w, "ksiegowosc@klos.example");
    let series = w.number_series().name(buyer.id()).with("pattern", pattern(&buyer)).create();
    let draft = w.invoice_draft(buyer.id(), series.id()).with("payment_method", "cash").create();
    let invoice = w.issue(&draft, "2026-01-31");
    assert_eq!(invoice["bank_account"], Value::Null);
    settled(&w, &send(&w, &invoice, json!({})), "sent");
    let reminder = settled(&w, &remind(&w, &invoice, 3), "sent");
    assert_eq!((&reminder["subject"], &reminder["attempts"]), (&invoice["number"], &json!(1)));
    office.mailbox(2);
}

#[test]
fn what_a_mail_server_says_is_noted_whatever_it_says() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    let refusal = ("550 no\0such\u{1b}user".to_owned(), 1);
    office.mail.rules().recipients.insert("ksiegowosc@klos.example".to_owned(), refusal);
    let email = settled(&w, &send(&w, &invoice, json!({})), "bounced");
    let detail = email["problem_detail"].as_str().unwrap();
    assert!(detail.ends_with("550): no such user"), "{detail}");
}

#[test]
fn whoever_is_named_twice_gets_it_once() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    let twice = json!({ "to": ["a@klos.example"], "cc": ["a@klos.example", "b@klos.example"] });
    settled(&w, &send(&w, &invoice, twice), "sent");
    assert_eq!(office.mailbox(1)[0].to, ["a@klos.example", "b@klos.example"]);
}

#[test]
fn a_repeated_request_sends_once() {
    let office = Office::new();
    let w = office.organization();
    let invoice = invoice_to(&w, &customer(&w, "ksiegowosc@klos.example"));
    let path = format!("/invoices/{}/emails", invoice.id());
    let client = w.owner.once("the same");
    let answers = at_once(8, |_| client.post(&path, json!({})).status);
    assert!(answers.iter().all(|status| matches!(status, 201 | 409)), "{answers:?}");
    let all = emails(&w, "");
    assert_eq!(all.len(), 1);
    settled(&w, &all[0], "sent");
    office.mailbox(1);
}

/// `OPIEKUN_TEST_SUBSCRIPTIONS` is how many; the figures go to the test's output.
#[test]
fn a_run_with_e_mails_into_a_server_that_stops_and_starts_loses_and_doubles_none() {
    let count: usize = std::env::var("OPIEKUN_TEST_SUBSCRIPTIONS").map_or(24, |count| count.parse().unwrap());
    let mut office = Office::with_nodes(2);
    office.mail.keep_headers_only();
    let w = office.organization();
    w.owner.at(2).patch("/organization", json!({ "email_invoices": true })).expect(200);
    let template = w.template();
    let first = customer(&w, "k0@klos.example");
    w.subscription(template.id(), first.id()).create();
    multiply(&office.database, count);

    let began = Instant::now();
    let run = json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" });
    let run = w.owner.post("/invoice-runs", run).expect(202);
    let mut restarts = 0;
    let limit = Duration::from_secs(60 + u64::try_from(count).unwrap() / 2);
    let is_sent = |office: &Office| {
        let sql = format!(
            "select count(*) filter (where status = 'sent') = {count} and count(*) = {count} from invoice_emails"
        );
        office.database.text_rows(&sql)[0].as_deref() == Some("true")
    };
    while !is_sent(&office) {
        assert!(began.elapsed() < limit, "{} of {count} after {:?}", office.mail.count(), began.elapsed());
        let before = office.mail.count();
        let step = (count / 5).clamp(1, 1_500);
        let until = Instant::now() + Duration::from_secs(20);
        while !is_sent(&office) && office.mail.count() < before + step && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(50));
            office.hurry_where_it_waits_for_the_server();
        }
        if !is_sent(&office) {
            office.mail.stop();
            std::thread::park_timeout(Duration::from_millis(700));
            office.mail.start_again();
            restarts += 1;
        }
    }
    let took = began.elapsed();
    assert_eq!(w.reread("/invoice-runs", &run)["counts"]["invoiced"], count);
    let received = office.mail.received();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    received.iter().for_each(|it| *times.entry(it.to.join(",")).or_default() += 1);
    let wrong: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty(), "doubled: {wrong:?}");
    assert_eq!((times.len(), received.len()), (count, count));
    assert!(restarts >= 2, "{restarts}");
    let memory = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
    println!(
        "{count} e-mails in {:.1} s with {restarts} restarts: {} a second; {peak}",
        took.as_secs_f32(),
        u128::try_from(count).unwrap() * 1_000 / took.as_millis()
    );
}

impl Office {
    /// An hour of patience is not what the test is about.
    fn hurry_where_it_waits_for_the_server(&self) {
        let sql = "update invoice_emails set next_attempt_at = now()
                   where status = 'queued' and problem = 'server_unavailable' and next_attempt_at > now() + interval '3 seconds'
                   and next_attempt_at < now() + interval '10 minutes'";
        connection(&self.database.url).batch_execute(sql).unwrap();
    }
}

/// As many customers and subscriptions as there are to be, each like the first, with an address of its own.
fn multiply(database: &Scratch, count: usize) {
    let columns = |table| crate::support::firm::columns(&database.url, table);
    let customer = columns("customers");
    let like = customer.replace(" id,", " customer_id,").replace(" email,", " 'k' || n || '@klos.example',");
    let sql = format!(
        "create temporary table others as
             select n, gen_random_uuid() as customer_id, gen_random_uuid() as id from generate_series(1, {count} - 1) n;
         insert into customers ({customer}) select {like} from customers like_it, others;
         insert into subscriptions
             select (jsonb_populate_record(like_it, to_jsonb(others) - 'n')).* from subscriptions like_it, others;
         analyze;"
    );
    connection(&database.url).batch_execute(&sql).unwrap();
}

#[test]
fn whoever_signs_in_at_a_mail_server_is_let_in_and_nobody_else() {
    let mail = MailServer::start();
    // "\0faktury\0tajne"
    mail.rules().account = Some("AGZha3R1cnkAdGFqbmU=".to_owned());
    let with = |account: &str| SmtpServer::parse(&format!("smtp://{account}{}", mail.address())).unwrap().check();
    assert_eq!(with("faktury:tajne@"), Ok(()));
    let refused = with("faktury:inne@").unwrap_err().to_string();
    assert!(refused.contains("535") && !refused.contains("inne"), "{refused}");
}

#[test]
fn what_is_to_be_encrypted_is_sent_to_nobody_else() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let certificate = Certificate::new();
    let trusted = std::env::temp_dir().join(format!("opiekun-{}.pem", uuid::Uuid::now_v7()));
    std::fs::write(&trusted, &certificate.pem).unwrap();
    let (implicit, started) = (MailServer::with_tls(&certificate), MailServer::with_starttls(&certificate));
    let plain = MailServer::start();
    for mail in [&implicit, &started] {
        mail.rules().account = Some("AGZha3R1cnkAdGFqbmU=".to_owned());
    }
    let check = |scheme: &str, mail: &MailServer, is_trusted: bool| {
        let url = format!("{scheme}://faktury:tajne@localhost:{}?tls=required", mail.address().port());
        let mut command = crate::support::opiekun(&database.url);
        command.arg("check").env("OPIEKUN_SMTP_URL", url);
        if is_trusted {
            command.env("SSL_CERT_FILE", &trusted);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("tajne"), "{said}");
        let line = said.lines().find(|line| line.contains("mail server")).unwrap().to_owned();
        (output.status.success(), line)
    };
    for (scheme, mail) in [("smtps", &implicit), ("smtp", &started)] {
        let (is_fine, said) = check(scheme, mail, true);
        assert!(is_fine, "{said}");
        // A certificate that nobody vouches for.
        let (is_fine, said) = check(scheme, mail, false);
        assert!(!is_fine && said.contains("certificate"), "{said}");
    }
    // A server that does not encrypt hears nothing.
    let (is_fine, said) = check("smtp", &plain, true);
    assert!(!is_fine && said.contains("STARTTLS"), "{said}");
    std::fs::remove_file(&trusted).unwrap();
}

#[test]
fn the_command_checks_the_mail_server() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let mut mail = MailServer::start();
    let check = |url: &str| {
        let output = crate::support::opiekun(&database.url).arg("check").env("OPIEKUN_SMTP_URL", url).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (is_fine, said) = check(&mail.url());
    assert!(is_fine && said.contains("ok      mail server 127.0.0.1:"), "{said}");
    let url = mail.url();
    mail.stop();
    let (is_fine, said) = check(&url);
    assert!(!is_fine && said.contains("amiss   the mail server 127.0.0.1:"), "{said}");
}

#[test]
fn a_process_sends_with_the_server_that_its_environment_names() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let db = Db::connect(&database.url, 4).unwrap();
    let mail = MailServer::start();
    let url = format!("{}?from=faktury@dostawca.example", mail.url());
    let process = Process::serve_with(&database.url, &[("OPIEKUN_SMTP_URL", &url)]);
    let server = Server::over(&db, |_| {});
    let w = World::within(&db, |_| {}).on(&server);
    let email = send(&w, &invoice_to(&w, &customer(&w, "ksiegowosc@klos.example")), json!({}));
    eventually_within(Duration::from_secs(60), "the e-mail", || (mail.count() == 1).then_some(()));
    settled(&w, &email, "sent");
    assert_eq!(mail.received()[0].from, "faktury@dostawca.example");
    drop(process);
}
