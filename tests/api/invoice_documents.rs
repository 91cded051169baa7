use crate::support::{Answer, Record, World, at_once, binary, execute, line, number_of_ksef, time_line};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

impl World {
    fn document(&self, invoice: &Record) -> Answer {
        self.owner.with("Accept", "application/xml").get(&format!("/invoices/{}/document", invoice.id()))
    }

    #[track_caller]
    fn xml(&self, invoice: &Record) -> String {
        let answer = self.document(invoice);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    #[track_caller]
    fn correction(&self, invoice: &Record, change: Value) -> Answer {
        self.owner.once(Uuid::now_v7()).post(&format!("/invoices/{}/corrections", invoice.id()), change)
    }

    /// An invoice of these lines that was issued on 20 January 2026, by the first series.
    #[track_caller]
    fn issued(&self, buyer: &Record, lines: Value) -> Record {
        let series = self.owner.get("/number-series?kind=invoice").expect(200).items().pop();
        let series = series.unwrap_or_else(|| self.series("invoice"));
        let draft = self.invoice_draft(buyer.id(), series.id()).with("lines", lines).create();
        self.issue(&draft, "2026-01-20")
    }
}

/// A line of 2.5 × 99.99 less 10 % with this VAT code.
fn line_of(code: &str) -> Value {
    let basis = (code == "zw").then_some("art. 43 ust. 1 pkt 29 lit. a ustawy o VAT");
    let mut line = line("2.5", "99.99");
    line["vat"] = json!({ "code": code, "exemption_basis": basis });
    line["discount_percent"] = json!("10");
    line["pkwiu"] = json!("69.20.23.0");
    line["gtu"] = json!("GTU_12");
    line
}

const CODES: [&str; 10] = ["23", "8", "5", "0", "0_wdt", "0_ex", "zw", "np_i", "np_ii", "oo"];

/// Buyers of every kind.
fn buyers(w: &World) -> Vec<Record> {
    let abroad = |country: &str| json!({ "line1": "Main St. 1", "city": "Town", "country": country });
    vec![
        w.buyer().with("tax_id", json!({ "scheme": "nip", "number": "1234563218" })).create(),
        w.buyer()
            .with("tax_id", json!({ "scheme": "eu_vat", "country": "EL", "number": "123456789" }))
            .with("billing_address", abroad("GR"))
            .create(),
        w.buyer()
            .with("tax_id", json!({ "scheme": "other", "country": "CH", "number": "CHE-109.322.551" }))
            .with("billing_address", abroad("CH"))
            .create(),
        w.buyer().with("kind", "person").with("tax_id", json!({ "scheme": "none" })).create(),
    ]
}

/// What `xmllint` says of documents by the official schema, where it says anything against one.
fn against(documents: &[String]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Uuid::now_v7().simple().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let names: Vec<_> = (0..documents.len()).map(|index| folder.join(format!("{index}.xml"))).collect();
    for (name, document) in names.iter().zip(documents) {
        std::fs::write(name, document).unwrap();
    }
    let schema = root.join("crates/documents/src/fa3/schema/schemat_FA3_v1-0E.xsd");
    let lint = Command::new("xmllint").args(["--nonet", "--noout", "--schema"]).arg(schema).args(&names).output();
    let lint = lint.expect("xmllint, of the package libxml2-utils");
    let said = String::from_utf8(lint.stderr).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        said.lines().filter(|line| line.ends_with(" validates")).count() == documents.len(),
        lint.status.success()
    );
    said.lines().filter(|line| !line.ends_with(" validates")).collect()
}

