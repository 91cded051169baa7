//! Invoices of every kind are set, and looked at by programs that read PDFs and QR codes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chrono::NaiveDate;
use opiekun_documents::invoice_page::{Attached, Correction, Invoice, Look};
use opiekun_documents::qr::{self, QrCode, Transfer};
use opiekun_domain::address::Address;
use opiekun_domain::billing::{InvoiceLine, LineVat, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
use opiekun_domain::e_invoice::BilledEntry;
use opiekun_domain::invoice::{
    InvoiceKind, Line, PaymentMethod, PriceMode, TableRate, Totals, VatSum, line_net, totals,
};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use opiekun_typesetting::{FileName, Job};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn seller() -> Party {
    Party {
        name: "Księgowość Żółta Łąka sp. z o.o.".to_owned(),
        tax_scheme: TaxScheme::Nip,
        tax_country: Some("PL".to_owned()),
        tax_number: Some("5252248481".to_owned()),
        address: Some(Address {
            line1: "ul. Świętokrzyska 18/4".to_owned(),
            line2: None,
            postal_code: Some("00-052".to_owned()),
            city: "Warszawa".to_owned(),
            country: "PL".to_owned(),
        }),
    }
}

fn polish_buyer() -> Party {
    Party {
        name: "Przedsiębiorstwo Budowlane „Jaźwiński i Synowie” S.K.A.".to_owned(),
        tax_number: Some("6760101416".to_owned()),
        address: Some(Address {
            line1: "ul. Wańkowicza 7, lok. 12".to_owned(),
            line2: None,
            postal_code: Some("31-751".to_owned()),
            city: "Kraków".to_owned(),
            country: "PL".to_owned(),
        }),
        ..seller()
    }
}

fn german_buyer() -> Party {
    Party {
        name: "Müller & Söhne Großhandel GmbH".to_owned(),
        tax_scheme: TaxScheme::EuVat,
        tax_country: Some("DE".to_owned()),
        tax_number: Some("811907980".to_owned()),
        address: Some(Address {
            line1: "Karl-Marx-Straße 12".to_owned(),
            line2: Some("2. Hof".to_owned()),
            postal_code: Some("10115".to_owned()),
            city: "Berlin".to_owned(),
            country: "DE".to_owned(),
        }),
    }
}

/// A line of text, quantity, unit, unit price and VAT code.
fn line((text, quantity, unit, unit_price, code): (&str, &str, &str, &str, VatCode), mode: PriceMode) -> InvoiceLine {
    let price = Line {
        quantity: quantity.parse().unwrap(),
        unit_price: unit_price.parse().unwrap(),
        discount_percent: None,
        vat: code,
    };
    InvoiceLine {
        key: None,
        text: text.to_owned(),
        quantity: price.quantity,
        unit: unit.to_owned(),
        unit_price: price.unit_price,
        discount_percent: None,
        vat: LineVat { code, exemption_basis: None },
        pkwiu: None,
        gtu: None,
        annex_15: false,
        net: line_net(&price, mode).unwrap(),
    }
}

fn ordinary_lines(mode: PriceMode) -> Vec<InvoiceLine> {
    let lines = [
        ("Prowadzenie ksiąg rachunkowych, listopad 2026", "1", "usł.", "1850.00", VatCode::Percent23),
        ("Obsługa kadrowo-płacowa, 14 pracowników", "14", "os.", "55.00", VatCode::Percent23),
        ("Wdrożenie KSeF: konfiguracja uprawnień i szkolenie", "6.5", "godz.", "240.00", VatCode::Percent23),
        ("Książka „VAT w budownictwie. Przewodnik”", "3", "szt.", "89.00", VatCode::Percent5),
        ("Posiłki podczas szkolenia", "12", "szt.", "28.50", VatCode::Percent8),
        ("Opłata skarbowa od pełnomocnictwa UPL-1", "2", "szt.", "17.00", VatCode::OutsidePoland),
    ];
    lines.into_iter().map(|it| line(it, mode)).collect()
}

fn totals_of(lines: &[InvoiceLine], mode: PriceMode) -> Totals {
    let prices: Vec<Line> = lines
        .iter()
        .map(|line| Line {
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount_percent: line.discount_percent,
            vat: line.vat.code,
        })
        .collect();
    totals(&prices, mode).unwrap()
}

const ACCOUNT: &str = "PL61109010140000071219812874";

/// An invoice over lines, of November 2026, in złoty and at net prices.
struct Paper {
    seller: Party,
    buyer: Party,
    lines: Vec<InvoiceLine>,
    totals: Totals,
    vat_sums: Vec<VatSum>,
    vat_pln: Option<Amount>,
    mode: PriceMode,
    currency: Currency,
}

impl Paper {
    fn of(lines: Vec<InvoiceLine>, mode: PriceMode) -> Self {
        let totals = totals_of(&lines, mode);
        let vat_sums = VatSum::all(&totals, None);
        Self {
            seller: seller(),
            buyer: polish_buyer(),
            lines,
            totals,
            vat_sums,
            vat_pln: None,
            mode,
            currency: Currency::PLN,
        }
    }

    fn ordinary() -> Self {
        Self::of(ordinary_lines(PriceMode::Net), PriceMode::Net)
    }

    /// In another currency, with its VAT in złoty.
    fn in_currency(mut self, code: &str, rate: &TableRate) -> Self {
        self.currency = code.parse().unwrap();
        let vat_pln = self.totals.vat_in_pln(rate.rate).unwrap();
        self.vat_sums = VatSum::all(&self.totals, Some(&vat_pln));
        self.vat_pln = Some(vat_pln.sum);
        self
    }

    fn invoice(&self) -> Invoice<'_> {
        Invoice {
            kind: InvoiceKind::Invoice,
            is_draft: false,
            number: Some("FV 2026/11/0147"),
            language: Language::Polish,
            issued_on: Some(day("2026-11-20")),
            dated_on: day("2026-11-20"),
            sold_on: Some(day("2026-11-20")),
            period: Some((day("2026-11-01"), day("2026-11-30"))),
            due_on: Some(day("2026-12-04")),
            seller: &self.seller,
            buyer: &self.buyer,
            currency: self.currency,
            price_mode: self.mode,
            lines: &self.lines,
            vat_totals: &self.vat_sums,
            net: self.totals.net,
            vat: self.totals.vat,
            gross: self.totals.gross,
            vat_pln: self.vat_pln,
            exchange_rate: None,
            split_payment: false,
            payment_method: PaymentMethod::Transfer,
            bank_account: Some(ACCOUNT),
            bank_name: Some("Bank Przykładowy S.A."),
            notes: Some(
                "Dziękujemy za terminowe wpłaty.\nPytania o fakturę: faktury@zolta-laka.example, tel. 22 555 01 47.",
            ),
            correction: None,
            time: &[],
        }
    }
}

