//! Procedures: steps that wait for each other, runs that are whole, and who is late at which step.

use crate::support::{Answer, Client, Record, World, at_once, eventually, execute, now};
use crate::surveys::answer;
use chrono::{Datelike, Days, Months, NaiveDate, TimeDelta};
use serde_json::{Value, json};

fn step(key: &str, waits_for: &[&str]) -> Value {
    json!({ "key": key, "title": format!("Do {key}"), "waits_for": waits_for })
}

fn with(mut step: Value, field: &str, value: Value) -> Value {
    step[field] = value;
    step
}

fn of<'r>(run: &'r Record, key: &str) -> &'r Value {
    run["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["key"] == key)
        .unwrap_or_else(|| panic!("{key}: {}", run.0))
}

fn states(run: &Record) -> Vec<String> {
    let steps = run["steps"].as_array().unwrap().iter();
    steps.map(|step| format!("{} {}", step["key"].as_str().unwrap(), step["state"].as_str().unwrap())).collect()
}

impl World {
    fn procedure_run_now(&self, run: &Record) -> Record {
        self.owner.get(&format!("/procedure-runs/{}", run.id())).expect(200)
    }

    fn task_of_step(&self, run: &Record, key: &str) -> Record {
        self.owner.get(&format!("/tasks/{}", of(run, key)["task_id"].as_str().unwrap())).expect(200)
    }

    /// Tries to have the task of a step done.
    fn finish_step(&self, run: &Record, key: &str) -> crate::support::Answer {
        let task = self.task_of_step(run, key);
        self.owner.at(task.version()).patch(&format!("/tasks/{}", task.id()), json!({ "status": "done" }))
    }

    fn events_called(&self, kind: &str) -> i64 {
        let of = format!("events where organization_id = '{}' and type = '{kind}'", self.organization_id);
        crate::support::count(&of)
    }
}

#[test]
fn a_graph_that_cannot_be_worked_through_is_refused() {
    let w = World::new();
    let refused = |steps: Value| {
        let answer = w.procedure().with("steps", steps).send();
        answer.refused(422, "validation_failed");
        answer.wrong()
    };
    assert_eq!(
        refused(json!([step("a", &["b"]), step("b", &["a"])])),
        ["/steps/0/waits_for cycle", "/steps/1/waits_for cycle"]
    );
    assert_eq!(refused(json!([step("a", &["a"])])), ["/steps/0/waits_for cycle"]);
    assert_eq!(refused(json!([step("a", &["c"])])), ["/steps/0/waits_for/0 unknown_step"]);
    assert_eq!(refused(json!([step("a", &[]), step("a", &[])])), ["/steps/1/key duplicate"]);
    let stranger = World::new();
    let assignee = json!({ "kind": "named", "operator_id": stranger.owner.id });
    let answer = w.procedure().with("steps", json!([with(step("a", &[]), "assignee", assignee)])).send();
    answer.refused(422, "reference_not_found");
    assert_eq!(answer.wrong(), ["/steps/0/assignee reference_not_found"]);
    assert_eq!(w.count("procedures"), 0);
}

#[test]
fn a_run_is_a_thread_with_a_main_task_and_a_subtask_a_step() {
    let w = World::new();
    let caretaker = w.operator("operator", "none", None);
    let customer = w.customer().with("caretaker_id", json!(caretaker.id)).create();
    let due = json!({ "kind": "day_of_month", "day": 25, "month_offset": 1, "shift": "none" });
    let steps = json!([
        with(
            with(step("collect", &[]), "instructions", json!("By mail")),
            "due",
            json!({ "kind": "after_start", "working_days": 2 })
        ),
        with(with(step("vat", &["collect"]), "due", due), "priority", json!("high")),
    ]);
    let procedure = w.procedure().with("steps", steps).create();
    let period = json!({ "start_on": "2090-10-01", "end_on": "2090-11-01" });
    let run = w.procedure_run(procedure.id(), customer.id()).with("period", period).create();
    assert_eq!(states(&run), ["collect open", "vat waiting"]);
    assert_eq!((&run["status"], &run["percent_done"], &run["steps_total"]), (&json!("open"), &json!(0), &json!(2)));

    let main = w.owner.get(&format!("/tasks/{}", run["task_id"].as_str().unwrap())).expect(200);
    assert_eq!((&main["title"], &main["caretaker_id"]), (&json!("Monthly close 10/2090"), &json!(caretaker.id)));
    assert_eq!((&main["thread_id"], &main["customer_id"]), (&run["thread_id"], &customer["id"]));
    let thread = w.owner.get(&format!("/threads/{}", run["thread_id"].as_str().unwrap())).expect(200);
    assert_eq!(thread["subject"], "Monthly close 10/2090");
    let collect = w.task_of_step(&run, "collect");
    assert_eq!((&collect["description"], &collect["caretaker_id"]), (&json!("By mail"), &json!(caretaker.id)));
    assert!(collect["due_at"].is_string() && collect["all_day"] == true);
    assert_eq!(collect["parent"], json!({ "type": "task", "id": main.id() }));
    // Who it will be and by when is told, and given to nobody yet.
    let (vat, planned) = (w.task_of_step(&run, "vat"), of(&run, "vat"));
    assert_eq!((&vat["caretaker_id"], &vat["due_at"]), (&Value::Null, &Value::Null));
    assert_eq!((&planned["caretaker_id"], &planned["due_on"]), (&json!(caretaker.id), &json!("2090-11-25")));
    assert_eq!(w.finish_step(&run, "vat").refused(409, "state_invalid")["state"], "waiting");
    assert_eq!(w.events_called("procedure_step.opened"), 1);

    w.finish_step(&run, "collect").expect(200);
    let vat = w.task_of_step(&run, "vat");
    assert_eq!((&vat["caretaker_id"], &vat["due_at"]), (&json!(caretaker.id), &json!("2090-11-24T23:00:00Z")));
    assert_eq!((&vat["priority"], w.events_called("procedure_step.opened")), (&json!("high"), 2));
    let half = w.procedure_run_now(&run);
    assert_eq!((states(&half), &half["percent_done"]), (vec!["collect done".into(), "vat open".into()], &json!(50)));
    w.finish_step(&run, "vat").expect(200);
    let whole = w.procedure_run_now(&run);
    assert_eq!(
        (&whole["status"], &whole["percent_done"], &whole["steps_closed"]),
        (&json!("done"), &json!(100), &json!(2))
    );
    assert_eq!(w.owner.get(&format!("/tasks/{}", main.id())).expect(200)["status"], "done");
    assert_eq!(w.events_called("procedure_run.finished"), 1);
    let timeline = w.owner.get(&format!("/threads/{}/timeline", thread.id())).expect(200).items();
    assert_eq!(timeline.len(), 3);
}

