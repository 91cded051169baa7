//! Looking into the database, and past its API: only for tests about what the database itself holds and refuses.

use super::server::Database;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Nullable, Text};

/// Runs statements outside of the API, each on its own; the error of the first that is refused.
pub fn execute(sql: &str) -> Result<(), Error> {
    connection(&Database::shared().url).batch_execute(sql)
}

/// The one number that a query gives.
fn integer(sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        value: i64,
    }
    let sql = format!("select ({sql})::bigint as value");
    diesel::sql_query(sql).get_result::<Row>(&mut connection(&Database::shared().url)).unwrap().value
}

/// How many rows there are: `count("customers where organization_id = '…'")`.
pub fn count(rows_of: &str) -> i64 {
    integer(&format!("select count(*) from {rows_of}"))
}

/// The rows of a query, their one column as text.
pub fn text_rows(sql: &str) -> Vec<Option<String>> {
    text_rows_of(&Database::shared().url, sql)
}

pub fn text_rows_of(url: &str, sql: &str) -> Vec<Option<String>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        value: Option<String>,
    }
    let sql = format!("select value::text as value from ({sql}) rows (value)");
    let rows: Vec<Row> = diesel::sql_query(sql).load(&mut connection(url)).unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

pub fn connection(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

/// A database of the test's own, dropped when this is.
pub struct Scratch {
    name: String,
    pub url: String,
}

/// An empty one.
pub fn scratch_database() -> Scratch {
    scratch_like("template1")
}

fn scratch_like(template: &str) -> Scratch {
    let name = format!("scratch_{}", uuid::Uuid::now_v7().simple());
    execute(&format!("create database {name} template {template}")).unwrap();
    // The path of the address is the database's name.
    let url = &Database::shared().url;
    let (rest, query) =
        url.split_once('?').map_or((url.as_str(), String::new()), |(rest, query)| (rest, format!("?{query}")));
    let (server, _) = rest.rsplit_once('/').unwrap();
    Scratch { url: format!("{server}/{name}{query}"), name }
}

impl Scratch {
    /// Another with the same content. Nobody else may be connected.
    pub fn copy(&self) -> Self {
        scratch_like(&self.name)
    }

    pub fn connection(&self) -> PgConnection {
        connection(&self.url)
    }

    /// Sets a parameter for connections that are made from now on.
    pub fn set(&self, parameter: &str, value: &str) {
        execute(&format!("alter database {} set {parameter} = '{value}'", self.name)).unwrap();
    }

    /// The rows of a query, their one column as text.
    pub fn text_rows(&self, sql: &str) -> Vec<Option<String>> {
        text_rows_of(&self.url, sql)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be dropped now is gone with the run's server.
        let _ = execute(&format!("drop database if exists {} with (force)", self.name));
    }
}
