//! Names of files: data for people, never a path.

use std::fmt::Write;
use unicode_normalization::UnicodeNormalization;

/// In characters.
pub const NAME_LENGTH_MAX: usize = 255;

/// Why a name is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("names nothing")]
    Empty,
    #[error("is longer than {NAME_LENGTH_MAX} characters")]
    TooLong,
    #[error("holds a character that is not seen, or turns the text around")]
    Unseen,
    #[error("holds a slash: a name is no path")]
    Path,
}

/// The name that a browser sent with a file: the last part of whatever path it is, without what cannot be seen.
pub fn of_upload(sent: &str) -> Result<String, NameFault> {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    checked(&last.chars().filter(|it| !is_unseen(*it)).collect::<String>())
}

/// A name that somebody has given on purpose: composed (NFC), without space around.
pub fn checked(given: &str) -> Result<String, NameFault> {
    if given.chars().any(is_unseen) {
        return Err(NameFault::Unseen);
    }
    if given.contains(['/', '\\']) {
        return Err(NameFault::Path);
    }
    let name: String = given.trim().nfc().collect();
    if name.trim_matches('.').is_empty() {
        return Err(NameFault::Empty);
    }
    if name.chars().count() > NAME_LENGTH_MAX {
        return Err(NameFault::TooLong);
    }
    Ok(name)
}

/// What stands for a name where only ASCII is taken, with the characters that need no quoting.
pub fn ascii_fallback(name: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || " !#$&'()+,-.;=@[]^_`{}~".contains(it);
    name.chars().fold(String::new(), |mut text, it| {
        let _ = text.write_char(if plain(it) { it } else { '_' });
        text
    })
}

/// Controls, line separators, what turns the direction of text (`U+202E` makes `gpj.exe` of `exe.jpg`), and what has no
/// width at all.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_down_to_its_last_part() {
        for (sent, name) in [
            ("faktura.pdf", "faktura.pdf"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\system32\\cmd.txt", "cmd.txt"),
            ("C:\\Users\\Anna\\umowa.pdf", "umowa.pdf"),
            ("/etc/shadow", "shadow"),
            ("a/b\\c.txt", "c.txt"),
            (" umowa.pdf ", "umowa.pdf"),
            ("a\0b\r\nX-Evil: 1.txt", "abX-Evil: 1.txt"),
            ("\u{202E}fdp.exe", "fdp.exe"),
            ("z\u{0307}o\u{0301}\u{0142}ty.pdf", "żółty.pdf"),
            (".htaccess", ".htaccess"),
        ] {
            assert_eq!(of_upload(sent).as_deref(), Ok(name), "{sent:?}");
        }
        for nothing in ["", " ", ".", "..", "../..", "a/", "\\", "...", "\u{200B}", "/\u{202E}"] {
            assert_eq!(of_upload(nothing), Err(NameFault::Empty), "{nothing:?}");
        }
    }

    #[test]
    fn a_name_that_was_given_is_not_changed_silently() {
        assert_eq!(checked("umowa.pdf").as_deref(), Ok("umowa.pdf"));
        assert_eq!(checked("a/b"), Err(NameFault::Path));
        assert_eq!(checked("a\\b"), Err(NameFault::Path));
        assert_eq!(checked("\u{202E}fdp.exe"), Err(NameFault::Unseen));
        assert_eq!(checked("a\nb"), Err(NameFault::Unseen));
        assert_eq!(checked(".."), Err(NameFault::Empty));
        assert_eq!(checked(&"ż".repeat(255)).map(|it| it.chars().count()), Ok(255));
        assert_eq!(checked(&"ż".repeat(256)), Err(NameFault::TooLong));
    }

    #[test]
    fn a_fallback_has_nothing_that_ends_a_quoted_text() {
        assert_eq!(ascii_fallback("zażółć \"x\"; a=1\\.pdf"), "za____ _x_; a=1_.pdf");
    }
}
