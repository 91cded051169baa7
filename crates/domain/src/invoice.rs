//! Invoices: their states, and the arithmetic of their lines.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::currency::Currency;
use crate::decimal::{Amount, ExchangeRate, Overflow, Percent, Quantity, UnitPrice};
use crate::vat::VatCode;

vocabulary! {
    /// What an invoice is.
    InvoiceKind {
        Invoice = "invoice",
        /// A correcting invoice (faktura korygująca), which carries before and after.
        Correction = "correction",
        /// An offer in the form of an invoice; nothing is owed for it.
        ProForma = "pro_forma",
    }
}

vocabulary! {
    /// Whether an invoice has been issued.
    InvoiceStatus {
        /// May still change, and has no number.
        Draft = "draft",
        /// Has its number and never changes again; it is corrected by a correcting invoice.
        Issued = "issued",
        Void = "void",
    }
}

vocabulary! {
    /// How much of an invoice has been paid.
    PaymentStatus {
        Unpaid = "unpaid",
        PartlyPaid = "partly_paid",
        Paid = "paid",
        /// Not paid whole by its due day.
        Overdue = "overdue",
    }
}

impl PaymentStatus {
    /// How an issued invoice stands on a day: `gross` with its corrections, and what of it is paid. Of one that is
    /// corrected to nothing there is nothing to pay.
    pub fn of(gross: Amount, paid: Amount, due_on: NaiveDate, today: NaiveDate) -> Self {
        if paid >= gross {
            Self::Paid
        } else if due_on < today {
            Self::Overdue
        } else if paid > Amount::ZERO {
            Self::PartlyPaid
        } else {
            Self::Unpaid
        }
    }
}

vocabulary! {
    /// What the unit prices of an invoice are, and so from which side its VAT is computed.
    PriceMode { Net = "net", Gross = "gross" }
}

vocabulary! {
    /// What a template's line bills.
    LineKind {
        /// A given quantity at a given price.
        Fixed = "fixed",
        /// The customer's billable time of the period that is not invoiced yet, at the rates resolved for it.
        Time = "time",
    }
}

vocabulary! {
    /// How the buyer pays.
    PaymentMethod { Transfer = "transfer", Cash = "cash", Card = "card", Other = "other" }
}

/// What of a line counts for its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub quantity: Quantity,
    /// Net or gross, as the [`PriceMode`] of the invoice says.
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat: VatCode,
}

/// The sums of all lines with one VAT code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VatTotal {
    pub code: VatCode,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

/// The rate by which the VAT of an invoice in another currency is told in złoty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRate {
    /// How many złoty one unit of the currency is worth.
    pub rate: ExchangeRate,
    /// The day of the table.
    pub on: NaiveDate,
    /// Whose table: "NBP 227/A/NBP/2026".
    pub source: String,
}

/// The VAT of an invoice in złoty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VatInPln {
    /// In the order of [`Totals::by_code`].
    pub by_code: Vec<(VatCode, Amount)>,
    /// The sum of those, each of them rounded.
    pub sum: Amount,
}

/// The sums of one VAT code as an invoice tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VatSum {
    #[serde(flatten)]
    pub total: VatTotal,
    /// The VAT in złoty, where the invoice is in another currency and has a rate.
    #[serde(default)]
    pub vat_pln: Option<Amount>,
}

impl VatSum {
    /// Each code's sums beside its VAT in złoty.
    pub fn all(totals: &Totals, vat_pln: Option<&VatInPln>) -> Vec<Self> {
        let vat_pln = |code| {
            let by_code = vat_pln.map_or(&[][..], |vat| &vat.by_code);
            by_code.iter().find(|(other, _)| *other == code).map(|(_, vat)| *vat)
        };
        totals.by_code.iter().map(|total| Self { total: *total, vat_pln: vat_pln(total.code) }).collect()
    }
}

/// The sums of an invoice. Net + VAT = gross, for each code and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// One for each code that a line has, in the order of [`VatCode`].
    pub by_code: Vec<VatTotal>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