#[test]
fn every_kind_of_invoice_is_told_as_fa3() {
    let w = World::new();
    let (invoices, corrections) = (w.series("invoice"), w.series("correction"));
    let table = json!({ "rate": "4.2517", "quoted_on": "2026-01-19", "source": "NBP 12/A/NBP/2026" });
    let mut documents = Vec::new();
    for buyer in buyers(&w) {
        for currency in ["PLN", "EUR", "USD"] {
            for (index, code) in CODES.iter().enumerate() {
                let mode = if index % 2 == 0 { "net" } else { "gross" };
                let rate = if currency == "PLN" { Value::Null } else { table.clone() };
                let draft = w
                    .invoice_draft(buyer.id(), invoices.id())
                    .with("currency", currency)
                    .with("price_mode", mode)
                    .with("exchange_rate", rate)
                    .with("lines", json!([line_of(code), line("1", "10.00")]))
                    .with("notes", "Dziękujemy\nza współpracę")
                    .create();
                let invoice = w.issue(&draft, "2026-01-20");
                let xml = w.xml(&invoice);
                assert!(xml.contains(&format!("<KodWaluty>{currency}</KodWaluty>")), "{xml}");
                assert!(xml.contains("<RodzajFaktury>VAT</RodzajFaktury>"), "{xml}");
                documents.push(xml);
                let change = json!({
                    "series_id": corrections.id(), "reason": "Zwrot", "takes_effect": "with_correction",
                    "changed_lines": [{ "position": 1, "quantity": "1" }], "removed_positions": [2],
                });
                let draft = w.correction(&invoice, change).expect(201);
                let correction = w.issue(&draft, "2026-01-21");
                let xml = w.xml(&correction);
                for told in [
                    "<RodzajFaktury>KOR</RodzajFaktury><PrzyczynaKorekty>Zwrot</PrzyczynaKorekty><TypKorekty>2</TypKorekty>"
                        .to_owned(),
                    format!("<NrFaKorygowanej>{}</NrFaKorygowanej><NrKSeFN>1</NrKSeFN>", invoice["number"].as_str().unwrap()),
                    format!("<P_15>{}</P_15>", correction["gross"].as_str().unwrap()),
                ] {
                    assert!(xml.contains(&told), "{told} in {xml}");
                }
                assert_eq!((xml.matches("<FaWiersz>").count(), xml.matches("<StanPrzed>").count()), (4, 2), "{xml}");
                documents.push(xml);
            }
        }
    }
    assert_eq!(documents.len(), 4 * 3 * 10 * 2);
    assert_eq!(against(&documents), "");
}

#[test]
fn a_period_is_told_with_the_time_that_it_bills() {
    let w = World::with(|fields| {
        let account = json!([{
            "iban": "PL61109010140000071219812874", "currency": "PLN", "bank_name": "Bank Przykładowy", "swift": "BPKOPLPWXXX",
        }]);
        fields.bank_accounts = serde_json::from_value(account).unwrap();
    });
    w.hourly_rate("120.00", "2026-01-01").create();
    let customer = w.buyer().create();
    let lines = json!([
        { "key": "fee", "kind": "fixed", "text": "Fee", "quantity": "1", "unit": "month", "unit_price": "300.00",
          "discount_percent": "50", "vat": { "code": "23" } },
        time_line(),
    ]);
    let template = w.invoice_template(w.series("invoice").id()).name("Month").with("lines", lines).create();
    w.arrears(template.id(), customer.id()).create();
    w.interaction(customer.id()).with("started_at", "2026-01-07T09:00:00Z").with("subject", "VAT & <more>").create();
    w.run("issue", "2026-02-01");
    let invoice = w.invoices().remove(0);
    let xml = w.xml(&invoice);
    for told in [
        "<OkresFa><P_6_Od>2026-01-01</P_6_Od><P_6_Do>2026-01-31</P_6_Do></OkresFa>",
        // 300.00 less 50 %, and 30 minutes at 120.00.
        "<P_13_1>210.00</P_13_1><P_14_1>48.30</P_14_1><P_15>258.30</P_15>",
        "<P_9A>300.00</P_9A><P_10>150</P_10><P_11>150.00</P_11>",
        "<NrWiersza>2</NrWiersza><Klucz>2026-01-07 ",
        "<Wartosc>30 min × 120.00 = 60.00 PLN: VAT &amp; &lt;more&gt;</Wartosc>",
        "<RachunekBankowy><NrRB>61109010140000071219812874</NrRB><SWIFT>BPKOPLPWXXX</SWIFT>\
         <NazwaBanku>Bank Przykładowy</NazwaBanku></RachunekBankowy>",
    ] {
        assert!(xml.contains(told), "{told} in {xml}");
    }
    assert_eq!(against(&[xml]), "");
}

