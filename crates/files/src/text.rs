//! Text, looked at from its first byte to its last: whether it is one, and whether it is a page or a picture that would
//! run as a program in a browser.

use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250};
use memchr::memmem;

/// How far markup is looked for at the beginning; comments before it may be long.
const OPENING_BYTES: usize = 64 * 1024;
/// What is searched for across the seams of what comes in, less one byte.
const SEAM_BYTES: usize = 32;

/// Names in documents of XML that a browser would run (XHTML, SVG).
const ACTIVE_NAMESPACES: [&[u8]; 2] = [b"www.w3.org/1999/xhtml", b"www.w3.org/2000/svg"];

/// What documents of XML begin with that a browser would run.
const ACTIVE_ROOTS: &[&str] = &["html", "svg", "xsl", "script", "stylesheet", "transform"];

/// Elements of HTML that a document may begin with, beyond `html` itself.
const PAGE_ELEMENTS: &[&str] = &[
    "html",
    "head",
    "body",
    "title",
    "meta",
    "link",
    "base",
    "style",
    "script",
    "noscript",
    "template",
    "svg",
    "math",
    "iframe",
    "frame",
    "frameset",
    "object",
    "embed",
    "applet",
    "img",
    "image",
    "video",
    "audio",
    "source",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "table",
    "tr",
    "td",
    "div",
    "span",
    "p",
    "br",
    "hr",
    "a",
    "b",
    "i",
    "u",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "center",
    "font",
    "marquee",
    "details",
    "dialog",
    "main",
    "section",
    "article",
    "header",
    "footer",
    "nav",
    "pre",
    "stylesheet",
    "xsl",
];

/// Looks at text as it comes.
pub(crate) struct TextLook {
    decoder: Option<Decoder>,
    /// As long as it is; a text of an older encoding has no controls either.
    is_utf8: bool,
    has_controls: bool,
    /// UTF-8 that was cut by the seam.
    carried: Vec<u8>,
    /// The beginning, as UTF-8.
    opening: Vec<u8>,
    /// The last bytes of what came before, as UTF-8.
    seam: Vec<u8>,
    has_active_namespace: bool,
    begun: bool,
}

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// No text at all.
    None,
    /// A page, a picture with scripts, a program of a shell.
    Active,
    Xml,
    /// Whatever its name says, of what does nothing by itself.
    Plain,
}

impl TextLook {
    pub(crate) fn new() -> Self {
        Self {
            decoder: None,
            is_utf8: true,
            has_controls: false,
            carried: Vec::new(),
            opening: Vec::new(),
            seam: Vec::new(),
            has_active_namespace: false,
            begun: false,
        }
    }

    /// Whether it may still be a text; what is none need not be looked at any more.
    pub(crate) fn is_open(&self) -> bool {
        !self.has_controls
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if !self.begun {
            self.begun = true;
            // Only a mark at the beginning tells of UTF-16; without one there are zeros, which no text has.
            self.decoder = match bytes {
                [0xFF, 0xFE, ..] => Some(UTF_16LE.new_decoder_with_bom_removal()),
                [0xFE, 0xFF, ..] => Some(UTF_16BE.new_decoder_with_bom_removal()),
                _ => None,
            };
        }
        match self.decoder.take() {
            Some(mut decoder) => {
                let mut text = String::with_capacity(bytes.len() * 3 + 16);
                let (_, _, had_errors) = decoder.decode_to_string(bytes, &mut text, false);
                self.has_controls |= had_errors;
                self.decoder = Some(decoder);
                self.look(text.as_bytes());
            }
            None => {
                self.check_utf8(bytes);
                self.look(bytes);
            }
        }
    }

    /// What it was. UTF-16 and UTF-8 that are cut off at the end are no text.
    pub(crate) fn end(self) -> Text {
        let is_old = !self.is_utf8 || !self.carried.is_empty();
        if self.has_controls || (is_old && self.decoder.is_some()) {
            return Text::None;
        }
        let opening = if is_old {
            WINDOWS_1250.decode_without_bom_handling(&self.opening).0
        } else {
            UTF_8.decode_without_bom_handling(&self.opening).0
        };
        let Opening { is_xml, is_element, is_active } = opened(&opening);
        if is_active || ((is_xml || is_element) && self.has_active_namespace) {
            Text::Active
        } else if is_xml {
            Text::Xml
        } else {
            Text::Plain
        }
    }

