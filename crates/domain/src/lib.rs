//! The words and rules of Opiekun: values in, values out. No I/O, no clock, no database, no wire.
//!
//! Two optional features let the words speak to their neighbours: `sql` (diesel) and `schema` (utoipa).
//! Only [`vocabulary`], [`ids`], [`decimal`] and [`currency`] mention either.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

#[macro_use]
pub mod vocabulary;

pub mod address;
pub mod amount_in_words;
pub mod article;
pub mod attachment;
pub mod authority;
pub mod automatic_run;
pub mod billable_time;
pub mod billing;
pub mod calendar;
pub mod calendar_day;
pub mod calendar_feed;
pub mod correction;
pub mod cost;
pub mod currency;
pub mod customer;
pub mod decimal;
pub mod e_invoice;
pub mod email_text;
pub mod exchange_rate;
pub mod iban;
pub mod ids;
pub mod interaction;
pub mod invoice;
pub mod invoice_draft;
pub mod invoice_email;
pub mod invoice_layout;
pub mod invoice_run;
pub mod ksef_number;
pub mod language;
pub mod month_lock;
pub mod numbering;
pub mod occurrence;
pub mod operator;
pub mod permission;
pub mod pipeline;
pub mod plan;
pub mod price_change;
pub mod procedure;
pub mod proration;
pub mod recurrence;
pub mod reminder;
pub mod schedule;
pub mod search;
pub mod statement;
pub mod subscription;
pub mod survey;
pub mod survey_results;
pub mod task;
pub mod tax_identity;
pub mod text;
pub mod text_template;
pub mod thread;
pub mod time_cost;
pub mod vat;
pub mod work_entry;
pub mod work_item;