const LOOK: Look<'_> = Look { color: "#0f5c4d", footer: None, logo: Some("/logo.svg"), is_bilingual: false };

const KSEF_NUMBER: &str = "5252248481-20261120-0A5C81B2F73E-4D";

fn verification_code() -> QrCode {
    qr::verification("qr.ksef.mf.gov.pl", "5252248481", day("2026-11-20"), &[0xa5; 32])
}

fn payment_code(invoice: &Invoice<'_>) -> Option<QrCode> {
    let transfer = Transfer {
        name: &invoice.seller.name,
        nip: invoice.seller.tax_number.as_deref(),
        iban: invoice.bank_account?,
        amount: invoice.gross,
        currency: invoice.currency,
        title: invoice.number?,
    };
    if invoice.split_payment { None } else { qr::payment(&transfer) }
}

/// With logo, both codes and the structured invoice.
fn job(invoice: &Invoice<'_>, look: Look<'_>) -> Job {
    let payment = payment_code(invoice).map(|code| code.svg().unwrap());
    let mut files = vec![
        (FileName::LogoSvg, include_bytes!("logo.svg").to_vec()),
        (FileName::VerificationCode, verification_code().svg().unwrap().into_bytes()),
        (FileName::EInvoice, b"<Faktura/>".to_vec()),
    ];
    let attached = Attached {
        payment_code: payment.as_ref().map(|_| FileName::PaymentCode.path()),
        verification: Some((FileName::VerificationCode.path(), KSEF_NUMBER)),
        e_invoice: Some(FileName::EInvoice.path()),
    };
    files.extend(payment.map(|svg| (FileName::PaymentCode, svg.into_bytes())));
    let data = invoice.data(look, attached).unwrap();
    Job { layout: None, ident: "0192f0c6-3333-7000-8000-000000000003".to_owned(), data, files }
}

