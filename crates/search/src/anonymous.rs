//! What may be kept of a question that found nothing: what it was about, and not whom.

use crate::inflection::forms;
use crate::words::{Word, words};
use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

/// So much of a question is kept.
const LETTERS_MAX: usize = 200;
/// In the place of what is not kept.
const HIDDEN: &str = "…";
/// So many digits together, whatever stands between them, may be those of somebody: a telephone, a birthday, an account.
const DIGITS_MIN: usize = 5;
/// Written in capitals, so long a word is an abbreviation.
const ABBREVIATION_MAX: usize = 5;

/// First names without diacritics, the most usual ones of Poland (register of residents, given names, 2025).
static FIRST_NAMES: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("first_names.txt").split_whitespace().collect());

/// Words behind which somebody is named.
const TITLES: &[&str] = &[
    "pan", "pana", "panu", "panem", "pani", "pania", "panstwo", "panstwa", "panstwu", "dr", "mec", "mr", "mrs", "ms",
    "miss",
];
/// Words behind which a street and its number are named.
const STREETS: &[&str] =
    &["ul", "ulica", "ulicy", "ulice", "al", "aleja", "alei", "os", "osiedle", "osiedlu", "przy", "street"];
/// How surnames end, in any form.
const SURNAMES: &[&str] = &[
    "ski", "ska", "skiego", "skiemu", "skim", "skiej", "skich", "scy", "cki", "cka", "ckiego", "ckiemu", "ckim",
    "ckiej", "ckich", "ccy", "dzki", "dzka", "dzkiego", "dzkiemu", "dzkim", "dzkiej", "wicz", "wicza", "wiczowi",
    "wiczem", "wiczu", "wiczow",
];
const MONTHS: &[&str] = &[
    "stycznia",
    "lutego",
    "marca",
    "kwietnia",
    "maja",
    "czerwca",
    "lipca",
    "sierpnia",
    "wrzesnia",
    "pazdziernika",
    "listopada",
    "grudnia",
];
/// A word with so many digits in it is a number of something.
const DIGITS_OF_WORD: usize = 3;

/// A piece of a question between white space.
struct Piece<'a> {
    text: &'a str,
    words: Vec<Word>,
    is_hidden: bool,
}

/// The words of a question that may be a name of somebody whom the organization keeps: those that no article has, folded.
pub fn unknown(text: &str, is_known: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let unknown = words(text).into_iter().filter(|word| !is_about(word, &is_known));
    unknown.map(|word| word.folded).collect()
}

/// Whether a word says what a question is about.
fn is_about(word: &Word, is_known: impl Fn(&str) -> bool) -> bool {
    word.is_stop_word() || word.forms().stems.iter().any(|stem| is_known(stem))
}

