//! The pool, the transaction, and the scope that every query is bound to.

use crate::error::{Result, StoreError, take_lost};
use chrono::{DateTime, Utc};
use diesel::RunQueryDsl;
use diesel::connection::{Connection as _, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, ManageConnection, Pool, PooledConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use opiekun_domain::ids::{ApiKeyId, OperatorId, OrganizationId};
use std::time::Duration;
use uuid::Uuid;

pub type Connection = PgConnection;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Taken while migrating, so that servers that start together do it once. The number is ours alone.
const MIGRATION_LOCK: i64 = 0x6f70_6965_6b75_6e01;

/// Who acts, as change records name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorRef {
    Operator(OperatorId),
    ApiKey(ApiKeyId),
    /// Opiekun itself: background work, commands of the binary.
    System,
}

impl ActorRef {
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Operator(_) => "operator",
            Self::ApiKey(_) => "api_key",
            Self::System => "system",
        }
    }

    /// The operator who acts; keys and Opiekun itself are none.
    pub const fn operator_id(self) -> Option<OperatorId> {
        match self {
            Self::Operator(id) => Some(id),
            Self::ApiKey(_) | Self::System => None,
        }
    }

    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Operator(id) => Some(id.0),
            Self::ApiKey(id) => Some(id.0),
            Self::System => None,
        }
    }
}

/// The key to the database: whose rows, on whose behalf, for which request.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    pub organization_id: OrganizationId,
    pub actor: ActorRef,
    pub request_id: Option<Uuid>,
}

impl Scope {
    /// Whoever calls this has checked that the actor may. In `http` only `Actor::scope` does.
    pub const fn new(organization_id: OrganizationId, actor: ActorRef, request_id: Option<Uuid>) -> Self {
        Self { organization_id, actor, request_id }
    }
}

/// A transaction (or one statement outside of any) within a scope, at a moment.
pub struct Tx<'c> {
    pub(crate) conn: &'c mut PgConnection,
    pub scope: Scope,
    /// The moment of the whole transaction, in whole microseconds as PostgreSQL keeps them.
    pub now: DateTime<Utc>,
}

impl Tx<'_> {
    pub(crate) fn organization_id(&self) -> OrganizationId {
        self.scope.organization_id
    }

    /// Has every constraint hold now that may hold at the end of the transaction only.
    pub fn check_deferred(&mut self) -> Result<()> {
        self.conn.batch_execute("set constraints all immediate")?;
        Ok(())
    }

    /// Runs `work` so that its refusal undoes its own changes and nothing else of the transaction.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let (scope, now) = (self.scope, self.now);
        self.conn.transaction(|conn| work(&mut Tx { conn, scope, now }).map_err(Undo::Work)).map_err(Undo::into_work)
    }
}

/// Keeps the caller's error apart from one of `begin` and `commit` themselves.
enum Undo<E> {
    Work(E),
    Transaction(diesel::result::Error),
}

impl<E> From<diesel::result::Error> for Undo<E> {
    fn from(error: diesel::result::Error) -> Self {
        Self::Transaction(error)
    }
}

impl<E: From<StoreError>> Undo<E> {
    fn into_work(self) -> E {
        match self {
            Self::Work(error) => error,
            Self::Transaction(error) => StoreError::from(error).into(),
        }
    }
}

/// A pool of connections to one PostgreSQL.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Manager>,
}

/// A connection that goes back to the pool when it is dropped.
pub(crate) type Pooled = PooledConnection<Manager>;

/// Makes the pool's connections, and drops those that the server has closed.
///
/// diesel finds only a transaction that broke: a single statement on a dead connection would put it back, and the
/// next caller would get the same one, long after the database is up again.
pub struct Manager(ConnectionManager<PgConnection>);

impl ManageConnection for Manager {
    type Connection = PgConnection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<PgConnection, Self::Error> {
        self.0.connect()
    }

    fn is_valid(&self, conn: &mut PgConnection) -> std::result::Result<(), Self::Error> {
        self.0.is_valid(conn)
    }

    fn has_broken(&self, conn: &mut PgConnection) -> bool {
        take_lost() || self.0.has_broken(conn)
    }
}

