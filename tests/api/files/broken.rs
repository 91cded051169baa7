//! Uploads that break off, stall, never end, or whose server is killed: nothing remains of them.

use super::{Office, over_both_stores, pdf};
use crate::support::files::RawUpload;
use crate::support::{Process, SECRET, World, eventually, now};
use chrono::TimeDelta;
use opiekun_files::FileStore;
use opiekun_http::UploadLimits;
use std::time::Duration;

over_both_stores!(
    what_breaks_off_leaves_nothing,
    a_server_that_is_killed_leaves_nothing_behind_the_sweep,
    what_is_too_large_is_refused_and_leaves_nothing,
    what_stalls_or_trickles_is_given_up,
);

/// More than a part of S3.
const SOME: usize = 7 << 20;

fn what_breaks_off_leaves_nothing(w: &Office) {
    for length in [Some(50 << 20), None] {
        let mut upload = RawUpload::begin(&w.owner, length);
        upload.send(&pdf(1, SOME)).unwrap();
        let parts = w.begun_upload();
        drop(upload);
        eventually("nothing is left", || w.holds(0, parts.as_deref()).then_some(()));
    }
    assert_eq!(w.count("files"), 0);
}

fn a_server_that_is_killed_leaves_nothing_behind_the_sweep(w: &Office) {
    let w = w.alone(|_| {});
    let server = Process::serve_with(&w.database_url, &settings(&w));
    let owner = w.owner.on_process(&server);
    let kept = owner.upload("kept.pdf", &pdf(1, 100_000)).expect(201);
    let mut upload = RawUpload::begin(&owner, Some(50 << 20));
    upload.send(&pdf(2, SOME)).unwrap();
    let parts = w.begun_upload();
    server.kill();
    assert!(upload.send(&pdf(3, SOME)).is_err() || !upload.answer().starts_with("HTTP/1.1 2"));

    w.sweep(now() + TimeDelta::minutes(9));
    assert!(w.objects("receiving") == 1 && !w.holds(1, parts.as_deref()), "it could still be alive");
    w.sweep(now() + TimeDelta::minutes(11));
    assert!(w.holds(1, parts.as_deref()), "something is left");
    let content = w.owner.get(&format!("/files/{}/content", kept.id()));
    assert!(content.body == pdf(1, 100_000), "and what was kept is kept");
}

/// What a process is told so that it serves an office.
fn settings(w: &Office) -> Vec<(&'static str, &'static str)> {
    w.store.environment().into_iter().chain([("OPIEKUN_JWT_SECRET", SECRET)]).collect()
}

fn what_is_too_large_is_refused_and_leaves_nothing(w: &Office) {
    let w = w.alone(|settings| settings.uploads = UploadLimits { file_bytes_max: 8 << 20, ..settings.uploads });
    let told = RawUpload::begin(&w.owner, Some(100 << 30)).answer();
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("body_too_large"), "{told}");
    assert_eq!(w.objects("%"), 0, "refused before a byte of it is read");
    // Without end.
    let mut upload = RawUpload::begin(&w.owner, None);
    let piece = pdf(1, 1 << 20);
    // What was on its way is read for some seconds, so that the refusal arrives.
    eventually("its end", || upload.send(&piece).is_err().then_some(()));
    eventually("nothing is left", || (w.objects("%") == 0 && w.stored() == 0).then_some(()));
    let mut upload = RawUpload::begin(&w.owner, None);
    (0..8).for_each(|_| upload.send(&piece).unwrap());
    let _ = upload.send(b"!");
    let told = upload.answer();
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("body_too_large"), "{told}");
    // And just as much as may be.
    let mut upload = RawUpload::begin(&w.owner, None);
    (0..8).for_each(|_| upload.send(&piece).unwrap());
    upload.send(RawUpload::behind().as_bytes()).unwrap();
    upload.send(b"").unwrap();
    let told = upload.answer();
    assert!(told.starts_with("HTTP/1.1 201"), "{told}");
    assert_eq!((w.objects("%"), w.stored()), (1, 1));
}

