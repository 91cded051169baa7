//! The processes that set pages: kept ones for the layout that is built in, and a fresh one for each document in a firm's
//! own layout.

use crate::job::{Job, LayoutError, read_answer};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What a worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: u64,
    /// Of computing; without it, the worker goes on to the next document.
    pub cpu: Option<Duration>,
    /// From when it is told a document until it has answered.
    pub wall: Duration,
}

impl Limits {
    /// For the layout that is built in: an annex of ten thousand entries is set in time.
    pub const BUILT_IN: Self = Self { memory_bytes: 4 << 30, cpu: None, wall: Duration::from_secs(30) };

    /// For a firm's own layout.
    pub const OWN: Self =
        Self { memory_bytes: 1 << 30, cpu: Some(Duration::from_secs(10)), wall: Duration::from_secs(15) };

    /// How they are told to the worker, which sets them on itself before it takes a document.
    fn arguments(self) -> Vec<String> {
        let mut arguments = vec![format!("--memory-bytes={}", self.memory_bytes)];
        arguments.extend(self.cpu.map(|cpu| format!("--cpu-seconds={}", cpu.as_secs())));
        arguments
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum NotSet {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It would go on, or would need more memory than it gets.
    #[error("it takes more than {} s of computing or {} MiB of memory", .0.cpu.unwrap_or(.0.wall).as_secs(), .0.memory_bytes >> 20)]
    Limit(Limits),
    /// There is no worker, or it broke. The layout is not to blame.
    #[error("no worker sets it: {0}")]
    Worker(#[from] io::Error),
}

/// Sets documents, in processes of a program.
pub struct Workers {
    program: Box<dyn Fn() -> PathBuf + Send + Sync>,
    idle: Mutex<Vec<Worker>>,
}

/// After so many documents a kept worker makes room for a fresh one.
const DOCUMENTS_MAX: u32 = 1000;

/// And after one as large as this: the memory that it took stays with the process.
const LARGE_BYTES: usize = 1 << 20;

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("idle", &self.idle).finish_non_exhaustive()
    }
}

impl Workers {
    /// The program is a binary that has the command `render-worker`, as the server's own does; asked for whenever a process
    /// is started.
    pub fn new(program: impl Fn() -> PathBuf + Send + Sync + 'static) -> Self {
        Self { program: Box::new(program), idle: Mutex::new(Vec::new()) }
    }

    /// The PDF. Waits until it is set, or until its time is over.
    pub fn set(&self, job: &Job) -> Result<Vec<u8>, NotSet> {
        if job.layout.is_some() {
            let mut worker = Worker::start(&(self.program)(), Limits::OWN)?;
            return worker.set(job, Limits::OWN);
        }
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut worker) = kept {
            match worker.set(job, Limits::BUILT_IN) {
                // It may have gone while nobody looked.
                Err(NotSet::Worker(error)) => tracing::warn!(%error, "a kept worker broke"),
                answer => {
                    self.keep(worker);
                    return answer;
                }
            }
        }
        let mut worker = Worker::start(&(self.program)(), Limits::BUILT_IN)?;
        let answer = worker.set(job, Limits::BUILT_IN);
        self.keep(worker);
        answer
    }

    fn keep(&self, worker: Worker) {
        if worker.is_fit && worker.documents < DOCUMENTS_MAX {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }
}

/// A process that sets documents one after the other, until its pipe is closed.
#[derive(Debug)]
struct Worker {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    documents: u32,
    /// Whether it has answered whatever it was asked, and none of it was large.
    is_fit: bool,
}

impl Worker {
    fn start(program: &Path, limits: Limits) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("render-worker")
            .args(limits.arguments())
            .env_clear()
            // The allocator would reserve a gibibyte of addresses, which count as memory.
            .env("MIMALLOC_ARENA_RESERVE", "32768")
            // A document takes one core, and one stack.
            .env("RAYON_NUM_THREADS", "1")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, from) = pipes.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(Self { child, to, from, documents: 0, is_fit: true })
    }

    fn set(&mut self, job: &Job, limits: Limits) -> Result<Vec<u8>, NotSet> {
        self.documents += 1;
        let Self { child, to, from, .. } = self;
        let (answer, was_killed) = within(limits.wall, child, || {
            job.write(to)?;
            read_answer(from)
        });
        let is_large = matches!(&answer, Ok(Some(Ok(pdf))) if pdf.len() > LARGE_BYTES);
        self.is_fit = matches!(answer, Ok(Some(_))) && !was_killed && !is_large;
        if let Ok(Some(answer)) = answer {
            return Ok(answer?);
        }
        let status = self.end()?;
        if was_killed || is_of_limits(status, limits) {
            return Err(NotSet::Limit(limits));
        }
        Err(NotSet::Worker(io::Error::other(format!("the worker ended with {status}"))))
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
        }
        self.child.wait()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "a worker could not be ended");
        }
    }
}

/// Does something with a process that is killed unless it is done in time; tells whether it was.
fn within<T>(wall: Duration, child: &Child, work: impl FnOnce() -> T) -> (T, bool) {
    let pid = Pid::from_child(child);
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let is_over = is_done.recv_timeout(wall) == Err(RecvTimeoutError::Timeout);
            // Nobody has waited for it yet, so its number is still its own.
            is_over && kill_process(pid, Signal::KILL).is_ok()
        });
        let result = work();
        drop(done);
        (result, watch.join().unwrap_or_default())
    })
}

/// Whether a process ended as one does that comes to the limits which it has set on itself: of its time, or of its memory
/// and stack. One without a limit of its time is killed by others only, such as a system that is short of memory.
fn is_of_limits(status: ExitStatus, limits: Limits) -> bool {
    let of_time = limits.cpu.map(|_| [Signal::XCPU, Signal::KILL]);
    let of_memory = [Signal::ABORT, Signal::SEGV, Signal::BUS];
    let mut signals = of_time.into_iter().flatten().chain(of_memory);
    status.signal().is_some_and(|signal| signals.any(|of_limit| of_limit.as_raw() == signal))
}
