//! The wire: what a request must be, who may send it, and what it is answered. The only crate that names actix.
// The example of a whole invoice is one deep literal.
#![recursion_limit = "256"]

mod actor;
mod api_keys;
mod attachments;
mod audit_log;
mod auth;
mod body;
mod calendar;
mod calendar_feeds;
mod context;
mod contract;
mod customers;
mod docs;
mod edge;
mod events;
mod exchange_rates;
mod expand;
mod extra_lines;
mod files;
mod funnel;
mod gate;
mod health;
mod hourly_rates;
mod interactions;
mod invoice_emails;
mod invoice_layouts;
mod invoice_runs;
mod invoice_templates;
mod invoices;
mod keys;
mod limits;
mod listing;
mod me;
mod month_locks;
mod not_invoiced;
mod number_series;
mod occurrences;
mod once;
mod operators;
mod opportunities;
mod organization;
mod passwords;
mod payments;
mod people;
mod pipelines;
mod precondition;
mod price_changes;
mod problem;
mod progress;
mod reply;
mod routes;
mod shape;
mod stages;
mod state;
mod statements;
mod stream;
mod subscriptions;
mod tables;
mod tasks;
mod text;
mod threads;
mod time_cost;
mod timeline;
mod timer;
mod typesetter;
mod unbilled_time;
mod values;
mod work_entries;

pub use contract::{Contract, ContractError};
pub use keys::{Keys, SECRET_BYTES_MIN, WeakSecret, random_secret};
pub use passwords::hash as hash_password;
pub use state::{Clock, Mail, UploadLimits};

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::http::header::HeaderName;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use opiekun_files::FileStore;
use opiekun_persistence::Db;
use opiekun_typesetting::Workers;
use state::State;
use std::io;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use typesetter::Typesetter;
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;

/// What the server is told at its start.
pub struct Settings {
    /// Browsers' origins that may call, exactly as browsers send them; none unless told.
    pub cors_origins: Vec<String>,
    /// The quota of each operator, key and address.
    pub requests_a_minute: NonZeroU32,
    pub keys: Keys,
    /// How many requests are in the database at once: as many as the pool has connections.
    pub database_connections: usize,
    pub clock: Clock,
    /// Where the bytes of files are.
    pub files: FileStore,
    pub uploads: UploadLimits,
    /// The processes that set documents.
    pub workers: Arc<Workers>,
    /// Called when there is new background work.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Whether e-mails are sent, and how.
    pub mail: Option<Mail>,
}

const WORKERS: usize = 2;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Opiekun",
        description = include_str!("contract/introduction.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(problem::ProblemBody)),
    tags(
        (name = "Signing in", description = "Tokens for people; see API keys for scripts."),
        (name = "Me", description = "Who is signed in, what they may, and what they are working on."),
        (name = "Organization", description = "The firm itself: the seller on its invoices, its currency, time zone and rules."),
        (name = "Operators", description = "The users of the organization and the tree of who supervises whom."),
        (name = "API keys", description = "How scripts sign in: keys with scopes."),
        (name = "Customers", description = "The companies and people that the firm deals with, the buyers on its invoices."),
        (name = "People", description = "Contact persons at customers, and their consents."),
        (name = "Hourly rates", description = "What an hour costs, from which day on, for a customer, an operator or everybody."),
        (name = "Pipelines", description = "The ordered stages that sales go through, each with its probability."),
        (name = "Opportunities", description = "Sales that may come about, and every change of stage with its time."),
        (name = "Interactions", description = "Contacts with customers: calls, meetings, mails, visits."),
        (name = "Tasks", description = "Work to do: who has to do it, by when, how far it has come, and what hangs below it."),
        (name = "Threads", description = "Matters: the interactions and tasks that belong together, what they cost, and who still owes what."),
        (name = "Attachments", description = "Files on records: who may read a record reads the files on it."),
        (name = "Work entries", description = "Time spent on tasks, and what it costs."),
        (name = "Files", description = "What was uploaded. A file is there for whoever sent it, and for those who may read a record that it is on."),
        (name = "Calendar", description = "What stands between two instants: tasks, meetings, days of invoices; who is free when."),
        (name = "Calendar feeds", description = "Secret addresses at which calendar programs subscribe to a part of the calendar."),
        (name = "Month locks", description = "Months whose time is settled and stays as it is."),
        (name = "Reports", description = "Sums over what was entered."),
        (name = "Exchange rates", description = "What currencies are worth in złoty, day by day: what VAT on invoices in them is told by."),
        (name = "Number series", description = "Sequences of invoice numbers, without gaps or doubles."),
        (name = "Invoice layouts", description = "How invoices look as PDF: colors, labels, or a layout of one's own."),
        (name = "Invoice templates", description = "What is billed: lines, terms, texts."),
        (name = "Subscriptions", description = "A template put on a customer with a schedule."),
        (name = "Occurrences", description = "One row for each period of each subscription: what became of it."),
        (name = "Invoice runs", description = "Issuing or drafting everything that is due through a day, or a preview of it."),
        (name = "Invoices", description = "Drafts and what was issued. An issued invoice never changes; it is corrected."),
        (name = "Invoice emails", description = "Invoices on their way to customers by e-mail, and how they fare."),
        (name = "Payments", description = "Money that came from customers, and the invoices that it is for."),
        (name = "Audit log", description = "Who changed what, when, from what to what."),
        (name = "Events", description = "Every change, in an order that can be followed without missing one."),
    ),
)]
struct Introduction;

