//! Every kind × VAT code × currency × price mode × buyer, and random ones, against the schema.

use crate::case::{Case, any_case, corrected, currency, day, draft, issued, line, party};
use crate::passed_by_xmllint;
use opiekun_documents::fa3;
use opiekun_domain::billing::{LineVat, Refusal};
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Percent;
use opiekun_domain::e_invoice::{BilledEntry, CURRENCIES, Inexpressible};
use opiekun_domain::invoice::PriceMode;
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm};
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};
use std::time::Instant;

/// Invoices and their corrections of every code, in several currencies, both price modes, to buyers of every kind.
fn of_every_kind() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in VatCode::ALL {
        for currency in ["PLN", "EUR", "USD", "GBP"].map(currency) {
            for mode in [PriceMode::Net, PriceMode::Gross] {
                for scheme in TaxScheme::ALL {
                    let discounted = DraftLine {
                        discount_percent: Some("12.55".parse::<Percent>().expect("a percent")),
                        pkwiu: Some("69.20.23.0".to_owned()),
                        gtu: Some("GTU_12".to_owned()),
                        annex_15: true,
                        ..line(*code, "2.5", "8333.3333")
                    };
                    let lines = vec![line(*code, "1", "450"), discounted];
                    let invoice = draft(currency, mode, lines.clone());
                    let buyer = party("Piekarnia Złoty Kłos", Some(*scheme));
                    let mut case = issued(invoice.clone(), &buyer).expect("an invoice");
                    case.period = Some((day("2026-11-01"), day("2026-11-30")));
                    let to_zero =
                        lines.iter().map(|line| DraftLine { quantity: "0".parse().expect("0"), ..line.clone() });
                    let to_zero = InvoiceDraft { lines: to_zero.collect(), ..invoice.clone() };
                    let renamed = party("Piekarnia Złoty Kłos sp. z o.o.", Some(*scheme));
                    cases.push(corrected(&case, to_zero, vec![1, 2], &buyer).expect("a correction"));
                    let mut without = corrected(&case, InvoiceDraft { lines: vec![], ..invoice }, vec![], &renamed)
                        .expect("a correction");
                    if let Some(before) = &mut without.before {
                        before.takes_effect = Some(TakesEffect::WithCorrection);
                        before.ksef_number = Some("5265877635-20250826-0100001AF629-AF".to_owned());
                    }
                    cases.push(without);
                    cases.push(case);
                }
            }
        }
    }
    cases
}

#[test]
#[ignore = "a measurement"]
fn documents_a_second() {
    let cases = of_every_kind();
    cases[0].document().expect("a document");
    let began = Instant::now();
    let bytes: usize = cases.iter().map(|case| case.document().expect("a document").len()).sum();
    let milliseconds = began.elapsed().as_millis();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let (count, size) = (cases.len(), bytes / cases.len());
    let rate = count as u128 * 1000 / milliseconds;
    println!("{count} documents of {size} bytes, {rate} a second on one core, {build} build");
}

#[test]
fn every_kind_code_currency_and_buyer_passes() {
    let cases = of_every_kind();
    assert_eq!(cases.len(), 10 * 4 * 2 * 4 * 3);
    let documents: Vec<Vec<u8>> =
        cases.iter().map(|case| case.document().unwrap_or_else(|error| panic!("{error}: {case:#?}"))).collect();
    let failed: Vec<&Case> =
        cases.iter().zip(passed_by_xmllint("kinds", &documents)).filter(|(_, it)| !it).map(|(case, _)| case).collect();
    assert!(failed.is_empty(), "{} of {}, first {:#?}", failed.len(), cases.len(), failed[0]);
}

#[test]
fn a_thousand_random_invoices_pass() {
    let seed = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let (cases, mut corrections) = (any_case(), 0);
    let mut documents = Vec::new();
    let mut drawn = 0;
    while documents.len() < 1000 {
        drawn += 1;
        if let Some(case) = cases.new_tree(&mut runner).expect("a case").current() {
            corrections += usize::from(case.before.is_some());
            documents.push(case.document().unwrap_or_else(|error| panic!("{error}: {case:#?}")));
        }
    }
    assert!(corrections > 200 && drawn < 3000, "{corrections} corrections, {drawn} drawn");
    let verdicts = passed_by_xmllint("random", &documents);
    let failed = documents.iter().zip(verdicts).find(|(_, passed)| !passed);
    assert!(failed.is_none(), "{}", String::from_utf8_lossy(failed.expect("one").0));
}