impl Totals {
    /// What has to be added to `before` so that it becomes this: the sums of a correcting invoice (art. 106j ust. 2
    /// pkt 5). Codes on either side are there, also those that come to nothing.
    pub fn minus(&self, before: &Self) -> Result<Self, Overflow> {
        let mut differences: BTreeMap<VatCode, VatTotal> = BTreeMap::new();
        for total in &self.by_code {
            differences.insert(total.code, *total);
        }
        for total in &before.by_code {
            let zero = VatTotal { code: total.code, net: Amount::ZERO, vat: Amount::ZERO, gross: Amount::ZERO };
            let difference = differences.entry(total.code).or_insert(zero);
            difference.net = difference.net.checked_sub(total.net)?;
            difference.vat = difference.vat.checked_sub(total.vat)?;
            difference.gross = difference.gross.checked_sub(total.gross)?;
        }
        Ok(Self {
            by_code: differences.into_values().collect(),
            net: self.net.checked_sub(before.net)?,
            vat: self.vat.checked_sub(before.vat)?,
            gross: self.gross.checked_sub(before.gross)?,
        })
    }

    /// Whether any VAT is charged. What cancels out in the sum is charged all the same.
    pub fn has_vat(&self) -> bool {
        self.by_code.iter().any(|total| total.vat != Amount::ZERO)
    }

    /// The VAT of each code in złoty, at the rate of the day before the tax fell due (art. 106e ust. 11 with art. 31a):
    /// VAT × rate, rounded half away from zero to 0.01, once a code. The sum is that of the rounded ones.
    pub fn vat_in_pln(&self, rate: ExchangeRate) -> Result<VatInPln, Overflow> {
        let mut sum = Amount::ZERO;
        let mut by_code = Vec::with_capacity(self.by_code.len());
        for total in &self.by_code {
            let exact = total.vat.value().checked_mul(rate.value()).ok_or(Overflow)?;
            let vat = Amount::rounded(exact).ok_or(Overflow)?;
            sum = sum.checked_add(vat)?;
            by_code.push((total.code, vat));
        }
        Ok(VatInPln { by_code, sum })
    }
}

/// Whether an invoice of this sum is above the limit from which goods and services of Annex 15 are paid for by split
/// payment, if both sides are taxpayers: more than 15 000 zł (ustawa o VAT, art. 106e ust. 1 pkt 18a with art. 108a
/// ust. 1a). A sum in another currency counts by the invoice's rate, unrounded; without a rate it can't be told.
pub fn split_payment_is_due(gross: Amount, currency: Currency, rate: Option<ExchangeRate>) -> bool {
    let limit = Decimal::from(15_000);
    let in_pln = if currency == Currency::PLN {
        Some(gross.value())
    } else {
        rate.and_then(|rate| gross.value().checked_mul(rate.value()))
    };
    in_pln.is_some_and(|gross| gross > limit)
}

/// The value of a line in its own price mode: quantity × unit price, less the discount (ustawa o VAT, art. 106e ust. 1
/// pkt 8 to 11), rounded once, half away from zero to 0.01.
pub fn line_value(line: &Line) -> Result<Amount, Overflow> {
    let paid_percent = Decimal::ONE_HUNDRED - line.discount_percent.unwrap_or_default().value();
    // Whatever still fits an amount has at most 28 digits on the way, so only the rounding below loses any.
    let exact = line.quantity.value().checked_mul(line.unit_price.value()).and_then(|it| it.checked_mul(paid_percent));
    exact.and_then(|it| Amount::rounded(it / Decimal::ONE_HUNDRED)).ok_or(Overflow)
}

/// The net value of a line. With gross prices it is the line's gross less the VAT in it, and only for show: the VAT
/// of the invoice is computed from the sums, to which such nets need not add up.
pub fn line_net(line: &Line, price_mode: PriceMode) -> Result<Amount, Overflow> {
    let value = line_value(line)?;
    match price_mode {
        PriceMode::Net => Ok(value),
        PriceMode::Gross => value.checked_sub(vat_in(line.vat, value)?),
    }
}

/// The VAT that stands beside each line with net prices, for show: what the VAT on its code's lines comes to with it, less
/// what it came to before it. So the lines of a code add up to its VAT, which that of each line alone need not.
pub fn vat_beside(lines: impl IntoIterator<Item = (VatCode, Amount)>) -> Result<Vec<Amount>, Overflow> {
    let mut sums: BTreeMap<VatCode, Amount> = BTreeMap::new();
    let beside = |(code, net): (VatCode, Amount)| {
        let sum = sums.entry(code).or_default();
        let before = vat_on(code, *sum)?;
        *sum = sum.checked_add(net)?;
        vat_on(code, *sum)?.checked_sub(before)
    };
    lines.into_iter().map(beside).collect()
}

