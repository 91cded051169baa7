//! How well questions find their articles: 129 articles of an accounting office, one right answer a question.
//!
//! `cargo test --workspace --test api knowledge_base:: -- --nocapture --include-ignored` prints the figures.

use crate::support::{World, execute};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::language::Language;
use opiekun_persistence::articles::{self, ArticleFields};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ARTICLES: &str = include_str!("../knowledge-base/articles.jsonl");
/// What the search was tuned on.
const TUNED_ON: &str = include_str!("../knowledge-base/queries-dev.jsonl");
/// Written without a look at what the search does with them.
const WRITTEN_APART: &str = include_str!("../knowledge-base/queries-check.jsonl");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn fields(article: &Value) -> ArticleFields {
    ArticleFields {
        title: text(&article["title"]),
        body: text(&article["body"]),
        language: Language::Polish,
        status: ArticleStatus::Published,
        category_id: None,
        tags: article["tags"].as_array().unwrap().iter().map(text).collect(),
        valid_until_on: None,
    }
}

/// The titles of what answers, and of what does nearly.
fn ask(w: &World, question: &str) -> (Vec<String>, Vec<String>) {
    let question: String = question.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = w.owner.get(&format!("/articles/search?limit=10&q={question}")).expect(200);
    let titles = |name: &str| {
        let articles = found[name].as_array().unwrap().iter();
        articles.map(|found| text(&found["article"]["title"])).collect()
    };
    (titles("items"), titles("near_misses"))
}

/// Of some questions: how many there are, how many had their article first, among the first five, and the sum of the
/// inverse places.
#[derive(Default)]
struct Figures {
    questions: f64,
    first: f64,
    among_five: f64,
    /// Had it among the answers, not only near misses.
    answered: f64,
    inverse_places: f64,
}

impl Figures {
    fn count(&mut self, place: Option<usize>) {
        self.questions += 1.0;
        let Some(place) = place else { return };
        self.first += f64::from(u8::from(place == 0));
        self.among_five += f64::from(u8::from(place < 5));
        self.inverse_places += 1.0 / (place as f64 + 1.0);
    }

    fn recall_at_1(&self) -> f64 {
        self.first / self.questions
    }

    fn recall_at_5(&self) -> f64 {
        self.among_five / self.questions
    }
}

/// Prints the figures of each kind of question, and tells those of all.
#[expect(clippy::print_stdout, reason = "figures, shown by --nocapture")]
fn measure(w: &World, name: &str, questions: &[Value]) -> Figures {
    let titles: BTreeMap<String, String> =
        lines(ARTICLES).iter().map(|article| (text(&article["slug"]), text(&article["title"]))).collect();
    let mut kinds: BTreeMap<String, Figures> = BTreeMap::new();
    let mut all = Figures::default();
    let mut times = Vec::new();
    for question in questions {
        let began = Instant::now();
        let (answers, near) = ask(w, question["query"].as_str().unwrap());
        times.push(began.elapsed());
        let right = &titles[question["slug"].as_str().unwrap()];
        let place = answers.iter().chain(&near).position(|title| title == right);
        all.answered += f64::from(u8::from(answers.contains(right)));
        all.count(place);
        question["kind"]
            .as_str()
            .unwrap()
            .split('+')
            .for_each(|kind| kinds.entry(kind.to_owned()).or_default().count(place));
    }
    println!("{name}: {}; answered by their article: {} of {}", spread(times), all.answered, questions.len());
    for (kind, figures) in kinds.iter().map(|(kind, figures)| (kind.as_str(), figures)).chain([("all", &all)]) {
        let mrr = figures.inverse_places / figures.questions;
        println!(
            "  {kind:14} {:4} questions  recall@1 {:.3}  recall@5 {:.3}  MRR {mrr:.3}",
            figures.questions,
            figures.recall_at_1(),
            figures.recall_at_5()
        );
    }
    all
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("median {:.1?}, 95 % within {:.1?}, most {:.1?}", at(50), at(95), at(100))
}

fn office() -> World {
    let w = World::new();
    for article in lines(ARTICLES) {
        w.write(|tx| articles::create(tx, fields(&article), &[]));
    }
    w
}

