//! What a zip archive holds, by the names of its entries: office documents, signed containers and programs are zips too.

use memchr::memmem;

/// A local header begins with this, with the name's length and 4 bytes later the name (APPNOTE 4.3.7).
const LOCAL: &[u8] = b"PK\x03\x04";
/// An entry of the directory at the end (APPNOTE 4.3.12).
const CENTRAL: &[u8] = b"PK\x01\x02";

const ODF: &str = "application/vnd.oasis.opendocument.";
const ASIC: [&str; 2] = ["application/vnd.etsi.asic-e+zip", "application/vnd.etsi.asic-s+zip"];

/// The type of an archive, from its first bytes and its last; `None` for what is not to be kept.
pub(crate) fn media_type(head: &[u8], tail: &[u8]) -> Option<&'static str> {
    // Containers say what they are in a first entry that is stored as it is.
    if let Some(said) = said(head) {
        let kind = said.strip_prefix(ODF);
        return match kind {
            Some("text") => Some("application/vnd.oasis.opendocument.text"),
            Some("spreadsheet") => Some("application/vnd.oasis.opendocument.spreadsheet"),
            Some("presentation") => Some("application/vnd.oasis.opendocument.presentation"),
            Some("graphics") => Some("application/vnd.oasis.opendocument.graphics"),
            Some(_) => None,
            None => ASIC.into_iter().find(|it| *it == said),
        };
    }
    let names: Vec<&[u8]> = entries(head, LOCAL, 26, 30).chain(entries(tail, CENTRAL, 28, 46)).collect();
    let has = |wanted: &[u8]| names.contains(&wanted);
    let has_within = |folder: &[u8]| names.iter().any(|name| name.starts_with(folder));
    let is_program = has(b"META-INF/MANIFEST.MF")
        || has(b"AndroidManifest.xml")
        || has(b"classes.dex")
        || names.iter().any(|name| name.ends_with(b".class"));
    if is_program {
        return None;
    }
    if has(b"[Content_Types].xml") {
        // With macros it is a program in a document's clothes.
        if names.iter().any(|name| name.ends_with(b"vbaProject.bin")) {
            return None;
        }
        let of_office = "application/vnd.openxmlformats-officedocument.";
        return [
            (&b"word/"[..], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ]
        .into_iter()
        .find(|(folder, _)| has_within(folder))
        .map(|(_, media_type)| media_type)
        .filter(|it| it.starts_with(of_office));
    }
    (!names.is_empty()).then_some("application/zip")
}

/// What a first entry `mimetype` says.
fn said(head: &[u8]) -> Option<&str> {
    let name = head.get(30..38)?;
    let (method, size) = (number(head, 8)?, number(head, 18)? | number(head, 20)? << 16);
    let begins = 38 + number(head, 28)?;
    let is_it = name == b"mimetype" && number(head, 26)? == 8 && method == 0 && size <= 100;
    let said = head.get(begins..begins + size).filter(|_| is_it)?;
    std::str::from_utf8(said).ok()
}

/// The names of entries whose headers are within these bytes.
fn entries<'a>(
    bytes: &'a [u8],
    header: &'static [u8],
    length_at: usize,
    name_at: usize,
) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(bytes, header).filter_map(move |at| {
        let header = &bytes[at..];
        header.get(name_at..name_at + number(header, length_at)?).filter(|name| !name.is_empty())
    })
}

/// Two bytes, the lower first.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*bytes.get(at)?) | usize::from(*bytes.get(at + 1)?) << 8)
}