    fn check_utf8(&mut self, bytes: &[u8]) {
        if !self.is_utf8 {
            return;
        }
        let mut rest = bytes;
        while !self.carried.is_empty() {
            let Some((first, others)) = rest.split_first() else { return };
            self.carried.push(*first);
            rest = others;
            match std::str::from_utf8(&self.carried) {
                Ok(_) => self.carried.clear(),
                Err(error) if error.error_len().is_some() => {
                    self.is_utf8 = false;
                    return;
                }
                Err(_) => {}
            }
        }
        if let Err(error) = std::str::from_utf8(rest) {
            match error.error_len() {
                Some(_) => self.is_utf8 = false,
                None => self.carried.extend_from_slice(&rest[error.valid_up_to()..]),
            }
        }
    }

    fn look(&mut self, text: &[u8]) {
        self.has_controls |= text.iter().any(|byte| is_control(*byte));
        let room = OPENING_BYTES - self.opening.len().min(OPENING_BYTES);
        self.opening.extend_from_slice(&text[..text.len().min(room)]);
        if !self.has_active_namespace {
            self.seam.extend_from_slice(&text[..text.len().min(SEAM_BYTES)]);
            let found = |within: &[u8]| ACTIVE_NAMESPACES.iter().any(|name| memmem::find(within, name).is_some());
            self.has_active_namespace = found(&self.seam) || found(text);
        }
        let kept = text.len().min(SEAM_BYTES);
        if kept == SEAM_BYTES {
            self.seam.clear();
            self.seam.extend_from_slice(&text[text.len() - kept..]);
        } else {
            // The text is in it already.
            self.seam.drain(..self.seam.len().saturating_sub(SEAM_BYTES));
        }
    }
}

/// Controls that no text holds: all but tab, line feed, form feed, carriage return, and the end-of-file of DOS.
fn is_control(byte: u8) -> bool {
    byte == 0x7F || (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | 0x1A))
}

/// How a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Opening {
    /// With `<?xml`.
    is_xml: bool,
    /// With an element, whatever it is called.
    is_element: bool,
    is_active: bool,
}

/// What comes first in a text, behind whatever space, comments and declarations.
fn opened(text: &str) -> Opening {
    let mut found = Opening::default();
    let active = |found| Opening { is_active: true, ..found };
    let mut rest = text.trim_start_matches('\u{FEFF}');
    if rest.starts_with("#!") {
        return active(found);
    }
    loop {
        rest = rest.trim_start_matches(|it: char| it.is_whitespace() || matches!(it, '\u{FEFF}' | '\u{1A}'));
        let Some(tag) = rest.strip_prefix('<') else { return found };
        let ended = if let Some(comment) = tag.strip_prefix("!--") {
            // HTML ends one at once, too: `<!-->`, `<!--->`.
            let at_once = [">", "->"].iter().find_map(|end| comment.strip_prefix(end));
            let ends = ["-->", "--!>"].iter().filter_map(|end| Some((comment.find(end)?, end.len())));
            at_once.or_else(|| ends.min().map(|(at, length)| &comment[at + length..]))
        } else if let Some(instruction) = tag.strip_prefix('?') {
            let target: String =
                instruction.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '-').collect();
            if !found.is_xml && !target.eq_ignore_ascii_case("xml") {
                // Of PHP, whose tag may be short.
                return active(found);
            }
            found.is_xml = true;
            instruction.split_once("?>").map(|(_, rest)| rest)
        } else if let Some(declaration) = tag.strip_prefix('!') {
            let mut words = declaration.split(|it: char| it.is_whitespace() || matches!(it, '>' | '['));
            let names_a_page = words.nth(1).is_some_and(|name| is_word(name, PAGE_ELEMENTS));
            // What a document declares for itself may stand for anything in it.
            if names_a_page || declaration.split('>').next().is_some_and(|it| it.contains('[')) {
                return active(found);
            }
            declaration.split_once('>').map(|(_, rest)| rest)
        } else if tag.starts_with('%') {
            return active(found);
        } else {
            let is_end = |it: &char| it.is_whitespace() || matches!(it, '>' | '/' | '<' | '"');
            let name: String = tag.chars().take_while(|it| !is_end(it)).collect();
            let (prefix, local) = name.split_once(':').unwrap_or(("", &name));
            found.is_element = name.starts_with(|it: char| it.is_alphabetic() || it == '_');
            // What declares itself as XML is no page by its elements' names alone.
            let pages = if found.is_xml { ACTIVE_ROOTS } else { PAGE_ELEMENTS };
            found.is_active = is_word(local, pages) || is_word(prefix, ACTIVE_ROOTS);
            return found;
        };
        match ended {
            Some(after) => rest = after,
            // A comment without end within what is looked at: nobody writes that in good faith.
            None => return active(found),
        }
    }
}

