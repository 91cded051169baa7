//! Byte strings over a pipe: how many, then each behind its length.

use std::io::{self, Read, Write};

/// More than any document and its images come to; whoever says more is broken.
const LENGTH_MAX: u32 = 64 << 20;

/// More than a job has.
const PARTS_MAX: u32 = 32;

pub fn write_parts(mut to: impl Write, parts: &[&[u8]]) -> io::Result<()> {
    to.write_all(&length(parts.len())?)?;
    for part in parts {
        to.write_all(&length(part.len())?)?;
        to.write_all(part)?;
    }
    to.flush()
}

/// The next ones; `None` where the pipe ended before them.
pub fn read_parts(mut from: impl Read) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut count = [0; 4];
    if from.read(&mut count[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut count[1..])?;
    let count = u32::from_le_bytes(count);
    if count > PARTS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > LENGTH_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut part = Vec::new();
        from.by_ref().take(length.into()).read_to_end(&mut part)?;
        if part.len() < usize::try_from(length).unwrap_or(usize::MAX) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        parts.push(part);
    }
    Ok(Some(parts))
}

fn length(length: usize) -> io::Result<[u8; 4]> {
    let length = u32::try_from(length).ok().filter(|length| *length <= LENGTH_MAX);
    length.map(u32::to_le_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
