//! Reminders of invoices that are not paid: once a day, by steps, with a task for the caretaker where that is asked for.
//!
//! Here they are only queued. Whichever node sends e-mails sends them, unless the invoice is paid by then.

use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::ids::{InvoiceId, TaskId};
use opiekun_domain::language::Language;
use opiekun_domain::task::TaskPriority;
use opiekun_persistence::reminders::{self, Candidate, Reminding};
use opiekun_persistence::tasks::{self, NewTaskFields, TaskFields};
use opiekun_persistence::{ActorRef, Db, Result, Scope, StoreError, Tx, organizations};

/// How many invoices are looked at in one transaction.
const AT_ONCE: i64 = 1_000;

/// Queues what is to be reminded of in every organization whose hour of today has come; tells how many reminders that were.
///
/// Any number of nodes may do so at once: each reminder is there once.
pub fn queue(db: &Db, now: DateTime<Utc>) -> Result<usize> {
    let mut queued = 0;
    for organization in reminders::reminding(db)? {
        let daily = organization.schedule.daily(organization.set_at);
        let Some(today) = daily.due(now, organization.time_zone, organization.last_on) else { continue };
        match queue_of(db, now, &organization, today) {
            Ok(count) => queued += count,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // One organization's trouble is not another's.
            Err(error) => tracing::error!(organization = %organization.id, %error, "reminders were not queued"),
        }
    }
    Ok(queued)
}

fn queue_of(db: &Db, now: DateTime<Utc>, organization: &Reminding, today: NaiveDate) -> Result<usize> {
    #[expect(clippy::disallowed_methods, reason = "the organization's owner has asked for it")]
    let scope = Scope::new(organization.id, ActorRef::System, None);
    let set_on = day_of(organization.set_at, organization.time_zone);
    let (mut queued, mut after) = (0, None);
    if let Some(between) = organization.schedule.due_between(set_on, today) {
        loop {
            let batch = db.transaction(scope, now, |tx| {
                let candidates = reminders::candidates(tx, between, after, AT_ONCE)?;
                let last = candidates.last().map(|candidate| candidate.invoice_id);
                let count = remind(tx, organization, set_on, today, candidates)?;
                Ok::<_, StoreError>((count, last))
            })?;
            queued += batch.0;
            match batch.1 {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    db.transaction(scope, now, |tx| reminders::finish(tx, today))?;
    Ok(queued)
}

/// Queues the reminders of those that are at a step, and opens the tasks that come with them.
fn remind(
    tx: &mut Tx<'_>,
    organization: &Reminding,
    set_on: NaiveDate,
    today: NaiveDate,
    candidates: Vec<Candidate>,
) -> Result<usize> {
    let mut at_step: Vec<(InvoiceId, i16)> = Vec::new();
    let mut with_task: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let Some(step) = organization.schedule.due(candidate.unpaid(), set_on, today) else { continue };
        at_step.push((candidate.invoice_id, step.days_after_due));
        if step.open_task {
            with_task.push(candidate);
        }
    }
    let queued = reminders::queue(tx, &at_step)?;
    with_task.retain(|candidate| queued.contains(&candidate.invoice_id));
    if !with_task.is_empty() {
        let language = organizations::find(tx)?.fields.locale;
        let due_at = day_bounds(today, organization.time_zone).0;
        let tasks = with_task.iter().map(|candidate| {
            let fields = task_of(candidate, language, due_at);
            (None, NewTaskFields { id: TaskId::at(tx.now), fields })
        });
        let tasks = tasks.collect();
        tasks::create_all(tx, tasks, organization.time_zone)?;
    }
    Ok(queued.len())
}

/// What the caretaker is to do.
fn task_of(candidate: &Candidate, language: Language, due_at: DateTime<Utc>) -> TaskFields {
    const TITLE_LENGTH_MAX: usize = 240;
    let Candidate { customer_id, customer_name, caretaker_id, currency, owed, .. } = candidate;
    let number = candidate.number.as_deref().unwrap_or_default();
    let due_on = candidate.unpaid().due_on;
    let (title, description) = match language {
        Language::Polish => (
            format!("Niezapłacona faktura {number}: {customer_name}"),
            format!(
                "Do zapłaty pozostaje {owed} {currency}; termin płatności: {due_on}. Klient dostaje przypomnienie."
            ),
        ),
        Language::English => (
            format!("Unpaid invoice {number}: {customer_name}"),
            format!("{owed} {currency} are left to pay; due on {due_on}. The customer is sent a reminder."),
        ),
    };
    TaskFields {
        title: title.chars().take(TITLE_LENGTH_MAX).collect(),
        description: Some(description),
        customer_id: Some(*customer_id),
        caretaker_id: *caretaker_id,
        priority: TaskPriority::Normal,
        start_at: None,
        due_at: Some(due_at),
        all_day: true,
        estimate_minutes: None,
        thread_id: None,
        parent_task_id: None,
        parent_interaction_id: None,
        opportunity_id: None,
        tags: Vec::new(),
        reminder_minutes: Vec::new(),
    }
}
