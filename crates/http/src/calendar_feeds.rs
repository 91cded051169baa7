//! Calendar feeds: secret addresses at which calendar programs subscribe to a part of the calendar.

use crate::actor::{Actor, reading_feed};
use crate::body::{Patch, Valid};
use crate::context::RequestContext;
use crate::customers::check_assignment;
use crate::keys::{hash_of, random_feed_secret};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::{IfMatch, is_known_tag};
use crate::problem::{ApiError, Code};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_documents::calendar_feed;
use opiekun_domain::authority::Authority;
use opiekun_domain::calendar::CalendarKind;
use opiekun_domain::calendar_feed::{FeedDays, TasksAs};
use opiekun_domain::ids::{CalendarFeedId, CustomerId, OperatorId};
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_domain::text::hex;
use opiekun_persistence::calendar::{self, CalendarFilter, Entries};
use opiekun_persistence::calendar_feeds::{self, CalendarFeed, CalendarFeedFields, CalendarFeedFilter};
use opiekun_persistence::credentials::FeedCredential;
use opiekun_persistence::{Page, StoreError, Tx, credentials, customers, operators};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_calendar_feeds)
        .service(create_calendar_feed)
        // Before the id, which an address would look like.
        .service(read_calendar_feed)
        .service(get_calendar_feed)
        .service(update_calendar_feed)
        .service(delete_calendar_feed);
}

/// The most entries that a feed holds: programs read all of it again and again.
const ENTRIES_MAX: usize = 10_000;
const PAST_DAYS: u16 = 92;
const FUTURE_DAYS: u16 = 366;

/// What a caller may write of a feed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CalendarFeedInput {
    /// How calendar programs name it.
    #[schema(min_length = 1, max_length = 120, example = "Anna's work")]
    pub name: String,
    /// Whose rights it shows: what this operator may see at the moment of reading, and nothing once the operator is made
    /// inactive. The caller unless told, or somebody below the caller. A script has to tell.
    #[serde(default)]
    pub reader_id: Option<OperatorId>,
    /// Whose entries: tasks by their caretaker, interactions by who talks. Everybody's unless told.
    #[serde(default)]
    pub operator_id: Option<OperatorId>,
    /// Only what this operator wrote down.
    #[serde(default)]
    pub registered_by_id: Option<OperatorId>,
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// All unless told. Days of invoices (`invoice_run`) are shown to a reader who may read billing, and only where
    /// neither `operator_id` nor `registered_by_id` is told, since they are nobody's.
    #[schema(min_items = 1, max_items = 10, example = json!(["task", "recurring_task", "interaction"]))]
    #[serde(default = "all_kinds")]
    pub kinds: Vec<CalendarKind>,
    /// `event` shows tasks in the calendar, which every program does; `todo` in the list of things to do.
    #[serde(default = "as_events")]
    #[schema(example = "event")]
    pub tasks_as: TasksAs,
    /// How many days before the present one it shows.
    #[schema(minimum = 0, maximum = 1100, default = 92)]
    #[serde(default = "past_days")]
    pub past_days: u16,
    /// How many days after the present one it shows.
    #[schema(minimum = 1, maximum = 1100, default = 366)]
    #[serde(default = "future_days")]
    pub future_days: u16,
}

fn all_kinds() -> Vec<CalendarKind> {
    CalendarKind::ALL.to_vec()
}

const fn as_events() -> TasksAs {
    TasksAs::Event
}

const fn past_days() -> u16 {
    PAST_DAYS
}

const fn future_days() -> u16 {
    FUTURE_DAYS
}

/// A part of the calendar that calendar programs subscribe to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CalendarFeed)]
pub struct CalendarFeedBody {
    pub id: CalendarFeedId,
    #[serde(flatten)]
    pub feed: CalendarFeedInput,
    /// When a program last read it, to five minutes.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A new feed with its address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewCalendarFeed)]
pub struct NewCalendarFeedBody {
    #[serde(flatten)]
    pub feed: CalendarFeedBody,
    /// The address to paste into a calendar program: whoever knows it reads the feed, without signing in. It names the
    /// host that this request was sent to, is shown this once and kept as a hash; a repeat of the request shows null.
    #[schema(
        max_length = 1000,
        example = "https://crm.example.com/api/v1/calendar/feeds/opf_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs.ics"
    )]
    pub url: Option<String>,
}

