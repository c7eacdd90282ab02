//! Renders a page of the guide as a manual page of section 7.

use super::markdown::{MarkdownBlock, Span, Target, parse};
use super::plain;
use crate::docs::Page;

/// The file name of a page.
pub fn file_name(page: &Page) -> String {
    format!("countersign-{}.7", page.name)
}

/// Renders a page with the `man` macros. The output is ASCII, so that no formatter needs to know an encoding.
pub fn render(page: &Page) -> String {
    let name = page.name;
    let mut out = format!(
        ".TH \"COUNTERSIGN\\-{}\" \"7\" \"\" \"countersign {}\" \"countersign\"\n.SH NAME\n{}\n.SH DESCRIPTION\n",
        escape(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        line(&format!("countersign\\-{} \\- {}", escape(name), escape(page.summary))),
    );
    let mut is_first = true;
    for block in &parse(page.text) {
        write_block(&mut out, block, is_first);
        // A heading begins a paragraph. Some formatters warn if another paragraph begins right after it.
        is_first = matches!(block, MarkdownBlock::Heading { .. });
    }
    out
}

fn write_block(out: &mut String, block: &MarkdownBlock, is_first: bool) {
    match block {
        // The NAME section takes the place of the title.
        MarkdownBlock::Heading { level: 1, .. } => {}
        MarkdownBlock::Heading { level, text } => {
            out.push_str(if *level == 2 { ".SH " } else { ".SS " });
            out.push_str(&format!("\"{}\"\n", escape(&plain::flat(text))));
        }
        MarkdownBlock::Paragraph(text) => {
            let begin = if is_first { "" } else { ".PP\n" };
            out.push_str(&format!("{begin}{}\n", line(&spans(text))));
        }
        MarkdownBlock::Item { marker, text } => {
            let (marker, width) = if marker == "-" { ("\\(bu", 2) } else { (marker.as_str(), 4) };
            out.push_str(&format!(".IP \"{marker}\" {width}\n{}\n", line(&spans(text))));
        }
        MarkdownBlock::Code(code) => preformatted(out, code),
        MarkdownBlock::Table(rows) => preformatted(out, &plain::table(rows, 70)),
    }
}

fn preformatted(out: &mut String, lines: &[String]) {
    out.push_str(".IP \"\" 4\n.nf\n");
    for text in lines {
        // The height of an empty line would depend on the formatter.
        out.push_str(&match text.is_empty() {
            true => "\\&".to_owned(),
            false => line(&escape(text)),
        });
        out.push('\n');
    }
    out.push_str(".fi\n");
}

fn spans(spans: &[Span]) -> String {
    let parts = spans.iter().map(|span| match span {
        Span::Text(text) => escape(text),
        Span::Code(text) | Span::Strong(text) => format!("\\fB{}\\fR", escape(text)),
        Span::Emphasis(text) => format!("\\fI{}\\fR", escape(text)),
        Span::Link { text, target: Target::Page(page) } => {
            format!("{} (\\fBcountersign\\-{}\\fR(7))", escape(text), escape(page))
        }
        Span::Link { .. } => escape(&plain::flat(std::slice::from_ref(span))),
    });
    parts.collect()
}

/// Escapes a line that the formatter would take for a request.
fn line(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

/// Escapes text, so that it contains only ASCII and no escape sequence of the formatter.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\(rs"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '"' => out.push_str("\\(dq"),
            ascii if ascii.is_ascii() => out.push(ascii),
            other => out.push_str(&format!("\\[u{:04X}]", u32::from(other))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_in_macros() {
        let text = "# Title\n\n.start 'and' a\\b — `--code` [peers][peers]\n\nMore.\n\n## A \"b\"\n\n- c\n\n```sh\n.d\n\ne\n```\n";
        let page = Page { name: "x-y", summary: "what it is", text };
        let expected = [
            concat!(
                ".TH \"COUNTERSIGN\\-X\\-Y\" \"7\" \"\" \"countersign ",
                env!("CARGO_PKG_VERSION"),
                "\" \"countersign\""
            ),
            ".SH NAME",
            "countersign\\-x\\-y \\- what it is",
            ".SH DESCRIPTION",
            "\\&.start \\(aqand\\(aq a\\(rsb \\[u2014] \\fB\\-\\-code\\fR peers (\\fBcountersign\\-peers\\fR(7))",
            ".PP",
            "More.",
            ".SH \"A \\(dqb\\(dq\"",
            ".IP \"\\(bu\" 2",
            "c",
            ".IP \"\" 4",
            ".nf",
            "\\&.d",
            "\\&",
            "e",
            ".fi\n",
        ];
        assert_eq!(render(&page), expected.join("\n"));
        assert_eq!(file_name(&page), "countersign-x-y.7");
    }

    #[test]
    fn every_page_is_ascii() {
        for page in crate::docs::PAGES {
            assert!(render(page).is_ascii(), "{}", page.name);
        }
    }
}
