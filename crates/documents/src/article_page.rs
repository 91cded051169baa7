//! Articles as HTML: a page that holds nothing but text, whatever was written in the article.

use opiekun_domain::language::Language;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use std::collections::{HashMap, HashSet};

/// An article as a page of its own. Neither scripts nor styles, nor anything that is fetched from elsewhere: images are their
/// descriptions, HTML that was written in the Markdown is left out, and links lead to web and mail addresses alone.
pub fn page(title: &str, body: &str, language: Language) -> String {
    let title = ammonia::clean_text(title).replace("&#32;", " ");
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n{}</body>\n</html>\n",
        body_html(body)
    )
}

/// Markdown as HTML, with the same rules.
pub fn body_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut is_within_html = false;
    let events = Parser::new_ext(markdown, options).filter(|event| match event {
        Event::Start(Tag::HtmlBlock) => {
            is_within_html = true;
            false
        }
        Event::End(TagEnd::HtmlBlock) => {
            is_within_html = false;
            false
        }
        Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => false,
        _ => !is_within_html,
    });
    let mut written = String::new();
    html::push_html(&mut written, events);
    ammonia::Builder::new()
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href", "title"])), ("ol", HashSet::from(["start"]))]))
        .generic_attributes(HashSet::new())
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .clean(&written)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markdown_becomes_html() {
        let html = body_html(
            "# Zwrot\n\nOd **60** do *25* dni, [tu](https://example.com \"wzór\").\n\n1. raz\n\n| a |\n|---|\n| b |",
        );
        for part in [
            "<h1>Zwrot</h1>",
            "<strong>60</strong>",
            "<a href=\"https://example.com\" title=\"wzór\" rel=\"noopener noreferrer nofollow\">tu</a>",
            "<li>raz</li>",
            "<td>b</td>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn nothing_runs_and_nothing_is_fetched() {
        let body = "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n![opis](https://evil.example/x.png) \
                    [a](javascript:alert(1)) [b](data:text/html,x) [c](//evil.example) <b onclick=x>c</b> <style>*{}</style>";
        let html = body_html(body);
        for part in
            ["<script", "<img", "onerror", "javascript:", "data:", "onclick", "<style", "src=", "evil.example/x"]
        {
            assert!(!html.contains(part), "{part}: {html}");
        }
        assert!(html.contains("opis"), "{html}");
    }

    #[test]
    fn a_title_is_text() {
        let page = page("</title><script>x</script>", "", Language::Polish);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.starts_with("<!doctype html>\n<html lang=\"pl\">"), "{page}");
    }

    proptest! {
        #[test]
        fn no_body_brings_another_element(body in "[a-z<>/\"'=()\\[\\]!:`*#& \n]{0,200}") {
            let html = body_html(&body);
            for element in ["<script", "<img", "<iframe", "<svg", "<style", "<link", "<form", "<input", "<object"] {
                prop_assert!(!html.contains(element), "{html}");
            }
        }
    }
}
