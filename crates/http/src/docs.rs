//! Documentation for people: Swagger UI, the contract itself, and a page for every problem code.

use crate::problem::{ApiError, Code};
use crate::state::State;
use actix_web::http::header;
use actix_web::{HttpResponse, Responder, get, web};
use opiekun_domain::language::Language;
use utoipa_swagger_ui::{Config, SwaggerUi, oauth};

/// Swagger UI runs scripts and styles of its own, from here.
const DOCS_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

pub fn routes(config: &mut web::ServiceConfig) {
    let ui = Config::new(["/openapi.json"])
        .try_it_out_enabled(true)
        .persist_authorization(true)
        .display_request_duration(true)
        .doc_expansion("none")
        .validator_url("none");
    config.service(openapi_document).service(docs_without_slash).service(problems).service(problem);
    config.service(
        web::scope("/docs")
            .wrap(actix_web::middleware::DefaultHeaders::new().add((header::CONTENT_SECURITY_POLICY, DOCS_POLICY)))
            .service(SwaggerUi::new("/{_:.*}").config(ui).oauth(oauth::Config::new().client_id("opiekun"))),
    );
}

#[get("/openapi.json")]
async fn openapi_document(state: web::Data<State>) -> impl Responder {
    HttpResponse::Ok().content_type("application/json").body(state.contract.document.clone())
}

#[get("/docs")]
async fn docs_without_slash() -> impl Responder {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

#[get("/problems")]
async fn problems() -> impl Responder {
    let rows: String = Code::ALL
        .iter()
        .map(|code| {
            let (word, title) = (code.as_str(), code.title(Language::English));
            format!("<li>{} <a href=\"/problems/{word}\"><code>{word}</code></a> {title}</li>\n", code.status())
        })
        .collect();
    page("Problems", &format!("<h1>Problems</h1>\n<ul>\n{rows}</ul>"))
}

#[get("/problems/{code}")]
async fn problem(word: web::Path<String>) -> Result<impl Responder, ApiError> {
    let code = Code::ALL.iter().find(|code| code.as_str() == *word);
    let code = *code.ok_or_else(|| ApiError::not_found("problem code"))?;
    let example = serde_json::json!({
        "type": format!("/problems/{}", code.as_str()),
        "title": code.title(Language::English),
        "status": code.status(),
        "code": code.as_str(),
        "detail": code.meaning(),
        "instance": "/api/v1/customers",
        "request_id": "0192f0c5-2222-7000-8000-000000000002",
    });
    let example = serde_json::to_string_pretty(&example).unwrap_or_default();
    let body = format!(
        "<h1>{title}</h1>\n<p lang=\"pl\">{polish}</p>\n<p>Status {status}, code <code>{word}</code>.</p>\n\
         <h2>What it means</h2>\n<p>{meaning}</p>\n<h2>What to do</h2>\n<p>{cure}</p>\n\
         <h2>Example</h2>\n<pre>{example}</pre>\n<p><a href=\"/problems\">All problems</a></p>",
        title = code.title(Language::English),
        polish = code.title(Language::Polish),
        status = code.status(),
        meaning = code.meaning(),
        cure = code.cure(),
    );
    Ok(page(code.title(Language::English), &body))
}

fn page(title: &str, body: &str) -> HttpResponse {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title} · Opiekun</title>\n{body}\n</html>\n"
    );
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html)
}
