//! The totals of invoices, held against the example invoices of the Ministry of Finance for FA(3) and some more that
//! validate against its schema: their lines rebuilt, their sums compared.
//!
//! P_13_x is the net and P_14_x the VAT of a code, P_14_xW that VAT in złoty, P_15 the sum of all.

mod words;

use opiekun_domain::decimal::{Amount, ExchangeRate, Percent, Quantity, UnitPrice};
use opiekun_domain::invoice::{Line, PriceMode, Totals, totals};
use opiekun_domain::vat::VatCode;
use roxmltree::{Document, Node};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::Path;
use words::vat_code;

/// Of which code the sums are that the form knows by a number.
const SUMS: [(&str, VatCode); 10] = [
    ("1", VatCode::Percent23),
    ("2", VatCode::Percent8),
    ("3", VatCode::Percent5),
    ("6_1", VatCode::Percent0),
    ("6_2", VatCode::IntraEu),
    ("6_3", VatCode::Export),
    ("7", VatCode::Exempt),
    ("8", VatCode::OutsidePoland),
    ("9", VatCode::ServiceToEu),
    ("10", VatCode::ReverseCharge),
];

/// Examples with no lines that make their sums: their sums by code stand for lines.
const WITHOUT_LINES: [(&str, &str); 12] = [
    ("fa3-przyklad-05", "corrects the buyer's data alone"),
    ("fa3-przyklad-06", "a discount on all sales of a period"),
    ("fa3-przyklad-07", "a discount on all sales of a period; its line has a quantity alone"),
    ("fa3-przyklad-10", "an advance payment"),
    ("fa3-przyklad-11", "corrects an advance payment"),
    ("fa3-przyklad-12", "corrects an advance payment"),
    ("fa3-przyklad-13", "corrects an advance payment"),
    ("fa3-przyklad-14", "its lines are those of the whole order, its sums what is left after advances"),
    ("fa3-przyklad-15", "simplified, up to 450 PLN: no price on the line"),
    ("fa3-przyklad-16", "simplified, up to 450 PLN: no sums"),
    ("fa3-przyklad-17", "its lines are those of the whole order, its sums what is left after advances"),
    ("fa3-przyklad-18", "its lines are those of the whole order, its sums what changes of what was left"),
];

/// Where the examples' sums are others than their own parts make: what ours is, and why.
const OTHERWISE: [(&str, &str, &str, &str); 9] = [
    ("fa3-przyklad-01", "P_15", "2050.99", "P_13 and P_14 add up to that, and not to 2051"),
    ("fa3-przyklad-11", "P_14_2", "1457.20", "18214.94 × 8 % = 1457.1952, and not 1457.19"),
    ("fa3-przyklad-11", "P_15", "0.01", "that grosz"),
    ("fa3-przyklad-16", "P_15", "0", "no sums by code, so nothing to rebuild it from"),
    ("fa3-przyklad-18", "P_14_1", "23.40", "101.76 × 23 % = 23.4048, and not 23.41"),
    ("fa3-przyklad-18", "P_14_2", "556.28", "6953.54 × 8 % = 556.2832, and not 556.29"),
    ("fa3-przyklad-18", "P_15", "7634.98", "those two grosze"),
    ("fa3-przyklad-19", "P_14_1", "186.99", "1000 × 23 ÷ 123 = 186.9918…, and not 187"),
    ("fa3-przyklad-19", "P_13_1", "813.01", "1000 × 23 ÷ 123 = 186.9918…, and not 187"),
];

/// Examples of sales taxed on the margin, which no VAT code of ours stands for: their other lines count.
const ON_THE_MARGIN: [&str; 2] = ["fa3-przyklad-08", "fa3-przyklad-19"];

