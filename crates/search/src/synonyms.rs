//! The synonyms that everybody begins with.

use crate::question::keys;
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
        }
    }
}
