//! Domain values in, bytes out: the files that people and other programs take away. No database, no wire.

pub mod calendar_feed;
pub mod csv;
pub mod fa3;
mod icalendar;
pub mod image_size;
pub mod invoice_page;
pub mod qr;
pub mod table;
pub mod xlsx;
