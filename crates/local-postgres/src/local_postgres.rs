//! The server of one data directory, kept between runs.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::cluster::{self, Cluster, Profile, Serving};
use crate::error::Error;
use crate::folders::{make_root_dir, remove_own, socket_dir};
use crate::watchdog::Watchdog;

/// Which cluster to run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the cluster lives, for it alone; made if need be. See [`default_root_dir`](crate::default_root_dir).
    pub root_dir: PathBuf,
    /// Use the PostgreSQL in this directory instead of looking for one.
    pub programs_dir: Option<PathBuf>,
    /// As root: run PostgreSQL as this account, instead of `postgres` or `nobody`.
    pub run_as: Option<String>,
    /// The longest time from the start of the server to the first connection. Recovery after a crash reads and
    /// writes every file, so a minute is not too much.
    pub wait: Duration,
    pub profile: Profile,
}

impl Options {
    pub fn new(root_dir: impl Into<PathBuf>) -> Self {
        Self {
            root_dir: root_dir.into(),
            programs_dir: None,
            run_as: None,
            wait: Duration::from_secs(60),
            profile: Profile::Serve,
        }
    }
}

/// A running PostgreSQL with the database `opiekun`. The process that started it stops it, when this value is
/// dropped or the process dies in whatever way; a process that came later and attached leaves it running.
#[derive(Debug)]
pub struct LocalPostgres {
    root_dir: PathBuf,
    serving: Serving,
    started: Option<Server>,
}

/// The server of this process. The lock is freed last, when the server is gone.
#[derive(Debug)]
struct Server {
    process: Child,
    watchdog: Option<Watchdog>,
    cluster: Cluster,
    _lock: File,
}

impl LocalPostgres {
    /// Starts the server, making its data directory first if there is none. If another process already runs the
    /// server of this directory, or is about to, it attaches to that one.
    ///
    /// Whoever holds the lock in the directory owns the server. A server found without an owner has lost it to a
    /// kill, and its watchdog is about to stop it; it is stopped and started anew.
    pub fn start(options: Options) -> Result<Self, Error> {
        let account = Account::to_switch_to(options.run_as.as_deref(), Some(&options.root_dir.join("data")))?;
        let root_dir = make_root_dir(&options.root_dir, account.as_ref())?;
        let lock_file = root_dir.join("lock");
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_file)
            .map_err(Error::write("open", &lock_file))?;
        let cluster = Cluster { socket_dir: socket_dir(&root_dir), root: root_dir, account, profile: options.profile };
        let deadline = Instant::now() + options.wait;
        loop {
            match lock.try_lock() {
                Ok(()) => return Self::own(cluster, lock, &options),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(reason)) => {
                    return Err(Error::write("lock", &lock_file)(reason));
                }
            }
            if let Some(serving) = cluster.serving()? {
                return Ok(Self { root_dir: cluster.root, serving, started: None });
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut { waited: options.wait, log: cluster.log() });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn own(cluster: Cluster, lock: File, options: &Options) -> Result<Self, Error> {
        let deadline = Instant::now() + options.wait;
        while let Some(postmaster) = cluster.postmaster() {
            let orphan = postmaster.socket_dir.file_name() == cluster.socket_dir.file_name();
            if orphan {
                let _ = kill_process(postmaster.pid, Signal::INT);
            } else if let Some(serving) = cluster.serving()? {
                // Somebody has started it by hand, with an address of their own. It isn't ours to stop.
                return Ok(Self { root_dir: cluster.root, serving, started: None });
            }
            if Instant::now() >= deadline {
                return Err(Error::AlreadyServed { root_dir: cluster.root });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let programs = cluster.programs(options.programs_dir.as_deref())?;
        cluster.initialise(&programs)?;
        let (process, watchdog, serving) = cluster.serve(&programs, options.wait, |pid| {
            Watchdog::guard(pid).map_err(Error::io("run", Path::new("/bin/sh")))
        })?;
        let root_dir = cluster.root.clone();
        let server = Server { process, watchdog: Some(watchdog), cluster, _lock: lock };
        Ok(Self { root_dir, serving, started: Some(server) })
    }

    /// Refuses a server that another process owns and would take away when it ends.
    pub fn require_started(self) -> Result<Self, Error> {
        if self.started() { Ok(self) } else { Err(Error::AlreadyServed { root_dir: self.root_dir }) }
    }

    /// Whether this process started the server, and is the one to stop it.
    pub fn started(&self) -> bool {
        self.started.is_some()
    }

    /// The address of the database `opiekun`, for libpq.
    pub fn url(&self) -> String {
        self.serving.postmaster.url()
    }

    /// The server's version, such as `15.20`.
    pub fn version(&self) -> &str {
        &self.serving.version
    }

    /// The folder of the cluster and of `postgres.log`.
    pub fn root_dir(&self) -> &Path {
        &self.root_dir
    }

    /// Stops the server if this process started it: open connections end, everything committed is on disk.
    /// Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        // The signal comes first: from here on the server stops even if we are killed in this very function.
        if let Ok(None) = self.process.try_wait() {
            let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        }
        // Its process id is free for others once it has been waited for; nobody may aim at it then.
        self.watchdog = None;
        cluster::stop(&mut self.process);
        // A directory that stays behind is empty and in nobody's way.
        let _ = remove_own(&self.cluster.socket_dir, self.cluster.account.as_ref());
    }
}
