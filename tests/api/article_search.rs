//! `/articles/search`, `/synonyms`, `/reports/searches-without-result`: who finds what by which question.

use crate::support::{Client, Record, World, now, text_rows};
use opiekun_persistence::search;
use serde_json::{Value, json};

/// The titles of what a question finds, the best first.
fn titles(who: &Client, question: &str) -> Vec<String> {
    let answer = search(who, question);
    answer["items"].as_array().unwrap().iter().map(|it| it["article"]["title"].as_str().unwrap().to_owned()).collect()
}

fn search(who: &Client, question: &str) -> Record {
    who.get(&format!("/articles/search?q={}", encoded(question))).expect(200)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A knowledge base of a few articles.
fn office() -> World {
    let w = World::new();
    for (title, body) in [
        ("Duplikat zagubionej faktury", "Sprzedawca wystawia fakturę ponownie, z wyrazem **DUPLIKAT** i datą."),
        ("Termin wypłaty wynagrodzenia", "Wynagrodzenie jest wypłacane do dziesiątego dnia następnego miesiąca."),
        ("Urlop wypoczynkowy pracownika", "Pracownik ma 20 albo 26 dni urlopu w roku."),
        ("Zwrot nadwyżki podatku VAT", "Urząd skarbowy zwraca nadwyżkę w ciągu 60 dni."),
        ("How to correct an invoice", "A correcting invoice carries what was wrong and what is right."),
    ] {
        let language = if title.starts_with("How") { "en" } else { "pl" };
        w.article(title).with("body", body).with("language", language).with("status", "published").create();
    }
    w
}

#[test]
fn an_everyday_question_finds_its_article() {
    let w = office();
    for (question, title) in [
        ("duplikaty faktur", "Duplikat zagubionej faktury"),
        ("zgubilem fakture", "Duplikat zagubionej faktury"),
        ("dupilkat fkatury", "Duplikat zagubionej faktury"),
        ("kiedy będzie pensja", "Termin wypłaty wynagrodzenia"),
        ("ILE DNI URLOPU MA PRACOWNIK?", "Urlop wypoczynkowy pracownika"),
        ("kiedy skarbówka odda VAT", "Zwrot nadwyżki podatku VAT"),
        ("corrected invoices", "How to correct an invoice"),
    ] {
        assert_eq!(titles(&w.owner, question).first().map(String::as_str), Some(title), "{question}");
    }
}

#[test]
fn only_what_is_published_is_found() {
    let w = World::new();
    let article = w.article("Duplikat faktury").create();
    assert!(titles(&w.owner, "duplikat").is_empty());
    let change =
        |version: i64, body: Value| w.owner.at(version).patch(&format!("/articles/{}", article.id()), body).expect(200);
    change(1, json!({ "status": "published" }));
    assert_eq!(titles(&w.owner, "duplikat"), ["Duplikat faktury"]);
    change(2, json!({ "title": "Kopia rachunku" }));
    assert_eq!(titles(&w.owner, "kopie rachunków"), ["Kopia rachunku"]);
    change(3, json!({ "status": "archived" }));
    assert!(titles(&w.owner, "kopia rachunku").is_empty());
    for table in ["posting_lists", "article_indexes"] {
        assert_eq!(w.count(table), 0, "{table}");
    }
}

#[test]
fn another_organization_finds_nothing_of_it() {
    let w = office();
    let stranger = World::new();
    assert!(titles(&stranger.owner, "duplikat faktury").is_empty());
    assert_eq!(search(&stranger.owner, "duplikat faktury")["near_misses"], json!([]));
    assert!(!titles(&w.owner, "duplikat faktury").is_empty());
}

#[test]
fn an_excerpt_marks_what_was_asked_for_in_whatever_form() {
    let w = office();
    w.article("Kod")
        .with("body", "<img src=x onerror=alert(1)> `<script>` a **paragony** & [b](javascript:x)")
        .with("status", "published")
        .create();
    let excerpt = |question: &str| search(&w.owner, question)["items"][0]["excerpt"].as_str().unwrap().to_owned();
    assert_eq!(
        excerpt("duplikatów faktur"),
        "Sprzedawca wystawia <mark>fakturę</mark> ponownie, z wyrazem <mark>DUPLIKAT</mark> i datą."
    );
    assert_eq!(excerpt("kod paragonu"), "&lt;script&gt; a <mark>paragony</mark> &amp; b");
}

#[test]
fn what_holds_no_longer_is_found_when_it_is_asked_for() {
    let w = World::new();
    w.article("Stawka w 2020 roku").with("status", "published").with("valid_until_on", "2020-12-31").create();
    assert!(titles(&w.owner, "stawki").is_empty());
    let found = w.owner.get("/articles/search?q=stawki&include_expired=true").expect(200);
    assert_eq!(found["items"][0]["article"]["title"], "Stawka w 2020 roku");
}

#[test]
fn a_search_is_narrowed_by_language_and_category() {
    let w = World::new();
    let taxes = w.article_category("Podatki").create();
    let vat = w.article_category("VAT").with("parent_id", taxes.id()).create();
    w.article("Zwrot VAT").with("status", "published").with("category_id", vat.id()).create();
    w.article("Zwrot towaru").with("status", "published").create();
    w.article("Zwrot in English").with("status", "published").with("language", "en").create();
    let found = |query: &str| {
        let items = w.owner.get(&format!("/articles/search?q=zwrot&{query}")).expect(200)["items"].clone();
        let mut titles: Vec<String> =
            items.as_array().unwrap().iter().map(|it| it["article"]["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    };
    assert_eq!(found(""), ["Zwrot VAT", "Zwrot in English", "Zwrot towaru"]);
    assert_eq!(found(&format!("category_id={}", taxes.id())), ["Zwrot VAT"]);
    assert_eq!(found("language=en"), ["Zwrot in English"]);
    assert_eq!(found("limit=1").len(), 1);
}

#[test]
fn an_organization_has_its_own_synonyms() {
    let w = World::new();
    w.article("Odbiór przesyłki konduktorskiej").with("status", "published").create();
    assert!(titles(&w.owner, "bambetle").is_empty());
    let group = w.synonyms(&["przesyłka", "bambetle"]).create();
    assert_eq!(titles(&w.owner, "bambetle"), ["Odbiór przesyłki konduktorskiej"]);
    // Also mistyped.
    assert_eq!(titles(&w.owner, "bamebtle"), ["Odbiór przesyłki konduktorskiej"]);
    let path = format!("/synonyms/{}", group.id());
    w.owner.at(1).patch(&path, json!({ "terms": ["przesyłka", "graty"] })).expect(200);
    assert!(titles(&w.owner, "bambetle").is_empty());
    assert_eq!(titles(&w.owner, "graty"), ["Odbiór przesyłki konduktorskiej"]);
    w.owner.at(2).delete(&path).expect(204);
    assert!(titles(&w.owner, "graty").is_empty());
    let listed = w.owner.get(&format!("/synonyms?term={}", encoded("wynagrodzenie"))).expect(200).items();
    assert!(!listed.is_empty() && listed.iter().all(|group| group["terms"].to_string().contains("wynagrodzenie")));
    assert_eq!(w.synonyms(&["sam"]).send().wrong(), ["/terms minItems"]);
    let refused = w.synonyms(&["płaca", "to", "PLACA"]).send();
    assert_eq!(refused.wrong(), ["/terms/1 says_nothing", "/terms/2 same"]);
}

#[test]
fn what_is_not_answered_is_counted_without_who_asked() {
    let w = office();
    let question = "Czy Jan Kowalski 80010112345 ma hulajnogę w bagażniku?";
    for _ in 0..2 {
        let answer = search(&w.owner, question);
        assert_eq!(answer["items"], json!([]));
    }
    search(&w.owner, "urlop");
    let report = w.owner.get("/reports/searches-without-result").expect(200);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{report:?}");
    assert_eq!(rows[0]["question"], "czy … ma hulajnogę w bagażniku?");
    assert_eq!(rows[0]["searches"], 2);
    w.operator("viewer", "none", None).get("/reports/searches-without-result").refused(403, "scope_missing");
    let table = w.owner.get("/reports/searches-without-result?format=csv").text();
    assert!(table.starts_with("question,searches,last_at\r\nczy … ma hulajnogę w bagażniku?,2,20"), "{table}");
    assert_eq!(w.owner.get("/reports/searches-without-result?to=2020-01-01").expect(200)["rows"], json!([]));
}

#[test]
fn a_question_that_hardly_anything_answers_has_near_misses() {
    let w = office();
    let answer = search(&w.owner, "hulajnoga elektryczna w bagażniku autobusu albo pracownika kolei linowej");
    assert_eq!(answer["items"], json!([]));
    assert_eq!(answer["near_misses"][0]["article"]["title"], "Urlop wypoczynkowy pracownika");
}

#[test]
fn hostile_questions_are_questions() {
    let w = office();
    for question in ["'", "\"", "\\", "&|!():*", "<->", "%_", "a' or 1=1 --", "…", "🙂", "--", "ą".repeat(300).as_str()]
    {
        search(&w.owner, question);
    }
    w.owner.get("/articles/search").refused(400, "parameter_invalid");
}

/// All that articles of an organization are found by, and what misspelt words are compared with.
fn index(w: &World) -> Vec<Option<String>> {
    text_rows(&format!(
        "select concat_ws(' ', quote_literal(term), first_number, encode(postings, 'hex')) from posting_lists where organization_id = '{id}'
         union all
         select concat_ws(' ', word, uses) from search_words where organization_id = '{id}'
         order by 1",
        id = w.organization_id
    ))
}

#[test]
fn an_index_that_is_made_anew_is_the_same() {
    let w = office();
    let article = w.article("Delegacja krajowa").with("body", "Dieta i ryczałt.").with("status", "published").create();
    let gone = w.article("Kilometrówka").with("status", "published").create();
    let change = |id: &str, version: i64, body: Value| {
        w.owner.at(version).patch(&format!("/articles/{id}"), body).expect(200);
    };
    change(article.id(), 1, json!({ "title": "Delegacja zagraniczna", "tags": ["dieta"] }));
    change(gone.id(), 1, json!({ "status": "archived" }));
    w.article("Ryczałt za nocleg").with("body", "Ryczałt, ryczałt i dieta").with("status", "published").create();
    change(gone.id(), 2, json!({ "status": "published", "body": "Stawka za kilometr" }));
    change(article.id(), 2, json!({ "body": "Dieta, ryczałt, nocleg" }));
    let found = titles(&w.owner, "stawka za kilometrówkę");
    let kept = index(&w);
    let scope = w.write(|tx| Ok(tx.scope));
    assert_eq!(search::reindex(w.db(), scope, now).unwrap().articles, 8);
    assert_eq!(index(&w), kept);
    assert_eq!(titles(&w.owner, "stawka za kilometrówkę"), found);
    assert_eq!(found.first().map(String::as_str), Some("Kilometrówka"));
}
