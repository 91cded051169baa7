//! Words of a text, and the terms that they are compared by.

use crate::inflection;
use crate::stop_words::is_stop_word;
use frostem::{Algorithm, Stemmer};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

static POLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::new(Algorithm::Polish));
static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::new(Algorithm::English));

/// What a word is worth of which only the first six letters are the same.
const SIX_LETTERS: f32 = 0.8;
/// And the first four.
const FOUR_LETTERS: f32 = 0.4;
/// A word is cut here: what is longer is no word.
const LETTERS_MAX: usize = 40;
/// Neighbours of so many letters each at most are also one word: "PIT-2", "pit 2" and "pit2", "L-4" and "l 4".
const JOINED_PART_MAX: usize = 4;
const JOINED_MAX: usize = 8;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it stands, in bytes.
    pub at: Range<usize>,
    /// In lower case.
    pub lower: String,
    /// Without diacritics, too.
    pub folded: String,
}

impl Word {
    /// Whether it says nothing by itself.
    pub fn is_stop_word(&self) -> bool {
        is_stop_word(&self.folded)
    }

    /// The terms that it is found by.
    pub fn forms(&self) -> Forms {
        Forms::of(&self.lower, &self.folded)
    }

    /// The terms that it is looked up by: those, and the stems of its other forms, where letters change before an ending.
    pub fn asked_forms(&self) -> Forms {
        const LETTERS_MIN: usize = 3;
        let mut forms = self.forms();
        let others: BTreeSet<String> =
            inflection::forms(&self.folded).iter().map(|form| POLISH.stem(form).into_owned()).collect();
        let is_other = |stem: &String| stem.chars().count() >= LETTERS_MIN && !forms.stems.contains(stem);
        forms.others = others.into_iter().filter(is_other).collect();
        forms
    }
}