#[test]
fn whoever_finishes_last_of_two_at_once_opens_what_waits_for_both() {
    let w = World::new();
    let customer = w.customer().create();
    let steps = json!([step("a", &[]), step("b", &[]), step("c", &["a", "b"])]);
    let procedure = w.procedure().with("steps", steps).create();
    for _ in 0..5 {
        let run = w.procedure_run(procedure.id(), customer.id()).create();
        let answers = at_once(2, |turn| w.finish_step(&run, ["a", "b"][turn]));
        answers.iter().for_each(|answer| _ = answer.expect(200));
        assert_eq!(states(&w.procedure_run_now(&run)), ["a done", "b done", "c open"]);
    }
}

#[test]
fn a_step_is_skipped_while_the_one_before_it_or_the_whole_run_is_done() {
    let w = World::new();
    let customer = w.customer().create();
    let procedure = w.procedure().with("steps", json!([step("a", &[]), step("b", &["a"])])).create();
    for _ in 0..10 {
        let run = w.procedure_run(procedure.id(), customer.id()).create();
        let close = |task_id: &str, status: &str| {
            let path = format!("/tasks/{task_id}");
            // A step that was opened meanwhile is another version.
            loop {
                let version = w.owner.get(&path).expect(200).version();
                let answer = w.owner.at(version).patch(&path, json!({ "status": status }));
                if answer.status != 412 {
                    break answer;
                }
            }
        };
        let task_of = |key: &str| of(&run, key)["task_id"].as_str().unwrap().to_owned();
        let answers = at_once(3, |turn| match turn {
            0 => close(&task_of("a"), "done"),
            1 => w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), json!({ "key": "b", "reason": "?" })),
            _ => close(run["task_id"].as_str().unwrap(), "cancelled"),
        });
        for answer in &answers[..2] {
            answer.expect(200);
        }
        // Nobody closes a main task before what is below it.
        assert!([200, 409].contains(&answers[2].status), "{:?}", answers[2]);
        assert_eq!(states(&w.procedure_run_now(&run)), ["a done", "b skipped"]);
    }
}

#[test]
fn a_step_is_done_with_its_files_and_its_survey() {
    let w = World::new();
    let customer = w.customer().create();
    let survey = w.survey().create();
    let steps = json!([
        with(step("proof", &[]), "files_required", json!(1)),
        with(step("ask", &["proof"]), "survey_id", survey["id"].clone()),
    ]);
    let procedure = w.procedure().with("steps", steps).create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    assert_eq!(w.finish_step(&run, "proof").refused(409, "state_invalid")["state"], "files_missing");
    let task_id = of(&run, "proof")["task_id"].as_str().unwrap();
    let file = w.file("upo.txt", b"UPO");
    let attachment = format!("/attachments/{}", w.attachment(file.id(), "task", task_id).create().id());
    let waiting = format!("/survey-responses?customer_id={}&complete=false", customer.id());
    assert_eq!(w.owner.get(&waiting).expect(200).items(), []);
    w.finish_step(&run, "proof").expect(200);

    let response = w.owner.get(&waiting).expect(200).items().remove(0);
    assert_eq!((&response["task_id"], &response["thread_id"]), (&of(&run, "ask")["task_id"], &run["thread_id"]));
    assert_eq!(w.finish_step(&run, "ask").refused(409, "state_invalid")["state"], "survey_missing");
    // Whoever the step is given to fills it in.
    let filler = w.operator("operator", "none", None);
    let task = w.task_of_step(&run, "ask");
    let given = json!({ "caretaker_id": filler.id.to_string() });
    w.owner.at(task.version()).patch(&format!("/tasks/{}", task.id()), given).expect(200);
    let change = json!({ "answers": { "content": "yes" }, "complete": true });
    filler.at(1).patch(&format!("/survey-responses/{}", response.id()), change).expect(200);
    let response = format!("/survey-responses/{}", response.id());
    let delete = |path: &str| {
        let version = w.owner.get(path).expect(200).version();
        w.owner.at(version).delete(path)
    };
    w.finish_step(&run, "ask").expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "done");
    // What they were done with stays, until they are open again.
    for path in [&attachment, &response] {
        assert_eq!(delete(path).refused(409, "state_invalid")["state"], "step_done");
    }
    for key in ["proof", "ask"] {
        let task = w.task_of_step(&run, key);
        w.owner
            .at(task.version())
            .patch(&format!("/tasks/{}", task.id()), json!({ "status": "in_progress" }))
            .expect(200);
    }
    for path in [&attachment, &response] {
        delete(path).expect(204);
    }
    // What nobody will be asked any more does not wait.
    let skipped = w.procedure_run(procedure.id(), customer.id()).create();
    for key in ["proof", "ask"] {
        assert_eq!(w.owner.get(&waiting).expect(200).items().len(), usize::from(key == "ask"));
        let skip = json!({ "key": key, "reason": "A friend" });
        w.owner.post(&format!("/procedure-runs/{}/skips", skipped.id()), skip).expect(200);
    }
    assert_eq!(w.owner.get(&waiting).expect(200).items(), []);
    // Past the API, too.
    let open = w.procedure_run(procedure.id(), customer.id()).create();
    let done = format!(
        "update tasks set status = 'done', percent_done = 100, closed_at = now() where id = '{}'",
        of(&open, "proof")["task_id"].as_str().unwrap()
    );
    assert!(execute(&done).is_err());
}