impl From<CalendarFeed> for CalendarFeedBody {
    fn from(row: CalendarFeed) -> Self {
        let CalendarFeed { id, fields, last_used_at, version, created_at, updated_at } = row;
        Self { id, feed: fields.into(), last_used_at, version, created_at, updated_at }
    }
}

impl From<CalendarFeedFields> for CalendarFeedInput {
    fn from(fields: CalendarFeedFields) -> Self {
        let FeedDays { past, future } = days(&fields);
        let CalendarFeedFields { name, reader_id, operator_id, registered_by_id, customer_id, kinds, tasks_as, .. } =
            fields;
        Self {
            name,
            reader_id: Some(reader_id),
            operator_id,
            registered_by_id,
            customer_id,
            kinds,
            tasks_as,
            past_days: past,
            future_days: future,
        }
    }
}

/// A check of the table keeps both far within what fits.
fn days(fields: &CalendarFeedFields) -> FeedDays {
    FeedDays {
        past: u16::try_from(fields.past_days).unwrap_or(PAST_DAYS),
        future: u16::try_from(fields.future_days).unwrap_or(FUTURE_DAYS),
    }
}

impl CalendarFeedInput {
    fn fields(self, actor: &Actor) -> Result<CalendarFeedFields, ApiError> {
        let reader_id = self
            .reader_id
            .or(actor.operator_id())
            .ok_or_else(|| ApiError::invalid_field("/reader_id", "required", "A script tells for whom"))?;
        // A set, in the order of the words.
        let kinds: BTreeSet<CalendarKind> = self.kinds.into_iter().collect();
        Ok(CalendarFeedFields {
            name: self.name,
            reader_id,
            operator_id: self.operator_id,
            registered_by_id: self.registered_by_id,
            customer_id: self.customer_id,
            kinds: kinds.into_iter().collect(),
            tasks_as: self.tasks_as,
            past_days: self.past_days.into(),
            future_days: self.future_days.into(),
        })
    }
}

/// A feed is given to oneself or to somebody below, and nobody lets out by it what they can't read themselves.
fn check_reader(
    tx: &mut Tx<'_>,
    authority: &Authority,
    giver: PermissionSet,
    before: Option<OperatorId>,
    after: OperatorId,
) -> Result<(), ApiError> {
    check_assignment(authority, before, Some(after))?;
    if before == Some(after) {
        return Ok(());
    }
    let reader = operators::find_all(tx, &[after])?.pop();
    let reader = reader.ok_or_else(|| StoreError::no_reference("calendar_feeds", "reader_id"))?;
    let shown: PermissionSet = [Permission::CrmRead, Permission::BillingRead].into_iter().collect();
    let rights = Permission::of(reader.fields.role, reader.fields.billing).intersection(shown);
    if !reader.fields.active {
        return Err(ApiError::invalid_field("/reader_id", "inactive", "Is not at work here any more"));
    }
    if !rights.is_within(giver) {
        return Err(ApiError::invalid_field("/reader_id", "beyond_giver", "May read what its giver may not"));
    }
    Ok(())
}

/// Which feeds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CalendarFeedQuery {
    /// Whose rights they show.
    reader_id: Option<OperatorId>,
}

/// List calendar feeds.
///
/// Without their addresses, which nobody can read again. Newest first.
#[utoipa::path(tag = "Calendar feeds", security(("sign_in" = ["crm:read"])), params(CalendarFeedQuery, Listing<()>),
    responses((status = 200, body = PageBody<CalendarFeedBody>)))]