/// A PDF in a file of its own, which stays to be looked at.
struct Set {
    path: PathBuf,
}

impl Set {
    fn new(name: &str, job: Job) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("pdf");
        let pdf = opiekun_typst::set(job).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.7"));
        fs::write(&path, pdf).unwrap();
        Self { path }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let path = self.path.to_str().unwrap();
        let arguments = arguments.iter().map(|it| it.replace("{}", path));
        let output =
            Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Page by page, each on lines as it is read.
    fn pages(&self) -> Vec<String> {
        let text = self.run("pdftotext", &["-layout", "{}", "-"]);
        let text = text.strip_suffix('\u{c}').unwrap().replace(['\u{202f}', '\u{a0}'], " ");
        text.split('\u{c}').map(str::to_owned).collect()
    }

    /// All of it, as it lies on the pages and then as it is read.
    fn text(&self) -> String {
        let read = self.run("pdftotext", &["{}", "-"]);
        let read: Vec<&str> = read.split_whitespace().collect();
        format!("{}\n{}", self.pages().join("\n"), read.join(" "))
    }

    /// What the QR codes of all pages say, line by line.
    fn codes(&self) -> Vec<String> {
        let image = self.path.with_extension("");
        self.run("pdftoppm", &["-r", "150", "-png", "{}", image.to_str().unwrap()]);
        let is_page = |path: &PathBuf| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let stem = self.path.file_stem().unwrap().to_str().unwrap();
            path.extension().is_some_and(|it| it == "png")
                && name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('-') && !rest[1..].contains('-'))
        };
        let beside = fs::read_dir(self.path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let mut codes = Vec::new();
        for page in beside.filter(is_page) {
            let read = Command::new("zbarimg")
                .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
                .arg(page)
                .output()
                .expect("zbarimg");
            // 4 of a page without any.
            assert!(matches!(read.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&read.stderr));
            codes.extend(String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned));
        }
        codes.sort();
        codes
    }
}

#[track_caller]
fn assert_says(text: &str, all: &[&str]) {
    let missing: Vec<_> = all.iter().filter(|it| !text.contains(**it)).collect();
    assert!(missing.is_empty(), "{missing:#?} is missing in\n{text}");
}

#[test]
fn an_ordinary_invoice() {
    let paper = Paper::ordinary();
    let invoice = paper.invoice();
    let set = Set::new("ordinary", job(&invoice, LOOK));
    let pages = set.pages();
    assert_eq!(pages.len(), 1);
    assert_says(
        &pages[0],
        &[
            "Faktura VAT",
            "FV 2026/11/0147",
            "20.11.2026",
            "04.12.2026",
            "01.11.2026 – 30.11.2026",
            "Księgowość Żółta Łąka sp. z o.o.",
            "525-224-84-81",
            "676-010-14-16",
            "31-751 Kraków",
            "ul. Świętokrzyska 18/4",
            "1 850,00",
            "425,50",
            "2 275,50",
            "6,5",
            "1 918,80",
            "369,36",
            "4 823,00",
            "1 002,11",
            "5 825,11",
            "pięć tysięcy osiemset dwadzieścia",
            "jedenaście groszy",
            "61 1090 1014 0000",
            "Bank Przykładowy S.A.",
            KSEF_NUMBER,
            "Dziękujemy za terminowe wpłaty.",
            "Strona 1 / 1",
        ],
    );
    assert!(!pages[0].contains("przeniesienia"), "{}", pages[0]);
    let mut codes = [payment_code(&invoice).unwrap().text, verification_code().text];
    codes.sort();
    assert_eq!(set.codes(), codes);
    assert_says(&set.run("pdfdetach", &["-list", "{}"]), &["1 embedded files", "faktura.xml"]);
}

