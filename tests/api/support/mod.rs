//! What tests stand on: a server, clients that call it, and worlds to call it in.

mod billing;
mod client;
mod database;
mod drafts;
pub mod files;
pub mod firm;
pub mod fixtures;
pub mod mail;
mod matters;
pub mod operations;
mod plans;
mod process;
mod server;
mod world;

pub use billing::number_of_ksef;
pub use client::{Answer, Client, Record};
pub use database::{Scratch, connection, count, execute, scratch_database, text_rows, text_rows_of};
pub use drafts::{Draft, line, time_line};
pub use matters::Sale;
pub use plans::{Plan, Plans};
pub use process::{Process, binary, opiekun};
pub use server::{Database, SECRET, Server};
pub use world::{Caller, PASSWORD, World, now};

use std::time::{Duration, Instant};

/// Looks until there is what background work is to bring about, and fails when it takes too long.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(30), what, look)
}

#[track_caller]
pub fn eventually_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Does the same from many threads at once, all let go together, and gives what each got.
pub fn at_once<T: Send>(times: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(times);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..times)
            .map(|turn| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(turn)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