fn is_word(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| other.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(bytes: &[u8]) -> Text {
        let mut whole = TextLook::new();
        whole.take(bytes);
        let whole = whole.end();
        // However it is cut, but for the mark at the beginning.
        let mut look = TextLook::new();
        let (mark, rest) = bytes.split_at(bytes.len().min(2));
        look.take(mark);
        rest.chunks(3).for_each(|chunk| look.take(chunk));
        assert_eq!(look.end(), whole, "{}", String::from_utf8_lossy(bytes));
        whole
    }

    fn utf16(text: &str) -> Vec<u8> {
        [vec![0xFF, 0xFE], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
    }

    #[test]
    fn plain_texts_are_plain() {
        for text in [
            "a,b,c\r\n1,2,3\r\n",
            "# Notatki\n\n* <b>ważne</b>",
            "{\"a\": \"<script>\"}",
            "Zażółć gęślą jaźń",
            "<anna@example.com> napisała",
            "< 5 dni",
            "\u{FEFF}kwota;opis\n",
            "",
            "<",
            "<3",
        ] {
            assert_eq!(look(text.as_bytes()), Text::Plain, "{text}");
        }
        assert_eq!(look(b"Za\xBF\xF3\xB3\xE6;1,00\r\n"), Text::Plain, "windows-1250");
        assert_eq!(look(&utf16("kwota\topis\r\n")), Text::Plain);
    }

    #[test]
    fn documents_of_xml_are_told() {
        for text in [
            r#"<?xml version="1.0" encoding="UTF-8"?><Faktura xmlns="http://crd.gov.pl/wzor/2025/06/25/13775/"/>"#,
            "\u{FEFF}<?xml version=\"1.0\"?>\n<!-- JPK --><tns:JPK/>",
            r#"<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="style.xsl"?><table/>"#,
        ] {
            assert_eq!(look(text.as_bytes()), Text::Xml, "{text}");
        }
        assert_eq!(look(&utf16("<?xml version=\"1.0\"?><a/>")), Text::Xml);
    }

    #[test]
    fn what_would_run_is_active_however_it_is_dressed() {
        for text in [
            "<!DOCTYPE html><p>",
            "<html>",
            "  \n\t<HTML >",
            "\u{FEFF}<script>",
            "<svg onload=alert(1)>",
            "<!--x--><html>",
            "<!--> <script>",
            "<!---><script>",
            "<!-- a -- b --!><script>",
            "<!-- a --> <!-- b --><body>",
            "<?xml version=\"1.0\"?><svg/>",
            "<?xml version='1.0'?><svg:svg/>",
            "<?xml version='1.0'?><x:html/>",
            "<?xml version='1.0'?><xsl:stylesheet/>",
            "<?xml version='1.0'?><a><x:script xmlns:x='http://www.w3.org/1999/xhtml'>",
            "<?xml version='1.0'?><a xmlns:s='http://www.w3.org/2000/svg'/>",
            "<a:b xmlns:a='http://www.w3.org/2000/svg'/>",
            "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x '<svg/>'>]><a>&x;</a>",
            "<!doctype svg PUBLIC '-//W3C//DTD SVG 1.1//EN'>",
            "<?php system($_GET[0]);",
            "<?= 1 ?>",
            "<% eval %>",
            "#!/bin/sh\nrm -rf /",
            "<img src=x onerror=alert(1)>",
            "<iframe src=//evil>",
            "<!-- without end",
        ] {
            assert_eq!(look(text.as_bytes()), Text::Active, "{text}");
            assert_eq!(look(&utf16(text)), Text::Active, "in UTF-16: {text}");
        }
    }

    #[test]
    fn what_holds_controls_is_no_text() {
        for bytes in [&b"a\0b"[..], b"\x1b[31mred", b"MZ\x90\0", b"<\0h\0t\0m\0l\0>\0", b"\x7fELF", b"\x01"] {
            assert_eq!(look(bytes), Text::None, "{bytes:?}");
        }
    }
}