#[test]
fn our_totals_are_those_of_the_official_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fa3");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("the examples")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 35);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for name in &names {
        let text = std::fs::read_to_string(folder.join(format!("{name}.xml"))).expect(name);
        let document = Document::parse(&text).expect(name);
        let invoice = document.descendants().find(|node| node.is_called("Fa")).expect(name);
        let told = told(invoice);
        for (sum, ours) in rebuilt(name, invoice) {
            let Some(theirs) = told.get(&sum) else {
                if ours != Decimal::ZERO {
                    wrong.push(format!("{name} {sum}: {ours}, which it does not have"));
                }
                continue;
            };
            compared += 1;
            let otherwise = OTHERWISE.iter().find(|(of, at, ..)| of == name && *at == sum);
            let expected = otherwise.map_or(*theirs, |(_, _, ours, _)| ours.parse().expect("a decimal"));
            if ours != expected || (otherwise.is_some() && ours == *theirs) {
                wrong.push(format!("{name} {sum}: {ours}, and there {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 80, "{compared} sums compared");
}

/// Elements by their local name: all are of the one namespace of FA(3).
trait Called {
    fn is_called(&self, name: &str) -> bool;
}

impl Called for Node<'_, '_> {
    fn is_called(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.is_called(name)).and_then(|child| child.text())
}

fn decimal(node: Node<'_, '_>, name: &str) -> Option<Decimal> {
    text(node, name).map(|text| text.parse().expect(name))
}

/// The sums that an invoice tells.
fn told(invoice: Node<'_, '_>) -> BTreeMap<String, Decimal> {
    invoice
        .children()
        .map(|child| child.tag_name().name())
        .filter(|name| name.starts_with("P_13") || name.starts_with("P_14") || *name == "P_15")
        .map(|name| (name.to_owned(), decimal(invoice, name).expect(name)))
        .collect()
}

/// The same sums made from the invoice's lines.
fn rebuilt(name: &str, invoice: Node<'_, '_>) -> BTreeMap<String, Decimal> {
    let (lines, rate) = match WITHOUT_LINES.iter().any(|(without, _)| *without == name) {
        true => (sums_as_lines(invoice), None),
        false => lines(invoice),
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut modes = Vec::new();
    for (line, mode, is_before) in lines {
        modes.push(mode);
        if is_before { before.push(line) } else { after.push(line) }
    }
    let mode = modes.first().copied().unwrap_or(PriceMode::Net);
    assert!(modes.iter().all(|it| *it == mode), "{name} mixes net and gross prices");
    let of = |lines: &[Line]| totals(lines, mode).expect(name);
    let totals = of(&after).minus(&of(&before)).expect(name);
    let mut sums = named(&totals, rate);
    if ON_THE_MARGIN.contains(&name) {
        sums.remove("P_15");
    }
    sums
}

fn named(totals: &Totals, rate: Option<ExchangeRate>) -> BTreeMap<String, Decimal> {
    let mut sums = BTreeMap::from([("P_15".to_owned(), totals.gross.value())]);
    let number = |code: VatCode| SUMS.iter().find(|(_, of)| *of == code).expect("a number").0;
    for total in &totals.by_code {
        sums.insert(format!("P_13_{}", number(total.code)), total.net.value());
        if total.code.percent().is_some_and(|percent| !percent.is_zero()) {
            sums.insert(format!("P_14_{}", number(total.code)), total.vat.value());
        }
    }
    if let Some(rate) = rate {
        for (code, vat) in totals.vat_in_pln(rate).expect("no overflow").by_code {
            if vat != Amount::ZERO {
                sums.insert(format!("P_14_{}W", number(code)), vat.value());
            }
        }
    }
    sums
}

type PricedLine = (Line, PriceMode, bool);

/// Its lines, and at what rate their VAT is in złoty.
fn lines(invoice: Node<'_, '_>) -> (Vec<PricedLine>, Option<ExchangeRate>) {
    let rows = invoice.children().filter(|node| node.is_called("FaWiersz"));
    let mut rate = None;
    let mut lines = Vec::new();
    for row in rows {
        // What is taxed on the margin has no code.
        let Some(code) = text(row, "P_12") else { continue };
        rate = rate.or(decimal(row, "KursWaluty"));
        let quantity = decimal(row, "P_8B").unwrap_or(Decimal::ONE);
        let (price, value, mode) = match decimal(row, "P_9B").or(decimal(row, "P_11A")) {
            Some(_) => (decimal(row, "P_9B"), decimal(row, "P_11A"), PriceMode::Gross),
            None => (decimal(row, "P_9A"), decimal(row, "P_11"), PriceMode::Net),
        };
        let value = value.expect("a value");
        // Finer prices than ours, and lines that tell their value alone, count by that.
        let unit_price = price.and_then(UnitPrice::new);
        let (quantity, unit_price) = match unit_price {
            Some(unit_price) => (quantity, unit_price),
            None => (Decimal::ONE, UnitPrice::new(value).expect("a price")),
        };
        // The example's discount is per unit.
        let discount = decimal(row, "P_10").map(|it| it * Decimal::ONE_HUNDRED / unit_price.value());
        let line = Line {
            quantity: Quantity::new(quantity).expect("a quantity"),
            unit_price,
            discount_percent: discount.map(|percent| Percent::new(percent).expect("a percent")),
            vat: vat_code(code),
        };
        assert_eq!(opiekun_domain::invoice::line_value(&line).map(Amount::value), Ok(value), "the value of a line");
        lines.push((line, mode, text(row, "StanPrzed") == Some("1")));
    }
    (lines, rate.and_then(ExchangeRate::new))
}

/// One line for each sum by code. One code alone was computed from the gross.
fn sums_as_lines(invoice: Node<'_, '_>) -> Vec<PricedLine> {
    let nets: Vec<(Decimal, VatCode)> =
        SUMS.iter().filter_map(|(number, code)| Some((decimal(invoice, &format!("P_13_{number}"))?, *code))).collect();
    let line = |price, vat| Line {
        quantity: Quantity::new(Decimal::ONE).expect("one"),
        unit_price: UnitPrice::new(price).expect("a price"),
        discount_percent: None,
        vat,
    };
    match (&nets[..], decimal(invoice, "P_15")) {
        ([(_, vat)], Some(gross)) => vec![(line(gross, *vat), PriceMode::Gross, false)],
        (nets, _) => nets.iter().map(|(net, vat)| (line(*net, *vat), PriceMode::Net, false)).collect(),
    }
}