/// A question without numbers, addresses and names: first names and what stands beside them, what is called like a surname or
/// stands behind "pan" and "pani", names that the organization keeps (`is_kept`, of a folded word), and words with a capital,
/// unless articles have them (`is_known`, of a stem).
pub fn anonymous(text: &str, is_known: impl Fn(&str) -> bool, is_kept: impl Fn(&str) -> bool) -> String {
    let is_shouted = !text.chars().any(char::is_lowercase);
    let mut pieces: Vec<Piece<'_>> =
        text.split_whitespace().map(|text| Piece { text, words: words(text), is_hidden: is_address(text) }).collect();
    let is_unknown = |word: &Word| !is_about(word, &is_known);
    let is_first_name = |word: &Word| {
        is_unknown(word)
            && !STREETS.contains(&word.folded.as_str())
            && forms(&word.folded).iter().any(|form| FIRST_NAMES.contains(form.as_str()))
    };
    let capital = |piece: &Piece<'_>, word: &Word| {
        let written = &piece.text[word.at.clone()];
        let is_abbreviation = !written.chars().any(char::is_lowercase) && written.chars().count() <= ABBREVIATION_MAX;
        !is_shouted && !is_abbreviation && written.chars().next().is_some_and(char::is_uppercase)
    };
    let has_first_name: Vec<bool> = pieces.iter().map(|piece| piece.words.iter().any(is_first_name)).collect();
    for place in 0..pieces.len() {
        let beside = |has: usize| has_first_name.get(has).copied().unwrap_or_default();
        let before = place.checked_sub(1);
        let is_behind_title = before.and_then(|before| pieces.get(before)).is_some_and(|it| it.is_any_of(TITLES));
        let is_beside = is_behind_title || before.is_some_and(beside) || beside(place + 1);
        let Some(piece) = pieces.get(place) else { continue };
        let is_name = |word: &Word| {
            is_unknown(word)
                && (is_beside
                    || is_first_name(word)
                    || is_surname(&word.folded)
                    || is_number_of_something(&word.folded)
                    || is_kept(&word.folded)
                    || capital(piece, word))
        };
        let is_name = piece.words.iter().any(is_name);
        // What "at" and "(at)" stand between is an address, too.
        let is_at = |at: usize| pieces.get(at).is_some_and(|piece| ["@", "(at)", "[at]"].contains(&piece.text));
        let is_of_address = is_at(place) || is_at(place + 1) || before.is_some_and(is_at);
        if let (true, Some(piece)) = (is_name || is_of_address, pieces.get_mut(place)) {
            piece.is_hidden = true;
        }
    }
    hide_numbers(&mut pieces);
    hide_streets(&mut pieces);
    hide_days(&mut pieces);
    let mut kept: Vec<String> = Vec::new();
    for piece in pieces {
        let shown = if piece.is_hidden { HIDDEN.to_owned() } else { piece.text.to_lowercase() };
        if shown != HIDDEN || kept.last().is_none_or(|last| last != HIDDEN) {
            kept.push(shown);
        }
    }
    kept.join(" ").chars().take(LETTERS_MAX).collect::<String>().trim_end().to_owned()
}

/// Whether it is an address of a mailbox or in the web: with a sign of its own, or with a dot or slash within.
fn is_address(text: &str) -> bool {
    let within = text.trim_matches(|letter: char| !letter.is_alphanumeric());
    let has_dot = within.split('.').collect::<Vec<_>>().windows(2).any(|sides| {
        let is_name = |side: &&str| side.chars().count() > 1 && side.chars().any(char::is_alphabetic);
        sides.iter().all(is_name)
    });
    text.contains('@') || text.contains("(at)") || text.contains("[at]") || text.contains("://") || has_dot
}

impl Piece<'_> {
    fn is_any_of(&self, list: &[&str]) -> bool {
        self.words.last().is_some_and(|word| list.contains(&word.folded.as_str()))
    }

    fn has_digit(&self) -> bool {
        self.text.chars().any(char::is_numeric)
    }
}

/// Whether a word that no article has ends as surnames do, or is of another script than questions are.
fn is_surname(folded: &str) -> bool {
    const BEFORE: usize = 3;
    let is_ended = |ending: &&str| folded.strip_suffix(*ending).is_some_and(|before| before.chars().count() >= BEFORE);
    SURNAMES.iter().any(is_ended) || folded.chars().any(|letter| letter.is_alphabetic() && letter > '\u{24f}')
}

/// Whether a word is letters and digits, such as that of a car or the name of an account; digits of another script are
/// those of somebody, too.
fn is_number_of_something(folded: &str) -> bool {
    let digits = folded.chars().filter(|letter| letter.is_numeric()).count();
    digits >= DIGITS_OF_WORD && folded.chars().any(char::is_alphabetic)
        || folded.chars().any(|letter| letter.is_numeric() && !letter.is_ascii_digit())
}

