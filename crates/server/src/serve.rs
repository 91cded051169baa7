//! `opiekun serve`: from nothing to a server, and back to nothing in order.

use crate::clock;
use crate::console::say;
use crate::database::Database;
use crate::demo;
use crate::secrets;
use crate::settings::Settings;
use opiekun_jobs::Worker;
use opiekun_persistence::organizations;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Connections that background work takes at most, and one to spare.
const BACKGROUND_CONNECTIONS: u32 = 6;

/// Serves until it is told to stop by SIGINT or SIGTERM.
pub fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    // Taken first, so that a port in use is told before anything is started or written.
    let listener = TcpListener::bind(settings.listen)
        .map_err(|error| format!("can't serve on {} ({error}): set OPIEKUN_LISTEN", settings.listen))?;
    let address = listener.local_addr()?;
    let keys = secrets::keys(&settings)
        .map_err(|error| format!("no signing secret in {} ({error})", settings.data_dir.display()))?;
    let database = Database::open(&settings, true)?;
    database.migrate()?;
    // Two pools: a long run of background work never keeps a request waiting for a connection.
    let db = database.connect(settings.database_connections)?;
    let background = database.connect(BACKGROUND_CONNECTIONS)?;
    let is_demo = database.is_private() && !organizations::any(&db)?;
    if is_demo {
        say("An empty database: filling it with a year of a demo firm…");
        demo::fill(&background, &demo::Plan::small(clock::now()))?;
    }
    welcome(address, &database, demo::is_there(&db)?);

    let worker = Worker::start(&background, clock::now);
    let settings = opiekun_http::Settings {
        cors_origins: settings.cors_origins,
        requests_a_minute: settings.requests_a_minute,
        keys,
        database_connections: usize::try_from(settings.database_connections)?,
        clock: Arc::new(clock::now),
        wake: Arc::new(worker.waker()),
    };
    // The future ends when a signal came and the requests in flight are answered.
    let served = actix_web::rt::System::new().block_on(async { opiekun_http::serve(listener, db, settings)?.await });
    worker.stop();
    drop(background);
    database.close();
    Ok(served?)
}

fn welcome(address: SocketAddr, database: &Database, has_demo: bool) {
    say(format!("Opiekun serves on http://{address} with {}.", database.description));
    say(format!("  Swagger UI: http://{address}/docs/"));
    if has_demo {
        let (email, password) = (demo::OWNER_EMAIL, demo::PASSWORD);
        say(format!("  Sign in (demo firm \"{}\"): {email} / {password}", demo::LEGAL_NAME));
        say(format!(
            "  Try: curl -s http://{address}/api/v1/auth/token -d grant_type=password -d username={email} -d password={password}"
        ));
    } else {
        say("  Make the first organization with: opiekun organization create --help");
    }
}
