//! The organization itself: seller on its invoices, its currency, time zone and rules.

use crate::actor::Actor;
use crate::body::Patch;
use crate::invoice_emails::{EmailSettingsBody, RemindersBody};
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::State;
use crate::values::{AddressBody, TaxIdBody};
use actix_web::{get, patch, web};
use chrono::{DateTime, Utc};
use opiekun_documents::image_size::image_size;
use opiekun_documents::invoice_page::{Look, samples};
use opiekun_domain::currency::Currency;
use opiekun_domain::iban;
use opiekun_domain::ids::{FileId, OrganizationId};
use opiekun_domain::invoice_layout::COLOR_DEFAULT;
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_files::ObjectName;
use opiekun_persistence::organizations::{BankAccount, Organization, OrganizationFields};
use opiekun_persistence::{Json, StoreError, Tx, files, organizations};
use opiekun_typesetting::{FileName, Job};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config.service(get_organization).service(update_organization);
}

/// What an owner may write of the organization.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrganizationInput {
    /// As it stands on invoices.
    #[schema(min_length = 1, max_length = 240, example = "Biuro Rachunkowe Kropka sp. z o.o.")]
    pub legal_name: String,
    pub tax_id: TaxIdBody,
    pub address: AddressBody,
    /// The accounts that customers pay to.
    #[schema(max_items = 20)]
    #[serde(default)]
    #[validate(nested)]
    pub bank_accounts: Vec<BankAccountBody>,
    /// The currency of rates, costs and, unless a template says otherwise, invoices.
    pub currency: Currency,
    /// An IANA time zone; its calendar days are the organization's.
    #[schema(min_length = 1, max_length = 60, example = "Europe/Warsaw")]
    #[validate(custom(function = known_time_zone))]
    pub time_zone: String,
    /// The language of what it is sent.
    pub locale: Language,
    /// Started units of so many minutes are billed whole, unless a customer has a rule of its own.
    #[schema(minimum = 1, maximum = 480, example = 15)]
    #[serde(default)]
    pub round_up_minutes: Option<i32>,
    /// An image (PNG or JPEG) that the caller may read, of at most 2 MiB and 4000 × 4000 pixels: it stands on invoices. From
    /// then on everybody in the organization may read it.
    #[serde(default)]
    pub logo_file_id: Option<FileId>,
    /// When all that is due is issued by itself, every day; never, where it is null.
    #[serde(default)]
    pub automatic_invoicing: Option<AutomaticInvoicingBody>,
    /// From whom e-mails to customers come, and in which words.
    #[serde(default)]
    #[validate(nested)]
    pub email: EmailSettingsBody,
    /// Whether invoices of subscriptions are sent to the customer's e-mail address by themselves when they are issued,
    /// with their PDF and structured e-invoice, unless the subscription says otherwise.
    #[schema(default = false)]
    #[serde(default)]
    pub email_invoices: bool,
    /// When, and how often, customers are reminded by e-mail of invoices that they have not paid in full; never, where it is
    /// null.
    #[serde(default)]
    #[validate(nested)]
    pub reminders: Option<RemindersBody>,
}

/// The daily automatic run. It issues what is due through its day, dated that day, as an invoice run that anybody can
/// look at (`automatic`). Only a server that is set to do so (`OPIEKUN_AUTO_INVOICING`) begins it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = AutomaticInvoicing)]
#[serde(deny_unknown_fields)]
pub struct AutomaticInvoicingBody {
    /// When it begins, in `time_zone`: once a day, also where the hour comes twice, and at the next moment where it is
    /// skipped. A server that was down then begins it later on the same day. An hour that has passed when it is set
    /// counts from the next day on.
    #[schema(minimum = 0, maximum = 23, example = 6)]
    pub hour: i16,
}

