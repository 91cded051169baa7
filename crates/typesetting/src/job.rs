//! What is to be set, and what came of it, as they go over the pipes between a server and its worker.

use crate::parts::{read_parts, write_parts};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// A document to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// A firm's own layout, as its source; `None` is the one that is built in.
    pub layout: Option<String>,
    /// Names the document, so that its PDF has the same identifier whenever it is set.
    pub ident: String,
    /// What the document says, in JSON: `/data.json` of the layout.
    pub data: String,
    /// What else the layout may read.
    pub files: Vec<(FileName, Vec<u8>)>,
}

/// The files that a layout may read beside its data and the fixed texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileName {
    #[serde(rename = "/logo.png")]
    LogoPng,
    #[serde(rename = "/logo.jpg")]
    LogoJpeg,
    #[serde(rename = "/logo.svg")]
    LogoSvg,
    #[serde(rename = "/qr-pay.svg")]
    PaymentCode,
    #[serde(rename = "/qr-ksef.svg")]
    VerificationCode,
    #[serde(rename = "/faktura.xml")]
    EInvoice,
}

impl FileName {
    /// That of a logo, by its type; none of what is no image that is drawn.
    pub fn of_logo(media_type: &str) -> Option<Self> {
        match media_type {
            "image/png" => Some(Self::LogoPng),
            "image/jpeg" => Some(Self::LogoJpeg),
            _ => None,
        }
    }

    /// The path by which a layout reads it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::LogoPng => "/logo.png",
            Self::LogoJpeg => "/logo.jpg",
            Self::LogoSvg => "/logo.svg",
            Self::PaymentCode => "/qr-pay.svg",
            Self::VerificationCode => "/qr-ksef.svg",
            Self::EInvoice => "/faktura.xml",
        }
    }
}

/// Why a layout was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct LayoutError {
    /// Of the layout's source, from 1; `None` where no line of it is at fault.
    pub line: Option<usize>,
    /// From 1.
    pub column: Option<usize>,
    pub message: String,
}

/// More than that no document has: an annex of ten thousand entries is half as large.
pub const DOCUMENT_BYTES_MAX: usize = 48 << 20;

/// What became of a job: a PDF, or what is wrong with the layout.
pub type Answer = Result<Vec<u8>, LayoutError>;

#[derive(Serialize, Deserialize)]
struct JobHead {
    ident: String,
    has_layout: bool,
    files: Vec<FileName>,
}

impl Job {
    /// Tells it to a worker.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let head = JobHead {
            ident: self.ident.clone(),
            has_layout: self.layout.is_some(),
            files: self.files.iter().map(|(name, _)| *name).collect(),
        };
        let head = serde_json::to_vec(&head)?;
        let mut parts: Vec<&[u8]> = vec![&head, self.data.as_bytes()];
        parts.extend(self.layout.iter().map(String::as_bytes));
        parts.extend(self.files.iter().map(|(_, content)| content.as_slice()));
        write_parts(to, &parts)
    }

    /// Takes the next one; `None` once there are no more.
    pub fn read(from: impl Read) -> io::Result<Option<Self>> {
        let Some(parts) = read_parts(from)? else { return Ok(None) };
        let mut parts = parts.into_iter();
        let mut next = || parts.next().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
        let JobHead { ident, has_layout, files } = serde_json::from_slice(&next()?)?;
        let data = text(next()?)?;
        let layout = if has_layout { Some(text(next()?)?) } else { None };
        let files = files.into_iter().map(|name| Ok((name, next()?))).collect::<io::Result<_>>()?;
        Ok(Some(Self { layout, ident, data, files }))
    }
}

/// Tells the server what became of its job.
pub fn write_answer(to: impl Write, answer: &Answer) -> io::Result<()> {
    match answer {
        Ok(pdf) => write_parts(to, &[b"pdf", pdf]),
        Err(error) => write_parts(to, &[b"refused", &serde_json::to_vec(error)?]),
    }
}

/// Takes what the worker says; `None` where it ended without a word.
pub fn read_answer(from: impl Read) -> io::Result<Option<Answer>> {
    let Some(parts) = read_parts(from)? else { return Ok(None) };
    match <[Vec<u8>; 2]>::try_from(parts) {
        Ok([kind, pdf]) if kind == b"pdf" => Ok(Some(Ok(pdf))),
        Ok([kind, error]) if kind == b"refused" => Ok(Some(Err(serde_json::from_slice(&error)?))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let job = Job {
            layout: Some("= Zażółć".to_owned()),
            ident: "0192f0c6".to_owned(),
            data: "{}".to_owned(),
            files: vec![(FileName::LogoSvg, b"<svg/>".to_vec()), (FileName::EInvoice, Vec::new())],
        };
        let built_in = Job { layout: None, files: Vec::new(), ..job.clone() };
        let mut pipe = Vec::new();
        job.write(&mut pipe).unwrap();
        built_in.write(&mut pipe).unwrap();
        let mut pipe = pipe.as_slice();
        assert_eq!(Job::read(&mut pipe).unwrap(), Some(job));
        assert_eq!(Job::read(&mut pipe).unwrap(), Some(built_in));
        assert_eq!(Job::read(&mut pipe).unwrap(), None);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let refused = LayoutError { line: Some(3), column: Some(7), message: "unknown variable".to_owned() };
        for answer in [Ok(b"%PDF-1.7".to_vec()), Err(refused)] {
            let mut pipe = Vec::new();
            write_answer(&mut pipe, &answer).unwrap();
            assert_eq!(read_answer(pipe.as_slice()).unwrap(), Some(answer));
        }
        assert_eq!(read_answer(&[][..]).unwrap(), None);
    }

    #[test]
    fn what_ends_too_soon_is_an_error() {
        let mut pipe = Vec::new();
        write_answer(&mut pipe, &Ok(b"%PDF-1.7".to_vec())).unwrap();
        for length in 1..pipe.len() {
            assert!(read_answer(&pipe[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_file_has_one_name() {
        for name in
            [FileName::LogoPng, FileName::LogoJpeg, FileName::LogoSvg, FileName::PaymentCode, FileName::EInvoice]
        {
            assert_eq!(serde_json::to_value(name).unwrap(), name.path());
        }
    }
}
