//! `/articles`, `/article-categories`: what is written, who reads it, its texts, votes and uses.

use crate::support::{Caller, Record, World, at_once};
use serde_json::{Value, json};

fn path(record: &Record) -> String {
    format!("/articles/{}", record.id())
}

fn change(who: &Caller, article: &Record, body: Value) -> Record {
    let now = who.get(&path(article)).expect(200);
    who.at(now.version()).patch(&path(article), body).expect(200)
}

fn revisions(w: &World, article: &Record) -> Vec<(i64, String, Value)> {
    let rows = w.owner.get(&format!("{}/revisions", path(article))).expect(200).items();
    let told = |row: &Record| {
        (row["number"].as_i64().unwrap(), row["title"].as_str().unwrap().to_owned(), row["restored_from"].clone())
    };
    rows.iter().map(told).collect()
}

#[test]
fn drafts_are_read_by_those_who_write() {
    let w = World::new();
    let draft = w.article("Szkic").create();
    let published = w.article("Gotowy").with("status", "published").create();
    assert_eq!((draft["status"].as_str(), draft["published_at"].is_null()), (Some("draft"), true));
    assert!(published["published_at"].is_string());
    let viewer = w.operator("viewer", "none", None);
    viewer.get(&path(&draft)).refused(404, "not_found");
    viewer.get(&path(&published)).expect(200);
    let seen: Vec<_> = viewer.get("/articles").expect(200).items().iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(seen, [published.id()]);
    assert_eq!(w.owner.get("/articles").expect(200).items().len(), 2);
    viewer.post("/articles", json!({ "title": "x" })).refused(403, "scope_missing");
    // Of its texts they see those with which it was published.
    let once_draft = w.article("Szkic na jutro").create();
    change(&w.owner, &once_draft, json!({ "title": "Na jutro", "status": "published" }));
    let texts = viewer.get(&format!("{}/revisions", path(&once_draft))).expect(200).items();
    assert_eq!(texts.iter().map(|text| text["title"].as_str().unwrap()).collect::<Vec<_>>(), ["Na jutro"]);
    change(&w.owner, &once_draft, json!({ "status": "draft" }));
    // Taken back, it is gone for them again.
    change(&w.owner, &published, json!({ "status": "archived" }));
    viewer.get(&path(&published)).refused(404, "not_found");
}

