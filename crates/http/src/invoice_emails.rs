//! Invoices by e-mail: asked for, followed, tried again; and in whose words they come.

use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{get, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::email_text::EmailText;
use opiekun_domain::ids::{CustomerId, InvoiceEmailId, InvoiceId};
use opiekun_domain::invoice::InvoiceStatus;
use opiekun_domain::invoice_email::{EmailProblem, EmailReason, EmailSettings, EmailStatus, EmailTextKind, EmailWords};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_domain::reminder::{ReminderSchedule, ReminderStep, StepWords};
use opiekun_persistence::invoice_emails::{InvoiceEmail, InvoiceEmailFilter, NewEmail};
use opiekun_persistence::{Page, Tx, invoice_emails, invoices};
use opiekun_rendering::Correspondence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::openapi::schema::{Array, ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_emails_of_invoice)
        .service(create_invoice_email)
        .service(list_invoice_emails)
        .service(get_invoice_email)
        .service(retry_invoice_email);
}

/// From whom e-mails come, and in which words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = EmailSettings)]
#[serde(deny_unknown_fields)]
pub struct EmailSettingsBody {
    /// What the sender is called; the legal name unless told.
    #[schema(min_length = 1, max_length = 120, pattern = r"^[^\r\n]+$", example = "Biuro Kropka")]
    #[serde(default)]
    pub from_name: Option<String>,
    /// The address that they come from, and where what bounces later goes. Your mail server has to accept it as a sender.
    /// The server's own unless told.
    #[schema(format = "email", max_length = 254, example = "faktury@kropka.example")]
    #[serde(default)]
    pub from_address: Option<String>,
    /// Where answers go, if not to the sender.
    #[schema(format = "email", max_length = 254, example = "biuro@kropka.example")]
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Texts that take the place of the built-in ones, at most one of each kind in each language. An invoice is written
    /// about in its own language.
    #[schema(max_items = 4)]
    #[serde(default)]
    #[validate(nested, custom(function = different_texts))]
    pub texts: Vec<EmailWordsBody>,
}

/// Subject and body of e-mails of a kind in a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = EmailWords, example = json!({
    "kind": "issued", "language": "pl", "subject": "Faktura {{invoice.number}}",
    "body": "Dzień dobry,\n\nw załączeniu faktura {{invoice.number}} na kwotę {{invoice.gross}}.\n\n{{invoice.payment_details}}",
}))]
#[serde(deny_unknown_fields)]
pub struct EmailWordsBody {
    /// `issued`: with an invoice, whether it is sent by itself or asked for. `reminder`: that it is not paid.
    pub kind: EmailTextKind,
    pub language: Language,
    /// Placeholders are filled in when it is sent: those of the texts of invoice templates, and `{{invoice.title}}`,
    /// `{{invoice.number}}`, `{{invoice.issued_on}}`, `{{invoice.sold_on}}`, `{{invoice.due_on}}`, `{{invoice.net}}`,
    /// `{{invoice.vat}}`, `{{invoice.gross}}`, `{{invoice.owed}}`, `{{invoice.currency}}`, `{{invoice.bank_account}}`,
    /// `{{invoice.days_overdue}}`, `{{invoice.payment_details}}`, `{{organization.name}}`. An unknown one is refused.
    #[schema(min_length = 1, max_length = 240)]
    #[validate(custom(function = known_email_placeholders))]
    pub subject: String,
    /// Plain text, with the same placeholders.
    #[schema(min_length = 1, max_length = 10000)]
    #[validate(custom(function = known_email_placeholders))]
    pub body: String,
}

fn different_texts(texts: &[EmailWordsBody]) -> Result<(), ValidationError> {
    let is_twice = |(place, text): (usize, &EmailWordsBody)| {
        texts[..place].iter().any(|other| (other.kind, other.language) == (text.kind, text.language))
    };
    if texts.iter().enumerate().any(is_twice) {
        return Err(ValidationError::new("uniqueItems").with_message("A kind has one text in a language".into()));
    }
    Ok(())
}

fn known_email_placeholders(text: &str) -> Result<(), ValidationError> {
    EmailText::new(text)
        .map(|_| ())
        .map_err(|problem| ValidationError::new("placeholder").with_message(capitalised(&problem.to_string()).into()))
}