#[derive(Debug)]
struct SessionSettings;

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for SessionSettings {
    fn on_acquire(&self, conn: &mut PgConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        conn.batch_execute(
            "set time zone 'UTC'; set statement_timeout = '30s'; set lock_timeout = '10s'; \
             set idle_in_transaction_session_timeout = '60s'; set client_min_messages = 'warning'",
        )
        .map_err(diesel::r2d2::Error::QueryError)
    }
}

impl Db {
    /// Opens a pool of at most `connections`.
    pub fn connect(url: &str, connections: u32) -> Result<Self> {
        let pool = Pool::builder()
            .max_size(connections)
            .min_idle(Some(1))
            .connection_timeout(Duration::from_secs(5))
            // A query on every check-out costs a tenth of a read; a broken connection is dropped when it fails.
            .test_on_check_out(false)
            .connection_customizer(Box::new(SessionSettings))
            .build(Manager(ConnectionManager::new(url)))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { pool })
    }

    /// Whether the database answers.
    pub fn ping(&self) -> Result<()> {
        Ok(self.connection()?.batch_execute("select 1")?)
    }

    /// What the database's clock says.
    pub fn clock(&self) -> Result<DateTime<Utc>> {
        let moment = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("clock_timestamp()");
        Ok(diesel::select(moment).get_result(&mut *self.connection()?)?)
    }

    /// One transaction: everything that `work` writes happens, or nothing does.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        scope: Scope,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        transaction(&mut *self.connection()?, scope, now, work)
    }

    /// Several reads that see one state of the database.
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        scope: Scope,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut conn = self.connection()?;
        conn.build_transaction()
            .repeatable_read()
            .read_only()
            .run(|conn| work(&mut Tx { conn, scope, now }).map_err(Undo::Work))
            .map_err(Undo::into_work)
    }

    /// One read: a single statement needs no transaction, which saves two round trips.
    pub fn read<T, E: From<StoreError>>(
        &self,
        scope: Scope,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut conn = self.connection()?;
        work(&mut Tx { conn: &mut conn, scope, now })
    }

    pub(crate) fn connection(&self) -> Result<Pooled> {
        self.pool.get().map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// One transaction on a connection that the caller holds.
pub(crate) fn transaction<T, E: From<StoreError>>(
    conn: &mut PgConnection,
    scope: Scope,
    now: DateTime<Utc>,
    work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    conn.transaction(|conn| work(&mut Tx { conn, scope, now }).map_err(Undo::Work)).map_err(Undo::into_work)
}

/// The version of a PostgreSQL server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerVersion {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Which PostgreSQL answers at an address.
pub fn server_version(url: &str) -> Result<ServerVersion> {
    let number = diesel::dsl::sql::<diesel::sql_types::Integer>("current_setting('server_version_num')::int");
    let number: i32 = diesel::select(number).get_result(&mut establish(url)?)?;
    let number = u32::try_from(number).unwrap_or_default();
    Ok(ServerVersion { major: number / 10_000, minor: number % 10_000 })
}

/// The migrations that have not run yet, in their order. Looks only, but for an empty table of migrations.
pub fn pending_migrations(url: &str) -> Result<Vec<String>> {
    let pending = establish(url)?.pending_migrations(MIGRATIONS).map_err(migration_fault)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn establish(url: &str) -> Result<PgConnection> {
    PgConnection::establish(url).map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn migration_fault(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Database(diesel::result::Error::QueryBuilderError(error))
}

/// Brings the database up to this version and tells which migrations ran. Safe to call from many servers at once.
pub fn migrate(url: &str) -> Result<Vec<String>> {
    let mut conn = establish(url)?;
    conn.batch_execute(&format!("select pg_advisory_lock({MIGRATION_LOCK})"))?;
    let ran = conn
        .run_pending_migrations(MIGRATIONS)
        .map(|versions| versions.iter().map(ToString::to_string).collect())
        .map_err(migration_fault);
    conn.batch_execute(&format!("select pg_advisory_unlock({MIGRATION_LOCK})"))?;
    ran
}
