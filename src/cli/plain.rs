//! Renders the guide as plain text for the terminal: the list of its pages, or one page.

use super::markdown::{MarkdownBlock, Span, Target, parse};
use crate::docs;

/// The width of lines of text. Code is not wrapped.
pub const WIDTH: usize = 80;

/// The indentation of text below a heading.
const INDENT: usize = 2;

/// The separator between two columns of a table.
const BETWEEN: &str = "  ";

/// Lists every topic with its description. The help of the program shows it below the commands.
pub fn topics() -> String {
    let width = docs::PAGES.iter().map(|page| page.name.len()).max().unwrap_or(0);
    let mut text = "Topics (countersign help TOPIC):\n".to_owned();
    for page in docs::PAGES {
        text.push_str(&format!("  {:width$}  {}\n", page.name, page.summary));
    }
    text
}

/// Renders a page as text that ends with a line break.
pub fn render(page: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    for block in &parse(page) {
        let is_item = matches!(block, MarkdownBlock::Item { .. });
        if before.is_some_and(|was_item| !(was_item && is_item)) {
            out.push('\n');
        }
        before = Some(is_item);
        for line in lines(block) {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn lines(block: &MarkdownBlock) -> Vec<String> {
    let indented = |lines: Vec<String>, by: usize| -> Vec<String> {
        lines.into_iter().map(|line| format!("{:by$}{line}", "")).collect()
    };
    // Both are constants, and the width is the larger one.
    let width = WIDTH.saturating_sub(INDENT);
    match block {
        MarkdownBlock::Heading { level: 1, text } => wrap(&flat(text).to_uppercase(), WIDTH),
        MarkdownBlock::Heading { level: 2, text } => wrap(&flat(text), WIDTH),
        MarkdownBlock::Heading { text, .. } => indented(wrap(&flat(text), width), INDENT.div_ceil(2)),
        MarkdownBlock::Paragraph(text) => indented(wrap(&flat(text), width), INDENT),
        MarkdownBlock::Item { marker, text } => {
            // A marker is a few characters. What hangs further than the width has no room, and each word its own line.
            let hang = marker.len().saturating_add(1);
            let lines = wrap(&flat(text), width.saturating_sub(hang));
            let first = |n: usize| if n == 0 { format!("{marker} ") } else { " ".repeat(hang) };
            let lines = lines.iter().enumerate().map(|(n, line)| format!("{}{line}", first(n)));
            indented(lines.collect(), INDENT)
        }
        // Three times a small constant.
        MarkdownBlock::Code(code) => indented(code.clone(), INDENT.saturating_mul(3)),
        MarkdownBlock::Table(rows) => indented(table(rows, width), INDENT),
    }
}

/// Renders spans as plain text, without markup, and with the target of each link.
pub fn flat(spans: &[Span]) -> String {
    let parts = spans.iter().map(|span| match span {
        Span::Text(text) | Span::Code(text) | Span::Strong(text) | Span::Emphasis(text) => text.clone(),
        Span::Link { text, target } => match target {
            Target::Page(page) => format!("{text} (countersign help {page})"),
            Target::File(place) | Target::Url(place) if place.ends_with(text.as_str()) => place.clone(),
            Target::File(place) | Target::Url(place) => format!("{text} ({place})"),
        },
    });
    parts.collect()
}

/// Wraps a text into lines of at most `width`. A longer word is split.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0_usize);
    for word in text.split_whitespace() {
        let mut length = word.chars().count();
        let mut word = word;
        // A saturated length is beyond the width, and begins a line.
        if used > 0 && used.saturating_add(1).saturating_add(length) > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            // At most the width.
            used = used.saturating_add(1);
        }
        while length > width {
            let (at, _) = word.char_indices().nth(width).unwrap_or((word.len(), ' '));
            let (head, tail) = word.split_at(at);
            lines.push(head.to_owned());
            word = tail;
            length = word.chars().count();
        }
        line.push_str(word);
        // Words are shorter than the text that they are of.
        used = used.saturating_add(length);
    }
    lines.push(line);
    lines
}

/// Renders a table in lines of at most `width`. Cells are wrapped in their columns.
pub fn table(rows: &[Vec<Vec<Span>>], width: usize) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| flat(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let natural = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let natural: Vec<usize> = (0..columns).map(natural).collect();
    // Without a column there is no gap. Gaps that are wider than the table leave the columns no room.
    let gaps = BETWEEN.len().saturating_mul(columns.saturating_sub(1));
    let widths = shares(&natural, width.saturating_sub(gaps));
    let mut lines = Vec::new();
    let is_tall = natural != widths;
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> =
            row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let parts = cells.iter().zip(&widths).map(|(cell, width)| {
                let part = cell.get(at).map_or("", String::as_str);
                format!("{part:width$}")
            });
            lines.push(parts.collect::<Vec<_>>().join(BETWEEN).trim_end().to_owned());
        }
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            lines.push(rules.join(BETWEEN));
        // The number of a row is below the number of rows.
        } else if is_tall && number.saturating_add(1) < rows.len() {
            lines.push(String::new());
        }
    }
    lines
}