#[test]
fn questions_find_their_articles() {
    let w = office();
    let tuned = measure(&w, "questions it was tuned on", &lines(TUNED_ON));
    let apart = measure(&w, "questions written apart", &lines(WRITTEN_APART));
    for figures in [tuned, apart] {
        assert!(
            figures.recall_at_1() >= 0.77
                && figures.recall_at_5() >= 0.92
                && figures.answered >= 0.9 * figures.questions
        );
    }
    // As they are spoken: with what is polite, and what nobody foresees, around them.
    for (before, behind) in [("Dzień dobry, mam takie pytanie: ", ", bo nie wiem"), ("sąsiadka opowiadała że ", "")]
    {
        let spoken: Vec<Value> = lines(WRITTEN_APART)
            .into_iter()
            .map(|mut question| {
                question["query"] = format!("{before}{}{behind}", question["query"].as_str().unwrap()).into();
                question
            })
            .collect();
        let figures = measure(&w, &format!("{before}…{behind}"), &spoken);
        assert!(figures.recall_at_1() >= 0.74 && figures.answered >= 0.85 * figures.questions);
    }
}

#[test]
fn what_no_article_is_about_has_no_answer() {
    let w = office();
    // Of each the first four letters are those of words that articles have.
    for question in [
        "spotify",
        "pensjonat",
        "kontrabas",
        "listonosz",
        "fakir z kaukazu",
        "ufo",
        "hulajnogą",
        "przepis na bigos",
        "jak upiec sernik",
        "czy jutro będzie padać",
        "what is the capital of France",
    ] {
        let (answers, _) = ask(&w, question);
        assert_eq!(answers, Vec::<String>::new(), "{question}");
    }
    let long = "Zdanie o czym innym, jak każde. ".repeat(600);
    let body = format!("{long} Kryptowaluty rozlicza się osobno.");
    w.article("Zebrane uwagi").with("body", body).with("status", "published").create();
    let (answers, _) = ask(&w, "kryptowalutami");
    assert!(answers.contains(&"Zebrane uwagi".to_owned()), "a word that nothing else has, whatever stands beside it");
}

#[test]
#[ignore = "loads 20 000 articles, which takes minutes"]
fn twenty_thousand_articles_are_searched_at_once() {
    let w = office();
    let began = Instant::now();
    let known = lines(ARTICLES);
    let sentences: Vec<String> = known
        .iter()
        .flat_map(|article| text(&article["body"]).split_inclusive(". ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // The same words in other articles: a title of two, a body of sentences of any.
    let mut seed = 20_261_126_u64;
    let mut any = |count: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % count
    };
    for batch in 0..200 {
        let rows: Vec<ArticleFields> = (0..100)
            .map(|row| {
                let title = |text: String| text.split(' ').take(4).collect::<Vec<_>>().join(" ");
                let (one, two) = (text(&known[any(known.len())]["title"]), text(&known[any(known.len())]["title"]));
                let body: Vec<&str> = (0..12).map(|_| sentences[any(sentences.len())].trim()).collect();
                ArticleFields {
                    title: format!("{} {} {}", title(one), title(two), batch * 100 + row),
                    body: body.join(" "),
                    ..fields(&known[any(known.len())])
                }
            })
            .collect();
        w.write(|tx| rows.into_iter().try_for_each(|fields| articles::create(tx, fields, &[]).map(|_| ())));
        // As the database would by itself, but for that tests switch it off.
        execute("vacuum posting_lists").unwrap();
    }
    println!("{} articles loaded in {:.0?}", w.count("articles"), began.elapsed());
    execute("vacuum analyze").unwrap();
    let questions = lines(TUNED_ON);
    questions.iter().for_each(|question| _ = ask(&w, question["query"].as_str().unwrap()));
    measure(&w, "20 000 articles", &questions);
    // One article of a language, whose words are in thousands that say them more.
    let only = ArticleFields {
        title: "Invoices".into(),
        body: "Faktura i podatek to invoice and tax.".into(),
        language: Language::English,
        ..fields(&known[0])
    };
    w.write(|tx| articles::create(tx, only, &[]));
    let mut times = Vec::new();
    for text in ["faktura", "podatek", "faktura i podatek", "termin faktury i podatku"] {
        let began = Instant::now();
        let found = w.owner.get(&format!("/articles/search?q={}&language=en", text.replace(' ', "%20"))).expect(200);
        times.push(began.elapsed());
        let all = [&found["items"], &found["near_misses"]].map(|list| list.as_array().unwrap().len());
        assert_eq!(all.iter().sum::<usize>(), 1, "{text}: {found:?}");
    }
    println!("of one language: {}", spread(times));
}
