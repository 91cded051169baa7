//! Words as they are mistyped.

use std::collections::BTreeSet;

/// Shorter words are not looked at: too many others are near.
pub const LETTERS_MIN: usize = 5;
/// A word this long may have two letters wrong.
const LONG: usize = 8;
/// Of a word this long the last letter may be that of another form, and of a longer one the last two.
const ENDED: usize = 6;

/// What a word and its neighbours have in common: its first five and seven letters, whole and with any one of them left out.
/// Two words of which the beginnings differ in one letter, or in two that have changed places, share a key.
pub fn keys(folded: &str) -> BTreeSet<String> {
    let letters: Vec<char> = folded.chars().collect();
    let mut keys = BTreeSet::new();
    if letters.len() < LETTERS_MIN - 1 || letters.iter().any(|letter| !letter.is_alphabetic()) {
        return keys;
    }
    for count in [5, 7] {
        let beginning = &letters[..letters.len().min(count)];
        keys.insert(beginning.iter().collect());
        for left_out in 0..beginning.len() {
            let rest = beginning.iter().enumerate().filter(|(place, _)| *place != left_out);
            keys.insert(rest.map(|(_, letter)| letter).collect());
        }
    }
    keys
}

/// How many letters two words differ by, letters that have changed places counted once; `None` where they are too many
/// for a slip. The last letters of a long word don't count: the other may be a form of it.
pub fn distance(typed: &str, known: &str) -> Option<usize> {
    let (typed, known): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    let most = slips_in(&typed);
    let mut least = edits(&typed, &known);
    if typed.len() >= ENDED {
        let beginning = &typed[..typed.len() - (typed.len() - ENDED + 1).min(2)];
        let shortest = beginning.len().saturating_sub(most);
        let longest = known.len().min(beginning.len() + most);
        for end in shortest..=longest {
            least = least.min(edits(beginning, &known[..end.min(known.len())]));
        }
    }
    (least <= most).then_some(least)
}

/// Whether a word is another one but for slips, rather than a slip of another form of it.
pub fn is_slip(typed: &str, known: &str) -> bool {
    let (typed, known): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    edits(&typed, &known) <= slips_in(&typed)
}

fn slips_in(typed: &[char]) -> usize {
    if typed.len() >= LONG { 2 } else { 1 }
}

/// Damerau and Levenshtein's, of neighbours that have changed places.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, letter) in a.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in b.iter().enumerate() {
            let mut least = (above[column + 1] + 1).min(line[column] + 1);
            least = least.min(above[column] + usize::from(letter != other));
            if row > 0 && column > 0 && *letter == b[column - 1] && a[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slip_is_near_what_was_meant() {
        for (typed, known) in [
            ("fkatura", "faktura"),
            ("fakura", "faktury"),
            ("koygujacymi", "korygujaca"),
            ("zwlniam", "zwolnienie"),
            ("intenret", "internetu"),
            ("zasiwadczeniem", "zaswiadczenie"),
        ] {
            assert!(distance(typed, known).is_some(), "{typed} {known}");
            assert!(!keys(typed).is_disjoint(&keys(known)), "{typed} {known}");
        }
    }

    #[test]
    fn another_word_is_not_near() {
        for (typed, known) in [("faktura", "natura"), ("umowa", "osoba")] {
            assert_eq!(distance(typed, known), None, "{typed} {known}");
        }
    }

    proptest! {
        #[test]
        fn one_slip_in_the_beginning_shares_a_key(word in "[a-z]{6,12}", at in 0_usize..6, letter in "[a-z]") {
            let letters: Vec<char> = word.chars().collect();
            let mut left_out = letters.clone();
            left_out.remove(at);
            let mut swapped = letters.clone();
            swapped.swap(at, (at + 1).min(letters.len() - 1));
            let mut other = letters.clone();
            other[at] = letter.chars().next().unwrap_or('a');
            for slip in [left_out, swapped, other] {
                let slip: String = slip.into_iter().collect();
                prop_assert!(!keys(&slip).is_disjoint(&keys(&word)), "{slip} {word}");
                prop_assert!(slip.len() < LETTERS_MIN || distance(&slip, &word).is_some(), "{slip} {word}");
            }
        }
    }
}
