//! What is there for people and for the machinery around the server: documentation, problems, health, figures.

use crate::support::operations::operations;
use crate::support::{Client, World};
use std::collections::BTreeSet;

#[test]
fn the_documentation_works_without_the_internet() {
    let nobody = Client::nobody();
    let moved = nobody.get("//docs");
    assert_eq!((moved.status, moved.header("location")), (308, Some("/docs/")), "{moved:?}");
    let page = nobody.get("//docs/");
    assert_eq!(page.status, 200, "{page:?}");
    let html = page.text();
    let files: Vec<_> =
        html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(files.len() >= 4, "{html}");
    for file in files {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let answer = nobody.get(&format!("//docs/{}", file.trim_start_matches("./")));
        assert_eq!(answer.status, 200, "{file}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("http"), "{policy}");
    assert!(nobody.get("//docs/swagger-initializer.js").text().contains("/openapi.json"));
}

#[test]
fn each_problem_that_the_contract_names_has_a_page() {
    let mut codes = BTreeSet::new();
    for operation in operations() {
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            if status.as_str() >= "400" {
                let words = response["description"].as_str().unwrap().split('`').skip(1).step_by(2);
                codes.extend(words.map(str::to_owned));
            }
        }
    }
    assert!(codes.len() > 20, "{codes:?}");
    let index = Client::nobody().get("//problems").text();
    for code in &codes {
        let page = Client::nobody().get(&format!("//problems/{code}"));
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains(code.as_str()) && index.contains(&format!("/problems/{code}")), "{code}");
    }
    Client::nobody().get("//problems/no_such_code").refused(404, "not_found");
}

#[test]
fn the_server_tells_how_it_is() {
    let nobody = Client::nobody();
    nobody.get("//health/live").expect(200);
    nobody.get("//health/ready").expect(200);
    World::new().owner.get("/me").expect(200);
    let figures = nobody.get("//metrics");
    assert_eq!(figures.status, 200, "{figures:?}");
    let text = figures.text();
    assert!(text.contains("http_requests_total{") && text.contains("operation=\"get_me\""), "{text}");
    assert!(text.contains("http_request_duration_seconds_bucket{"), "{text}");
}
