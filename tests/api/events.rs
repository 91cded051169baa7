//! Events: every change, once, in an order that a reader can follow.

use crate::support::{Caller, Record, World, eventually};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// What comes behind a place in the feed, and the place behind that.
fn after(reader: &Caller, place: i64, query: &str) -> (Vec<Record>, i64) {
    let page = reader.get(&format!("/events?after={place}&limit=200{query}")).expect(200);
    (page.items(), page["next_after"].as_i64().unwrap())
}

/// Follows the feed until there are so many events of a type.
fn followed(w: &World, kind: &str, count: usize) -> Vec<Record> {
    eventually(&format!("{count} events {kind}"), || {
        let (events, _) = after(&w.owner, 0, &format!("&type={kind}"));
        (events.len() >= count).then_some(events)
    })
}

#[test]
fn a_change_is_told_with_what_to_read() {
    let w = World::new();
    let customer = w.customer().create();
    let path = format!("/api/v1/customers/{}", customer.id());
    w.owner.at(1).patch(&path, json!({ "name": "Po" })).expect(200);
    let event = followed(&w, "customer.updated", 1).remove(0);
    assert_eq!(event["type"], "customer.updated");
    assert_eq!(event["resource"], json!({ "type": "customer", "id": customer.id() }));
    assert_eq!(event["data"], json!({ "id": customer.id(), "version": 2, "url": path }));
    w.owner.get(event["data"]["url"].as_str().unwrap()).expect(200);
}

#[test]
fn a_reader_gets_each_event_once_and_in_order_while_many_write() {
    const WRITERS: usize = 8;
    const EACH: usize = 15;
    let w = World::new();
    let is_written = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut read, mut place) = (Vec::new(), 0);
            eventually("all events", || {
                let was_written = is_written.load(Ordering::SeqCst);
                let (events, next) = after(&w.owner, place, "");
                assert!(events.iter().all(|event| event["sequence"].as_i64().unwrap() > place));
                read.extend(events);
                place = next;
                let customers = read.iter().filter(|event| event["type"] == "customer.created").count();
                (was_written && customers >= WRITERS * EACH).then_some(())
            });
            // What is read so far stays all there is.
            assert_eq!(after(&w.owner, place, "").0, []);
            read
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let w = &w;
                scope.spawn(move || {
                    for turn in 0..EACH {
                        w.customer().name(&format!("{writer}.{turn}")).create();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_written.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    let sequences: Vec<_> = read.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
    let ids: BTreeSet<_> = read.iter().map(Record::id).collect();
    assert_eq!(ids.len(), read.len(), "one came twice");
    assert_eq!(i64::try_from(read.len()).unwrap(), w.count("events"), "one was missed");
}

#[test]
fn one_writers_events_come_in_the_order_of_its_writing() {
    let w = World::new();
    let customer = w.customer().create();
    for version in 1..=20 {
        let name = json!({ "name": format!("Wersja {version}") });
        w.owner.at(version).patch(&format!("/customers/{}", customer.id()), name).expect(200);
    }
    let versions: Vec<_> =
        followed(&w, "customer.updated", 20).iter().map(|event| event["data"]["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
}

#[test]
fn types_are_picked_and_the_place_stays_right() {
    let w = World::new();
    let first = w.customer().create();
    w.person(first.id()).create();
    w.customer().create();
    followed(&w, "customer.created", 2);
    let (people, _) = after(&w.owner, 0, "&type=person.created,person.updated");
    assert_eq!(people.len(), 1);
    let (page, next) = {
        let page = w.owner.get("/events?type=customer.created&limit=1").expect(200);
        (page.items(), page["next_after"].as_i64().unwrap())
    };
    assert_eq!(page[0]["resource"]["id"], first.id());
    assert_eq!(after(&w.owner, next, "&type=customer.created").0.len(), 1);
    let end = after(&w.owner, 0, "").1;
    assert_eq!(after(&w.owner, end, ""), (Vec::new(), end), "the end stays where it is");
}
