//! Lists and reports as CSV and XLSX, read by other programs' readers and held against the JSON of the same question.

use crate::support::firm::{found, owner_at};
use crate::support::{Answer, Client, Process, Record, World, connection, line, scratch_database};
use calamine::{Data, Reader, Xlsx};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use std::io::Cursor;
use uuid::Uuid;

const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The rows of a table by the names of its columns, the header first.
type Rows<T> = (Vec<String>, Vec<Vec<T>>);

#[track_caller]
fn csv_of(answer: &Answer) -> Rows<String> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")), "{answer:?}");
    let mut reader = csv::ReaderBuilder::new().from_reader(&answer.body[..]);
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    (header, rows)
}

#[track_caller]
fn xlsx_of(answer: &Answer) -> Rows<Data> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(XLSX)), "{answer:?}");
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(answer.body.clone())).unwrap();
    let (_, range) = book.worksheets().remove(0);
    let mut rows = range.rows().map(<[Data]>::to_vec);
    let header: Vec<String> = rows.next().unwrap().iter().map(ToString::to_string).collect();
    (header, rows.collect())
}

/// What JSON says in the place of a column.
fn said(record: &Value, column: &str) -> Value {
    let within = |name: &str, member: &str| record[name].get(member).cloned().unwrap_or(Value::Null);
    if let Some(value) = record.get(column) {
        return match value.as_array() {
            Some(tags) => json!(tags.iter().map(|tag| tag.as_str().unwrap()).collect::<Vec<_>>().join(", ")),
            None => value.clone(),
        };
    }
    match column {
        "buyer_name" => within("buyer", "name"),
        "address_line1" => within("billing_address", "line1"),
        "address_line2" => within("billing_address", "line2"),
        "postal_code" | "city" | "country" => within("billing_address", column),
        _ => {
            let party = if column.starts_with("buyer_tax_") { &record["buyer"] } else { record };
            if let Some((_, member)) = column.split_once("tax_") {
                return party["tax_id"][member].clone();
            }
            if let Some(member) = column.strip_prefix("corrected_") {
                return within("corrected", member);
            }
            ["keys", "standing"]
                .iter()
                .find_map(|name| record[*name].get(column).cloned())
                .unwrap_or_else(|| panic!("{column} stands nowhere in {record}"))
        }
    }
}

/// Columns of decimals; in all others text is text.
const DECIMALS: [&str; 26] = [
    "net",
    "vat",
    "gross",
    "vat_pln",
    "corrected_net",
    "corrected_vat",
    "corrected_gross",
    "paid",
    "owed",
    "amount",
    "unallocated",
    "balance",
    "hourly_rate",
    "cost",
    "invoiced",
    "margin",
    "not_yet_due",
    "days_1_to_30",
    "days_31_to_60",
    "days_61_to_90",
    "days_over_90",
    "total",
    "conversion_percent",
    "median_days",
    "value",
    "weighted_value",
];

fn day_number(day: NaiveDate) -> f64 {
    let days = day.signed_duration_since(NaiveDate::from_ymd_opt(1899, 12, 30).unwrap()).num_days();
    f64::from(i32::try_from(days).unwrap())
}

/// Holds a cell of a spreadsheet against the value of JSON, by value and by type.
#[track_caller]
fn assert_typed(column: &str, cell: &Data, value: &Value) {
    let fits = match (cell, value) {
        (Data::Empty, Value::Null) => true,
        (Data::Bool(cell), Value::Bool(value)) => cell == value,
        (Data::Float(cell), Value::Number(value)) => Some(*cell) == value.as_f64(),
        (Data::Float(cell), Value::String(value)) => DECIMALS.contains(&column) && format!("{cell:.2}") == *value,
        (Data::DateTime(cell), Value::String(value)) if column.ends_with("_on") => {
            cell.as_f64() == day_number(value.parse().unwrap())
        }
        (Data::DateTime(cell), Value::String(value)) => {
            let moment: DateTime<Utc> = value.parse().unwrap();
            let since = moment.signed_duration_since(moment.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc());
            let part = since.as_seconds_f64() / 86_400.0;
            column.ends_with("_at") && (cell.as_f64() - day_number(moment.date_naive()) - part).abs() < 1e-9
        }
        (Data::String(cell), Value::String(value)) => {
            !DECIMALS.contains(&column) && !column.ends_with("_on") && !column.ends_with("_at") && cell == value
        }
        _ => false,
    };
    assert!(fits, "{column}: {cell:?} for {value}");
}

/// As CSV has a value: what begins like a formula is led by an apostrophe.
fn written(column: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !DECIMALS.contains(&column) && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return format!("'{text}");
    }
    text
}

