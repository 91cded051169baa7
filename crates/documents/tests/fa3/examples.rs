//! The official examples that lie in our scope, rebuilt as our invoices: the same values in the same elements.

use crate::case::{Before, Case};
use crate::words::vat_code;
use crate::{documents, examples_folder};
use chrono::NaiveDate;
use opiekun_domain::address::Address;
use opiekun_domain::billing::{Invoice, InvoiceLine, LineVat, Party};
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{ExchangeRate, Percent, Quantity, UnitPrice};
use opiekun_domain::invoice::{Line, PaymentMethod, PriceMode, TableRate, line_net, totals};
use opiekun_domain::invoice_draft::PaymentTerm;
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use roxmltree::{Document, Node};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Examples of what we issue no invoice for.
const OUT_OF_SCOPE: [(&str, &str); 14] = [
    ("fa3-przyklad-06", "corrects all invoices of half a year at once"),
    ("fa3-przyklad-07", "corrects all invoices of half a year at once"),
    ("fa3-przyklad-08", "taxed on the margin"),
    ("fa3-przyklad-10", "an advance payment"),
    ("fa3-przyklad-11", "corrects an advance payment"),
    ("fa3-przyklad-12", "corrects an advance payment"),
    ("fa3-przyklad-13", "corrects an advance payment"),
    ("fa3-przyklad-14", "settles advance payments"),
    ("fa3-przyklad-15", "simplified, up to 450 PLN"),
    ("fa3-przyklad-16", "simplified, up to 450 PLN"),
    ("fa3-przyklad-17", "settles advance payments"),
    ("fa3-przyklad-18", "corrects a settlement of advance payments"),
    ("fa3-przyklad-19", "taxed on the margin"),
    ("fa3-przyklad-26", "deposits on packaging are added to what is to be paid"),
];

/// Elements of theirs that an invoice of ours does not have; whatever stands within them too.
const NOT_OURS: [(&str, &str); 19] = [
    ("/Podmiot1/DaneKontaktowe", "optional: how to reach the seller"),
    ("/Podmiot2/DaneKontaktowe", "optional: how to reach the buyer"),
    ("/Podmiot2/NrKlienta", "optional: the seller's number of the buyer"),
    ("/Podmiot2/Adres/GLN", "optional: the number of a place"),
    ("/Podmiot3", "a factor"),
    ("/Fa/P_1M", "optional: the place of the issue"),
    ("/Fa/WZ", "optional: delivery notes"),
    ("/Fa/FP", "optional: an invoice for a receipt"),
    ("/Fa/DodatkowyOpis", "optional: free descriptions"),
    ("/Fa/FaWiersz/UU_ID", "optional: a name of the line"),
    ("/Fa/FaWiersz/P_6A", "a day of sale for each line: ours has one"),
    ("/Fa/FaWiersz/CN", "optional: the customs code"),
    ("/Fa/Rozliczenie", "other debts between the two"),
    ("/Fa/Platnosc/Zaplacono", "what is paid is told after the issue"),
    ("/Fa/Platnosc/DataZaplaty", "what is paid is told after the issue"),
    ("/Fa/Platnosc/RachunekBankowy/OpisRachunku", "optional: a description of the account"),
    ("/Fa/Platnosc/RachunekBankowyFaktora", "a factor's account"),
    ("/Fa/WarunkiTransakcji", "optional: contracts, orders, transport"),
    ("/Stopka/Rejestry", "optional: the seller's numbers in registers"),
];

/// Elements of ours that theirs leave out, though they may have them.
const OURS_ALONE: [(&str, &str); 5] = [
    ("/Fa/Platnosc/TerminPlatnosci", "ours has a day of payment always"),
    ("/Fa/Platnosc/FormaPlatnosci", "ours has a way of payment always"),
    ("/Fa/FaWiersz/P_8A", "theirs has sums where ours has one unit at a price"),
    ("/Fa/FaWiersz/P_8B", "theirs has sums where ours has one unit at a price"),
    ("/Fa/FaWiersz/P_9A", "theirs has sums where ours has one unit at a price"),
];