/// The contract of everything that [`routes`] registers.
pub fn contract() -> Result<Contract, ContractError> {
    let (_, registered) = App::new()
        .into_utoipa_app()
        .openapi(Introduction::openapi())
        .service(utoipa_actix_web::scope("/api/v1").configure(routes::api))
        .split_for_parts();
    Contract::new(&registered)
}

/// Starts to serve on a socket that is bound already. The future ends when the server has stopped.
pub fn serve(listener: TcpListener, db: Db, settings: Settings) -> io::Result<Server> {
    health::start_figures();
    let contract = contract().map_err(io::Error::other)?;
    let state = web::Data::new(State {
        db,
        contract: Arc::new(contract),
        keys: settings.keys,
        passwords: passwords::Passwords::default(),
        limits: limits::Limits::new(settings.requests_a_minute),
        clock: settings.clock,
        files: settings.files,
        uploads: settings.uploads,
        uploading: Semaphore::new(settings.uploads.at_once),
        calendars: Semaphore::new(state::CALENDARS_AT_ONCE),
        typesetter: Typesetter::new(settings.workers),
        wake: settings.wake,
        mail: settings.mail,
    });
    let origins = settings.cors_origins;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .wrap(from_fn(edge::spare_small_answers))
            .wrap(Compress::default())
            .wrap(cors(&origins))
            .wrap(from_fn(edge::edge))
            .configure(docs::routes)
            .configure(health::routes)
            .into_utoipa_app()
            .service(
                utoipa_actix_web::scope("/api/v1").configure(routes::api).map(|scope| scope.wrap(from_fn(gate::gate))),
            )
            .into_app()
            .default_service(web::to(gate::outside))
    })
    .workers(WORKERS)
    .worker_max_blocking_threads(settings.database_connections.div_ceil(WORKERS))
    .client_request_timeout(Duration::from_secs(30))
    .shutdown_timeout(45)
    // The process has more to end than this server, so it takes the signals and stops us by our handle.
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

/// Exact origins only; what is exposed is what clients of a browser may read.
fn cors(origins: &[String]) -> Cors {
    let exposed = [
        header::ETAG,
        header::LINK,
        header::LOCATION,
        limits::RATE_LIMIT,
        limits::RATE_LIMIT_POLICY,
        header::RETRY_AFTER,
        edge::REQUEST_ID,
        HeaderName::from_static("deprecation"),
        HeaderName::from_static("sunset"),
        HeaderName::from_static("idempotency-replayed"),
        header::ACCEPT_RANGES,
        header::CONTENT_DISPOSITION,
        header::CONTENT_RANGE,
        files::REPR_DIGEST,
    ];
    let cors = Cors::default().expose_headers(exposed).max_age(3600);
    if origins.is_empty() {
        return cors;
    }
    origins.iter().fold(cors.allow_any_header().allow_any_method(), |cors, origin| cors.allowed_origin(origin))
}
