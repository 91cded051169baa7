use crate::support::{Answer, Record, World, binary, line, number_of_ksef, time_line};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use uuid::Uuid;

impl World {
    fn pdf_answer(&self, invoice: &Record) -> Answer {
        // No server waits until it is built.
        binary();
        self.owner.with("Accept", "application/pdf").get(&format!("/invoices/{}/document", invoice.id()))
    }

    #[track_caller]
    fn pdf(&self, invoice: &Record) -> Pdf {
        let answer = self.pdf_answer(invoice);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("Content-Type"), Some("application/pdf"));
        Pdf::new(&answer.body)
    }

    fn drafted(&self, lines: Value) -> Record {
        let series = self.owner.get("/number-series?kind=invoice").expect(200).items().pop();
        let series = series.unwrap_or_else(|| self.series("invoice"));
        self.invoice_draft(self.buyer().create().id(), series.id()).with("lines", lines).create()
    }
}

/// A PDF, read by programs that people read PDFs with.
struct Pdf {
    folder: PathBuf,
}

impl Pdf {
    fn new(content: &[u8]) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pdf-{}", Uuid::now_v7().simple()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("it.pdf"), content).unwrap();
        Self { folder }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).current_dir(&self.folder).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        // zbarimg says 4 where it finds no code.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn text(&self) -> String {
        let text = self.run("pdftotext", &["it.pdf", "-"]).replace(['\u{202f}', '\u{a0}'], " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn codes(&self) -> Vec<String> {
        self.run("pdftoppm", &["-r", "150", "-png", "-singlefile", "it.pdf", "it"]);
        let codes = self.run("zbarimg", &["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "it.png"]);
        codes.lines().map(str::to_owned).collect()
    }

    fn attached(&self) -> Vec<u8> {
        self.run("pdfdetach", &["-save", "1", "-o", "it.xml", "it.pdf"]);
        fs::read(self.folder.join("it.xml")).unwrap()
    }

    #[track_caller]
    fn assert_says(&self, all: &[&str]) {
        let text = self.text();
        let missing: Vec<_> = all.iter().filter(|it| !text.contains(**it)).collect();
        assert!(missing.is_empty(), "{missing:#?} is missing in\n{text}");
    }
}

impl Drop for Pdf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const ACCOUNT: &str = "PL61109010140000071219812874";

fn with_account() -> World {
    World::with(|fields| {
        let account = json!([{ "iban": ACCOUNT, "currency": "PLN", "bank_name": "Bank Żółty" }]);
        fields.bank_accounts = serde_json::from_value(account).unwrap();
    })
}

#[test]
fn an_issued_invoice_is_printed_with_its_codes_and_its_structured_form() {
    let w = with_account();
    let invoice = w.issue(&w.drafted(json!([line("2.5", "99.99"), line("1", "1000.00")])), "2026-01-20");
    let pdf = w.pdf(&invoice);
    let number = invoice["number"].as_str().unwrap();
    // 249.98 + 1000.00 = 1249.98, × 0.23 = 287.4954 → 287.50
    pdf.assert_says(&[
        "Faktura VAT",
        number,
        "2,5",
        "99,99",
        "249,98",
        "1 249,98",
        "287,50",
        "1 537,48",
        "Bank Żółty",
        "tysiąc pięćset trzydzieści siedem złotych czterdzieści osiem groszy",
        "OFFLINE",
        "20.01.2026",
    ]);

    let xml = w.owner.with("Accept", "application/xml").get(&format!("/invoices/{}/document", invoice.id()));
    assert_eq!(pdf.attached(), xml.body);
    let nip = invoice["seller"]["tax_id"]["number"].as_str().unwrap();
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&xml.body));
    let codes = pdf.codes();
    assert!(codes.contains(&format!("https://qr.ksef.mf.gov.pl/invoice/{nip}/20-01-2026/{hash}")), "{codes:?}");
    let transfer = codes.iter().find(|code| code.starts_with(nip)).unwrap();
    assert!(transfer.starts_with(&format!("{nip}|PL|{}|153748|", &ACCOUNT[2..])), "{transfer}");
    assert!(transfer.ends_with(&format!("|{number}|||")), "{transfer}");

    let ksef = number_of_ksef(nip);
    w.owner.put(&format!("/invoices/{}/ksef-number", invoice.id()), json!({ "ksef_number": ksef })).expect(200);
    w.pdf(&invoice).assert_says(&[&ksef]);
}

