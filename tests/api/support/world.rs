//! A world: one organization with nobody else in it, so that tests need not clean up nor mind each other.

use super::client::{Client, Record};
use super::drafts::Draft;
use super::server::{Database, SECRET, Server, clock};
use chrono::{DateTime, Utc};
use opiekun_domain::address::Address;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::{OperatorId, OrganizationId};
use opiekun_domain::operator::{BillingRight, Role};
use opiekun_http::{Keys, hash_password};
use opiekun_persistence::operators::OperatorFields;
use opiekun_persistence::organizations::OrganizationFields;
use opiekun_persistence::{ActorRef, Db, Json, Scope, StoreError, Tx, credentials, operators, organizations};
use serde_json::json;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::LazyLock;
use uuid::Uuid;

/// Every operator's password. Hashing it once saves each world 30 ms of a core.
pub const PASSWORD: &str = "correct-horse-2026";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| hash_password(PASSWORD).unwrap());

/// The moment, as the server under test has it.
pub fn now() -> DateTime<Utc> {
    clock()
}

/// A fresh organization (PLN, Europe/Warsaw) and its owner.
pub struct World {
    pub organization_id: OrganizationId,
    pub owner: Caller,
    db: Db,
}

/// Somebody who has signed in, or a script with a key; calls the API as a [`Client`].
#[derive(Debug, Clone)]
pub struct Caller {
    pub id: Uuid,
    /// An operator's; a key has none.
    pub email: String,
    client: Client,
}

impl Deref for Caller {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A fresh organization, with other fields than usual.
    pub fn with(change: impl FnOnce(&mut OrganizationFields)) -> Self {
        Self::within(&Database::shared().db, change)
    }

    /// A fresh organization in a database of the test's own; a server over it is called by [`Client::on`].
    pub fn within(db: &Db, change: impl FnOnce(&mut OrganizationFields)) -> Self {
        let mut fields = OrganizationFields {
            legal_name: "Biuro Testowe sp. z o.o.".into(),
            tax_scheme: "nip".parse().unwrap(),
            tax_country: Some("PL".into()),
            tax_number: Some("5261040828".into()),
            address: Json(Address {
                line1: "ul. Próbna 1".into(),
                line2: None,
                postal_code: Some("00-950".into()),
                city: "Warszawa".into(),
                country: "PL".into(),
            }),
            bank_accounts: Json(Vec::new()),
            currency: Currency::PLN,
            time_zone: "Europe/Warsaw".into(),
            locale: "pl".parse().unwrap(),
            round_up_minutes: None,
            logo_file_id: None,
            automatic_invoicing_hour: None,
            email: Json::default(),
            email_invoices: false,
            reminders: None,
        };
        change(&mut fields);
        let organization_id = OrganizationId::at(clock());
        let owner = write(db, organization_id, |tx| {
            organizations::create(tx, fields)?;
            add_operator(tx, Role::Owner, BillingRight::Write, None)
        });
        Self { organization_id, owner, db: db.clone() }
    }

    /// The same world, its owner calling a server over the world's own database.
    pub fn on(mut self, server: &Server) -> Self {
        self.owner.client = self.owner.client.on(server);
        self
    }

    /// One more operator, signed in: `w.operator("manager", "none", None)`.
    pub fn operator(&self, role: &str, billing: &str, supervisor: Option<&Caller>) -> Caller {
        let supervisor_id = supervisor.map(|supervisor| OperatorId(supervisor.id));
        self.write(|tx| add_operator(tx, role.parse().unwrap(), billing.parse().unwrap(), supervisor_id))
    }

    /// A script with a key for these scopes.
    pub fn api_key(&self, scopes: &[&str]) -> Caller {
        let key = self.owner.post("/api-keys", json!({ "name": "test", "scopes": scopes })).expect(201);
        Caller {
            id: key.id().parse().unwrap(),
            email: String::new(),
            client: Client::nobody().bearer(key["secret"].as_str().unwrap()),
        }
    }

    /// The database behind the API. With [`World::write`], for what the API has no way to.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// A transaction in this organization, on behalf of nobody in particular.
    pub fn write<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
        write(&self.db, self.organization_id, work)
    }

    /// How many rows of a table are this organization's.
    pub fn count(&self, table: &str) -> i64 {
        super::count(&format!("{table} where organization_id = '{}'", self.organization_id))
    }

    /// How often such a change is in the audit log: `w.changes("customer.created")`.
    pub fn changes(&self, kind: &str) -> usize {
        let (resource, action) = kind.split_once('.').unwrap();
        let path = format!("/audit-log?resource_type={resource}&action={action}&limit=200");
        self.owner.get(&path).expect(200).items().len()
    }

    /// Of a kind that has a draft: a collection's path, and the fields without which there is none.
    pub(super) fn draft(&self, path: impl Into<Cow<'static, str>>, body: serde_json::Value) -> Draft {
        Draft::new(self.owner.clone(), path, body)
    }

    /// The organization as the API shows it.
    pub fn organization(&self) -> Record {
        self.owner.get("/organization").expect(200)
    }
}

/// Writes past the API, at the real moment.
#[expect(clippy::disallowed_methods, reason = "a world begins before anybody is in it who could be asked")]
fn write<T>(db: &Db, organization_id: OrganizationId, work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
    let scope = Scope::new(organization_id, ActorRef::System, None);
    db.transaction(scope, clock(), work).unwrap()
}

/// An operator with a sign-in, whose token is made here: the way through `/auth/token` takes a slow hash each time, and
/// has a limit for each address, which all tests share. `auth.rs` goes that way.
fn add_operator(
    tx: &mut Tx<'_>,
    role: Role,
    billing: BillingRight,
    supervisor_id: Option<OperatorId>,
) -> Result<Caller, StoreError> {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(&[SECRET.to_owned()]).unwrap());
    let email = format!("{role}.{}@test.example", Uuid::now_v7().simple());
    let fields = OperatorFields {
        email: email.clone(),
        full_name: format!("Test {role}"),
        role,
        billing,
        supervisor_id,
        active: true,
        locale: "en".parse().unwrap(),
    };
    let id = operators::create(tx, fields, Some(PASSWORD_HASH.clone()))?.id;
    let sign_in_id = credentials::start_sign_in(tx, id)?;
    let token = KEYS.access_token(id, tx.scope.organization_id, sign_in_id, tx.now).unwrap();
    Ok(Caller { id: id.0, email, client: Client::nobody().bearer(&token) })
}