#[test]
fn a_text_that_was_a_draft_is_a_readers_once_it_is_published() {
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let article = w.article("Pierwszy").create();
    change(&w.owner, &article, json!({ "title": "Drugi" }));
    let published = change(&w.owner, &article, json!({ "status": "published" }));
    assert_eq!(published["revision"], 2);
    let texts = |who: &Caller| who.get(&format!("{}/revisions", path(&article))).expect(200).items();
    let numbers = |who| texts(who).iter().map(|text| text["number"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers(&viewer), [2]);
    let at = texts(&w.owner)[0]["published_at"].clone();
    assert_eq!(at, published["published_at"]);
    assert!(texts(&w.owner)[1]["published_at"].is_null());
    // Neither what is written after it is taken back nor publishing the same again makes it another.
    change(&w.owner, &article, json!({ "status": "draft", "title": "Trzeci" }));
    change(&w.owner, &article, json!({ "title": "Czwarty", "status": "published" }));
    change(&w.owner, &article, json!({ "status": "archived" }));
    change(&w.owner, &article, json!({ "status": "published" }));
    assert_eq!(numbers(&viewer), [4, 2]);
    assert_eq!(texts(&w.owner)[2]["published_at"], at);
}

#[test]
fn what_may_not_be_read_is_not_expanded_either() {
    let w = World::new();
    let (viewer, key) = (w.operator("viewer", "none", None), w.api_key(&["crm:read", "knowledge:read"]));
    let article = w.article("Tajny szkic").create();
    let steps = json!([{ "key": "ask", "title": "Zapytaj", "article_id": article.id() }]);
    let procedure = w.procedure().with("steps", steps).create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    let expanded = |who: &Caller| {
        let steps = who.get(&format!("/procedure-steps?run_id={}&expand=article.category", run.id()));
        let step = steps.expect(200).items().remove(0);
        assert_eq!(step["article_id"], article["id"]);
        step["article"].clone()
    };
    for status in ["draft", "published", "archived"] {
        if status != "draft" {
            change(&w.owner, &article, json!({ "status": status }));
        }
        assert_eq!(expanded(&w.owner)["status"], status);
        for reader in [&viewer, &key] {
            let answer = reader.get(&path(&article));
            let seen = expanded(reader);
            match status {
                "published" => assert_eq!(seen["id"], answer.expect(200)["id"]),
                _ => {
                    answer.refused(404, "not_found");
                    assert!(seen.is_null(), "{seen}");
                }
            }
        }
    }
    // Steps that stand within a record are not expanded.
    for within in [format!("/procedures/{}", procedure.id()), format!("/procedure-runs/{}", run.id())] {
        viewer.get(&format!("{within}?expand=article")).refused(400, "parameter_invalid");
    }
}

#[test]
fn each_text_is_kept_and_can_be_had_again() {
    let w = World::new();
    let article = w.article("Pierwszy").create();
    change(&w.owner, &article, json!({ "title": "Drugi", "body": "Inny" }));
    let after = change(&w.owner, &article, json!({ "status": "published", "valid_until_on": "2027-12-31" }));
    assert_eq!((after["revision"].as_i64(), after["version"].as_i64()), (Some(2), Some(3)));
    let restoration = format!("{}/restoration", path(&article));
    w.owner.at(3).post(&restoration, json!({ "revision": 7 })).refused(422, "reference_not_found");
    w.owner.at(2).post(&restoration, json!({ "revision": 1 })).refused(412, "precondition_failed");
    let restored = w.owner.at(3).post(&restoration, json!({ "revision": 1 })).expect(200);
    assert_eq!((restored["title"].as_str(), restored["body"].as_str()), (Some("Pierwszy"), Some("Tekst.")));
    assert_eq!((restored["status"].as_str(), restored["revision"].as_i64()), (Some("published"), Some(3)));
    assert_eq!(
        revisions(&w, &article),
        [(3, "Pierwszy".into(), json!(1)), (2, "Drugi".into(), Value::Null), (1, "Pierwszy".into(), Value::Null)]
    );
    // The text that it has already is no new one.
    let same = w.owner.at(4).post(&restoration, json!({ "revision": 3 })).expect(200);
    assert_eq!(same["revision"].as_i64(), Some(3));
}

#[test]
fn what_was_published_is_archived_and_not_removed() {
    let w = World::new();
    let draft = w.article("Szkic").create();
    w.owner.at(1).delete(&path(&draft)).expect(204);
    w.owner.get(&path(&draft)).refused(404, "not_found");
    let published = w.article("Gotowy").with("status", "published").create();
    assert_eq!(w.owner.at(1).delete(&path(&published)).refused(409, "state_invalid")["state"], "published");
    w.owner.get(&path(&published)).expect(200);
}

#[test]
fn html_is_text_and_nothing_else() {
    let w = World::new();
    let body =
        "# Zwrot\n\n<script>alert(1)</script>\n\n**60** dni ![x](https://evil.example/x.png) [a](javascript:alert(1))";
    let article = w.article("A <b>").with("body", body).create();
    let answer = w.owner.with("Accept", "text/html").get(&path(&article));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    let html = answer.text();
    assert!(html.contains("<h1>Zwrot</h1>") && html.contains("<strong>60</strong>"), "{html}");
    for part in ["<script", "<img", "evil.example", "javascript:", "A <b>"] {
        assert!(!html.contains(part), "{part}: {html}");
    }
    // Programs that name no type get JSON.
    assert_eq!(w.owner.with("Accept", "*/*").get(&path(&article)).expect(200)["body"], body);
}

#[test]
fn a_page_is_sent_to_those_who_want_one_most() {
    let w = World::new();
    let article = w.article("Zwrot").create();
    let as_page = |accept: &str| {
        let answer = w.owner.with("Accept", accept).get(&path(&article));
        assert_eq!(answer.status, 200, "{answer:?}");
        // The page is another representation: it has not the tag of the JSON.
        let is_page = answer.header("content-type") == Some("text/html; charset=utf-8");
        assert_eq!(answer.header("etag"), (!is_page).then_some("\"1\""), "{accept}");
        is_page
    };
    for accept in [
        "text/html",
        "text/*",
        "application/json;q=0.1, text/html;q=1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html;level=1, application/json;q=0",
    ] {
        assert!(as_page(accept), "{accept}");
    }
    for accept in ["*/*", "application/*", "application/json, text/html", "text/html;q=0.5, application/json", ""] {
        assert!(!as_page(accept), "{accept}");
    }
    let page = w.owner.with("Accept", "text/html").get(&format!("{}?fields=title&expand=category", path(&article)));
    assert_eq!(page.wrong(), ["fields format", "expand format"]);
}

#[test]
fn a_page_is_not_nested_without_end() {
    let w = World::new();
    for (mark, element) in [(">", "<blockquote>"), ("1. ", "<ol>")] {
        let article = w.article("Głęboko").with("body", format!("{}dno", mark.repeat(20_000))).create();
        let html = w.owner.with("Accept", "text/html").get(&path(&article)).text();
        assert_eq!(html.matches(element).count(), 16, "{element}");
        assert!(html.contains("dno"), "{element}");
    }
    let article = w.article("Znaki").with("body", "&#".repeat(49_000)).create();
    let html = w.owner.with("Accept", "text/html").get(&path(&article)).text();
    assert_eq!(html.matches("&amp;#").count(), 49_000);
}

#[test]
fn a_title_shows_something() {
    let w = World::new();
    for nothing in ["", " ", "\u{200b}", "\u{2060} \u{feff}"] {
        assert_eq!(w.article(nothing).send().wrong(), ["/title minLength"], "{nothing:?}");
        assert_eq!(w.article_category(nothing).send().wrong(), ["/name minLength"], "{nothing:?}");
    }
    w.article("…").create();
}

#[test]
fn categories_are_a_tree() {
    let w = World::new();
    let taxes = w.article_category("Podatki").create();
    let vat = w.article_category("VAT").with("parent_id", taxes.id()).create();
    let at = |category: &Record| format!("/article-categories/{}", category.id());
    w.article_category("VAT").with("parent_id", taxes.id()).send().refused(409, "duplicate");
    w.article_category("VAT").create();
    let below = json!({ "parent_id": vat.id() });
    assert_eq!(w.owner.at(1).patch(&at(&taxes), &below).wrong(), ["/parent_id tree"]);
    assert_eq!(w.owner.at(1).patch(&at(&vat), &below).wrong(), ["/parent_id tree"]);
    w.owner.at(1).delete(&at(&taxes)).refused(409, "conflict");
    let article = w.article("Zwrot").with("category_id", vat.id()).create();
    w.owner.at(1).delete(&at(&vat)).refused(409, "conflict");
    let listed = w.owner.get(&format!("/articles?category_id={}&expand=category", vat.id())).expect(200).items();
    assert_eq!((listed[0].id(), &listed[0]["category"]["name"]), (article.id(), &json!("VAT")));
    // Nine within each other are too many.
    let mut parent = vat;
    for depth in 3..=8 {
        parent = w.article_category(&format!("{depth}")).with("parent_id", parent.id()).create();
    }
    assert_eq!(w.article_category("9").with("parent_id", parent.id()).send().wrong(), ["/parent_id tree"]);
}

/// So many within each other, the outermost first.
fn chain(w: &World, name: &str, length: usize) -> Vec<Record> {
    let mut chain: Vec<Record> = Vec::new();
    for depth in 0..length {
        let parent_id = chain.last().map(|parent| parent["id"].clone());
        chain.push(w.article_category(&format!("{name} {depth}")).with("parent_id", json!(parent_id)).create());
    }
    chain
}

#[test]
fn what_is_moved_takes_along_what_is_below_it() {
    let w = World::new();
    let put = |moved: &Record, parent: &Record| {
        let at = format!("/article-categories/{}", moved.id());
        w.owner.with("If-Match", "*").patch(&at, json!({ "parent_id": parent.id() }))
    };
    let (upper, lower) = (chain(&w, "Górny", 5), chain(&w, "Dolny", 4));
    assert_eq!(put(&lower[0], &upper[4]).wrong(), ["/parent_id tree"]);
    put(&lower[0], &upper[3]).expect(200);
    assert_eq!(put(&lower[1], &upper[4]).status, 200);
    assert_eq!(put(&upper[0], &lower[3]).wrong(), ["/parent_id tree"]);
    // Each of two moves fits by itself, both do not: either of them is the one that comes too late.
    for round in 0..4 {
        let parts = ["A", "B", "C"].map(|part| chain(&w, &format!("{part}{round}"), 3));
        let moves = [(&parts[1][0], &parts[0][2]), (&parts[2][0], &parts[1][2])];
        let answers = at_once(2, |index| put(moves[index].0, moves[index].1).status);
        let mut answers: Vec<u16> = answers.into_iter().collect();
        answers.sort_unstable();
        assert_eq!(answers, [200, 422], "{round}");
    }
}

#[test]
fn categories_are_listed_from_the_top_on() {
    let w = World::new();
    let chain = chain(&w, "Podatki", 3);
    let listed = |query: &str| {
        let categories = w.owner.get(&format!("/article-categories?{query}")).expect(200).items();
        categories.iter().map(|it| it.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("parent_id[is_null]=true"), [chain[0].id()]);
    assert_eq!(listed("parent_id[is_null]=false").len(), 2);
    assert_eq!(listed(&format!("parent_id={}", chain[0].id())), [chain[1].id()]);
    assert_eq!(listed("").len(), 3);
}

#[test]
fn readers_are_not_led_to_drafts() {
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    let (draft, gone, open) = (
        w.article("Szkic").create(),
        w.article("Na chwilę").create(),
        w.article("Inny").with("status", "published").create(),
    );
    let ids = json!([draft.id(), gone.id(), open.id()]);
    let article = w.article("Zwrot").with("status", "published").with("related_article_ids", ids).create();
    let seen = |who: &Caller| {
        let found = who.get(&path(&article)).expect(200);
        let listed = who.get("/articles").expect(200).items();
        let listed = listed.iter().find(|it| it.id() == article.id()).unwrap();
        let searched = who.get("/articles/search?q=zwrot").expect(200)["items"][0]["article"].clone();
        assert_eq!(listed["related_article_ids"], found["related_article_ids"]);
        assert_eq!(searched["related_article_ids"], found["related_article_ids"]);
        found["related_article_ids"].clone()
    };
    assert_eq!(seen(&w.owner), json!([draft.id(), gone.id(), open.id()]));
    assert_eq!(seen(&viewer), json!([open.id()]));
    let leading = |who: &Caller, to: &Record| {
        who.get(&format!("/articles?related_article_id={}&count=exact", to.id())).expect(200)["total_count"].clone()
    };
    assert_eq!((leading(&w.owner, &draft), leading(&viewer, &draft)), (json!(1), json!(0)));
    assert_eq!(leading(&viewer, &open), json!(1));
    // What it leads on to goes without it, and who knows its version is sent it whole.
    w.owner.at(1).delete(&path(&gone)).expect(204);
    let after = w.owner.with("If-None-Match", "\"1\"").get(&path(&article)).expect(200);
    assert_eq!(after["related_article_ids"], json!([draft.id(), open.id()]));
    change(&w.owner, &draft, json!({ "status": "published" }));
    assert_eq!(seen(&viewer), json!([draft.id(), open.id()]));
}

#[test]
fn an_article_leads_on_to_others() {
    let w = World::new();
    let (one, two) = (w.article("Jeden").create(), w.article("Dwa").create());
    let three = w.article("Trzy").with("related_article_ids", json!([two.id(), one.id()])).create();
    assert_eq!(three["related_article_ids"], json!([two.id(), one.id()]));
    let leading = w.owner.get(&format!("/articles?related_article_id={}", one.id())).expect(200).items();
    assert_eq!(leading.iter().map(Record::id).collect::<Vec<_>>(), [three.id()]);
    let with = |ids: Value| w.article("x").with("related_article_ids", ids).send();
    assert_eq!(
        with(json!([one.id(), "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa"])).wrong(),
        ["/related_article_ids/1 reference_not_found"]
    );
    let itself = json!({ "related_article_ids": [three.id()] });
    assert_eq!(w.owner.at(1).patch(&path(&three), itself).wrong(), ["/related_article_ids/0 itself"]);
    let none = change(&w.owner, &three, json!({ "related_article_ids": [] }));
    assert_eq!(none["related_article_ids"], json!([]));
}

#[test]
fn an_operator_has_one_vote() {
    let w = World::new();
    let article = w.article("Zwrot").with("status", "published").create();
    let votes = format!("{}/votes", path(&article));
    let voter = w.operator("operator", "none", None);
    voter.post(&votes, json!({ "helpful": true })).expect(200);
    w.owner.post(&votes, json!({ "helpful": true })).expect(200);
    let again = voter.post(&votes, json!({ "helpful": false, "comment": "Stary termin" })).expect(200);
    assert_eq!(again["version"], 2);
    let script = w.api_key(&["knowledge:write"]);
    for _ in 0..2 {
        script.post(&votes, json!({ "helpful": true })).expect(200);
    }
    let now = w.owner.get(&path(&article)).expect(200);
    assert_eq!((now["helpful_votes"].as_i64(), now["unhelpful_votes"].as_i64()), (Some(3), Some(1)));
    assert_eq!(now["version"], article["version"]);
    let against = w.owner.get(&format!("{votes}?helpful=false")).expect(200).items();
    assert_eq!((against.len(), &against[0]["comment"]), (1, &json!("Stary termin")));
    w.operator("viewer", "none", None).post(&votes, json!({ "helpful": true })).refused(403, "scope_missing");
}

#[test]
fn what_an_article_answered_is_noted_once() {
    let w = World::new();
    let article = w.article("Zwrot").with("status", "published").create();
    let call = w.interaction(w.customer().create().id()).create();
    let uses = format!("{}/uses", path(&article));
    let body = json!({ "interaction_id": call.id() });
    w.owner.post(&uses, &body).expect(200);
    w.owner.post(&uses, &body).refused(409, "duplicate");
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 1);
    let nothing = json!({ "interaction_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" });
    assert_eq!(w.owner.post(&uses, nothing).wrong(), ["/interaction_id reference_not_found"]);
    w.owner.delete(&format!("{uses}?interaction_id={}", call.id())).expect(204);
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 0);
    w.owner.post(&uses, &body).expect(200);
    // It goes with the interaction.
    w.owner.at(1).delete(&format!("/interactions/{}", call.id())).expect(204);
    assert_eq!(w.owner.get(&path(&article)).expect(200)["uses"], 0);
    assert!(w.owner.get(&uses).expect(200).items().is_empty());
}