#[test]
fn the_customer_fills_in_a_steps_survey_alone() {
    let w = World::new();
    let (customer, survey) = (w.customer().create(), w.survey().create());
    let procedure =
        w.procedure().with("steps", json!([with(step("ask", &[]), "survey_id", survey["id"].clone())])).create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let of_step = |run: &Record| w.survey_link(survey.id()).with("task_id", of(run, "ask")["task_id"].clone());
    let stranger = of_step(&run).with("customer_id", w.customer().create().id()).send();
    assert_eq!(stranger.wrong(), ["/task_id other_customer"]);

    let link = of_step(&run).create();
    assert_eq!((&link["customer_id"], &link["task_id"]), (&customer["id"], &of(&run, "ask")["task_id"]));
    assert_eq!(w.count("survey_responses"), 1, "what waits for the step is answered at the address");
    // Without its address it waits still, and can be sent anew.
    w.owner.at(1).delete(&format!("/survey-links/{}", link.id())).expect(204);
    assert_eq!(w.count("survey_responses"), 1);
    let address = of_step(&run).create().address();
    assert_eq!(w.count("survey_responses"), 1);
    answer(&address, json!({ "content": "yes" }), true).expect(200);
    let answered = w.owner.get(&format!("/survey-responses?task_id={}", run["steps"][0]["task_id"].as_str().unwrap()));
    let answered = answered.expect(200).items().remove(0);
    assert_eq!((&answered["thread_id"], &answered["operator_id"]), (&run["thread_id"], &Value::Null));
    w.finish_step(&run, "ask").expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "done");

    // What was left out is asked no more, at no address.
    let skipped = w.procedure_run(procedure.id(), customer.id()).create();
    let address = of_step(&skipped).create().address();
    let skip = json!({ "key": "ask", "reason": "A friend" });
    w.owner.post(&format!("/procedure-runs/{}/skips", skipped.id()), skip).expect(200);
    Client::nobody().get(&address).refused(404, "not_found");
}

#[test]
fn a_run_is_done_with_the_last_of_what_its_main_task_has() {
    let w = World::new();
    let customer = w.customer().create();
    let procedure = w.procedure().with("steps", json!([step("book", &[])])).create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let main = json!({ "type": "task", "id": run["task_id"] });
    let beside = w.task("Ask about the car").with("parent", main).create();
    w.finish_step(&run, "book").expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "open");
    assert_eq!(w.events_called("procedure_run.finished"), 0);
    w.owner.at(beside.version()).patch(&format!("/tasks/{}", beside.id()), json!({ "status": "done" })).expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "done");
    assert_eq!(w.events_called("procedure_run.finished"), 1);
}

#[test]
fn what_steps_name_is_there_and_stays() {
    let w = World::new();
    let (customer, survey, article) = (w.customer().create(), w.survey().create(), w.article("Jak zebrać").create());
    let named = with(step("ask", &[]), "survey_id", survey["id"].clone());
    let named = with(named, "article_id", article["id"].clone());
    let of_stranger = World::new().article("Cudzy").create();
    let strange = with(step("ask", &[]), "article_id", of_stranger["id"].clone());
    let refused = w.owner.post("/procedures", json!({ "name": "Obca", "steps": [strange] }));
    assert_eq!(refused.refused(422, "reference_not_found")["errors"][0]["pointer"], "/steps/0/article_id");

    let procedure = w.procedure().with("steps", json!([named])).create();
    let [of_survey, of_article] = [format!("/surveys/{}", survey.id()), format!("/articles/{}", article.id())];
    // Nobody has been asked yet, and nothing was started.
    w.owner.at(survey.version()).delete(&of_survey).refused(409, "conflict");
    w.owner.at(1).delete(&of_article).refused(409, "conflict");
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    assert_eq!(of(&run, "ask")["article_id"], article["id"]);
    w.owner.at(1).patch(&of_article, json!({ "status": "published" })).expect(200);
    let steps = format!("/procedure-steps?run_id={}&expand=article", run.id());
    assert_eq!(w.owner.get(&steps).expect(200).items()[0]["article"]["title"], "Jak zebrać");
    // Past the API, too.
    let nobody = "00000000-0000-7000-8000-000000000000";
    for kind in ["survey_id", "article_id"] {
        let wrong = format!(
            "update procedures set steps = jsonb_set(steps, '{{0,{kind}}}', '\"{nobody}\"') where id = '{}'",
            procedure.id()
        );
        assert!(execute(&wrong).is_err());
    }

    let other = w.article("Jak wysłać").create();
    let extra = with(step("send", &[]), "article_id", other["id"].clone());
    let extra_steps = json!([{ "customer_id": customer.id(), "steps": [extra] }]);
    w.procedure_schedule(procedure.id())
        .with("customer_ids", json!([customer.id()]))
        .with("extra_steps", extra_steps)
        .create();
    w.owner.at(1).delete(&format!("/articles/{}", other.id())).refused(409, "conflict");
}

