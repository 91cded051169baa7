//! VAT: the codes that stand on invoice lines, and the rate of each.

use rust_decimal::Decimal;

vocabulary! {
    /// The VAT code of a line. A code is not a number: exempt sales (`zw`) have no rate, which is not a rate of 0.
    VatCode {
        Percent23 = "23",
        Percent8 = "8",
        Percent5 = "5",
        Percent0 = "0",
        /// Exempt from VAT (zwolnione), for a legal basis that the invoice names (ustawa o VAT, art. 106e ust. 1 pkt 19).
        Exempt = "zw",
    }
}

impl VatCode {
    /// The rate in percent; `None` where no VAT is charged at all.
    pub fn percent(self) -> Option<Decimal> {
        match self {
            Self::Percent23 => Some(Decimal::from(23)),
            Self::Percent8 => Some(Decimal::from(8)),
            Self::Percent5 => Some(Decimal::from(5)),
            Self::Percent0 => Some(Decimal::ZERO),
            Self::Exempt => None,
        }
    }

    /// Whether the invoice must name the legal basis of the exemption.
    pub const fn needs_exemption_basis(self) -> bool {
        matches!(self, Self::Exempt)
    }
}