/// The sums of an invoice's lines, in total and for each VAT code.
///
/// With net prices, VAT is the rate times the sum of the lines' net values; with gross prices it is the part
/// rate ÷ (100 + rate) of the sum of their gross values (ustawa o VAT, art. 106e ust. 7). Either is rounded once a
/// code, half away from zero to 0.01 (art. 106e ust. 11).
pub fn totals(lines: &[Line], price_mode: PriceMode) -> Result<Totals, Overflow> {
    // Summed unbounded, so that the order of lines can't decide whether they overflow.
    let mut values: BTreeMap<VatCode, Decimal> = BTreeMap::new();
    for line in lines {
        let sum = values.entry(line.vat).or_default();
        *sum = sum.checked_add(line_value(line)?.value()).ok_or(Overflow)?;
    }
    let by_code = values
        .into_iter()
        .map(|(code, sum)| vat_total(code, Amount::new(sum).ok_or(Overflow)?, price_mode))
        .collect::<Result<Vec<_>, _>>()?;
    let sum_of = |part: fn(&VatTotal) -> Amount| {
        by_code
            .iter()
            .try_fold(Decimal::ZERO, |sum, total| sum.checked_add(part(total).value()))
            .and_then(Amount::new)
            .ok_or(Overflow)
    };
    let (net, vat, gross) = (sum_of(|it| it.net)?, sum_of(|it| it.vat)?, sum_of(|it| it.gross)?);
    Ok(Totals { by_code, net, vat, gross })
}

fn vat_total(code: VatCode, sum: Amount, price_mode: PriceMode) -> Result<VatTotal, Overflow> {
    Ok(match price_mode {
        PriceMode::Net => {
            let vat = vat_on(code, sum)?;
            VatTotal { code, net: sum, vat, gross: sum.checked_add(vat)? }
        }
        PriceMode::Gross => {
            let vat = vat_in(code, sum)?;
            VatTotal { code, net: sum.checked_sub(vat)?, vat, gross: sum }
        }
    })
}

/// The VAT that comes on top of a net value: net × rate ÷ 100, rounded half away from zero to 0.01 (ustawa o VAT,
/// art. 106e ust. 11).
fn vat_on(code: VatCode, net: Amount) -> Result<Amount, Overflow> {
    let percent = code.percent().unwrap_or_default();
    Amount::rounded(net.value() * percent / Decimal::ONE_HUNDRED).ok_or(Overflow)
}