#[test]
fn a_step_that_is_opened_again_can_be_done() {
    let w = World::new();
    let customer = w.customer().create();
    let procedure = w.procedure().with("steps", json!([step("a", &[]), step("b", &["a"])])).create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let skip = json!({ "key": "b", "reason": "Nothing this month" });
    w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), skip).expect(200);
    w.finish_step(&run, "a").expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "done");
    let task = w.task_of_step(&run, "b");
    w.owner.at(task.version()).patch(&format!("/tasks/{}", task.id()), json!({ "status": "open" })).expect(200);
    let again = w.procedure_run_now(&run);
    assert_eq!(states(&again), ["a done", "b open"]);
    assert_eq!((&again["status"], &of(&again, "b")["skip_reason"]), (&json!("open"), &Value::Null));
    w.finish_step(&run, "b").expect(200);
    assert_eq!(w.procedure_run_now(&run)["status"], "done");
}

#[test]
fn whoever_is_gone_is_given_nothing() {
    let w = World::new();
    let [gone, here] = [(); 2].map(|()| w.operator("operator", "none", None).id.to_string());
    let customer = w.customer().with("caretaker_id", json!(here)).create();
    let named = |id: &str| json!({ "kind": "named", "operator_id": id });
    let team = json!({ "kind": "round_robin", "operator_ids": [gone, here] });
    let steps = json!([
        with(step("named", &[]), "assignee", named(&gone)),
        with(step("team", &[]), "assignee", team),
        with(step("later", &["team"]), "assignee", named(&here)),
    ]);
    let procedure = w.procedure().with("steps", steps.clone()).create();
    w.owner.at(1).patch(&format!("/operators/{gone}"), json!({ "active": false })).expect(200);
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    assert_eq!((&of(&run, "named")["caretaker_id"], &of(&run, "team")["caretaker_id"]), (&json!(here), &json!(here)));
    let again = w.procedure().name("Again").with("steps", steps).send();
    assert_eq!(again.wrong(), ["/steps/0/assignee inactive"]);
    // What else there is of it is changed all the same.
    let path = format!("/procedures/{}", procedure.id());
    w.owner.at(1).patch(&path, json!({ "name": "Renamed" })).expect(200);
    w.owner.at(1).patch(&format!("/operators/{here}"), json!({ "active": false })).expect(200);
    w.finish_step(&run, "team").expect(200);
    assert_eq!(w.task_of_step(&run, "later")["caretaker_id"], Value::Null);
}

#[test]
fn the_tasks_of_a_run_stay_in_it() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let task = w.owner.get(&format!("/tasks/{}", run["steps"][0]["task_id"].as_str().unwrap())).expect(200);
    let main = w.owner.get(&format!("/tasks/{}", run["task_id"].as_str().unwrap())).expect(200);
    for (task, change) in [
        (&task, json!({ "parent": null })),
        (&task, json!({ "customer_id": other.id(), "thread_id": null })),
        (&main, json!({ "thread_id": null })),
    ] {
        let refused = w.owner.at(task.version()).patch(&format!("/tasks/{}", task.id()), change.clone());
        assert_eq!(refused.refused(409, "state_invalid")["state"], "procedure", "{change}");
    }
    // What hangs below a step goes with it when it is left out.
    let below = w.task("Below").with("parent", json!({ "type": "task", "id": task.id() })).create();
    let skip = json!({ "key": run["steps"][0]["key"], "reason": "Not this time" });
    w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), skip).expect(200);
    assert_eq!(w.owner.get(&format!("/tasks/{}", below.id())).expect(200)["status"], "cancelled");
}

#[test]
fn late_is_who_can_do_a_step_and_has_not() {
    let w = World::new();
    let [late, early] = [(); 2].map(|()| w.operator("operator", "none", None));
    let customer = w.customer().create();
    let named = |id: Value| json!({ "kind": "named", "operator_id": id });
    let due = json!({ "kind": "day_of_month", "day": 10, "shift": "before" });
    let steps = json!([
        with(with(step("collect", &[]), "due", due.clone()), "assignee", named(json!(late.id))),
        with(with(step("book", &["collect"]), "due", due), "assignee", named(json!(early.id))),
    ]);
    let procedure = w.procedure().with("steps", steps).create();
    let period = json!({ "start_on": "2020-10-01", "end_on": "2020-11-01" });
    let run = w.procedure_run(procedure.id(), customer.id()).with("period", period).create();
    assert_eq!((of(&run, "collect")["late"].clone(), of(&run, "book")["late"].clone()), (json!(true), json!(false)));
    assert_eq!((&run["steps_late"], &of(&run, "book")["due_on"]), (&json!(1), &json!("2020-10-09")));
    let late_steps = || w.owner.get("/procedure-steps?late=true").expect(200).items();
    let [only] = &late_steps()[..] else { panic!("one is late") };
    assert_eq!(
        (&only["key"], &only["caretaker_id"], &only["customer_id"]),
        (&json!("collect"), &json!(late.id), &customer["id"])
    );
    let of_early = format!("/tasks?caretaker_id={}", early.id);
    assert_eq!(w.owner.get(&of_early).expect(200).items(), [], "nobody has what cannot be begun");
    w.finish_step(&run, "collect").expect(200);
    assert_eq!(late_steps()[0]["key"], "book");
    assert_eq!(w.owner.get(&format!("{of_early}&overdue=true")).expect(200).items().len(), 1);
    // Moved in the calendar, the step is due then.
    let book = w.task_of_step(&run, "book");
    let day = (now() + TimeDelta::days(40)).date_naive();
    let moved = json!({ "due_at": day.and_hms_opt(12, 0, 0).unwrap().and_utc(), "all_day": false });
    w.owner.at(book.version()).patch(&format!("/tasks/{}", book.id()), moved).expect(200);
    assert_eq!(late_steps(), []);
    assert_eq!(of(&w.procedure_run_now(&run), "book")["due_on"], json!(day));
}

