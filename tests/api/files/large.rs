//! A file of 200 MB goes up and down, and the server's memory does not grow with it.

use super::{Office, noise, over_both_stores};
use crate::support::files::RawUpload;
use crate::support::{Client, Process, SECRET};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::TcpStream;

over_both_stores!(two_hundred_megabytes_take_no_memory);

const SIZE: u64 = 200_000_000;
const GROWTH_MAX: u64 = 32 << 20;

#[expect(clippy::print_stdout, reason = "the figures are what it is about")]
fn two_hundred_megabytes_take_no_memory(w: &Office) {
    let w = w.alone(|_| {});
    let settings: Vec<_> = w.store.environment().into_iter().chain([("OPIEKUN_JWT_SECRET", SECRET)]).collect();
    let server = Process::serve_with(&w.database_url, &settings);
    let owner = w.owner.on_process(&server);
    // Everything has been in use once: connections, buffers, code.
    let small = upload(&owner, 100_000);
    download(&owner, &small, 100_000);
    server.forget_peak();
    let before = server.memory("VmRSS");
    let digest = upload(&owner, SIZE);
    let received = download(&owner, &digest, SIZE);
    assert!(received == digest, "other bytes came back");
    let growth = server.memory("VmHWM").saturating_sub(before);
    println!("{} MiB before, and {} MiB more at most", before >> 20, growth >> 20);
    assert!(growth < GROWTH_MAX, "{growth} bytes more");
}

/// Gives the digest of what was sent.
fn upload(owner: &Client, size: u64) -> String {
    let around = RawUpload::before().len() + RawUpload::behind().len();
    let mut upload = RawUpload::begin(owner, Some(size + around as u64));
    let (mut sent, mut sha256) = (0, Sha256::new());
    let mut piece = noise(1, 1 << 20);
    piece[..9].copy_from_slice(b"%PDF-1.7\n");
    while sent < size {
        let bytes = &piece[..piece.len().min(usize::try_from(size - sent).unwrap())];
        sha256.update(bytes);
        upload.send(bytes).unwrap();
        sent += bytes.len() as u64;
    }
    upload.send(RawUpload::behind().as_bytes()).unwrap();
    let told = upload.answer();
    assert!(told.starts_with("HTTP/1.1 201"), "{told}");
    hex(sha256)
}

/// Gives the digest of what came, of the file whose content has one.
fn download(owner: &Client, digest: &str, size: u64) -> String {
    let file = owner.get(&format!("/files?sha256={digest}")).expect(200).items().remove(0);
    let mut stream = TcpStream::connect(owner.address()).unwrap();
    write!(
        stream,
        "GET /api/v1/files/{}/content HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        file.id(),
        owner.address(),
        owner.sent("Authorization").unwrap()
    )
    .unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {size}\r\n")), "{head}");
    let (mut sha256, mut received, mut buffer) = (Sha256::new(), 0, vec![0; 256 * 1024]);
    while let count @ 1.. = stream.read(&mut buffer).unwrap() {
        sha256.update(&buffer[..count]);
        received += count as u64;
    }
    assert_eq!(received, size);
    hex(sha256)
}

fn hex(sha256: Sha256) -> String {
    sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
