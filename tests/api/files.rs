//! Files: uploaded, found, downloaded and removed; over a folder, and over an S3 server.

mod broken;
mod download;
mod hostile;
mod large;
mod rights;
mod upload;

use crate::support::files::Store;
use crate::support::{
    Client, Database, Record, Scratch, Server, World, connection, eventually, scratch_database, text_rows_of,
};
use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use opiekun_http::Settings;
use opiekun_jobs::files::sweep;
use opiekun_persistence::{Db, migrate};
use std::ops::Deref;
use std::sync::LazyLock;

/// Each test runs over both stores.
macro_rules! over_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod in_folder {
            $(#[test] fn $name() { super::$name(&crate::files::Office::in_folder()); })+
        }
        mod in_s3 {
            $(#[test] fn $name() { super::$name(&crate::files::Office::in_s3()); })+
        }
    };
}
use over_both_stores;

/// A world whose owner calls a server over one of the stores.
struct Office {
    world: World,
    store: &'static Store,
    owner: Client,
    database_url: String,
    /// What goes with it, where the server and its database are its own.
    _own: Option<(Server, Scratch)>,
}

impl Deref for Office {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Office {
    fn in_folder() -> Self {
        Self::over(Store::in_folder(), Server::shared())
    }

    fn in_s3() -> Self {
        static SERVER: LazyLock<Server> =
            LazyLock::new(|| Server::start(|settings| settings.files = Store::in_s3().store.clone()));
        Self::over(Store::in_s3(), &SERVER)
    }

    fn over(store: &'static Store, server: &Server) -> Self {
        let world = World::new();
        let owner = world.owner.on(server);
        Self { world, store, owner, database_url: Database::shared().url.clone(), _own: None }
    }

    /// The same store with a database and a server of its own: what sweeps at another moment would take the uploads of
    /// other tests for broken ones.
    fn alone(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let scratch = scratch_database();
        migrate(&scratch.url).unwrap();
        let db = Db::connect(&scratch.url, 8).unwrap();
        let world = World::within(&db, |_| {});
        let server = Server::over(&db, |settings| {
            settings.files = self.store.store.clone();
            change(settings);
        });
        let owner = world.owner.on(&server);
        Self { world, store: self.store, owner, database_url: scratch.url.clone(), _own: Some((server, scratch)) }
    }

    /// Another organization at the same server.
    fn another(&self) -> Self {
        if self.store.setting.starts_with("s3:") { Self::in_s3() } else { Self::in_folder() }
    }

    /// Sweeps at a moment until nothing is left to do.
    fn sweep(&self, moment: DateTime<Utc>) {
        while sweep(self.db(), &self.store.store, moment).unwrap() {}
    }

    #[track_caller]
    fn file(&self, filename: &str, content: &[u8]) -> Record {
        self.owner.upload(filename, content).expect(201)
    }

    /// How many objects the database knows of, in a state or any.
    fn objects(&self, state: &str) -> i64 {
        let of = self.organization_id;
        let sql = format!("select count(*) from file_objects where organization_id = '{of}' and state like '{state}'");
        self.text(&sql).unwrap().parse().unwrap()
    }

    /// The first column of a query's first row, in the database of this office.
    fn text(&self, sql: &str) -> Option<String> {
        text_rows_of(&self.database_url, sql).into_iter().next().flatten()
    }

    fn execute(&self, sql: &str) {
        connection(&self.database_url).batch_execute(sql).unwrap();
    }

    /// How many files lie in the store for this organization, finished or not.
    fn stored(&self) -> usize {
        self.store.left(self.organization_id).len()
    }

    /// Waits for an upload of which more than nothing is in the store already. Gives the id of its parts, where it has
    /// one.
    fn begun_upload(&self) -> Option<String> {
        let whole = self.objects("kept") as usize;
        eventually("bytes of it in the store", || {
            let of = self.organization_id;
            let sql =
                format!("select multipart_id from file_objects where organization_id = '{of}' and state = 'receiving'");
            match self.text(&sql) {
                Some(id) => (!self.store.parts(&id).is_empty()).then_some(Some(id)),
                None => (self.stored() > whole).then_some(None),
            }
        })
    }

    /// Whether the store holds nothing but whole objects that are kept, so many.
    fn holds(&self, kept: i64, parts: Option<&str>) -> bool {
        let rows = (self.objects("kept"), self.objects("%"));
        rows == (kept, kept) && self.stored() as i64 == kept && parts.is_none_or(|id| self.store.parts(id).is_empty())
    }

    /// Puts a file on so many records of an area, past the API.
    fn put_on(&self, file: &Record, area: &str, count: usize) {
        self.execute(&format!("update files set {area}_uses = {count} where id = '{}'", file.id()));
    }
}

/// Bytes of no type that repeat nowhere.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A PDF by its mark, of some size.
fn pdf(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = noise(seed, length);
    bytes[..9].copy_from_slice(b"%PDF-1.7\n");
    bytes
}