#[get("/calendar/feeds")]
async fn list_calendar_feeds(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<CalendarFeedQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let filter = CalendarFeedFilter { reader_id: filters.0.reader_id };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = calendar_feeds::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(CalendarFeedBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Make a calendar feed.
///
/// The answer holds its address, this once. A feed shows at every moment what its reader may see then, from so many days
/// before the present one to so many after it; what was cancelled or not held is not in it. Where it would hold more than
/// 10 000 entries, reading it is refused. An address that has become known is of no use any more once its feed is deleted.
#[utoipa::path(tag = "Calendar feeds", security(("sign_in" = ["crm:write"])), request_body = CalendarFeedInput,
    responses((status = 201, body = NewCalendarFeedBody)))]
#[post("/calendar/feeds")]
async fn create_calendar_feed(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<CalendarFeedInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = input.0.fields(&actor)?;
    let server = server_of(&req)?;
    state
        .submit(scope, once, move |tx| {
            let authority = actor.authority(tx)?;
            check_reader(tx, &authority, actor.permissions, None, fields.reader_id)?;
            let secret = random_feed_secret();
            let row = calendar_feeds::create(tx, fields, hash_of(&secret))?;
            let location = format!("/api/v1/calendar/feeds/{}", row.id);
            let url = format!("{server}/api/v1/calendar/feeds/{secret}.ics");
            let without = NewCalendarFeedBody { feed: row.clone().into(), url: None };
            let body = NewCalendarFeedBody { feed: row.into(), url: Some(url) };
            Ok(Reply::created(&location, body.feed.version, &body).kept_as(&without).secret())
        })
        .await
}

/// Show a calendar feed.
///
/// What it shows and when it was read, without its address. It is always sent whole: reading it is no change of it.
#[utoipa::path(tag = "Calendar feeds", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = CalendarFeedBody)))]
#[get("/calendar/feeds/{id}")]
async fn get_calendar_feed(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CalendarFeedId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let feed = calendar_feeds::find(tx, id.0)?;
            shape.one(tx, feed.version, &CalendarFeedBody::from(feed))
        })
        .await
}

/// Change a calendar feed.
///
/// Its reader may, and those above the reader. Programs that subscribe see it when they look the next time; the address
/// stays.
#[utoipa::path(tag = "Calendar feeds", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = CalendarFeedInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CalendarFeedBody)))]
#[patch("/calendar/feeds/{id}")]
async fn update_calendar_feed(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CalendarFeedId>,
    seen: IfMatch,
    patch: Patch<CalendarFeedInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let feed = calendar_feeds::lock(tx, id.0, seen.0)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&[feed.fields.reader_id]).map_err(ApiError::forbidden)?;
            let fields = patch.apply(&feed.fields.clone().into())?.fields(&actor)?;
            check_reader(tx, &authority, actor.permissions, Some(feed.fields.reader_id), fields.reader_id)?;
            let feed = calendar_feeds::update(tx, &feed, fields)?;
            Ok(Reply::at_version(feed.version, &CalendarFeedBody::from(feed)))
        })
        .await
}

/// Delete a calendar feed.
///
/// Its address answers 404 at once and for good. Make another feed for another address.
#[utoipa::path(tag = "Calendar feeds", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/calendar/feeds/{id}")]
async fn delete_calendar_feed(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CalendarFeedId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let feed = calendar_feeds::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&[feed.fields.reader_id]).map_err(ApiError::forbidden)?;
            calendar_feeds::delete(tx, &feed)?;
            Ok(Reply::empty())
        })
        .await
}

/// Where this server is for the caller, who has named the host and is alone told so.
fn server_of(req: &HttpRequest) -> Result<String, ApiError> {
    let connection = req.connection_info();
    let (scheme, host) = (connection.scheme(), connection.host());
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    if !matches!(scheme, "http" | "https") || host.is_empty() || !is_host {
        return Err(ApiError::new(Code::MalformedRequest).detail("The Host header names no host"));
    }
    Ok(format!("{scheme}://{host}"))
}

