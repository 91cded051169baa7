//! What a search over records of all kinds looks for: every word of it, the last one as far as it is typed.
//!
//! The records' side is kept by the database itself (`words_of` and what follows it in the migrations): each word of a
//! record is an entry, a title's words are also entered under [`BEGINNING`] and their first letters, and the digits of
//! telephone and tax numbers under [`NUMBER`]. A word that is sought is some entries, and a range of them as far as it is
//! typed.

use crate::inflection::forms;
use crate::words::{Word, is_number, words};
use std::collections::{BTreeSet, HashSet};

/// Begins the entry of the first two or three letters of a title's word.
const BEGINNING: char = '~';
/// Begins the entry of a number's digits.
const NUMBER: char = '#';
/// Fewer digits beside words are no telephone or tax number.
const DIGITS_MIN: usize = 4;
/// And where they are all that is said.
const DIGITS_ALONE_MIN: usize = 2;
/// A number of so many digits at most begins with none that is dialled first.
const WITHOUT_AREA_MAX: usize = 7;
/// As far as a word is typed: shorter ones are found as the beginnings of titles' words alone.
const WHOLE_MIN: usize = 4;
/// Behind a word itself, and before every longer one.
const FIRST: char = '\u{1}';
/// Behind every word that begins alike.
const END: char = '\u{10FFFF}';
/// So many words are looked for; more narrow a search no further.
const WORDS_MAX: usize = 8;

/// What is looked for: each of some words.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    words: Vec<SoughtWord>,
}

#[derive(Debug, Clone, PartialEq)]
struct SoughtWord {
    /// Without diacritics; of a number its digits.
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// In any of its forms.
    Whole(HashSet<String>),
    /// In any of its forms, or still being typed.
    Typed(HashSet<String>),
    /// Digits that may begin a number, however it is written.
    Number,
}

/// Entries from one on, and before another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The place of the word among those that are sought.
    pub word: usize,
    pub from: String,
    pub before: String,
}

/// The entries that a sought word was found in.
#[derive(Debug, Clone, Default)]
pub struct Found(Vec<BTreeSet<String>>);

impl Sought {
    /// The words of a text; none where nothing is said.
    pub fn words(text: &str) -> Option<Self> {
        let all = words(text);
        let last = all.len().checked_sub(1)?;
        let all: Vec<(usize, &Word)> = all.iter().enumerate().collect();
        let tells = |word: &Word| !word.is_stop_word() && (word.folded.chars().count() > 1 || is_number(&word.folded));
        let mut telling: Vec<(usize, &Word)> = all.iter().copied().filter(|(_, word)| tells(word)).collect();
        if telling.is_empty() {
            telling = all;
        }
        telling.truncate(WORDS_MAX);
        let sought = telling.into_iter().map(|(place, word)| {
            let kind = match word.folded.chars().count() {
                // Whoever has typed so little is not done with it.
                ..WHOLE_MIN if place == last => Kind::Typed(spellings(word)),
                _ if place == last => Kind::Typed(all_forms(word)),
                _ => Kind::Whole(all_forms(word)),
            };
            SoughtWord { text: word.folded.clone(), kind }
        });
        Some(Self { words: sought.collect() })
    }

    /// The same where the last word says nothing as it is, but may be the beginning of one that does: "umowa do", of which
    /// `doradztwo` becomes.
    pub fn typed(text: &str) -> Option<Self> {
        let all = words(text);
        let last = all.last()?;
        let is_begun = last.at.end == text.len() && last.is_stop_word() && last.folded.chars().count() > 1;
        let mut sought = Self::words(&text[..last.at.start]).filter(|_| is_begun)?;
        for word in &mut sought.words {
            if let Kind::Typed(forms) = &mut word.kind {
                word.kind = Kind::Whole(std::mem::take(forms));
            }
        }
        sought.words.truncate(WORDS_MAX - 1);
        sought.words.push(SoughtWord { text: last.folded.clone(), kind: Kind::Typed(spellings(last)) });
        Some(sought)
    }