#[test]
fn the_same_invoice_has_the_same_bytes() {
    let w = with_account();
    let invoice = w.issue(&w.drafted(json!([line("1", "10.00")])), "2026-01-20");
    let (first, second) = (w.pdf_answer(&invoice), w.pdf_answer(&invoice));
    assert_eq!(first.body, second.body);
    let tag = first.header("ETag").unwrap().to_owned();
    let path = format!("/invoices/{}/document", invoice.id());
    let known = w.owner.with("Accept", "application/pdf").with("If-None-Match", &tag).get(&path);
    assert_eq!((known.status, known.body.len()), (304, 0));
    // Asked for nothing in particular, it is the one for people.
    assert_eq!(w.owner.get(&path).body, first.body);
}

#[test]
fn a_draft_says_that_it_is_one() {
    let w = with_account();
    let draft = w.drafted(json!([line("1", "10.00")]));
    let pdf = w.pdf(&draft);
    pdf.assert_says(&["Szkic", "12,30"]);
    assert_eq!(pdf.codes(), [""; 0]);
    let path = format!("/invoices/{}", draft.id());
    assert_eq!(w.owner.at(draft.version()).delete(&path).status, 204);
    assert_eq!(w.pdf_answer(&draft).refused(409, "state_invalid")["state"], "void");
}

#[test]
fn a_correction_is_printed_with_what_was_before() {
    let w = with_account();
    let invoice = w.issue(&w.drafted(json!([line("3", "100.00")])), "2026-01-20");
    let correction = json!({
        "series_id": w.series("correction").id(), "reason": "Zwrot towaru",
        "changed_lines": [{ "position": 1, "quantity": "1" }],
    });
    let path = format!("/invoices/{}/corrections", invoice.id());
    let draft = w.owner.once(Uuid::now_v7()).post(&path, correction).expect(201);
    let pdf = w.pdf(&w.issue(&draft, "2026-01-21"));
    pdf.assert_says(&[
        "Faktura korygująca",
        invoice["number"].as_str().unwrap(),
        "Zwrot towaru",
        "300,00",
        "−200,00",
        "−246,00",
        "dwieście czterdzieści sześć złotych",
        "246,00",
    ]);
}

#[test]
fn the_time_that_an_invoice_bills_is_its_annex() {
    let w = World::new();
    w.hourly_rate("120.00", "2026-01-01").create();
    let customer = w.buyer().create();
    let template = w.invoice_template(w.series("invoice").id()).with("lines", json!([time_line()])).create();
    w.arrears(template.id(), customer.id()).create();
    w.interaction(customer.id()).with("started_at", "2026-01-07T09:00:00Z").create();
    w.run("issue", "2026-02-01");
    w.pdf(&w.invoices()[0]).assert_says(&["Załącznik: wykaz czasu pracy", "07.01.2026", "120,00"]);
}

#[test]
fn the_logo_of_the_organization_is_on_it() {
    let w = World::new();
    let without = w.pdf_answer(&w.drafted(json!([line("1", "10.00")]))).body.len();
    let organization = w.organization();
    let logo = w.file("logo.png", include_bytes!("support/logo.png"));
    let change = json!({ "logo_file_id": logo.id() });
    w.owner.at(organization.version()).patch("/organization", change).expect(200);
    let with = w.pdf_answer(&w.drafted(json!([line("1", "10.00")]))).body.len();
    assert!(with > without + 500, "{with} {without}");
}
