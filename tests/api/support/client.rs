//! Requests and answers.

use super::operations::validator;
use super::process::Process;
use super::server::Server;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Request};

/// Calls the server with the headers that it was given: whose token, and whatever else a test says.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    headers: Vec<(String, String)>,
}

impl Client {
    /// Somebody who has not signed in.
    pub fn nobody() -> Self {
        Self { url: Server::shared().url.clone(), headers: Vec::new() }
    }

    /// Somebody who has not signed in, at a server that is a process of its own.
    pub fn at_process(process: &Process) -> Self {
        Self { url: process.url.clone(), headers: Vec::new() }
    }

    /// The same caller at a server that is a process of its own and takes its token.
    pub fn on_process(&self, process: &Process) -> Self {
        Self { url: process.url.clone(), ..self.clone() }
    }

    /// Where it calls, as `127.0.0.1:41234`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// The same caller at another server.
    pub fn on(&self, server: &Server) -> Self {
        Self { url: server.url.clone(), ..self.clone() }
    }

    /// Sends a header, in place of one of that name, with each request.
    pub fn with(&self, name: &str, value: impl fmt::Display) -> Self {
        let mut client = self.without(name);
        client.headers.push((name.to_owned(), value.to_string()));
        client
    }

    pub fn without(&self, name: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        client
    }

    /// What it sends in a header.
    pub fn sent(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    /// With a token or an API key.
    pub fn bearer(&self, token: &str) -> Self {
        self.with("Authorization", format!("Bearer {token}"))
    }

    /// With `If-Match` for a version.
    pub fn at(&self, version: i64) -> Self {
        self.with("If-Match", format!("\"{version}\""))
    }

    /// With an `Idempotency-Key`.
    pub fn once(&self, key: impl fmt::Display) -> Self {
        self.with("Idempotency-Key", key)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, b"")
    }

    pub fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, None, b"")
    }

    pub fn options(&self, path: &str) -> Answer {
        self.send("OPTIONS", path, None, b"")
    }

    /// With a JSON body; with none for [`Value::Null`].
    pub fn post(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send_json("POST", path, "application/json", body.borrow())
    }

    pub fn put(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send_json("PUT", path, "application/json", body.borrow())
    }

    /// With a merge patch.
    pub fn patch(&self, path: &str, body: impl Borrow<Value>) -> Answer {
        self.send_json("PATCH", path, "application/merge-patch+json", body.borrow())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, b"")
    }

    pub fn send_json(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
        if body.is_null() {
            return self.send(method, path, None, b"");
        }
        self.send(method, path, Some(content_type), body.to_string().as_bytes())
    }

    /// Any request. A path is one under `/api/v1` (which may be left out), or begins with `//` for the server's root.
    pub fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
        let path = match path.strip_prefix('/') {
            Some(from_root) if from_root.starts_with('/') || from_root.starts_with("api/v1") => {
                format!("/{}", from_root.trim_start_matches('/'))
            }
            _ => format!("/api/v1{path}"),
        };
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(format!(
            "{}{}",
            self.url,
            path.replace('[', "%5B").replace(']', "%5D")
        ));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let response = if body.is_empty() && content_type.is_none() {
            agent().run(request.body(()).unwrap())
        } else {
            agent().run(request.body(body).unwrap())
        };
        let asked = format!("{method} {path}");
        let mut response = response.unwrap_or_else(|error| panic!("{asked}: {error}"));
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap(),
            asked,
        }
    }
}

fn agent() -> &'static ureq::Agent {
    static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            // Sooner than the server gives up an idle connection.
            .max_idle_age(Duration::from_secs(3))
            .timeout_global(Some(Duration::from_secs(90)))
            .build()
            .into()
    });
    &AGENT
}

/// What every problem document is held to.
fn problems() -> &'static Validator {
    static PROBLEMS: LazyLock<Validator> =
        LazyLock::new(|| validator(&json!({ "$ref": "#/components/schemas/Problem" })));
    &PROBLEMS
}

/// What came back.
#[derive(Clone)]
pub struct Answer {
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body; null where there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self:?}\nis not JSON: {error}"))
    }

    /// The record that came with the status that it must have come with.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Record {
        assert_eq!(self.status, status, "{self:?}");
        Record(self.json())
    }

    /// The problem document of a refusal, with the status and code that it must have.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.problem();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{self:?}");
        problem
    }

    /// The problem document of a refusal, held to the shape that all of them have.
    #[track_caller]
    pub fn problem(&self) -> Value {
        assert!(self.status >= 400, "not refused: {self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        let code = problem["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}"));
        assert_eq!(problem["type"], format!("/problems/{code}"), "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        let wrong: Vec<_> = problems().iter_errors(&problem).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "not of the published shape: {wrong:#?}\n{self:?}");
        for member in ["title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {self:?}");
        }
        problem
    }

    /// The pointers, parameters and headers that a refusal names, with their codes: `/email format`.
    #[track_caller]
    pub fn wrong(&self) -> Vec<String> {
        let problem = self.problem();
        let place = |error: &Value| {
            ["pointer", "parameter", "header"].iter().find_map(|kind| error[*kind].as_str().map(str::to_owned))
        };
        let errors = problem["errors"].as_array().into_iter().flatten();
        errors.map(|error| format!("{} {}", place(error).unwrap(), error["code"].as_str().unwrap())).collect()
    }
}

const TELLING: &[&str] = &[
    "allow",
    "cache-control",
    "content-length",
    "content-type",
    "etag",
    "idempotency-replayed",
    "link",
    "location",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-request-id",
];

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  answered {}", self.asked, self.status)?;
        for (name, value) in &self.headers {
            // The others are the same on every answer.
            if TELLING.contains(&name.as_str()) {
                writeln!(f, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
            }
        }
        f.write_str(&self.text().chars().take(4000).collect::<String>())
    }
}

/// One record as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(pub Value);

impl Record {
    #[track_caller]
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.0))
    }

    #[track_caller]
    pub fn version(&self) -> i64 {
        self.0["version"].as_i64().unwrap_or_else(|| panic!("no version: {}", self.0))
    }

    /// The path of the address that it shows once.
    #[track_caller]
    pub fn address(&self) -> String {
        let url = self.0["url"].as_str().unwrap_or_else(|| panic!("no url: {}", self.0));
        url.split_once("/api/v1").unwrap().1.to_owned()
    }

    /// The records of a page.
    #[track_caller]
    pub fn items(&self) -> Vec<Record> {
        self.records("items")
    }

    /// Those of a calendar.
    #[track_caller]
    pub fn entries(&self) -> Vec<Record> {
        self.records("entries")
    }

    #[track_caller]
    fn records(&self, name: &str) -> Vec<Record> {
        let records = self.0[name].as_array().unwrap_or_else(|| panic!("no {name}: {}", self.0));
        records.iter().cloned().map(Record).collect()
    }
}

impl Deref for Record {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl From<Record> for Value {
    fn from(record: Record) -> Self {
        record.0
    }
}
