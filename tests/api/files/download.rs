//! Downloads: ranges, tags, and headers that keep a browser from running anything.

use super::{Office, over_both_stores, pdf};
use crate::support::Answer;

over_both_stores!(
    a_range_is_a_part_of_the_content,
    a_reader_who_has_the_content_is_spared_it,
    the_headers_tell_what_it_is_and_keep_it_from_running,
    what_the_store_lost_is_told,
);

fn a_range_is_a_part_of_the_content(w: &Office) {
    let bytes = pdf(3, 2_000_000);
    let file = w.file("skan.pdf", &bytes);
    let path = format!("/files/{}/content", file.id());
    let tag = format!("\"{}\"", file["sha256"].as_str().unwrap());
    for (asked, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1048575", 0, 1_048_575),
        ("bytes=524287-524288", 524_287, 524_288),
        ("bytes=1999999-", 1_999_999, 1_999_999),
        ("bytes=-1500000", 500_000, 1_999_999),
        ("bytes=1000000-99999999999", 1_000_000, 1_999_999),
    ] {
        let answer = w.owner.with("Range", asked).get(&path);
        assert_eq!(answer.status, 206, "{asked}: {answer:?}");
        assert_eq!(answer.header("content-range"), Some(&*format!("bytes {first}-{last}/2000000")), "{asked}");
        assert_eq!(answer.header("content-length"), Some(&*(last - first + 1).to_string()), "{asked}");
        assert_eq!(answer.header("etag"), Some(&*tag));
        assert!(answer.body == bytes[first..=last], "{asked}");
        let head = w.owner.with("Range", asked).head(&path);
        assert_eq!((head.status, head.header("content-range")), (206, answer.header("content-range")));
    }
    for asked in ["bytes=2000000-", "bytes=-0", "bytes=3000000-4000000"] {
        let answer = w.owner.with("Range", asked).get(&path);
        answer.refused(416, "range_invalid");
        assert_eq!(answer.header("content-range"), Some("bytes */2000000"), "{answer:?}");
    }
    // Not understood, not of bytes, more than one, or of another content: the whole.
    for asked in ["bytes=5-3", "lines=0-1", "bytes=0-1,5-6", "bytes=x-"] {
        let answer = w.owner.with("Range", asked).get(&path);
        assert!(answer.status == 200 && answer.body == bytes, "{asked}: {}", answer.status);
    }
    let other = w.owner.with("Range", "bytes=0-9").with("If-Range", "\"another\"").get(&path);
    assert!(other.status == 200 && other.body == bytes);
    let weak = w.owner.with("Range", "bytes=0-9").with("If-Range", format!("W/{tag}")).get(&path);
    assert_eq!(weak.status, 200);
    let same = w.owner.with("Range", "bytes=0-9").with("If-Range", &tag).get(&path);
    assert_eq!((same.status, &same.body[..]), (206, &bytes[..10]));
}

fn a_reader_who_has_the_content_is_spared_it(w: &Office) {
    let file = w.file("a.txt", b"some text");
    let path = format!("/files/{}/content", file.id());
    let tag = format!("\"{}\"", file["sha256"].as_str().unwrap());
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = w.owner.with("If-None-Match", &known).get(&path);
        assert_eq!((answer.status, answer.body.len(), answer.header("etag")), (304, 0, Some(&*tag)), "{answer:?}");
    }
    assert_eq!(w.owner.with("If-None-Match", "\"x\"").get(&path).body, b"some text");
}

fn the_headers_tell_what_it_is_and_keep_it_from_running(w: &Office) {
    let file = w.file("Zażółć \"gęślą\"; a=1%.txt", b"abc");
    let answer = w.owner.with("Accept-Encoding", "gzip, br").get(&format!("/files/{}/content", file.id()));
    let disposition = answer.header("content-disposition").unwrap();
    // A browser's escape of quotes is undone by nobody: a name is what was sent.
    assert!(disposition.starts_with("attachment; filename=\"Za"), "{disposition}");
    assert!(disposition.contains("; filename*=UTF-8''Za%C5%BC%C3%B3%C5%82%C4%87%20"), "{disposition}");
    for (name, expected) in [
        ("content-type", "text/plain"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("accept-ranges", "bytes"),
        ("repr-digest", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"),
        ("cache-control", "private, no-cache"),
        ("content-length", "3"),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{name}");
    }
    assert_eq!(answer.header("content-encoding"), None, "a range must be able to follow");
}

fn what_the_store_lost_is_told(w: &Office) {
    let file = w.file("a.txt", b"will be lost");
    let [lost] = &w.store.left(w.organization_id)[..] else { panic!("one object") };
    std::fs::remove_file(lost).unwrap();
    let answer: Answer = w.owner.get(&format!("/files/{}/content", file.id()));
    answer.refused(500, "internal");
    assert_eq!(w.owner.get(&format!("/files/{}", file.id())).status, 200);
}

#[test]
fn a_large_text_is_not_compressed_either() {
    let w = Office::in_folder();
    let text = "Faktura VAT\r\n".repeat(10_000);
    let file = w.file("a.txt", text.as_bytes());
    let answer = w.owner.with("Accept-Encoding", "gzip, br, zstd").get(&format!("/files/{}/content", file.id()));
    assert_eq!((answer.header("content-encoding"), answer.body.len()), (None, text.len()));
    assert_eq!(answer.header("content-length"), Some(&*text.len().to_string()));
}