#[test]
fn a_run_is_changed_without_its_procedure() {
    let w = World::new();
    let customer = w.customer().create();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let path = format!("/procedure-runs/{}", run.id());
    let extra = json!({ "key": "audit", "title": "Show it to the auditor", "waits_for": ["collect"] });
    let changed = w.owner.post(&format!("{path}/steps"), &extra).expect(200);
    assert_eq!(states(&changed), ["collect open", "book waiting", "vat waiting", "audit waiting"]);
    assert_eq!((&of(&changed, "audit")["extra"], changed.version()), (&json!(true), 2));
    assert_eq!(w.owner.post(&format!("{path}/steps"), &extra).wrong(), ["/key duplicate"]);
    let unknown = json!({ "key": "other", "title": "?", "waits_for": ["nothing"] });
    assert_eq!(w.owner.post(&format!("{path}/steps"), unknown).wrong(), ["/waits_for/0 unknown_step"]);
    let skip = json!({ "key": "collect", "reason": "No purchases this month" });
    let skipped = w.owner.post(&format!("{path}/skips"), &skip).expect(200);
    assert_eq!(states(&skipped), ["collect skipped", "book open", "vat waiting", "audit open"]);
    assert_eq!(of(&skipped, "collect")["skip_reason"], "No purchases this month");
    w.owner.post(&format!("{path}/skips"), &skip).refused(409, "state_invalid");
    for key in ["audit", "book", "vat"] {
        w.finish_step(&skipped, key).expect(200);
    }
    assert_eq!(w.procedure_run_now(&run)["status"], "done");
    assert_eq!(w.owner.get(&format!("/procedures/{}", procedure.id())).expect(200), procedure);
    w.owner.post(&format!("{path}/skips"), &skip).refused(409, "state_invalid");
    w.owner.post(&format!("{path}/cancellation"), Value::Null).refused(409, "state_invalid");
}

#[test]
fn a_cancelled_run_leaves_nothing_to_do() {
    let w = World::new();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    w.finish_step(&run, "collect").expect(200);
    let path = format!("/procedure-runs/{}/cancellation", run.id());
    let cancelled = w.owner.post(&path, Value::Null).expect(200);
    assert_eq!(states(&cancelled), ["collect done", "book skipped", "vat skipped"]);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(w.owner.get("/tasks?closed=false").expect(200).items(), []);
    assert_eq!(w.owner.post(&path, Value::Null).expect(200), cancelled);
}

#[test]
fn a_procedure_runs_once_for_a_customer_and_period_whoever_starts_it() {
    let w = World::new();
    let procedure = w.procedure().create();
    let customer = w.customer().create();
    let period = json!({ "start_on": "2026-10-01", "end_on": "2026-11-01" });
    let draft = w.procedure_run(procedure.id(), customer.id()).with("period", period);
    let answers = at_once(8, |_| draft.send());
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for answer in refused {
        answer.refused(409, "duplicate");
        assert_eq!(answer.wrong(), ["/period duplicate"]);
    }
    assert_eq!((w.count("procedure_runs"), w.count("threads"), w.count("tasks")), (1, 1, 4), "whole or not at all");
    let order = json!({ "start_on": "2026-10-01", "end_on": "2026-10-01" });
    assert_eq!(draft.with("period", order).send().wrong(), ["/period/end_on order"]);
}

#[test]
fn runs_keep_the_steps_that_they_were_started_with() {
    let w = World::new();
    let procedure = w.procedure().create();
    let customer = w.customer().create();
    let old = w.procedure_run(procedure.id(), customer.id()).create();
    let path = format!("/procedures/{}", procedure.id());
    let changed = w.owner.at(1).patch(&path, json!({ "steps": [step("only", &[])] })).expect(200);
    assert_eq!((changed.version(), &changed["published_version"]), (2, &json!(2)));
    let new = w.procedure_run(procedure.id(), customer.id()).create();
    assert_eq!((&old["procedure_version"], &new["procedure_version"]), (&json!(1), &json!(2)));
    assert_eq!((states(&w.procedure_run_now(&old)).len(), states(&new).len()), (3, 1));
    let renamed = w.owner.at(2).patch(&path, json!({ "name": "Close" })).expect(200);
    assert_eq!(renamed["published_version"], 2);
    let change = format!("update procedure_versions set steps = '[1]' where procedure_id = '{}'", procedure.id());
    assert!(execute(&change).is_err());
    w.owner.at(3).delete(&path).refused(409, "conflict");
}

#[test]
fn a_team_takes_turns_run_by_run() {
    let w = World::new();
    let team = [(); 3].map(|()| w.operator("operator", "none", None));
    let assignee =
        json!({ "kind": "round_robin", "operator_ids": team.iter().map(|it| json!(it.id)).collect::<Value>() });
    let procedure = w.procedure().with("steps", json!([with(step("call", &[]), "assignee", assignee)])).create();
    let customer = w.customer().create();
    let given: Vec<Value> = (0..6)
        .map(|_| of(&w.procedure_run(procedure.id(), customer.id()).create(), "call")["caretaker_id"].clone())
        .collect();
    let turns: Vec<Value> = (0..6).map(|turn: usize| json!(team[turn % 3].id)).collect();
    assert_eq!(given, turns);
}

