//! The throw-away PostgreSQL of one test run.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cluster::{Cluster, Profile};
use crate::error::Error;
use crate::folders::{fits_socket, remove, set_mode, short_hash, socket_dir};
use crate::watchdog;

/// The longest time for the server to start, or to answer.
const WAIT: Duration = Duration::from_secs(60);

/// Begins the names of the marks that a database is ready for the tests.
const INITIALISED: &str = "initialised-";

/// The server that all test processes of one run share: the first one starts it, the others attach, and it is gone
/// with its data when the run is over. Runs of other checkouts and other users have servers of their own.
///
/// With `OPIEKUN_TEST_DATABASE_URL` set it is that database instead, and nothing is started. `OPIEKUN_PG_BIN` and
/// `OPIEKUN_PG_USER` mean what they mean for the program.
#[derive(Debug)]
pub struct TestCluster {
    dir: PathBuf,
    url: String,
    log: Option<PathBuf>,
}

impl TestCluster {
    /// The cluster of this run. A run is what the parent of this process, cargo or cargo-nextest, has started.
    pub fn shared() -> Result<Self, Error> {
        let external = std::env::var("OPIEKUN_TEST_DATABASE_URL").ok().filter(|url| !url.is_empty());
        let owner = match std::os::unix::process::parent_id() {
            // Outside of our view, or the first process of the machine, which outlives all runs.
            0 | 1 => std::process::id(),
            parent => parent,
        };
        Self::of_run(owner, external)
    }

    fn of_run(owner: u32, external: Option<String>) -> Result<Self, Error> {
        let account = match external {
            Some(_) => None,
            None => Account::to_switch_to(setting("OPIEKUN_PG_USER").as_deref(), None)?,
        };
        let dir = make_run_dir(owner, account.as_ref())?;
        let _lock = lock(&dir)?;
        let socket_dir = match dir.join("socket") {
            inside if fits_socket(&inside) => inside,
            _ => socket_dir(&dir),
        };
        let watched = dir.join("watched");
        let (url, log) = match external {
            Some(url) => {
                if !watched.exists() {
                    watch(owner, &dir, &socket_dir, &watched)?;
                }
                (url, None)
            }
            None => {
                let cluster = Cluster { root: dir.clone(), socket_dir, account, profile: Profile::Test };
                let url = match running(&cluster)? {
                    Some(url) => url,
                    None => {
                        // Also when the mark is there: with no server, it may be from before the machine stopped.
                        watch(owner, &dir, &cluster.socket_dir, &watched)?;
                        start_anew(&cluster)?
                    }
                };
                (url, Some(cluster.log()))
            }
        };
        Ok(Self { dir, url, log })
    }

    /// Where the server writes its log; nobody knows of one that was there already.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// The address of the database that this run has for itself, for libpq.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Runs `prepare` on the database's address unless a process of this run already has: the place for migrations.
    /// The others wait until it is through. After a failure the next one tries again.
    pub fn initialise_once<E: From<Error>>(&self, prepare: impl FnOnce(&str) -> Result<(), E>) -> Result<(), E> {
        let _lock = lock(&self.dir)?;
        let marker = self.dir.join(format!("{INITIALISED}{}", short_hash(Path::new(&self.url))));
        if !marker.exists() {
            prepare(&self.url)?;
            File::create(&marker).map_err(Error::write("make", &marker))?;
        }
        Ok(())
    }
}

