//! A question: its words, and what they may be slips and synonyms of.

use crate::courtesies::without_courtesies;
use crate::scoring::{Weighted, WeightedAlternative, WeightedWord};
use crate::spelling;
use crate::words::{Forms, Word, joined, words};
use std::collections::{BTreeSet, HashMap};

/// Words past these are not looked at: nobody reads so long a question out on the phone.
const WORDS_MAX: usize = 40;
/// What a stem is worth that another form of the word may have.
const OTHER_FORM: f32 = 0.85;
/// What a synonym is worth, beside the word itself.
const SYNONYM: f32 = 0.85;
/// One of a phrase with words that say nothing by themselves, such as "do kiedy".
const SYNONYM_OF_PHRASE: f32 = 0.7;
/// What a corrected word is worth: one slip, two slips.
const CORRECTED: [f32; 2] = [0.8, 0.6];
const CORRECTIONS_MAX: usize = 4;
/// Words that begin like a synonym only may be anything.
const BEGINNING_OF_SYNONYM: f32 = 0.5;
/// Rare words count more, if not quite as their logarithm has it.
const RARITY: f32 = 0.8;
/// How far apart the words of a phrase may stand.
const APART_MAX: usize = 3;

/// A question as it is understood so far.
#[derive(Debug, Clone)]
pub struct Question {
    tokens: Vec<Token>,
    asked: Vec<Asked>,
}

#[derive(Debug, Clone)]
struct Token {
    word: Word,
    forms: Forms,
    /// Which of the asked words it is; words that say nothing are none.
    asked: Option<usize>,
}

/// A word that is asked for, as what it may be taken for.
#[derive(Debug, Clone, Default)]
struct Asked {
    alternatives: Vec<Alternative>,
    /// Whether it may as well be another word, which nothing has.
    is_guess: bool,
}

#[derive(Debug, Clone)]
struct Alternative {
    worth: f32,
    source: Source,
    /// Of a phrase its words, which all have to be there for the whole worth.
    parts: Vec<Forms>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Typed,
    Corrected,
    Synonym,
}

/// Words and phrases of one meaning.
pub type Synonyms = Vec<String>;

impl Question {
    pub fn read(text: &str) -> Self {
        let mut words = words(text);
        words.truncate(WORDS_MAX);
        let words = without_courtesies(words);
        let says_nothing = words.iter().all(Word::is_stop_word);
        let mut asked = Vec::new();
        let mut tokens = Vec::new();
        for word in &words {
            let forms = word.asked_forms();
            let is_asked = says_nothing || !word.is_stop_word();
            if is_asked {
                let typed = Alternative { worth: 1.0, source: Source::Typed, parts: vec![forms.clone()] };
                asked.push(Asked { alternatives: vec![typed], is_guess: false });
            }
            tokens.push(Token { word: word.clone(), forms, asked: is_asked.then(|| asked.len() - 1) });
        }
        for (first, last, whole) in joined(&words) {
            let place = tokens.iter().take(last + 1).skip(first).rev().find_map(|token| token.asked);
            if let Some(asked) = place.and_then(|place| asked.get_mut(place)) {
                let parts = vec![Forms { stems: vec![whole], others: Vec::new(), beginnings: Vec::new() }];
                asked.alternatives.push(Alternative { worth: 1.0, source: Source::Typed, parts });
            }
        }
        Self { tokens, asked }
    }

    /// Whether there is no word in it.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The stems of the words as they were typed, and of their other forms.
    pub fn stems(&self) -> BTreeSet<String> {
        let forms = self.asked_tokens().map(|(_, token)| &token.forms);
        forms.flat_map(|forms| forms.stems.iter().chain(&forms.others).cloned()).collect()
    }

    fn asked_tokens(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.tokens.iter().filter_map(|token| Some((token.asked?, token)))
    }

    /// The words none of whose stems are known: they may be slips.
    pub fn unknown(&self, is_known: impl Fn(&str) -> bool) -> Vec<String> {
        let tokens = self.asked_tokens().map(|(_, token)| token);
        let unknown = tokens.filter(|token| {
            let folded = &token.word.folded;
            folded.chars().count() >= spelling::LETTERS_MIN
                && folded.chars().all(char::is_alphabetic)
                && !token.forms.stems.iter().chain(&token.forms.others).any(|stem| is_known(stem))
        });
        unknown.map(|token| token.word.folded.clone()).collect()
    }