/// Holds both tables of a question against the records that JSON has; of a table only the rows from `first` on.
#[track_caller]
fn assert_same(owner: &Client, path: &str, records: &[Value], head: &Value, first: usize) {
    let sign = if path.contains('?') { '&' } else { '?' };
    let (header, rows) = xlsx_of(&owner.get(&format!("{path}{sign}format=xlsx")));
    let (of_csv, lines) = csv_of(&owner.get(&format!("{path}{sign}format=csv")));
    assert_eq!(header, of_csv, "{path}");
    assert_eq!(rows.len(), lines.len(), "{path}");
    assert!(records.len() + first <= rows.len(), "{path}");
    for ((record, row), line) in records.iter().zip(&rows[first..]).zip(&lines[first..]) {
        for ((column, cell), text) in header.iter().zip(row).zip(line) {
            let value = head.get(column).cloned().unwrap_or_else(|| said(record, column));
            assert_typed(column, cell, &value);
            assert_eq!(*text, written(column, &value), "{path}: {column}");
        }
    }
}

fn values(records: Vec<Record>) -> Vec<Value> {
    records.into_iter().map(Value::from).collect()
}

/// Customers with names that look like something else, and invoices of every kind and state.
fn firm() -> (World, Record) {
    let w = World::new();
    w.exchange_rate("EUR", "2026-01-19", "4.2512").create();
    let series = w.series("invoice");
    let formula = w
        .buyer()
        .name("=HYPERLINK(\"http://evil.example\";\"a\")")
        .with("short_name", "-2+3")
        .with("external_id", "0012")
        .with("phone", "+48221234567")
        .with("notes", "two\nlines, \"quoted\"; and <more> & _x0041_ 🐝")
        .with("tags", json!(["a", "b"]))
        .with("tax_id", json!({ "scheme": "nip", "number": "1234563218" }))
        .create();
    let abroad = w.buyer().name("Müller GmbH").with("currency", "EUR").create();
    let issued = w.issue(&w.invoice_draft(formula.id(), series.id()).with("notes", "@SUM(A1)").create(), "2026-01-20");
    let foreign = w.invoice_draft(abroad.id(), series.id()).with("currency", "EUR").create();
    w.issue(&foreign, "2026-01-20");
    let correction = json!({
        "series_id": w.series("correction").id(), "reason": "+Mistake",
        "changed_lines": [{ "position": 1, "quantity": "0.5" }],
    });
    let path = format!("/invoices/{}/corrections", issued.id());
    w.issue(&w.owner.once(Uuid::now_v7()).post(&path, correction).expect(201), "2026-03-01");
    let pro_forma = w.invoice_draft(formula.id(), w.series("pro_forma").id()).with("kind", "pro_forma").create();
    w.issue(&pro_forma, "2026-02-01");
    w.invoice_draft(formula.id(), series.id()).with("lines", json!([line("3", "33.33")])).create();
    w.payment(formula.id(), "20.00").with("invoice_id", issued.id()).with("reference", "=1+1").create();
    w.payment(abroad.id(), "7.10").with("currency", "EUR").create();
    (w, formula)
}

#[test]
fn responses_to_a_survey_are_a_table_with_its_questions() {
    let w = World::new();
    let (customer, survey) = (w.customer().create(), w.survey().create());
    let path = format!("/surveys/{}", survey.id());
    let respond = |answers: Value| {
        let draft = w.survey_response(survey.id()).with("customer_id", customer.id());
        draft.with("answers", answers).with("complete", true).create()
    };
    respond(json!({ "recommend": 9, "content": "no", "why": "=1+1" }));
    let questions = json!([
        { "key": "hours", "kind": "number", "text": "Hours?" },
        { "key": "content", "kind": "yes_no", "text": "Content?" },
        { "key": "since", "kind": "date", "text": "Since when?" },
        { "key": "why", "kind": "number", "text": "How many reasons?" },
        { "key": "ways", "kind": "multiple_choice", "text": "How?",
          "options": [{ "key": "post", "text": "By post" }, { "key": "mail", "text": "By mail" }] },
    ]);
    w.owner.at(1).patch(&path, json!({ "questions": questions })).expect(200);
    let last = respond(json!({ "hours": "12.5", "since": "2026-02-03", "ways": ["post", "mail"], "why": "2" }));

    for list in [format!("{path}/responses"), format!("/survey-responses?survey_id={}", survey.id())] {
        let sign = if list.contains('?') { '&' } else { '?' };
        let (header, rows) = csv_of(&w.owner.with("Accept", CSV).get(&list));
        let first = header.iter().position(|name| name.starts_with("answers.")).unwrap();
        let of_newest = ["answers.hours", "answers.content", "answers.since", "answers.why", "answers.ways"];
        assert_eq!(header[first..], [&of_newest[..], &["answers.recommend"]].concat());
        assert_eq!(rows[0][..1], [last.id().to_owned()]);
        assert_eq!(rows[0][first..], ["12.5", "", "2026-02-03", "2", "post mail", ""]);
        assert_eq!(rows[1][first..], ["", "no", "", "'=1+1", "", "9"]);
        let (of_xlsx, rows) = xlsx_of(&w.owner.get(&format!("{list}{sign}format=xlsx")));
        assert_eq!(of_xlsx, header);
        let day = day_number(NaiveDate::from_ymd_opt(2026, 2, 3).unwrap());
        assert_eq!((&rows[0][first], &rows[1][first + 5]), (&Data::Float(12.5), &Data::Float(9.0)));
        assert!(matches!(&rows[0][first + 2], Data::DateTime(cell) if (cell.as_f64() - day).abs() < 1e-9));
        assert_eq!(rows[1][first + 3], Data::String("=1+1".to_owned()), "words of an earlier version are words");
    }
    let (header, rows) = csv_of(&w.owner.get("/survey-responses?format=csv"));
    assert!(header.iter().all(|name| !name.starts_with("answers.")));
    assert_eq!(rows.len(), 2);
    w.owner.get(&format!("/surveys/{}/responses?format=csv", customer.id())).refused(404, "not_found");
}