impl From<EmailSettings> for EmailSettingsBody {
    fn from(settings: EmailSettings) -> Self {
        let EmailSettings { from_name, from_address, reply_to, texts } = settings;
        let texts = texts.into_iter().map(EmailWordsBody::from).collect();
        Self { from_name, from_address, reply_to, texts }
    }
}

impl From<EmailSettingsBody> for EmailSettings {
    fn from(body: EmailSettingsBody) -> Self {
        let EmailSettingsBody { from_name, from_address, reply_to, texts } = body;
        Self { from_name, from_address, reply_to, texts: texts.into_iter().map(EmailWords::from).collect() }
    }
}

impl From<EmailWords> for EmailWordsBody {
    fn from(words: EmailWords) -> Self {
        let EmailWords { kind, language, subject, body } = words;
        Self { kind, language, subject, body }
    }
}

impl From<EmailWordsBody> for EmailWords {
    fn from(body: EmailWordsBody) -> Self {
        let EmailWordsBody { kind, language, subject, body } = body;
        Self { kind, language, subject, body }
    }
}

/// Reminders of invoices that are not paid: by e-mail, with a copy as PDF, once a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = Reminders)]
#[serde(deny_unknown_fields)]
pub struct RemindersBody {
    /// When it is looked, in `time_zone`, once a day, who is to be reminded. A server that was down then does so later on the
    /// same day.
    #[schema(minimum = 0, maximum = 23, example = 9)]
    pub hour: i16,
    /// Each of another day. Of several that were missed, the last one is made up for; those whose day was before this was
    /// set, or before the invoice was issued, are not.
    #[schema(min_items = 1, max_items = 10)]
    #[validate(nested, custom(function = different_days))]
    pub steps: Vec<ReminderStepBody>,
}

/// A step of the reminders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ReminderStep, example = json!({ "days_after_due": 7, "open_task": true, "texts": [] }))]
#[serde(deny_unknown_fields)]
pub struct ReminderStepBody {
    /// How many days after the day of payment; before it where it is less than 0.
    #[schema(minimum = -60, maximum = 365)]
    pub days_after_due: i16,
    /// Whether the customer's caretaker is given a task, too.
    #[schema(default = false)]
    #[serde(default)]
    pub open_task: bool,
    /// What this step says, at most once in each language, in place of the texts of kind `reminder` in `email`.
    #[schema(max_items = 2)]
    #[serde(default)]
    #[validate(nested, custom(function = different_languages))]
    pub texts: Vec<StepWordsBody>,
}

/// Subject and body of a step in a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ReminderWords, example = json!({
    "language": "pl", "subject": "Wezwanie do zapłaty: {{invoice.number}}", "body": "{{invoice.payment_details}}",
}))]
#[serde(deny_unknown_fields)]
pub struct StepWordsBody {
    pub language: Language,
    /// With placeholders as in `email.texts`.
    #[schema(min_length = 1, max_length = 240)]
    #[validate(custom(function = known_email_placeholders))]
    pub subject: String,
    #[schema(min_length = 1, max_length = 10000)]
    #[validate(custom(function = known_email_placeholders))]
    pub body: String,
}

fn different_days(steps: &[ReminderStepBody]) -> Result<(), ValidationError> {
    let days = steps.iter().map(|step| step.days_after_due).collect::<BTreeSet<_>>();
    if days.len() < steps.len() {
        return Err(ValidationError::new("uniqueItems").with_message("A day has one step".into()));
    }
    Ok(())
}

fn different_languages(texts: &[StepWordsBody]) -> Result<(), ValidationError> {
    let languages = texts.iter().map(|text| text.language).collect::<BTreeSet<_>>();
    if languages.len() < texts.len() {
        return Err(ValidationError::new("uniqueItems").with_message("A step has one text in a language".into()));
    }
    Ok(())
}

impl From<ReminderSchedule> for RemindersBody {
    fn from(schedule: ReminderSchedule) -> Self {
        let ReminderSchedule { hour, steps } = schedule;
        let words = |StepWords { language, subject, body }| StepWordsBody { language, subject, body };
        let step = |ReminderStep { days_after_due, open_task, texts }| {
            let texts = texts.into_iter().map(words).collect();
            ReminderStepBody { days_after_due, open_task, texts }
        };
        Self { hour, steps: steps.into_iter().map(step).collect() }
    }
}

