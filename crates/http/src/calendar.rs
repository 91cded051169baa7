//! The calendar: what stands between two instants, which days are worked, and when operators are free.

use crate::actor::Actor;
use crate::context::Asked;
use crate::listing::{AnyOf, Filters};
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::State;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, get, web};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use opiekun_domain::calendar::{
    CalendarEntry, CalendarKind, CalendarStatus, InvoiceDay, Span, conflicts, days_of, free, merged, working_hours,
};
use opiekun_domain::calendar_day::{is_working_day, public_holiday};
use opiekun_domain::ids::{CustomerId, OperatorId, TaskSeriesId, ThreadId};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_domain::task::TaskPriority;
use opiekun_persistence::calendar::{self, CalendarFilter, Entries};
use opiekun_persistence::{Tx, operators, organizations};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(show_calendar).service(show_free_busy);
}

/// The longest window of the calendar: a leap year.
const WINDOW_DAYS_MAX: i64 = 366;
/// The longest window of free and busy times: two months.
const FREE_BUSY_DAYS_MAX: i64 = 62;
/// The most entries of one answer.
const ENTRIES_MAX: usize = 20_000;

/// What the calendar is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CalendarQuery {
    /// The start of the window.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: DateTime<Utc>,
    /// The end of the window, which is not in it any more: at most 366 days later.
    #[param(example = "2026-12-01T00:00:00Z")]
    to: DateTime<Utc>,
    /// Entries of any of these operators: tasks by their caretaker, interactions by who talks.
    #[param(value_type = Option<Vec<OperatorId>>, min_items = 1, max_items = 100)]
    operator_id: Option<AnyOf<OperatorId>>,
    /// Entries of this operator and everybody below it in the supervisor tree.
    team: Option<OperatorId>,
    /// What this operator wrote down, whoever has to do it.
    registered_by_id: Option<OperatorId>,
    customer_id: Option<CustomerId>,
    /// Only these kinds, several with commas between.
    #[param(value_type = Option<Vec<CalendarKind>>, min_items = 1, max_items = 10)]
    kinds: Option<AnyOf<CalendarKind>>,
    /// Also tasks that were cancelled and interactions that were not held.
    include_cancelled: Option<bool>,
}

/// The calendar between two instants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calendar)]
pub struct CalendarBody {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The organization's: days are its days.
    #[schema(max_length = 64, example = "Europe/Warsaw")]
    time_zone: String,
    /// By start, kind and id.
    #[schema(max_items = 20000)]
    entries: Vec<CalendarEntryBody>,
    /// Planned interactions among the entries that overlap others of the same operator.
    #[schema(max_items = 10000)]
    conflicts: Vec<CalendarConflictBody>,
    /// The public holidays of Poland in the window.
    #[schema(max_items = 400)]
    holidays: Vec<HolidayBody>,
    /// The days of the window that are worked in Poland: Monday to Friday, but for public holidays.
    #[schema(max_items = 400)]
    working_days: Vec<NaiveDate>,
}

/// What stands in the calendar. New kinds may come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CalendarEntry)]
pub struct CalendarEntryBody {
    kind: CalendarKind,
    /// The task's or interaction's. A `recurring_task` has that of its series, and is told apart by `occurrence_at`; an
    /// `invoice_run` has none, and there is one a day.
    id: Option<Uuid>,
    #[schema(max_length = 240, example = "VAT return")]
    title: String,
    start: DateTime<Utc>,
    /// The end, which is not in it any more: at the start where it is a deadline alone or has no length.
    end: DateTime<Utc>,
    /// Whether it is of whole days; then these are `start_on` to `end_on`.
    all_day: bool,
    /// The first day, in the organization's time zone.
    start_on: Option<NaiveDate>,
    /// The day after the last one.
    end_on: Option<NaiveDate>,
    /// A task's caretaker; who talks in an interaction.
    operator_id: Option<OperatorId>,
    registered_by_id: Option<OperatorId>,
    customer_id: Option<CustomerId>,
    thread_id: Option<ThreadId>,
    /// The series that a task is one of.
    task_series_id: Option<TaskSeriesId>,
    /// Which one of its series it is: when it was to be due by the rule.
    occurrence_at: Option<DateTime<Utc>>,
    status: CalendarStatus,
    /// Whether a task is past its due date and still to do.
    overdue: bool,
    /// How far a task has come.
    #[schema(minimum = 0, maximum = 100)]
    percent_done: Option<i16>,
    /// How much a task presses.
    priority: Option<TaskPriority>,
    /// Of an `invoice_run`.
    invoices: Option<InvoiceDayBody>,
    /// The version of the task or interaction, by which it is moved: a PATCH of its dates. Of a `recurring_task` the
    /// series'.
    version: Option<i32>,
}