#[test]
fn invoices_customers_and_payments_are_the_same_in_each_form() {
    let (w, customer) = firm();
    for path in [
        "/invoices?sort=created_at".to_owned(),
        "/invoices?status=issued&sort=-issued_on".to_owned(),
        format!("/invoices?customer_id={}&kind=invoice", customer.id()),
        "/customers".to_owned(),
        "/customers?sort=name&name[prefix]=M".to_owned(),
        "/payments?sort=paid_on".to_owned(),
    ] {
        let records = w.owner.get(&path).expect(200).items();
        assert!(!records.is_empty(), "{path}");
        assert_same(&w.owner, &path, &values(records.clone()), &Value::Null, 0);
        let (_, rows) = csv_of(&w.owner.with("Accept", CSV).get(&path));
        assert_eq!(rows.len(), records.len(), "{path}");
    }
    let nobody = World::new();
    assert_eq!(csv_of(&nobody.owner.get("/invoices?format=csv")).1.len(), 0);
    assert_eq!(xlsx_of(&nobody.owner.get("/invoices?format=xlsx")).1.len(), 0);
}

#[test]
fn occurrences_are_the_same_in_each_form() {
    let w = World::new();
    w.subscribers(2);
    w.run("issue", "2026-03-31");
    let records = w.owner.get("/occurrences?sort=scheduled_on").expect(200).items();
    assert!(records.len() >= 4);
    assert_same(&w.owner, "/occurrences?sort=scheduled_on", &values(records), &Value::Null, 0);
}

#[test]
fn reports_are_the_same_in_each_form() {
    let (w, customer) = firm();
    let thread = w.thread("=Thread").with("customer_id", customer.id()).create();
    let task = w.task("-Task").with("customer_id", customer.id()).with("thread_id", thread.id()).create();
    w.hourly_rate("120.50", "2026-01-01").create();
    w.work_entry(task.id()).create();
    w.arrears(w.template().id(), w.buyer().create().id()).create();
    let statement = format!("/customers/{}/statement?from_on=2026-01-01&to_on=2026-12-31", customer.id());
    for (path, rows, first) in [
        ("/reports/time-cost?from=2026-01-01&to=2026-12-31&group_by=customer,month", "rows", 0),
        ("/reports/time-cost?from=2026-01-01&to=2026-12-31&group_by=thread,task,operator,week,channel", "rows", 0),
        ("/reports/receivables?on=2026-12-31", "rows", 0),
        ("/reports/unbilled-time?to_on=2026-12-31", "rows", 0),
        ("/reports/not-invoiced?from=2026-01-01&to=2026-06-30", "rows", 0),
        // Behind the row with the opening balance.
        (&statement, "entries", 1),
    ] {
        let report = w.owner.get(path).expect(200);
        let records = report[rows].as_array().unwrap();
        assert!(!records.is_empty(), "{path}: {}", *report);
        let mut head = report.0.clone();
        head.as_object_mut().unwrap().retain(|name, _| ["currency", "as_of_on", "to_on"].contains(&name.as_str()));
        assert_same(&w.owner, path, records, &head, first);
    }
    let (_, rows) = xlsx_of(&w.owner.get(&format!("{statement}&format=xlsx")));
    assert_eq!(rows[0][1], Data::String("opening_balance".to_owned()));
    assert_eq!(rows[0][5], Data::Float(0.0));
    assert_eq!(rows.last().unwrap()[1], Data::String("closing_balance".to_owned()));

    let pipeline = w.pipeline().create();
    let path = format!("/reports/funnel?pipeline_id={}", pipeline.id());
    let report = w.owner.get(&path).expect(200);
    let head = json!({ "currency": report["currency"] });
    assert_same(&w.owner, &path, report["stages"].as_array().unwrap(), &head, 0);
}

