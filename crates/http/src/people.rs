//! People: the contact persons at customers, and what they have consented to.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::interactions::InteractionBody;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::surveys::SurveyResponseBody;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{CustomerId, OperatorId, PersonId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::people::{Consent, Person, PersonFields, PersonFilter, PersonSort};
use opiekun_persistence::{Json, Page, Tx, customers, interactions, people, survey_responses};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_people)
        .service(create_person)
        .service(get_person)
        .service(update_person)
        .service(export_personal_data)
        .service(erase_personal_data);
}

/// An export holds at most so many interactions and responses, the newest.
const EXPORTED_MAX: u16 = 10_000;

/// What a caller may write of a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PersonInput {
    /// Where the person works, or who it is. It stays so: somebody who changes employers is another contact person.
    pub customer_id: CustomerId,
    #[schema(min_length = 1, max_length = 160, example = "Anna Nowak")]
    pub full_name: String,
    /// What the person does there.
    #[schema(max_length = 120, example = "Główna księgowa")]
    #[serde(default)]
    pub position: Option<String>,
    #[schema(format = "email", max_length = 254, example = "anna.nowak@klos.example")]
    #[serde(default)]
    pub email: Option<String>,
    /// E.164.
    #[schema(max_length = 16, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+48601234567")]
    #[serde(default)]
    pub phone: Option<String>,
    #[schema(max_items = 50)]
    #[serde(default)]
    #[validate(nested)]
    pub consents: Vec<ConsentBody>,
}

/// That a person agreed to have its data used for a purpose, and how that can be shown (GDPR, article 7).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = Consent)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = withdrawn_after_given))]
pub struct ConsentBody {
    /// What the data may be used for.
    #[schema(min_length = 1, max_length = 240, example = "Newsletter about changes in tax law")]
    pub purpose: String,
    pub given_at: DateTime<Utc>,
    /// How it was given: a form, a call, a signature.
    #[schema(min_length = 1, max_length = 240, example = "Form on the web page")]
    pub method: String,
    /// Since when it holds no more.
    #[serde(default)]
    pub withdrawn_at: Option<DateTime<Utc>>,
}

fn withdrawn_after_given(consent: &ConsentBody) -> Result<(), ValidationError> {
    if consent.withdrawn_at.is_some_and(|withdrawn_at| withdrawn_at < consent.given_at) {
        return Err(ValidationError::new("order").with_message("Is withdrawn before it was given".into()));
    }
    Ok(())
}

/// A contact person at a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonBody {
    pub id: PersonId,
    #[serde(flatten)]
    pub person: PersonInput,
    /// The operator who wrote it down; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// When its personal data was erased at its wish; its name reads `—` since then.
    pub erased_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Person> for PersonBody {
    fn from(row: Person) -> Self {
        // The sort name only serves the order of lists.
        let Person {
            id,
            customer_id,
            registered_by_id,
            fields,
            sort_name: _,
            erased_at,
            version,
            created_at,
            updated_at,
        } = row;
        let person = PersonInput::of(customer_id, fields);
        Self { id, person, registered_by_id, erased_at, version, created_at, updated_at }
    }
}

impl PersonInput {
    fn of(customer_id: CustomerId, fields: PersonFields) -> Self {
        let PersonFields { full_name, position, email, phone, consents } = fields;
        let consents = consents.0.into_iter().map(ConsentBody::from).collect();
        Self { customer_id, full_name, position, email, phone, consents }
    }

    fn split(self) -> (CustomerId, PersonFields) {
        let Self { customer_id, full_name, position, email, phone, consents } = self;
        let consents = Json(consents.into_iter().map(Consent::from).collect());
        (customer_id, PersonFields { full_name, position, email, phone, consents })
    }
}

impl From<Consent> for ConsentBody {
    fn from(consent: Consent) -> Self {
        let Consent { purpose, given_at, method, withdrawn_at } = consent;
        Self { purpose, given_at, method, withdrawn_at }
    }
}

impl From<ConsentBody> for Consent {
    fn from(body: ConsentBody) -> Self {
        let ConsentBody { purpose, given_at, method, withdrawn_at } = body;
        Self { purpose, given_at, method, withdrawn_at }
    }
}

/// All that is kept about a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalData {
    pub exported_at: DateTime<Utc>,
    pub person: PersonBody,
    /// What was talked about with the person, newest first.
    #[schema(max_items = 10000)]
    pub interactions: Vec<InteractionBody>,
    /// What the person answered to surveys, newest first.
    #[schema(max_items = 10000)]
    pub survey_responses: Vec<SurveyResponseBody>,
}

impl Sorting for PersonSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("full_name", Self::FullName)];
}

/// Which people.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PersonQuery {
    customer_id: Option<CustomerId>,
    /// In any case of letters.
    #[param(min_length = 1, max_length = 254)]
    email: Option<String>,
    /// E.164, `+` written as `%2B`.
    #[param(min_length = 1, max_length = 16)]
    phone: Option<String>,
    /// How the full name starts, whatever the case; Polish letters match plain ones.
    #[serde(rename = "full_name[prefix]")]
    #[param(min_length = 1, max_length = 160)]
    full_name_prefix: Option<String>,
    /// Those whose data was erased, too.
    include_erased: Option<bool>,
}

