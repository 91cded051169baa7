//! Work that outlives a request: invoice runs, invoices by e-mail, scheduled procedures, the publication of events, reminders of tasks, the sweeping away of what has expired.
//!
//! Any number of nodes works side by side. What one takes up is locked in the database for as long as it lives, so
//! a node that dies leaves nothing locked and nothing half done.

pub mod automatic_runs;
pub mod files;
pub mod invoice_emails;
pub mod invoice_runs;
mod procedure_schedules;
pub mod reminders;
pub mod search;
mod worker;

pub use worker::{Clock, Worker};
