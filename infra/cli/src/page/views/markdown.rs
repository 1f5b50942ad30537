//! What a chat makes of a notification: the little of its Markdown that notifications use.

use maud::{Markup, html};

/// Signs by their names in Slack and Teams, each with what it says.
const SIGNS: [(&str, &str, &str); 4] = [
    (":warning:", "⚠", "warning"),
    (":bell:", "🔔", "reminder"),
    (":white_check_mark:", "✅", "resolved"),
    (":x:", "❌", "failure"),
];

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    /// Within a line.
    Code(&'a str),
    /// Lines of their own.
    Block(&'a str),
    /// Its address and its text.
    Link(&'a str, &'a str),
    /// The sign and what it says.
    Sign(&'a str, &'a str),
}

pub(super) fn markdown(text: &str) -> Markup {
    html! {
        @for part in parts(text) {
            @match part {
                Part::Text(text) => (text),
                Part::Code(code) => code { (code) },
                Part::Block(block) => pre { (block) },
                Part::Link(url, text) => a href=(url) rel="noreferrer" { (text) },
                Part::Sign(sign, says) => span role="img" aria-label=(says) { (sign) },
            }
        }
    }
}

fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = text;
    let mut plain_end = 0;
    while !text.is_empty() {
        if let Some((part, rest)) = special(text) {
            parts.extend((plain_end > 0).then(|| Part::Text(&plain[..plain_end])));
            parts.push(part);
            (text, plain, plain_end) = (rest, rest, 0);
        } else {
            let next = text.chars().next().map_or(1, char::len_utf8);
            plain_end += next;
            text = &text[next..];
        }
    }
    parts.extend((plain_end > 0).then(|| Part::Text(&plain[..plain_end])));
    parts
}

/// The part that a text begins with, if that is not plain, and what follows it.
fn special(text: &str) -> Option<(Part<'_>, &str)> {
    if let Some((block, rest)) = text.strip_prefix("```").and_then(|rest| rest.split_once("```")) {
        return Some((Part::Block(block.trim_matches('\n')), rest));
    }
    if let Some((code, rest)) = text.strip_prefix('`').and_then(|rest| rest.split_once('`'))
        && !code.is_empty()
    {
        return Some((Part::Code(code), rest));
    }
    if let Some((link, rest)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && let Some((url, text)) = link.split_once('|')
        && url.starts_with("https://")
    {
        return Some((Part::Link(url, text), rest));
    }
    SIGNS.iter().find_map(|(name, sign, says)| Some((Part::Sign(sign, says), text.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::Part::{Block, Code, Link, Sign, Text};
    use super::*;

    #[test]
    fn a_text_is_read_in_parts_and_what_is_not_closed_is_plain() {
        for (text, expected) in [
            ("", vec![]),
            ("plain ü", vec![Text("plain ü")]),
            (":bell: Reminder: 42", vec![Sign("🔔", "reminder"), Text(" Reminder: 42")]),
            ("`loader show 42` shows", vec![Code("loader show 42"), Text(" shows")]),
            ("```\n  rows\n   1\n```\nmore", vec![Block("  rows\n   1"), Text("\nmore")]),
            (
                "see <https://a.example/#x|The execution>",
                vec![Text("see "), Link("https://a.example/#x", "The execution")],
            ),
            ("<javascript:alert(1)|x>", vec![Text("<javascript:alert(1)|x>")]),
            ("a < b > c ` d :unknown:", vec![Text("a < b > c ` d :unknown:")]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
        assert_eq!(markdown("<b>`<i>`").into_string(), "&lt;b&gt;<code>&lt;i&gt;</code>");
    }
}
