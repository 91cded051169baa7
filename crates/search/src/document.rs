//! What an article is found by.

use crate::markdown;
use crate::words::{joined, words};
use std::collections::{BTreeMap, BTreeSet};

/// An article, as far as it is searched.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    pub title: &'a str,
    pub tags: &'a [String],
    /// Markdown.
    pub body: &'a str,
}

/// What makes up an article: how much a word counts there, how many words are usual, and how much of the weight of each goes
/// where there are more (BM25F).
struct Field {
    weight: f32,
    usual_length: f32,
    length_matters: f32,
}

const TITLE: Field = Field { weight: 4.0, usual_length: 6.0, length_matters: 0.3 };
const TAGS: Field = Field { weight: 2.0, usual_length: 2.0, length_matters: 0.0 };
const BODY: Field = Field { weight: 1.0, usual_length: 60.0, length_matters: 0.3 };
/// How soon another occurrence of a word adds nothing.
const SATURATION: f32 = 3.0;
/// The weight of a term that could not say more.
pub const WEIGHT_MAX: i16 = 1000;

/// How much a term says about an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub term: String,
    /// From 1 to [`WEIGHT_MAX`].
    pub weight: i16,
}

/// What is kept of an article, so that questions find it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Indexed {
    /// By their terms.
    pub postings: Vec<Posting>,
    /// Its words without diacritics, which misspelt ones are compared with.
    pub words: BTreeSet<String>,
}

impl Document<'_> {
    pub fn index(&self) -> Indexed {
        let body = markdown::text(self.body);
        let tags = self.tags.join(" ");
        let mut counts: BTreeMap<String, f32> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (text, field) in [(self.title, TITLE), (&tags, TAGS), (&body, BODY)] {
            let words = words(text);
            let telling: Vec<_> = words.iter().filter(|word| !word.is_stop_word()).collect();
            let length = telling.len() as f32 / field.usual_length;
            let weight = field.weight / (1.0 - field.length_matters + field.length_matters * length);
            for (.., whole) in joined(&words) {
                *counts.entry(whole).or_default() += weight;
            }
            for word in telling {
                let forms = word.forms();
                for term in forms.stems.into_iter().chain(forms.beginnings.into_iter().map(|(term, _)| term)) {
                    *counts.entry(term).or_default() += weight;
                }
                known.insert(word.folded.clone());
            }
        }
        let postings = counts.into_iter().map(|(term, count)| {
            let weight = f32::from(WEIGHT_MAX) * count / (SATURATION + count);
            Posting { term, weight: (weight as i16).max(1) }
        });
        Indexed { postings: postings.collect(), words: known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weight(indexed: &Indexed, term: &str) -> i16 {
        indexed.postings.iter().find(|posting| posting.term == term).map_or(0, |posting| posting.weight)
    }

    #[test]
    fn a_title_says_more_than_a_body() {
        let tags = ["vat".to_owned()];
        let document =
            Document { title: "Duplikat faktury", tags: &tags, body: "Kopia **faktury** z datą.\n\n- kopia" };
        let indexed = document.index();
        assert!(weight(&indexed, "faktur") > weight(&indexed, "dat"));
        assert!(weight(&indexed, "kop") > weight(&indexed, "dat"), "{indexed:?}");
        assert!(indexed.words.contains("faktury") && !indexed.words.contains("z"));
    }

    #[test]
    fn short_neighbours_are_one_word_too() {
        let indexed = Document { title: "PIT-2, JPK_V7 i IP Box", tags: &[], body: "" }.index();
        for term in ["pit2", "jpkv7", "ipbox", "pit", "2"] {
            assert!(weight(&indexed, term) > 0, "{term}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_indexed(title in "\\PC{0,60}", body in "[\\PC\n]{0,400}") {
            let indexed = Document { title: &title, tags: &[], body: &body }.index();
            for posting in indexed.postings {
                prop_assert!((1..=WEIGHT_MAX).contains(&posting.weight) && !posting.term.is_empty());
            }
        }
    }
}