#[test]
fn it_says_that_it_is_an_archives_form_and_holds_what_that_needs() {
    let paper = Paper::ordinary();
    let set = Set::new("archive", job(&paper.invoice(), LOOK));
    let pdf = fs::read(&set.path).unwrap();
    // The metadata and the catalogue of PDF/A are never compressed.
    assert_says(
        &String::from_utf8_lossy(&pdf),
        &[
            "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance>",
            "/S/GTS_PDFA1",
            "/AFRelationship/Source",
            "/StructTreeRoot",
            "/Lang(pl)",
            "<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">Faktura VAT FV 2026/11/0147",
        ],
    );
    let fonts = set.run("pdffonts", &["{}"]);
    let fonts: Vec<&str> = fonts.lines().skip(2).collect();
    assert!(
        !fonts.is_empty() && fonts.iter().all(|font| font.contains("Lato") && font.contains("yes yes yes")),
        "{fonts:?}"
    );
}

#[test]
fn a_long_invoice_carries_its_sums_from_page_to_page() {
    let lines: Vec<InvoiceLine> = (1..=120)
        .map(|no| {
            let text = format!(
                "Usługa numer {no}: {}",
                if no % 7 == 0 { "opracowanie zestawień i uzgodnień sald z kontrahentami" } else { "obsługa" }
            );
            let price = format!("{}.{:02}", 10 + no * 3, no % 100);
            let code = if no % 5 == 0 { VatCode::Percent8 } else { VatCode::Percent23 };
            line((&text, "1.5", "godz.", &price, code), PriceMode::Net)
        })
        .collect();
    let paper = Paper::of(lines, PriceMode::Net);
    let invoice = paper.invoice();
    let set = Set::new("long", job(&invoice, LOOK));
    let pages = set.pages();
    assert!(pages.len() >= 4, "{} pages", pages.len());
    let text = pages.join("\n");
    for no in 1..=120 {
        assert!(text.contains(&format!("Usługa numer {no}:")), "line {no} is missing");
    }
    // What one page carries over, the next one brings forward, and it is what the lines up to there come to.
    let sums_of = |page: &str, words: &str| {
        let row = page.lines().find_map(|row| row.trim().strip_prefix(words).map(str::trim).map(str::to_owned));
        row.map(|row| row.split("  ").map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect::<Vec<_>>())
    };
    let mut so_far = 0;
    for (page, next) in pages.iter().zip(&pages[1..]) {
        let Some(carried) = sums_of(page, "Do przeniesienia") else { break };
        assert_eq!(sums_of(next, "Z przeniesienia"), Some(carried.clone()));
        so_far += page.matches("Usługa numer").count();
        let net: rust_decimal::Decimal = paper.lines[..so_far].iter().map(|line| line.net.value()).sum();
        assert_eq!(carried[0].replace(' ', "").replace(',', "."), Amount::new(net).unwrap().to_string());
    }
    assert!(so_far > 80, "{so_far} lines were carried over");
    assert!(!pages.last().unwrap().contains("Do przeniesienia"));
    assert!(!pages[0].contains("Z przeniesienia"));
}

