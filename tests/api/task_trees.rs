//! Main tasks and subtasks: percents that roll up, closing, and moves that meet.

use crate::support::{Record, World, at_once};
use crate::tasks::{again, change, path};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn below(parent: &Record) -> Value {
    json!({ "type": "task", "id": parent.id() })
}

fn told(task: &Record) -> (String, i64) {
    (task["status"].as_str().unwrap().to_owned(), task["percent_done"].as_i64().unwrap())
}

fn at(status: &str, percent: i64) -> (String, i64) {
    (status.to_owned(), percent)
}

#[test]
fn the_percent_rolls_up_by_estimates_to_any_depth() {
    let w = World::new();
    let main = w.task("main").create();
    let documents = w.task("documents").with("parent", below(&main)).create();
    let registers = w.task("registers").with("parent", below(&documents)).with("estimate_minutes", 300).create();
    w.task("invoices").with("parent", below(&documents)).with("estimate_minutes", 100).create();
    let letter = w.task("letter").with("parent", below(&main)).with("estimate_minutes", 100).create();
    assert_eq!(told(&again(&w, &main)), at("open", 0));

    change(&w.owner, &registers, json!({ "percent_done": 50 }));
    assert_eq!(told(&again(&w, &documents)), at("in_progress", 37)); // 150 of 400
    assert_eq!(told(&again(&w, &main)), at("in_progress", 29)); // 37 × 400 of 500, down
    let planned = |task: &Record| again(&w, task)["planned_minutes"].clone();
    assert_eq!((planned(&documents), planned(&main)), (json!(400), json!(500)));

    change(&w.owner, &registers, json!({ "status": "done" }));
    change(&w.owner, &letter, json!({ "status": "cancelled" }));
    assert_eq!(told(&again(&w, &main)), at("in_progress", 75));
    let version = again(&w, &main).version();
    let answer = w.owner.at(version).patch(&path(&main), json!({ "percent_done": 80 }));
    assert_eq!(answer.wrong(), ["/percent_done progress"]);
    let counts = |task: &Record| again(&w, task)["subtasks"].clone();
    assert_eq!(counts(&documents), json!({ "total": 2, "open": 1 }));

    let tree = w.owner.get(&format!("{}/subtasks?sort=created_at", path(&main))).expect(200).items();
    let shown: Vec<_> =
        tree.iter().map(|task| (task["title"].as_str().unwrap(), task["level"].as_i64().unwrap())).collect();
    assert_eq!(shown, [("documents", 1), ("registers", 2), ("invoices", 2), ("letter", 1)]);
}

#[test]
fn a_main_task_with_open_subtasks_closes_only_when_told_to_close_them() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    let main = w.task("main").by(&manager).create();
    let middle = w.task("middle").by(&manager).with("parent", below(&main)).create();
    let deep = w.task("deep").by(&operator).with("parent", below(&middle)).create();
    let stranger = w.task("stranger").with("parent", below(&middle)).create();
    let close = |query: &str| {
        manager.at(again(&w, &main).version()).patch(&format!("{}{query}", path(&main)), json!({ "status": "done" }))
    };
    assert_eq!(close("").refused(409, "state_invalid")["state"], "open_subtasks");
    close("?close_subtasks=true").refused(403, "forbidden");
    assert_eq!(told(&again(&w, &deep)), at("open", 0), "nothing was closed");
    change(&w.owner, &stranger, json!({ "status": "cancelled" }));
    close("?close_subtasks=true").expect(200);
    for task in [&main, &middle, &deep] {
        assert_eq!(told(&again(&w, task)), at("done", 100));
    }
    let history = w.owner.get(&format!("{}/history?limit=1", path(&deep))).expect(200).items();
    assert_eq!(history[0]["actor"]["id"], manager.id.to_string());

    change(&operator, &deep, json!({ "percent_done": 50 }));
    assert_eq!(told(&again(&w, &main)), at("in_progress", 50), "what is taken up below takes it up");
    let added = w.task("added").with("parent", below(&stranger)).create();
    assert_eq!(told(&again(&w, &stranger)), at("in_progress", 0));
    change(&w.owner, &added, json!({ "status": "done" }));
    assert_eq!(told(&again(&w, &stranger)), at("in_progress", 100), "to close it is for people");
}

