//! FA(3): what we write passes the official schema, tells what the official examples tell, and what is faulty is refused.
//!
//! `xmllint` (Debian: libxml2-utils) has to be there: it holds the documents against the schema as it is published.

mod case;
mod examples;
mod judges;
mod kinds;
#[path = "../../../domain/tests/words/mod.rs"]
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The example invoices, which the totals of the domain are held against too.
fn examples_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/fa3")
}

fn faulty_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fa3/invalid")
}

/// The documents of a folder, by name.
fn documents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == "xml")).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).expect("a file"))).collect()
}

/// Which of the documents `xmllint` passes, by the schema as it is published.
fn passed_by_xmllint(test: &str, documents: &[Vec<u8>]) -> Vec<bool> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fa3").join(test);
    std::fs::create_dir_all(&folder).expect("a folder");
    let names: Vec<PathBuf> = (0..documents.len()).map(|index| folder.join(format!("{index}.xml"))).collect();
    for (name, document) in names.iter().zip(documents) {
        std::fs::write(name, document).expect("a file");
    }
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fa3/schema/schemat_FA3_v1-0E.xsd");
    let mut said = String::new();
    for names in names.chunks(500) {
        let output = Command::new("xmllint")
            .args(["--nonet", "--noout", "--schema"])
            .arg(&schema)
            .args(names)
            .output()
            .expect("xmllint, of the package libxml2-utils");
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    let passed: std::collections::BTreeSet<&str> =
        said.lines().filter_map(|line| line.strip_suffix(" validates")).collect();
    let verdicts = names.iter().map(|name| passed.contains(name.to_str().expect("a path"))).collect();
    std::fs::remove_dir_all(&folder).expect("a folder");
    verdicts
}