#[test]
fn a_correction_shows_before_and_after() {
    let before = ordinary_lines(PriceMode::Net);
    let mut after = before.clone();
    after[1] =
        line(("Obsługa kadrowo-płacowa, 12 pracowników", "12", "os.", "55.00", VatCode::Percent23), PriceMode::Net);
    let mut paper = Paper::of(after, PriceMode::Net);
    paper.totals = paper.totals.minus(&totals_of(&before, PriceMode::Net)).unwrap();
    paper.vat_sums = VatSum::all(&paper.totals, None);
    let buyer = Party { name: "Przedsiębiorstwo Budowlane Jaźwiński S.K.A.".to_owned(), ..polish_buyer() };
    let correction = Correction {
        number: "FV 2026/11/0147",
        issued_on: Some(day("2026-11-20")),
        reason: "Omyłkowo podana liczba pracowników",
        buyer: &buyer,
        lines: &before,
    };
    let invoice = Invoice {
        kind: InvoiceKind::Correction,
        number: Some("FK 2026/11/0003"),
        correction: Some(correction),
        ..paper.invoice()
    };
    let set = Set::new("correction", job(&invoice, LOOK));
    assert_says(
        &set.text(),
        &[
            "Faktura korygująca",
            "FK 2026/11/0003",
            "Koryguje fakturę FV 2026/11/0147 z dnia 20.11.2026",
            "Omyłkowo podana liczba pracowników",
            "PRZED KOREKTĄ",
            "PO KOREKCIE",
            "14 pracowników",
            "12 pracowników",
            "770,00",
            "660,00",
            "−110,00",
            "−25,30",
            "−135,30",
            "DO ZWROTU",
            "135,30",
            "sto trzydzieści pięć złotych trzydzieści groszy",
            "Przedsiębiorstwo Budowlane Jaźwiński S.K.A.",
        ],
    );
    // Nobody pays what is given back.
    assert_eq!(set.codes(), [verification_code().text]);
}

fn table() -> TableRate {
    TableRate { rate: "4.2731".parse().unwrap(), on: day("2026-11-19"), source: "NBP 224/A/NBP/2026".to_owned() }
}

#[test]
fn an_invoice_in_another_currency_tells_its_vat_in_złoty() {
    let table = table();
    let mut paper = Paper::ordinary().in_currency("EUR", &table);
    paper.buyer = german_buyer();
    let invoice = Invoice { exchange_rate: Some(&table), ..paper.invoice() };
    let set = Set::new("euro", job(&invoice, Look { is_bilingual: true, ..LOOK }));
    assert_says(
        &set.text(),
        &[
            "Faktura VAT",
            "VAT Invoice",
            "SPRZEDAWCA / SELLER",
            "5 825,11",
            "EUR",
            "NIP UE DE811907980",
            "Müller & Söhne Großhandel GmbH",
            "10115 Berlin, DE",
            "1 EUR = 4,2731 PLN",
            "NBP 224/A/NBP/2026",
            "4 108,16",
            "4 282,12",
            "euros and eleven cents",
            "euro jedenaście centów",
        ],
    );
    let sepa = payment_code(&invoice).unwrap().text;
    assert!(sepa.starts_with("BCD\n002"));
    let lines: Vec<&str> = sepa.lines().collect();
    assert!(lines.iter().all(|line| set.codes().contains(&(*line).to_owned())), "{:?}", set.codes());
}

