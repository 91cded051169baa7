//! The private server, tried on the PostgreSQL of this machine: started, stopped, shared, and killed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opiekun_local_postgres::{Error, LocalPostgres, Options, Programs};

/// A folder of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("opiekun-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Self(path.canonicalize().expect("it exists"))
    }

    fn options(&self) -> Options {
        Options::new(self.0.join("postgres"))
    }

    fn pid_file(&self) -> PathBuf {
        self.0.join("postgres/data/postmaster.pid")
    }

    fn postmaster(&self) -> String {
        let file = std::fs::read_to_string(self.pid_file()).expect("the server runs");
        file.lines().next().expect("its process id").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sql(postgres: &LocalPostgres, query: &str) -> String {
    let programs = Programs::find(None, None).expect("PostgreSQL is installed");
    let beside = programs.dir().join("psql");
    let psql = if beside.exists() { beside } else { "psql".into() };
    let output = Command::new(psql)
        .arg(postgres.url())
        .args(["-XAt", "-v", "ON_ERROR_STOP=1", "-c", query])
        .output()
        .expect("psql is installed");
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn kill_9(pid: &str) {
    let status = Command::new("/bin/sh").args(["-c", "kill -KILL \"$1\"", "sh", pid]).status();
    assert!(status.expect("sh runs").success(), "no process {pid}");
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Another process that serves `folder` until it is killed; see [`serves_until_killed`].
fn other_process(folder: &Folder) -> Child {
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "serves_until_killed"])
        .env("OPIEKUN_TEST_SERVES", &folder.0)
        .stdout(Stdio::null())
        .spawn()
        .expect("this program runs");
    wait_until("the other process serves", || folder.0.join("serves").exists());
    child
}

#[test]
fn serves_until_killed() {
    let Some(folder) = std::env::var_os("OPIEKUN_TEST_SERVES") else {
        return;
    };
    let folder = Path::new(&folder);
    let postgres = LocalPostgres::start(Options::new(folder.join("postgres"))).unwrap();
    sql(&postgres, "create table if not exists kept as select 42 as answer");
    std::fs::write(folder.join("serves"), "").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn data_survive_a_stop() {
    let folder = Folder::new("stop");
    let postgres = LocalPostgres::start(folder.options()).unwrap().require_started().unwrap();
    assert!(postgres.started());
    assert_eq!(sql(&postgres, "show server_version").split(' ').next().unwrap(), postgres.version());
    assert_eq!(sql(&postgres, "select lower('ŁUKASZ')"), "łukasz");
    assert_eq!(sql(&postgres, "show fsync"), "on");
    sql(&postgres, "create table kept as select 42 as answer");
    let socket_dir = PathBuf::from(sql(&postgres, "show unix_socket_directories"));
    assert_eq!(socket_dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    postgres.stop();
    assert!(!folder.pid_file().exists());
    assert!(!socket_dir.exists());

    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert_eq!(sql(&postgres, "select answer from kept"), "42");
}

#[test]
fn of_two_starts_at_once_one_starts_and_the_other_attaches() {
    let folder = Folder::new("two");
    let start = || LocalPostgres::start(folder.options()).unwrap();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(start);
        let other = scope.spawn(start);
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(one.url(), other.url());
    assert_ne!(one.started(), other.started());
    let (owner, guest) = if one.started() { (one, other) } else { (other, one) };
    assert_eq!(sql(&guest, "select 1"), "1");
    let refused = guest.require_started().unwrap_err().to_string();
    assert!(refused.contains("already served by another process"), "{refused}");
    assert_eq!(sql(&owner, "select 1"), "1");
}

#[test]
fn a_killed_server_recovers() {
    let folder = Folder::new("killed");
    let postgres = LocalPostgres::start(folder.options()).unwrap();
    sql(&postgres, "create table kept as select 42 as answer");
    kill_9(&folder.postmaster());
    drop(postgres);
    assert!(folder.pid_file().exists());

    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert_eq!(sql(&postgres, "select answer from kept"), "42");
}

#[test]
fn the_server_stops_when_its_starter_is_killed() {
    let folder = Folder::new("watchdog");
    let mut starter = other_process(&folder);
    let guest = LocalPostgres::start(folder.options()).unwrap();
    assert!(!guest.started());
    starter.kill().unwrap();
    starter.wait().unwrap();
    // A server that has shut down takes its file with it.
    wait_until("the server is gone", || !folder.pid_file().exists());
    drop(guest);

    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert_eq!(sql(&postgres, "select answer from kept"), "42");
}

#[test]
fn a_start_right_after_the_starter_was_killed_owns_a_server() {
    let folder = Folder::new("at-once");
    let mut starter = other_process(&folder);
    let orphan = folder.postmaster();
    starter.kill().unwrap();
    starter.wait().unwrap();

    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert!(postgres.started());
    assert_ne!(folder.postmaster(), orphan);
    assert_eq!(sql(&postgres, "select answer from kept"), "42");
}

#[test]
fn starter_and_server_killed_together_recover() {
    let folder = Folder::new("both");
    let mut starter = other_process(&folder);
    let server = folder.postmaster();
    // The starter first: then nobody waits for the server, and it may stay behind as a zombie.
    starter.kill().unwrap();
    kill_9(&server);
    starter.wait().unwrap();

    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert!(postgres.started());
    assert_eq!(sql(&postgres, "select answer from kept"), "42");
}

#[test]
fn a_stranger_with_the_process_id_of_a_dead_server_is_left_alone() {
    let folder = Folder::new("stranger");
    let postgres = LocalPostgres::start(folder.options()).unwrap();
    let file = std::fs::read_to_string(folder.pid_file()).unwrap();
    let (server, rest) = file.split_once('\n').unwrap();
    kill_9(server);
    drop(postgres);
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(folder.pid_file(), format!("{}\n{rest}", stranger.id())).unwrap();

    let postgres = LocalPostgres::start(folder.options());
    let alive = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(postgres.unwrap().started());
    assert!(alive);
}

#[test]
fn a_half_made_data_directory_is_not_used() {
    let folder = Folder::new("half");
    let half = folder.0.join("postgres/data.new.1");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    let postgres = LocalPostgres::start(folder.options()).unwrap();
    assert_eq!(sql(&postgres, "select current_database()"), "opiekun");
    assert!(!half.exists());
}

#[test]
fn what_keeps_the_server_from_starting_is_shown() {
    let folder = Folder::new("broken");
    LocalPostgres::start(folder.options()).unwrap().stop();
    let settings = folder.0.join("postgres/data/postgresql.conf");
    std::fs::write(&settings, "no_such_setting = 1\n").unwrap();
    let error = LocalPostgres::start(folder.options()).unwrap_err();
    assert!(matches!(error, Error::Exited { .. }));
    let message = error.to_string();
    assert!(message.contains("no_such_setting"), "{message}");
    assert!(message.contains("postgres.log"), "{message}");
}

#[test]
fn missing_programs_and_another_major_version_are_named() {
    let folder = Folder::new("programs");
    let options = Options { programs_dir: Some(folder.0.clone()), ..folder.options() };
    let error = LocalPostgres::start(options).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }));
    assert!(error.to_string().contains(&folder.0.display().to_string()), "{error}");

    let data_dir = folder.0.join("postgres/data");
    std::fs::create_dir_all(&data_dir).unwrap();
    std::fs::write(data_dir.join("PG_VERSION"), "9\n").unwrap();
    let error = LocalPostgres::start(folder.options()).unwrap_err();
    assert!(matches!(error, Error::WrongMajor { needed: 9, .. }), "{error}");
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let folder = Folder::new("closed");
    let closed = folder.0.join("closed");
    std::fs::create_dir(&closed).unwrap();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    // Root writes everywhere, but the account it switches to has to get there.
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(if is_root { 0o700 } else { 0o500 })).unwrap();
    let error = LocalPostgres::start(Options::new(closed.join("postgres"))).unwrap_err();
    match &error {
        Error::CannotEnter { dir, .. } => assert_eq!(*dir, closed),
        Error::NotWritable { dir, .. } => assert_eq!(*dir, closed.join("postgres")),
        other => panic!("{other}"),
    }
    let error = LocalPostgres::start(Options { run_as: Some("nobody-at-all".into()), ..folder.options() });
    assert_eq!(matches!(error, Err(Error::NoAccount { .. })), is_root);
}
