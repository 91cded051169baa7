//! Layouts that mean no good, in the process that is there for them: it is refused or ended, and nothing else comes of it.

use opiekun_typesetting::{Job, LayoutError, Limits, NotSet, Workers};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn workers() -> Workers {
    Workers::new(|| PathBuf::from(env!("CARGO_BIN_EXE_opiekun")))
}

fn job(layout: &str) -> Job {
    let data = r#"{ "number": "FV/1/11/2026" }"#.to_owned();
    Job {
        layout: Some(format!("#set document(date: datetime(year: 2026, month: 11, day: 23))\n{layout}")),
        ident: "it".to_owned(),
        data,
        files: Vec::new(),
    }
}

fn set(layout: &str) -> Result<Vec<u8>, NotSet> {
    workers().set(&job(layout))
}

#[track_caller]
fn assert_refused(layout: &str, line: usize, message: &str) {
    match set(layout) {
        Err(NotSet::Layout(LayoutError { line: Some(at), column: Some(_), message: said })) => {
            assert_eq!(at, line, "{said}");
            assert!(said.contains(message), "{said}");
        }
        other => panic!("{layout}: {other:?}"),
    }
}

#[track_caller]
fn assert_ended(layout: &str) {
    let began = Instant::now();
    let result = set(layout);
    assert!(matches!(result, Err(NotSet::Limit(_))), "{layout}: {result:?}");
    assert!(began.elapsed() < Limits::OWN.wall + Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_layout_is_set_in_a_process_of_its_own() {
    let pdf = set("= Faktura #json(\"/data.json\").number").unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7"));
}

#[test]
fn an_error_names_its_line_and_column() {
    match set("= Faktura\n  #nothing") {
        Err(NotSet::Layout(error)) => {
            assert_eq!((error.line, error.column), (Some(3), Some(4)));
            assert_eq!(error.message, "unknown variable: nothing");
        }
        other => panic!("{other:?}"),
    }
    assert_refused("#let it = (", 2, "unclosed delimiter");
    assert_refused("#let wrong() = 1 + \"a\"\n\n#wrong()", 2, "cannot add integer and string");
}

#[test]
fn nothing_is_read_from_outside() {
    for layout in [
        "#read(\"/etc/passwd\")",
        "#include \"/etc/passwd\"",
        "#image(\"/proc/self/environ\")",
        "#import \"@preview/cetz:0.3.0\"",
        "#plugin(\"/evil.wasm\")",
        "#read(\"/layout.typ2\")",
    ] {
        assert_refused(layout, 2, "");
    }
    assert_refused("#read(\"../../../etc/passwd\")", 2, "");
    assert_refused("#read(\"http://127.0.0.1:80/\")", 2, "");
    assert_refused("#datetime.today()", 2, "");
}

#[test]
fn an_image_reaches_for_nothing_either() {
    let svg =
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='HREF' width='9' height='9'/></svg>";
    for target in ["file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:9/x.png"] {
        let layout = format!("#image(bytes(\"{}\"), format: \"svg\", alt: \"x\")", svg.replace("HREF", target));
        // Refused or left out, as the setter likes it.
        match set(&layout) {
            Ok(pdf) => assert!(!String::from_utf8_lossy(&pdf).contains("root:")),
            Err(NotSet::Layout(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_never_ends_is_refused_or_ended() {
    assert_refused("#while true {}", 2, "always true");
    assert_refused("#let n = 0\n#while n >= 0 { n = n + 1 }", 3, "infinite");
    assert_refused("#let again() = again()\n#again()", 2, "depth");
    assert_ended("#for a in range(9000) { for b in range(9000) { for c in range(9000) { } } }");
}

#[test]
fn what_takes_all_memory_is_ended() {
    assert_ended("#let it = \"x\"\n#for _ in range(40) { it = it + it }");
    assert_ended("#let it = range(1000000000)");
    assert_ended("#table(..range(3000000).map(it => [#it]))");
}

#[test]
fn one_that_breaks_takes_no_other_with_it() {
    let workers = workers();
    // Its data are no invoice: an error of the layout, in a worker that stays.
    let built_in = Job { layout: None, data: "{}".to_owned(), ..job("") };
    for _ in 0..2 {
        assert!(matches!(workers.set(&built_in), Err(NotSet::Layout(_))));
        assert!(matches!(workers.set(&job("#let it = range(1000000000)")), Err(NotSet::Limit(_))));
        assert!(workers.set(&job("= Faktura")).is_ok());
    }
}

#[test]
fn a_worker_that_others_kill_says_nothing_of_the_document() {
    let dying = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dying-worker");
    fs::write(&dying, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    fs::set_permissions(&dying, fs::Permissions::from_mode(0o755)).unwrap();
    let workers = Workers::new(move || dying.clone());
    let built_in = Job { layout: None, ..job("") };
    let result = workers.set(&built_in);
    assert!(matches!(result, Err(NotSet::Worker(_))), "{result:?}");
    // So does the limit of computing end one that sets a firm's own layout.
    let result = workers.set(&job("= Faktura"));
    assert!(matches!(result, Err(NotSet::Limit(_))), "{result:?}");
}

#[test]
fn a_program_that_is_no_worker_is_told_so() {
    let workers = Workers::new(|| PathBuf::from("/bin/true"));
    assert!(matches!(workers.set(&job("= Faktura")), Err(NotSet::Worker(_))));
    let workers = Workers::new(|| PathBuf::from("/nowhere/opiekun"));
    assert!(matches!(workers.set(&job("= Faktura")), Err(NotSet::Worker(_))));
}
