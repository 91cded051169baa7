//! Price changes: what a template's lines cost from a day on, and whom that meets.

use crate::actor::Actor;
use crate::body::{Valid, wrong_field};
use crate::listing::{Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::decimal::{PercentChange, UnitPrice};
use opiekun_domain::ids::{CustomerId, InvoiceTemplateId, PriceChangeId, SubscriptionId};
use opiekun_domain::permission::Permission;
use opiekun_domain::price_change::{ChangedPrice, Repricing, RepricingProblem, reprice};
use opiekun_persistence::price_changes::{PriceChange, PriceChangeFields, PriceChangeSort, Reach, Reached};
use opiekun_persistence::{Json, Page, Tx, invoice_templates, organizations, price_changes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_price_changes)
        .service(create_price_change)
        .service(get_price_change)
        .service(delete_price_change);
}

/// How many subscriptions are told by name.
const SUBSCRIPTIONS_TOLD: i64 = 100;

/// How many changes a template may have: two a month for as long as anybody keeps invoices.
const CHANGES_MAX: i64 = 1_000;

/// New prices from a day on: either `percent` or `prices`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({ "valid_from_on": "2027-01-01", "percent": "3.6", "preview": false }))]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_way, skip_on_field_errors = false))]
pub struct PriceChangeInput {
    /// The first day that the prices hold for, until a later change takes their place: they are those of every period
    /// that begins on it or later. A template has one change a day.
    pub valid_from_on: NaiveDate,
    /// By how much every price rises, or falls where it is negative; more than -100. Each price is that of the day
    /// before × (100 + percent) ÷ 100, rounded once, half away from zero to 4 places, when the change is made.
    #[serde(default)]
    pub percent: Option<PercentChange>,
    /// The new prices of some lines; those of the others stay.
    #[schema(min_items = 1, max_items = 100)]
    #[serde(default)]
    pub prices: Option<Vec<LinePriceInput>>,
    /// Only shows what would come of it, and keeps nothing.
    #[serde(default)]
    pub preview: bool,
}

/// The new price of a line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = LinePrice)]
#[serde(deny_unknown_fields)]
pub struct LinePriceInput {
    /// The key of the template's line.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "bookkeeping")]
    pub key: String,
    /// Net or gross, as the template says.
    pub unit_price: UnitPrice,
}

/// What a template's lines cost from a day on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceChange)]
pub struct PriceChangeBody {
    /// Null in a preview, as are its version and moments.
    pub id: Option<PriceChangeId>,
    pub template_id: InvoiceTemplateId,
    /// The first day that the prices hold for.
    #[schema(example = "2027-01-01")]
    pub valid_from_on: NaiveDate,
    /// What the prices were computed by, where they were.
    pub percent: Option<PercentChange>,
    /// In the order of the template's lines.
    #[schema(min_items = 1, max_items = 100)]
    pub prices: Vec<ChangedPriceBody>,
    /// Whom it meets now. Null in lists.
    pub reach: Option<PriceReach>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: Option<i32>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
}

/// The price of a line before and after.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedPrice)]
pub struct ChangedPriceBody {
    /// The key of the template's line.
    #[schema(max_length = 40, example = "bookkeeping")]
    pub key: String,
    /// What held the day before, when the change was made.
    #[schema(example = "450.00")]
    pub unit_price_before: UnitPrice,
    #[schema(example = "466.20")]
    pub unit_price: UnitPrice,
}

/// Whom a change of prices meets: subscriptions of the template, but for those that end before it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceReach {
    /// How many subscriptions pay another price for at least one line.
    #[schema(minimum = 0, example = 412)]
    pub touched: i64,
    /// How many it leaves as they are, since they have prices of their own for all these lines.
    #[schema(minimum = 0, example = 3)]
    pub overridden: i64,
    /// The first 100 of them, those that are touched before the others.
    #[schema(max_items = 100)]
    pub subscriptions: Vec<ReachedSubscription>,
}

/// A subscription, and what it pays for the lines that change.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachedSubscription {
    pub subscription_id: SubscriptionId,
    pub customer_id: CustomerId,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    pub customer_name: String,
    /// In the order of the template's lines.
    #[schema(min_items = 1, max_items = 100)]
    pub prices: Vec<ReachedPrice>,
}

