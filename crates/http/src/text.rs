//! Text as it comes in: composed (NFC), trimmed, without control characters.

use crate::problem::Wrong;
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
            if !is_secret && (!is_nfc(text) || text.trim().len() != text.len()) {
                *text = text.trim().nfc().collect();
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
