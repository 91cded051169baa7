//! Locks that a session has beyond its transactions: for work that one node does at a time, however many there are.

use crate::db::{Db, Pooled};
use crate::error::Result;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

/// Takes a lock for the session, if no other has it.
pub(crate) fn try_lock(conn: &mut PgConnection, name: &str) -> Result<bool> {
    let query = sql::<Bool>("pg_try_advisory_lock(hashtextextended(").bind::<Text, _>(name).sql(", 0))");
    Ok(diesel::select(query).get_result(conn)?)
}

pub(crate) fn unlock(conn: &mut PgConnection, name: &str) -> Result<bool> {
    let query = sql::<Bool>("pg_advisory_unlock(hashtextextended(").bind::<Text, _>(name).sql(", 0))");
    Ok(diesel::select(query).get_result(conn)?)
}

/// Does some work, unless somebody does what has the same name: then nothing is left to do.
pub(crate) fn alone(db: &Db, name: String, work: impl FnOnce(&mut PgConnection) -> Result<()>) -> Result<()> {
    let mut conn = db.connection()?;
    if !try_lock(&mut conn, &name)? {
        return Ok(());
    }
    let mut held = Held { conn, name };
    work(&mut held.conn)
}

struct Held {
    conn: Pooled,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        // The session goes back to the pool and lives on. Should it be broken, its lock is gone with it.
        let _ = unlock(&mut self.conn, &self.name);
    }
}