    /// The same where digits that stand together are taken for one number: a telephone's, with or without what is dialled
    /// from abroad, or a tax number, with or without its country. `None` where there is none.
    pub fn numbers(text: &str) -> Option<Self> {
        let mut sought: Vec<SoughtWord> = Vec::new();
        let mut digits = String::new();
        let mut has_number = false;
        let words_of_text = words(text);
        let is_alone = words_of_text.iter().all(|word| is_number(&word.folded));
        let digits_min = if is_alone { DIGITS_ALONE_MIN } else { DIGITS_MIN };
        let mut end = |digits: &mut String, sought: &mut Vec<SoughtWord>| {
            let number = std::mem::take(digits);
            let is_dialled = number.len() > WITHOUT_AREA_MAX;
            let number = if is_dialled { number.trim_start_matches('0') } else { &number };
            if number.len() >= digits_min {
                has_number = true;
                sought.push(SoughtWord { text: number.to_owned(), kind: Kind::Number });
            } else if !number.is_empty() {
                sought.extend(Self::words(number).map(|number| number.words).unwrap_or_default());
            }
        };
        for word in words_of_text {
            if is_number(&word.folded) {
                // "+48 (0) 22" is dialled without the nought from abroad.
                if word.folded != "0" || digits.is_empty() {
                    digits.push_str(&word.folded);
                }
                continue;
            }
            end(&mut digits, &mut sought);
            let number = word.folded.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            match word.folded.len() - number.len() {
                2 if is_number(number) => digits.push_str(number),
                3 if is_number(number) && number.len() > WITHOUT_AREA_MAX => digits.push_str(number),
                // A country stands before its tax number, and "tel." and "NIP" before any.
                _ if word.is_stop_word() || word.folded.chars().count() <= 3 => {}
                _ => sought.push(SoughtWord { text: word.folded.clone(), kind: Kind::Whole(all_forms(&word)) }),
            }
        }
        end(&mut digits, &mut sought);
        sought.truncate(WORDS_MAX);
        has_number.then_some(Self { words: sought })
    }

    /// The numbers without what stands beside them; `None` where nothing does.
    pub fn only_numbers(mut self) -> Option<Self> {
        let all = self.words.len();
        self.words.retain(|word| word.kind == Kind::Number);
        (self.words.len() < all).then_some(self)
    }

    /// All but the last word, of which little is typed; `None` where that is all, or there is more of it.
    pub fn without_typed(mut self) -> Option<Self> {
        let last = self.words.pop()?;
        let is_begun = matches!(last.kind, Kind::Typed(_)) && last.text.chars().count() < WHOLE_MIN;
        (is_begun && !self.words.is_empty()).then_some(self)
    }

    /// The places of the words that say what kind of company somebody is: "sp. z o.o.".
    pub fn kinds_of_companies(&self) -> BTreeSet<usize> {
        let is_kind = |text: &str| COMPANIES.iter().any(|(word, others)| *word == text || others.contains(&text));
        let places = self.words.iter().enumerate().filter(|(_, word)| is_kind(&word.text));
        places.map(|(place, _)| place).collect()
    }

