//! What a file is, by its content: one of the types that an accounting office exchanges, or refused.
//!
//! What the sender says of it counts for nothing but the choice among texts that do nothing by themselves.

use crate::text::{Text, TextLook};
use crate::zip;
use file_format::FileFormat;
use memchr::memmem;
use sha2::{Digest, Sha256};

/// What is kept of the beginning.
const HEAD_BYTES: usize = 64 * 1024;
/// What is kept of the end, where an archive tells its entries.
const TAIL_BYTES: usize = 256 * 1024;

/// Why content is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("is empty")]
    Empty,
    #[error("is of no type that is kept; programs, pages and pictures with scripts are not")]
    Type,
}

/// What was found out about a file, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub media_type: &'static str,
    pub sha256: [u8; 32],
    pub size_bytes: u64,
}

/// Looks at a file while it comes in.
pub struct Look {
    head: Vec<u8>,
    tail: Vec<u8>,
    text: TextLook,
    office: OfficeLook,
    sha256: Sha256,
    size_bytes: u64,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            tail: Vec::new(),
            text: TextLook::new(),
            office: OfficeLook::default(),
            sha256: Sha256::new(),
            size_bytes: 0,
        }
    }
}

impl Look {
    pub fn take(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size_bytes += bytes.len() as u64;
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.text.is_open() {
            self.text.take(bytes);
        }
        if self.head.starts_with(COMPOUND) {
            self.office.take(bytes);
        }
        if self.head.starts_with(b"PK") {
            self.tail.extend_from_slice(bytes);
            // Cut now and then, so that it is not moved with each piece.
            if self.tail.len() > 2 * TAIL_BYTES {
                self.tail.drain(..self.tail.len() - TAIL_BYTES);
            }
        }
    }

    /// How much has come so far.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// What it was. The name's ending only chooses among types that the content leaves open.
    pub fn end(self, name: &str) -> Result<Content, Refused> {
        if self.size_bytes == 0 {
            return Err(Refused::Empty);
        }
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let (sha256, size_bytes) = (self.sha256.finalize().into(), self.size_bytes);
        let found = match self.text.is_open().then(|| self.text.end()) {
            Some(Text::Active) => None,
            Some(Text::Xml) => (!is_run(&ending)).then_some("application/xml"),
            // Formats that are text themselves begin with a mark of theirs.
            Some(Text::Plain) => match FileFormat::from_bytes(&self.head) {
                FileFormat::RichTextFormat => Some("application/rtf"),
                FileFormat::PortableDocumentFormat if self.head.starts_with(b"%PDF-") => Some("application/pdf"),
                _ => text_type(&ending, &self.head),
            },
            Some(Text::None) | None if self.head.starts_with(COMPOUND) => self.office.media_type(&ending),
            Some(Text::None) | None if self.head.starts_with(b"PK\x03\x04") => zip::media_type(&self.head, &self.tail),
            Some(Text::None) | None => signed(&self.head, &ending).or_else(|| binary_type(&self.head)),
        };
        found.map(|media_type| Content { media_type, sha256, size_bytes }).ok_or(Refused::Type)
    }
}

/// The type of what is no text, by how it begins.
fn binary_type(head: &[u8]) -> Option<&'static str> {
    use FileFormat as Format;
    Some(match FileFormat::from_bytes(head) {
        // Readers look for its mark further on, too; what stands before it could be anything.
        Format::PortableDocumentFormat if head.starts_with(b"%PDF-") => "application/pdf",
        Format::PortableNetworkGraphics => "image/png",
        Format::JointPhotographicExpertsGroup => "image/jpeg",
        Format::GraphicsInterchangeFormat => "image/gif",
        Format::Webp => "image/webp",
        Format::TagImageFileFormat => "image/tiff",
        Format::HighEfficiencyImageCoding => "image/heic",
        Format::HighEfficiencyImageFileFormat => "image/heif",
        Format::SevenZip => "application/x-7z-compressed",
        Format::Mpeg12AudioLayer3 | Format::Id3v2 => "audio/mpeg",
        Format::WaveformAudio => "audio/wav",
        Format::OggVorbis | Format::OggOpus | Format::OggSpeex | Format::OggFlac => "audio/ogg",
        Format::AppleItunesAudio => "audio/mp4",
        Format::AdaptiveMultiRate => "audio/amr",
        Format::Mpeg4Part14Video | Format::Mpeg4Part14 | Format::AppleItunesVideo => "video/mp4",
        Format::AppleQuicktime => "video/quicktime",
        _ => return None,
    })
}

