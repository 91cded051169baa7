//! Posting lists: which articles a term is in, and how much it says about each, in the bytes that a database keeps.
//!
//! The articles of an organization are numbered. What a rare term is in is one list, and of a frequent one there are several,
//! each of articles between two numbers: to change an article is to change a short list of each of its terms, and to read
//! all articles that a term is in is to read a few rows.

use std::collections::BTreeMap;

/// The number of an article within its organization, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArticleNumber(pub i32);

/// What a term weighs in each of some articles, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostingList {
    /// The number from which its articles' are counted; the first of them may be gone.
    first: ArticleNumber,
    bytes: Vec<u8>,
}

impl PostingList {
    /// So many articles are in a list at most.
    pub const ARTICLES_MAX: usize = 256;
    /// Of each article: two for what its number is more than the list's first, and two for the weight, the higher ones first.
    pub const BYTES: usize = 4;

    /// A list that was kept as its [`first`](Self::first) number and its [`bytes`](Self::bytes).
    pub const fn kept(first: ArticleNumber, bytes: Vec<u8>) -> Self {
        Self { first, bytes }
    }

    /// No article has a lower number.
    pub const fn first(&self) -> ArticleNumber {
        self.first
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The articles and the weights in them.
    pub fn iter(&self) -> impl Iterator<Item = (ArticleNumber, i16)> {
        let number = |posting| ArticleNumber(self.first.0 + i32::from(offset(posting)));
        self.postings().iter().map(move |posting| (number(posting), weight(posting)))
    }

    /// The weight in an article.
    pub fn get(&self, article: ArticleNumber) -> Option<i16> {
        let found = self.find(self.offset_of(article)?).ok()?;
        self.postings().get(found).map(weight)
    }

    fn put(&mut self, offset: u16, weight: i16) {
        let ([a, b], [c, d]) = (offset.to_be_bytes(), weight.to_be_bytes());
        let (from, to) = self.range(offset);
        self.bytes.splice(from..to, [a, b, c, d]);
    }

    fn take(&mut self, offset: u16) {
        let (from, to) = self.range(offset);
        self.bytes.drain(from..to);
    }

    /// Makes a list of the articles from a place on.
    fn split_off(&mut self, place: usize) -> Option<Self> {
        let rest = Self::kept(self.first, self.bytes.split_off(place * Self::BYTES));
        let from = offset(rest.postings().first()?);
        let mut split = Self::kept(ArticleNumber(self.first.0 + i32::from(from)), Vec::new());
        rest.postings().iter().for_each(|posting| split.put(offset(posting) - from, weight(posting)));
        Some(split)
    }

    fn postings(&self) -> &[[u8; Self::BYTES]] {
        self.bytes.as_chunks().0
    }

    /// How an article's number is counted here, if it can be.
    fn offset_of(&self, article: ArticleNumber) -> Option<u16> {
        u16::try_from(article.0 - self.first.0).ok()
    }

    fn find(&self, at: u16) -> Result<usize, usize> {
        self.postings().binary_search_by(|posting| offset(posting).cmp(&at))
    }

    /// The bytes of an article; none, where they would be, if it is not in the list.
    fn range(&self, at: u16) -> (usize, usize) {
        match self.find(at) {
            Ok(found) => (found * Self::BYTES, (found + 1) * Self::BYTES),
            Err(before) => (before * Self::BYTES, before * Self::BYTES),
        }
    }
}

const fn offset([a, b, ..]: &[u8; PostingList::BYTES]) -> u16 {
    u16::from_be_bytes([*a, *b])
}

const fn weight([.., c, d]: &[u8; PostingList::BYTES]) -> i16 {
    i16::from_be_bytes([*c, *d])
}

/// The lists of one term, or those of them that are changed: an article's is the one with the greatest first number up to its
/// own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostingLists(BTreeMap<ArticleNumber, PostingList>);

impl PostingLists {
    /// The lists, and those that have become empty.
    pub fn iter(&self) -> impl Iterator<Item = &PostingList> {
        self.0.values()
    }

