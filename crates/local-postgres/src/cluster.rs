//! One cluster on disk: made by `initdb`, served by `postgres`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::error::{Error, tail};
use crate::folders::{make_private, remove, remove_own};
use crate::postmaster::{Answer, NAME, Postmaster};
use crate::programs::Programs;

/// What the data are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// They must survive a power cut.
    Serve,
    /// They are thrown away after the tests: PostgreSQL waits for no disk and prepares for no crash.
    Test,
}

/// Unicode's letters for `lower` and `upper`, plain byte order for sorting. macOS before 15 lacks C.UTF-8.
const CTYPES: [&str; 2] = ["C.UTF-8", "en_US.UTF-8"];

const TEST_SETTINGS: [&str; 11] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "jit=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
];

/// PostgreSQL's own words when what a killed server has left behind is still being cleared away.
const PASSING: [&str; 2] = ["pre-existing shared memory block", "lock file \"postmaster.pid\" already exists"];

#[derive(Debug)]
pub(crate) struct Cluster {
    /// A canonical path that the account can enter.
    pub(crate) root: PathBuf,
    pub(crate) socket_dir: PathBuf,
    pub(crate) account: Option<Account>,
    pub(crate) profile: Profile,
}

/// A server that accepts connections.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) postmaster: Postmaster,
    pub(crate) version: String,
}

impl Cluster {
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// The programs that can open these data, or any that will do while there are none.
    pub(crate) fn programs(&self, programs_dir: Option<&Path>) -> Result<Programs, Error> {
        let made_by = std::fs::read_to_string(self.data_dir().join("PG_VERSION")).ok();
        let programs = Programs::find(programs_dir, made_by.and_then(|major| major.trim().parse().ok()))?;
        if let Some(account) = &self.account {
            // PATH may name a link to a directory that is closed.
            let postgres = programs.postgres();
            account.check_way(programs.dir())?;
            account.check_way(&postgres.canonicalize().map_err(Error::io("find", &postgres))?)?;
        }
        Ok(programs)
    }

    /// Makes the data directory and the database `opiekun`, unless they are there. All of it happens beside its
    /// final name, so that a half-made directory is never taken for a whole one.
    pub(crate) fn initialise(&self, programs: &Programs) -> Result<(), Error> {
        for leftover in std::fs::read_dir(&self.root).map_err(Error::io("read", &self.root))?.flatten() {
            if leftover.file_name().to_string_lossy().starts_with("data.new") {
                // In vain while an orphaned initdb still writes to it; the next time then.
                let _ = remove(&leftover.path());
            }
        }
        if self.data_dir().exists() {
            return Ok(());
        }
        // A name of our own: an initdb whose starter was killed may still be writing to another one.
        let new = self.root.join(format!("data.new.{}", std::process::id()));
        let mut ctypes = CTYPES.into_iter().peekable();
        while let Some(ctype) = ctypes.next() {
            make_private(&new, self.account.as_ref())?;
            let output = self.run_initdb(programs, &new, ctype)?;
            if output.status.success() {
                break;
            }
            let said = said(&output);
            if said.contains("could not look up effective user ID") {
                return Err(Error::UnknownUser { uid: rustix::process::geteuid().as_raw() });
            }
            if ctypes.peek().is_none() || !said.contains("locale") {
                return Err(Error::NotInitialised { status: output.status, tail: tail(&said) });
            }
            remove(&new)?;
        }
        self.create_database(programs, &new)?;
        std::fs::rename(&new, self.data_dir()).map_err(Error::write("rename", &new))?;
        // The new name is on disk only once its directory is.
        File::open(&self.root).and_then(|root| root.sync_all()).map_err(Error::write("sync", &self.root))
    }

    fn run_initdb(&self, programs: &Programs, new: &Path, ctype: &str) -> Result<Output, Error> {
        let mut initdb = self.command(&programs.initdb());
        initdb.arg("-D").arg(new).args(["-U", NAME, "-A", "trust", "-E", "UTF8", "--no-instructions"]);
        initdb.args(["--locale=C", &format!("--lc-ctype={ctype}")]);
        if self.profile == Profile::Test {
            initdb.arg("--no-sync");
        }
        initdb.output().map_err(|reason| self.not_run(&programs.initdb(), reason))
    }

    /// In single-user mode, because a server would already be serving an incomplete cluster.
    fn create_database(&self, programs: &Programs, new: &Path) -> Result<(), Error> {
        let program = programs.postgres();
        let mut postgres = self.command(&program);
        postgres.arg("--single").arg("-D").arg(new).args(["-c", "exit_on_error=true"]);
        if self.profile == Profile::Test {
            postgres.arg("-F");
        }
        postgres.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = postgres.spawn().map_err(|reason| self.not_run(&program, reason))?;
        if let Some(mut stdin) = child.stdin.take() {
            // If it is gone already, its status and its words say why.
            let _ = writeln!(stdin, "CREATE DATABASE {NAME}");
        }
        let output = child.wait_with_output().map_err(Error::io("wait for", &program))?;
        if !output.status.success() {
            return Err(Error::NotInitialised { status: output.status, tail: tail(&said(&output)) });
        }
        Ok(())
    }

