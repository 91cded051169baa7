//! SQL and nothing but SQL: rows, queries and transactions. The only crate that names diesel.
//!
//! Every query takes a [`Tx`], and a [`Tx`] exists only within a [`Scope`]: whoever asks has said which
//! organization and on whose behalf. The few look-ups that come before anybody is known (a sign-in, a key, a feed's address)
//! are in [`credentials`]; what a node does for all organizations is in the modules of the work itself.

mod bulk;
mod db;
mod error;
mod json;
mod page;
mod pricing;
mod schema;
mod session_lock;

pub mod api_keys;
pub mod article_categories;
pub mod article_search;
pub mod article_uses;
pub mod article_votes;
pub mod articles;
pub mod attachments;
pub mod audit_log;
pub mod calendar;
pub mod calendar_feeds;
pub mod changes;
pub mod credentials;
pub mod customers;
pub mod events;
pub mod exchange_rates;
pub mod extra_lines;
pub mod file_objects;
pub mod files;
pub mod funnel;
pub mod hourly_rates;
pub mod idempotency;
pub mod interactions;
pub mod invoice_documents;
pub mod invoice_emails;
pub mod invoice_ksef_numbers;
pub mod invoice_layouts;
pub mod invoice_runs;
pub mod invoice_templates;
pub mod invoice_time_entries;
pub mod invoices;
pub mod missed_searches;
pub mod month_locks;
pub mod not_invoiced;
pub mod number_series;
pub mod occurrences;
pub mod operators;
pub mod opportunities;
pub mod organizations;
pub mod payments;
pub mod people;
pub mod pipelines;
pub mod price_changes;
pub mod procedure_runs;
pub mod procedure_schedules;
pub mod procedures;
pub mod progress;
pub mod reminders;
pub mod search;
pub mod stage_changes;
pub mod stages;
pub mod statements;
pub mod subscriptions;
pub mod survey_links;
pub mod survey_responses;
pub mod survey_results;
pub mod surveys;
pub mod synonyms;
pub mod task_progress;
pub mod task_reminders;
pub mod task_series;
pub mod tasks;
pub mod thread_summary;
pub mod threads;
pub mod time_cost;
pub mod timeline;
pub mod timers;
pub mod unbilled_time;
pub mod work_entries;
pub mod work_tree;

pub use db::{ActorRef, Connection, Db, Scope, Tx, migrate, pending_migrations, server_version};
pub use error::{Result, StoreError, Violation};
pub use json::Json;
pub use page::{Cursor, Page, PageRequest};