/// A day of invoices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceDay)]
pub struct InvoiceDayBody {
    /// Subscriptions whose next period is to be billed on that day, and periods planned for it whose invoice is a draft
    /// yet. Periods after the next one are not known yet.
    #[schema(minimum = 0, example = 12)]
    due: i64,
    /// Periods planned for that day whose invoice is issued.
    #[schema(minimum = 0, example = 0)]
    issued: i64,
}

/// Meetings of one operator at the same time: each of them overlaps at least one of the others. Those that only touch do
/// not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CalendarConflict)]
pub struct CalendarConflictBody {
    operator_id: OperatorId,
    /// When the first of them starts.
    start: DateTime<Utc>,
    /// When the last of them ends.
    end: DateTime<Utc>,
    /// Two or more, by start.
    #[schema(max_items = 20000)]
    items: Vec<CalendarReference>,
}

/// Which entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct CalendarReference {
    kind: CalendarKind,
    id: Uuid,
}

/// A day that is free from work by law.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Holiday)]
pub struct HolidayBody {
    #[schema(example = "2026-11-11")]
    falls_on: NaiveDate,
    /// In the language of `Accept-Language`.
    #[schema(max_length = 160, example = "Independence Day")]
    name: String,
}

/// Whose free and busy times are asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FreeBusyQuery {
    /// The start of the window.
    #[param(example = "2026-11-23T00:00:00Z")]
    from: DateTime<Utc>,
    /// The end of the window, which is not in it any more: at most 62 days later.
    #[param(example = "2026-11-30T00:00:00Z")]
    to: DateTime<Utc>,
    /// These operators, several with commas between.
    #[param(value_type = Vec<OperatorId>, min_items = 1, max_items = 100)]
    operator_id: AnyOf<OperatorId>,
    /// When work begins, on the clocks of the organization's time zone; 08:00 unless told.
    #[param(value_type = Option<String>, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length = 5, example = "08:00")]
    working_from: Option<ClockTime>,
    /// When work ends, later on the same day; 16:00 unless told.
    #[param(value_type = Option<String>, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length = 5, example = "16:00")]
    working_to: Option<ClockTime>,
}

/// A time of day, such as `08:00`.
#[derive(Debug, Clone, Copy)]
struct ClockTime(NaiveTime);

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveTime::parse_from_str(&text, "%H:%M").map(Self).map_err(serde::de::Error::custom)
    }
}

/// When operators are busy and free between two instants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FreeBusy)]
pub struct FreeBusyBody {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    #[schema(max_length = 64, example = "Europe/Warsaw")]
    time_zone: String,
    #[schema(max_length = 5, example = "08:00")]
    working_from: String,
    #[schema(max_length = 5, example = "16:00")]
    working_to: String,
    /// Each operator once, in the order in which they were asked for.
    #[schema(max_items = 100)]
    operators: Vec<OperatorTimeBody>,
    /// When all of them are free at once.
    #[schema(max_items = 20000)]
    free: Vec<SlotBody>,
}

/// The time of one operator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorTime)]
pub struct OperatorTimeBody {
    operator_id: OperatorId,
    /// At any hour, in order, without overlaps; what is being done is not told.
    #[schema(max_items = 20000)]
    busy: Vec<SlotBody>,
    /// Within working hours.
    #[schema(max_items = 20000)]
    free: Vec<SlotBody>,
}

/// A time without a gap.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Slot)]
pub struct SlotBody {
    start: DateTime<Utc>,
    /// The end, which is not in it any more.
    end: DateTime<Utc>,
}

/// Show the calendar.
///
/// What stands between two instants, also what began before or ends after them: tasks with a start or due date, dates of
/// series of tasks for which there is no task yet, interactions that are planned or were held, and days on which
/// subscriptions are billed (for those who may read billing, and where no operator or author is asked for, since they are
/// nobody's). What was cancelled or not held is left out unless asked for. An entry is moved by a PATCH of its task or
/// interaction. More than 20 000 entries are refused, not cut: ask for a shorter window.
#[utoipa::path(tag = "Calendar", security(("sign_in" = ["crm:read"])), params(CalendarQuery),
    responses((status = 200, body = CalendarBody)))]