    /// Takes a misspelt word for those of the known words that are nearest to it, the most used ones first.
    pub fn correct(&mut self, misspelt: &str, known: &[(String, i32)]) {
        let mut near: Vec<(usize, i32, &str)> = known
            .iter()
            .filter_map(|(word, uses)| Some((spelling::distance(misspelt, word)?, -uses, word.as_str())))
            .collect();
        near.sort_unstable();
        let Some((least, ..)) = near.first().copied() else { return };
        let Some(worth) = CORRECTED.get(least.saturating_sub(1)).copied() else { return };
        for token in self.tokens.iter_mut().filter(|token| token.word.folded == misspelt) {
            let Some(asked) = token.asked.and_then(|place| self.asked.get_mut(place)) else { continue };
            asked.is_guess = !near.iter().any(|(_, _, word)| spelling::is_slip(misspelt, word));
            for (_, _, word) in near.iter().take_while(|(distance, ..)| *distance == least).take(CORRECTIONS_MAX) {
                for word in words(word) {
                    let parts = vec![word.forms()];
                    asked.alternatives.push(Alternative { worth, source: Source::Corrected, parts });
                }
            }
        }
    }

    /// What synonyms of this question have among their [`keys`].
    pub fn keys(&self) -> BTreeSet<String> {
        let corrected = self.asked.iter().flat_map(|asked| &asked.alternatives);
        let corrected = corrected.filter(|it| it.source == Source::Corrected).flat_map(|it| &it.parts);
        let mut keys: BTreeSet<String> = corrected.flat_map(|forms| forms.stems.iter().cloned()).collect();
        keys.extend(self.asked_tokens().flat_map(|(_, token)| token.forms.stems.iter().cloned()));
        for length in 2..=3 {
            keys.extend(self.tokens.windows(length).map(|run| phrase(run.iter().map(|token| &token.word))));
        }
        keys
    }

    /// Takes words and phrases of the question for their synonyms, too: each word of a phrase for all of them.
    pub fn expand(&mut self, groups: &[Synonyms]) {
        let mut further: Vec<(Vec<usize>, Alternative)> = Vec::new();
        for group in groups {
            let phrases: Vec<Vec<Word>> = group.iter().map(|term| words(term)).collect();
            for (place, found) in phrases.iter().enumerate() {
                let Some(found) = self.find(found) else { continue };
                let (at, worth) = match found {
                    Found::Words(at) => (at, SYNONYM),
                    Found::Phrase(at) => (at, SYNONYM_OF_PHRASE),
                };
                let others = phrases.iter().enumerate().filter(|(other, _)| *other != place);
                for (_, other) in others {
                    let parts: Vec<Forms> = other.iter().filter(|word| !word.is_stop_word()).map(Word::forms).collect();
                    if !parts.is_empty() {
                        further.push((at.clone(), Alternative { worth, source: Source::Synonym, parts }));
                    }
                }
            }
        }
        let mut of_phrases = Asked::default();
        for (at, alternative) in further {
            if at.is_empty() {
                of_phrases.alternatives.push(alternative);
                continue;
            }
            for place in at {
                self.asked.get_mut(place).into_iter().for_each(|asked| asked.alternatives.push(alternative.clone()));
            }
        }
        if !of_phrases.alternatives.is_empty() {
            self.asked.push(of_phrases);
        }
    }

    /// Where a phrase stands in the question.
    fn find(&self, phrase: &[Word]) -> Option<Found> {
        let telling: Vec<&Word> = phrase.iter().filter(|word| !word.is_stop_word()).collect();
        if telling.len() < phrase.len() {
            if phrase.len() < 2 {
                return None;
            }
            let is_it = |run: &&[Token]| {
                run.iter().zip(phrase).all(|(token, word)| {
                    token.word.folded == word.folded || (!word.is_stop_word() && token.forms.is_same(&word.forms()))
                })
            };
            let run = self.tokens.windows(phrase.len()).find(is_it)?;
            return Some(Found::Phrase(run.iter().filter_map(|token| token.asked).collect()));
        }
        let mut places = Vec::new();
        let mut before: Option<usize> = None;
        for word in telling {
            let forms = word.forms();
            let at = self.asked.iter().position(|asked| asked.is_taken_for(&forms))?;
            if before.is_some_and(|before| before.abs_diff(at) > APART_MAX) {
                return None;
            }
            before = Some(at);
            places.push(at);
        }
        Some(Found::Words(places))
    }

    /// Every term that an article may be found by.
    pub fn terms(&self) -> BTreeSet<String> {
        let forms = self.asked.iter().flat_map(|asked| &asked.alternatives).flat_map(|it| &it.parts);
        forms
            .flat_map(|forms| {
                forms.stems.iter().chain(&forms.others).chain(forms.beginnings.iter().map(|(term, _)| term)).cloned()
            })
            .collect()
    }