#[test]
fn split_payment_is_told_with_the_lines_that_ask_for_it() {
    let w = World::new();
    let buyer = w.buyer().with("tax_id", json!({ "scheme": "nip", "number": "1234563218" })).create();
    let mut steel = line("1", "15000.00");
    steel["annex_15"] = json!(true);
    let xml = w.xml(&w.issued(&buyer, json!([steel, line("1", "1.00")])));
    assert!(xml.contains("<P_18A>1</P_18A>"), "{xml}");
    assert_eq!(xml.matches("<P_12_Zal_15>1</P_12_Zal_15>").count(), 1, "{xml}");
    assert_eq!(against(&[xml]), "");
}

#[test]
fn the_same_bytes_come_ever_after() {
    let w = World::new();
    let buyer = w.buyer().name("Rogal").create();
    let invoice = w.issued(&buyer, json!([line("1", "100.00")]));
    let first = w.document(&invoice);
    assert_eq!(first.header("content-type"), Some("application/xml; charset=utf-8"));
    let name = "attachment; filename=\"i1-01-2026.xml\"; filename*=UTF-8''i1-01-2026.xml";
    assert_eq!(first.header("content-disposition"), Some(name));
    let digest = Sha256::digest(first.text().as_bytes());
    let tag: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(first.header("etag"), Some(format!("\"{tag}\"").as_str()));

    w.owner.at(1).patch(&format!("/customers/{}", buyer.id()), json!({ "name": "Kajzerka" })).expect(200);
    let change = json!({ "legal_name": "Inna nazwa", "bank_accounts": [] });
    w.owner.at(1).patch("/organization", change).expect(200);
    let again = w.document(&invoice);
    assert_eq!((again.text(), again.header("etag")), (first.text(), first.header("etag")));
    let known = w.owner.with("Accept", "application/xml").with("If-None-Match", format!("\"{tag}\""));
    let known = known.get(&format!("/invoices/{}/document", invoice.id()));
    assert_eq!((known.status, known.text().as_str()), (304, ""));
    assert_eq!(w.count("invoice_documents"), 1);
}

#[test]
fn who_asks_first_at_once_gets_what_all_get() {
    let w = World::new();
    let invoice = w.issued(&w.buyer().create(), json!([line("1", "100.00")]));
    let answers = at_once(8, |_| w.document(&invoice).text());
    assert!(answers.iter().all(|answer| answer == &answers[0] && answer.contains("<Faktura")), "{answers:?}");
    assert_eq!(w.count("invoice_documents"), 1);
}

#[test]
fn what_is_not_issued_has_no_document() {
    let w = World::new();
    let buyer = w.buyer().create();
    let draft = w.invoice_draft(buyer.id(), w.series("invoice").id()).create();
    assert_eq!(w.document(&draft).refused(409, "state_invalid")["state"], "draft");
    w.owner.at(1).delete(&format!("/invoices/{}", draft.id())).expect(204);
    assert_eq!(w.document(&draft).refused(409, "state_invalid")["state"], "void");
    let offer = w.invoice_draft(buyer.id(), w.series("pro_forma").id()).with("kind", "pro_forma").create();
    let offer = w.issue(&offer, "2026-01-20");
    assert_eq!(w.document(&offer).refused(409, "state_invalid")["state"], "pro_forma");
    let invoice = w.issued(&buyer, json!([line("1", "100.00")]));
    let path = format!("/invoices/{}/document", invoice.id());
    w.owner.with("Accept", "text/csv").get(&path).refused(406, "not_acceptable");
    // A PDF, then: no server waits until the binary is built that sets it.
    binary();
    assert_eq!(w.operator("operator", "read", None).with("Accept", "*/*").get(&path).status, 200);
    w.operator("operator", "none", None).get(&path).refused(403, "scope_missing");
    World::new().owner.get(&path).refused(404, "not_found");
    assert_eq!(w.count("invoice_documents"), 1);
}