    /// How many words are sought.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The entries that each word may have, by the place of the word among those that are sought.
    pub fn entries(&self) -> Vec<(usize, &str)> {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(place, sought)| sought.forms().map(move |form| (place, form)))
            .collect()
    }

    /// Where a word may have any entry.
    pub fn ranges(&self) -> Vec<Range> {
        let range = |(word, sought): (usize, &SoughtWord)| {
            let (from, before) = match (&sought.kind, sought.text.chars().count()) {
                (Kind::Number, _) => (format!("{NUMBER}{}", sought.text), END),
                (Kind::Typed(_), 2 | 3) => (format!("{BEGINNING}{}", sought.text), FIRST),
                (Kind::Typed(_), WHOLE_MIN..) => (sought.text.clone(), END),
                (Kind::Whole(_) | Kind::Typed(_), _) => return None,
            };
            Some(Range { word, before: format!("{from}{before}"), from })
        };
        self.words.iter().enumerate().filter_map(range).collect()
    }

    /// What holds of the words of a record that has all that is sought, as PostgreSQL's `tsquery` puts it: as it was found
    /// in the entries, or exactly as it was typed; anywhere, or in the title.
    pub fn condition(&self, found: &Found, is_exact: bool, in_title: bool) -> String {
        let words = self.words.iter().zip(&found.0);
        words.map(|(sought, entries)| sought.condition(entries, is_exact, in_title)).collect::<Vec<_>>().join(" & ")
    }

    /// What holds of the words of a record that has, as it was found anywhere, all that is sought but for the words in some
    /// places; where it need not have any then, one of them at least. `None` where one that it must have was not found.
    pub fn condition_beside(&self, places: &BTreeSet<usize>, found: &Found) -> Option<String> {
        let words = || self.words.iter().zip(&found.0).enumerate();
        let condition = |sought: &SoughtWord, entries: &BTreeSet<String>| {
            (!entries.is_empty()).then(|| sought.condition(entries, false, false))
        };
        let others = words().filter(|(place, _)| !places.contains(place));
        let others: Vec<String> = others.map(|(_, (word, entries))| condition(word, entries)).collect::<Option<_>>()?;
        if !others.is_empty() {
            return Some(others.join(" & "));
        }
        let any: Vec<String> = words().filter_map(|(_, (word, entries))| condition(word, entries)).collect();
        (!any.is_empty()).then(|| any.join(" | "))
    }

    /// How much of a title is asked for, from 0 to 1000.
    pub fn covers(&self, title: &str) -> i32 {
        let words = words(title);
        let all: usize = words.iter().map(|word| word.folded.chars().count()).sum();
        let asked: usize = words.iter().map(|word| self.letters_of(word)).sum();
        (asked * 1000).checked_div(all).and_then(|share| i32::try_from(share).ok()).unwrap_or_default()
    }

    /// How many letters of a word are asked for: all of them, or those that are typed.
    fn letters_of(&self, word: &Word) -> usize {
        let letters = word.folded.chars().count();
        match self.finds(word).and_then(|place| self.words.get(place)) {
            Some(sought) if sought.forms().any(|form| form == word.folded) => letters,
            Some(sought) => letters.min(sought.text.chars().count()),
            None => 0,
        }
    }

    /// Which of the words that are sought one of a text is.
    pub fn finds(&self, word: &Word) -> Option<usize> {
        self.words.iter().position(|sought| match &sought.kind {
            Kind::Number => is_number(&word.folded) && sought.text.contains(&word.folded),
            Kind::Whole(forms) => forms.contains(&word.folded),
            Kind::Typed(forms) => {
                forms.contains(&word.folded) || sought.text.chars().count() > 1 && word.folded.starts_with(&sought.text)
            }
        })
    }
}

impl SoughtWord {
    fn condition(&self, entries: &BTreeSet<String>, is_exact: bool, in_title: bool) -> String {
        let weight = if in_title { "A" } else { "" };
        let term = |text: &str, kind: &str| format!("'{text}':{kind}{weight}");
        let mut terms = BTreeSet::new();
        match &self.kind {
            Kind::Number => {
                let kind = if is_exact { "" } else { "*" };
                terms.insert(term(&format!("{NUMBER}{}", self.text), kind));
            }
            _ if is_exact => {
                terms.insert(term(&self.text, ""));
            }
            Kind::Whole(_) => terms.extend(entries.iter().map(|entry| term(entry, ""))),
            Kind::Typed(_) => {
                let is_typed = self.text.chars().count() > 1;
                terms.insert(term(&self.text, if is_typed { "*" } else { "" }));
                let others = entries.iter().filter(|entry| !entry.starts_with([BEGINNING]));
                terms.extend(others.filter(|it| !it.starts_with(&self.text)).map(|it| term(it, "")));
            }
        }
        // A term without weights or prefix ends in no colon.
        let terms: Vec<String> = terms.iter().map(|term| term.trim_end_matches(':').to_owned()).collect();
        format!("({})", terms.join(" | "))
    }

    fn forms(&self) -> impl Iterator<Item = &str> {
        let forms = match &self.kind {
            Kind::Whole(forms) | Kind::Typed(forms) => Some(forms),
            Kind::Number => None,
        };
        forms.into_iter().flatten().map(String::as_str)
    }
}