    /// How much a word of a text is of what is asked for: of a word itself, of its synonyms, or nothing.
    pub fn marker(&self) -> Marker {
        let mut marker = Marker::default();
        for (place, asked) in self.asked.iter().enumerate() {
            for alternative in &asked.alternatives {
                for forms in &alternative.parts {
                    marker.stems.extend(forms.stems.iter().chain(&forms.others).map(|stem| (stem.clone(), place)));
                    let six = forms.beginnings.last().filter(|(term, _)| term.chars().count() > 6);
                    if let (Some((term, _)), false) = (six, alternative.source == Source::Synonym) {
                        marker.beginnings.insert(term.clone(), place);
                    }
                }
            }
        }
        marker
    }

    /// Weighs each term by how rare it is among so many articles.
    pub fn weigh(self, articles: i64, articles_of: &HashMap<String, i64>) -> Weighted {
        let rarity_of = |found: i64| ((articles as f32 + 1.0) / (found as f32 + 0.5)).ln().max(0.01).powf(RARITY);
        let rarity = |term: &str| articles_of.get(term).map(|found| rarity_of(*found));
        let unheard_of = rarity_of(0);
        let mut weighted = Weighted { words: Vec::new(), rarest: rarity_of(1) };
        for asked in self.asked {
            let typed = asked.alternatives.iter().filter(|it| it.source == Source::Typed).flat_map(|it| &it.parts);
            let typed = typed.flat_map(|forms| &forms.stems).filter_map(|stem| rarity(stem));
            let typed =
                typed.fold(None, |most: Option<f32>, rarity| Some(most.map_or(rarity, |most| most.max(rarity))));
            let mut word =
                WeightedWord { alternatives: Vec::new(), most: typed.unwrap_or(unheard_of), is_guess: asked.is_guess };
            for Alternative { worth, source, parts } in asked.alternatives {
                let most = match (source, typed) {
                    (Source::Synonym | Source::Corrected, Some(typed)) => typed,
                    _ => f32::INFINITY,
                };
                let share = worth / parts.len() as f32;
                let weigh = |forms: Forms| {
                    let stems = forms.stems.into_iter().map(|stem| (stem, 1.0));
                    let stems = stems.chain(forms.others.into_iter().map(|stem| (stem, OTHER_FORM)));
                    let beginnings = forms.beginnings.into_iter().map(|(term, worth)| match source {
                        Source::Synonym => (term, worth * BEGINNING_OF_SYNONYM),
                        Source::Typed | Source::Corrected => (term, worth),
                    });
                    let weighed = stems.chain(beginnings).filter_map(|(term, worth)| {
                        let weight = share * worth * rarity(&term)?.min(most);
                        Some((term, weight))
                    });
                    weighed.collect::<Vec<_>>()
                };
                let parts: Vec<Vec<(String, f32)>> = parts.into_iter().map(weigh).collect();
                let most: f32 =
                    parts.iter().map(|terms| terms.iter().fold(0.0, |most: f32, (_, it)| most.max(*it))).sum();
                word.most = word.most.max(most);
                word.alternatives.push(WeightedAlternative { source, parts });
            }
            weighted.words.push(word);
        }
        weighted
    }
}

/// Finds the words of a question in a text.
#[derive(Debug, Clone, Default)]
pub struct Marker {
    stems: HashMap<String, usize>,
    beginnings: HashMap<String, usize>,
}

impl Marker {
    /// Which of the words that are asked for this one is.
    pub fn find(&self, word: &Word) -> Option<usize> {
        if word.is_stop_word() || !self.knows_beginning(word) {
            return None;
        }
        let forms = word.forms();
        let mut stems = forms.stems.iter().filter_map(|stem| self.stems.get(stem));
        let mut beginnings = forms.beginnings.iter().filter_map(|(term, _)| self.beginnings.get(term));
        stems.next().or_else(|| beginnings.next()).copied()
    }

    /// Whether anything that is asked for begins like a word: of most words no form has to be made then.
    fn knows_beginning(&self, word: &Word) -> bool {
        let known = self.stems.keys().chain(self.beginnings.keys()).map(|term| term.trim_start_matches('~'));
        known.into_iter().any(|term| term.chars().take(2).eq(word.folded.chars().take(2)))
    }
}

enum Found {
    /// These of the asked words.
    Words(Vec<usize>),
    /// With words that are not asked for beside these that are, if any.
    Phrase(Vec<usize>),
}

