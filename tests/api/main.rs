//! The whole of Opiekun from outside: one server, one PostgreSQL, and an organization of its own for each test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod contract;
mod crash;
mod walk;
mod customers;
mod hourly_rates;
mod interactions;
mod invoice_runs;
mod invoice_templates;
mod invoices;
mod number_series;
mod occurrences;
mod people;
mod subscriptions;
mod time_cost;
