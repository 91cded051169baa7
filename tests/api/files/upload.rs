//! Uploads, equal content, and removal.

use super::{Office, over_both_stores, pdf};
use crate::support::files::Form;
use crate::support::{World, at_once, now};
use chrono::TimeDelta;
use serde_json::json;
use sha2::{Digest, Sha256};

const TEXT: &[u8] = "Umowa o prowadzenie ksiąg".as_bytes();

over_both_stores!(
    what_is_uploaded_is_kept_as_it_is,
    content_of_several_parts_is_whole,
    equal_content_is_stored_once_and_goes_with_its_last_file,
    equal_uploads_at_once_end_with_one_object,
    an_equal_upload_and_the_removal_of_the_last_file_lose_nothing,
    a_repeat_of_an_upload_has_no_effect,
    what_is_on_nothing_for_a_week_goes,
);

fn what_is_uploaded_is_kept_as_it_is(w: &Office) {
    let answer = w.owner.upload("Umowa ąę.txt", TEXT);
    let file = answer.expect(201);
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/files/{}", file.id())));
    assert_eq!((&file["name"], &file["media_type"]), (&json!("Umowa ąę.txt"), &json!("text/plain")));
    assert_eq!((&file["size_bytes"], &file["registered_by_id"]), (&json!(TEXT.len()), &json!(w.world.owner.id)));
    let digest: String = Sha256::digest(TEXT).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&file["sha256"], &file["registered_by_key_id"]), (&json!(digest), &json!(null)));
    assert_eq!(w.owner.get(&format!("/files/{}", file.id())).expect(200), file);
    let content = w.owner.get(&format!("/files/{}/content", file.id()));
    assert_eq!((content.status, &content.body[..]), (200, TEXT), "{content:?}");
    assert_eq!((w.objects("kept"), w.objects("%"), w.stored()), (1, 1, 1));
    assert_eq!(w.changes("file.created"), 1);
}

fn content_of_several_parts_is_whole(w: &Office) {
    // A part of S3 has 5 MiB: below one, just one, and some with a rest.
    for (seed, length) in [5 << 20, (5 << 20) - 1, (5 << 20) + 1, 12_345_678].into_iter().enumerate() {
        let bytes = pdf(seed as u64, length);
        let file = w.file("skan.pdf", &bytes);
        assert_eq!(file["size_bytes"], json!(length));
        let content = w.owner.get(&format!("/files/{}/content", file.id()));
        assert!(content.status == 200 && content.body == bytes, "{length}: {} bytes", content.body.len());
    }
    assert_eq!((w.objects("kept"), w.stored()), (4, 4));
}

fn equal_content_is_stored_once_and_goes_with_its_last_file(w: &Office) {
    let (first, second) = (w.file("a.txt", TEXT), w.file("b.txt", TEXT));
    assert_ne!(first.id(), second.id());
    assert_eq!(first["sha256"], second["sha256"]);
    assert_eq!((w.objects("kept"), w.objects("%"), w.stored()), (1, 1, 1));
    // Another organization's content is another organization's.
    let other = w.another();
    other.file("a.txt", TEXT);
    assert_eq!((other.objects("kept"), other.stored()), (1, 1));

    w.owner.at(1).delete(&format!("/files/{}", first.id())).expect(204);
    w.owner.get(&format!("/files/{}/content", first.id())).refused(404, "not_found");
    assert_eq!(w.owner.get(&format!("/files/{}/content", second.id())).body, TEXT);
    assert_eq!((w.objects("kept"), w.stored()), (1, 1));
    w.owner.at(1).delete(&format!("/files/{}", second.id())).expect(204);
    assert_eq!((w.objects("%"), w.stored()), (0, 0));
    assert_eq!(w.changes("file.deleted"), 2);
    assert_eq!((other.objects("kept"), other.stored()), (1, 1), "and theirs stays");
}

fn equal_uploads_at_once_end_with_one_object(w: &Office) {
    let files = at_once(12, |turn| w.file(&format!("{turn}.pdf"), &pdf(7, 700_000)));
    let ids: std::collections::BTreeSet<_> = files.iter().map(|file| file.id()).collect();
    assert_eq!(ids.len(), 12);
    assert_eq!((w.objects("kept"), w.objects("%"), w.stored()), (1, 1, 1));
    assert_eq!(w.count("files"), 12);
}

fn an_equal_upload_and_the_removal_of_the_last_file_lose_nothing(w: &Office) {
    for round in 0..6 {
        let bytes = pdf(round, 50_000);
        let last = w.file("last.pdf", &bytes);
        let kept = at_once(4, |turn| match turn {
            0 => {
                w.owner.at(1).delete(&format!("/files/{}", last.id())).expect(204);
                None
            }
            _ => Some(w.file(&format!("{turn}.pdf"), &bytes)),
        });
        for file in kept.into_iter().flatten() {
            let content = w.owner.get(&format!("/files/{}/content", file.id()));
            assert!(content.status == 200 && content.body == bytes, "round {round}: {}", content.status);
        }
    }
    assert_eq!((w.objects("kept"), w.objects("%"), w.stored()), (6, 6, 6));
}