impl From<PersonQuery> for PersonFilter {
    fn from(query: PersonQuery) -> Self {
        let PersonQuery { customer_id, email, phone, full_name_prefix, include_erased } = query;
        let include_erased = include_erased.unwrap_or_default();
        Self { customer_id, email, phone, full_name_prefix, include_erased }
    }
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[PersonId]) -> Result<Vec<Value>, ApiError> {
    let rows = people::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(PersonBody::from(row)).map_err(ApiError::internal)).collect()
}

/// List people.
///
/// Those whose data was erased are left out unless asked for. Newest first.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:read"])), params(PersonQuery, Listing<PersonSort>),
    responses((status = 200, body = PageBody<PersonBody>)))]
#[get("/people")]
async fn list_people(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<PersonQuery>,
    listing: Listing<PersonSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = people::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(PersonBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a person.
///
/// Everybody who registers contacts may add one, at any customer.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:write"])), request_body = PersonInput,
    responses((status = 201, body = PersonBody)))]
#[post("/people")]
async fn create_person(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<PersonInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let (customer_id, fields) = input.0.split();
    state
        .submit(scope, once, move |tx| {
            let person = people::create(tx, customer_id, fields)?;
            let location = format!("/api/v1/people/{}", person.id);
            Ok(Reply::created(&location, person.version, &PersonBody::from(person)))
        })
        .await
}

/// Show a person.
///
/// One whose data was erased is shown too, as what is left of it.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = PersonBody)))]
#[get("/people/{id}")]
async fn get_person(state: web::Data<State>, actor: Actor, id: Id<PersonId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let person = people::find(tx, id.0)?;
            shape.one(tx, person.version, &PersonBody::from(person))
        })
        .await
}

/// Change a person.
///
/// Who added it may, the customer's caretaker, and those above them. One whose data was erased stays as it is.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = PersonInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = PersonBody)))]
#[patch("/people/{id}")]
async fn update_person(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PersonId>,
    seen: IfMatch,
    patch: Patch<PersonInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let person = lock(tx, &actor, id.0, seen)?;
            if person.erased_at.is_some() {
                return Err(ApiError::state_invalid("erased", "The data of this person was erased"));
            }
            let (customer_id, fields) =
                patch.apply(&PersonInput::of(person.customer_id, person.fields.clone()))?.split();
            if customer_id != person.customer_id {
                return Err(ApiError::invalid_field("/customer_id", "fixed", "A person stays with its customer"));
            }
            let person = people::update(tx, &person, fields)?;
            Ok(Reply::at_version(person.version, &PersonBody::from(person)))
        })
        .await
}

/// Export a person's data.
///
/// All that is kept about the person, to hand over at its wish (GDPR, article 15): its record with its consents, and the
/// interactions with it and its responses to surveys, of each at most the 10 000 newest.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = PersonalData)))]
#[get("/people/{id}/personal-data")]
async fn export_personal_data(state: web::Data<State>, actor: Actor, id: Id<PersonId>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let person = people::find(tx, id.0)?;
            let talks = interactions::of_person(tx, person.id, EXPORTED_MAX)?;
            let answers = survey_responses::of_person(tx, person.id, EXPORTED_MAX)?;
            Ok(Reply::at_version(
                person.version,
                &PersonalData {
                    exported_at: tx.now,
                    person: person.into(),
                    interactions: talks.into_iter().map(InteractionBody::from).collect(),
                    survey_responses: answers.into_iter().map(SurveyResponseBody::from).collect(),
                },
            ))
        })
        .await
}

/// Erase a person's data.
///
/// At its wish (GDPR, article 17): name, position, addresses and consents are gone for good; the id stays, so that
/// interactions still say that they were with one and the same person. What was written in interactions and answered to
/// surveys stays, and so do
/// the audit log's records of earlier changes and invoices that are issued, as the law wants them kept.
#[utoipa::path(tag = "People", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/people/{id}/personal-data")]
async fn erase_personal_data(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PersonId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let person = lock(tx, &actor, id.0, seen)?;
            if person.erased_at.is_none() {
                people::erase(tx, &person)?;
            }
            Ok(Reply::empty())
        })
        .await
}

/// Locks a person that the caller may change: who added it holds it, and the customer's caretaker.
fn lock(tx: &mut Tx<'_>, actor: &Actor, id: PersonId, seen: IfMatch) -> Result<Person, ApiError> {
    let person = people::lock(tx, id, seen.0)?;
    let customer = customers::find(tx, person.customer_id)?;
    let holders: Vec<OperatorId> = person.registered_by_id.into_iter().chain(customer.fields.caretaker_id).collect();
    actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
    Ok(person)
}
