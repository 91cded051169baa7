use crate::support::{Record, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A layout of one's own that says the number and one thing more.
fn source(text: &str) -> String {
    format!(
        "#let invoice = json(\"/data.json\")\n\
         #let (year, month, day) = invoice.dated_on.split(\"-\").map(int)\n\
         #set document(title: text, date: datetime(year: year, month: month, day: day))\n\
         = {text} #invoice.number\n"
    )
    .replace("title: text", "title: \"Invoice\"")
}

impl World {
    /// An invoice of a template that was issued on 31 January 2026.
    fn invoice_of(&self, template: &Record) -> Record {
        self.subscription(template.id(), self.buyer().create().id()).create();
        self.run("issue", "2026-01-31");
        self.invoices().remove(0)
    }

    fn own_layout(&self, name: &str, text: &str) -> Record {
        self.invoice_layout().name(name).with("source", source(text)).create()
    }
}

/// The title of a PDF, which stands in its outline, uncompressed.
fn outline(pdf: &[u8]) -> String {
    let text = String::from_utf8_lossy(pdf);
    let title = text.match_indices("/Title(").map(|(at, head)| &text[at + head.len()..]).next().unwrap();
    title.split_once(')').unwrap().0.to_owned()
}

#[test]
fn a_layout_has_colors_and_labels_unless_told() {
    let w = World::new();
    let layout = w.invoice_layout().create();
    assert_eq!(
        (&layout["source"], &layout["color"], &layout["footer"], &layout["labels"], &layout["is_default"]),
        (&Value::Null, &json!("#0f5c4d"), &Value::Null, &json!("one_language"), &json!(false))
    );
    let change = json!({ "color": "#aa3311", "labels": "both_languages", "footer": "KRS 0000912345" });
    let path = format!("/invoice-layouts/{}", layout.id());
    let changed = w.owner.at(layout.version()).patch(&path, change).expect(200);
    assert_eq!((&changed["color"], &changed["footer"]), (&json!("#aa3311"), &json!("KRS 0000912345")));
}

#[test]
fn a_wrong_layout_is_refused_with_the_line_of_its_error() {
    let w = World::new();
    let answer = w.invoice_layout().with("source", "= Invoice\n\n  #totl").send();
    let problem = answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/source layout"]);
    let wrong = &problem["errors"][0];
    assert_eq!(wrong["detail"], "Line 3, column 4: unknown variable: totl");
    assert_eq!(wrong["params"], json!({ "line": 3, "column": 4 }));
    assert_eq!(w.count("invoice_layouts"), 0);

    let layout = w.own_layout("Own", "Bill");
    let path = format!("/invoice-layouts/{}", layout.id());
    let answer = w.owner.at(layout.version()).patch(&path, json!({ "source": "#read(\"/etc/passwd\")" }));
    answer.refused(422, "validation_failed");
    assert_eq!(w.owner.get(&path).expect(200), layout);
}

#[test]
fn a_layout_that_means_no_good_leaves_the_server_as_it_was() {
    let w = World::new();
    for source in [
        "#for a in range(9000) { for b in range(9000) { for c in range(9000) { } } }",
        "#let it = range(2000000000)",
        "#let it = \"x\"\n#for _ in range(40) { it = it + it }",
        "#while true {}",
        "#let again() = again()\n#again()",
        "#read(\"/etc/passwd\")",
        "#image(\"/proc/self/environ\")",
        "#import \"@preview/cetz:0.3.0\"",
        "#plugin(\"/evil.wasm\")",
        "#read(\"http://127.0.0.1/\")",
    ] {
        let began = Instant::now();
        let answer = w.invoice_layout().with("source", source).send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/source layout"], "{source}");
        assert!(began.elapsed() < Duration::from_secs(35), "{source}: {:?}", began.elapsed());
        w.owner.get("/organization").expect(200);
    }
    assert_eq!(w.count("invoice_layouts"), 0);
}

#[test]
fn an_invoice_looks_as_its_template_says_or_as_is_the_default() {
    let w = World::new();
    let (own, default) = (w.own_layout("Own", "Own"), w.own_layout("Default", "Default"));
    let template = w.invoice_template(w.series("invoice").id()).create();
    let invoice = w.invoice_of(&template);
    let path = format!("/invoices/{}/document", invoice.id());
    let looks = |query: &str| {
        let answer = w.owner.with("Accept", "application/pdf").get(&format!("{path}{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        outline(&answer.body)
    };
    assert_eq!(looks(""), "Faktura VAT");
    assert_eq!(looks(&format!("?layout_id={}", own.id())), "Own i1/01/2026");

    let of_layout = format!("/invoice-layouts/{}", default.id());
    w.owner.at(default.version()).patch(&of_layout, json!({ "is_default": true })).expect(200);
    assert_eq!(looks(""), "Default i1/01/2026");
    let of_template = format!("/invoice-templates/{}", template.id());
    w.owner.at(template.version()).patch(&of_template, json!({ "layout_id": own.id() })).expect(200);
    assert_eq!(looks(""), "Own i1/01/2026");
    let expanded = w.owner.get(&format!("{of_template}?expand=layout")).expect(200);
    assert_eq!(expanded["layout"]["name"], "Own");
    let strange = format!("{path}?layout_id={}", World::new().own_layout("Own", "Strange").id());
    w.owner.with("Accept", "application/pdf").get(&strange).refused(404, "not_found");
}

#[test]
fn a_layout_that_fails_on_an_invoice_says_where() {
    let w = World::new();
    let source = format!("{}#assert(invoice.number != \"FV/1/01/2026\", message: \"not this one\")", source("Own"));
    let layout = w.invoice_layout().with("source", source).with("is_default", true).create();
    let invoice = w.invoice_of(&w.template());
    let path = format!("/invoices/{}/document", invoice.id());
    let problem = w.owner.with("Accept", "application/pdf").get(&path).refused(409, "state_invalid");
    assert_eq!(problem["state"], "layout");
    assert!(
        problem["detail"].as_str().unwrap().contains("Line 5, column 2: assertion failed: not this one"),
        "{problem}"
    );
    // What it says to machines is another matter.
    assert_eq!(w.owner.with("Accept", "application/xml").get(&path).status, 200);
    let of_layout = format!("/invoice-layouts/{}", layout.id());
    w.owner.at(layout.version()).delete(&of_layout);
    assert_eq!(w.owner.with("Accept", "application/pdf").get(&path).status, 200);
}

#[test]
fn one_layout_is_the_default_and_one_that_is_in_use_stays() {
    let w = World::new();
    let first = w.invoice_layout().with("is_default", true).create();
    let answer = w.invoice_layout().name("Second").with("is_default", true).send();
    answer.refused(409, "duplicate");
    assert_eq!(answer.wrong(), ["/is_default duplicate"]);
    let answer = w.invoice_layout().send();
    answer.refused(409, "duplicate");
    assert_eq!(answer.wrong(), ["/name duplicate"]);

    let template = w.invoice_template(w.series("invoice").id()).with("layout_id", first.id()).create();
    assert_eq!(template["layout_id"], first["id"]);
    let path = format!("/invoice-layouts/{}", first.id());
    w.owner.at(first.version()).delete(&path).refused(409, "conflict");
    let nobodys = json!({ "layout_id": template.id() });
    let of_template = format!("/invoice-templates/{}", template.id());
    let answer = w.owner.at(template.version()).patch(&of_template, nobodys);
    answer.refused(422, "reference_not_found");
    assert_eq!(answer.wrong(), ["/layout_id reference_not_found"]);
    w.owner.at(template.version()).patch(&of_template, json!({ "layout_id": null })).expect(200);
    assert_eq!(w.owner.at(first.version()).delete(&path).status, 204);
    assert_eq!(w.count("invoice_layouts"), 0);
}