fn a_repeat_of_an_upload_has_no_effect(w: &Office) {
    let owner = w.owner.once("upload 1");
    let first = owner.upload("a.pdf", &pdf(1, 100_000));
    let second = owner.upload("a.pdf", &pdf(1, 100_000));
    assert_eq!((second.status, second.header("idempotency-replayed")), (201, Some("true")), "{second:?}");
    assert_eq!(second.json(), first.expect(201).0);
    owner.upload("a.pdf", &pdf(2, 100_000)).refused(422, "idempotency_key_reused");
    owner.upload("b.pdf", &pdf(1, 100_000)).refused(422, "idempotency_key_reused");
    assert_eq!((w.count("files"), w.objects("%"), w.stored()), (1, 1, 1));
}

fn what_is_on_nothing_for_a_week_goes(w: &Office) {
    let w = w.alone(|_| {});
    let (idle, same, used) = (w.file("idle.txt", TEXT), w.file("same.txt", TEXT), w.file("used.txt", b"other"));
    w.put_on(&used, "crm", 1);
    let week = TimeDelta::days(7);
    w.sweep(now() + week - TimeDelta::hours(1));
    w.owner.get(&format!("/files/{}", idle.id())).expect(200);
    w.sweep(now() + week + TimeDelta::hours(1));
    for gone in [&idle, &same] {
        w.owner.get(&format!("/files/{}", gone.id())).refused(404, "not_found");
    }
    assert_eq!(w.owner.get(&format!("/files/{}/content", used.id())).body, b"other");
    let told = w.owner.get("/audit-log?resource_type=file&action=deleted").expect(200).items();
    assert_eq!(told.iter().map(|it| it["actor"]["kind"].as_str()).collect::<Vec<_>>(), [Some("system"); 2]);
    w.sweep(now() + week + TimeDelta::hours(2));
    assert_eq!((w.objects("%"), w.stored()), (1, 1));
}

#[test]
fn a_file_that_is_on_a_record_is_not_removed() {
    let w = Office::in_folder();
    let file = w.file("a.txt", TEXT);
    for area in ["crm", "billing", "logo"] {
        w.put_on(&file, area, 1);
        w.owner.at(1).delete(&format!("/files/{}", file.id())).refused(409, "conflict");
        w.put_on(&file, area, 0);
    }
    w.owner.at(1).delete(&format!("/files/{}", file.id())).expect(204);
}

#[test]
fn the_metadata_may_name_it_before_or_behind() {
    let w = World::new();
    let named = |name: &str| json!({ "name": name }).to_string();
    for form in [
        Form::new().part("metadata", None, named("Umowa.txt").as_bytes()).part("file", Some("x.bin"), TEXT),
        Form::new().part("file", None, TEXT).part("metadata", Some("m.json"), named("  Umowa.txt ").as_bytes()),
    ] {
        assert_eq!(w.owner.send_form("/files", &form).expect(201)["name"], "Umowa.txt");
    }
    for (form, wrong) in [
        (Form::new().part("file", None, TEXT), "/metadata/name required"),
        (Form::new().part("metadata", None, named("a.txt").as_bytes()), "/file required"),
        (Form::new(), "/file required"),
        (Form::new().part("file", Some("a.txt"), TEXT).part("file", Some("b.txt"), TEXT), "/file repeated"),
        (Form::new().part("file", Some("a.txt"), TEXT).part("thumbnail", None, TEXT), " unknown"),
        (Form::new().part("metadata", None, b"{}").part("file", None, TEXT), "/metadata/name required"),
        (Form::new().part("metadata", None, b"[]").part("file", None, TEXT), "/metadata type"),
        (
            Form::new().part("file", Some("a.txt"), TEXT).part("metadata", None, br#"{"name":"a","id":"1"}"#),
            "/metadata/id unknown",
        ),
        (
            Form::new().part("file", Some("a.txt"), TEXT).part("metadata", None, named("a/b").as_bytes()),
            "/metadata/name path",
        ),
        (
            Form::new().part("file", Some("a.txt"), TEXT).part("metadata", None, named("\u{202e}fdp.exe").as_bytes()),
            "/metadata/name control_character",
        ),
    ] {
        let answer = w.owner.send_form("/files", &form);
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [wrong], "{answer:?}");
    }
    let large = Form::new().part("metadata", None, &[b' '; 17_000]).part("file", Some("a.txt"), TEXT);
    w.owner.send_form("/files", &large).refused(413, "body_too_large");
    let broken = Form::new().part("metadata", None, b"{").part("file", Some("a.txt"), TEXT);
    w.owner.send_form("/files", &broken).refused(400, "malformed_request");
    assert_eq!((w.count("files"), w.count("file_objects")), (2, 1), "nothing else is left");
}

#[test]
fn only_a_form_of_parts_is_an_upload() {
    let w = World::new();
    for media_type in ["application/json", "text/plain", "application/octet-stream", "multipart/mixed; boundary=x"] {
        let answer = w.owner.send("POST", "/files", Some(media_type), b"{}");
        answer.refused(415, "unsupported_media_type");
        assert_eq!(answer.header("accept"), Some("multipart/form-data"), "{answer:?}");
    }
    for media_type in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=another"]
    {
        let form = Form::new().part("file", Some("a.txt"), TEXT).bytes();
        w.owner.send("POST", "/files", Some(media_type), &form).refused(400, "malformed_request");
    }
    assert_eq!((w.count("files"), w.count("file_objects")), (0, 0));
}
