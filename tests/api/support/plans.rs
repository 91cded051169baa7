//! The plans by which PostgreSQL has answered, as its `auto_explain` writes them to the server's log.

use super::database::Scratch;
use super::server::Database;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// How one statement was answered.
#[derive(Debug)]
pub struct Plan {
    pub statement: String,
    root: Value,
}

/// Reads the plans of a database of the test's own.
pub struct Plans {
    log: File,
}

impl Plans {
    /// Of all statements of connections that are made from now on. There is no log to read where the tests were given
    /// a server that runs already.
    pub fn of(database: &Scratch) -> Option<Self> {
        let path = Database::shared().log.as_ref()?;
        database.set("session_preload_libraries", "auto_explain");
        for (setting, value) in
            [("log_min_duration", "0"), ("log_analyze", "on"), ("log_timing", "off"), ("log_format", "json")]
        {
            database.set(&format!("auto_explain.{setting}"), value);
        }
        Some(Self { log: File::open(path).unwrap() })
    }

    /// What was written while `work` was done, by whichever connection.
    pub fn during<T>(&mut self, work: impl FnOnce() -> T) -> (T, Vec<Plan>) {
        let (done, text) = self.log_of(work);
        (done, plans(&text))
    }

    /// The statements that were sent while `work` was done, `begin` and `commit` among them: by connections that were made
    /// after the database's `log_statement` was set to `all`.
    pub fn statements_of<T>(&mut self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        let (done, text) = self.log_of(work);
        let sent = text.lines().filter(|line| line.contains("LOG:  statement: ") || line.contains("LOG:  execute "));
        (done, sent.map(str::to_owned).collect())
    }

    fn log_of<T>(&mut self, work: impl FnOnce() -> T) -> (T, String) {
        self.log.seek(SeekFrom::End(0)).unwrap();
        let done = work();
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        (done, text)
    }
}

/// A message begins at the start of a line, and its further lines with a tab.
fn plans(text: &str) -> Vec<Plan> {
    let mut documents: Vec<String> = Vec::new();
    let mut is_plan = false;
    for line in text.lines() {
        match line.strip_prefix('\t') {
            Some(rest) if is_plan => documents.last_mut().unwrap().push_str(rest),
            Some(_) => {}
            None => {
                is_plan = line.contains("LOG:  duration: ") && line.ends_with("plan:");
                if is_plan {
                    documents.push(String::new());
                }
            }
        }
    }
    let read = |document: String| {
        let mut document: Value = serde_json::from_str(&document).unwrap_or_else(|error| panic!("{error}: {document}"));
        Plan { statement: document["Query Text"].as_str().unwrap().to_owned(), root: document["Plan"].take() }
    };
    documents.into_iter().map(read).collect()
}

impl Plan {
    /// Its nodes, each before those that feed it.
    pub fn nodes(&self) -> Vec<&Value> {
        fn walk<'v>(node: &'v Value, nodes: &mut Vec<&'v Value>) {
            nodes.push(node);
            node["Plans"].as_array().into_iter().flatten().for_each(|inner| walk(inner, nodes));
        }
        let mut nodes = Vec::new();
        walk(&self.root, &mut nodes);
        nodes
    }

    /// The tables that were read from end to end.
    pub fn scanned_tables(&self) -> Vec<&str> {
        let scans = self.nodes().into_iter().filter(|node| node["Node Type"].as_str().unwrap().ends_with("Seq Scan"));
        scans.filter_map(|node| node["Relation Name"].as_str()).collect()
    }

    /// The most rows that any sort was given, but for those that only gather groups.
    pub fn rows_sorted(&self) -> u64 {
        let is = |node: &Value, kind: &str| node["Node Type"].as_str().unwrap().ends_with(kind);
        let below = |node: &'_ Value| node["Plans"].as_array().cloned().unwrap_or_default();
        let nodes = self.nodes().into_iter().filter(|node| !is(node, "Aggregate"));
        let roots = [serde_json::json!({ "Node Type": "", "Plans": [self.root] })];
        let sorts = roots.iter().chain(nodes).flat_map(below).filter(|node| is(node, "Sort"));
        sorts.flat_map(|sort| below(&sort)).map(|node| rows(&node)).max().unwrap_or_default()
    }

    /// How many rows were taken from tables and indexes, those that a filter then dropped among them.
    pub fn rows_read(&self) -> u64 {
        let scans = self.nodes().into_iter().filter(|node| node["Plans"].is_null());
        scans.map(|node| rows(node) + dropped(node)).sum()
    }
}

fn rows(node: &Value) -> u64 {
    node["Actual Rows"].as_u64().unwrap_or_default() * node["Actual Loops"].as_u64().unwrap_or(1)
}

fn dropped(node: &Value) -> u64 {
    node["Rows Removed by Filter"].as_u64().unwrap_or_default() * node["Actual Loops"].as_u64().unwrap_or(1)
}