impl From<RemindersBody> for ReminderSchedule {
    fn from(body: RemindersBody) -> Self {
        let RemindersBody { hour, steps } = body;
        let words = |StepWordsBody { language, subject, body }| StepWords { language, subject, body };
        let step = |ReminderStepBody { days_after_due, open_task, texts }| {
            let texts = texts.into_iter().map(words).collect();
            ReminderStep { days_after_due, open_task, texts }
        };
        Self { hour, steps: steps.into_iter().map(step).collect() }
    }
}

/// An e-mail that is asked for. What is left out is as the organization and the customer have it.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct InvoiceEmailInput {
    #[schema(schema_with = recipients_schema)]
    #[serde(default)]
    pub to: Option<Vec<String>>,
    #[schema(schema_with = cc_schema)]
    #[serde(default)]
    pub cc: Vec<String>,
    /// With the same placeholders as the organization's texts, from which it comes unless told.
    #[schema(min_length = 1, max_length = 240, example = "Invoice {{invoice.number}}")]
    #[serde(default)]
    #[validate(custom(function = known_email_placeholders))]
    pub subject: Option<String>,
    /// Plain text, with the same placeholders.
    #[schema(min_length = 1, max_length = 10000)]
    #[serde(default)]
    #[validate(custom(function = known_email_placeholders))]
    pub body: Option<String>,
    /// Whether its PDF comes with it.
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub attach_pdf: bool,
    /// Whether its structured e-invoice comes with it, where there is one.
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub attach_xml: bool,
}

const fn yes() -> bool {
    true
}

/// The schema of a list of e-mail addresses.
fn addresses_schema() -> Array {
    addresses("E-mail addresses; none, where the customer has none.").build()
}

fn cc_schema() -> Array {
    addresses("Who else gets it, as everybody who does can see.").build()
}

/// One that names somebody, or is left out.
fn recipients_schema() -> Array {
    let example = serde_json::json!(["ksiegowosc@klos.example"]);
    let kinds = SchemaType::Array(vec![Type::Array, Type::Null]);
    addresses("Whom it goes to; the customer's e-mail address unless told.")
        .schema_type(kinds)
        .min_items(Some(1))
        .examples([example])
        .build()
}

fn addresses(description: &str) -> ArrayBuilder {
    let address = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .min_length(Some(3))
        .max_length(Some(254))
        .examples([serde_json::json!("ksiegowosc@klos.example")]);
    ArrayBuilder::new().description(Some(description)).items(address).max_items(Some(20)).unique_items(true)
}

