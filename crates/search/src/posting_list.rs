//! Posting lists: which articles a term is in, and how much it says about each, in the bytes that a database keeps.
//!
//! The articles of an organization are numbered. So many of them beside each other are a segment, and a list is of one term
//! in one segment: to change an article is to change a short list of each of its terms, and to read all articles that a
//! frequent term is in is to read a few rows.

/// The number of an article within its organization, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArticleNumber(pub i32);

impl ArticleNumber {
    /// The one at a place of a segment.
    pub const fn at(segment: i32, place: u16) -> Self {
        Self(segment * PostingList::PLACES as i32 + place as i32)
    }

    pub const fn segment(self) -> i32 {
        self.0 / PostingList::PLACES as i32
    }

    /// Its place in the segment.
    pub const fn place(self) -> u16 {
        (self.0 % PostingList::PLACES as i32) as u16
    }
}

/// What a term weighs in each article of a segment that has it, in the order of their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostingList(Vec<u8>);

impl PostingList {
    /// So many articles are a segment.
    pub const PLACES: usize = 1024;
    /// Of each posting: two for the place in the segment and two for the weight, the higher ones first.
    pub const BYTES: usize = 4;

    /// A list that was kept as its [`bytes`](Self::bytes).
    pub const fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places and weights.
    pub fn iter(&self) -> impl Iterator<Item = (u16, i16)> {
        self.postings().iter().map(|posting| (place(posting), weight(posting)))
    }

    /// The weight at a place.
    pub fn get(&self, at: u16) -> Option<i16> {
        self.find(at).ok().and_then(|found| self.postings().get(found)).map(weight)
    }

    /// Has the term weigh so much at a place.
    pub fn put(&mut self, at: u16, weight: i16) {
        let ([a, b], [c, d]) = (at.to_be_bytes(), weight.to_be_bytes());
        let (from, to) = self.range(at);
        self.0.splice(from..to, [a, b, c, d]);
    }

    /// Takes a place out of the list.
    pub fn take(&mut self, at: u16) {
        let (from, to) = self.range(at);
        self.0.drain(from..to);
    }

    fn postings(&self) -> &[[u8; Self::BYTES]] {
        self.0.as_chunks().0
    }

    fn find(&self, at: u16) -> Result<usize, usize> {
        self.postings().binary_search_by(|posting| place(posting).cmp(&at))
    }

    /// The bytes of a place; none, where they would be, if it is not in the list.
    fn range(&self, at: u16) -> (usize, usize) {
        match self.find(at) {
            Ok(found) => (found * Self::BYTES, (found + 1) * Self::BYTES),
            Err(before) => (before * Self::BYTES, before * Self::BYTES),
        }
    }
}

const fn place([a, b, ..]: &[u8; PostingList::BYTES]) -> u16 {
    u16::from_be_bytes([*a, *b])
}

const fn weight([.., c, d]: &[u8; PostingList::BYTES]) -> i16 {
    i16::from_be_bytes([*c, *d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_list_holds_what_a_map_would(changes in prop::collection::vec((0_u16..40, prop::option::of(1_i16..=1000)), 0..200)) {
            let (mut list, mut map) = (PostingList::default(), BTreeMap::new());
            for (place, weight) in changes {
                match weight {
                    Some(weight) => {
                        list.put(place, weight);
                        map.insert(place, weight);
                    }
                    None => {
                        list.take(place);
                        map.remove(&place);
                    }
                }
            }
            let list = PostingList::of_bytes(list.bytes().to_vec());
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), map.clone().into_iter().collect::<Vec<_>>());
            prop_assert!((0..40).all(|place| list.get(place) == map.get(&place).copied()));
            prop_assert_eq!(list.is_empty(), map.is_empty());
        }

        #[test]
        fn a_number_is_a_place_of_a_segment(number in 0..i32::MAX) {
            let number = ArticleNumber(number);
            prop_assert!(usize::from(number.place()) < PostingList::PLACES);
            prop_assert_eq!(ArticleNumber::at(number.segment(), number.place()), number);
        }
    }
}
