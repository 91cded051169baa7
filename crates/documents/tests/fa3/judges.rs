//! The check in the program judges as `xmllint` does by the schema, and by what the schema does not hold.

use crate::{documents, examples_folder, faulty_folder, passed_by_xmllint};
use opiekun_documents::fa3::{BrokenRule, Fa3Error, check};
use opiekun_domain::e_invoice::{COUNTRIES, CURRENCIES};

/// What is wrong only in what it says: the schema passes it.
const WRONG_IN_MEANING: [(&str, BrokenRule); 6] = [
    ("05-jst1-without-podmiot3", BrokenRule::LocalGovernment),
    ("17-gv1-without-podmiot3", BrokenRule::VatGroup),
    ("21-wrong-tax-calculation", BrokenRule::Vat("P_14_1")),
    ("23-missing-bank-account-validation", BrokenRule::Account),
    ("24-duplicate-line-numbers", BrokenRule::LineNumber),
    ("25-negative-quantities", BrokenRule::NegativeQuantity),
];

fn passes_schema(document: &[u8]) -> bool {
    !matches!(check(document), Err(Fa3Error::Schema(_) | Fa3Error::Rule(BrokenRule::Encoding)))
}

#[test]
fn the_official_examples_pass() {
    let examples = documents(&examples_folder());
    assert_eq!(examples.len(), 35);
    for (name, document) in &examples {
        assert_eq!(check(document), Ok(()), "{name}");
    }
    let contents: Vec<Vec<u8>> = examples.into_iter().map(|(_, document)| document).collect();
    assert!(passed_by_xmllint("examples", &contents).into_iter().all(|passed| passed));
}

#[test]
fn faulty_documents_are_refused() {
    let faulty = documents(&faulty_folder());
    assert_eq!(faulty.len(), 25);
    let contents: Vec<Vec<u8>> = faulty.iter().map(|(_, document)| document.clone()).collect();
    let verdicts = passed_by_xmllint("faulty", &contents);
    for ((name, document), is_passed) in faulty.iter().zip(verdicts) {
        let rule = WRONG_IN_MEANING.iter().find(|(it, _)| it == name).map(|(_, rule)| rule.clone());
        assert_eq!(is_passed, rule.is_some(), "{name}");
        match rule {
            Some(rule) => assert_eq!(check(document), Err(Fa3Error::Rule(rule)), "{name}"),
            None => assert!(!passes_schema(document), "{name}: {:?}", check(document)),
        }
    }
}

#[test]
fn what_the_schema_does_not_hold_is_refused() {
    let (_, good) = documents(&examples_folder()).into_iter().find(|(name, _)| name.starts_with("syn-01")).expect("it");
    let good = String::from_utf8(good).expect("a text");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        check(good.replacen(from, to, 1).as_bytes())
    };
    let broken = |rule| Err(Fa3Error::Rule(rule));
    assert_eq!(with("<?xml", "\u{feff}<?xml"), broken(BrokenRule::ByteOrderMark));
    assert_eq!(with("<Naglowek>", "<?style x?><Naglowek>"), broken(BrokenRule::ProcessingInstruction));
    assert_eq!(with("Dodatkowy użytkownik", "Dodatkowy \u{fdd3}"), broken(BrokenRule::Character));
    assert_eq!(with("Dodatkowy użytkownik", "Dodatkowy &#x86;"), broken(BrokenRule::Character));
    assert_eq!(with("<NIP>6380000008", "<NIP>6380000009"), broken(BrokenRule::Nip));
    assert_eq!(with("<NIP>5210000003", "<NIP>5210000004"), broken(BrokenRule::Nip));
    let union = "<KodUE>PL</KodUE><NrVatUE>6380000008</NrVatUE>";
    assert_eq!(with("<NIP>6380000008</NIP>", union), broken(BrokenRule::PolishVatNumber));
    assert_eq!(with("<NrWierszaFa>1", "<NrWierszaFa>2"), broken(BrokenRule::LineNumber));
    assert_eq!(with("<P_15>392.00", "<P_15>392.02"), broken(BrokenRule::Total));
    assert_eq!(
        with("<NrRB>10105000997603123456789123", "<NrRB>10105000997603123456789124"),
        broken(BrokenRule::Account)
    );
    let many = format!("<!--{}-->", "x".repeat(1_000_000));
    assert_eq!(with("<Naglowek>", &format!("{many}<Naglowek>")), broken(BrokenRule::Size));
    assert_eq!(check(b"\xff<Faktura/>"), broken(BrokenRule::Encoding));
}

/// The words that the rules of the issue know are those of the schema.
#[test]
fn currencies_and_countries_are_those_of_the_schema() {
    let words = |file: &str, name: &str| {
        let path = format!("{}/src/fa3/schema/{file}.xsd", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a schema");
        let schema = roxmltree::Document::parse(&text).expect("XML");
        let of_type = schema.descendants().find(|node| node.attribute("name") == Some(name)).expect("the type");
        let words = of_type.descendants().filter(|node| node.tag_name().name() == "enumeration");
        let mut words: Vec<String> = words.map(|node| node.attribute("value").expect("a word").to_owned()).collect();
        words.sort();
        words
    };
    assert_eq!(words("schemat_FA3_v1-0E", "TKodWaluty"), CURRENCIES);
    assert_eq!(words("KodyKrajow_v10-0E", "TKodKraju"), COUNTRIES);
}

/// Each element of some examples left out, and each text replaced: what the program holds is the published schema.
#[test]
fn the_schema_in_the_program_judges_as_the_published_one() {
    let chosen = ["syn-01", "syn-03", "syn-10", "syn-11", "fa3-przyklad-04", "fa3-przyklad-05", "fa3-przyklad-23"];
    let mut changed = Vec::new();
    for (name, document) in documents(&examples_folder()) {
        if !chosen.iter().any(|chosen| name.starts_with(chosen)) {
            continue;
        }
        let text = String::from_utf8(document).expect("a text");
        let tree = roxmltree::Document::parse(&text).expect("XML");
        // REGON is a union, which the validator takes for any text; no document of ours has it.
        for node in tree.descendants().filter(|node| node.is_element() && node.tag_name().name() != "REGON") {
            let range = node.range();
            let mut push = |what: &str, parts: &[&str]| {
                changed.push((format!("{name} {} {what}", node.tag_name().name()), parts.concat().into_bytes()));
            };
            push("left out", &[&text[..range.start], &text[range.end..]]);
            push("twice", &[&text[..range.end], &text[range.clone()], &text[range.end..]]);
            if let Some(content) = node.first_child().filter(|child| child.is_text()) {
                for other in ["x", "-1", "1.234", "2026-02-30"] {
                    let range = content.range();
                    push(other, &[&text[..range.start], other, &text[range.end..]]);
                }
            }
        }
    }
    assert!(changed.len() > 2000, "{}", changed.len());
    let contents: Vec<Vec<u8>> = changed.iter().map(|(_, document)| document.clone()).collect();
    let verdicts = passed_by_xmllint("changed", &contents);
    let differs: Vec<String> = changed
        .iter()
        .zip(verdicts)
        .filter(|((_, document), is_passed)| passes_schema(document) != *is_passed)
        .map(|((what, document), is_passed)| format!("{what}: {is_passed}, and here {:?}", check(document)))
        .collect();
    assert!(differs.is_empty(), "{} of {} differ: {differs:#?}", differs.len(), changed.len());
}
