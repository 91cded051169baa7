//! All that a layout may read: its own source, what the job brings, the fixed texts and the fonts.

use opiekun_typesetting::Job;
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

/// The layout that is built in. A firm's own may include it.
const INVOICE: &str = include_str!("../layouts/invoice.typ");

/// The fixed texts of invoices, by language.
const LABELS: &str = include_str!("../layouts/labels.json");

/// Lato by Łukasz Dziedzic, under the SIL Open Font License 1.1, which stands beside it.
const FONTS: [&[u8]; 5] = [
    include_bytes!("../fonts/Lato-Regular.ttf"),
    include_bytes!("../fonts/Lato-Italic.ttf"),
    include_bytes!("../fonts/Lato-Semibold.ttf"),
    include_bytes!("../fonts/Lato-Bold.ttf"),
    include_bytes!("../fonts/Lato-Black.ttf"),
];

static LIBRARY: LazyLock<LazyHash<Library>> = LazyLock::new(|| LazyHash::new(Library::default()));

static TYPE: LazyLock<(LazyHash<FontBook>, Vec<Font>)> = LazyLock::new(|| {
    let fonts: Vec<Font> = FONTS.iter().flat_map(|font| Font::iter(Bytes::new(*font))).collect();
    (LazyHash::new(FontBook::from_fonts(&fonts)), fonts)
});

/// All letters that every font has.
static LETTERS: LazyLock<HashSet<u32>> = LazyLock::new(|| {
    let coverages: Vec<_> = TYPE.1.iter().map(|font| &font.info().coverage).collect();
    let Some((first, others)) = coverages.split_first() else { return HashSet::new() };
    first.iter().filter(|letter| others.iter().all(|coverage| coverage.contains(*letter))).collect()
});

/// Stands in place of a letter that no font has.
const UNKNOWN: char = '□';

/// Text as the fonts show it. An archive's form may hold nothing that is not shown, so that a name in Hebrew would be the
/// end of the document; what it says stands in the structured invoice.
fn shown(text: String) -> String {
    if text.is_ascii() {
        return text;
    }
    let known = |letter: char| letter.is_ascii() || LETTERS.contains(&u32::from(letter));
    text.chars()
        .filter_map(|letter| match letter {
            letter if known(letter) => Some(letter),
            // Joiners, marks of direction, variants and tags show nothing by themselves.
            '\u{200C}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E0FFF}' => None,
            letter if letter.is_whitespace() => Some(' '),
            _ => Some(UNKNOWN),
        })
        .collect()
}

/// The world of one job.
pub struct JobWorld {
    main: Source,
    files: BTreeMap<&'static str, Bytes>,
}

impl JobWorld {
    /// The path of a firm's own layout, and that of the built-in one.
    const OWN_PATH: &'static str = "/layout.typ";
    const BUILT_IN_PATH: &'static str = "/invoice.typ";

    pub fn new(job: Job) -> Self {
        let Job { layout, ident: _, data, files } = job;
        let (path, source) = match layout {
            Some(source) => (Self::OWN_PATH, source),
            None => (Self::BUILT_IN_PATH, INVOICE.to_owned()),
        };
        let mut served = BTreeMap::from([
            ("/data.json", Bytes::from_string(shown(data))),
            ("/labels.json", Bytes::from_string(LABELS)),
            (Self::BUILT_IN_PATH, Bytes::from_string(INVOICE)),
        ]);
        served.extend(files.into_iter().map(|(name, content)| (name.path(), Bytes::new(content))));
        Self { main: Source::new(file_id(path), source), files: served }
    }

    /// The layout itself.
    pub const fn layout(&self) -> &Source {
        &self.main
    }
}

impl World for JobWorld {
    fn library(&self) -> &LazyHash<Library> {
        &LIBRARY
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &TYPE.0
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() {
            return Ok(self.main.clone());
        }
        let text = self.file(id)?.to_str().map_err(|_| FileError::InvalidUtf8)?.to_string();
        Ok(Source::new(id, text))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let path = match id.root() {
            VirtualRoot::Project => id.vpath().get_with_slash(),
            VirtualRoot::Package(_) => return Err(FileError::AccessDenied),
        };
        self.files.get(path).cloned().ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        TYPE.1.get(index).cloned()
    }

    /// There is no today: a document is the same on every day.
    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// A process has numbers for 65 535 paths, so the same few are used for every document.
fn file_id(path: &'static str) -> FileId {
    let path = VirtualPath::new(path).unwrap_or_else(|_| unreachable!("a constant path"));
    RootedPath::new(VirtualRoot::Project, path).intern()
}