#[test]
fn an_english_invoice() {
    let mut paper = Paper::of(
        vec![
            line(
                ("Bookkeeping services, November 2026", "1", "month", "12500.00", VatCode::ServiceToEu),
                PriceMode::Net,
            ),
            line(("Advisory on VAT registration", "3.25", "h", "180.5", VatCode::ServiceToEu), PriceMode::Net),
        ],
        PriceMode::Net,
    );
    paper.currency = "EUR".parse().unwrap();
    paper.buyer = german_buyer();
    let invoice = Invoice { language: Language::English, number: Some("INV/2026/11/0009"), ..paper.invoice() };
    let set = Set::new("english", job(&invoice, LOOK));
    assert_says(
        &set.text(),
        &[
            "VAT Invoice",
            "INV/2026/11/0009",
            "20 Nov 2026",
            "SELLER",
            "BUYER",
            "EU VAT no. DE811907980",
            "12,500.00",
            "586.63",
            "13,086.63",
            "thirteen thousand eighty-six euros",
            "sixty-three cents",
            "Reverse charge (odwrotne obciążenie)",
            "bank transfer",
            "Page 1 / 1",
        ],
    );
}

#[test]
fn a_shop_shows_gross_prices_and_the_vat_in_their_sums() {
    let lines = vec![
        line(("Kawa „Żuraw”, 1 kg", "2", "szt.", "61.50", VatCode::Percent23), PriceMode::Gross),
        line(("Książka „Gżegżółka”", "1", "szt.", "9.99", VatCode::Percent5), PriceMode::Gross),
        line(("Ubezpieczenie przesyłki", "1", "szt.", "20", VatCode::Exempt), PriceMode::Gross),
    ];
    let mut paper = Paper::of(lines, PriceMode::Gross);
    paper.lines[0].discount_percent = Some("10".parse().unwrap());
    paper.lines[2].vat.exemption_basis = Some("art. 43 ust. 1 pkt 37 ustawy o VAT".to_owned());
    paper.totals = totals_of(&paper.lines, PriceMode::Gross);
    paper.vat_sums = VatSum::all(&paper.totals, None);
    let invoice = Invoice { payment_method: PaymentMethod::Card, bank_account: None, ..paper.invoice() };
    let set = Set::new("gross", job(&invoice, LOOK));
    assert_says(
        &set.text(),
        &[
            "Cena brutto",
            "Rabat",
            "10%",
            "61,50",
            "110,70",
            "9,99",
            "90,00",
            "20,70",
            "9,51",
            "0,48",
            "140,69",
            "karta",
            "Podstawa zwolnienia z VAT: art. 43 ust. 1 pkt 37 ustawy o VAT",
        ],
    );
    assert_eq!(set.codes(), [verification_code().text]);
}

#[test]
fn a_split_payment_has_no_code_to_pay_by() {
    let paper = Paper::ordinary();
    let invoice = Invoice { split_payment: true, ..paper.invoice() };
    let set = Set::new("split-payment", job(&invoice, LOOK));
    assert_says(&set.text(), &["Mechanizm podzielonej płatności", "61 1090 1014 0000 0712 1981 2874"]);
    assert_eq!(set.codes(), [verification_code().text]);
}

#[test]
fn the_time_that_a_line_bills_is_an_annex() {
    let paper = Paper::ordinary();
    let texts = [
        "Wprowadzenie faktur zakupu",
        "Uzgodnienie rozrachunków z kontrahentami i wyjaśnienie różnic w saldach na koniec okresu",
        "Rozmowa o KSeF",
    ];
    let entries: Vec<BilledEntry<'_>> = (0..90)
        .map(|no| BilledEntry {
            started_on: day("2026-11-02") + chrono::Days::new(no % 28),
            operator_name: ["Jan Kowalski", "Świętosława Brzęczyszczykiewicz-Gżegżółkowska"]
                [usize::try_from(no % 2).unwrap()],
            text: Some(texts[usize::try_from(no % 3).unwrap()]),
            billed_minutes: 45,
            rate: "150.00".parse().unwrap(),
            cost: "112.50".parse().unwrap(),
        })
        .collect();
    let invoice = Invoice { time: &entries, ..paper.invoice() };
    let set = Set::new("annex", job(&invoice, LOOK));
    let pages = set.pages();
    assert!(pages.len() >= 3, "{} pages", pages.len());
    assert_says(
        &pages[1..].join("\n"),
        &[
            "Załącznik: wykaz czasu pracy",
            "Jan Kowalski",
            "Świętosława",
            "29.11.2026",
            "0:45",
            "150,00",
            "112,50",
            "67:30",
            "10 125,00",
        ],
    );
}