#[test]
fn accept_chooses_the_form() {
    let w = World::new();
    let form = |accept: &str| {
        let answer = w.owner.with("Accept", accept).get("/invoices");
        assert_eq!(answer.status, 200, "{accept}: {answer:?}");
        answer.header("content-type").unwrap().to_owned()
    };
    let csv = "text/csv; charset=utf-8";
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("text/csv", csv),
        ("text/*", csv),
        ("Text/CSV, */*", csv),
        ("text/csv, application/json;q=0.5", csv),
        ("text/csv;q=0.2, application/json;q=0.5", "application/json"),
        (&format!("text/csv;q=0.5, {XLSX}"), XLSX),
        (&format!("text/csv;q=0, {XLSX};q=0.1"), XLSX),
        ("application/json;q=0, */*", csv),
    ] {
        assert_eq!(form(accept), expected, "{accept}");
    }
    for accept in ["application/pdf", "text/html", "application/vnd.ms-excel"] {
        w.owner.with("Accept", accept).get("/invoices").refused(406, "not_acceptable");
    }
    let xlsx = w.owner.get("/invoices?format=xlsx");
    assert_eq!(xlsx.header("content-disposition"), Some("attachment; filename=\"invoices.xlsx\""));
    assert_eq!(
        w.owner.with("Accept", CSV).get("/invoices?format=json").header("content-type"),
        Some("application/json")
    );
    let marked = w.owner.get("/invoices?format=csv&bom=true");
    assert!(marked.text().starts_with("\u{FEFF}id,kind,status,number,"), "{marked:?}");
    let head = w.owner.head("/invoices?format=csv");
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, Some(csv), 0));
}

#[test]
fn what_is_of_pages_is_not_asked_of_a_table() {
    let w = World::new();
    w.invoice_draft(w.buyer().create().id(), w.series("invoice").id()).create();
    for format in ["csv", "xlsx"] {
        for (query, wrong) in [
            ("limit=1", "limit format"),
            ("count=exact", "count format"),
            ("fields=number", "fields format"),
            ("expand=customer", "expand format"),
        ] {
            let answer = w.owner.get(&format!("/invoices?format={format}&{query}"));
            answer.refused(400, "parameter_invalid");
            assert_eq!(answer.wrong(), [wrong]);
        }
    }
    assert_eq!(w.owner.get("/invoices?format=pdf").wrong(), ["format enum"]);
}

#[test]
fn a_long_list_takes_no_memory() {
    const ROWS: usize = 20_001;
    const GROWTH_MAX: u64 = 12 << 20;
    let database = scratch_database();
    found(&database.url, 1);
    // Notes that do not shrink to nothing when they are packed.
    let others = format!(
        "insert into customers (organization_id, id, kind, name, tax_scheme, currency, language, notes, created_at, updated_at)
         select id, gen_random_uuid(), 'company', 'Customer ' || number, 'none', 'PLN', 'pl', repeat(md5(number::text), 20),
             now(), now()
         from organizations, generate_series(2, {ROWS}) number"
    );
    connection(&database.url).batch_execute(&others).unwrap();
    let server = Process::serve(&database.url);
    let owner = owner_at(&server);
    // Everything has been in use once.
    for format in ["csv", "xlsx"] {
        assert_eq!(owner.get(&format!("/customers?name[prefix]=customer%2077&format={format}")).status, 200);
    }
    server.forget_peak();
    let before = server.memory("VmRSS");
    let answer = owner.get("/customers?sort=name&format=csv");
    assert!(answer.body.len() > 14_000_000, "{}", answer.body.len());
    let (_, rows) = csv_of(&answer);
    assert_eq!(rows.len(), ROWS);
    assert!(rows.iter().zip(&rows[1..]).all(|(one, next)| one[0] != next[0]));
    let (_, rows) = xlsx_of(&owner.get("/customers?sort=name&format=xlsx"));
    assert_eq!(rows.len(), ROWS);
    let growth = server.memory("VmHWM").saturating_sub(before);
    println!("{} MiB before, and {} MiB more at most", before >> 20, growth >> 20);
    assert!(growth < GROWTH_MAX, "{growth} bytes more");
}
