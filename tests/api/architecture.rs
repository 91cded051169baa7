//! The rooms of the house: which crate may use which, and what none may hold.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Arrows between the crates of the workspace. A new one is a decision to be made, not to happen.
const ARROWS: &[(&str, &[&str])] = &[
    ("opiekun-domain", &[]),
    ("opiekun-local-postgres", &[]),
    ("opiekun-files", &[]),
    // An article is read in one way, to be shown and to be found.
    ("opiekun-documents", &["opiekun-domain", "opiekun-search"]),
    ("opiekun-typesetting", &[]),
    ("opiekun-typst", &["opiekun-typesetting"]),
    ("opiekun-search", &[]),
    ("opiekun-persistence", &["opiekun-domain", "opiekun-search"]),
    (
        "opiekun-rendering",
        &["opiekun-documents", "opiekun-domain", "opiekun-files", "opiekun-persistence", "opiekun-typesetting"],
    ),
    (
        "opiekun-jobs",
        &["opiekun-domain", "opiekun-files", "opiekun-persistence", "opiekun-rendering", "opiekun-typesetting"],
    ),
    (
        "opiekun-http",
        &[
            "opiekun-documents",
            "opiekun-domain",
            "opiekun-files",
            "opiekun-persistence",
            "opiekun-rendering",
            "opiekun-typesetting",
        ],
    ),
    (
        "opiekun-server",
        &[
            "opiekun-domain",
            "opiekun-files",
            "opiekun-http",
            "opiekun-jobs",
            "opiekun-local-postgres",
            "opiekun-persistence",
            "opiekun-typesetting",
            "opiekun-typst",
        ],
    ),
    ("opiekun-tests", &[]),
];

/// Crates that only some may name, by the beginnings of their names.
const OWNED: &[(&str, &[&str])] = &[
    // The vocabulary of the domain speaks it, by the feature `sql`.
    ("diesel", &["opiekun-persistence", "opiekun-domain (optional)"]),
    // The server runs its event loop.
    ("actix", &["opiekun-http", "opiekun-server"]),
    // The vocabulary of the domain speaks it, by the feature `schema`.
    ("utoipa", &["opiekun-http", "opiekun-domain (optional)"]),
    ("jsonwebtoken", &["opiekun-http"]),
    ("argon2", &["opiekun-http"]),
    ("lettre", &["opiekun-jobs"]),
    ("object_store", &["opiekun-files"]),
    ("reqwest", &["opiekun-files"]),
    ("frostem", &["opiekun-search"]),
    ("ammonia", &["opiekun-documents"]),
    // It takes minutes to build, and is for worker processes alone.
    ("typst", &["opiekun-typst"]),
];

/// What each crate uses outside of its tests: the name, and whether it is optional.
fn dependencies() -> BTreeMap<String, BTreeSet<(String, bool)>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let used = all.filter(|dependency| dependency["kind"] != "dev");
        used.map(|used| (used["name"].as_str().unwrap().to_owned(), used["optional"] == true)).collect()
    };
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), of(package))).collect()
}

#[test]
fn crates_use_each_other_one_way() {
    let mut wrong = Vec::new();
    for (name, used) in dependencies() {
        let Some((_, allowed)) = ARROWS.iter().find(|(user, _)| *user == name) else {
            wrong.push(format!("{name} is a new crate"));
            continue;
        };
        let ours = used.into_iter().map(|(used, _)| used).filter(|used| used.starts_with("opiekun-"));
        wrong.extend(ours.filter(|used| !allowed.contains(&used.as_str())).map(|used| format!("{name} -> {used}")));
    }
    assert!(wrong.is_empty(), "new arrows: {wrong:#?}");
}

#[test]
fn each_library_has_its_own_room() {
    let mut wrong = Vec::new();
    for (name, used) in dependencies() {
        for (used, optional) in used {
            let Some((_, owners)) = OWNED.iter().find(|(owned, _)| used.starts_with(owned)) else { continue };
            let user = if optional { format!("{name} (optional)") } else { name.clone() };
            if !owners.contains(&user.as_str()) {
                wrong.push(format!("{user} names {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each line of the code that is served, by its file, without the tests in it.
fn lines_of_code() -> Vec<(String, Vec<String>)> {
    fn gather(folder: &Path, found: &mut Vec<(String, Vec<String>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").map(str::to_owned).collect();
                found.push((path.display().to_string(), lines));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        gather(&entry.unwrap().path().join("src"), &mut found);
    }
    gather(&root.join("migrations"), &mut found);
    assert!(found.len() > 200, "{} files", found.len());
    found
}

#[test]
fn no_amount_is_a_float() {
    // Seconds of the metrics, JSON numbers that clients send for whole numbers, and bounds of those in the contract.
    // How well an article answers a question is no amount either.
    const KNOWN: &[&str] = &[
        "http/src/health.rs",
        "http/src/text.rs",
        "http/src/listing.rs",
        "search/src/document.rs",
        "search/src/question.rs",
        "search/src/scoring.rs",
        "search/src/words.rs",
    ];
    const FLOATS: &[&str] = &["f32", "f64", "double precision", "float4", "float8"];
    let mut wrong = Vec::new();
    for (file, lines) in lines_of_code() {
        if KNOWN.iter().any(|known| file.ends_with(known)) {
            continue;
        }
        for line in &lines {
            let code = line.split("//").next().unwrap().split("--").next().unwrap();
            if FLOATS.iter().any(|float| code.to_lowercase().contains(float)) {
                wrong.push(format!("{file}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rounding_names_its_rule() {
    const ROUNDINGS: &[&str] = &["::rounded(", "round_half_away(", "round_dp", ".floor()", ".ceil()"];
    // Money is rounded here alone; what the rule of an invoice's is, the law says.
    const RULES: &[&str] = &["half away from zero", "rounded down"];
    let mut wrong = Vec::new();
    for (file, lines) in lines_of_code().into_iter().filter(|(file, _)| file.ends_with(".rs")) {
        for (at, line) in lines.iter().enumerate() {
            if !ROUNDINGS.iter().any(|rounding| line.contains(rounding)) {
                continue;
            }
            let begins = |line: &&String| {
                line.trim_start().trim_start_matches("pub ").trim_start_matches("const ").starts_with("fn ")
            };
            let function = lines[..=at].iter().rposition(|line| begins(&line)).unwrap();
            let is_told = |line: &&String| line.trim_start().starts_with("///") || line.trim_start().starts_with("#[");
            let told: Vec<&str> =
                lines[..function].iter().rev().take_while(is_told).map(|line| line.as_str()).collect();
            let told =
                told.into_iter().rev().map(|line| line.trim().trim_start_matches("/// ")).collect::<Vec<_>>().join(" ");
            let has_rule = RULES.iter().any(|rule| told.to_lowercase().contains(rule));
            let has_source = !file.ends_with("domain/src/invoice.rs") || told.contains("art. 106e");
            if !(has_rule && has_source) {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
