//! Answers that are sent while they are written, so that memory does not grow with them.

use crate::problem::ApiError;
use crate::state::State;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use opiekun_persistence::{Scope, Tx};
use std::io::{self, Write};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What is written before anything is sent. An answer that fits is sent with its length.
const CHUNK_BYTES: usize = 16 * 1024;
/// How far the database may be ahead of the caller.
const CHUNKS_AHEAD: usize = 4;
/// A caller that takes nothing for so long has gone; a connection to the database must not wait for it.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// Where an answer is written to.
pub struct Chunks {
    filling: Vec<u8>,
    full: mpsc::Sender<Result<Bytes, ApiError>>,
    runtime: Handle,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.filling));
        self.runtime
            .block_on(self.full.send_timeout(Ok(chunk), TAKEN_WITHIN))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller takes no more of the answer"))
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.filling.extend_from_slice(bytes);
        if self.filling.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Chunks are sent when they are full, and the last one at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer that `write` writes from one state of the database, on `response`.
///
/// A refusal before the second chunk is a problem document like any other; a later one can only break the answer off,
/// which the caller sees, since the end of the body is missing.
pub async fn streamed(
    state: web::Data<State>,
    scope: Scope,
    mut response: HttpResponseBuilder,
    write: impl FnOnce(&mut Tx<'_>, &mut Chunks) -> Result<(), ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let (full, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
    let runtime = Handle::current();
    actix_web::rt::spawn(async move {
        let mut out = Chunks { filling: Vec::with_capacity(CHUNK_BYTES), full: full.clone(), runtime };
        let written = state.snapshot(scope, move |tx| {
            write(tx, &mut out)?;
            out.send().map_err(ApiError::unavailable)
        });
        if let Err(error) = written.await {
            // Nobody is left to tell where the caller has gone.
            let _ = full.send(Err(error)).await;
        }
    });
    let Some(first) = chunks.recv().await.transpose()? else {
        return Err(ApiError::internal("an answer without end"));
    };
    let Some(second) = chunks.recv().await.transpose()? else {
        return Ok(response.body(first));
    };
    let rest = stream::unfold(chunks, async |mut chunks| Some((chunks.recv().await?, chunks)));
    let body = stream::iter([Ok(first), Ok(second)]).chain(rest).map(|chunk| {
        chunk.map_err(|error: ApiError| {
            tracing::error!(code = error.code.as_str(), cause = error.cause, "an answer broke off");
            io::Error::other(error.to_string())
        })
    });
    Ok(response.streaming(body))
}
