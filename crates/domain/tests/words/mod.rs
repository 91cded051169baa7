//! The words of FA(3), as examples have them.

use opiekun_domain::vat::VatCode;

/// What is said of the rate of a line (`P_12`).
pub fn vat_code(word: &str) -> VatCode {
    match word {
        "23" => VatCode::Percent23,
        "8" => VatCode::Percent8,
        "5" => VatCode::Percent5,
        "0 KR" => VatCode::Percent0,
        "0 WDT" => VatCode::IntraEu,
        "0 EX" => VatCode::Export,
        "zw" => VatCode::Exempt,
        "np I" => VatCode::OutsidePoland,
        "np II" => VatCode::ServiceToEu,
        "oo" => VatCode::ReverseCharge,
        other => panic!("{other}"),
    }
}