/// Read a calendar feed.
///
/// For calendar programs: iCalendar (RFC 5545), without signing in, since the address is the secret. An entry keeps its
/// `UID` when it is moved, and so does a date of a series when it becomes a task; a change of this and the following ones
/// makes another series of them, whose entries have `UID`s of their own. The same entries are the same bytes, so that
/// `ETag` tells whether anything has changed. An address that is none, or none any more, answers 404, and so does
/// that of a reader who was made inactive.
#[utoipa::path(tag = "Calendar feeds", security(()),
    params(
        ("secret" = String, Path, description = "The secret of the address that `POST /calendar/feeds` answered.",
            min_length = 1, max_length = 4000, example = "opf_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that you have: 304 if it is still the feed's.",
            min_length = 1, max_length = 400),
    ),
    responses((status = 200, content_type = "text/calendar", body = String,
        headers(("ETag" = String, description = "What the feed holds, for `If-None-Match`.")))))]
#[get("/calendar/feeds/{secret}.ics")]
async fn read_calendar_feed(
    req: HttpRequest,
    state: web::Data<State>,
    context: web::ReqData<RequestContext>,
    secret: web::Path<String>,
) -> Result<Reply, ApiError> {
    const CALENDAR: HeaderValue = HeaderValue::from_static("text/calendar; charset=utf-8");
    const SHOWN: HeaderValue = HeaderValue::from_static("inline; filename=\"opiekun.ics\"");
    let not_found = || ApiError::not_found("calendar feed");
    let (secret_hash, now) = (hash_of(&secret), state.now());
    let found = state
        .lookup(move |db| {
            let found = credentials::find_calendar_feed(db, &secret_hash)?;
            if let Some(found) = &found {
                credentials::touch_calendar_feed(db, found, now)?;
            }
            Ok(found)
        })
        .await?
        .ok_or_else(not_found)?;
    let (scope, permissions) =
        reading_feed(found.organization_id, &found.reader, context.request_id).ok_or_else(not_found)?;
    let _turn = state.calendars.acquire().await.map_err(ApiError::unavailable)?;
    // All entries come of one statement, which needs no transaction around it.
    let body = state.read(scope, move |tx| written(tx, &found, permissions)).await?;
    let tag = hex(&Sha256::digest(&body)[..16]);
    let tag = HeaderValue::from_str(&format!("\"{tag}\"")).map_err(ApiError::internal)?;
    let is_known = req.headers().get(header::IF_NONE_MATCH).is_some_and(|tags| is_known_tag(tags, &tag));
    let reply = match is_known {
        true => Reply { status: StatusCode::NOT_MODIFIED, ..Reply::empty() },
        false => Reply { status: StatusCode::OK, body, ..Reply::empty() }
            .header(header::CONTENT_TYPE, CALENDAR)
            .header(header::CONTENT_DISPOSITION, SHOWN),
    };
    Ok(reply.header(header::ETAG, tag))
}

/// The file of a feed, as its reader may see it.
fn written(tx: &mut Tx<'_>, found: &FeedCredential, permissions: PermissionSet) -> Result<Vec<u8>, ApiError> {
    let FeedCredential { organization_id, feed, reader, zone } = found;
    let fields = &feed.fields;
    let window = days(fields).window(tx.now, *zone);
    let filter = CalendarFilter {
        kinds: fields.kinds.clone(),
        operator_ids: fields.operator_id.map(|id| vec![id]),
        registered_by_id: fields.registered_by_id,
        customer_id: fields.customer_id,
        with_description: true,
        ..CalendarFilter::of(window)
    };
    let Entries::All(entries) = calendar::entries(tx, &filter, permissions, *zone, ENTRIES_MAX)? else {
        let detail =
            "The feed would hold more than 10 000 entries: show fewer days, or those of one operator or customer";
        return Err(ApiError::state_invalid("too_many_entries", detail));
    };
    let customer_ids: BTreeSet<CustomerId> = entries.iter().filter_map(|entry| entry.customer_id).collect();
    let customer_names = customers::short_names(tx, &customer_ids.into_iter().collect::<Vec<_>>())?;
    let file = calendar_feed::CalendarFeed {
        organization_id: *organization_id,
        name: &fields.name,
        zone: *zone,
        window,
        language: reader.fields.locale,
        tasks_as: fields.tasks_as,
        created_at: feed.created_at,
        customer_names: &customer_names,
    };
    Ok(file.write(&entries))
}