#[test]
fn a_moved_task_takes_its_subtree_and_both_main_tasks_follow() {
    let w = World::new();
    let (first, second) = (w.task("first").create(), w.task("second").create());
    let middle = w.task("middle").with("parent", below(&first)).create();
    let leaf = w.task("leaf").with("parent", below(&middle)).with("percent_done", 60).create();
    assert_eq!(told(&again(&w, &first)), at("in_progress", 60));
    change(&w.owner, &middle, json!({ "parent": below(&second) }));
    assert_eq!(again(&w, &first)["subtasks"]["total"], 0);
    assert_eq!(told(&again(&w, &second)), at("in_progress", 60));
    let tree = w.owner.get(&format!("{}/subtasks", path(&second))).expect(200).items();
    assert_eq!(tree.len(), 2);
    for parent in [&leaf, &middle] {
        let answer = w.owner.at(again(&w, &middle).version()).patch(&path(&middle), json!({ "parent": below(parent) }));
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/parent cycle"]);
    }
    change(&w.owner, &middle, json!({ "parent": null }));
    assert_eq!(again(&w, &second)["subtasks"]["total"], 0);
}

#[test]
fn a_task_below_another_has_its_customer_and_matter() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let call = w.interaction(customer.id()).create();
    let follow_up = w.task("call back").with("parent", json!({ "type": "interaction", "id": call.id() })).create();
    assert_eq!(follow_up["customer_id"], customer["id"]);
    let sub = w.task("sub").with("parent", below(&follow_up)).create();
    assert_eq!(sub["customer_id"], customer["id"]);
    let own = w.task("own").with("parent", below(&follow_up)).with("customer_id", other.id()).create();
    assert_eq!(own["customer_id"], other["id"]);
    let found = w.owner.get(&format!("/tasks?parent_interaction_id={}", call.id())).expect(200).items();
    assert_eq!(found.len(), 1);
    // What follows from a contact keeps it.
    w.owner.at(1).delete(&format!("/interactions/{}", call.id())).refused(409, "conflict");
}

/// The parents of all tasks, by their ids.
fn parents(w: &World) -> BTreeMap<String, Option<String>> {
    let page = w.owner.get("/tasks?limit=200").expect(200);
    assert_eq!(page["next_cursor"], Value::Null);
    page.items().iter().map(|task| (task.id().to_owned(), task["parent"]["id"].as_str().map(str::to_owned))).collect()
}

