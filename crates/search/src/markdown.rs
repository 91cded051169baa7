//! The words of Markdown, without its marks.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What Markdown of articles may hold besides CommonMark.
pub fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// The text of a Markdown document: a line a paragraph, heading, item or cell. Neither marks nor HTML nor addresses are left.
pub fn text(markdown: &str) -> String {
    let mut text = String::new();
    let mut is_within_html = false;
    for event in Parser::new_ext(markdown, options()) {
        match event {
            Event::Start(Tag::HtmlBlock) => is_within_html = true,
            Event::End(TagEnd::HtmlBlock) => is_within_html = false,
            Event::Text(piece) | Event::Code(piece) if !is_within_html => text.push_str(&piece),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::End(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_left() {
        let markdown = "# Zwrot\n\nOd **60** do [25 dni](https://example.com/a_b).\n\n- raz\n- `dwa`\n\n<script>alert(1)</script>\n\nx <b>y</b> ![alt](http://x/y.png)\n\n| a | b |\n|---|---|\n| c | d |";
        assert_eq!(text(markdown), "Zwrot\nOd 60 do 25 dni.\nraz\ndwa\nx y alt\na\nb\nc\nd");
    }
}