fn what_stalls_or_trickles_is_given_up(w: &Office) {
    let w = w.alone(|settings| {
        settings.uploads = UploadLimits {
            silent_max: Duration::from_millis(1_500),
            measured_over: Duration::from_secs(2),
            bytes_min: 1 << 20,
            ..settings.uploads
        };
    });
    let mut upload = RawUpload::begin(&w.owner, Some(50 << 20));
    upload.send(&pdf(1, SOME)).unwrap();
    let told = upload.answer();
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("Nothing came any more"), "{told}");
    assert_eq!((w.objects("%"), w.stored()), (0, 0));
    let mut upload = RawUpload::begin(&w.owner, Some(50 << 20));
    eventually("its row", || (w.objects("receiving") == 1).then_some(()));
    eventually("its end", || {
        let is_ended = upload.send(b"x").is_err() || w.objects("%") == 0;
        std::thread::park_timeout(Duration::from_millis(100));
        is_ended.then_some(())
    });
    let told = upload.answer();
    assert!(told.is_empty() || (told.starts_with("HTTP/1.1 400") && told.contains("too slowly")), "{told}");
    eventually("nothing is left", || (w.objects("%") == 0 && w.stored() == 0).then_some(()));
}

#[test]
fn a_store_that_fails_is_told_and_swept_after_when_it_is_back() {
    let nowhere = FileStore::open_with_keys("s3://firm?endpoint=http://127.0.0.1:9", "key", "secret").unwrap();
    let gone = nowhere.clone();
    let w = Office::in_folder().alone(|settings| settings.files = gone);
    w.owner.upload("a.txt", b"text").refused(503, "unavailable");
    assert_eq!((w.objects("discarded"), w.text("select count(*) from files")), (1, Some("0".to_owned())));
    let later = now() + TimeDelta::minutes(2);
    assert!(!opiekun_jobs::files::sweep(w.db(), &nowhere, later).unwrap(), "what fails is left for later");
    assert_eq!(w.objects("discarded"), 1);
    assert!(!opiekun_jobs::files::sweep(w.db(), &nowhere, later).unwrap());
    w.sweep(later + TimeDelta::minutes(2));
    assert_eq!(w.objects("%"), 0);
}

#[test]
fn more_uploads_than_are_taken_at_once_wait_for_their_turn() {
    let w = Office::in_folder().alone(|settings| settings.uploads = UploadLimits { at_once: 1, ..settings.uploads });
    let mut first = RawUpload::begin(&w.owner, None);
    first.send(b"%PDF-1.7 first").unwrap();
    eventually("the first", || (w.objects("receiving") == 1).then_some(()));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| w.owner.upload("b.txt", b"second"));
        // It has been let in by nobody as long as the first is not done.
        std::thread::park_timeout(Duration::from_millis(300));
        assert!(!second.is_finished() && w.objects("%") == 1);
        first.send(RawUpload::behind().as_bytes()).unwrap();
        first.send(b"").unwrap();
        let told = first.answer();
        assert!(told.starts_with("HTTP/1.1 201"), "{told}");
        second.join().unwrap().expect(201);
    });
}

#[test]
fn a_form_that_is_cut_off_is_none() {
    let w = World::new();
    let whole = [RawUpload::before().as_bytes(), b"some text", RawUpload::behind().as_bytes()].concat();
    for length in [whole.len() - 6, whole.len() - 20, RawUpload::before().len() + 3] {
        let mut stream = RawUpload::begin(&w.owner, None);
        stream.send(&whole[RawUpload::before().len()..length]).unwrap();
        stream.send(b"").unwrap();
        let told = stream.answer();
        assert!(told.starts_with("HTTP/1.1 400"), "cut at {length}: {told}");
    }
    assert_eq!((w.count("files"), w.count("file_objects")), (0, 0));
}