/// The price of a line on a subscription before and after.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachedPrice {
    /// The key of the template's line.
    #[schema(max_length = 40, example = "bookkeeping")]
    pub key: String,
    #[schema(example = "450.00")]
    pub unit_price_before: UnitPrice,
    #[schema(example = "466.20")]
    pub unit_price: UnitPrice,
    /// Whether the subscription has a price of its own, which stays.
    pub overridden: bool,
}

impl Sorting for PriceChangeSort {
    const WORDS: &'static [(&'static str, Self)] =
        &[("valid_from_on", Self::ValidFromOn), ("created_at", Self::CreatedAt)];
}

fn one_way(input: &PriceChangeInput) -> Result<(), ValidationError> {
    let (field, message) = match (&input.percent, &input.prices) {
        (Some(_), Some(_)) => ("prices", "Either these or `percent`"),
        (None, None) => ("percent", "Either this or `prices` is required"),
        _ => return Ok(()),
    };
    Err(wrong_field(field, "exclusive", message))
}

impl PriceChangeBody {
    fn new(fields: PriceChangeFields, reach: Option<Reach>) -> Self {
        let PriceChangeFields { template_id, valid_from_on, percent, prices } = fields;
        Self {
            id: None,
            template_id,
            valid_from_on,
            percent,
            reach: reach.map(|reach| PriceReach::new(reach, &prices.0)),
            prices: prices.0.into_iter().map(ChangedPriceBody::from).collect(),
            version: None,
            created_at: None,
            updated_at: None,
        }
    }

    fn of(row: PriceChange, reach: Option<Reach>) -> Self {
        let PriceChange { id, fields, version, created_at, updated_at } = row;
        Self {
            id: Some(id),
            version: Some(version),
            created_at: Some(created_at),
            updated_at: Some(updated_at),
            ..Self::new(fields, reach)
        }
    }
}

impl From<ChangedPrice> for ChangedPriceBody {
    fn from(price: ChangedPrice) -> Self {
        let ChangedPrice { key, unit_price_before, unit_price } = price;
        Self { key, unit_price_before, unit_price }
    }
}

impl PriceReach {
    fn new(reach: Reach, prices: &[ChangedPrice]) -> Self {
        let Reach { touched, overridden, subscriptions } = reach;
        let subscriptions = subscriptions.into_iter().map(|it| ReachedSubscription::new(it, prices)).collect();
        Self { touched, overridden, subscriptions }
    }
}

impl ReachedSubscription {
    fn new(reached: Reached, prices: &[ChangedPrice]) -> Self {
        let own = |key: &str| reached.line_overrides.0.iter().find(|it| it.key == key).and_then(|it| it.unit_price);
        let prices = prices.iter().map(|price| match own(&price.key) {
            Some(own) => {
                ReachedPrice { key: price.key.clone(), unit_price_before: own, unit_price: own, overridden: true }
            }
            None => ReachedPrice {
                key: price.key.clone(),
                unit_price_before: price.unit_price_before,
                unit_price: price.unit_price,
                overridden: false,
            },
        });
        Self {
            prices: prices.collect(),
            subscription_id: reached.id,
            customer_id: reached.customer_id,
            customer_name: reached.customer_name,
        }
    }
}

fn refused(problem: &RepricingProblem) -> ApiError {
    let (pointer, code) = match problem {
        RepricingProblem::NoSuchLine(index) => (format!("/prices/{index}/key"), "no_such_line"),
        RepricingProblem::NamedTwice(index) => (format!("/prices/{index}/key"), "uniqueItems"),
        RepricingProblem::TimeLine(index) => (format!("/prices/{index}/key"), "time_line"),
        RepricingProblem::NoPrices => ("/percent".to_owned(), "no_prices"),
        RepricingProblem::TooLow => ("/percent".to_owned(), "exclusiveMinimum"),
        RepricingProblem::TooLarge => ("/percent".to_owned(), "maximum"),
    };
    ApiError::invalid_field(&pointer, code, capitalised(&problem.to_string()))
}

