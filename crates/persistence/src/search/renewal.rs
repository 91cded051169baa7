//! Indexing anew what was indexed in an older way, or whatever an operator of the server asks for.

use super::KINDS;
use crate::article_index;
use crate::db::{Db, Scope};
use crate::error::Result;
use crate::schema::organizations;
use crate::session_lock::alone;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, SmallInt, Uuid as SqlUuid};
use opiekun_domain::ids::OrganizationId;
use opiekun_search::VERSION;
use uuid::Uuid;

/// The organizations that have something indexed in an older way than this program's, in the order of their ids.
pub fn outdated(db: &Db) -> Result<Vec<OrganizationId>> {
    Ok(organizations::table
        .filter(organizations::search_version.ne(VERSION))
        .order(organizations::id)
        .select(organizations::id)
        .load(&mut *db.connection()?)?)
}

/// Indexes anew what of the scope's organization is indexed in an older way, unless another node is about it.
pub fn renew(db: &Db, scope: Scope, clock: impl Fn() -> DateTime<Utc>) -> Result<()> {
    alone(db, format!("search:{}", scope.organization_id), |conn| {
        // The other node may have come to its end meanwhile.
        let version: i32 =
            organizations::table.find(scope.organization_id).select(organizations::search_version).first(conn)?;
        if version != VERSION {
            reindex(db, scope, clock)?;
        }
        Ok(())
    })
}

/// What was indexed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reindexed {
    /// Published ones, which questions find.
    pub articles: usize,
    /// Whatever has words.
    pub records: usize,
}

/// Indexes everything of the scope's organization anew, some records a transaction, so that it is searched and changed
/// meanwhile.
pub fn reindex(db: &Db, scope: Scope, clock: impl Fn() -> DateTime<Utc>) -> Result<Reindexed> {
    let articles = article_index::reindex(db, scope, &clock)?;
    let mut records = 0;
    for (_, table, numbers) in KINDS {
        records += reindex_table(db, scope, &clock, table, numbers)?;
    }
    db.transaction(scope, clock(), |tx| -> Result<()> {
        diesel::update(organizations::table.find(tx.organization_id()))
            .set(organizations::search_version.eq(VERSION))
            .execute(tx.conn)?;
        Ok(())
    })?;
    Ok(Reindexed { articles, records })
}

fn reindex_table(
    db: &Db,
    scope: Scope,
    clock: &impl Fn() -> DateTime<Utc>,
    table: &str,
    numbers: &[i16],
) -> Result<usize> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    const RECORDS_AT_ONCE: i64 = 200;
    let mut after = Uuid::nil();
    let mut indexed = 0;
    loop {
        let page = db.transaction(scope, clock(), |tx| -> Result<Vec<Uuid>> {
            // Whoever changes one of them waits, and then writes its words anew.
            let page: Vec<Row> = diesel::sql_query(format!(
                "select id from {table} where organization_id = $1 and id > $2 order by id limit $3 for no key update"
            ))
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<SqlUuid, _>(after)
            .bind::<BigInt, _>(RECORDS_AT_ONCE)
            .load(tx.conn)?;
            let ids: Vec<Uuid> = page.into_iter().map(|row| row.id).collect();
            diesel::sql_query("select forget_searched($1, $2, id) from unnest($3) as id")
                .bind::<SqlUuid, _>(tx.organization_id())
                .bind::<Array<SmallInt>, _>(numbers)
                .bind::<Array<SqlUuid>, _>(&ids)
                .execute(tx.conn)?;
            diesel::sql_query(format!(
                "select write_searched(record) from {table} record where organization_id = $1 and id = any ($2)"
            ))
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<Array<SqlUuid>, _>(&ids)
            .execute(tx.conn)?;
            Ok(ids)
        })?;
        indexed += page.len();
        match page.last() {
            Some(last) => after = *last,
            None => return Ok(indexed),
        }
    }
}
