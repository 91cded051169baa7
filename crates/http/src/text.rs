//! Values as they come in: text composed (NFC), trimmed, without control characters, and empty where it shows nothing; `3.0` as the integer that it is.

use crate::problem::Wrong;
use opiekun_files::is_unseen;
use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Normalises every text of a body and tells of those that hold control characters.
///
/// Secrets are taken as they are: a password may end in a space.
pub(crate) fn normalise(body: &mut Value, pointer: &str, wrong: &mut Vec<Wrong>) {
    match body {
        Value::String(text) => {
            if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                wrong.push(Wrong::field(pointer, "control_character", "Holds a control character"));
            }
            let is_secret = pointer.ends_with("password") || pointer.ends_with("token");
            if !is_secret && (!is_nfc(text) || text.trim().len() != text.len() || shows_nothing(text)) {
                *text = normal(text);
            }
        }
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *number = whole.into();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                normalise(item, &format!("{pointer}/{index}"), wrong);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                normalise(member, &format!("{pointer}/{name}"), wrong);
            }
        }
        _ => {}
    }
}

/// The integer that a number written as `3.0` is (RFC 8259, 6), where every reader agrees on it.
fn whole(number: f64) -> Option<i64> {
    /// 2^53 - 1: from there on a double no longer tells neighbours apart.
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of i64")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// A key out of a path, as a text of a body is taken.
pub(crate) fn normal(text: &str) -> String {
    if shows_nothing(text) { String::new() } else { text.trim().nfc().collect() }
}

/// Whether whoever looks at it sees nothing at all: it is as good as empty.
fn shows_nothing(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_unseen(c))
}