proptest! {
    #![proptest_config(Config::with_cases(1000))]

    #[test]
    fn whatever_is_issued_is_told_and_always_the_same(case in any_case()) {
        if let Some(case) = case {
            let document = case.document();
            prop_assert!(document.is_ok(), "{:?}", document);
            prop_assert_eq!(document, case.document());
        }
    }
}

#[test]
fn every_currency_is_told_or_refused_at_the_issue() {
    let mut refused = Vec::new();
    for code in (0..26 * 26 * 26_u32).map(|index| [index / 676, index / 26 % 26, index % 26]) {
        let letters: String =
            code.into_iter().map(|it| char::from(b'A' + u8::try_from(it).expect("a letter"))).collect();
        let Ok(currency) = letters.parse::<Currency>() else { continue };
        let invoice = draft(currency, PriceMode::Net, vec![line(VatCode::Percent23, "1", "100")]);
        match issued(invoice, &party("x", Some(TaxScheme::Nip))) {
            Ok(case) => drop(case.document().expect("a document")),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Inexpressible(Inexpressible::CurrencyUnknown));
                refused.push(letters);
            }
        }
    }
    assert!(refused.iter().all(|code| !CURRENCIES.contains(&code.as_str())));
    assert_eq!(refused, ["SLE", "VED", "XAD", "ZWG"]);
}

#[test]
fn what_cannot_be_told_is_refused_at_the_issue_with_the_field_named() {
    let ordinary = || draft(Currency::PLN, PriceMode::Net, vec![line(VatCode::Percent23, "1", "100")]);
    let buyer = || party("Piekarnia", Some(TaxScheme::Nip));
    let refused = |draft: InvoiceDraft, buyer: &opiekun_domain::billing::Party| match issued(draft, buyer) {
        Err(Refusal::Inexpressible(problem)) => format!("{} {}", problem.pointer(), problem.code()),
        other => panic!("{other:?}"),
    };
    let with_line = |line: DraftLine| {
        let mut draft = ordinary();
        draft.lines.push(line);
        refused(draft, &buyer())
    };
    let plain = || line(VatCode::Percent23, "1", "1");
    assert_eq!(with_line(DraftLine { text: " \t".to_owned(), ..plain() }), "/lines/1/text line_text_unprintable");
    assert_eq!(with_line(DraftLine { text: "x\u{8}".to_owned(), ..plain() }), "/lines/1/text line_text_unprintable");
    assert_eq!(with_line(DraftLine { unit: "\u{fdd0}".to_owned(), ..plain() }), "/lines/1/unit line_unit_unprintable");
    assert_eq!(with_line(line(VatCode::Percent23, "-0.5", "1")), "/lines/1/quantity line_quantity_negative");
    let exempt = |basis: &str| DraftLine {
        vat: LineVat { code: VatCode::Exempt, exemption_basis: Some(basis.to_owned()) },
        ..plain()
    };
    assert_eq!(with_line(exempt(" ")), "/lines/1/vat/exemption_basis exemption_basis_unprintable");
    let mut two_bases = ordinary();
    two_bases.lines = vec![exempt(&"a".repeat(127)), exempt(&"b".repeat(127)), exempt(&"b".repeat(127))];
    assert!(issued(two_bases.clone(), &buyer()).is_ok());
    two_bases.lines.push(exempt("c"));
    assert_eq!(refused(two_bases, &buyer()), "/lines exemption_basis_too_long");

    let mut account = ordinary();
    account.bank_account = Some("PL61109010140000071219812875".to_owned());
    assert_eq!(refused(account, &buyer()), "/bank_account bank_account_invalid");
    let mut notes = ordinary();
    notes.notes = Some("\u{1fffe}".to_owned());
    assert_eq!(refused(notes, &buyer()), "/notes notes_unprintable");
    let mut sold = ordinary();
    sold.sold_on = Some(day("2005-12-31"));
    assert_eq!(refused(sold, &buyer()), "/sold_on sold_on_out_of_range");
    let mut due = ordinary();
    due.payment_term = PaymentTerm::On(day("2050-01-02"));
    assert_eq!(refused(due, &buyer()), "/due_on due_on_out_of_range");

    let of_buyer = |change: fn(&mut opiekun_domain::billing::Party)| {
        let mut buyer = buyer();
        change(&mut buyer);
        refused(ordinary(), &buyer)
    };
    assert_eq!(of_buyer(|it| it.name = "\u{7f}".to_owned()), "/buyer/name buyer_name_unprintable");
    assert_eq!(
        of_buyer(|it| it.address.as_mut().expect("one").country = "ZZ".to_owned()),
        "/buyer/address/country buyer_country_unknown"
    );
    assert_eq!(
        of_buyer(|it| it.address.as_mut().expect("one").city = " ".to_owned()),
        "/buyer/address buyer_address_unprintable"
    );
    assert_eq!(of_buyer(|it| it.tax_number = Some("5261040827".to_owned())), "/buyer/tax_id/number buyer_nip_invalid");
    // The check digit matches, and yet no tax office gave it: FA(3) takes none that goes on with 00.
    assert_eq!(of_buyer(|it| it.tax_number = Some("1000000001".to_owned())), "/buyer/tax_id/number buyer_nip_invalid");
    assert_eq!(of_buyer(|it| it.tax_scheme = TaxScheme::Other), "/buyer/tax_id/scheme buyer_nip_elsewhere");
    assert_eq!(
        of_buyer(|it| (it.tax_scheme, it.tax_country) = (TaxScheme::Other, Some("ZZ".to_owned()))),
        "/buyer/tax_id/country buyer_tax_country_unknown"
    );
}

