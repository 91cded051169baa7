//! Articles as HTML: a page that holds nothing but text, whatever was written in the article.

use opiekun_domain::language::Language;
use opiekun_search::markdown;
use pulldown_cmark::{Event, Tag, TagEnd, html};
use std::collections::{HashMap, HashSet};

/// So many quotes, lists and emphases are within each other; what is further in stands at this level. Browsers end there
/// somewhere too, and what reads HTML takes ever longer, the deeper it is.
const NESTED_MAX: usize = 16;

/// An article as a page of its own. Neither scripts nor styles, nor anything that is fetched from elsewhere: images are their
/// descriptions, of HTML that was written in the Markdown the text is left, and links lead to web and mail addresses alone.
pub fn page(title: &str, body: &str, language: Language) -> String {
    let title = ammonia::clean_text(title).replace("&#32;", " ");
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n{}</body>\n</html>\n",
        body_html(body)
    )
}

/// Markdown as HTML, with the same rules.
pub fn body_html(text: &str) -> String {
    // Of an image its description is left.
    let events = markdown::events(text)
        .filter(|event| !matches!(event, Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image)));
    let mut nesting = Nesting::default();
    let mut written = String::new();
    html::push_html(&mut written, events.filter_map(|event| nesting.flatten(event)));
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

/// What is open at a place of the text.
#[derive(Default)]
struct Nesting {
    /// Whether each of the elements that can be within each other is written.
    open: Vec<bool>,
    /// How many of them are written, a list and its items counted as one.
    depth: usize,
}

impl Nesting {
    /// The event as it is written; nothing for the bounds of an element that is too deep.
    fn flatten<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            // An item goes with its list.
            Event::Start(Tag::Item) => {
                let is_written = self.open.last().is_none_or(|of_list| *of_list);
                self.open.push(is_written);
                Some(if is_written { event } else { Event::SoftBreak })
            }
            Event::End(TagEnd::Item) => self.open.pop().unwrap_or(true).then_some(event),
            Event::Start(
                Tag::BlockQuote(_) | Tag::List(_) | Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. },
            ) => {
                let is_written = self.depth < NESTED_MAX;
                self.open.push(is_written);
                self.depth += usize::from(is_written);
                is_written.then_some(event)
            }
            Event::End(
                TagEnd::BlockQuote(_)
                | TagEnd::List(_)
                | TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link,
            ) => {
                let is_written = self.open.pop().unwrap_or(true);
                self.depth -= usize::from(is_written);
                is_written.then_some(event)
            }
            // A box that can be ticked would be a field of a form.
            Event::TaskListMarker(is_done) => Some(Event::Text(if is_done { "☑ " } else { "☐ " }.into())),
            _ => Some(event),
        }
    }
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
    fn ticks_of_a_list_are_shown() {
        let html = body_html("- [x] raz\n- [ ] dwa\n- trzy");
        for part in ["<li>☑ raz</li>", "<li>☐ dwa</li>", "<li>trzy</li>"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    /// How many elements are within each other at most.
    fn depth(html: &str) -> usize {
        let mut open = 0_usize;
        let mut deepest = 0;
        for tag in html.split('<').skip(1).filter(|tag| !tag.starts_with("hr") && !tag.starts_with("br")) {
            if tag.starts_with('/') {
                open -= 1
            } else {
                open += 1
            }
            deepest = deepest.max(open);
        }
        assert_eq!(open, 0, "{html}");
        deepest
    }

    #[test]
    fn nothing_is_nested_without_end() {
        let within = |count: usize, mark: &str| format!("{}środek", mark.repeat(count));
        // As deep as people write is as it is written.
        assert_eq!(depth(&body_html(&within(16, "> "))), 17);
        assert_eq!(depth(&body_html(&within(16, "1. "))), 32);
        for body in [
            within(20_000, ">"),
            within(20_000, "1. "),
            within(20_000, "> 1. "),
            format!("{}środek{}", "*a **b ~~c ".repeat(5_000), "c~~ b** a*".repeat(5_000)),
            (0..300).map(|spaces| format!("{:spaces$}- środek\n", "")).collect(),
        ] {
            let html = body_html(&body);
            assert!(depth(&html) <= 34, "{}", &body[..12]);
            assert!(html.contains("środek"), "{}", &body[..12]);
        }
        // Items of a list that is too deep are lines.
        let items = body_html(&format!("{}- raz\n{}- dwa", "> ".repeat(16), "> ".repeat(16)));
        assert!(items.contains("\nraz\ndwa"), "{items}");
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
