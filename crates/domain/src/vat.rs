//! VAT: the codes that stand on invoice lines, and the rate of each.

use rust_decimal::Decimal;

vocabulary! {
    /// The VAT code of a line. A code is not a number: exempt sales (`zw`) have no rate, which is not a rate of 0.
    ///
    /// `23`, `8`, `5`: percent. `0`: a rate of 0 in Poland. `0_wdt`: goods supplied to a taxpayer in another country of
    /// the European Union. `0_ex`: goods exported out of it. `zw`: exempt, for a legal basis. `np_i`: supplied outside of
    /// Poland. `np_ii`: a service that its buyer, a taxpayer in another country of the European Union, is taxed for there.
    /// `oo`: reverse charge in Poland.
    VatCode {
        Percent23 = "23",
        Percent8 = "8",
        Percent5 = "5",
        /// A rate of 0 on a sale in Poland (ustawa o VAT, art. 83).
        Percent0 = "0",
        /// Goods supplied to a taxpayer in another country of the European Union (wewnątrzwspólnotowa dostawa towarów,
        /// art. 42), at a rate of 0.
        IntraEu = "0_wdt",
        /// Goods exported out of the European Union (art. 41 ust. 4), at a rate of 0.
        Export = "0_ex",
        /// Exempt from VAT (zwolnione), for a legal basis that the invoice names (art. 106e ust. 1 pkt 19).
        Exempt = "zw",
        /// Supplied outside of Poland (nie podlega), so that no Polish VAT is charged, except what is "np_ii".
        OutsidePoland = "np_i",
        /// A service to a taxpayer in another country of the European Union, which is taxed there by the buyer
        /// (art. 100 ust. 1 pkt 4).
        ServiceToEu = "np_ii",
        /// Reverse charge in Poland (odwrotne obciążenie): the buyer accounts for the VAT.
        ReverseCharge = "oo",
    }
}

impl VatCode {
    /// The rate in percent; `None` where no VAT is charged at all.
    pub fn percent(self) -> Option<Decimal> {
        match self {
            Self::Percent23 => Some(Decimal::from(23)),
            Self::Percent8 => Some(Decimal::from(8)),
            Self::Percent5 => Some(Decimal::from(5)),
            Self::Percent0 | Self::IntraEu | Self::Export => Some(Decimal::ZERO),
            Self::Exempt | Self::OutsidePoland | Self::ServiceToEu | Self::ReverseCharge => None,
        }
    }

    /// Whether the invoice must name the legal basis of the exemption.
    pub const fn needs_exemption_basis(self) -> bool {
        matches!(self, Self::Exempt)
    }
}