#[test]
fn fifty_moves_at_once_leave_no_cycle_and_lose_no_subtree() {
    const TASKS: usize = 25;
    let w = World::new();
    let root = w.task("root").create();
    let mut tasks = vec![root];
    // A tree with branches of every depth.
    for index in 1..TASKS {
        let parent = &tasks[(index - 1) / 2];
        let percent = i64::try_from(index * 3).unwrap();
        tasks.push(
            w.task(&format!("task {index}")).with("parent", below(parent)).with("percent_done", percent).create(),
        );
    }
    // Each task is sent below two others, at the same time: many of these moves would close a circle with another.
    let answers = at_once(50, |turn| {
        let task = &tasks[1 + turn % (TASKS - 1)];
        let parent = &tasks[(turn * 7 + 3) % TASKS];
        w.owner.with("If-Match", "*").patch(&path(task), json!({ "parent": below(parent) }))
    });
    for answer in &answers {
        assert!(answer.status == 200 || answer.wrong() == ["/parent cycle"], "{answer:?}");
    }
    assert!(answers.iter().filter(|answer| answer.status == 200).count() > 5);

    let parents = parents(&w);
    assert_eq!(parents.len(), TASKS, "a task is lost");
    for start in parents.keys() {
        let mut seen = BTreeSet::new();
        let mut here = Some(start.clone());
        while let Some(id) = here {
            assert!(seen.insert(id.clone()), "a circle at {id}");
            here = parents[&id].clone();
        }
    }
    // All hangs below the roots, and each percent is still that of the subtasks.
    let roots: Vec<_> = parents.iter().filter(|(_, parent)| parent.is_none()).map(|(id, _)| id.clone()).collect();
    let found: usize = roots
        .iter()
        .map(|id| 1 + w.owner.get(&format!("/tasks/{id}/subtasks?limit=200")).expect(200).items().len())
        .sum();
    assert_eq!(found, TASKS);
    let all: BTreeMap<String, Record> =
        w.owner.get("/tasks?limit=200").expect(200).items().into_iter().map(|it| (it.id().to_owned(), it)).collect();
    for (id, task) in &all {
        let subtasks: Vec<_> = all.values().filter(|other| other["parent"]["id"] == id.as_str()).collect();
        if !subtasks.is_empty() {
            let sum: i64 = subtasks.iter().map(|it| it["percent_done"].as_i64().unwrap()).sum();
            let mean = sum / i64::try_from(subtasks.len()).unwrap();
            assert_eq!(task["percent_done"], mean, "{}", task["title"]);
        }
    }
}

#[test]
fn subtasks_that_move_on_at_once_are_all_counted() {
    let w = World::new();
    let main = w.task("main").create();
    let subtasks: Vec<_> =
        (0..16).map(|index| w.task(&format!("{index}")).with("parent", below(&main)).create()).collect();
    let answers = at_once(16, |turn| w.owner.at(1).patch(&path(&subtasks[turn]), json!({ "status": "done" })));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(told(&again(&w, &main)), at("in_progress", 100));
    assert_eq!(again(&w, &main)["subtasks"], json!({ "total": 16, "open": 0 }));
}

#[test]
fn hanging_something_below_draws_back_only_what_is_the_callers() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let (done, begun, open) = (w.task("done").create(), w.task("begun").create(), w.task("open").create());
    change(&w.owner, &done, json!({ "status": "done" }));
    change(&w.owner, &begun, json!({ "percent_done": 90 }));
    for parent in [&done, &begun] {
        w.task("x").by(&operator).with("parent", below(parent)).send().refused(403, "forbidden");
        let own = w.task("own").by(&operator).create();
        operator.at(own.version()).patch(&path(&own), json!({ "parent": below(parent) })).refused(403, "forbidden");
    }
    w.task("x").by(&operator).with("parent", below(&open)).create();
    assert_eq!((told(&again(&w, &done)), told(&again(&w, &begun))), (at("done", 100), at("in_progress", 90)));
    w.task("x").with("parent", below(&begun)).create();
}

#[test]
fn a_cancelled_main_task_keeps_how_far_it_had_come() {
    let w = World::new();
    let main = w.task("main").create();
    w.task("half").with("parent", below(&main)).with("percent_done", 50).create();
    w.task("whole").with("parent", below(&main)).with("status", "done").create();
    let version = again(&w, &main).version();
    let path = format!("{}?close_subtasks=true", path(&main));
    assert_eq!(
        told(&w.owner.at(version).patch(&path, json!({ "status": "cancelled" })).expect(200)),
        at("cancelled", 75)
    );
    assert_eq!(told(&change(&w.owner, &main, json!({ "title": "another" }))), at("cancelled", 75));
}

#[test]
fn what_lost_its_last_subtask_can_be_done_by_its_percent() {
    let w = World::new();
    let main = w.task("main").create();
    let sub = w.task("sub").with("parent", below(&main)).with("status", "done").create();
    assert_eq!(w.owner.at(sub.version()).delete(&path(&sub)).status, 204);
    assert_eq!(told(&again(&w, &main)), at("in_progress", 100));
    assert_eq!(told(&change(&w.owner, &main, json!({ "percent_done": 100 }))), at("done", 100));
}
