//! Finding the article that answers a question: how words are compared, what is kept of an article to be found by, and how
//! well it answers. Text in, values out: no database.
//!
//! Words are compared by their stems (Snowball's, of Polish and English) and by their first letters, without diacritics. What
//! an article is found by are [`postings`](document::postings): a weight for each term, so that a database only has to add.
//! A [`Question`](question::Question) is the other side: its words, their corrections and synonyms, each with a weight.

pub mod anonymous;
pub mod document;
pub mod excerpt;
pub mod inflection;
pub mod markdown;
pub mod question;
pub mod sought;
pub mod spelling;
pub mod synonyms;
pub mod words;

mod courtesies;
mod stop_words;

/// The way in which terms are made now. What was indexed in another one is indexed anew.
pub const VERSION: i32 = 2;

pub use document::{Document, Posting};
pub use question::{Question, Weighted};
pub use sought::Sought;