#[test]
fn operators_start_procedures_that_managers_arrange() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    w.procedure().by(&operator).send().refused(403, "forbidden");
    let steps = json!([with(step("mine", &[]), "assignee", json!({ "kind": "starter" }))]);
    let procedure = w.procedure().with("steps", steps).create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).by(&operator).create();
    assert_eq!(
        (&run["registered_by_id"], &of(&run, "mine")["caretaker_id"]),
        (&json!(operator.id), &json!(operator.id))
    );
    let other = w.operator("operator", "none", None);
    let skip = json!({ "key": "mine", "reason": "?" });
    other.post(&format!("/procedure-runs/{}/skips", run.id()), &skip).refused(403, "forbidden");
}

/// The first day of the month so many months before the current one in Poland.
pub fn months_ago(months: u32) -> NaiveDate {
    let today = now().with_timezone(&chrono_tz::Europe::Warsaw).date_naive();
    today.with_day(1).unwrap() - Months::new(months)
}

#[test]
fn due_days_are_never_days_off_when_told_so() {
    let w = World::new();
    let customer = w.customer().create();
    let steps: Vec<Value> = (1..=31)
        .flat_map(|day| {
            ["before", "after"].map(|shift| {
                let due = json!({ "kind": "day_of_month", "day": day, "shift": shift });
                with(step(&format!("{shift}_{day}"), &[]), "due", due)
            })
        })
        .collect();
    let procedure = w.procedure().with("steps", steps).create();
    let start = months_ago(0);
    let period = json!({ "start_on": start.to_string(), "end_on": (start + Months::new(1)).to_string() });
    let run = w.procedure_run(procedure.id(), customer.id()).with("period", period).create();
    for step in run["steps"].as_array().unwrap() {
        let due_on: NaiveDate = step["due_on"].as_str().unwrap().parse().unwrap();
        assert!(opiekun_domain::calendar_day::is_working_day(due_on), "{step}");
        let (shift, day) = step["key"].as_str().unwrap().split_once('_').unwrap();
        let last = u64::from((start + Months::new(1) - Days::new(1)).day());
        let wanted = start + Days::new(day.parse::<u64>().unwrap().min(last) - 1);
        assert!(if shift == "before" { due_on <= wanted } else { due_on >= wanted }, "{step}");
    }
}

#[test]
fn whoever_answers_and_whoever_closes_or_moves_what_is_answered_for_wait_for_each_other() {
    let w = World::new();
    let (customer, survey) = (w.customer().create(), w.survey().create());
    let procedure =
        w.procedure().with("steps", json!([with(step("ask", &[]), "survey_id", survey["id"].clone())])).create();
    let other = w.thread("Other").create();
    let whole = json!({ "answers": { "content": "yes" }, "complete": true });
    let never_unavailable = |what: &str, one: &(dyn Fn() -> Answer + Sync), other: &(dyn Fn() -> Answer + Sync)| {
        let answers = at_once(2, |turn| if turn == 0 { one() } else { other() });
        for answer in answers {
            assert!([200, 201, 404, 409, 412].contains(&answer.status), "{what}: {answer:?}");
        }
    };
    for _ in 0..4 {
        for kind in ["cancellation", "skips", "merges", "done", "main"] {
            for by in ["operator", "form", "link"] {
                let run = w.procedure_run(procedure.id(), customer.id()).create();
                let task_id = of(&run, "ask")["task_id"].as_str().unwrap();
                let link = w.survey_link(survey.id()).with("task_id", task_id);
                let address = (by == "form").then(|| link.create().address());
                let response =
                    w.owner.get(&format!("/survey-responses?task_id={task_id}")).expect(200).items().remove(0);
                let (task, main) = (w.task_of_step(&run, "ask"), run["task_id"].as_str().unwrap());
                let path = format!("/procedure-runs/{}", run.id());
                let close = || match kind {
                    "cancellation" => w.owner.post(&format!("{path}/cancellation"), Value::Null),
                    "skips" => w.owner.post(&format!("{path}/skips"), json!({ "key": "ask", "reason": "?" })),
                    "merges" => {
                        let merge = json!({ "thread_id": run["thread_id"] });
                        w.owner.post(&format!("/threads/{}/merges", other.id()), merge)
                    }
                    "done" => {
                        w.owner.at(task.version()).patch(&format!("/tasks/{}", task.id()), json!({ "status": "done" }))
                    }
                    _ => {
                        let main = format!("/tasks/{main}?close_subtasks=true");
                        w.owner.at(1).patch(&main, json!({ "status": "cancelled" }))
                    }
                };
                let answer_it = || match by {
                    "operator" => {
                        let path = format!("/survey-responses/{}", response.id());
                        w.owner.at(response.version()).patch(&path, whole.clone())
                    }
                    "form" => answer(address.as_ref().unwrap(), json!({ "content": "yes" }), true),
                    _ => link.send(),
                };
                never_unavailable(&format!("{by} beside {kind}"), &answer_it, &close);
            }
        }
        let call = w.interaction(customer.id()).create();
        let response = w.survey_response(survey.id()).with("interaction_id", call.id()).create();
        let path = format!("/survey-responses/{}", response.id());
        let item = json!({ "type": "interaction", "id": call.id() });
        never_unavailable("operator beside a thread", &|| w.owner.at(1).patch(&path, whole.clone()), &|| {
            w.owner.post(&format!("/threads/{}/items", other.id()), item.clone())
        });
    }
}

