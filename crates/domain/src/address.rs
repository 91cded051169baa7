//! Postal addresses, as they stand on letters and invoices.

use serde::{Deserialize, Serialize};

/// Where post reaches somebody. The country is ISO 3166-1 alpha-2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub line1: String,
    pub line2: Option<String>,
    pub postal_code: Option<String>,
    pub city: String,
    pub country: String,
}
