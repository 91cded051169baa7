//! iCalendar as RFC 5545 has it: content lines, escaped and folded, in components.
//!
//! Written here, since the crates that write it have no VTIMEZONE (icalendar 0.17 exports no component that it could be
//! made of, and would give it a random UID and the moment of writing), without which a time of day in a time zone means
//! nothing.

mod time_zone;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

pub(crate) use time_zone::TimeZoneDefinition;

/// A line holds at most so many octets, its end not counted (RFC 5545, 3.1).
const LINE_OCTETS_MAX: usize = 75;

/// Content lines, one after another.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    written: String,
}

impl Lines {
    pub(crate) fn begin(&mut self, component: &str) {
        self.value("BEGIN", component);
    }

    pub(crate) fn end(&mut self, component: &str) {
        self.value("END", component);
    }

    /// A property whose value stands as it is: a word, a number, an identity. `name` may hold parameters.
    pub(crate) fn value(&mut self, name: &str, value: &str) {
        let mut room = LINE_OCTETS_MAX;
        for letter in [name, ":", value].into_iter().flat_map(str::chars) {
            // A letter of several octets stays whole: not all readers put halves together again.
            if letter.len_utf8() > room {
                self.written.push_str("\r\n ");
                room = LINE_OCTETS_MAX - 1;
            }
            room -= letter.len_utf8();
            self.written.push(letter);
        }
        self.written.push_str("\r\n");
    }

    /// A property whose value is text that people wrote.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.value(name, &escaped(text));
    }

    /// A moment, in UTC.
    pub(crate) fn moment(&mut self, name: &str, moment: DateTime<Utc>) {
        self.value(name, &utc(moment));
    }

    /// A calendar day.
    pub(crate) fn day(&mut self, name: &str, day: NaiveDate) {
        self.value(&format!("{name};VALUE=DATE"), &day.format("%Y%m%d").to_string());
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.written.into_bytes()
    }
}

/// A moment as iCalendar spells it, to the second.
pub(crate) fn utc(moment: DateTime<Utc>) -> String {
    moment.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A time on the clocks of some zone.
fn local(time: NaiveDateTime) -> String {
    time.format("%Y%m%dT%H%M%S").to_string()
}

/// Text with what has a meaning of its own escaped (RFC 5545, 3.3.11), and without control characters, which no value may
/// hold but tabs.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.replace("\r\n", "\n").chars() {
        match letter {
            '\\' | ';' | ',' => escaped.extend(['\\', letter]),
            '\n' | '\r' => escaped.push_str("\\n"),
            '\t' => escaped.push('\t'),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Lines)) -> String {
        let mut lines = Lines::default();
        write(&mut lines);
        lines.written
    }

    #[test]
    fn what_has_a_meaning_of_its_own_is_escaped() {
        let text = "Nowak; \"Syn\", s.c.: C:\\Faktury\r\ndrugi\ttekst\ntrzeci\rczwarty\u{7}\u{7f}\u{85}🙂";
        assert_eq!(
            written(|lines| lines.text("SUMMARY", text)),
            "SUMMARY:Nowak\\; \"Syn\"\\, s.c.: C:\\\\Faktury\\ndrugi\ttekst\\ntrzeci\\nczwarty🙂\r\n"
        );
    }

    #[test]
    fn a_line_is_folded_at_75_octets() {
        let line = |length: usize| written(|lines| lines.value("X", &"a".repeat(length)));
        assert_eq!(line(73), format!("X:{}\r\n", "a".repeat(73)));
        assert_eq!(line(74), format!("X:{}\r\n a\r\n", "a".repeat(73)));
        assert_eq!(line(148), format!("X:{}\r\n {}\r\n a\r\n", "a".repeat(73), "a".repeat(74)));
        // 74 octets are taken: the letter of two goes to the next line.
        let split = written(|lines| lines.value("X", &format!("{}ż", "a".repeat(72))));
        assert_eq!(split, format!("X:{}\r\n ż\r\n", "a".repeat(72)));
    }

    #[test]
    fn days_and_moments_are_spelt_as_the_format_has_them() {
        let moment = DateTime::from_timestamp(1_761_442_245, 999_999_000).expect("a moment");
        assert_eq!(written(|lines| lines.moment("DTSTAMP", moment)), "DTSTAMP:20251026T013045Z\r\n");
        assert_eq!(written(|lines| lines.day("DTSTART", moment.date_naive())), "DTSTART;VALUE=DATE:20251026\r\n");
    }

    /// A text as a reader gets it back: unfolded, then unescaped.
    fn read(line: &str) -> String {
        let line = line.replace("\r\n ", "");
        let mut value = line.trim_end_matches("\r\n").trim_start_matches("X:").chars();
        let mut text = String::new();
        while let Some(letter) = value.next() {
            match letter {
                '\\' => text.extend(value.next().map(|escaped| if escaped == 'n' { '\n' } else { escaped })),
                other => text.push(other),
            }
        }
        text
    }

    proptest! {
        #[test]
        fn any_text_comes_back_whole(text in "(\\PC|[\n\t\\\\;,:żółć🙂]){0,400}") {
            let line = written(|lines| lines.text("X", &text));
            for part in line.split_terminator("\r\n") {
                prop_assert!(part.len() <= LINE_OCTETS_MAX && !part.contains(['\r', '\n']), "{part:?}");
            }
            prop_assert_eq!(read(&line), text);
        }
    }
}
