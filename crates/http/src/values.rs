//! Values that several bodies share: addresses, tax identities, and their checks.

use crate::problem::{ApiError, Wrong};
use opiekun_documents::table::Cell;
use opiekun_domain::address::Address;
use opiekun_domain::tax_identity::{TaxIdentity, TaxScheme};
use opiekun_domain::work_item::{WorkItem, WorkItemType};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use uuid::Uuid;
use validator::Validate;

/// Where post reaches somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Address)]
#[serde(deny_unknown_fields)]
pub struct AddressBody {
    /// Street and number.
    #[schema(min_length = 1, max_length = 160, example = "ul. Polna 12")]
    pub line1: String,
    /// Flat, floor, building.
    #[schema(max_length = 160, example = "lok. 3")]
    #[serde(default)]
    pub line2: Option<String>,
    #[schema(max_length = 16, example = "00-950")]
    #[serde(default)]
    pub postal_code: Option<String>,
    #[schema(min_length = 1, max_length = 80, example = "Warszawa")]
    pub city: String,
    /// ISO 3166-1 alpha-2.
    #[schema(pattern = r"^[A-Z]{2}$", example = "PL")]
    pub country: String,
}

impl AddressBody {
    /// The cells of a table: street and number, flat, postal code, city, country.
    pub fn cells(address: Option<Self>) -> [Cell; 5] {
        let Some(Self { line1, line2, postal_code, city, country }) = address else {
            return [const { Cell::Empty }; 5];
        };
        [line1.into(), line2.into(), postal_code.into(), city.into(), country.into()]
    }
}

impl From<Address> for AddressBody {
    fn from(address: Address) -> Self {
        let Address { line1, line2, postal_code, city, country } = address;
        Self { line1, line2, postal_code, city, country }
    }
}

impl From<AddressBody> for Address {
    fn from(body: AddressBody) -> Self {
        let AddressBody { line1, line2, postal_code, city, country } = body;
        Self { line1, line2, postal_code, city, country }
    }
}

/// By which number a state knows somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TaxId)]
#[serde(deny_unknown_fields)]
pub struct TaxIdBody {
    /// `nip`: the Polish tax number, its check digit is checked; `eu_vat`: a VAT number of the Union; `none`: a consumer.
    #[schema(example = "nip")]
    pub scheme: TaxScheme,
    /// ISO 3166-1 alpha-2; for `eu_vat` the prefix of the number (`EL` for Greece). `PL` for `nip`.
    #[schema(pattern = r"^[A-Z]{2}$", example = "PL")]
    #[serde(default)]
    pub country: Option<String>,
    /// Without its country prefix; spaces and dashes are taken out.
    #[schema(min_length = 1, max_length = 60, example = "5261040828")]
    #[serde(default)]
    pub number: Option<String>,
}

impl TaxIdBody {
    /// The cells of a table: scheme, country, number.
    pub fn cells(self) -> [Cell; 3] {
        [Cell::text(self.scheme), self.country.into(), self.number.into()]
    }

    /// Of somebody who has none.
    pub const NONE: Self = Self { scheme: TaxScheme::None, country: None, number: None };

    /// The identity, or everything that is wrong with it, for a body that has it at `pointer`.
    pub fn check(&self, pointer: &str) -> Result<TaxIdentity, ApiError> {
        TaxIdentity::new(self.scheme, self.country.as_deref(), self.number.as_deref()).map_err(|problems| {
            let wrong = problems.iter().map(|problem| {
                Wrong::field(format!("{pointer}/{}", problem.field()), "tax_id", capitalised(&problem.to_string()))
            });
            ApiError::invalid(wrong.collect())
        })
    }

    /// The identity as a row holds it.
    pub fn of(scheme: TaxScheme, country: Option<String>, number: Option<String>) -> Self {
        Self { scheme, country, number }
    }
}

/// A task or an interaction, wherever either will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = WorkItem)]
#[serde(deny_unknown_fields)]
pub struct WorkItemBody {
    #[serde(rename = "type")]
    pub kind: WorkItemType,
    pub id: Uuid,
}

impl From<WorkItem> for WorkItemBody {
    fn from(item: WorkItem) -> Self {
        Self { kind: item.kind(), id: item.id() }
    }
}

impl From<WorkItemBody> for WorkItem {
    fn from(body: WorkItemBody) -> Self {
        let WorkItemBody { kind, id } = body;
        Self::new(kind, id)
    }
}

/// A rule's message as a sentence of a problem document.
pub fn capitalised(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The schema of a list of tags: short, without commas (which separate them in filters), none twice.
pub fn tags_schema() -> Array {
    let tag = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(1))
        .max_length(Some(60))
        .pattern(Some(r"^[^,\n\r\t]+$"));
    ArrayBuilder::new()
        .items(tag)
        .max_items(Some(50))
        .unique_items(true)
        .description(Some("Free words to find it by."))
        .examples([json!(["vat-monthly"])])
        .build()
}
