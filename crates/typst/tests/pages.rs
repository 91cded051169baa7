//! Invoices of every kind are set, and looked at by programs that read PDFs and QR codes.

use chrono::NaiveDate;
use opiekun_documents::invoice_page::{Attached, Correction, Invoice, Look, TimeEntry};
use opiekun_documents::qr::{self, QrCode, Transfer};
use opiekun_domain::address::Address;
use opiekun_domain::billing::{InvoiceLine, LineVat, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
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
            notes: Some("Dziękujemy za terminowe wpłaty.\nPytania o fakturę: faktury@zolta-laka.example, tel. 22 555 01 47."),
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
        let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Page by page, each on lines as it is read.
    fn pages(&self) -> Vec<String> {
        let text = self.run("pdftotext", &["-layout", "{}", "-"]);
        let text = text.strip_suffix('\u{c}').unwrap().replace(['\u{202f}', '\u{a0}'], " ");
        text.split('\u{c}').map(str::to_owned).collect()
    }

    fn text(&self) -> String {
        self.pages().join("\n")
    }

    fn codes(&self) -> Vec<String> {
        let image = self.path.with_extension("");
        self.run("pdftoppm", &["-r", "150", "-png", "-singlefile", "{}", image.to_str().unwrap()]);
        let found = self.run("zbarimg", &["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", image.with_extension("png").to_str().unwrap()]);
        let mut codes: Vec<String> = found.lines().map(str::to_owned).collect();
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
    assert_says(&pages[0], &[
        "Faktura VAT", "FV 2026/11/0147", "20.11.2026", "04.12.2026", "01.11.2026 – 30.11.2026",
        "Księgowość Żółta Łąka sp. z o.o.", "525-224-84-81", "676-010-14-16", "31-751 Kraków", "ul. Świętokrzyska 18/4",
        "1 850,00", "425,50", "2 275,50", "6,5", "1 918,80", "369,36", "4 823,00", "1 002,11", "5 825,11",
        "pięć tysięcy osiemset dwadzieścia", "jedenaście groszy", "61 1090 1014 0000", "Bank Przykładowy S.A.", KSEF_NUMBER,
        "Dziękujemy za terminowe wpłaty.", "Strona 1 / 1",
    ]);
    assert!(!pages[0].contains("przeniesienia"), "{}", pages[0]);
    let mut codes = [payment_code(&invoice).unwrap().text, verification_code().text];
    codes.sort();
    assert_eq!(set.codes(), codes);
    assert_says(&set.run("pdfdetach", &["-list", "{}"]), &["1 embedded files", "faktura.xml"]);
}