#[test]
fn what_is_not_an_invoice_yet_says_so() {
    let paper = Paper::ordinary();
    let draft = Invoice { is_draft: true, number: None, issued_on: None, due_on: None, ..paper.invoice() };
    let nothing = Attached::default();
    let look = Look { logo: None, color: "#f4c542", ..LOOK };
    let data = draft.data(look, nothing).unwrap();
    let set = Set::new("draft", Job { layout: None, ident: "draft".to_owned(), data, files: Vec::new() });
    assert_says(&set.text(), &["Szkic", "5 825,11"]);
    assert_eq!(set.codes(), [""; 0]);

    let pro_forma = Invoice {
        kind: InvoiceKind::ProForma,
        number: Some("PF/1/2026"),
        language: Language::English,
        ..paper.invoice()
    };
    let set = Set::new("pro-forma", job(&pro_forma, Look { is_bilingual: true, ..LOOK }));
    assert_says(
        &set.text(),
        &["Pro Forma Invoice", "Faktura pro forma", "This is not a VAT invoice. / Nie jest fakturą"],
    );
}

#[test]
fn the_longest_texts_and_amounts_stay_on_the_page() {
    let long = "Wielkopolskie-Przedsiębiorstwo-Przemysłu-Ziemniaczanego-".repeat(5)[..240].to_owned();
    let lines = (0..3).map(|_| {
        line((&long, "99999.9999", "jednostka rozliczen.", "99999999.9999", VatCode::Percent23), PriceMode::Net)
    });
    let mut paper = Paper::of(lines.collect(), PriceMode::Net);
    paper.buyer.name = long.clone();
    let invoice = Invoice { notes: Some("długie uwagi ".repeat(150).leak()), ..paper.invoice() };
    let set = Set::new("extreme", job(&invoice, Look { is_bilingual: true, ..LOOK }));
    let text = set.text();
    assert_says(&text, &["36 899 999 963 063,10"]);
}

#[test]
fn a_letter_that_no_font_has_keeps_no_invoice_from_its_buyer() {
    let mut paper = Paper::ordinary();
    for (name, shown) in [
        ("Αφοί Παπαδόπουλοι, ООО «Ромашка»", "Αφοί Παπαδόπουλοι, ООО «Ромашка»"),
        ("Fa שלום בע״מ", "Fa □□□□ □□□□"),
        ("Fb شركة", "Fb □□□□"),
        ("Fc 株式\u{3000}会社", "Fc □□ □□"),
        ("Fd 👩\u{200D}👧 🇵🇱 \u{FE0F}", "Fd □□ □□"),
        ("Fe a\u{202E}b\u{202C}c\u{2060}", "Fe abc"),
    ] {
        paper.buyer.name = name.to_owned();
        let set = Set::new("letters", job(&paper.invoice(), LOOK));
        assert_says(&set.text().replace('\u{200D}', ""), &[shown]);
    }
    let invoice = paper.invoice();
    let own = Job { layout: Some("#json(\"/data.json\").buyer.name 株".to_owned()), ..job(&invoice, LOOK) };
    assert!(opiekun_typst::set(own).is_err(), "what a layout says itself is told to whoever writes it");
}

#[test]
fn the_same_invoice_has_the_same_bytes() {
    let paper = Paper::ordinary();
    let invoice = paper.invoice();
    let set = || opiekun_typst::set(job(&invoice, LOOK)).unwrap();
    let first = set();
    assert_eq!(first, set());
    let other = Invoice { number: Some("FV 2026/11/0148"), ..paper.invoice() };
    assert_ne!(first, opiekun_typst::set(job(&other, LOOK)).unwrap());
    assert_eq!(first, set());
}