    /// Starts the server and waits until it accepts connections. The caller has made sure that no other one is
    /// alive. `born` hears of the process at once, so that it can't be left alone.
    pub(crate) fn serve<Guard>(
        &self,
        programs: &Programs,
        wait: Duration,
        born: impl Fn(Pid) -> Result<Guard, Error>,
    ) -> Result<(Child, Guard, Serving), Error> {
        let deadline = Instant::now() + wait;
        loop {
            match self.postmaster() {
                // Born when its starter was killed, and seen only now. PostgreSQL will refuse a second server.
                Some(orphan) => drop(kill_process(orphan.pid, Signal::INT)),
                None => self.remove_traces()?,
            }
            let mut server = self.spawn(programs)?;
            let guard = born(Pid::from_child(&server));
            let outcome = guard.and_then(|guard| {
                let serving = self.wait_until_ready(&mut server, deadline, wait)?;
                Ok((guard, serving))
            });
            match outcome {
                Ok((guard, serving)) => return Ok((server, guard, serving)),
                Err(Error::Exited { tail, .. })
                    if PASSING.iter().any(|words| tail.contains(words)) && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(500));
                }
                Err(error) => {
                    stop(&mut server);
                    // What went wrong is worth more than a directory that stays behind.
                    let _ = remove_own(&self.socket_dir, self.account.as_ref());
                    return Err(error);
                }
            }
        }
    }

    /// The server of these data that is alive, whoever has started it.
    pub(crate) fn postmaster(&self) -> Option<Postmaster> {
        let data_dir = self.data_dir();
        Postmaster::read(&data_dir).filter(|postmaster| postmaster.is_alive(&data_dir))
    }

    /// The server of these data, if it accepts connections now.
    pub(crate) fn serving(&self) -> Result<Option<Serving>, Error> {
        let Some(postmaster) = self.postmaster() else {
            return Ok(None);
        };
        match postmaster.answer() {
            Some(Answer::Welcome(version)) => Ok(Some(Serving { postmaster, version })),
            Some(Answer::Refusal(reason)) => Err(Error::Refused(reason)),
            None => Ok(None),
        }
    }

    /// Takes away what makes PostgreSQL believe that a dead server is alive: its own check knows neither processes
    /// that nobody has waited for nor process ids that have been given to a stranger.
    fn remove_traces(&self) -> Result<(), Error> {
        remove_own(&self.socket_dir, self.account.as_ref())?;
        make_private(&self.socket_dir, self.account.as_ref())?;
        let pid_file = self.data_dir().join("postmaster.pid");
        match std::fs::remove_file(&pid_file) {
            Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::write("remove", &pid_file)(reason))
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self, programs: &Programs) -> Result<Child, Error> {
        let log = self.log();
        if log.exists() {
            let previous = self.root.join("postgres.log.1");
            std::fs::rename(&log, &previous).map_err(Error::write("rename", &log))?;
        }
        let output =
            File::options().append(true).create_new(true).mode(0o600).open(&log).map_err(Error::write("make", &log))?;
        let errors = output.try_clone().map_err(Error::io("open", &log))?;

        let program = programs.postgres();
        let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
        sockets.push(&self.socket_dir);
        let mut postgres = self.command(&program);
        postgres.arg("-D").arg(self.data_dir()).arg("-c").arg(sockets);
        postgres.args(["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "port=5432"]);
        if self.profile == Profile::Test {
            for setting in TEST_SETTINGS {
                postgres.args(["-c", setting]);
            }
        }
        // Out of reach of Ctrl-C, which would stop the database before the requests in flight are answered.
        postgres.process_group(0).stdout(output).stderr(errors);
        postgres.spawn().map_err(|reason| self.not_run(&program, reason))
    }

    fn wait_until_ready(&self, server: &mut Child, deadline: Instant, wait: Duration) -> Result<Serving, Error> {
        loop {
            if let Some(status) = server.try_wait().map_err(Error::io("wait for", &self.log()))? {
                let log = self.log();
                let tail = tail(&std::fs::read_to_string(&log).unwrap_or_default());
                return Err(Error::Exited { status, log, tail });
            }
            if let Some(serving) = self.serving()?
                && serving.postmaster.pid == Pid::from_child(server)
            {
                return Ok(serving);
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut { waited: wait, log: self.log() });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// From the root directory, since ours may be closed to the account; in English and UTC, whatever our
    /// surroundings say, so that the messages can be read here and two machines agree on the day.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C").env("TZ", "UTC").env_remove("PGDATA");
        if let Some(account) = &self.account {
            account.run(&mut command);
        }
        command
    }

    fn not_run(&self, program: &Path, reason: std::io::Error) -> Error {
        let otherwise = Error::io("run", program);
        match &self.account {
            Some(account) => account.cannot_switch(reason, otherwise),
            None => otherwise(reason),
        }
    }
}

/// Ends the connections and shuts down with a checkpoint. A server that can't do so within a minute stops at once,
/// and the next start recovers.
pub(crate) fn stop(server: &mut Child) {
    for (signal, patience) in [(Signal::INT, 60), (Signal::QUIT, 10), (Signal::KILL, 10)] {
        // Until it has been waited for, its process id is nobody else's.
        let Ok(None) = server.try_wait() else { return };
        let _ = kill_process(Pid::from_child(server), signal);
        let deadline = Instant::now() + Duration::from_secs(patience);
        while let Ok(None) = server.try_wait()
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn said(output: &Output) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said
}