#[test]
fn nobody_gives_a_step_to_somebody_above() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let (customer, procedure) = (w.customer().create(), w.procedure().create());
    let given = |id: &str| with(step("extra", &[]), "assignee", json!({ "kind": "named", "operator_id": id }));
    let team = json!({ "kind": "round_robin", "operator_ids": [operator.id, w.owner.id] });
    let (up, mine) = (given(&w.owner.id.to_string()), given(&operator.id.to_string()));
    let start = |extra: &Value| {
        w.procedure_run(procedure.id(), customer.id()).by(&operator).with("extra_steps", json!([extra])).send()
    };
    start(&up).refused(403, "forbidden");
    start(&with(step("extra", &[]), "assignee", team)).refused(403, "forbidden");
    let run = start(&mine).expect(201);
    let path = format!("/procedure-runs/{}/steps", run.id());
    let more = |step: &Value| with(step.clone(), "key", json!("more"));
    let registered =
        w.procedure_run(procedure.id(), w.customer().with("caretaker_id", json!(operator.id)).create().id());
    let own = registered.by(&operator).create();
    let own = format!("/procedure-runs/{}/steps", own.id());
    operator.post(&own, more(&up)).refused(403, "forbidden");
    operator.post(&own, more(&mine)).expect(200);
    w.owner.post(&path, more(&up)).expect(200);
    // A manager schedules work for those below.
    let manager = w.operator("manager", "none", None);
    let extra_steps = json!([{ "customer_id": customer.id(), "steps": [up] }]);
    let schedule = w.procedure_schedule(procedure.id()).with("active", false);
    schedule.clone().by(&manager).with("extra_steps", extra_steps.clone()).send().refused(403, "forbidden");
    let schedule = schedule.with("extra_steps", extra_steps.clone()).create();
    // What is there stays, whoever changes the rest.
    let path = format!("/procedure-schedules/{}", schedule.id());
    manager.at(1).patch(&path, json!({ "catch_up": "all" })).expect(200);
    let mut extra_steps = extra_steps;
    extra_steps[0]["steps"].as_array_mut().unwrap().push(step("another", &[]));
    manager.at(2).patch(&path, json!({ "extra_steps": extra_steps })).expect(200);
    extra_steps[0]["steps"][1]["assignee"] = json!({ "kind": "named", "operator_id": w.owner.id });
    manager.at(3).patch(&path, json!({ "extra_steps": extra_steps })).refused(403, "forbidden");
}

#[test]
fn a_step_waits_again_for_one_that_was_opened_again() {
    let w = World::new();
    let procedure = w.procedure().with("steps", json!([step("a", &[]), step("b", &["a"])])).create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    w.finish_step(&run, "a").expect(200);
    let a = w.task_of_step(&run, "a");
    w.owner.at(a.version()).patch(&format!("/tasks/{}", a.id()), json!({ "status": "in_progress" })).expect(200);
    assert_eq!(w.finish_step(&run, "b").refused(409, "state_invalid")["state"], "waiting");
    // Past the API, too.
    let b = of(&run, "b")["task_id"].as_str().unwrap();
    let done = format!("update tasks set status = 'done', percent_done = 100, closed_at = now() where id = '{b}'");
    assert!(execute(&done).is_err());
    w.finish_step(&run, "a").expect(200);
    w.finish_step(&run, "b").expect(200);
}

#[test]
fn a_step_is_left_out_for_a_reason_only() {
    let w = World::new();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    let task = w.task_of_step(&run, "collect");
    let path = format!("/tasks/{}", task.id());
    let refused = w.owner.at(1).patch(&path, json!({ "status": "cancelled" })).refused(409, "state_invalid");
    assert_eq!(refused["state"], "step");
    assert!(refused["detail"].as_str().unwrap().contains("/procedure-runs/{id}/skips"));
    let cancelled = format!("update tasks set status = 'cancelled', closed_at = now() where id = '{}'", task.id());
    assert!(execute(&cancelled).is_err());
    // What hangs below it is cancelled as ever.
    let below = w.task("Below").with("parent", json!({ "type": "task", "id": task.id() })).create();
    w.owner.at(1).patch(&format!("/tasks/{}", below.id()), json!({ "status": "cancelled" })).expect(200);
}

#[test]
fn a_cancelled_run_stays_cancelled() {
    let w = World::new();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    let beside = w.task("Beside").create();
    let path = format!("/procedure-runs/{}", run.id());
    let cancelled = w.owner.post(&format!("{path}/cancellation"), Value::Null).expect(200);
    let refused = |answer: Answer| assert_eq!(answer.refused(409, "state_invalid")["state"], "cancelled");
    let (step, main) = (of(&run, "collect")["task_id"].as_str().unwrap(), run["task_id"].as_str().unwrap());
    for id in [step, main] {
        let task = w.owner.get(&format!("/tasks/{id}")).expect(200);
        for status in ["open", "in_progress"] {
            refused(w.owner.at(task.version()).patch(&format!("/tasks/{id}"), json!({ "status": status })));
        }
        refused(w.task("Below").with("parent", json!({ "type": "task", "id": id })).send());
    }
    let below = json!({ "parent": { "type": "task", "id": main } });
    refused(w.owner.at(1).patch(&format!("/tasks/{}", beside.id()), below));
    refused(w.task("Done").with("status", "done").with("parent", json!({ "type": "task", "id": main })).send());
    assert_eq!(w.owner.get(&path).expect(200), cancelled);
}

#[test]
fn a_run_is_in_one_thread_of_its_customer() {
    let w = World::new();
    let (customer, stranger) = (w.customer().create(), w.customer().create());
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let (other, task) = (w.thread("Other").create(), w.task_of_step(&run, "collect"));
    let items = format!("/threads/{}/items", other.id());
    let refused = |answer: Answer| assert_eq!(answer.refused(409, "state_invalid")["state"], "procedure");
    refused(w.owner.post(&items, json!({ "type": "task", "id": task.id() })));
    refused(w.owner.at(1).patch(&format!("/tasks/{}", task.id()), json!({ "thread_id": other.id() })));
    let own = format!("/threads/{}", run["thread_id"].as_str().unwrap());
    refused(w.owner.delete(&format!("{own}/items?type=task&item_id={}", task.id())));
    for customer_id in [json!(stranger.id()), Value::Null] {
        refused(w.owner.at(1).patch(&own, json!({ "customer_id": customer_id })));
    }
    w.owner.at(1).patch(&own, json!({ "subject": "Close" })).expect(200);
    // Past the API, too.
    let moved = format!("update tasks set thread_id = '{}' where id = '{}'", other.id(), task.id());
    assert!(execute(&moved).is_err());
    // As a whole it goes.
    w.owner.post(&items, json!({ "type": "task", "id": run["task_id"] })).expect(200);
    assert_eq!(w.task_of_step(&run, "vat")["thread_id"], other["id"]);
    let third = w.thread("Third").create();
    w.owner.post(&format!("/threads/{}/merges", third.id()), json!({ "thread_id": other.id() })).expect(200);
    assert_eq!(w.procedure_run_now(&run)["thread_id"], third["id"]);
}

