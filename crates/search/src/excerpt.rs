//! The part of an article that answers a question, with the words that were asked for marked.

use crate::markdown;
use crate::question::Marker;
use crate::words::{Word, words};
use std::collections::{BTreeSet, VecDeque};

/// About so many letters are shown.
const LETTERS: usize = 240;
/// And never more.
const LETTERS_MAX: usize = 2 * LETTERS;
const MORE: &str = "…";

/// The part of a Markdown body in which most of the question is, as a piece of HTML: everything in it is text but for
/// `<mark>` around the words that are asked for, in whatever form they stand.
pub fn excerpt(body: &str, marker: &Marker) -> String {
    excerpt_of_text(&markdown::text(body), |word| marker.find(word))
}

/// The same of a text that is no Markdown; `find` tells which of the words that are asked for a word is.
pub fn excerpt_of_text(text: &str, find: impl Fn(&Word) -> Option<usize>) -> String {
    let words = words(text);
    let found: Vec<Option<usize>> = words.iter().map(find).collect();
    let (first, last) = window(text, &words, &found);
    let (Some(from), Some(to)) = (words.get(first), words.get(last)) else { return String::new() };
    let (from, to) = widened(text, from.at.start, to.at.end);
    // What has no end is no word.
    let to = text[from..to].char_indices().nth(LETTERS_MAX).map_or(to, |(at, _)| from + at);
    let mut html = String::new();
    if from > 0 {
        html.push_str(MORE);
    }
    let mut at = from;
    let shown = words.iter().zip(&found).filter(|(word, _)| from <= word.at.start && word.at.start < to);
    for (word, _) in shown.filter(|(_, found)| found.is_some()) {
        let end = word.at.end.min(to);
        push_text(&mut html, &text[at..word.at.start]);
        html.push_str("<mark>");
        push_text(&mut html, &text[word.at.start..end]);
        html.push_str("</mark>");
        at = end;
    }
    push_text(&mut html, &text[at..to]);
    if to < text.len() {
        html.push_str(MORE);
    }
    html
}

/// The first and last word of the part in which most different words are found, and of equal parts the most words; the
/// beginning where there is none.
fn window(text: &str, words: &[Word], found: &[Option<usize>]) -> (usize, usize) {
    let mut best = (0, 0, 0);
    let mut within: VecDeque<usize> = VecDeque::new();
    for (place, word) in words.iter().enumerate() {
        if found[place].is_none() {
            continue;
        }
        within.push_back(place);
        while within.front().is_some_and(|first| text[words[*first].at.start..word.at.end].chars().count() > LETTERS) {
            within.pop_front();
        }
        let different: BTreeSet<_> = within.iter().filter_map(|place| found[*place]).collect();
        let worth = (different.len(), within.len(), usize::MAX - within.front().copied().unwrap_or(place));
        if worth > best {
            best = worth;
        }
    }
    let (_, count, first) = best;
    if count == 0 {
        return (0, 0);
    }
    let first = usize::MAX - first;
    let last = (first..words.len()).filter(|place| found[*place].is_some()).nth(count - 1).unwrap_or(first);
    (first, last)
}

/// Makes a part as long as an excerpt: back to where its sentence begins, and on as far as there is room, by whole words.
fn widened(text: &str, from: usize, to: usize) -> (usize, usize) {
    let length = |from: usize, to: usize| text[from..to].chars().count();
    let sentence = text[..from].rfind(['.', '!', '?', '\n']).map_or(0, |end| {
        let rest = &text[end..from];
        end + rest.len() - rest.trim_start_matches(['.', '!', '?', '\n', ' ']).len()
    });
    let mut start = from;
    let room = LETTERS.saturating_sub(length(from, to));
    if length(sentence, from) <= room / 2 {
        start = sentence;
    } else {
        let back = text[..from].char_indices().rev().take(room / 2).last().map_or(from, |(at, _)| at);
        start = text[back..start].find(' ').map_or(start, |space| back + space + 1);
    }
    let room = LETTERS.saturating_sub(length(start, to));
    let end = text[to..].char_indices().nth(room).map_or(text.len(), |(at, _)| to + at);
    let end = if end == text.len() { end } else { text[to..end].rfind([' ', '\n']).map_or(to, |space| to + space) };
    (start, end)
}

/// Text as HTML: a line a paragraph becomes a space.
fn push_text(html: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push(' '),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Question;
    use proptest::prelude::*;

    fn of(question: &str, body: &str) -> String {
        excerpt(body, &Question::read(question).marker())
    }

    #[test]
    fn words_are_marked_in_whatever_form_they_stand() {
        let body = "Pismo **wysyła się** listem.\n\nDłużnik płaci odsetki, gdy minie termin płatności faktury.";
        assert_eq!(
            of("odsetkami od faktur", body),
            "…Dłużnik płaci <mark>odsetki</mark>, gdy minie termin płatności <mark>faktury</mark>."
        );
    }

    #[test]
    fn nothing_but_marks_is_markup() {
        let body = "<script>alert('faktura')</script>\n\nA & B <i onclick=x>faktura</i> `<b>` [x](javascript:faktura)";
        assert_eq!(of("faktura", body), "A &amp; B <mark>faktura</mark> &lt;b&gt; x");
    }

    #[test]
    fn the_beginning_is_shown_where_nothing_is_found() {
        assert_eq!(of("urlop", "Jedno zdanie."), "Jedno zdanie.");
        assert_eq!(of("urlop", ""), "");
    }

    #[test]
    fn a_long_text_is_cut_around_what_is_found() {
        let body = format!("{} Tu jest urlop. {}", "Zdanie bez niczego. ".repeat(80), "Dalej znów nic. ".repeat(80));
        let shown = of("urlopy", &body);
        assert!(shown.contains("<mark>urlop</mark>") && shown.starts_with(MORE) && shown.ends_with(MORE), "{shown}");
        assert!(shown.chars().count() < LETTERS + 40, "{}", shown.len());
    }

    #[test]
    fn a_word_without_an_end_is_cut() {
        let shown = of(&"c".repeat(40), &"c".repeat(90_000));
        assert_eq!(shown.matches("<mark>").count(), 1);
        assert_eq!(shown.chars().filter(|letter| *letter == 'c').count(), LETTERS_MAX);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_safe_whatever_was_written(question in "\\PC{0,40}", body in "[\\PC\n<>&*`#]{0,600}") {
            let shown = of(&question, &body);
            let bare = shown.replace("<mark>", "").replace("</mark>", "");
            prop_assert!(!bare.contains(['<', '>', '"', '\'']), "{shown}");
            prop_assert_eq!(shown.matches("<mark>").count(), shown.matches("</mark>").count());
        }
    }
}
