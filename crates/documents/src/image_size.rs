//! How large an image is, as its head says: what is drawn of it takes memory by that, not by its bytes.

/// Width and height in pixels of a PNG or JPEG; `None` of anything else, and where the head is broken or goes on behind
/// these bytes.
pub fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    png(bytes).or_else(|| jpeg(bytes))
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..)?.strip_prefix(b"IHDR")?;
    let (width, rest) = header.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*rest.first_chunk()?)))
}

fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    // Segment by segment, to the one that begins the frame.
    loop {
        rest = rest.strip_prefix(&[0xff])?;
        let (marker, after) = rest.split_first()?;
        match marker {
            // Filled up before the marker; and markers without a segment.
            0xff => continue,
            0x01 | 0xd0..=0xd8 => {
                rest = after;
                continue;
            }
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let (height, after) = after.get(3..)?.split_first_chunk()?;
                let width = after.first_chunk()?;
                return Some((u16::from_be_bytes(*width).into(), u16::from_be_bytes(*height).into()));
            }
            _ => rest = after.get(usize::from(u16::from_be_bytes(*after.first_chunk()?))..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x01\x02\x00\x00\x00\x03\x08\x06\x00\x00\x00";
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xdb\x00\x03x\xff\xc2\x00\x0b\x08\x00\x05\x01\x00\x01\x11\x00\x00";

    #[test]
    fn the_head_tells_the_size() {
        assert_eq!(image_size(PNG), Some((258, 3)));
        assert_eq!(image_size(JPEG), Some((256, 5)));
    }

    #[test]
    fn what_breaks_off_has_no_size() {
        assert_eq!(image_size(b"GIF89a"), None);
        for length in 0..24 {
            assert_eq!(image_size(&PNG[..length]), None, "{length}");
        }
        for length in 0..23 {
            assert_eq!(image_size(&JPEG[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = image_size(&bytes);
            let _ = image_size(&[JPEG, &bytes].concat());
            let _ = image_size(&[&[0xff, 0xd8, 0xff][..], &bytes].concat());
        }
    }
}
