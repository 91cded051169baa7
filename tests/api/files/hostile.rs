//! What nobody uploads in good faith: refused, or kept and given back as an attachment that nothing runs.

use super::{Office, over_both_stores};

over_both_stores!(hostile_uploads_are_refused_or_served_harmlessly);

/// What becomes of an upload.
enum Fate {
    Refused(&'static str),
    Kept(&'static str),
}
use Fate::{Kept, Refused};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0;";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// A zip archive whose entries are stored as they are; enough of one to be told what it holds.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let at = (bytes.len() as u32).to_le_bytes();
        let size = (content.len() as u32).to_le_bytes();
        let length = (name.len() as u16).to_le_bytes();
        let sizes = [&[0; 4][..], &size, &size, &length, &[0; 2]].concat();
        bytes.extend_from_slice(&[b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &sizes[..], name.as_bytes(), content].concat());
        let entry =
            [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", &sizes[..], &[0; 10][..], &at, name.as_bytes()].concat();
        directory.extend_from_slice(&entry);
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (size, at) = ((directory.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(&[b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &at, &[0; 2]].concat());
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
}

fn with(beginning: &[u8], rest: &[u8]) -> Vec<u8> {
    [beginning, rest].concat()
}

/// What it is, the name that it comes under, the bytes, and what becomes of it.
fn uploads() -> Vec<(&'static str, &'static str, Vec<u8>, Fate)> {
    let script = b"<script>alert(document.domain)</script>";
    let manifest: (&str, &[u8]) = ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n");
    let types: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");
    let word: (&str, &[u8]) = ("word/document.xml", b"<w:document/>");
    let pages: Vec<(&str, Vec<u8>)> = vec![
        ("a page", b"<!DOCTYPE html><html><script>alert(1)</script>".to_vec()),
        ("a page behind spaces", with(b" \t\r\n \n", script)),
        ("a page behind a mark", with(b"\xef\xbb\xbf", script)),
        ("a page behind a comment", with(b"<!-- just text -- honestly -->", script)),
        ("a page behind a comment that ends at once", with(b"<!-->", script)),
        ("a page in UTF-16", utf16("<html><script>alert(1)</script>")),
        (
            "a page behind a declaration",
            with(b"<?xml version=\"1.0\"?>", b"<html xmlns='http://www.w3.org/1999/xhtml'>"),
        ),
        ("a picture with a script", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec()),
        ("a picture behind a declaration", b"<?xml version='1.0'?><svg onload='alert(1)'/>".to_vec()),
        (
            "a picture within another document",
            b"<?xml version='1.0'?><a xmlns:s='http://www.w3.org/2000/svg'><s:svg/></a>".to_vec(),
        ),
        ("entities that unfold", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbb'>]><a>&b;&b;</a>".to_vec()),
        ("a style sheet that runs", b"<?xml version='1.0'?><xsl:stylesheet version='1.0'/>".to_vec()),
        ("PHP", b"<?php system($_GET['c']); ?>".to_vec()),
        ("a script of a shell", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("a program of Windows", with(b"MZ\x90\0\x03\0\0\0", &[0; 200])),
        ("a program of Linux", with(b"\x7fELF\x02\x01\x01\0", &[0; 200])),
        ("a program of macOS", with(b"\xcf\xfa\xed\xfe\x07\0\0\x01", &[0; 200])),
        ("a class of Java", with(b"\xca\xfe\xba\xbe\0\0\0\x34", &[0; 200])),
        ("a program of Java", zip(&[manifest, ("Evil.class", b"\xca\xfe\xba\xbe")])),
        ("a program of Java that hides its manifest", zip(&[("readme.txt", b"hello"), manifest])),
        ("a program of Android", zip(&[("AndroidManifest.xml", b"\x03\0"), ("classes.dex", b"dex\n035\0")])),
        ("a document with macros", zip(&[types, word, ("word/vbaProject.bin", COMPOUND)])),
        ("an installer", with(COMPOUND, &[0; 2000])),
        ("a page, then a PDF", with(script, b"\n%PDF-1.7\n")),
        ("bytes of no kind", vec![1, 2, 3, 4, 5, 6, 7, 8, 0, 255, 254]),
        ("a database", with(b"SQLite format 3\0", &[0; 200])),
        ("WebAssembly", with(b"\0asm\x01\0\0\0", &[0; 200])),
    ];
    let refused = pages.into_iter().map(|(what, bytes)| (what, "faktura.pdf", bytes, Refused("media_type")));
    let named = [
        ("a script by its name", "run.js", b"alert(1)".to_vec(), Refused("media_type")),
        ("a batch by its name", "run.BAT", b"del /q *".to_vec(), Refused("media_type")),
        ("text that a browser would show as a page", "a.html", b"hello <b onclick=x>".to_vec(), Refused("media_type")),
        ("a letter with pages in it", "a.mhtml", b"MIME-Version: 1.0\r\n\r\n".to_vec(), Refused("media_type")),
        ("nothing", "empty.pdf", Vec::new(), Refused("empty")),
        ("a name that is no name", "..", b"text".to_vec(), Refused("minLength")),
        ("a picture that is a script, too", "a.gif", with(b"GIF89a/*", b"*/=1;alert(1)//;"), Kept("text/plain")),
        ("a picture with a script in it, too", "a.gif", with(GIF, b"*/=1;alert(1)//;"), Kept("image/gif")),
        ("a picture with a page behind it", "a.png", with(PNG, script), Kept("image/png")),
        ("a picture with a zip behind it", "a.png", with(PNG, &zip(&[manifest])), Kept("image/png")),
        ("a picture with a comment that is PHP", "a.jpg", with(JPEG, b"<?php system('id');"), Kept("image/jpeg")),
        (
            "a PDF that is a script, too",
            "a.pdf",
            b"%PDF-1.7\n/*\0*/ app.alert(1); <script>".to_vec(),
            Kept("application/pdf"),
        ),
        ("a picture that calls itself a page", "a.html", GIF.to_vec(), Kept("image/gif")),
        ("a table with formulas", "a.csv", b"=cmd|'/C calc'!A0,1\n".to_vec(), Kept("text/csv")),
        ("a page within a text", "a.txt", with(b"Look: ", script), Kept("text/plain")),
        ("a script that calls itself JSON", "a.json", b"alert(1)".to_vec(), Kept("application/json")),
        ("a name that leads up", "../../../etc/passwd", b"root:x".to_vec(), Kept("text/plain")),
        ("a name that leads up on Windows", "..\\..\\system.ini", b"[boot]".to_vec(), Kept("text/plain")),
        ("a name that turns around", "\u{202e}txt.exe.txt", b"text".to_vec(), Kept("text/plain")),
        ("a name that breaks a header", "a\";x=\u{85}y.txt", b"text".to_vec(), Kept("text/plain")),
    ];
    let mut all: Vec<_> = refused.chain(named).collect();
    // What is exchanged in good faith is not refused for looking like that.
    all.extend([
        ("a document", "umowa.docx", zip(&[types, word]), Kept("application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
        ("a sheet", "a.xlsx", zip(&[types, ("xl/workbook.xml", b"<x/>")]), Kept("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")),
        (
            "an open document",
            "a.odt",
            zip(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<x/>")]),
            Kept("application/vnd.oasis.opendocument.text"),
        ),
        (
            "a signed container",
            "a.asice",
            zip(&[("mimetype", b"application/vnd.etsi.asic-e+zip"), ("a.xml", b"<x/>")]),
            Kept("application/vnd.etsi.asic-e+zip"),
        ),
        ("an archive", "a.zip", zip(&[("a.txt", b"text")]), Kept("application/zip")),
        ("an older document", "a.doc", with(COMPOUND, b"\0\0W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0"), Kept("application/msword")),
        (
            "an invoice",
            "a.xml",
            b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?><?xml-stylesheet type=\"text/xsl\" href=\"x\"?><Faktura/>".to_vec(),
            Kept("application/xml"),
        ),
        ("a signed letter", "a.p7m", b"0\x82\x01\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0".to_vec(), Kept("application/pkcs7-mime")),
        ("a letter", "a.eml", b"From: anna@example.com\r\nSubject: VAT\r\n\r\nDobry".to_vec(), Kept("message/rfc822")),
        ("an export in an older encoding", "a.csv", b"kwota;opis\r\n1,00;Za\xbf\xf3\xb3\xe6\r\n".to_vec(), Kept("text/csv")),
        ("a 7-Zip archive", "a.7z", with(b"7z\xbc\xaf\x27\x1c\0\x04", &[0; 40]), Kept("application/x-7z-compressed")),
        ("a recording", "a.mp3", with(b"ID3\x04\0\0\0\0\0\0", &[0; 40]), Kept("audio/mpeg")),
        ("a video", "a.mp4", with(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", &[0; 40]), Kept("video/mp4")),
    ]);
    all
}

fn hostile_uploads_are_refused_or_served_harmlessly(w: &Office) {
    let uploads = uploads();
    assert!(uploads.iter().filter(|(.., fate)| matches!(fate, Refused(_))).count() >= 30);
    let mut wrong = Vec::new();
    for (what, name, bytes, fate) in &uploads {
        let answer = w.owner.upload(name, bytes);
        match fate {
            Refused(code) => {
                if answer.status != 422 || answer.wrong() != [format!("/file {code}")] {
                    wrong.push(format!("{what}: {answer:?}"));
                }
            }
            Kept(media_type) => {
                if answer.status != 201 || answer.json()["media_type"] != *media_type {
                    wrong.push(format!("{what} is not {media_type}: {answer:?}"));
                    continue;
                }
                let file = answer.expect(201);
                let name = file["name"].as_str().unwrap();
                assert!(!name.contains(['/', '\\', '\u{202e}', '\u{85}', '\r', '\n']) && name != "..", "{name:?}");
                let content = w.owner.get(&format!("/files/{}/content", file.id()));
                assert!(content.status == 200 && content.body == *bytes, "{what}: {content:?}");
                let header = |name: &str| content.header(name).unwrap_or_default();
                assert!(header("content-disposition").starts_with("attachment; filename=\""), "{what}: {content:?}");
                assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
                assert_eq!(header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'; sandbox");
                assert_eq!(header("content-type"), *media_type, "{what}");
                assert!(!["html", "svg", "javascript"].iter().any(|it| media_type.contains(it)), "{what}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), uploads.len());
    let kept = uploads.iter().filter(|(.., fate)| matches!(fate, Kept(_))).count();
    assert_eq!(w.count("files"), kept as i64);
    assert_eq!((w.objects("%"), w.objects("kept") as usize), (w.objects("kept"), w.stored()), "nothing else is left");
}
