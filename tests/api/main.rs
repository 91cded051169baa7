//! The whole of Opiekun from outside: one server, one PostgreSQL, and an organization of its own for each test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod api_keys;
mod architecture;
mod attachments;
mod audit_log;
mod auth;
mod browsers;
mod calendar;
mod calendar_feeds;
mod contract;
mod crash;
mod customers;
mod demo;
mod events;
mod files;
mod funnel;
mod hourly_rates;
mod interactions;
mod invoice_runs;
mod invoice_templates;
mod invoices;
mod limits;
mod month_locks;
mod number_series;
mod occurrences;
mod operators;
mod opportunities;
mod organization;
mod pages;
mod people;
mod pipelines;
mod progress;
mod scale;
mod schema;
mod subscriptions;
mod tags;
mod task_series;
mod task_trees;
mod tasks;
mod threads;
mod time_cost;
mod timer;
mod walk;
mod work_entries;