#[get("/calendar")]
async fn show_calendar(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    query: Filters<CalendarQuery>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let language = Asked::of(&req).map_or(Language::English, |asked| asked.language);
    let CalendarQuery { from, to, operator_id, team, registered_by_id, customer_id, kinds, include_cancelled } =
        query.0;
    let window = window(from, to, WINDOW_DAYS_MAX)?;
    let permissions = actor.permissions;
    let _turn = state.calendars.acquire().await.map_err(ApiError::unavailable)?;
    state
        .snapshot(scope, move |tx| {
            let zone = organizations::find(tx)?.time_zone();
            let filter = CalendarFilter {
                kinds: kinds.map_or_else(|| CalendarKind::ALL.to_vec(), |kinds| kinds.0),
                operator_ids: operators_of(tx, operator_id, team)?,
                registered_by_id,
                customer_id,
                with_cancelled: include_cancelled.unwrap_or_default(),
                ..CalendarFilter::of(window)
            };
            let entries = all(calendar::entries(tx, &filter, permissions, zone, ENTRIES_MAX)?)?;
            let holiday =
                |on: NaiveDate| Some(HolidayBody { falls_on: on, name: public_holiday(on)?.name(language).to_owned() });
            let body = CalendarBody {
                from: window.start,
                to: window.end,
                time_zone: zone.name().to_owned(),
                conflicts: conflicts_among(&entries),
                entries: entries.into_iter().map(|entry| CalendarEntryBody::new(entry, language)).collect(),
                holidays: days_of(window, zone).filter_map(holiday).collect(),
                working_days: days_of(window, zone).filter(|day| is_working_day(*day)).collect(),
            };
            let spoken = HeaderValue::from_static(language.as_str());
            Ok(shape.entries(tx, &body)?.header(header::CONTENT_LANGUAGE, spoken))
        })
        .await
}

/// Show when operators are free.
///
/// An operator is busy in interactions that are planned or were held and last, and with tasks to do at a time of day that
/// have both a start and a due date, 24 hours apart at most; dates of series count like the tasks that they become. Tasks of
/// whole days, deadlines alone and longer tasks leave time for other things. Free is what is left of the working hours of
/// working days (Monday to Friday, but for the public holidays of Poland).
#[utoipa::path(tag = "Calendar", security(("sign_in" = ["crm:read"])), params(FreeBusyQuery),
    responses((status = 200, body = FreeBusyBody)))]
#[get("/calendar/free-busy")]
async fn show_free_busy(
    state: web::Data<State>,
    actor: Actor,
    query: Filters<FreeBusyQuery>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let FreeBusyQuery { from, to, operator_id: AnyOf(mut ids), working_from, working_to } = query.0;
    let window = window(from, to, FREE_BUSY_DAYS_MAX)?;
    let clock =
        |time: Option<ClockTime>, hour| time.map_or_else(|| NaiveTime::MIN + TimeDelta::hours(hour), |time| time.0);
    let (working_from, working_to) = (clock(working_from, 8), clock(working_to, 16));
    if working_from >= working_to {
        let wrong = Wrong::parameter("working_to", "order", "Is not after `working_from`");
        return Err(ApiError::invalid_parameters(vec![wrong]));
    }
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    let permissions = actor.permissions;
    let _turn = state.calendars.acquire().await.map_err(ApiError::unavailable)?;
    state
        .snapshot(scope, move |tx| {
            // Nobody is told that a stranger is free.
            if operators::find_all(tx, &ids)?.len() < ids.len() {
                let wrong = Wrong::parameter("operator_id", "unknown", "Names nobody of the organization");
                return Err(ApiError::invalid_parameters(vec![wrong]));
            }
            let zone = organizations::find(tx)?.time_zone();
            let filter = CalendarFilter {
                kinds: vec![CalendarKind::Task, CalendarKind::RecurringTask, CalendarKind::Interaction],
                operator_ids: Some(ids.clone()),
                ..CalendarFilter::of(window)
            };
            let entries = all(calendar::entries(tx, &filter, permissions, zone, ENTRIES_MAX)?)?;
            let mut by_operator: HashMap<OperatorId, Vec<Span>> = HashMap::new();
            for entry in entries.iter().filter(|entry| entry.is_busy()) {
                if let (Some(id), Some(span)) = (entry.operator_id, entry.span.intersection(window)) {
                    by_operator.entry(id).or_default().push(span);
                }
            }
            let hours = working_hours(window, working_from, working_to, zone);
            let anybody = merged(by_operator.values().flatten().copied().collect());
            let operators = ids.into_iter().map(|operator_id| {
                let busy = merged(by_operator.remove(&operator_id).unwrap_or_default());
                OperatorTimeBody { operator_id, free: slots(free(&hours, &busy)), busy: slots(busy) }
            });
            Ok(Reply::ok(&FreeBusyBody {
                from: window.start,
                to: window.end,
                time_zone: zone.name().to_owned(),
                working_from: working_from.format("%H:%M").to_string(),
                working_to: working_to.format("%H:%M").to_string(),
                operators: operators.collect(),
                free: slots(free(&hours, &anybody)),
            }))
        })
        .await
}