impl Found {
    /// The entries that were there, each with the place of its word.
    pub fn of(sought: &Sought, entries: impl IntoIterator<Item = (usize, String)>) -> Self {
        let mut found = vec![BTreeSet::new(); sought.len()];
        for (word, entry) in entries {
            if let Some(known) = found.get_mut(word) {
                known.insert(entry);
            }
        }
        Self(found)
    }
}

/// How else the words for a kind of company are written: sp. z o.o., S.A., s.c., sp. j., sp. k.
const COMPANIES: &[(&str, &[&str])] = &[
    ("sp", &["spolka"]),
    ("spolka", &["sp", "sa", "sc"]),
    ("oo", &["o", "ograniczona"]),
    ("zoo", &["oo", "o", "ograniczona"]),
    ("spzoo", &["oo", "o", "ograniczona"]),
    ("ograniczona", &["oo", "o"]),
    ("odpowiedzialnoscia", &["oo", "o"]),
    ("akcyjna", &["sa"]),
    ("cywilna", &["sc", "c"]),
    ("sc", &["cywilna"]),
    ("jawna", &["j"]),
    ("spj", &["j", "jawna"]),
    ("komandytowa", &["k"]),
    ("spk", &["k", "komandytowa"]),
];

/// A word with its forms, if it has any.
fn all_forms(word: &Word) -> HashSet<String> {
    let mut all = spellings(word);
    if word.folded.chars().all(char::is_alphabetic) {
        all.extend(forms(&word.folded));
    }
    all
}