#[test]
fn what_fa3_cannot_tell_is_refused_at_the_issue() {
    let w = World::new();
    let series = w.series("invoice");
    let refused = |field: &str, value: Value, expected: &str| {
        let draft = w.invoice_draft(w.buyer().create().id(), series.id()).with(field, value).create();
        let answer = w.issue_answer(&draft, json!({ "issued_on": "2026-01-20" }));
        assert_eq!((answer.status, answer.wrong()), (422, vec![expected.to_owned()]));
        assert_eq!(w.reread("/invoices", &draft), draft, "it stays a draft");
    };
    refused("lines", json!([line("1", "1.00"), line("-1", "0.50")]), "/lines/1/quantity line_quantity_negative");
    refused("bank_account", json!("PL61109010140000071219812875"), "/bank_account bank_account_invalid");
    refused("due_on", json!("2050-06-01"), "/due_on due_on_out_of_range");
    refused("sold_on", json!("2005-06-01"), "/sold_on sold_on_out_of_range");
    let rate = json!({ "rate": "0.18", "quoted_on": "2026-01-19", "source": "NBP" });
    let leones = w.invoice_draft(w.buyer().create().id(), series.id()).with("currency", "SLE");
    let answer = w.issue_answer(&leones.with("exchange_rate", rate).create(), json!({ "issued_on": "2026-01-20" }));
    assert_eq!(answer.wrong(), ["/currency currency_unknown"]);
    let nowhere = json!({ "line1": "Street 1", "city": "Town", "country": "ZZ" });
    let buyer = w.buyer().with("billing_address", nowhere).create();
    let draft = w.invoice_draft(buyer.id(), series.id()).create();
    let answer = w.issue_answer(&draft, json!({ "issued_on": "2026-01-20" }));
    assert_eq!(answer.wrong(), ["/buyer/address/country buyer_country_unknown"]);
    // A pro forma is told to nobody.
    let offer = w.invoice_draft(buyer.id(), w.series("pro_forma").id()).with("kind", "pro_forma").create();
    w.issue(&offer, "2026-01-20");
    // In a run, such a subscription fails alone and says why.
    w.subscription(w.template().id(), buyer.id()).create();
    let run = w.run("issue", "2026-01-31");
    let problems: Vec<_> = w.results(&run).iter().map(|result| result["problem"].clone()).collect();
    assert_eq!(problems, ["buyer_country_unknown"]);

    let foreign = World::with(|fields| {
        (fields.tax_scheme, fields.tax_country) = ("eu_vat".parse().unwrap(), Some("DE".to_owned()));
        fields.tax_number = Some("123456789".to_owned());
    });
    let draft = foreign.invoice_draft(foreign.buyer().create().id(), foreign.series("invoice").id()).create();
    let answer = foreign.issue_answer(&draft, json!({ "issued_on": "2026-01-20" }));
    assert_eq!(answer.wrong(), ["/seller/tax_id seller_nip_missing"]);
}