/// An account that customers pay to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = BankAccount)]
#[serde(deny_unknown_fields)]
pub struct BankAccountBody {
    /// IBAN without spaces; its check digits are checked (ISO 13616).
    #[schema(pattern = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", example = "PL61109010140000071219812874")]
    #[validate(custom(function = valid_iban))]
    pub iban: String,
    pub currency: Currency,
    #[schema(max_length = 120, example = "Bank Przykładowy")]
    #[serde(default)]
    pub bank_name: Option<String>,
    /// The bank's code (BIC), which those who pay from abroad need.
    #[schema(pattern = r"^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$", example = "BPKOPLPWXXX")]
    #[serde(default)]
    pub swift: Option<String>,
}

/// The organization of the caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct OrganizationBody {
    pub id: OrganizationId,
    #[serde(flatten)]
    pub organization: OrganizationInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Organization> for OrganizationBody {
    fn from(row: Organization) -> Self {
        // From when on hours count follows from what was set when, which the audit log tells.
        let Organization {
            id,
            fields,
            automatic_invoicing_set_at: _,
            reminders_set_at: _,
            version,
            created_at,
            updated_at,
        } = row;
        Self { id, organization: fields.into(), version, created_at, updated_at }
    }
}

impl From<OrganizationFields> for OrganizationInput {
    fn from(fields: OrganizationFields) -> Self {
        let OrganizationFields {
            legal_name,
            tax_scheme,
            tax_country,
            tax_number,
            address,
            bank_accounts,
            currency,
            time_zone,
            locale,
            round_up_minutes,
            logo_file_id,
            automatic_invoicing_hour,
            email,
            email_invoices,
            reminders,
        } = fields;
        Self {
            legal_name,
            tax_id: TaxIdBody::of(tax_scheme, tax_country, tax_number),
            address: address.0.into(),
            bank_accounts: bank_accounts.0.into_iter().map(BankAccountBody::from).collect(),
            currency,
            time_zone,
            locale,
            round_up_minutes,
            logo_file_id,
            automatic_invoicing: automatic_invoicing_hour.map(|hour| AutomaticInvoicingBody { hour }),
            email: email.0.into(),
            email_invoices,
            reminders: reminders.map(|schedule| schedule.0.into()),
        }
    }
}

impl OrganizationInput {
    fn fields(self) -> Result<OrganizationFields, ApiError> {
        let tax_id = self.tax_id.check("/tax_id")?;
        Ok(OrganizationFields {
            legal_name: self.legal_name,
            tax_scheme: tax_id.scheme(),
            tax_country: tax_id.country().map(str::to_owned),
            tax_number: tax_id.number().map(str::to_owned),
            address: Json(self.address.into()),
            bank_accounts: Json(self.bank_accounts.into_iter().map(BankAccount::from).collect()),
            currency: self.currency,
            time_zone: self.time_zone,
            locale: self.locale,
            round_up_minutes: self.round_up_minutes,
            logo_file_id: self.logo_file_id,
            automatic_invoicing_hour: self.automatic_invoicing.map(|it| it.hour),
            email: Json(self.email.into()),
            email_invoices: self.email_invoices,
            reminders: self.reminders.map(|body| Json(body.into())),
        })
    }
}

impl From<BankAccount> for BankAccountBody {
    fn from(account: BankAccount) -> Self {
        let BankAccount { iban, currency, bank_name, swift } = account;
        Self { iban, currency, bank_name, swift }
    }
}

impl From<BankAccountBody> for BankAccount {
    fn from(body: BankAccountBody) -> Self {
        let BankAccountBody { iban, currency, bank_name, swift } = body;
        Self { iban, currency, bank_name, swift }
    }
}

/// Show the organization.
///
/// The caller's own: there is no way to another.
#[utoipa::path(tag = "Organization", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = OrganizationBody)))]
#[get("/organization")]
async fn get_organization(state: web::Data<State>, actor: Actor, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let organization = organizations::find(tx)?;
            shape.one(tx, organization.version, &OrganizationBody::from(organization))
        })
        .await
}

/// Change the organization.
///
/// Invoices that are issued already keep what they were issued with. A logo that is replaced, and is on no record, goes with
/// its file.
#[utoipa::path(tag = "Organization", security(("sign_in" = ["admin:write"])), params(IfMatch),
    request_body(content = OrganizationInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = OrganizationBody)))]
