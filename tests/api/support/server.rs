//! The server that tests call, with its database and its background work, all in this process.

use super::files::Store;
use chrono::{DateTime, SubsecRound, Utc};
use opiekun_http::{Keys, Mail, Settings, UploadLimits};
use opiekun_jobs::Worker;
use opiekun_local_postgres::TestCluster;
use opiekun_persistence::{Db, migrate};
use opiekun_typesetting::Workers;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc};

/// Signs the tokens of every server of the tests.
pub const SECRET: &str = "a secret that only the tests know and that is long enough";

const CONNECTIONS: u32 = 32;

/// The database of this run, migrated.
pub struct Database {
    pub url: String,
    pub db: Db,
    /// Where PostgreSQL writes its log, if it was started for this run.
    pub log: Option<PathBuf>,
}

impl Database {
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Database> = LazyLock::new(|| {
            let cluster = TestCluster::shared().unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}"));
            cluster
                .initialise_once(|url| {
                    migrate(url).map_err(|error| panic!("the migrations failed: {error}")).map(|_| ())
                })
                .unwrap_or_else(|error: opiekun_local_postgres::Error| panic!("no database for the tests: {error}"));
            let db = Db::connect(&cluster.url(), CONNECTIONS).unwrap();
            Database { url: cluster.url(), db, log: cluster.log().map(Path::to_owned) }
        });
        &SHARED
    }
}

/// A server on a port of its own.
pub struct Server {
    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub url: String,
    stop: Box<dyn Fn() + Send + Sync>,
}

impl Server {
    /// The one that all tests call, unless they are about its settings.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Server> = LazyLock::new(|| {
            // It lives as long as the process does.
            let worker = Worker::start(&Database::shared().db, clock, Store::folder());
            let wake = Arc::new(worker.waker());
            std::mem::forget(worker);
            Server::start(|settings| settings.wake = wake)
        });
        &SHARED
    }

    /// Another one over the same database, with other settings and with limits of its own, stopped when dropped.
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(&Database::shared().db, change)
    }

    /// One over another database.
    pub fn over(db: &Db, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            cors_origins: Vec::new(),
            requests_a_minute: 1_000_000.try_into().unwrap(),
            keys: Keys::new(&[SECRET.to_owned()]).unwrap(),
            database_connections: 16,
            clock: Arc::new(clock),
            files: Store::folder().clone(),
            uploads: UploadLimits::default(),
            workers: Arc::new(Workers::new(|| super::process::binary().clone())),
            wake: Arc::new(|| {}),
            mail: Some(Mail { has_sender: true }),
        };
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let db = db.clone();
        let (send, receive) = mpsc::channel::<Box<dyn Fn() + Send + Sync>>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = opiekun_http::serve(listener, db, settings).unwrap();
                let handle = server.handle();
                send.send(Box::new(move || drop(handle.stop(false)))).unwrap();
                server.await.unwrap();
            });
        });
        Self { url, stop: receive.recv().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        (self.stop)();
    }
}

/// The real moment, in whole microseconds as the database keeps them.
#[expect(clippy::disallowed_methods, reason = "the server under test runs by the machine's clock")]
pub fn clock() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