/// Where theirs is other than ours in a value, and why. `None`: ours has no such element.
const OTHERWISE: [(&str, &str, Option<&str>, &str); 6] = [
    ("fa3-przyklad-01", "/Fa/P_15", Some("2050.99"), "P_13 and P_14 add up to that, and not to 2051"),
    ("fa3-przyklad-24", "/Zalacznik", None, "an attachment, which the tax office has to be told of before"),
    ("fa3-przyklad-25", "/Zalacznik", None, "an attachment, which the tax office has to be told of before"),
    ("syn-04-konsument-brakid-brutto", "/Fa/P_6", None, "the day of the sale is that of the invoice"),
    ("syn-07-odwrotne-obciazenie-oo", "/Fa/FaWiersz/P_8B", Some("1"), "a price of five places: ours has four"),
    ("syn-07-odwrotne-obciazenie-oo", "/Fa/FaWiersz/P_9A", Some("312.54"), "a price of five places: ours has four"),
];

#[test]
fn our_documents_tell_what_the_official_examples_tell() {
    let examples = documents(&examples_folder());
    let mut wrong = Vec::new();
    let (mut used, mut compared, mut rebuilt) = (BTreeSet::new(), 0, 0);
    for (name, example) in &examples {
        if OUT_OF_SCOPE.iter().any(|(it, _)| it == name) {
            continue;
        }
        rebuilt += 1;
        let example = std::str::from_utf8(example).expect(name);
        let theirs = Document::parse(example).expect(name);
        let ours = case(theirs.root_element()).document().unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = String::from_utf8(ours).expect("a text");
        let ours = values(Document::parse(&ours).expect(name).root_element());
        let theirs = values(theirs.root_element());
        let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for path in paths {
            let (our, their) = (ours.get(path), theirs.get(path));
            let plain: String =
                path.split('/').map(|part| part.split('[').next().unwrap_or_default()).collect::<Vec<_>>().join("/");
            let is_within = |prefix: &str| plain == prefix || plain.starts_with(&format!("{prefix}/"));
            if is_same(our, their) {
                compared += 1;
            } else if plain == "/Naglowek/SystemInfo" {
                assert_eq!(our.map(String::as_str), Some("Opiekun"));
            } else if let Some((_, at, expected, _)) = OTHERWISE.iter().find(|(of, at, ..)| of == name && is_within(at))
            {
                used.insert((*at).to_owned());
                if !is_same(our, expected.map(str::to_owned).as_ref()) {
                    wrong.push(format!("{name} {path}: {our:?}, and expected {expected:?}"));
                }
            } else if let Some((prefix, _)) = NOT_OURS.iter().find(|(prefix, _)| our.is_none() && is_within(prefix)) {
                used.insert((*prefix).to_owned());
            } else if let Some((prefix, _)) = OURS_ALONE.iter().find(|(prefix, _)| their.is_none() && is_within(prefix))
            {
                used.insert((*prefix).to_owned());
            } else {
                wrong.push(format!("{name} {path}: {our:?}, and there {their:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((rebuilt, examples.len()), (21, 35));
    assert!(compared > 600, "{compared} values compared");
    let listed = NOT_OURS.iter().chain(&OURS_ALONE).map(|(path, _)| *path).chain(OTHERWISE.iter().map(|it| it.1));
    let idle: Vec<&str> = listed.filter(|path| !used.contains(*path)).collect();
    assert!(idle.is_empty(), "listed for nothing: {idle:?}");
}

/// The values of a document by their paths; one of several elements of a name is told by its place. An address is one
/// value, since its parts may stand on one line or on two.
fn values(root: Node<'_, '_>) -> BTreeMap<String, String> {
    fn gather(node: Node<'_, '_>, path: &str, into: &mut BTreeMap<String, String>) {
        let elements: Vec<Node<'_, '_>> = node.children().filter(|child| child.is_element()).collect();
        if elements.is_empty() {
            into.insert(path.to_owned(), node.text().unwrap_or_default().trim().to_owned());
        }
        for child in &elements {
            let name = child.tag_name().name();
            let alike: Vec<_> = elements.iter().filter(|it| it.tag_name().name() == name).collect();
            let place = alike.iter().position(|it| *it == child).unwrap_or_default();
            let place = if alike.len() > 1 { format!("[{place}]") } else { String::new() };
            match name {
                "AdresL2" => {
                    let line1 = format!("{path}/AdresL1");
                    let joined = format!("{}, {}", into[&line1], child.text().unwrap_or_default().trim());
                    into.insert(line1, joined);
                }
                _ => gather(*child, &format!("{path}/{name}{place}"), into),
            }
        }
    }
    let mut into = BTreeMap::new();
    gather(root, "", &mut into);
    into
}

fn is_same(ours: Option<&String>, theirs: Option<&String>) -> bool {
    let number = |text: &String| text.parse::<Decimal>().ok();
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            ours == theirs || number(ours).is_some_and(|it| ours.contains('.') && Some(it) == number(theirs))
        }
        (ours, theirs) => ours == theirs,
    }
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// What stands at the end of a path.
fn text<'a>(node: Node<'a, '_>, path: &str) -> Option<&'a str> {
    let found = path.split('/').try_fold(node, child)?;
    found.text().map(str::trim)
}

fn decimal(node: Node<'_, '_>, path: &str) -> Option<Decimal> {
    text(node, path).map(|text| text.parse().expect(path))
}

fn day(node: Node<'_, '_>, path: &str) -> Option<NaiveDate> {
    text(node, path).map(|text| text.parse().expect(path))
}

fn party(node: Node<'_, '_>) -> Party {
    let identity = child(node, "DaneIdentyfikacyjne").expect("an identity");
    let of = |name| text(identity, name).map(str::to_owned);
    let (tax_scheme, tax_country, tax_number) = if let Some(number) = of("NIP") {
        (TaxScheme::Nip, Some("PL".to_owned()), Some(number))
    } else if let Some(number) = of("NrVatUE") {
        (TaxScheme::EuVat, of("KodUE"), Some(number))
    } else if let Some(number) = of("NrID") {
        (TaxScheme::Other, of("KodKraju"), Some(number))
    } else {
        (TaxScheme::None, None, None)
    };
    let (line1, line2) = (text(node, "Adres/AdresL1").expect("an address"), text(node, "Adres/AdresL2"));
    let (line1, city) = line2.map_or_else(|| line1.rsplit_once(", ").expect("a city"), |city| (line1, city));
    let (postal_code, city) = match city.split_once(' ') {
        Some((code, city)) if code.starts_with(|it: char| it.is_ascii_digit()) => (Some(code.to_owned()), city),
        _ => (None, city),
    };
    let address = Address {
        line1: line1.to_owned(),
        line2: None,
        postal_code,
        city: city.to_owned(),
        country: text(node, "Adres/KodKraju").expect("a country").to_owned(),
    };
    Party { name: of("Nazwa").expect("a name"), tax_scheme, tax_country, tax_number, address: Some(address) }
}

fn line(row: Node<'_, '_>, basis: Option<&str>) -> (InvoiceLine, PriceMode) {
    let mode = if text(row, "P_11A").is_some() { PriceMode::Gross } else { PriceMode::Net };
    let (price, value) = match mode {
        PriceMode::Net => (decimal(row, "P_9A"), decimal(row, "P_11")),
        PriceMode::Gross => (decimal(row, "P_9B"), decimal(row, "P_11A")),
    };
    let value = value.expect("a value");
    // Without a price, or with one that is finer than ours, it is one unit at its value.
    let (quantity, unit_price) = match price.and_then(UnitPrice::new) {
        Some(price) => (decimal(row, "P_8B").expect("a quantity"), price),
        None => (Decimal::ONE, UnitPrice::new(value).expect("a price")),
    };
    let discount = decimal(row, "P_10").map(|it| it * Decimal::ONE_HUNDRED / unit_price.value());
    let price = Line {
        quantity: Quantity::new(quantity).expect("a quantity"),
        unit_price,
        discount_percent: discount.map(|it| Percent::new(it).expect("a percent")),
        vat: vat_code(text(row, "P_12").expect("a code")),
    };
    let exemption_basis = (price.vat == VatCode::Exempt).then(|| basis.expect("a basis").to_owned());
    let line = InvoiceLine {
        key: None,
        text: text(row, "P_7").expect("a text").to_owned(),
        quantity: price.quantity,
        unit: text(row, "P_8A").unwrap_or("szt.").to_owned(),
        unit_price,
        discount_percent: price.discount_percent,
        vat: LineVat { code: price.vat, exemption_basis },
        pkwiu: text(row, "PKWiU").map(str::to_owned),
        gtu: text(row, "GTU").map(str::to_owned),
        annex_15: text(row, "P_12_Zal_15").is_some(),
        net: line_net(&price, mode).expect("a net"),
    };
    (line, mode)
}

/// An example as our invoice.
fn case(root: Node<'_, '_>) -> Case {
    let body = child(root, "Fa").expect("a body");
    let (mut before, mut after, mut mode) = (Vec::new(), Vec::new(), PriceMode::Net);
    for row in body.children().filter(|node| node.tag_name().name() == "FaWiersz") {
        let position: i16 = text(row, "NrWierszaFa").expect("a number").parse().expect("a number");
        let (line, of_line) = line(row, text(body, "Adnotacje/Zwolnienie/P_19A"));
        mode = of_line;
        if text(row, "StanPrzed") == Some("1") { before.push((position, line)) } else { after.push((position, line)) }
    }
    let sums = |lines: &[(i16, InvoiceLine)]| {
        let price = |line: &InvoiceLine| Line {
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount_percent: line.discount_percent,
            vat: line.vat.code,
        };
        totals(&lines.iter().map(|(_, line)| price(line)).collect::<Vec<_>>(), mode).expect("sums")
    };
    let totals = sums(&after).minus(&sums(&before)).expect("sums");
    let currency: Currency = text(body, "KodWaluty").expect("a currency").parse().expect("a currency");
    let rate = body.children().find_map(|row| decimal(row, "KursWaluty")).and_then(ExchangeRate::new);
    let issued_on = day(body, "P_1").expect("a day");
    let corrected = child(body, "DaneFaKorygowanej");
    let invoiced_on = corrected.map_or(issued_on, |it| day(it, "DataWystFaKorygowanej").expect("a day"));
    let buyer = party(child(root, "Podmiot2").expect("a buyer"));
    let due_on = day(body, "Platnosc/TerminPlatnosci/Termin").unwrap_or(issued_on);
    let account = text(body, "Platnosc/RachunekBankowy/NrRB");
    let with_country = |number: &str| if number.len() == 26 { format!("PL{number}") } else { number.to_owned() };
    let invoice = Invoice {
        seller: party(child(root, "Podmiot1").expect("a seller")),
        buyer: buyer.clone(),
        issued_on,
        sold_on: day(body, "P_6").unwrap_or(invoiced_on),
        period: None,
        due_on,
        payment_term: PaymentTerm::On(due_on),
        currency,
        exchange_rate: rate.map(|rate| TableRate { rate, on: issued_on, source: "NBP".to_owned() }),
        price_mode: mode,
        payment_method: match text(body, "Platnosc/FormaPlatnosci") {
            Some("2") => PaymentMethod::Card,
            _ => PaymentMethod::Transfer,
        },
        bank_account: account.map(with_country),
        is_first_account: false,
        notes: text(root, "Stopka/Informacje/StopkaFaktury").map(str::to_owned),
        language: Language::Polish,
        lines: after.iter().map(|(_, line)| line.clone()).collect(),
        vat_pln: rate.map(|rate| totals.vat_in_pln(rate).expect("VAT in złoty")),
        totals,
        split_payment: text(body, "Adnotacje/P_18A") == Some("1"),
    };
    Case {
        number: text(body, "P_2").expect("a number").to_owned(),
        issued_at: text(root, "Naglowek/DataWytworzeniaFa").expect("a moment").parse().expect("a moment"),
        positions: after.iter().map(|(position, _)| *position).collect(),
        invoice,
        period: day(body, "OkresFa/P_6_Od").zip(day(body, "OkresFa/P_6_Do")),
        swift: text(body, "Platnosc/RachunekBankowy/SWIFT").map(str::to_owned),
        bank_name: text(body, "Platnosc/RachunekBankowy/NazwaBanku").map(str::to_owned),
        before: corrected.map(|it| Before {
            number: text(it, "NrFaKorygowanej").expect("a number").to_owned(),
            issued_on: invoiced_on,
            ksef_number: text(it, "NrKSeFFaKorygowanej").map(str::to_owned),
            reason: text(body, "PrzyczynaKorekty").expect("a reason").to_owned(),
            takes_effect: text(body, "TypKorekty").map(|kind| match kind {
                "1" => TakesEffect::WithInvoice,
                "2" => TakesEffect::WithCorrection,
                _ => TakesEffect::Otherwise,
            }),
            buyer: child(body, "Podmiot2K").map_or(buyer, party),
            lines: before,
        }),
        time: Vec::new(),
    }
}
