//! The worker process: documents from one pipe, PDFs into the other.

use crate::pdf::set;
use opiekun_typesetting::{Job, LayoutError, write_answer};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the process may take, from the beginning of its work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Of addresses, so also of memory.
    pub memory_bytes: u64,
    /// Of computing, for all documents together.
    pub cpu_seconds: Option<u64>,
}

impl WorkerLimits {
    /// Sets them on this process, for good. It opens no file and starts no process from now on, and what it leaves when it
    /// breaks is nothing.
    fn set(self) -> io::Result<()> {
        let no_more_than = |most| Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(Resource::As, no_more_than(self.memory_bytes))?;
        setrlimit(Resource::Fsize, no_more_than(0))?;
        setrlimit(Resource::Core, no_more_than(0))?;
        // The two pipes, and the one for complaints.
        setrlimit(Resource::Nofile, no_more_than(3))?;
        if let Some(seconds) = self.cpu_seconds {
            setrlimit(Resource::Cpu, no_more_than(seconds))?;
        }
        Ok(())
    }
}

/// Sets whatever comes, until nothing does, or until the setter itself breaks on it.
pub fn work(limits: WorkerLimits) -> io::Result<()> {
    limits.set()?;
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    while let Some(job) = Job::read(&mut from)? {
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| set(job))) else {
            let message = "the setter breaks on it".to_owned();
            return write_answer(&mut to, &Err(LayoutError { line: None, column: None, message }));
        };
        write_answer(&mut to, &answer)?;
    }
    Ok(())
}
