//! The words of Markdown, without its marks.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What Markdown of articles may hold besides CommonMark.
fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// What a Markdown document is made of, with nothing but the text of HTML that was written in it: a block of that is a
/// paragraph, and a break of a line is one.
pub fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let mut block: Option<String> = None;
    Parser::new_ext(markdown, options()).flat_map(move |event| match event {
        Event::Start(Tag::HtmlBlock) => {
            block = Some(String::new());
            Vec::new()
        }
        Event::Html(piece) => {
            block.get_or_insert_default().push_str(&piece);
            Vec::new()
        }
        Event::End(TagEnd::HtmlBlock) => {
            let text = text_of_html(&block.take().unwrap_or_default());
            if text.is_empty() {
                return Vec::new();
            }
            vec![Event::Start(Tag::Paragraph), Event::Text(text.into()), Event::End(TagEnd::Paragraph)]
        }
        Event::InlineHtml(tag) if name_of(&tag) == "br" => vec![Event::HardBreak],
        Event::InlineHtml(_) => Vec::new(),
        event => vec![event],
    })
}

/// The text of a Markdown document: a line a paragraph, heading, item or cell. Neither marks nor HTML nor addresses are left.
pub fn text(markdown: &str) -> String {
    let mut text = String::new();
    for event in events(markdown) {
        match event {
            Event::Text(piece) | Event::Code(piece) => text.push_str(&piece),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::Start(Tag::Paragraph | Tag::List(_) | Tag::BlockQuote(_) | Tag::CodeBlock(_) | Tag::Table(_))
            | Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::TableCell
                | TagEnd::CodeBlock
                | TagEnd::BlockQuote(_)
                | TagEnd::Image,
            ) if !text.ends_with('\n') && !text.is_empty() => text.push('\n'),
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// What is within a tag that shows nothing of it.
const UNSEEN: [&str; 4] = ["script", "style", "template", "title"];

/// The text of a piece of HTML: what is neither a tag nor a comment, in one line.
fn text_of_html(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let tag = &rest[at..];
        let is_tag = tag[1..].starts_with(|next: char| next.is_ascii_alphabetic() || "/!?".contains(next));
        if !is_tag {
            text.push('<');
            rest = &tag[1..];
            continue;
        }
        text.push(' ');
        let end = if tag.starts_with("<!--") { "-->" } else { ">" };
        rest = tag.find(end).map_or("", |at| &tag[at + end.len()..]);
        let name = name_of(tag);
        if UNSEEN.contains(&name.as_str()) {
            let close = format!("</{name}");
            let at = rest.char_indices().map(|(at, _)| at);
            let mut ends =
                at.filter(|at| rest.get(*at..at + close.len()).is_some_and(|it| it.eq_ignore_ascii_case(&close)));
            rest = ends.next().map_or("", |at| &rest[at..]);
        }
    }
    text.push_str(rest);
    for (entity, letter) in [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        text = text.replace(entity, letter);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name of the element that a tag begins; nothing of one that ends one.
fn name_of(tag: &str) -> String {
    let name = tag.trim_start_matches('<').chars().take_while(char::is_ascii_alphanumeric);
    name.map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_left() {
        let markdown = "# Zwrot\n\nOd **60** do [25 dni](https://example.com/a_b).\n\n- raz\n- `dwa`\n\n<script>alert(1)</script>\n\nx <b>y</b> ![alt](http://x/y.png)\n\n| a | b |\n|---|---|\n| c | d |";
        assert_eq!(text(markdown), "Zwrot\nOd 60 do 25 dni.\nraz\ndwa\nx y alt\na\nb\nc\nd");
    }

    #[test]
    fn words_stand_apart_as_they_are_seen() {
        assert_eq!(text("- raz\n  - dwa\n- trzy\n  1. cztery"), "raz\ndwa\ntrzy\ncztery");
        assert_eq!(text("raz<br>dwa<BR/>trzy"), "raz dwa trzy");
        assert_eq!(text("> raz\n> > dwa"), "raz\ndwa");
    }

    #[test]
    fn text_within_html_is_text() {
        let html = "<p class=\"x\">do 25 dnia &amp; dalej</p>\nostatnia <!-- nie --> linia\n\nDalej";
        assert_eq!(text(html), "do 25 dnia & dalej ostatnia linia\nDalej");
        assert_eq!(text("<details><summary>Kto</summary>\nKażdy</details>"), "Kto Każdy");
        assert_eq!(text("<div><STYLE>p { color: red }</Style>a < b</div>"), "a < b");
        assert_eq!(text("<script>alert(1)"), "");
    }
}
