//! Pages set by worker processes: what is to be set, how it is told to a worker, and the workers that are kept.
//!
//! A layout is a program, and what sets it can't be told to stop. So it runs in a process of its own, which has limits and
//! can be killed, and which holds neither database nor files. The crate of the setter itself is only in that process's
//! hands: this one is all that the server needs to know.

mod job;
mod parts;
mod workers;

pub use job::{Answer, DOCUMENT_BYTES_MAX, FileName, Job, LayoutError, read_answer, write_answer};
pub use workers::{Limits, NotSet, Workers};