#[test]
fn a_correction_that_cannot_be_told_is_refused_too() {
    let invoice = || draft(Currency::PLN, PriceMode::Net, vec![line(VatCode::Percent23, "1", "100")]);
    let buyer = party("Piekarnia", Some(TaxScheme::Nip));
    let case = issued(invoice(), &buyer).expect("an invoice");
    let mut other = buyer.clone();
    other.tax_number = Some("1111111111".to_owned());
    let fa3::Fa3Error::Inexpressible(problem) =
        corrected(&case, invoice(), vec![1], &other).expect("a correction").document().expect_err("a refusal")
    else {
        panic!("another refusal")
    };
    assert_eq!((problem.pointer().as_str(), problem.code()), ("/buyer/tax_id", "buyer_nip_corrected"));
    let with_reason = |reason: &str| {
        let mut correction = corrected(&case, invoice(), vec![1], &buyer).expect("a correction");
        correction.before.as_mut().expect("what was").reason = reason.to_owned();
        correction.document()
    };
    assert_eq!(with_reason(&"ą".repeat(256)).map(drop), Ok(()));
    assert_eq!(with_reason(&"ą".repeat(257)), Err(Inexpressible::ReasonLength.into()));
    assert_eq!(with_reason("\n"), Err(Inexpressible::Reason.into()));
    // Who had no NIP may get one.
    let private = issued(invoice(), &party("Anna", None)).expect("an invoice");
    assert!(corrected(&private, invoice(), vec![1], &buyer).expect("a correction").document().is_ok());
}

#[test]
fn the_time_behind_a_line_is_listed_or_summed_where_it_is_too_much() {
    let mut case =
        issued(draft(Currency::PLN, PriceMode::Net, vec![line(VatCode::Percent23, "1", "112.50")]), &party("x", None))
            .expect("an invoice");
    let entry = |text| {
        (
            1,
            BilledEntry {
                started_on: day("2026-11-02"),
                operator_name: "Jan Kowalski",
                text: Some(text),
                billed_minutes: 45,
                rate: "150.00".parse().expect("a rate"),
                cost: "112.50".parse().expect("an amount"),
            },
        )
    };
    let shown = |case: &Case| String::from_utf8(case.document().expect("a document")).expect("a text");
    case.time = vec![entry("Faktury\n\u{7} z października")];
    assert!(shown(&case).contains(
        "<DodatkowyOpis><NrWiersza>1</NrWiersza><Klucz>2026-11-02 Jan Kowalski</Klucz>\
         <Wartosc>45 min × 150.00 = 112.50 PLN: Faktury z października</Wartosc></DodatkowyOpis>"
    ));
    const LONG: &str =
        "&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&";
    case.time = vec![entry(LONG); 3000];
    let summed = shown(&case);
    assert!(summed.contains("<Wartosc>3000 pozycji, razem 2250 h 0 min</Wartosc>") && summed.len() < 10_000);
}