/// A signature or a signed file (CMS, RFC 5652): a DER sequence that begins with the id of signed data.
fn signed(head: &[u8], ending: &str) -> Option<&'static str> {
    const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
    let begins = head.get(..32).unwrap_or(head);
    let is_signed = begins.first() == Some(&0x30) && memmem::find(begins, SIGNED_DATA).is_some_and(|at| at <= 8);
    is_signed.then_some(match ending {
        "p7s" | "sig" => "application/pkcs7-signature",
        _ => "application/pkcs7-mime",
    })
}

/// Among texts that do nothing by themselves the ending chooses; not one that some machine would run.
fn text_type(ending: &str, head: &[u8]) -> Option<&'static str> {
    if is_run(ending) {
        return None;
    }
    let begins_with = |byte: u8| head.iter().find(|it| !it.is_ascii_whitespace()) == Some(&byte);
    Some(match ending {
        "csv" => "text/csv",
        "tsv" | "tab" => "text/tab-separated-values",
        "md" | "markdown" => "text/markdown",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        "json" => "application/json",
        "xml" | "xades" | "jpk" if begins_with(b'<') => "application/xml",
        "eml" if has_header(head) => "message/rfc822",
        _ => "text/plain",
    })
}

/// Whether a text begins as a letter does (RFC 5322): with a field's name and a colon.
fn has_header(head: &[u8]) -> bool {
    let name = head.split(|byte| *byte == b':').next().unwrap_or_default();
    (1..=76).contains(&name.len()) && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Endings that make a machine run a text, or a browser show it as a page.
fn is_run(ending: &str) -> bool {
    const RUN: &[&str] = &[
        "asp", "aspx", "bash", "bat", "cgi", "cjs", "cmd", "com", "cpl", "css", "desktop", "exe", "hta", "htaccess",
        "htc", "htm", "html", "inf", "jar", "jnlp", "js", "jse", "jsp", "jsx", "lnk", "mht", "mhtml", "mjs", "msc",
        "php", "phtml", "pif", "pl", "ps1", "psd1", "psm1", "py", "rb", "reg", "scf", "scr", "sct", "sh", "shtml",
        "svg", "svgz", "ts", "url", "vbe", "vbs", "webloc", "ws", "wsc", "wsf", "wsh", "xht", "xhtml", "xsl", "xslt",
        "zsh",
    ];
    RUN.contains(&ending)
}

/// How the older documents of Office and letters of Outlook begin: files that hold a file system.
const COMPOUND: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

/// Looks for the names of streams that tell what a compound file is; they may stand anywhere in it.
#[derive(Default)]
struct OfficeLook {
    seam: Vec<u8>,
    found: Vec<&'static str>,
}

const STREAMS: [(&[u8], &str, &str); 4] = [
    (b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0", "doc", "application/msword"),
    (b"W\0o\0r\0k\0b\0o\0o\0k\0", "xls", "application/vnd.ms-excel"),
    (b"P\0o\0w\0e\0r\0P\0o\0i\0n\0t\0 \0D\0o\0c\0", "ppt", "application/vnd.ms-powerpoint"),
    (b"_\0_\0p\0r\0o\0p\0e\0r\0t\0i\0e\0s\0_\0v\0", "msg", "application/vnd.ms-outlook"),
];

impl OfficeLook {
    fn take(&mut self, bytes: &[u8]) {
        const SEAM_BYTES: usize = 32;
        self.seam.extend_from_slice(&bytes[..bytes.len().min(SEAM_BYTES)]);
        for (name, _, media_type) in STREAMS {
            let is_there = || [&self.seam[..], bytes].iter().any(|within| memmem::find(within, name).is_some());
            if !self.found.contains(&media_type) && is_there() {
                self.found.push(media_type);
            }
        }
        if bytes.len() > SEAM_BYTES {
            self.seam = bytes[bytes.len() - SEAM_BYTES..].to_vec();
        } else {
            self.seam.drain(..self.seam.len().saturating_sub(SEAM_BYTES));
        }
    }

    /// Where a document holds another one, its ending tells which is which. An installer has none of these.
    fn media_type(&self, ending: &str) -> Option<&'static str> {
        let by_ending = STREAMS.iter().find(|(_, its, media_type)| *its == ending && self.found.contains(media_type));
        by_ending.map(|(_, _, media_type)| *media_type).or_else(|| self.found.first().copied())
    }
}