/// A window with a length of so many days at most.
fn window(from: DateTime<Utc>, to: DateTime<Utc>, days_max: i64) -> Result<Span, ApiError> {
    let wrong = if from >= to {
        Wrong::parameter("to", "order", "Is not after `from`")
    } else if to.signed_duration_since(from) > TimeDelta::days(days_max) {
        Wrong::parameter("to", "maximum", format!("More than {days_max} days after `from`"))
    } else {
        return Ok(Span { start: from, end: to });
    };
    Err(ApiError::invalid_parameters(vec![wrong]))
}

/// Those who were asked for, by their ids, as a team, or both at once.
fn operators_of(
    tx: &mut Tx<'_>,
    ids: Option<AnyOf<OperatorId>>,
    team: Option<OperatorId>,
) -> Result<Option<Vec<OperatorId>>, ApiError> {
    let ids = ids.map(|ids| ids.0);
    let Some(head) = team else { return Ok(ids) };
    let mut team = operators::below(tx, head)?;
    team.insert(head);
    Ok(Some(match ids {
        Some(ids) => ids.into_iter().filter(|id| team.contains(id)).collect(),
        None => team.into_iter().collect(),
    }))
}

fn all(entries: Entries) -> Result<Vec<CalendarEntry>, ApiError> {
    match entries {
        Entries::All(entries) => Ok(entries),
        Entries::TooMany => {
            let detail =
                format!("There are more than {ENTRIES_MAX} entries: ask for a shorter window, or for fewer of them");
            Err(ApiError::invalid_parameters(vec![Wrong::parameter("to", "too_many", detail)]))
        }
    }
}

fn conflicts_among(entries: &[CalendarEntry]) -> Vec<CalendarConflictBody> {
    let planned = entries.iter().filter(|entry| entry.status == CalendarStatus::Planned);
    let meetings = planned.filter_map(|entry| match entry.kind {
        CalendarKind::Interaction => Some((entry.operator_id?, entry.span, entry.id?)),
        _ => None,
    });
    let body = |conflict: opiekun_domain::calendar::Conflict<Uuid>| CalendarConflictBody {
        operator_id: conflict.operator_id,
        start: conflict.span.start,
        end: conflict.span.end,
        items: conflict.keys.into_iter().map(|id| CalendarReference { kind: CalendarKind::Interaction, id }).collect(),
    };
    conflicts(meetings).into_iter().map(body).collect()
}

fn slots(spans: Vec<Span>) -> Vec<SlotBody> {
    spans.into_iter().map(|span| SlotBody { start: span.start, end: span.end }).collect()
}

impl CalendarEntryBody {
    fn new(entry: CalendarEntry, language: Language) -> Self {
        let title = entry.title_in(language).to_owned();
        Self {
            kind: entry.kind,
            id: entry.id,
            title,
            start: entry.span.start,
            end: entry.span.end,
            all_day: entry.days.is_some(),
            start_on: entry.days.map(|days| days.start_on),
            end_on: entry.days.map(|days| days.end_on),
            operator_id: entry.operator_id,
            registered_by_id: entry.registered_by_id,
            customer_id: entry.customer_id,
            thread_id: entry.thread_id,
            task_series_id: entry.task_series_id,
            occurrence_at: entry.occurrence_at,
            status: entry.status,
            overdue: entry.overdue,
            percent_done: entry.percent_done,
            priority: entry.priority,
            invoices: entry.invoices.map(|InvoiceDay { due, issued }| InvoiceDayBody { due, issued }),
            version: entry.version,
        }
    }
}
