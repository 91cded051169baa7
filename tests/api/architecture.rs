//! The rooms of the house: which crate may use which.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Arrows between the crates of the workspace. A new one is a decision to be made, not to happen.
const ARROWS: &[(&str, &[&str])] = &[
    ("opiekun-domain", &[]),
    ("opiekun-local-postgres", &[]),
    ("opiekun-files", &[]),
    ("opiekun-documents", &["opiekun-domain"]),
    ("opiekun-persistence", &["opiekun-domain"]),
    ("opiekun-jobs", &["opiekun-domain", "opiekun-files", "opiekun-persistence"]),
    ("opiekun-http", &["opiekun-documents", "opiekun-domain", "opiekun-files", "opiekun-persistence"]),
    (
        "opiekun-server",
        &[
            "opiekun-domain",
            "opiekun-files",
            "opiekun-http",
            "opiekun-jobs",
            "opiekun-local-postgres",
            "opiekun-persistence",
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
    ("object_store", &["opiekun-files"]),
    ("reqwest", &["opiekun-files"]),
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
