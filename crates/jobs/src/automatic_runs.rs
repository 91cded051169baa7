//! Automatic runs: what is due is issued by itself, once a day, for organizations that ask for it.
//!
//! Here they are only queued. Whichever node is free works on them, like on any other run.

use chrono::{DateTime, Utc};
use opiekun_persistence::{ActorRef, Db, Result, Scope, StoreError, invoice_runs, organizations};

/// Queues the run of every organization whose hour of today has come, unless there is one; tells how many were queued.
///
/// Any number of nodes may do so at once: each run is there once.
pub fn queue(db: &Db, now: DateTime<Utc>) -> Result<usize> {
    let mut queued = 0;
    for organization in organizations::invoiced_daily(db)? {
        let Some(day) = organization.daily.due(now, organization.time_zone, organization.last_on) else { continue };
        #[expect(clippy::disallowed_methods, reason = "the organization's owner has asked for it")]
        let scope = Scope::new(organization.id, ActorRef::System, None);
        match db.transaction(scope, now, |tx| invoice_runs::create_automatic(tx, day)) {
            Ok(run) => queued += usize::from(run.is_some()),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // One organization's trouble is not another's.
            Err(error) => tracing::error!(organization = %organization.id, %error, "no automatic run was queued"),
        }
    }
    Ok(queued)
}