impl Asked {
    fn is_taken_for(&self, forms: &Forms) -> bool {
        let known = self.alternatives.iter().filter(|it| it.source != Source::Synonym);
        known.flat_map(|it| &it.parts).any(|part| part.is_same(forms))
    }
}

/// What a group of synonyms is looked up by: the stems of the first telling word of each term, and the whole of a phrase of
/// words that say nothing by themselves.
pub fn keys(synonyms: &[String]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for term in synonyms {
        let words = words(term);
        if words.iter().any(Word::is_stop_word) && words.len() > 1 {
            keys.extend(words.windows(2).take(1).map(|run| phrase(run.iter())));
        }
        if let Some(word) = words.iter().find(|word| !word.is_stop_word()) {
            keys.extend(word.forms().stems);
        }
    }
    keys
}

/// The telling words of synonyms, which misspelt ones are compared with.
pub fn telling_words<'a>(synonyms: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let words = synonyms.flat_map(|term| words(term)).filter(|word| !word.is_stop_word());
    words.map(|word| word.folded).collect()
}

fn phrase<'a>(words: impl Iterator<Item = &'a Word>) -> String {
    words.map(|word| word.folded.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(text: &str) -> Question {
        Question::read(text)
    }

    fn score(question: Question, title: &str, body: &str) -> i32 {
        let document = crate::Document { title, tags: &[], body };
        let postings = document.index().postings;
        let frequencies = postings.iter().map(|posting| (posting.term.clone(), 3)).collect();
        let weights = postings.iter().map(|posting| (posting.term.as_str(), posting.weight)).collect();
        question.weigh(100, &frequencies).score(&weights).score
    }

    #[test]
    fn another_form_of_a_word_answers_as_well() {
        let title = "Duplikat zagubionej faktury";
        for text in ["duplikat faktury", "duplikaty faktur", "duplikatem faktury", "duplikatu faktur zagubionych"] {
            assert!(score(asked(text), title, "") > 300, "{text}");
        }
        assert_eq!(score(asked("urlop macierzyński"), title, ""), 0);
    }

    #[test]
    fn diacritics_do_not_matter() {
        for (text, title) in [("skladka zdrowotna", "Składka zdrowotna"), ("składka zdrowotna", "Skladka zdrowotna")]
        {
            assert!(score(asked(text), title, "") > 400, "{text}");
        }
    }

    #[test]
    fn english_words_are_found_in_other_forms() {
        assert!(score(asked("corrected invoices"), "Correcting an invoice", "") > 300);
    }

    #[test]
    fn a_slip_is_corrected_to_what_is_nearest() {
        let mut question = asked("fkatura za maj");
        let known = question.unknown(|_| false);
        assert_eq!(known, ["fkatura"]);
        question.correct("fkatura", &[("natura".into(), 5), ("faktury".into(), 2), ("faktura".into(), 9)]);
        assert!(score(question, "Faktura", "") > 100);
    }

    #[test]
    fn a_synonym_answers_a_little_worse() {
        let groups = [vec!["pensja".to_owned(), "wynagrodzenie".to_owned()]];
        let mut question = asked("kiedy pensja");
        question.expand(&groups);
        let synonym = score(question, "Wynagrodzenie", "");
        let itself = score(asked("kiedy wynagrodzenie"), "Wynagrodzenie", "");
        assert!(0 < synonym && synonym < itself, "{synonym} {itself}");
    }

    #[test]
    fn a_phrase_has_synonyms_as_a_whole() {
        let groups = [vec!["do kiedy".to_owned(), "termin".to_owned()]];
        for (text, expected) in [("do kiedy deklaracja", true), ("kiedy deklaracja", false)] {
            let mut question = asked(text);
            assert_eq!(!keys(&groups[0]).is_disjoint(&question.keys()), expected, "{text}");
            question.expand(&groups);
            assert_eq!(score(question, "Termin", "") > 0, expected, "{text}");
        }
    }

    #[test]
    fn words_that_say_nothing_are_asked_for_where_there_are_no_others() {
        assert!(score(asked("kto to jest"), "Kto", "") == 0);
        assert!(!asked("kto to jest").is_empty() && asked("?!").is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_asked_has_a_score(text in "\\PC{0,200}", title in "\\PC{0,60}") {
            let groups = [vec![text.clone(), title.clone()]];
            let mut question = asked(&text);
            question.expand(&groups);
            prop_assert!((0..=1000).contains(&score(question, &title, &text)));
        }
    }
}