    /// Has the term weigh so much in an article. Of a list that is full another one becomes.
    pub fn put(&mut self, article: ArticleNumber, weight: i16) {
        if self.list_of(article).is_none() {
            self.extend([PostingList::kept(article, Vec::new())]);
        }
        let Some((list, offset)) = self.list_of(article) else { return };
        list.put(offset, weight);
        let articles = list.postings().len();
        if articles > PostingList::ARTICLES_MAX {
            // New articles come last: lists that are full stay so.
            let is_last = list.find(offset) == Ok(articles - 1);
            let split = list.split_off(if is_last { articles - 1 } else { articles / 2 });
            self.extend(split);
        }
    }

    /// Takes an article out.
    pub fn take(&mut self, article: ArticleNumber) {
        if let Some((list, offset)) = self.list_of(article) {
            list.take(offset);
        }
    }

    /// The list that an article belongs to, if there is one, and how its number is counted there.
    fn list_of(&mut self, article: ArticleNumber) -> Option<(&mut PostingList, u16)> {
        let (_, list) = self.0.range_mut(..=article).next_back()?;
        let offset = list.offset_of(article)?;
        Some((list, offset))
    }
}

impl Extend<PostingList> for PostingLists {
    fn extend<T: IntoIterator<Item = PostingList>>(&mut self, lists: T) {
        self.0.extend(lists.into_iter().map(|list| (list.first, list)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(lists: &PostingLists) -> Vec<(i32, i16)> {
        lists.iter().flat_map(PostingList::iter).map(|(article, weight)| (article.0, weight)).collect()
    }

    proptest! {
        #[test]
        fn lists_hold_what_a_map_would(
            changes in prop::collection::vec((prop_oneof![0..1500, 0..300_000], prop::option::of(1_i16..=1000)), 0..3000)
        ) {
            let (mut lists, mut map) = (PostingLists::default(), BTreeMap::new());
            for (article, weight) in changes {
                match weight {
                    Some(weight) => {
                        lists.put(ArticleNumber(article), weight);
                        map.insert(article, weight);
                    }
                    None => {
                        lists.take(ArticleNumber(article));
                        map.remove(&article);
                    }
                }
            }
            prop_assert_eq!(of(&lists), map.clone().into_iter().collect::<Vec<_>>());
            for list in lists.iter() {
                prop_assert!(list.postings().len() <= PostingList::ARTICLES_MAX);
                let kept = PostingList::kept(list.first(), list.bytes().to_vec());
                prop_assert!(kept.iter().all(|(article, weight)| kept.get(article) == Some(weight)));
                prop_assert_eq!(kept.get(ArticleNumber(list.first().0 - 1)), None);
            }
        }

        #[test]
        fn only_the_list_of_an_article_is_needed_to_change_it(articles in prop::collection::vec(0..2000, 300..900), changed in 0..2000) {
            let mut all = PostingLists::default();
            articles.iter().for_each(|article| all.put(ArticleNumber(*article), 1));
            let mut one = PostingLists::default();
            one.extend(all.iter().filter(|list| list.first() <= ArticleNumber(changed)).last().cloned());
            one.put(ArticleNumber(changed), 2);
            all.put(ArticleNumber(changed), 2);
            prop_assert!(one.iter().all(|list| all.iter().any(|known| known == list)));
            one.take(ArticleNumber(changed));
            prop_assert!(of(&one).iter().all(|(article, _)| *article != changed));
        }
    }

    #[test]
    fn articles_that_come_one_after_the_other_fill_their_lists() {
        let mut lists = PostingLists::default();
        (0..1024).for_each(|article| lists.put(ArticleNumber(article), 7));
        let lengths: Vec<usize> = lists.iter().map(|list| list.postings().len()).collect();
        assert_eq!(lengths, [PostingList::ARTICLES_MAX; 4]);
    }
}