/// The VAT that is contained in a gross value: gross × rate ÷ (100 + rate), rounded half away from zero to 0.01 (ustawa
/// o VAT, art. 106e ust. 7 and 11).
fn vat_in(code: VatCode, gross: Amount) -> Result<Amount, Overflow> {
    let percent = code.percent().unwrap_or_default();
    Amount::rounded(gross.value() * percent / (Decimal::ONE_HUNDRED + percent)).ok_or(Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(quantity: &str, unit_price: &str, discount_percent: Option<&str>, vat: VatCode) -> Line {
        Line {
            quantity: quantity.parse().expect(quantity),
            unit_price: unit_price.parse().expect(unit_price),
            discount_percent: discount_percent.map(|percent| percent.parse().expect(percent)),
            vat,
        }
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect(text)
    }

    /// The code's word, net, VAT, gross; the last row is the sum.
    fn rows(lines: &[Line], price_mode: PriceMode) -> Vec<[String; 4]> {
        let totals = totals(lines, price_mode).expect("no overflow");
        let row = |name: &str, net: Amount, vat: Amount, gross: Amount| {
            [name.to_owned(), net.to_string(), vat.to_string(), gross.to_string()]
        };
        let by_code = totals.by_code.iter().map(|total| row(total.code.as_str(), total.net, total.vat, total.gross));
        by_code.chain([row("", totals.net, totals.vat, totals.gross)]).collect()
    }

    #[test]
    fn an_invoice_is_overdue_from_the_day_after_its_day_of_payment() {
        let day = |text: &str| text.parse::<NaiveDate>().expect(text);
        let on =
            |paid: &str, today: &str| PaymentStatus::of(amount("100.00"), amount(paid), day("2026-11-30"), day(today));
        assert_eq!(on("0.00", "2026-11-30"), PaymentStatus::Unpaid);
        assert_eq!(on("0.01", "2026-11-30"), PaymentStatus::PartlyPaid);
        assert_eq!(on("99.99", "2026-12-01"), PaymentStatus::Overdue);
        assert_eq!(on("100.00", "2026-12-01"), PaymentStatus::Paid);
        // Paid before a correction took some of it away.
        assert_eq!(on("123.00", "2026-12-01"), PaymentStatus::Paid);
        let corrected = PaymentStatus::of(Amount::ZERO, Amount::ZERO, day("2026-11-30"), day("2026-12-01"));
        assert_eq!(corrected, PaymentStatus::Paid);
    }

    #[test]
    fn an_accounting_office_bills_its_month_net() {
        let lines = [
            line("1", "850.00", None, VatCode::Percent23), // bookkeeping
            line("7", "49.90", None, VatCode::Percent23),  // payroll, 7 × 49.90 = 349.30
            line("3", "35.00", None, VatCode::Percent8),   // 105.00
        ];
        assert_eq!(
            rows(&lines, PriceMode::Net),
            [
                ["23", "1199.30", "275.84", "1475.14"], // 1199.30 × 0.23 = 275.839
                ["8", "105.00", "8.40", "113.40"],
                ["", "1304.30", "284.24", "1588.54"],
            ]
        );
    }

    #[test]
    fn vat_is_taken_on_the_sum_and_not_on_each_line() {
        // A line alone has 0.02 × 0.23 = 0.0046 → 0.00 of VAT; ten have 0.20 × 0.23 = 0.046 → 0.05.
        let lines = [line("1", "0.02", None, VatCode::Percent23); 10];
        assert_eq!(rows(&lines, PriceMode::Net)[0], ["23", "0.20", "0.05", "0.25"]);
    }

    #[test]
    fn the_vat_beside_the_lines_adds_up_to_that_of_their_code() {
        // 0.02 × 0.23 = 0.0046 → 0.00, 0.04 × 0.23 = 0.0092 → 0.01, 0.06 × 0.23 = 0.0138 → 0.01; 105.00 × 0.08 = 8.40.
        let net = [("0.02", VatCode::Percent23), ("0.02", VatCode::Percent23), ("105.00", VatCode::Percent8)];
        let lines = net.into_iter().chain([("0.02", VatCode::Percent23)]).map(|(net, code)| (code, amount(net)));
        assert_eq!(vat_beside(lines), Ok(["0.00", "0.01", "8.40", "0.00"].map(amount).to_vec()));
    }

    #[test]
    fn a_shop_bills_gross() {
        let lines = [
            line("2", "61.50", None, VatCode::Percent23), // 123.00 × 23 ÷ 123 = 23.00
            line("1", "9.99", None, VatCode::Percent5),   // 9.99 × 5 ÷ 105 = 0.4757…
            line("1", "200.00", None, VatCode::Exempt),
            line("1", "10.00", None, VatCode::Percent0),
        ];
        assert_eq!(
            rows(&lines, PriceMode::Gross),
            [
                ["23", "100.00", "23.00", "123.00"],
                ["5", "9.51", "0.48", "9.99"],
                ["0", "10.00", "0.00", "10.00"],
                ["zw", "200.00", "0.00", "200.00"],
                ["", "319.51", "23.48", "342.99"],
            ]
        );
        assert_eq!(line_net(&lines[0], PriceMode::Gross), Ok(amount("100.00")));
        assert_eq!(line_net(&lines[1], PriceMode::Gross), Ok(amount("9.51")));
    }

    #[test]
    fn a_line_is_rounded_once_after_its_discount() {
        // 2.5 × 33.3333 = 83.33325; less 12.5 % is 72.91659375 → 72.92. Rounded before, 83.33 less 12.5 % is 72.91375.
        let discounted = line("2.5", "33.3333", Some("12.5"), VatCode::Percent23);
        assert_eq!(line_value(&discounted), Ok(amount("72.92")));
        assert_eq!(line_value(&line("1", "0.005", None, VatCode::Percent23)), Ok(amount("0.01")));
        assert_eq!(line_value(&line("-1", "0.005", None, VatCode::Percent23)), Ok(amount("-0.01")));
        assert_eq!(line_value(&line("1", "99.99", Some("100"), VatCode::Percent23)), Ok(Amount::ZERO));
    }

    #[test]
    fn too_much_is_an_error() {
        let huge = line("9999999999", "999999999999.9999", None, VatCode::Percent23);
        assert_eq!(line_value(&huge), Err(Overflow));
        assert_eq!(totals(&[huge], PriceMode::Net), Err(Overflow));
        // Each fits, their sum does not; and one whose gross alone does not.
        let large = line("99", "999999999999.99", None, VatCode::Percent8);
        assert!(line_value(&large).is_ok());
        assert_eq!(totals(&[large, large], PriceMode::Gross), Err(Overflow));
        assert_eq!(totals(&[large], PriceMode::Net), Err(Overflow));
    }

    #[test]
    fn no_lines_are_nothing() {
        assert_eq!(rows(&[], PriceMode::Net), [["", "0.00", "0.00", "0.00"]]);
    }

    fn any_line(quantity_most: i64, price_most: i64) -> impl Strategy<Value = Line> {
        let codes = proptest::sample::select(VatCode::ALL);
        (-quantity_most..=quantity_most, -price_most..=price_most, proptest::option::of(0_i64..=10_000), codes)
            .prop_map(|(quantity, price, discount, vat)| Line {
                quantity: Quantity::new(Decimal::new(quantity, 4)).expect("a quantity"),
                unit_price: UnitPrice::new(Decimal::new(price, 4)).expect("a price"),
                discount_percent: discount.map(|it| Percent::new(Decimal::new(it, 2)).expect("a percent")),
                vat,
            })
    }

    #[test]
    fn a_correction_is_what_changes() {
        let of = |quantity| totals(&[line(quantity, "39.90", None, VatCode::Percent23)], PriceMode::Net).unwrap();
        let moved = totals(&[line("3", "39.90", None, VatCode::Percent8)], PriceMode::Net).unwrap();
        // 79.80 × 0.23 = 18.354 → 18.35, less 119.70 × 0.23 = 27.531 → 27.53
        let fewer = of("2").minus(&of("3")).unwrap();
        assert_eq!((fewer.net, fewer.vat, fewer.gross), (amount("-39.90"), amount("-9.18"), amount("-49.08")));
        // The rate was wrong: all of it goes from one code to the other.
        let other_rate = moved.minus(&of("3")).unwrap();
        let by_code: Vec<_> = other_rate.by_code.iter().map(|it| (it.code.as_str(), it.net.to_string())).collect();
        assert_eq!(by_code, [("23", "-119.70".to_owned()), ("8", "119.70".to_owned())]);
        assert_eq!((other_rate.net, other_rate.vat), (Amount::ZERO, amount("-17.95")));
    }

    #[test]
    fn vat_in_zloty_is_rounded_once_a_code() {
        let lines = [line("1", "10.00", None, VatCode::Percent23), line("1", "10.00", None, VatCode::Percent8)];
        let totals = totals(&lines, PriceMode::Net).unwrap();
        // 2.30 × 4.2517 = 9.77891 → 9.78 and 0.80 × 4.2517 = 3.40136 → 3.40
        let VatInPln { by_code, sum } = totals.vat_in_pln("4.2517".parse().unwrap()).unwrap();
        assert_eq!(by_code, [(VatCode::Percent23, amount("9.78")), (VatCode::Percent8, amount("3.40"))]);
        assert_eq!(sum, amount("13.18"));
    }

    fn price_modes() -> impl Strategy<Value = PriceMode> {
        proptest::sample::select(PriceMode::ALL)
    }

    proptest! {
        #[test]
        fn net_and_vat_make_gross(
            lines in proptest::collection::vec(any_line(10_000_000, 100_000_000), 0..20),
            mode in price_modes(),
        ) {
            let totals = totals(&lines, mode).expect("no overflow");
            prop_assert_eq!(totals.net.checked_add(totals.vat), Ok(totals.gross));
            for total in &totals.by_code {
                prop_assert_eq!(total.net.checked_add(total.vat), Ok(total.gross));
            }
            let codes: Vec<_> = totals.by_code.iter().map(|total| total.code).collect();
            prop_assert!(codes.is_sorted());
            let of_lines: Decimal = lines.iter().filter_map(|line| line_value(line).ok()).map(Amount::value).sum();
            prop_assert_eq!(of_lines, match mode {
                PriceMode::Net => totals.net.value(),
                PriceMode::Gross => totals.gross.value(),
            });
        }

        #[test]
        fn the_vat_beside_lines_is_all_of_it(lines in proptest::collection::vec(any_line(10_000_000, 100_000_000), 0..20)) {
            let nets = || lines.iter().map(|line| (line.vat, line_value(line).expect("no overflow")));
            let beside = vat_beside(nets()).expect("no overflow");
            for total in totals(&lines, PriceMode::Net).expect("no overflow").by_code {
                let of_code = beside.iter().zip(nets()).filter(|(_, (code, _))| *code == total.code);
                prop_assert_eq!(of_code.map(|(vat, _)| vat.value()).sum::<Decimal>(), total.vat.value());
            }
            for (vat, (code, net)) in beside.iter().zip(nets()) {
                let alone = vat_on(code, net).expect("no overflow");
                prop_assert!((vat.value() - alone.value()).abs() <= Decimal::new(1, 2));
            }
        }

        #[test]
        fn vat_is_within_half_a_cent_of_the_rate(sum in -1_000_000_000_i64..1_000_000_000, code in proptest::sample::select(VatCode::ALL)) {
            let sum = Amount::new(Decimal::new(sum, 2)).expect("an amount");
            let percent = code.percent().unwrap_or_default();
            let half_a_cent = Decimal::new(5, 3);
            for mode in PriceMode::ALL {
                let total = vat_total(code, sum, *mode).expect("no overflow");
                let exact = match mode {
                    PriceMode::Net => sum.value() * percent / Decimal::ONE_HUNDRED,
                    PriceMode::Gross => sum.value() * percent / (Decimal::ONE_HUNDRED + percent),
                };
                prop_assert!((total.vat.value() - exact).abs() <= half_a_cent);
            }
        }

        #[test]
        fn the_order_of_lines_changes_nothing(
            lines in proptest::collection::vec(any_line(99_999_999_999_999, 9_999_999_999_999_999), 0..8)
                .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
            mode in price_modes(),
        ) {
            prop_assert_eq!(totals(&lines.0, mode), totals(&lines.1, mode));
        }

        #[test]
        fn what_was_and_its_correction_make_what_is(
            before in proptest::collection::vec(any_line(10_000_000, 100_000_000), 0..8),
            after in proptest::collection::vec(any_line(10_000_000, 100_000_000), 0..8),
            mode in price_modes(),
        ) {
            let (before, after) = (totals(&before, mode).expect("no overflow"), totals(&after, mode).expect("no overflow"));
            let correction = after.minus(&before).expect("no overflow");
            prop_assert_eq!(before.net.checked_add(correction.net), Ok(after.net));
            prop_assert_eq!(before.vat.checked_add(correction.vat), Ok(after.vat));
            prop_assert_eq!(before.gross.checked_add(correction.gross), Ok(after.gross));
            prop_assert_eq!(correction.net.checked_add(correction.vat), Ok(correction.gross));
            let in_sum = |part: fn(&VatTotal) -> Amount| correction.by_code.iter().map(|it| part(it).value()).sum::<Decimal>();
            prop_assert_eq!(in_sum(|it| it.net), correction.net.value());
            prop_assert_eq!(in_sum(|it| it.vat), correction.vat.value());
            prop_assert_eq!(after.minus(&after).expect("no overflow").gross, Amount::ZERO);
        }

        #[test]
        fn a_line_is_never_off_by_more_than_its_one_rounding(line in any_line(10_000_000, 100_000_000)) {
            let percent = Decimal::ONE_HUNDRED - line.discount_percent.unwrap_or_default().value();
            let exact = line.quantity.value() * line.unit_price.value() * percent / Decimal::ONE_HUNDRED;
            let value = line_value(&line).expect("no overflow").value();
            prop_assert!((value - exact).abs() <= Decimal::new(5, 3));
            prop_assert!(line_net(&line, PriceMode::Gross).is_ok());
        }
    }
}