#[patch("/organization")]
async fn update_organization(
    state: web::Data<State>,
    actor: Actor,
    seen: IfMatch,
    patch: Patch<OrganizationInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    if let Some(Value::String(id)) = patch.field("logo_file_id")
        && let Ok(id) = id.parse()
    {
        check_logo_image(&state, &actor, id).await?;
    }
    state
        .transaction(scope, move |tx| {
            let organization = organizations::lock(tx, seen.0)?;
            let fields = patch.apply(&organization.fields.clone().into())?.fields()?;
            check_logo(tx, &actor, organization.fields.logo_file_id, fields.logo_file_id)?;
            let organization = organizations::update(tx, &organization, fields)?;
            Ok(Reply::at_version(organization.version, &OrganizationBody::from(organization)))
        })
        .await
}

/// What is drawn of a logo takes time and memory on every invoice, and one that cannot be drawn would be the end of all of
/// them: it is tried out. One that is not there is refused later.
async fn check_logo_image(state: &State, actor: &Actor, id: FileId) -> Result<(), ApiError> {
    const BYTES_MAX: u64 = 2 << 20;
    const SIDE_MAX: u32 = 4000;
    let (scope, reader) = (actor.scope(Permission::AdminWrite)?, actor.reader());
    let organization_id = scope.organization_id.0;
    let found = state.read(scope, move |tx| Ok(files::find_all(tx, reader, &[id])?.pop())).await?;
    let Some(file) = found else { return Ok(()) };
    let Some(name) = FileName::of_logo(&file.media_type) else { return Ok(()) };
    let size = u64::try_from(file.size_bytes).map_err(ApiError::internal)?;
    if size > BYTES_MAX {
        return Err(ApiError::invalid_field("/logo_file_id", "size", "A logo has at most 2 MiB"));
    }
    let object = ObjectName { organization_id, object_id: file.object_id.0 };
    let content = state.files.read(object, 0..size).await.map_err(ApiError::unavailable)?;
    match image_size(&content) {
        Some((width, height)) if width <= SIDE_MAX && height <= SIDE_MAX => {}
        _ => return Err(ApiError::invalid_field("/logo_file_id", "size", "A logo has at most 4000 × 4000 pixels")),
    }
    let look = Look { color: COLOR_DEFAULT, footer: None, logo: Some(name.path()), is_bilingual: false };
    let [data, _] = samples(look).map_err(ApiError::internal)?;
    let job = Job { layout: None, ident: "sample".to_owned(), data, files: vec![(name, content.to_vec())] };
    let set = state.typesetter.set(job).await?;
    set.map(drop).map_err(|error| ApiError::invalid_field("/logo_file_id", "image", error.message))
}

/// A new logo is an image, and one that the caller may read: otherwise whoever guesses its id would open it.
fn check_logo(tx: &mut Tx<'_>, actor: &Actor, before: Option<FileId>, after: Option<FileId>) -> Result<(), ApiError> {
    let Some(id) = after.filter(|after| before != Some(*after)) else { return Ok(()) };
    match files::lock(tx, actor.reader(), id, None) {
        Err(StoreError::NotFound(_)) => Err(ApiError::reference_not_found("/logo_file_id")),
        Ok(file) if FileName::of_logo(&file.media_type).is_none() => {
            Err(ApiError::invalid_field("/logo_file_id", "media_type", "A logo is a PNG or JPEG image"))
        }
        other => other.map(drop).map_err(ApiError::from),
    }
}

fn known_time_zone(name: &str) -> Result<(), ValidationError> {
    name.parse::<chrono_tz::Tz>()
        .map(|_| ())
        .map_err(|_| ValidationError::new("time_zone").with_message("Is no IANA time zone".into()))
}

fn valid_iban(iban: &str) -> Result<(), ValidationError> {
    let problem = || ValidationError::new("iban").with_message("The check digits do not match".into());
    iban::checks(iban).then_some(()).ok_or_else(problem)
}
