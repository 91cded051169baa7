//! The synonyms that everybody begins with.

use crate::question::keys;
use crate::words::words;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Words and phrases of one meaning, and what they are looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub terms: Vec<String>,
    pub keys: Vec<String>,
}

impl Group {
    pub fn new(terms: Vec<String>) -> Self {
        Self { keys: keys(&terms).into_iter().collect(), terms }
    }
}

/// Why a term cannot be one of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermFault {
    /// It is no word, or one that stands in every sentence. Several of those may be a phrase: "do kiedy".
    SaysNothing,
    /// A term before it has the same words.
    Same,
}

/// The places of the terms that cannot be in a group, each with the reason.
pub fn faults(terms: &[String]) -> Vec<(usize, TermFault)> {
    let mut known = HashSet::new();
    let fault = |(place, term): (usize, &String)| {
        let words = words(term);
        if words.len() < 2 && words.iter().all(|word| word.is_stop_word()) {
            return Some((place, TermFault::SaysNothing));
        }
        let folded: Vec<String> = words.into_iter().map(|word| word.folded).collect();
        (!known.insert(folded)).then_some((place, TermFault::Same))
    };
    terms.iter().enumerate().filter_map(fault).collect()
}

/// General Polish and English vocabulary of offices, taxes, wages, firms, contracts and computers.
pub static DEFAULTS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let lines = include_str!("synonyms.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| Group::new(line.split(',').map(|term| term.trim().to_owned()).collect())).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_group_is_one_that_an_organization_could_have_written() {
        assert!(DEFAULTS.len() > 500);
        for Group { terms, keys } in DEFAULTS.iter() {
            let different: BTreeSet<&String> = terms.iter().collect();
            assert!((2..=40).contains(&terms.len()) && different.len() == terms.len(), "{terms:?}");
            assert!(terms.iter().all(|term| (1..=60).contains(&term.chars().count())), "{terms:?}");
            assert!(!keys.is_empty(), "{terms:?}");
            assert_eq!(faults(terms), [], "{terms:?}");
        }
    }

    #[test]
    fn a_term_says_something_that_no_other_does() {
        let terms = ["płaca", "to", "PLACA", "Płacą!", "do kiedy", "-", "płacy", "\u{301}"].map(str::to_owned);
        let same = [2, 3].map(|place| (place, TermFault::Same));
        let nothing = [1, 5, 7].map(|place| (place, TermFault::SaysNothing));
        let expected = [nothing[0], same[0], same[1], nothing[1], nothing[2]];
        assert_eq!(faults(&terms), expected);
    }
}
