//! `/search`: who finds which records, by what they type.

use crate::support::{Client, Plans, Record, Server, World, count, execute, now, scratch_database, text_rows};
use diesel::connection::SimpleConnection;
use opiekun_persistence::search::{self, Reindexed};
use opiekun_persistence::{Db, migrate};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a search finds, the best first: types and titles.
fn found(who: &Client, query: &str) -> Vec<String> {
    let of_hit = |hit: &Value| format!("{} {}", hit["type"].as_str().unwrap(), hit["title"].as_str().unwrap());
    hits(who, query).iter().map(of_hit).collect()
}

fn hits(who: &Client, query: &str) -> Vec<Value> {
    let (text, rest) = query.split_once('&').unwrap_or((query, ""));
    let answer = who.get(&format!("/search?q={}&{rest}", encoded(text))).expect(200);
    answer["items"].as_array().unwrap().clone()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A customer with a person, and something of each kind.
struct Bakery {
    w: World,
    customer: Record,
    person: Record,
}

fn bakery() -> Bakery {
    let w = World::new();
    let customer = w
        .buyer()
        .with("name", "Piekarnia Złoty Kłos Kowalscy sp. z o.o.")
        .with("short_name", "Złoty Kłos")
        .with("tax_id", json!({ "scheme": "nip", "country": "PL", "number": "5260001246" }))
        .with("phone", "+48221234567")
        .with("notes", "Wypieka chleb na zakwasie.")
        .create();
    let person = w
        .person(customer.id())
        .with("full_name", "Żaneta Łącka-Müller")
        .with("phone", "+48600100200")
        .with("email", "zaneta@klos.example")
        .create();
    Bakery { w, customer, person }
}

#[test]
fn a_customer_is_found_by_any_part_of_its_name_as_it_is_typed() {
    let Bakery { w, .. } = bakery();
    let bakery = "customer Piekarnia Złoty Kłos Kowalscy sp. z o.o.";
    for text in [
        "piek",
        "Piekarnia",
        "PIEKARNIĘ",
        "zloty klos",
        "klos zloty",
        "złotym kłosem",
        "kowalscy piekarni",
        "zł",
        "kło",
    ] {
        assert_eq!(found(&w.owner, text), [bakery], "{text}");
    }
    for text in ["cukiernia", "piekarnia cukiernia", "iekarnia"] {
        assert_eq!(found(&w.owner, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn whoever_calls_is_found_by_the_number_in_any_spelling() {
    let Bakery { w, customer, person } = bakery();
    for text in [
        "600100200",
        "600 100 200",
        "600-100-200",
        "+48 600 100 200",
        "0048600100200",
        "(48) 600100200",
        "tel. 600 100 200",
        "600 100",
    ] {
        let hits = hits(&w.owner, text);
        assert_eq!(hits.len(), 1, "{text}: {hits:?}");
        assert_eq!(hits[0]["id"], person.id(), "{text}");
        assert_eq!(hits[0]["customer"], json!({ "id": customer.id(), "name": "Złoty Kłos" }));
    }
    for text in [
        "22 123 45 67",
        "0221234567",
        "5260001246",
        "526-000-12-46",
        "PL 5260001246",
        "PL5260001246",
        "NIP 526 000 12 46",
        "52600",
    ] {
        let hits = hits(&w.owner, text);
        assert_eq!(hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect::<Vec<_>>(), [customer.id()], "{text}");
        assert_eq!(hits[0]["subtitle"], "5260001246, Pruszków");
    }
    assert_eq!(found(&w.owner, "600100201"), Vec::<String>::new());
}

#[test]
fn a_name_is_found_without_its_diacritics() {
    let Bakery { w, .. } = bakery();
    for text in ["zaneta lacka", "Łącka", "lack", "muller", "MÜLLER żaneta", "zaneta@klos.example"] {
        assert_eq!(found(&w.owner, text), ["person Żaneta Łącka-Müller"], "{text}");
    }
}

#[test]
fn whose_matter_it_is_may_be_asked_with_what_it_is_about() {
    let Bakery { w, customer, .. } = bakery();
    let other = w.buyer().with("name", "Leasing Polska S.A.").with("short_name", Value::Null).create();
    w.thread("Leasing pieca").with("customer_id", customer.id()).create();
    w.task("Wysłać umowę").with("customer_id", customer.id()).with("description", "Leasing na 3 lata").create();
    w.interaction(customer.id()).with("subject", "Pyta o leasingi").create();
    w.opportunity(customer.id()).with("title", "Leasing mieszałki").create();
    w.thread("Leasing wózka").with("customer_id", other.id()).create();
    w.task("Leasing drukarki").create();
    let all =
        ["interaction Pyta o leasingi", "opportunity Leasing mieszałki", "task Wysłać umowę", "thread Leasing pieca"];
    for text in
        ["leasing Złoty Kłos", "złotego kłosa leasing", "Żaneta leasing", "Łącka leas", "piekarnia kowalscy leasingu"]
    {
        let mut found = found(&w.owner, text);
        found.sort();
        assert_eq!(found, all, "{text}");
    }
    assert_eq!(found(&w.owner, "złoty kłos leasing&types=task"), ["task Wysłać umowę"]);
    assert_eq!(found(&w.owner, "złoty kłos leasing mieszałki"), ["opportunity Leasing mieszałki"]);
    // Who is called like a matter is asked with another word as well.
    assert_eq!(found(&w.owner, "leasing wózka")[0], "thread Leasing wózka");
    assert_eq!(found(&w.owner, "leasing polska wózek"), ["thread Leasing wózka"]);
    assert_eq!(found(&w.owner, "złoty kłos drukarka"), Vec::<String>::new());
    let of_the_customer = hits(&w.owner, "leasing Złoty Kłos");
    assert!(of_the_customer.iter().all(|hit| hit["customer"]["id"] == customer.id()), "{of_the_customer:#?}");
    // Whoever is called by all words has records that say one of them.
    assert_eq!(found(&w.owner, "złoty piec&types=thread"), ["thread Leasing pieca"]);
    assert_eq!(found(&w.owner, "leasing polska&types=thread"), ["thread Leasing wózka"]);
    // What has all words itself comes first.
    w.thread("Złoty Kłos: leasing").create();
    assert_eq!(found(&w.owner, "leasing Złoty Kłos")[0], "thread Złoty Kłos: leasing");
    assert_eq!(found(&w.owner, "leasing Złoty Kłos").len(), 5);
    w.interaction(other.id()).with("subject", "Telefon").with("description", "Leasing jak Złoty Kłos").create();
    assert_eq!(found(&w.owner, "leasing Złoty Kłos")[1], "interaction Telefon");
}

#[test]
fn who_works_for_whom_may_be_asked_together() {
    let Bakery { w, .. } = bakery();
    w.buyer().with("name", "Żaneta Moda").with("short_name", Value::Null).create();
    for text in ["Żaneta Kłos", "kłos łącka", "piekarnia żaneta", "żaneta piek"] {
        let found = found(&w.owner, text);
        assert_eq!(
            found,
            ["person Żaneta Łącka-Müller", "customer Piekarnia Złoty Kłos Kowalscy sp. z o.o."],
            "{text}"
        );
    }
    assert_eq!(found(&w.owner, "Żaneta Kłos&types=person"), ["person Żaneta Łącka-Müller"]);
    assert_eq!(found(&w.owner, "Żaneta Łącka"), ["person Żaneta Łącka-Müller"]);
}

#[test]
fn of_many_who_are_called_alike_the_one_with_the_matter_is_found() {
    let w = World::new();
    let first = w.buyer().with("name", "Kowalski Dachy").create();
    w.thread("Fotowoltaika").with("customer_id", first.id()).create();
    for number in 1..=12 {
        w.buyer().with("name", format!("Kowalski {number}")).create();
    }
    assert_eq!(found(&w.owner, "kowalski fotowoltaika"), ["thread Fotowoltaika"]);
}

#[test]
fn a_word_that_says_nothing_yet_is_the_beginning_of_another() {
    let Bakery { w, customer, .. } = bakery();
    w.task("Doradztwo podatkowe").with("customer_id", customer.id()).create();
    for text in ["kłos do", "kłos dor", "kłos doradztwo"] {
        assert!(found(&w.owner, text).contains(&"task Doradztwo podatkowe".to_owned()), "{text}");
    }
    assert_eq!(found(&w.owner, "kłos do")[0], "customer Piekarnia Złoty Kłos Kowalscy sp. z o.o.");
}

#[test]
fn what_a_customer_is_called_by_elsewhere_is_that_customer() {
    let w = World::new();
    let tax_id = |number: &str| json!({ "scheme": "nip", "country": "PL", "number": number });
    w.buyer().with("name", "Inny").with("tax_id", tax_id("9991186759")).create();
    w.buyer().with("name", "Obcy").with("external_id", "KH-9911").create();
    assert_eq!(found(&w.owner, "KH-9911"), ["customer Obcy"]);
    assert_eq!(found(&w.owner, "kh-99"), ["customer Obcy"]);
    assert_eq!(found(&w.owner, "nip9991186759"), ["customer Inny"]);
}

#[test]
fn tax_numbers_of_other_countries_are_found_as_they_are_written() {
    let w = World::new();
    for (name, country, number) in
        [("Brugge", "BE", "0403170701"), ("Utrecht", "NL", "123456789B01"), ("Cork", "IE", "1234567FA")]
    {
        let tax_id = json!({ "scheme": "eu_vat", "country": country, "number": number });
        w.buyer().with("name", name).with("tax_id", tax_id).create();
        for text in [number.to_owned(), format!("{country}{number}"), number.to_lowercase()] {
            assert_eq!(found(&w.owner, &text), [format!("customer {name}")], "{text}");
        }
    }
    assert_eq!(found(&w.owner, "BE 0403 170 701"), ["customer Brugge"]);
}

#[test]
fn what_the_caller_may_not_see_hides_nothing() {
    let w = World::new();
    let article = w.article("Przepełnienie ważne").with("status", "published").create();
    let customer = w.buyer().with("name", "Przepełnienie Teatr").create();
    let file = w.file("przepełnienie.txt", b"of all");
    let task = w.task("Rozliczenie").with("customer_id", customer.id()).create();
    let subject = json!({ "type": "task", "id": task.id() });
    w.owner.post("/attachments", json!({ "file_id": file.id(), "subject": subject })).expect(201);
    for _ in 0..51 {
        w.article("Przepełnienie").with("status", "published").with("valid_until_on", "2026-01-01").create();
        w.file("przepełnienie.txt", b"of the one who sent it");
    }
    let of_files = hits(&w.api_key(&["crm:read"]), "przepełnienie&types=file&limit=1");
    assert_eq!(of_files[0]["id"], file.id());
    w.article("Przepełnienie kwiatowe").with("status", "archived").create();
    let shown = hits(&w.owner, "przepełnienie&types=article&limit=1");
    assert_eq!(shown[0]["id"], article.id());
    // A word that is being typed, and that only what is not shown has.
    assert_eq!(found(&w.owner, "przepełnienie kw&types=customer,article").len(), 2);
}

#[test]
fn who_is_first_is_first_of_any_number() {
    let w = World::new();
    w.buyer().with("name", "Zenobia Malicka").create();
    for number in 0..25 {
        w.buyer().with("name", format!("Zenobia Kos {number}")).create();
    }
    for limit in [1, 5, 50] {
        let first = |text: &str| found(&w.owner, &format!("{text}&limit={limit}"))[0].clone();
        assert_eq!(first("zenobia ma"), "customer Zenobia Malicka");
        assert_eq!(first("zenobia mal"), "customer Zenobia Malicka");
        assert_eq!(first("zenobia"), found(&w.owner, "zenobia&limit=50")[0]);
    }
}

#[test]
fn articles_are_found_by_what_their_readers_see() {
    let w = World::new();
    let body = "Tekst <span title=\"ukryty\">widoczny</span> rower < bok > cel.\n\n<!-- uwaga\nredakcji -->\n\n\
        <script>skrypt()</script>\n\n<https://strona.example/adres>\n\n\
        Pole `<KodUrzedu>` i przychód <limit roczny…\n\n> Koniec <!-- druga --> zdania.";
    let article = w.article("Jak pisać").with("body", body).with("status", "published").create();
    for text in ["widoczny", "bok cel", "strona adres", "koniec zdania", "KodUrzedu", "limit roczny"] {
        assert_eq!(found(&w.owner, text), ["article Jak pisać"], "{text}");
    }
    for text in ["ukryty", "span", "uwaga", "redakcji", "skrypt", "druga"] {
        assert_eq!(found(&w.owner, text), Vec::<String>::new(), "{text}");
    }
    let path = format!("/articles/{}", article.id());
    w.owner.at(1).patch(&path, json!({ "status": "archived" })).expect(200);
    assert_eq!(found(&w.owner, "widoczny"), Vec::<String>::new());
    assert_eq!(found(&w.owner, "widoczny&include_archived=true"), ["article Jak pisać"]);
}

#[test]
fn every_kind_of_record_is_found_with_its_customer() {
    let Bakery { w, customer, .. } = bakery();
    let thread = w.thread("Reklamacja pieca").with("customer_id", customer.id()).create();
    let task = w.task("Odpisać na reklamację").with("customer_id", customer.id()).create();
    let interaction = w
        .interaction(customer.id())
        .with("subject", "Telefon")
        .with("description", "Pyta o <b>reklamacje</b> & zwrot")
        .create();
    let sale = w.opportunity(customer.id()).with("title", "Piec po reklamacji").create();
    let file = w.file("reklamacja_2026.pdf", b"Reklamacja pieca");
    let article = w.article("Jak przyjąć reklamację").with("status", "published").create();
    let all = hits(&w.owner, "reklamacja");
    let types: Vec<&str> = all.iter().map(|hit| hit["type"].as_str().unwrap()).collect();
    assert_eq!(types.len(), 6, "{all:#?}");
    for (kind, id) in [
        ("thread", thread.id()),
        ("task", task.id()),
        ("interaction", interaction.id()),
        ("opportunity", sale.id()),
        ("file", file.id()),
        ("article", article.id()),
    ] {
        let hit = all.iter().find(|hit| hit["type"] == kind).unwrap();
        assert_eq!(hit["id"], id);
        let is_about_nobody = matches!(kind, "file" | "article");
        assert_eq!(hit["customer"]["name"], if is_about_nobody { Value::Null } else { json!("Złoty Kłos") }, "{kind}");
    }
    // What is called so comes before what only speaks of it.
    assert_eq!(types.last(), Some(&"interaction"), "{all:#?}");
    assert_eq!(types[0], "thread", "{all:#?}");
    assert_eq!(all.last().unwrap()["excerpt"], "Pyta o &lt;b&gt;<mark>reklamacje</mark>&lt;/b&gt; &amp; zwrot");
    assert_eq!(found(&w.owner, "reklamacje&types=task,file").len(), 2);
    assert_eq!(hits(&w.owner, "reklamacje&limit=3").len(), 3);
    w.owner.get("/search?q=a&types=horse").refused(400, "parameter_invalid");
    w.owner.get("/search").refused(400, "parameter_invalid");
}

#[test]
fn an_invoice_is_found_by_its_number() {
    let w = World::new();
    let customer = w.buyer().name("Odbiorca").create();
    let draft = w.invoice_draft(customer.id(), w.number_series().create().id()).create();
    assert_eq!(found(&w.owner, "FV&types=invoice"), Vec::<String>::new());
    let invoice = w.issue(&draft, &now().date_naive().to_string());
    let number = invoice["number"].as_str().unwrap();
    let without_letters = number.split_once('/').unwrap().1;
    let shorter = &number[..number.len() - 3];
    let small = number.to_lowercase();
    for text in [number, without_letters, shorter, small.as_str(), &format!("faktura {number}")] {
        let hits = hits(&w.owner, text);
        assert_eq!(hits.len(), 1, "{text}: {hits:?}");
        assert_eq!(hits[0]["id"], invoice.id(), "{text}");
        assert_eq!(hits[0]["customer"]["name"], "Odbiorca");
    }
    let reader = w.operator("viewer", "none", None);
    assert_eq!(found(&reader, number), Vec::<String>::new());
    assert_eq!(hits(&w.operator("viewer", "read", None), number).len(), 1);
}

#[test]
fn the_exact_comes_first_and_the_new_before_the_old() {
    let w = World::new();
    for name in ["Banknot Kantor", "Bank Spółdzielczy w Jaśle", "Bank"] {
        w.customer().name(name).create();
    }
    assert_eq!(
        found(&w.owner, "bank"),
        ["customer Bank", "customer Bank Spółdzielczy w Jaśle", "customer Banknot Kantor"]
    );
    let customer = w.customer().name("Inny").create();
    for (subject, started_at) in
        [("Spotkanie dawne", "2021-01-10T10:00:00Z"), ("Spotkanie nowe", "2026-11-20T10:00:00Z")]
    {
        w.interaction(customer.id()).with("subject", subject).with("started_at", started_at).create();
    }
    assert_eq!(found(&w.owner, "spotkanie"), ["interaction Spotkanie nowe", "interaction Spotkanie dawne"]);
}

#[test]
fn nothing_of_another_organization_is_found() {
    let Bakery { w, .. } = bakery();
    w.article("Chleb na zakwasie").with("status", "published").create();
    w.file("chleb.txt", b"Chleb");
    let stranger = World::new();
    for text in ["piekarnia", "600100200", "5260001246", "chleb", "ch"] {
        assert_eq!(found(&stranger.owner, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(found(&w.owner, "chleb").len(), 3);
}

#[test]
fn each_kind_is_found_by_those_who_may_read_it() {
    let Bakery { w, .. } = bakery();
    w.article("Chleb").with("status", "published").create();
    w.article("Chleb jutro").create();
    w.file("chleb.txt", b"Chleb");
    let found = |scopes: &[&str], text: &str| found(&w.api_key(scopes), text);
    let bakery = "customer Piekarnia Złoty Kłos Kowalscy sp. z o.o.";
    assert_eq!(found(&["crm:read"], "chleb"), [bakery]);
    assert_eq!(found(&["knowledge:read"], "chleb"), ["article Chleb"]);
    assert_eq!(found(&["knowledge:read", "knowledge:write"], "chleb"), ["article Chleb", "article Chleb jutro"]);
    assert_eq!(found(&["billing:read"], "chleb"), Vec::<String>::new());
    assert_eq!(found(&["billing:read"], "chleb&types=customer,article"), Vec::<String>::new());
    assert_eq!(found(&["crm:read"], "600100200").len(), 1);
    assert_eq!(found(&["knowledge:read"], "600100200"), Vec::<String>::new());
}

#[test]
fn a_change_is_found_at_once_and_what_was_is_not() {
    let Bakery { w, customer, person } = bakery();
    let change = |path: &str, version: i64, body: Value| w.owner.at(version).patch(path, body).expect(200);
    change(
        &format!("/customers/{}", customer.id()),
        1,
        json!({ "name": "Ciastkarnia", "short_name": null, "phone": null }),
    );
    assert_eq!(found(&w.owner, "ciastkarnia"), ["customer Ciastkarnia"]);
    assert_eq!(found(&w.owner, "piekarnia"), Vec::<String>::new());
    assert_eq!(found(&w.owner, "221234567"), Vec::<String>::new());
    // What tells nothing of its words leaves them as they are.
    change(&format!("/people/{}", person.id()), 1, json!({ "consents": [] }));
    assert_eq!(found(&w.owner, "lacka").len(), 1);
    let article = w.article("Zakwas").create();
    change(&format!("/articles/{}", article.id()), 1, json!({ "status": "published" }));
    assert_eq!(found(&w.api_key(&["knowledge:read"]), "zakwas"), ["article Zakwas"]);
    change(&format!("/articles/{}", article.id()), 2, json!({ "status": "archived" }));
    assert_eq!(found(&w.api_key(&["knowledge:read"]), "zakwas"), Vec::<String>::new());
    let task = w.task("Odebrać mąkę").create();
    w.owner.at(1).delete(&format!("/tasks/{}", task.id())).expect(204);
    assert_eq!(found(&w.owner, "mąka"), Vec::<String>::new());
}

#[test]
fn an_archived_customer_is_found_when_it_is_asked_for() {
    let Bakery { w, customer, .. } = bakery();
    w.owner.post(&format!("/customers/{}/archival", customer.id()), json!({})).expect(200);
    assert_eq!(found(&w.owner, "piekarnia"), Vec::<String>::new());
    assert_eq!(found(&w.owner, "piekarnia&include_archived=true").len(), 1);
    w.owner.delete(&format!("/customers/{}/archival", customer.id()));
    assert_eq!(found(&w.owner, "piekarnia").len(), 1);
}

#[test]
fn of_an_erased_person_no_word_is_left() {
    let Bakery { w, person, .. } = bakery();
    w.owner.at(1).delete(&format!("/people/{}/personal-data", person.id())).expect(204);
    for text in ["zaneta", "lacka", "600100200", "muller"] {
        assert_eq!(found(&w.owner, text), Vec::<String>::new(), "{text}");
    }
    for table in ["search_entries", "searched_records"] {
        assert_eq!(count(&format!("{table} where record_id = '{}'", person.id())), 0, "{table}");
    }
}

#[test]
fn what_is_deleted_or_fails_leaves_nothing() {
    let w = World::new();
    let file = w.file("umowa.txt", b"Umowa");
    assert_eq!(found(&w.owner, "umowa"), ["file umowa.txt"]);
    w.owner.at(1).delete(&format!("/files/{}", file.id())).expect(204);
    w.task("").send().wrong();
    assert_eq!(w.count("search_entries"), 0);
    assert_eq!(w.count("searched_records"), 0);
}

#[test]
fn hostile_texts_are_texts() {
    let Bakery { w, .. } = bakery();
    for text in [
        "'",
        "\"",
        "\\",
        "&|!():*",
        "<->",
        "%_",
        "a' or 1=1 --",
        "…",
        "🙂",
        "--",
        "#600100200",
        "~zl",
        ":A",
        "'zloty':A",
    ] {
        w.owner.get(&format!("/search?q={}", encoded(text))).expect(200);
    }
    let long = "ą".repeat(200);
    assert_eq!(hits(&w.owner, &long), Vec::<Value>::new());
}

/// Everything that the organization's records are found by.
fn index(w: &World) -> Vec<Option<String>> {
    let of = format!("where organization_id = '{}'", w.organization_id);
    let mut rows =
        text_rows(&format!("select (word, kind, place, record_id)::text from search_entries {of} order by 1"));
    rows.extend(text_rows(&format!(
        "select (kind, record_id, title_words, words)::text from searched_records {of} order by 1"
    )));
    rows
}

#[test]
fn an_index_that_is_made_anew_is_the_one_that_was_kept() {
    let Bakery { w, customer, .. } = bakery();
    w.thread("Sprawa").with("tags", json!(["pilne"])).create();
    w.interaction(customer.id()).with("outcome", "Oddzwonić jutro").create();
    w.article("Artykuł").with("status", "published").create();
    w.opportunity(customer.id()).with("title", "Sprzedaż").create();
    w.file("plik.txt", b"Plik");
    let task = w.task("Zadanie").create();
    w.owner.at(1).patch(&format!("/tasks/{}", task.id()), json!({ "title": "Inne zadanie" })).expect(200);
    let kept = index(&w);
    assert!(kept.len() > 40, "{kept:?}");
    let scope = w.write(|tx| Ok(tx.scope));
    let reindex = || search::reindex(w.db(), scope, now).unwrap();
    assert_eq!(reindex(), Reindexed { articles: 1, records: 8 });
    assert_eq!(index(&w), kept);
    // As it is after an update from a version that kept none.
    for table in ["search_entries", "searched_records"] {
        execute(&format!("delete from {table} where organization_id = '{}'", w.organization_id)).unwrap();
    }
    execute(&format!("update organizations set search_version = 0 where id = '{}'", w.organization_id)).unwrap();
    assert!(search::outdated(w.db()).unwrap().contains(&w.organization_id));
    reindex();
    assert_eq!(index(&w), kept);
    assert!(!search::outdated(w.db()).unwrap().contains(&w.organization_id));
}

#[test]
fn words_are_found_in_every_form_and_beside_any_sign() {
    let w = World::new();
    for title in [
        "Podatek zqa",
        "Wniosek zqb",
        "Dzień zqc",
        "Pracownik zqd",
        "Kontrahent zqe",
        "Spółka zqf",
        "Opłata zqg",
        "Błąd zqh",
        "🔥Pilne: korekta zqi",
        "Wpłata 1500€ zqj",
        "Lipowa→Kwiatowa zqk",
        "Faktura №5567 zql",
        "Dom m²Biuro zqm",
    ] {
        w.task(title).create();
    }
    for query in [
        "podatku zqa",
        "zqa podatkami",
        "wniosków zqb",
        "dni zqc",
        "pracownicy zqd",
        "kontrahencie zqe",
        "spółce zqf",
        "opłacie zqg",
        "błędy zqh",
        "pilnej zqi",
        "wpłaty 1500 zqj",
        "kwiatowa zqk",
        "5567 zql",
        "biuro zqm",
    ] {
        assert_eq!(found(&w.owner, query).len(), 1, "{query}");
    }
    // However many other forms and longer words there are.
    let forms =
        ["faktur", "faktura", "fakturach", "fakturami", "fakturę", "fakturce", "fakturowe", "fakturownia", "faktury"];
    for (number, form) in forms.iter().cycle().take(60).enumerate() {
        w.thread(&format!("{form} {number}")).create();
        w.customer().name(&format!("{form} {number}")).create();
    }
    w.task("Faktury za prąd zqn").create();
    for query in ["faktura zqn", "zqn faktura", "fakturę zqn", "zqn faktu"] {
        assert_eq!(found(&w.owner, query).len(), 1, "{query}");
    }
    let person = w.customer().name("Krawiec i Kozioł").create();
    for query in ["Krawca", "Kozła i Krawca", "krawcem"] {
        assert_eq!(
            w.owner.get(&format!("/search?q={}&limit=1", encoded(query))).expect(200)["items"][0]["id"],
            person["id"],
            "{query}"
        );
    }
}

#[test]
fn hits_stay_while_a_search_is_typed() {
    let w = World::new();
    let company = w
        .customer()
        .name("Pralnia \"Megafon\" sp. z o.o.")
        .with("email", "biuro@megafon.example")
        .with("phone", "+48616054588")
        .create();
    let spaced = w.customer().name("Sowa Sp. z o. o.").create();
    let whole = w.customer().name("Kruk spółka z ograniczoną odpowiedzialnością").create();
    let task = w.task("Zamknięcie miesiąca 10/2026").create();
    for (text, record) in [
        ("biuro@megafon.example", &company),
        ("616054588", &company),
        ("+48 616 054 588", &company),
        ("Zamknięcie miesiąca 10/2026", &task),
        ("Pralnia Megafon sp. z o.o.", &company),
    ] {
        // Of what is not in a title four letters are expected.
        let least = if text.contains('@') { 4 } else { 2 };
        let typed = |end: usize| text[..end].chars().filter(|letter| letter.is_alphanumeric()).count();
        for (end, _) in text.char_indices().filter(|(end, _)| typed(*end) >= least) {
            let found = w.owner.get(&format!("/search?q={}", encoded(&text[..end]))).expect(200).items();
            assert!(found.iter().any(|hit| hit["id"] == record["id"]), "{}", &text[..end]);
        }
    }
    for (text, record) in [
        ("pralnia megafon sp zoo", &company),
        ("megafon spzoo", &company),
        ("megafon spółka z ograniczoną odpowiedzialnością", &company),
        ("6054588", &company),
        ("sowa sp. z o.o.", &spaced),
        ("sowa sp zoo", &spaced),
        ("kruk sp. z o.o.", &whole),
    ] {
        let found = w.owner.get(&format!("/search?q={}&limit=3", encoded(text))).expect(200).items();
        assert!(found.iter().any(|hit| hit["id"] == record["id"]), "{text}");
    }
}

#[test]
fn words_are_split_and_folded_as_the_search_does() {
    let text = "Zażółć GĘŚLĄ jaźń – „ÄÖÜ-ß” Šárka/Brno x_y 12,5% a+b P.P.H.U. sp. z o.o. Ś.p. J.Kowalski m.in. 1.2 p.p.huta a..b b.";
    let sql = format!("select array_to_string(words_of('{text}'), ' ')");
    let folded = opiekun_search::words::words(text).into_iter().map(|word| word.folded);
    assert_eq!(text_rows(&sql), [Some(folded.collect::<Vec<_>>().join(" "))]);
    // Whatever stands between two letters, but what is no character, and what no text of ours has.
    let sql = "select array_to_string(words_of('a' || chr(code) || 'b'), ' ') || ' ' || to_hex(code)
        from generate_series(1, 131071) code where code not between 55296 and 57343 and code not in (304, 837)";
    for told in text_rows(sql) {
        let told = told.unwrap();
        let (told, code) = told.rsplit_once(' ').unwrap();
        let letter = u32::from_str_radix(code, 16).ok().and_then(char::from_u32).unwrap();
        let words = opiekun_search::words::words(&format!("a{letter}b"));
        assert_eq!(told.split(' ').count(), words.len(), "U+{code}");
    }
}

#[test]
#[ignore = "loads a million interactions, which takes minutes"]
fn a_million_interactions_are_searched_at_once() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let w = World::within(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let began = Instant::now();
    let mut connection = database.connection();
    connection.batch_execute("create table sentences (n serial, text text)").unwrap();
    for article in include_str!("../knowledge-base/articles.jsonl").lines() {
        let article: Value = serde_json::from_str(article).unwrap();
        for sentence in article["body"].as_str().unwrap().split_inclusive(". ") {
            let text = sentence.replace('\'', "''");
            connection.batch_execute(&format!("insert into sentences (text) values ('{text}')")).unwrap();
        }
    }
    connection.batch_execute(include_str!("search/firm.sql")).unwrap();
    let tables = "search_entries, searched_records, interactions, customers, people";
    connection.batch_execute(&format!("vacuum analyze {tables}")).unwrap();
    println!("loaded in {:.0?}", began.elapsed());
    let server = Server::over(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let owner = w.owner.on(&server);
    let mut all = Vec::new();
    for (name, texts) in [
        ("a rare word", ["klient 777", "zaqwa", "trzeciorzędny", "1234567"]),
        ("a frequent word", ["faktura", "podatek", "umowa", "termin"]),
        ("two letters", ["fa", "pr", "um", "kl"]),
        ("three letters", ["fak", "pod", "pra", "ter"]),
        ("four letters", ["fakt", "poda", "prac", "skła"]),
        ("two frequent words", ["faktura podatek", "umowa pracy", "termin zapłaty", "podatku VAT"]),
        ("frequent words of different matters", ["faktura urlop", "zwolnienie kasa", "leasing ZUS", "rower faktura"]),
        (
            "three words",
            ["termin zapłaty podatku", "umowa o pracę urlop", "faktura korygująca VAT", "zgłoszenie do ZUS"],
        ),
        ("a name", ["Piekarnia 12", "klient 19", "Piekarnia", "ośrodek 5"]),
        ("a name and a matter", ["klient 777 faktura", "umowa klient", "Piekarnia termin zapłaty", "Kowalski podatek"]),
        ("a number", ["600 001 234", "+48 600 019", "6000", "48600000007"]),
    ] {
        let mut times = Vec::new();
        let mut least = usize::MAX;
        for round in 0..9 {
            for text in texts {
                let began = Instant::now();
                let found = hits(&owner, text).len();
                // The first time what is read comes from the disk.
                if round > 0 {
                    times.push(began.elapsed());
                }
                least = least.min(found);
            }
        }
        println!("{name:38} {}  at least {least} hits", spread(&mut times));
        all.extend(times);
    }
    println!("{:38} {}", "all", spread(&mut all));
    assert!(all[all.len() * 95 / 100] < Duration::from_millis(50));
    let Some(mut plans) = Plans::of(&database) else { return };
    let server = Server::over(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let owner = owner.on(&server);
    for text in ["faktura podatek", "fa", "600 001 234", "piekarnia umow"] {
        let (_, read_by) = plans.during(|| hits(&owner, text));
        let scanned: Vec<String> =
            read_by.iter().flat_map(|plan| plan.scanned_tables()).map(|it| it.to_string()).collect();
        let read: u64 = read_by.iter().map(|plan| plan.rows_read()).sum();
        println!("{text}: {} statements, {read} rows", read_by.len());
        assert!(!read_by.is_empty(), "no plan of {text} was logged");
        let grows = ["search_entries", "searched_records", "interactions", "customers", "people", "invoices"];
        assert!(!scanned.iter().any(|table| grows.contains(&table.as_str())), "{text} reads all of {scanned:?}");
        assert!(read < 40_000, "{text} reads {read} rows");
    }
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("median {:>7.1?}, 95 % within {:>7.1?}, most {:>7.1?}", at(50), at(95), at(100))
}