/// Whether a letter stands between words: white space, punctuation and symbols, as the database's `words_of` has it. The
/// signs of ohm, kelvin and ångström are letters, in lower case.
fn is_between_words(letter: char) -> bool {
    matches!(letter,
        '\u{0}'..='/' | ':'..='@' | '['..='`' | '{'..='\u{bf}' | '×' | '÷' | '\u{1680}'
        | '\u{2000}'..='\u{209f}' | '\u{20a0}'..='\u{2125}' | '\u{2127}'..='\u{2129}' | '\u{212c}'..='\u{214f}' | '\u{2190}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{303f}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe6f}' | '\u{feff}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}'
        | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}' | '\u{fff0}'..='\u{ffff}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether the dot at a place is one of an abbreviation, P.P.H.U.: behind a single letter, and before another.
fn is_of_abbreviation(text: &str, start: usize, at: usize) -> bool {
    let is_letter = |letter: char| matches!(fold(&letter.to_lowercase().to_string()).as_bytes(), [b'a'..=b'z']);
    let mut before = text[start..at].chars().rev();
    let mut after = text[at + 1..].chars();
    before.next().is_some_and(is_letter)
        && before.next().is_none_or(|letter| letter == '.')
        && after.next().is_some_and(is_letter)
        && after.next().is_none_or(is_between_words)
}

/// The words of a text, in their order: what stands between white space, punctuation and symbols.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        match (!is_between_words(letter), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) if letter == '.' && is_of_abbreviation(text, from, at) => {}
            (false, Some(from)) => {
                let letters = text[from..at].chars().filter(|letter| *letter != '.');
                let lower: String = letters.take(LETTERS_MAX).flat_map(char::to_lowercase).collect();
                let folded = fold(&lower);
                // Accents without a letter are no word.
                if !folded.is_empty() {
                    words.push(Word { at: from..at, folded, lower });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Short neighbours written as one word, each with the places of the first and last of them.
pub fn joined(words: &[Word]) -> Vec<(usize, usize, String)> {
    let is_short = |word: &Word| word.folded.chars().count() <= JOINED_PART_MAX;
    let mut joined = Vec::new();
    for (first, word) in words.iter().enumerate() {
        // A single letter names a number, unless it holds a sentence together: "w 2026".
        let is_followed_by_number = || words.get(first + 1).is_some_and(|next| is_number(&next.folded));
        let is_letter = word.folded.chars().count() < 2;
        if !is_short(word) || is_letter && (word.is_stop_word() || !is_followed_by_number()) {
            continue;
        }
        let mut whole = word.folded.clone();
        for (last, next) in words.iter().enumerate().skip(first + 1).take(2) {
            whole.push_str(&next.folded);
            if !is_short(next) || whole.chars().count() > JOINED_MAX {
                break;
            }
            joined.push((first, last, whole.clone()));
        }
    }
    joined
}

pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text in lower case without diacritics, as the database's `words_of` has it.
fn fold(lower: &str) -> String {
    lower
        .chars()
        .filter(|letter| !('\u{300}'..='\u{36f}').contains(letter))
        .map(|letter| match letter {
            'ą' => 'a',
            'ć' => 'c',
            'ę' => 'e',
            'ł' => 'l',
            'ń' => 'n',
            'ó' => 'o',
            'ś' => 's',
            'ź' | 'ż' | 'ž' => 'z',
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ă' => 'a',
            'ç' | 'č' => 'c',
            'ď' | 'đ' => 'd',
            'è' | 'é' | 'ê' | 'ë' | 'ě' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ĺ' | 'ľ' => 'l',
            'ñ' | 'ň' => 'n',
            'ò' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => 'o',
            'ř' | 'ŕ' => 'r',
            'ß' | 'š' | 'ş' => 's',
            'ť' | 'ţ' => 't',
            'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' => 'u',
            'ý' | 'ÿ' => 'y',
            other => other,
        })
        .collect()
}

/// The terms of one word.
#[derive(Debug, Clone, PartialEq)]
pub struct Forms {
    /// Any of these is the word: its stems, with and without diacritics, in Polish and in English.
    pub stems: Vec<String>,
    /// Of a word that is asked for, what its other forms have for stems, and some that no word has.
    pub others: Vec<String>,
    /// Words that begin like it, and what that is worth.
    pub beginnings: Vec<(String, f32)>,
}

impl Forms {
    fn of(lower: &str, folded: &str) -> Self {
        let mut stems = vec![fold(&POLISH.stem(lower)), fold(&POLISH.stem(folded)), ENGLISH.stem(folded).into_owned()];
        stems.retain(|stem| !stem.is_empty());
        stems.sort_unstable();
        stems.dedup();
        let mut beginnings = Vec::new();
        let letters: Vec<char> = folded.chars().collect();
        if letters.iter().all(|letter| letter.is_alphabetic()) {
            for (count, worth) in [(4, FOUR_LETTERS), (6, SIX_LETTERS)] {
                if letters.len() > count {
                    let beginning: String = letters.iter().take(count).collect();
                    beginnings.push((format!("~{beginning}"), worth));
                }
            }
        }
        Self { stems, others: Vec::new(), beginnings }
    }

    /// Whether two words are forms of one.
    pub fn is_same(&self, other: &Self) -> bool {
        self.stems.iter().any(|stem| other.stems.contains(stem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_neighbours_are_one_word_if_they_name_something() {
        let joined = |text: &str| joined(&words(text)).into_iter().map(|(_, _, whole)| whole).collect::<Vec<_>>();
        assert_eq!(joined("PIT-37"), ["pit37"]);
        assert_eq!(joined("L-4"), ["l4"]);
        assert_eq!(joined("w 2026"), Vec::<String>::new());
        assert_eq!(joined("l a"), Vec::<String>::new());
    }

    #[test]
    fn an_accent_alone_is_no_word() {
        assert_eq!(words("\u{301} e\u{301}").into_iter().map(|word| word.folded).collect::<Vec<_>>(), ["e"]);
    }
}