#[test]
fn what_an_article_answered_is_for_those_who_read_interactions() {
    let w = World::new();
    let article = w.article("Zwrot").with("status", "published").create();
    let call = w.interaction(w.customer().create().id()).create();
    let uses = format!("{}/uses", path(&article));
    let body = json!({ "interaction_id": call.id() });
    let scripts = w.api_key(&["knowledge:read", "knowledge:write"]);
    let gone = format!("{uses}?interaction_id={}", call.id());
    for refused in [scripts.post(&uses, &body), scripts.get(&uses), scripts.delete(&gone)] {
        assert_eq!(refused.refused(403, "scope_missing")["scope"], "crm:read");
    }
    assert!(w.owner.get(&uses).expect(200).items().is_empty());
    w.api_key(&["knowledge:write", "crm:read"]).post(&uses, &body).expect(200);
    // What nobody reads answers nobody; what it answered before stays.
    change(&w.owner, &article, json!({ "status": "archived" }));
    let other = w.interaction(w.customer().create().id()).create();
    let late = json!({ "interaction_id": other.id() });
    assert_eq!(w.owner.post(&uses, &late).refused(409, "state_invalid")["state"], "archived");
    let draft = w.article("Szkic").create();
    let of_draft = format!("{}/uses", path(&draft));
    assert_eq!(w.owner.post(&of_draft, &late).refused(409, "state_invalid")["state"], "draft");
    assert_eq!(w.owner.get(&uses).expect(200).items().len(), 1);
    w.owner.delete(&gone).expect(204);
}