/// An invoice on its way to somebody by e-mail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceEmail)]
pub struct InvoiceEmailBody {
    pub id: InvoiceEmailId,
    pub invoice_id: InvoiceId,
    pub customer_id: CustomerId,
    pub reason: EmailReason,
    /// Which step of the reminders it is: so many days after the day of payment, or before it where less than 0. Null of
    /// what is no reminder.
    #[schema(example = 7)]
    pub days_after_due: Option<i16>,
    /// `queued`: it waits for its turn, or to be tried again. `sent`: the mail server took it. `bounced`: the mail server
    /// refused the recipient or the message for good. `failed`: it could not be sent. `cancelled`: it was not needed any more.
    pub status: EmailStatus,
    /// What kept it from being sent, the last time that it was tried; null once it is.
    pub problem: Option<EmailProblem>,
    /// What the mail server said, or what else is known.
    #[schema(max_length = 1000, example = "550 5.1.1 No such user here")]
    pub problem_detail: Option<String>,
    #[schema(schema_with = addresses_schema)]
    pub to: Vec<String>,
    #[schema(schema_with = addresses_schema)]
    pub cc: Vec<String>,
    /// Null until it is first tried, where it comes by itself.
    #[schema(max_length = 1000, example = "Faktura FV/1/11/2026 – Biuro Kropka")]
    pub subject: Option<String>,
    /// As the subject.
    #[schema(max_length = 100000, example = "Dzień dobry, …")]
    pub body: Option<String>,
    /// The sender of the last attempt.
    #[schema(max_length = 254, example = "faktury@kropka.example")]
    pub from_address: Option<String>,
    /// The `Message-ID`, the same however often it is tried: should a connection break at the last moment, whoever gets it
    /// twice can tell. Null until it is first tried.
    #[schema(max_length = 400, example = "<0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa@kropka.example>")]
    pub message_id: Option<String>,
    pub attach_pdf: bool,
    pub attach_xml: bool,
    /// How often it was tried.
    #[schema(minimum = 0, example = 1)]
    pub attempts: i32,
    /// When it is tried next, at the earliest, or is being tried; null where it is not.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the mail server took it.
    #[schema(example = "2026-11-23T09:15:02Z")]
    pub sent_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<InvoiceEmail> for InvoiceEmailBody {
    fn from(row: InvoiceEmail) -> Self {
        let message_id = row.message_id();
        let InvoiceEmail {
            id,
            invoice_id,
            customer_id,
            reason,
            days_after_due,
            status,
            problem,
            problem_detail,
            recipients,
            cc,
            subject,
            body,
            from_address,
            attach_pdf,
            attach_xml,
            // Who asked is told by the audit log.
            requested_by_kind: _,
            requested_by_id: _,
            attempts,
            queued_at: _,
            next_attempt_at,
            sent_at,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            invoice_id,
            customer_id,
            reason,
            days_after_due,
            status,
            problem,
            problem_detail,
            to: recipients,
            cc,
            subject,
            body,
            from_address,
            message_id,
            attach_pdf,
            attach_xml,
            attempts,
            next_attempt_at,
            sent_at,
            version,
            created_at,
            updated_at,
        }
    }
}

impl InvoiceEmailInput {
    /// The e-mail about an invoice, with every placeholder filled in.
    fn email(self, tx: &mut Tx<'_>, invoice_id: InvoiceId, has_sender: bool) -> Result<NewEmail, ApiError> {
        let correspondence = Correspondence::load(tx, invoice_id)?;
        match correspondence.invoice.fields.status {
            InvoiceStatus::Issued => {}
            status => return Err(ApiError::state_invalid(status.as_str(), "Only what is issued is sent")),
        }
        let settings = &correspondence.organization.fields.email.0;
        if settings.from_address.is_none() && !has_sender {
            let detail = "The organization has no address to send from: email.from_address of /organization";
            return Err(ApiError::state_invalid(EmailProblem::NoSender.as_str(), detail));
        }
        let own = correspondence.customer.fields.email.iter().cloned().collect();
        let recipients: Vec<String> = self.to.unwrap_or(own);
        if recipients.is_empty() {
            let detail = "The customer has no e-mail address, and `to` names none";
            return Err(ApiError::state_invalid(EmailProblem::NoRecipient.as_str(), detail));
        }
        let now = tx.now;
        let (subject, body) = correspondence.words(EmailReason::Requested, None, now);
        let read = |text: Option<String>| text.and_then(|text| EmailText::new(&text).ok());
        Ok(NewEmail {
            invoice_id,
            customer_id: correspondence.customer.id,
            recipients,
            cc: self.cc,
            subject: read(self.subject).map_or(subject, |text| correspondence.subject(&text, now)),
            body: read(self.body).map_or(body, |text| correspondence.body(&text, now)),
            attach_pdf: self.attach_pdf,
            attach_xml: self.attach_xml,
        })
    }
}

/// How e-mails are sent, or the refusal of a server that sends none.
fn has_sender(state: &State) -> Result<bool, ApiError> {
    let detail = "This server sends no e-mails: whoever runs it has set no OPIEKUN_SMTP_URL";
    state.mail.map(|mail| mail.has_sender).ok_or_else(|| ApiError::state_invalid("no_mail_server", detail))
}

/// Which e-mails.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceEmailQuery {
    status: Option<EmailStatus>,
    invoice_id: Option<InvoiceId>,
    customer_id: Option<CustomerId>,
}

/// List the e-mails of an invoice.
///
/// Those that were asked for and those that came by themselves. Newest first.
#[utoipa::path(tag = "Invoice emails", security(("sign_in" = ["billing:read"])), params(Listing<()>),
    responses((status = 200, body = PageBody<InvoiceEmailBody>)))]