/// Computes the width of each column. Columns narrower than their share keep their width, and the others share the
/// rest.
fn shares(natural: &[usize], width: usize) -> Vec<usize> {
    let mut widths: Vec<Option<usize>> = vec![None; natural.len()];
    loop {
        let taken: usize = widths.iter().flatten().sum();
        let open = widths.iter().filter(|width| width.is_none()).count();
        // If more was taken than there is, nothing is left to share.
        let Some(share) = width.saturating_sub(taken).checked_div(open) else { break };
        let share = share.max(1);
        let mut is_settled = true;
        for (width, natural) in widths.iter_mut().zip(natural) {
            if width.is_none() && *natural <= share {
                *width = Some(*natural);
                is_settled = false;
            }
        }
        if is_settled {
            return widths.into_iter().map(|width| width.unwrap_or(share)).collect();
        }
    }
    widths.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_at_most_eighty_columns() {
        let long = "word ".repeat(40);
        let page = format!(
            "# Title\n\nSee [peers][peers], [this][fixtures/ops/try.toml] and `code`.\n\n## Part\n\n- {long}\n- b\n\n\
             ```sh\ncode  as it is\n```\n\n| a | b |\n|---|---|\n| c | {long} |\n| d | e |\n"
        );
        let text = render(&page);
        assert!(text.starts_with(
            "TITLE\n\n  See peers (countersign help peers), this (fixtures/ops/try.toml) and code.\n\nPart\n\n  - word"
        ));
        assert!(
            text.contains("\n    word")
                && text.contains("\n  - b\n\n      code  as it is\n\n  a  b\n  -  ---")
        );
        assert!(text.contains("\n  c  word") && text.ends_with("word\n\n  d  e\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH && !line.ends_with(' ')), "{text}");
    }

    #[test]
    fn columns_share_the_width() {
        assert_eq!(shares(&[3, 4], 10), [3, 4]);
        assert_eq!(shares(&[3, 100], 10), [3, 7]);
        assert_eq!(shares(&[30, 100], 10), [5, 5]);
        assert_eq!(shares(&[2, 30, 100], 20), [2, 9, 9]);
        assert_eq!(shares(&[], 10), [] as [usize; 0]);
        assert_eq!(shares(&[5], 0), [1]);
    }

    #[test]
    fn overlong_words_are_cut() {
        assert_eq!(wrap("a bcdefgh ij", 3), ["a", "bcd", "efg", "h", "ij"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("äöü äöü", 3), ["äöü", "äöü"]);
    }

    #[test]
    fn every_page_is_safe_for_a_terminal() {
        for page in crate::docs::PAGES {
            let text = render(page.text);
            assert!(!text.contains("<!--") && !text.contains("]: "), "{}", page.name);
            for line in text.lines().filter(|line| !line.starts_with("      ")) {
                assert!(line.chars().count() <= WIDTH, "{}: {line}", page.name);
            }
        }
    }
}