/// Hides the name of a street with the numbers behind it, where there are any.
fn hide_streets(pieces: &mut [Piece<'_>]) {
    const NAME_MAX: usize = 3;
    for place in 0..pieces.len() {
        let Some(behind) = pieces.get(place + 1..).filter(|_| pieces[place].is_any_of(STREETS)) else { continue };
        let Some(number) = behind.iter().take(NAME_MAX + 1).position(Piece::has_digit).filter(|number| *number > 0)
        else {
            continue;
        };
        // "5 m 7", "5 lok. 7".
        let flat = behind.get(number + 2).is_some_and(Piece::has_digit);
        let end = place + 1 + number + if flat { 2 } else { 0 };
        pieces[place + 1..=end].iter_mut().for_each(|piece| piece.is_hidden = true);
    }
}

/// Hides days with their year, which are birthdays.
fn hide_days(pieces: &mut [Piece<'_>]) {
    for place in 1..pieces.len().saturating_sub(1) {
        let year: String = pieces[place + 1].text.chars().filter(char::is_ascii_digit).collect();
        if pieces[place].is_any_of(MONTHS) && pieces[place - 1].has_digit() && year.len() == 4 {
            pieces[place - 1..=place + 1].iter_mut().for_each(|piece| piece.is_hidden = true);
        }
    }
}

/// Hides runs of pieces that have so many digits together.
fn hide_numbers(pieces: &mut [Piece<'_>]) {
    let is_number = |piece: &Piece<'_>| piece.has_digit() && !piece.text.chars().any(char::is_alphabetic);
    for run in pieces.chunk_by_mut(|one, other| is_number(one) && is_number(other)) {
        let digits: usize =
            run.iter().map(|piece| piece.text.chars().filter(|letter| letter.is_numeric()).count()).sum();
        if digits >= DIGITS_MIN {
            run.iter_mut().for_each(|piece| piece.is_hidden = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_kept_of_a_question_names_nobody() {
        let is_known = |stem: &str| stem == "umow";
        let is_kept = |word: &str| word == "zlotniczanka";
        for (text, kept) in [
            ("Umowa dla Jana Kowalskiego 80010112345", "umowa dla …"),
            ("Jak wysłać PIT do anna@example.com?", "jak wysłać pit do …"),
            ("telefon 600700800 kto to", "telefon … kto to"),
            ("tel 600 700 800 kto to", "tel … kto to"),
            ("tel +48.600-700-800", "tel …"),
            ("nip 526-000-12-46 umowa", "nip … umowa"),
            ("konto 61 1090 1014 0000 0712 1981 2874", "konto …"),
            ("limit 30000 zł, rok 2026", "limit … zł, rok 2026"),
            ("stawka 23 procent", "stawka 23 procent"),
            ("jan kowalski zadzwonił", "… zadzwonił"),
            ("JAN KOWALSKI ZADZWONIŁ", "… zadzwonił"),
            ("zdzisławowi brzęczyszczykiewiczowi umowa", "… umowa"),
            ("co z panią zlotniczanka", "co z panią …"),
            ("kryptowaluty w kosztach", "kryptowaluty w kosztach"),
            ("jan.kowalski @ firma.pl", "…"),
            ("mail biuro (at) firma", "mail …"),
            ("mail jan(at)firma.pl umowa", "… umowa"),
            ("https://facebook.com/ktos umowa", "… umowa"),
            ("urodzony 1.01.1985", "urodzony …"),
            ("data 1985-01-01", "data …"),
            ("tel ６００７００８００", "tel …"),
            ("GDZIE MIESZKA PAN BRZĘCZYSZCZYKIEWICZ", "gdzie mieszka pan …"),
            ("pani wątrobińska struś", "pani … struś"),
            ("struś wiśniewskiej z radomia", "struś … z radomia"),
            ("struś urodzona 12 maja 1990", "struś urodzona …"),
            ("zwrot do 25 maja", "zwrot do 25 maja"),
            ("struś przy długiej 5 m 7", "struś przy …"),
            ("struś ul. długa 5 umowa", "struś ul. … umowa"),
            ("struś jankowalski1985 po 4kl21", "struś … po …"),
            ("struś-wątrobiński umowa", "… umowa"),
            ("hipopotam ١٢٣٤ 李小龍", "hipopotam …"),
        ] {
            assert_eq!(anonymous(text, is_known, is_kept), kept, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_number_of_anybody_is_kept(before in "[a-z ]{0,20}", digits in "[0-9]{5,26}", between in "[ ./+-]") {
            let text: String = digits.chars().flat_map(|digit| [digit, between.chars().next().unwrap_or(' ')]).collect();
            let kept = anonymous(&format!("{before} {text}"), |_| true, |_| false);
            prop_assert!(!kept.contains(|letter: char| letter.is_numeric()), "{kept}");
        }
    }
}