#[get("/invoices/{id}/emails")]
async fn list_emails_of_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let filter = InvoiceEmailFilter { invoice_id: Some(id.0), ..InvoiceEmailFilter::default() };
    state
        .read(scope, move |tx| {
            invoices::find(tx, id.0)?;
            page(tx, &filter, &listing, &shape)
        })
        .await
}

fn page(tx: &mut Tx<'_>, filter: &InvoiceEmailFilter, listing: &Listing<()>, shape: &Shape) -> Result<Reply, ApiError> {
    let Page { items, next, total } = invoice_emails::list(tx, filter, &listing.page)?;
    let items = items.into_iter().map(InvoiceEmailBody::from).collect();
    shape.page(tx, Page { items, next, total })
}

/// Send an invoice by e-mail.
///
/// To the customer, with its PDF and its structured e-invoice, in the organization's words, unless told otherwise: `{}` will
/// do. It is queued, and sent right away in the background; follow `status` at `Location`. What a mail server does not take
/// for the moment is tried again for 5 days, with growing pauses. Each call is an e-mail of its own: repeat one with the same
/// `Idempotency-Key`. 409 for what is not issued (`draft`, `void`), and with state `no_recipient`, `no_sender` or
/// `no_mail_server` where there is nobody to send it to or from, or nothing to send it with.
#[utoipa::path(tag = "Invoice emails", security(("sign_in" = ["billing:write"])), request_body = InvoiceEmailInput,
    responses((status = 201, body = InvoiceEmailBody)))]
#[post("/invoices/{id}/emails")]
async fn create_invoice_email(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    once: Once,
    input: Valid<InvoiceEmailInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let mail = has_sender(&state);
    let reply = state
        .submit(scope, once, move |tx| {
            invoices::find(tx, id.0)?;
            let new = input.0.email(tx, id.0, mail?)?;
            let body = InvoiceEmailBody::from(invoice_emails::create(tx, new)?);
            Ok(Reply::created(&format!("/api/v1/invoice-emails/{}", body.id), body.version, &body))
        })
        .await?;
    (state.wake)();
    Ok(reply)
}

/// List e-mails.
///
/// Of all invoices, also those that came by themselves: `status=failed` and `status=bounced` are what somebody has to look
/// at. Newest first.
#[utoipa::path(tag = "Invoice emails", security(("sign_in" = ["billing:read"])), params(InvoiceEmailQuery, Listing<()>),
    responses((status = 200, body = PageBody<InvoiceEmailBody>)))]
#[get("/invoice-emails")]
async fn list_invoice_emails(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceEmailQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let InvoiceEmailQuery { status, invoice_id, customer_id } = filters.0;
    let filter = InvoiceEmailFilter { invoice_id, customer_id, status };
    state.read(scope, move |tx| page(tx, &filter, &listing, &shape)).await
}

/// Show an e-mail.
///
/// How it fares: events `invoice_email.queued`, `.sent`, `.bounced`, `.failed` and `.cancelled` tell of it too.
#[utoipa::path(tag = "Invoice emails", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = InvoiceEmailBody)))]
#[get("/invoice-emails/{id}")]
async fn get_invoice_email(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceEmailId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let body = InvoiceEmailBody::from(invoice_emails::find(tx, id.0)?);
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Have an e-mail sent again.
///
/// Only what was not sent (`bounced`, `failed`, `cancelled`), once what `problem` names is put right: it is queued anew. What
/// came by itself goes to the address that the customer has now; what was asked for, to whom it was asked for.
#[utoipa::path(tag = "Invoice emails", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = InvoiceEmailBody)))]
#[post("/invoice-emails/{id}/retries")]
async fn retry_invoice_email(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceEmailId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let mail = has_sender(&state);
    let reply = state
        .submit(scope, once, move |tx| {
            let email = invoice_emails::lock(tx, id.0)?;
            mail?;
            if !email.status.may_be_retried() {
                return Err(ApiError::state_invalid(email.status.as_str(), "Only what was not sent is sent again"));
            }
            let email = invoice_emails::requeue(tx, &email)?;
            Ok(Reply::at_version(email.version, &InvoiceEmailBody::from(email)))
        })
        .await?;
    (state.wake)();
    Ok(reply)
}
