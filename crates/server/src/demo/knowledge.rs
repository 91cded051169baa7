//! The demo's knowledge base: what the office is asked again and again.

use super::pass_a_minute;
use crate::failure::Failure;
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::ArticleId;
use opiekun_domain::language::Language;
use opiekun_persistence::Tx;
use opiekun_persistence::article_categories::{self, ArticleCategoryFields};
use opiekun_persistence::articles::{self, ArticleFields};

/// An article: its title, its tags, and its text in Markdown.
type Text = (&'static str, &'static [&'static str], &'static str);

const CATEGORIES: &[(&str, &[Text])] = &[
    (
        "Współpraca z biurem",
        &[
            (
                "Kiedy i jak przekazywać nam dokumenty",
                &["dokumenty"],
                "Na dokumenty za miesiąc czekamy **do 7. dnia** miesiąca następnego.\n\n- skany i PDF: przez panel klienta\n\
                 - papier: w sekretariacie, w opisanej kopercie\n\nCo przyjdzie później, księgujemy w kolejnym miesiącu.",
            ),
            (
                "Odwołanie albo przesunięcie spotkania",
                &["spotkania"],
                "Spotkanie można przełożyć telefonicznie do godziny 15 dnia poprzedniego. Opiekun zaproponuje nowy termin.",
            ),
            (
                "Kto jest moim opiekunem",
                &["kontakt"],
                "Każda firma ma w biurze jednego opiekuna. Jego nazwisko i telefon są w stopce każdej naszej wiadomości; \
                 w czasie urlopu zastępuje go osoba z tego samego zespołu.",
            ),
        ],
    ),
    (
        "Pracownicy",
        &[
            (
                "Nowa osoba w zespole: co przygotować",
                &["kadry"],
                "1. kwestionariusz osobowy\n2. orzeczenie lekarza medycyny pracy\n3. szkolenie BHP\n4. wybór PPK\n\n\
                 Prosimy o komplet **trzy dni** przed pierwszym dniem pracy.",
            ),
            (
                "Lista płac: kiedy podać zmiany",
                &["kadry", "płace"],
                "Premie, nieobecności i potrącenia zbieramy do 25. dnia miesiąca. Listę wysyłamy do akceptacji dwa dni przed wypłatą.",
            ),
        ],
    ),
    (
        "Sprzedaż i płatności",
        &[
            (
                "Klient zwleka z zapłatą: od czego zacząć",
                &["należności"],
                "Najpierw przypomnienie, po tygodniu wezwanie z terminem. Jeśli to nie pomoże, przekażemy sprawę kancelarii, \
                 z którą współpracujemy.",
            ),
            (
                "Pomyłka na wystawionym dokumencie",
                &["faktury"],
                "Nie poprawiamy wystawionego dokumentu. Wystawiamy do niego korektę, w której widać stan przed zmianą i po niej.",
            ),
        ],
    ),
];

const ENGLISH: Text = (
    "What we need from a new foreign client",
    &["onboarding"],
    "A copy of the register entry, the VAT number, and a power of attorney for the tax office. We translate what is not in Polish.",
);

/// Writes the articles, and a draft that nobody finds yet; tells which one is on the documents of a month.
pub fn create(tx: &mut Tx<'_>) -> Result<ArticleId, Failure> {
    let mut on_documents = None;
    for ((name, texts), position) in CATEGORIES.iter().zip(1..) {
        pass_a_minute(tx);
        let fields = ArticleCategoryFields { name: (*name).to_owned(), parent_id: None, position };
        let category = article_categories::create(tx, fields)?;
        for text in *texts {
            let fields = ArticleFields { category_id: Some(category.id), ..fields_of(text, Language::Polish) };
            pass_a_minute(tx);
            let article = articles::create(tx, fields, &[])?;
            on_documents.get_or_insert(article.id);
        }
    }
    pass_a_minute(tx);
    articles::create(tx, fields_of(&ENGLISH, Language::English), &[])?;
    pass_a_minute(tx);
    let draft: Text = ("Archiwum papierowe: zasady wypożyczania", &["dokumenty"], "Do uzgodnienia z zarządem.");
    let draft = ArticleFields { status: ArticleStatus::Draft, ..fields_of(&draft, Language::Polish) };
    articles::create(tx, draft, &[])?;
    on_documents.ok_or_else(|| Failure::new("the demo has no article"))
}

fn fields_of((title, tags, body): &Text, language: Language) -> ArticleFields {
    ArticleFields {
        title: (*title).to_owned(),
        body: (*body).to_owned(),
        language,
        status: ArticleStatus::Published,
        category_id: None,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        valid_until_on: None,
    }
}
