//! The setter: what runs in a worker process and makes a PDF of a layout and what it is to show.
//!
//! A layout sees the files of [`world`] and nothing else: no disk, no package, no network, no clock. So what it makes
//! depends on its job alone, and the same job gives the same bytes.

mod pdf;
mod worker;
mod world;

pub use pdf::set;
pub use worker::{WorkerLimits, work};