/// A word as it is, and as else it may be written.
fn spellings(word: &Word) -> HashSet<String> {
    let others = COMPANIES.iter().filter(|(written, _)| *written == word.folded).flat_map(|(_, others)| *others);
    others.map(|other| (*other).to_owned()).chain([word.folded.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(text: &str, entries: &[&str]) -> Vec<String> {
        let sought = Sought::words(text).unwrap();
        let within = |entry: &&&str| {
            let is_in = |range: &Range| range.from.as_str() <= **entry && **entry < range.before.as_str();
            sought.ranges().iter().any(is_in) || sought.entries().iter().any(|(_, it)| it == *entry)
        };
        entries.iter().filter(within).map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn a_word_is_found_in_its_forms_and_the_last_as_far_as_it_is_typed() {
        let entries = ["umowa", "umowami", "umowe", "umowny", "umywalka", "faktura"];
        assert_eq!(taken("umowę najmu", &entries), ["umowa", "umowami", "umowe"]);
        assert_eq!(taken("umow", &entries), ["umowa", "umowami", "umowe", "umowny"]);
        assert_eq!(taken("um", &["~um", "um", "~umo", "umowa"]), ["~um", "um"]);
    }

    #[test]
    fn a_company_is_one_however_its_kind_is_written() {
        for text in [
            "arkusz sp zoo",
            "arkusz spzoo",
            "spółka z o.o. arkusz",
            "sp. z o. o. arkusz",
            "arkusz spółka z ograniczoną odpowiedzialnością",
        ] {
            let sought = Sought::words(text).unwrap();
            let is_there = |place: usize| {
                let entries = sought.entries();
                entries.iter().any(|(word, entry)| *word == place && ["arkusz", "sp", "oo"].contains(entry))
            };
            assert!((0..sought.len()).all(is_there), "{text}: {sought:?}");
        }
    }

    #[test]
    fn a_word_that_says_nothing_may_be_the_beginning_of_one_that_does() {
        let range = |text: &str| Sought::typed(text).map(|sought| sought.ranges().pop().map(|range| range.from));
        assert_eq!(range("umowa do"), Some(Some("~do".to_owned())));
        assert_eq!(range("umowa nowe"), Some(Some("nowe".to_owned())));
        assert_eq!(["umowa do ", "umowa", "umowa z", "do", ""].map(Sought::typed), [None, None, None, None, None]);
        assert_eq!(Sought::typed("umow do").unwrap().ranges().len(), 1, "only the last word is being typed");
    }

    #[test]
    fn kinds_of_companies_are_told_from_names() {
        let places = |text: &str| Sought::words(text).unwrap().kinds_of_companies().into_iter().collect::<Vec<_>>();
        assert_eq!(places("Liczbowo sp. z o.o. przegląd"), [1, 2]);
        assert_eq!(places("spółka Liczbowo"), [0]);
        assert_eq!(places("Liczbowo"), Vec::<usize>::new());
    }

    #[test]
    fn words_that_say_nothing_are_not_asked_for_but_alone() {
        assert_eq!(Sought::words("umowa z panem i na najem").unwrap().len(), 3);
        assert_eq!(Sought::words("po").unwrap().len(), 1);
        assert_eq!(Sought::words(" -- "), None);
    }

    #[test]
    fn a_number_is_one_however_it_is_written() {
        for text in ["600 100 200", "600-100-200", "(600) 100200", "tel. 600100200", "0600 100 200"] {
            let sought = Sought::numbers(text).unwrap();
            assert_eq!(sought.ranges()[0].from, "#600100200", "{text}");
            assert_eq!(sought.len(), 1, "{text}");
        }
        for text in ["+48 600 100 200", "0048600100200"] {
            assert_eq!(Sought::numbers(text).unwrap().ranges()[0].from, "#48600100200", "{text}");
        }
        for text in
            ["526-000-12-46", "NIP 5260001246", "PL 526 000 12 46", "PL5260001246", "pl526-0001246", "nip5260001246"]
        {
            assert_eq!(Sought::numbers(text).unwrap().ranges()[0].from, "#5260001246", "{text}");
        }
        assert_eq!(Sought::numbers("Kowalski 600100200").unwrap().len(), 2);
        assert_eq!(Sought::numbers("0554588").unwrap().ranges()[0].from, "#0554588");
        assert_eq!(Sought::numbers("61").unwrap().ranges()[0].from, "#61");
        assert_eq!(Sought::numbers("PIT 37"), None);
        assert_eq!(Sought::numbers("Kowalski"), None);
    }

    #[test]
    fn a_condition_asks_for_every_word() {
        let sought = Sought::words("pilna umow").unwrap();
        let found = Found::of(&sought, [(0, "pilne".to_owned()), (1, "umowa".to_owned()), (1, "~um".to_owned())]);
        assert_eq!(sought.condition(&found, false, false), "('pilne') & ('umow':*)");
        assert_eq!(sought.condition(&found, false, true), "('pilne':A) & ('umow':*A)");
        assert_eq!(sought.condition(&found, true, true), "('pilna':A) & ('umow':A)");
        assert_eq!(sought.condition(&found, true, false), "('pilna') & ('umow')");
        let beside = |places: &[usize], found| sought.condition_beside(&places.iter().copied().collect(), found);
        assert_eq!(beside(&[0], &found).unwrap(), "('umow':*)");
        assert_eq!(beside(&[0, 1], &found).unwrap(), "('pilne') | ('umow':*)");
        let one = Found::of(&sought, [(0, "pilne".to_owned())]);
        assert_eq!(beside(&[0], &one), None);
        assert_eq!(beside(&[0, 1], &one).unwrap(), "('pilne')");
    }

    #[test]
    fn a_title_is_covered_by_what_is_asked_for() {
        let sought = Sought::words("umowy").unwrap();
        assert_eq!(sought.covers("Umowa"), 1000);
        assert_eq!(sought.covers("Umowa najmu"), 500);
        assert_eq!(sought.covers("Faktura"), 0);
        let lis = Sought::words("lis").unwrap();
        assert!(lis.covers("Zakład Lis") > lis.covers("Zakład Lisowski"));
    }

    proptest! {
        #[test]
        fn a_condition_holds_no_more_than_words(text in "\\PC{0,60}") {
            for sought in [Sought::words(&text), Sought::numbers(&text)].into_iter().flatten() {
                prop_assert!(sought.len() <= WORDS_MAX);
                for range in sought.ranges() {
                    prop_assert!(range.from < range.before);
                }
                let condition = sought.condition(&Found::of(&sought, []), true, true);
                let quoted: Vec<&str> = condition.split('\'').skip(1).step_by(2).collect();
                prop_assert!(quoted.iter().all(|it| !it.contains(|c: char| c.is_ascii() && !c.is_alphanumeric() && c != NUMBER)), "{condition}");
            }
        }
    }
}
