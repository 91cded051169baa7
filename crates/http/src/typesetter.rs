//! Setting documents as PDF: whoever's turn it is, in the processes that are there for it.

use crate::problem::ApiError;
use crate::values::capitalised;
use opiekun_typesetting::{Job, LayoutError, NotSet, Workers};
use serde_json::json;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

/// How many documents in layouts of organizations' own are set at once; others wait their turn.
const OWN_AT_ONCE: usize = 2;

pub struct Typesetter {
    workers: Arc<Workers>,
    /// One permit a document in the layout that is built in.
    built_in: Arc<Semaphore>,
    /// One permit a document in an organization's own, so that none can keep others from being set.
    own: Arc<Semaphore>,
}

impl Typesetter {
    pub fn new(workers: Arc<Workers>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { workers, built_in: Arc::new(Semaphore::new(cores)), own: Arc::new(Semaphore::new(OWN_AT_ONCE)) }
    }

    /// The PDF; or why the layout makes none.
    pub async fn set(&self, job: Job) -> Result<Result<Vec<u8>, LayoutError>, ApiError> {
        let turns = if job.layout.is_some() { &self.own } else { &self.built_in };
        let turn = Arc::clone(turns).acquire_owned().await.map_err(ApiError::unavailable)?;
        let (told, answer) = oneshot::channel();
        let workers = Arc::clone(&self.workers);
        // A thread of its own: those of the bridge are for the database, and none waits seconds there.
        std::thread::spawn(move || {
            let answer = workers.set(&job);
            // Whoever has gone meanwhile need not be told.
            drop(told.send(answer));
            drop(turn);
        });
        match answer.await.map_err(ApiError::internal)? {
            Ok(pdf) => Ok(Ok(pdf)),
            Err(NotSet::Layout(error)) => Ok(Err(error)),
            Err(limit @ NotSet::Limit(_)) => {
                Ok(Err(LayoutError { line: None, column: None, message: limit.to_string() }))
            }
            Err(broken @ NotSet::Worker(_)) => Err(ApiError::unavailable(broken)),
        }
    }
}

/// Where the layout is wrong, and how: "Line 3, column 7: unknown variable: total".
pub fn told(error: &LayoutError) -> String {
    let LayoutError { line, column, message } = error;
    match (line, column) {
        (Some(line), Some(column)) => format!("Line {line}, column {column}: {message}"),
        _ => capitalised(message),
    }
}

/// The source of a layout that is refused, with its line and column.
pub fn refused_source(error: &LayoutError) -> ApiError {
    let mut refusal = ApiError::invalid_field("/source", "layout", told(error));
    if let (Some(line), Some(column), Some(wrong)) = (error.line, error.column, refusal.errors.first_mut()) {
        wrong.params = Some(json!({ "line": line, "column": column }));
    }
    refusal
}