/// What a change would be, of a locked template.
fn priced(
    tx: &mut Tx<'_>,
    template_id: InvoiceTemplateId,
    input: PriceChangeInput,
) -> Result<PriceChangeFields, ApiError> {
    let PriceChangeInput { valid_from_on, percent, prices, preview: _ } = input;
    let template = invoice_templates::lock(tx, template_id, None)?;
    let repricing = match (percent, prices) {
        (Some(percent), _) => Repricing::Percent(percent),
        (None, prices) => {
            Repricing::Prices(prices.unwrap_or_default().into_iter().map(|it| (it.key, it.unit_price)).collect())
        }
    };
    let changes = price_changes::of_templates(tx, &[template_id])?.remove(&template_id).unwrap_or_default();
    let prices = reprice(&template.fields.lines.0, &changes, valid_from_on, &repricing);
    Ok(PriceChangeFields {
        template_id,
        valid_from_on,
        percent,
        prices: Json(prices.map_err(|problem| refused(&problem))?),
    })
}

/// List the price changes of a template.
///
/// Past and coming ones, the latest first.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:read"])), params(Listing<PriceChangeSort>),
    responses((status = 200, body = PageBody<PriceChangeBody>)))]
#[get("/invoice-templates/{id}/price-changes")]
async fn list_price_changes(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
    listing: Listing<PriceChangeSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            invoice_templates::find(tx, id.0)?;
            let Page { items, next, total } = price_changes::list(tx, id.0, &listing.page)?;
            let items = items.into_iter().map(|row| PriceChangeBody::of(row, None)).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Change the prices of a template from a day on.
///
/// The price in force on the first day of a period counts, also where the period is caught up with later; subscriptions
/// with a price of their own keep it, and lines that bill time have none. A line costs the `unit_price` of the template until the first change that names
/// it, so a later change of the template itself counts only for what is before that. A line that is taken out of the
/// template leaves its changes without effect, until there is one with its key again. The new prices are kept as
/// amounts, which a later change with an earlier day leaves as they are. With `preview` the answer is 200: it shows the
/// prices before and after and whom they meet, and nothing is kept.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])), request_body = PriceChangeInput,
    responses((status = 201, body = PriceChangeBody), (status = 200, description = "What a `preview` shows.",
        body = PriceChangeBody)))]
#[post("/invoice-templates/{id}/price-changes")]
async fn create_price_change(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
    once: Once,
    input: Valid<PriceChangeInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let input = input.0;
    state
        .submit(scope, once, move |tx| {
            let is_preview = input.preview;
            let fields = priced(tx, id.0, input)?;
            let reach = Some(price_changes::reach(tx, &fields, SUBSCRIPTIONS_TOLD)?);
            if is_preview {
                return Ok(Reply::json(StatusCode::OK, &PriceChangeBody::new(fields, reach)));
            }
            if price_changes::count(tx, id.0)? >= CHANGES_MAX {
                return Err(ApiError::state_invalid("changed", "Its prices have been changed too often"));
            }
            let change = price_changes::create(tx, fields)?;
            let (location, version) = (format!("/api/v1/price-changes/{}", change.id), change.version);
            Ok(Reply::created(&location, version, &PriceChangeBody::of(change, reach)))
        })
        .await
}

/// Show a price change.
///
/// With the subscriptions that it meets now.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:read"])),
    extensions(("x-derived" = json!(true))), responses((status = 200, body = PriceChangeBody)))]
#[get("/price-changes/{id}")]
async fn get_price_change(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PriceChangeId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .snapshot(scope, move |tx| {
            let change = price_changes::find(tx, id.0)?;
            let reach = price_changes::reach(tx, &change.fields, SUBSCRIPTIONS_TOLD)?;
            shape.one(tx, change.version, &PriceChangeBody::of(change, Some(reach)))
        })
        .await
}

/// Take a price change back.
///
/// Only before its day, in the organization's time zone: else 409 `state_invalid` with state `in_force`, since invoices
/// may have been issued by it; another change takes its place then.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/price-changes/{id}")]
async fn delete_price_change(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PriceChangeId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let change = price_changes::lock(tx, id.0, seen.0)?;
            let today = organizations::today(tx)?;
            if change.fields.valid_from_on <= today {
                return Err(ApiError::state_invalid("in_force", "Its day has come; make another change instead"));
            }
            price_changes::delete(tx, &change)?;
            Ok(Reply::empty())
        })
        .await
}