#[test]
fn a_correction_that_fa3_cannot_tell_is_refused_at_the_issue() {
    let w = World::new();
    let buyer = w.buyer().with("tax_id", json!({ "scheme": "nip", "number": "1234563218" })).create();
    let invoice = w.issued(&buyer, json!([line("1", "100.00")]));
    let series = w.series("correction");
    let refused = |change: Value, expected: &str| {
        let mut body = json!({ "series_id": series.id(), "reason": "Mistake" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let draft = w.correction(&invoice, body).expect(201);
        let answer = w.issue_answer(&draft, json!({ "issued_on": "2026-01-21" }));
        assert_eq!((answer.status, answer.wrong()), (422, vec![expected.to_owned()]));
        w.owner.at(1).delete(&format!("/invoices/{}", draft.id())).expect(204);
    };
    refused(json!({ "to_zero": true, "reason": "ą".repeat(257) }), "/correction_reason reason_too_long");
    let other = json!({
        "name": "Rogal", "tax_id": { "scheme": "nip", "number": "5260250274" },
        "address": { "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" },
    });
    refused(json!({ "buyer": other }), "/buyer/tax_id buyer_nip_corrected");

    // Another name is another matter.
    let renamed = json!({
        "name": "Rogal sp. z o.o.", "tax_id": { "scheme": "nip", "number": "1234563218" },
        "address": { "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" },
    });
    let body = json!({ "series_id": series.id(), "reason": "Name", "buyer": renamed });
    let draft = w.correction(&invoice, body).expect(201);
    let xml = w.xml(&w.issue(&draft, "2026-01-21"));
    assert!(
        xml.contains("<Podmiot2K><DaneIdentyfikacyjne><NIP>1234563218</NIP>") && !xml.contains("FaWiersz"),
        "{xml}"
    );
    assert_eq!(xml.matches("<IDNabywcy>0001</IDNabywcy>").count(), 2, "{xml}");
    assert_eq!(against(&[xml]), "");
}

#[test]
fn a_correction_names_the_number_that_ksef_gave() {
    let w = World::new();
    let invoice = w.issued(&w.buyer().create(), json!([line("1", "100.00")]));
    assert_eq!(invoice["ksef_number"], Value::Null);
    let number = number_of_ksef("5261040828");
    let note = |of: &Record, number: &str| {
        w.owner.put(&format!("/invoices/{}/ksef-number", of.id()), json!({ "ksef_number": number }))
    };
    assert_eq!(note(&invoice, &number).expect(200)["ksef_number"], json!(number));
    note(&invoice, &number).expect(200);
    assert_eq!((w.count("invoice_ksef_numbers"), w.changes("invoice.registered")), (1, 1));
    assert_eq!(w.reread("/invoices", &invoice)["ksef_number"], json!(number));
    let another = number_of_ksef("5261040828");
    assert_eq!(note(&invoice, &another).refused(409, "state_invalid")["state"], "registered");

    let other = w.issued(&w.buyer().create(), json!([line("1", "100.00")]));
    note(&other, &number).refused(409, "duplicate");
    assert_eq!(note(&other, &number_of_ksef("1234563218")).wrong(), ["/ksef_number ksef_number"]);
    assert_eq!(note(&other, "5261040828-20261123-0100001AF629-BE").wrong(), ["/ksef_number ksef_number"]);
    let draft = w.invoice_draft(w.buyer().create().id(), invoice["series_id"].as_str().unwrap()).create();
    assert_eq!(note(&draft, &another).refused(409, "state_invalid")["state"], "draft");
    assert_eq!(w.count("invoice_ksef_numbers"), 1);

    let body = json!({ "series_id": w.series("correction").id(), "reason": "Returned", "to_zero": true });
    let draft = w.correction(&invoice, body).expect(201);
    let xml = w.xml(&w.issue(&draft, "2026-01-21"));
    let told = format!("<NrKSeF>1</NrKSeF><NrKSeFFaKorygowanej>{number}</NrKSeFFaKorygowanej>");
    assert!(xml.contains(&told), "{xml}");
    assert_eq!(against(&[xml]), "");
}

#[test]
fn the_database_keeps_documents_and_numbers_for_good() {
    let w = World::new();
    let invoice = w.issued(&w.buyer().create(), json!([line("1", "100.00")]));
    let draft = w.invoice_draft(w.buyer().create().id(), invoice["series_id"].as_str().unwrap()).create();
    w.xml(&invoice);
    let number = number_of_ksef("5261040828");
    let path = format!("/invoices/{}/ksef-number", invoice.id());
    w.owner.put(&path, json!({ "ksef_number": number })).expect(200);
    let of_invoice = format!("where invoice_id = '{}'", invoice.id());
    for statement in [
        format!("update invoice_documents set content = 'x' {of_invoice}"),
        format!("delete from invoice_documents {of_invoice}"),
        "truncate invoice_documents".to_owned(),
        format!("update invoice_ksef_numbers set ksef_number = '{}' {of_invoice}", number_of_ksef("5261040828")),
        format!("delete from invoice_ksef_numbers {of_invoice}"),
        "truncate invoice_ksef_numbers".to_owned(),
        format!(
            "insert into invoice_documents (organization_id, invoice_id, format, content, created_at)
             values ('{}', '{}', 'fa3', 'x', now())",
            w.organization_id,
            draft.id()
        ),
    ] {
        let refused = execute(&statement).unwrap_err().to_string();
        assert!(
            refused.contains("never changes") || refused.contains("only issued invoices"),
            "{statement}: {refused}"
        );
    }
}