#[test]
fn who_does_a_step_is_settled_when_it_is_opened() {
    let w = World::new();
    let [before, after, named, starter] = [(); 4].map(|()| w.operator("operator", "none", None));
    let customer = w.customer().with("caretaker_id", json!(before.id)).create();
    let team = json!({ "kind": "round_robin", "operator_ids": [before.id] });
    let steps = json!([
        step("first", &[]),
        step("caretaker", &["first"]),
        with(step("named", &["first"]), "assignee", json!({ "kind": "named", "operator_id": named.id })),
        with(step("starter", &["first"]), "assignee", json!({ "kind": "starter" })),
        with(step("team", &["first"]), "assignee", team),
        step("given", &["first"]),
    ]);
    let procedure = w.procedure().with("steps", steps).create();
    let run = w.procedure_run(procedure.id(), customer.id()).by(&starter).create();
    let given = w.task_of_step(&run, "given");
    w.owner.at(1).patch(&format!("/tasks/{}", given.id()), json!({ "caretaker_id": starter.id })).expect(200);
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), json!({ "caretaker_id": after.id })).expect(200);
    w.owner.at(1).patch(&format!("/operators/{}", named.id), json!({ "active": false })).expect(200);
    w.finish_step(&run, "first").expect(200);
    let run = w.procedure_run_now(&run);
    for (key, operator) in
        [("caretaker", &after), ("named", &after), ("starter", &starter), ("team", &before), ("given", &starter)]
    {
        assert_eq!(w.task_of_step(&run, key)["caretaker_id"], json!(operator.id), "{key}");
        assert_eq!(of(&run, key)["caretaker_id"], json!(operator.id), "{key}");
    }
}

#[test]
fn a_step_has_an_address() {
    let w = World::new();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    let listed = w.owner.get(&format!("/procedure-steps?run_id={}", run.id())).expect(200).items();
    let path = format!("/procedure-steps/{}", listed[0].id());
    assert_eq!(w.owner.get(&path).expect(200).0, listed[0].0);
    let expanded = w.owner.get(&format!("{path}?expand=task,customer")).expect(200);
    assert_eq!(expanded["task"]["id"], listed[0]["task_id"]);
    let url = format!("/api/v1/procedure-steps/{}", of(&run, "collect")["id"].as_str().unwrap());
    eventually("the event is told", || {
        let events = w.owner.get("/events?type=procedure_step.opened").expect(200).items();
        events.first().map(|event| assert_eq!(event["data"]["url"], json!(url)))
    });
    World::new().owner.get(&path).refused(404, "not_found");
    let in_state = |state: &str| -> Vec<String> {
        let found = w.owner.get(&format!("/procedure-steps?run_id={}&state={state}", run.id())).expect(200).items();
        found.iter().map(|step| step["key"].as_str().unwrap().to_owned()).collect()
    };
    w.finish_step(&run, "collect").expect(200);
    let skip = json!({ "key": "vat", "reason": "?" });
    w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), skip).expect(200);
    for (state, key) in [("done", "collect"), ("open", "book"), ("skipped", "vat")] {
        assert_eq!(in_state(state), [key], "{state}");
    }
    assert!(in_state("waiting").is_empty());
}

#[test]
fn the_task_of_a_step_does_not_come_again() {
    let w = World::new();
    let procedure = w.procedure().create();
    let run = w.procedure_run(procedure.id(), w.customer().create().id()).create();
    let again = json!({ "due_at": "2090-11-25T12:00:00Z", "recurrence": "FREQ=MONTHLY" });
    for id in [of(&run, "collect")["task_id"].as_str().unwrap(), run["task_id"].as_str().unwrap()] {
        let refused = w.owner.at(1).patch(&format!("/tasks/{id}"), &again).refused(409, "state_invalid");
        assert_eq!(refused["state"], "procedure");
    }
    assert_eq!(w.count("task_series"), 0);
}

#[test]
fn whoever_gives_a_task_away_and_whoever_closes_a_step_wait_for_each_other() {
    let w = World::new();
    let (customer, procedure) = (w.customer().create(), w.procedure().create());
    let other = w.operator("operator", "none", None);
    for round in 0..12 {
        let run = w.procedure_run(procedure.id(), customer.id()).create();
        let collect = of(&run, "collect")["task_id"].as_str().unwrap();
        let task = if round % 2 == 0 { collect } else { run["task_id"].as_str().unwrap() };
        let any = w.owner.with("If-Match", "*");
        let answers = at_once(2, |turn| match turn {
            0 => any.patch(&format!("/tasks/{task}"), json!({ "caretaker_id": other.id })),
            _ if round % 3 == 0 => any.patch(&format!("/tasks/{collect}"), json!({ "status": "done" })),
            _ => {
                let skip = json!({ "key": "collect", "reason": "?" });
                w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), skip)
            }
        });
        for answer in answers {
            answer.expect(200);
        }
    }
}
