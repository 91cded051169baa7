//! `opiekun serve`: from a free port to a running server, and back in the opposite order.

use crate::clock;
use crate::database::Database;
use crate::demo::{self, Demo};
use crate::failure::Failure;
use crate::secrets;
use crate::settings::Settings;
use crate::terminal::say;
use actix_web::dev::ServerHandle;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use opiekun_files::FileStore;
use opiekun_http::{Mail, UploadLimits};
use opiekun_jobs::Worker;
use opiekun_jobs::invoice_emails::{Mailer, SmtpServer};
use opiekun_persistence::{Db, organizations};
use opiekun_typesetting::Workers;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;

/// What background work takes at most, and one to spare.
const BACKGROUND_CONNECTIONS: u16 = 17;

pub fn serve(settings: &Settings) -> Result<ExitCode, Failure> {
    // Bound before anything slow: a busy port is told at once, and early requests wait instead of being refused.
    let listener = bind(&settings.listen)?;
    let address = listener.local_addr().map_err(Failure::new)?;
    let keys = secrets::keys(settings)?;
    let files = settings.open_files()?;
    let database = Database::open_to_serve(settings)?;
    say(format_args!("Using {database}, and files in {files}"));
    database.migrate()?;
    // Two pools: a long invoice run never keeps a request waiting for a connection.
    let connections = settings.database_connections.get();
    let db = database.connect(connections)?;
    let background = database.connect(BACKGROUND_CONNECTIONS)?;
    if database.is_private() {
        fill_if_empty(&background, &files)?;
    }
    let has_demo = demo::state(&db)? == demo::State::Whole;

    let mut worker = Worker::start(&background, clock::now, &files);
    if settings.auto_invoicing {
        worker.invoice_automatically(&background, clock::now);
    }
    // This very program, also where another one has been put in its place meanwhile.
    let workers = Arc::new(Workers::new(|| PathBuf::from("/proc/self/exe")));
    let smtp = settings.smtp_url.as_deref().map(SmtpServer::parse).transpose().map_err(|fault| {
        // It was read when the settings were.
        Failure::new(format_args!("OPIEKUN_SMTP_URL {fault}"))
    })?;
    let mail = smtp.as_ref().map(|server| Mail { has_sender: server.sender().is_some() });
    if let Some(server) = smtp {
        worker.send_emails(&background, clock::now, Mailer::new(server, Arc::clone(&workers), files.clone()));
    }
    let http = opiekun_http::Settings {
        cors_origins: settings.cors_origins.clone(),
        requests_a_minute: settings.rate_limit,
        keys,
        database_connections: usize::from(connections),
        clock: Arc::new(clock::now),
        files,
        uploads: UploadLimits { file_bytes_max: settings.file_bytes_max, ..UploadLimits::default() },
        workers,
        wake: Arc::new(worker.waker()),
        mail,
    };
    let served = actix_web::rt::System::new().block_on(async {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let server = opiekun_http::serve(listener, db, http)?;
        actix_web::rt::spawn(stop_when_told(server.handle(), signals));
        welcome(address, has_demo);
        server.await
    });
    // The requests have been answered. Background work ends at its next batch, and the private database goes last.
    worker.stop();
    drop(background);
    drop(database);
    served.map_err(|error: io::Error| Failure::new(format_args!("the server failed: {error}")))?;
    say("Stopped");
    Ok(ExitCode::SUCCESS)
}

fn bind(listen: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(format_args!(
            "{listen} is taken by another program: stop that one, or set OPIEKUN_LISTEN to another address, such as \
             127.0.0.1:8081"
        )),
        io::ErrorKind::PermissionDenied => Failure::new(format_args!(
            "may not listen on {listen} (ports below 1024 are root's): set OPIEKUN_LISTEN to another port"
        )),
        _ => Failure::new(format_args!("can't listen on {listen} ({error}): see OPIEKUN_LISTEN")),
    })
}

/// A private database that nobody has put anything in gets the demo, and one whose filling was cut off the rest.
fn fill_if_empty(db: &Db, files: &FileStore) -> Result<(), Failure> {
    match demo::state(db)? {
        demo::State::Whole => return Ok(()),
        demo::State::Absent if organizations::any(db)? => return Ok(()),
        demo::State::Absent | demo::State::Unfinished => {}
    }
    say("The database is empty: filling it with the demo, a year of an accounting office");
    demo::fill(db, files, Demo::small(clock::now()))
}

fn welcome(address: SocketAddr, has_demo: bool) {
    let url = reachable_url(address);
    say(format_args!("Serving on {url}; Swagger UI: {url}/docs/"));
    if has_demo {
        let (email, password) = (demo::OWNER_EMAIL, demo::PASSWORD);
        say(format_args!("Sign in to the demo, \"{}\", as {email} with {password}, or try:", demo::LEGAL_NAME));
        say(format_args!(
            "  curl -s {url}/api/v1/auth/token -d grant_type=password -d username={email} -d password={password}"
        ));
    } else {
        say("Make an organization and its owner with: opiekun organization create --help");
    }
}

/// An address that can be called, where the server listens on all of them.
fn reachable_url(address: SocketAddr) -> String {
    let here = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    format!("http://{}", SocketAddr::new(here, address.port()))
}

type Signals = (Signal, Signal);

/// Lets requests in flight finish, unless it is told a second time.
async fn stop_when_told(server: ServerHandle, mut signals: Signals) {
    told(&mut signals).await;
    say("Stopping when the requests in flight are answered; once more to stop at once");
    let stopping = server.clone();
    actix_web::rt::spawn(async move { stopping.stop(true).await });
    told(&mut signals).await;
    server.stop(false).await;
}

/// Waits for either signal.
async fn told((interrupt, terminate): &mut Signals) {
    poll_fn(|context| {
        let is_told = interrupt.poll_recv(context).is_ready() || terminate.poll_recv(context).is_ready();
        if is_told { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
