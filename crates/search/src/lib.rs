//! Finding the article that answers a question: how words are compared, what is kept of an article to be found by, and how
//! well it answers. Text in, values out: no database.
//!
//! Words are compared by their stems (Snowball's, of Polish and English) and by their first letters, without diacritics. What
//! an article is found by are [`Posting`]s: a weight for each term, which a database keeps in [`PostingList`]s. A [`Question`]
//! is the other side: its words, their corrections and synonyms. [`Weighted`], it ranks and scores articles by the lists of its
//! terms.

pub mod anonymous;
pub mod document;
pub mod excerpt;
pub mod inflection;
pub mod markdown;
pub mod posting_list;
pub mod question;
pub mod scoring;
pub mod sought;
pub mod spelling;
pub mod synonyms;
pub mod words;

mod courtesies;
mod stop_words;

/// The way in which terms are made now. What was indexed in another one is indexed anew.
pub const VERSION: i32 = 3;

pub use document::{Document, Posting};
pub use posting_list::{ArticleNumber, PostingList, PostingLists};
pub use question::Question;
pub use scoring::{TermList, Weighted};
pub use sought::Sought;