/// The address of the server that an earlier process of the run has started. It may be too busy to answer at once,
/// and is not to be replaced for that.
fn running(cluster: &Cluster) -> Result<Option<String>, Error> {
    let deadline = Instant::now() + WAIT;
    while cluster.postmaster().is_some() {
        if let Some(serving) = cluster.serving()? {
            return Ok(Some(serving.postmaster.url()));
        }
        if Instant::now() >= deadline {
            return Err(Error::TimedOut { waited: WAIT, log: cluster.log() });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// Without fsync nothing that an earlier server has left behind can be trusted.
fn start_anew(cluster: &Cluster) -> Result<String, Error> {
    remove(&cluster.data_dir())?;
    for entry in std::fs::read_dir(&cluster.root).map_err(Error::io("read", &cluster.root))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(INITIALISED) {
            std::fs::remove_file(entry.path()).map_err(Error::write("remove", &entry.path()))?;
        }
    }
    let programs = cluster.programs(setting("OPIEKUN_PG_BIN").as_deref().map(Path::new))?;
    cluster.initialise(&programs)?;
    // The watchdog has the server from here on: it outlives this process as long as the run goes on.
    let (_, (), serving) = cluster.serve(&programs, WAIT, |_| Ok(()))?;
    Ok(serving.postmaster.url())
}

fn watch(owner: u32, dir: &Path, socket_dir: &Path, mark: &Path) -> Result<(), Error> {
    watchdog::remove_after(owner, dir, socket_dir).map_err(Error::io("run", Path::new("/bin/sh")))?;
    File::create(mark).map(drop).map_err(Error::write("make", mark))
}

/// In the directory for temporary files, since the target directory may be closed to the account. The name can be
/// guessed, so a directory that somebody else has made is refused.
fn make_run_dir(owner: u32, account: Option<&Account>) -> Result<PathBuf, Error> {
    let uid = rustix::process::geteuid().as_raw();
    let temp = std::env::temp_dir();
    let temp = temp.canonicalize().map_err(Error::io("find", &temp))?;
    let dir = temp.join(format!("opiekun-test-{uid}-{owner}"));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Err(reason) if reason.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::write("make", &dir)(reason));
        }
        _ => {}
    }
    let found = dir.symlink_metadata().map_err(Error::io("find", &dir))?;
    if !found.is_dir() || found.uid() != uid {
        return Err(Error::ForeignOwner { dir });
    }
    if let Some(account) = account {
        set_mode(&dir, 0o711)?;
        account.check_way(&dir)?;
    }
    Ok(dir)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::write("open", &path))?;
    file.lock().map_err(Error::write("lock", &path))?;
    Ok(file)
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::postmaster::Postmaster;

    /// Stands for the test runner.
    fn owner() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    fn wait_until(what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn one_server_is_shared_and_gone_with_its_owner() {
        let mut owner = owner();
        let all: Vec<TestCluster> = std::thread::scope(|scope| {
            let start = || TestCluster::of_run(owner.id(), None).unwrap();
            let starts: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(all.iter().all(|cluster| cluster.url() == all[0].url()));
        let dir = all[0].dir.clone();
        let postmaster = Postmaster::read(&dir.join("data")).unwrap();
        assert!(postmaster.is_alive(&dir.join("data")));

        // Killed but never waited for, as where nobody reaps: still a sign of death.
        owner.kill().unwrap();
        wait_until("the directory is removed", || !dir.exists());
        assert!(!postmaster.is_alive(&dir.join("data")));
        owner.wait().unwrap();
    }

    #[test]
    fn a_database_is_prepared_once_and_after_a_failure_again() {
        let mut owner = owner();
        let external = || Some("postgres://ci@db.example/opiekun".to_owned());
        let first = TestCluster::of_run(owner.id(), external()).unwrap();
        let second = TestCluster::of_run(owner.id(), external()).unwrap();
        assert_eq!(first.url(), external().unwrap());

        let broken = |_: &str| Err(Error::Refused("not today".into()));
        assert!(first.initialise_once(broken).is_err());
        let mut prepared = Vec::new();
        for cluster in [&first, &second, &first] {
            cluster
                .initialise_once(|url| {
                    prepared.push(url.to_owned());
                    Ok::<(), Error>(())
                })
                .unwrap();
        }
        assert_eq!(prepared, [external().unwrap()]);

        owner.kill().unwrap();
        owner.wait().unwrap();
        wait_until("the directory is removed", || !first.dir.exists());
    }

    #[test]
    fn the_directory_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can make one.
        }
        // No process has such a number.
        let dir = make_run_dir(u32::MAX, None).unwrap();
        std::os::unix::fs::chown(&dir, Some(65534), None).unwrap();
        let refused = make_run_dir(u32::MAX, None);
        std::fs::remove_dir(&dir).unwrap();
        assert!(matches!(refused, Err(Error::ForeignOwner { .. })), "{refused:?}");
    }
}
