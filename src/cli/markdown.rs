//! The part of Markdown that the pages of the guide use, parsed once for the terminal and for manual pages.
//!
//! It reads headings, paragraphs, lists of one level, fenced code, tables, code spans, emphasis and links by reference.
//! Comments and definitions of links are dropped. No page uses other Markdown; a test reads every page.

/// A part of a page.
#[derive(PartialEq, Eq, Debug)]
pub enum MarkdownBlock {
    /// A heading. Level 1 is the title.
    Heading {
        level: usize,
        text: Vec<Span>,
    },
    Paragraph(Vec<Span>),
    /// An entry of a list, with `-` or its number.
    Item {
        marker: String,
        text: Vec<Span>,
    },
    /// The lines of fenced code.
    Code(Vec<String>),
    /// Rows of cells; the first is the header.
    Table(Vec<Vec<Vec<Span>>>),
}

/// A part of a line.
#[derive(PartialEq, Eq, Debug)]
pub enum Span {
    Text(String),
    Code(String),
    Strong(String),
    Emphasis(String),
    Link { text: String, target: Target },
}

/// The target of a link.
#[derive(PartialEq, Eq, Debug)]
pub enum Target {
    /// A page of the guide, by its name.
    Page(String),
    /// A file, relative to the root of the repository.
    File(String),
    /// A URL on the web.
    Url(String),
}

impl Target {
    /// Parses a label, which is a page, a page and a heading in it (`audit#exit-codes`), a path or a URL.
    fn of(label: &str) -> Target {
        if label.starts_with("https://") {
            return Target::Url(label.to_owned());
        }
        match label.split_once('#').unwrap_or((label, "")).0 {
            page if crate::docs::page(page).is_some() => Target::Page(page.to_owned()),
            path => Target::File(path.to_owned()),
        }
    }
}

/// Parses a page into blocks.
pub fn parse(text: &str) -> Vec<MarkdownBlock> {
    let mut blocks = Vec::new();
    let mut open = Open::Nothing;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            open.close(&mut blocks);
            let code = lines.by_ref().take_while(|line| !line.starts_with("```")).map(str::to_owned);
            blocks.push(MarkdownBlock::Code(code.collect()));
        } else if line.trim().is_empty() || is_comment(line) || is_definition(line) {
            open.close(&mut blocks);
        } else if let Some((hashes, title)) = heading(line) {
            open.close(&mut blocks);
            blocks.push(MarkdownBlock::Heading { level: hashes, text: spans(title) });
        } else if let Some(row) = line.strip_prefix('|') {
            open.row(&mut blocks, row);
        } else if let Some((marker, rest)) = item(line) {
            open.close(&mut blocks);
            open = Open::Item(marker.to_owned(), rest.to_owned());
        } else {
            open.line(&mut blocks, line.trim());
        }
    }
    open.close(&mut blocks);
    blocks
}

/// The block that further lines belong to.
enum Open {
    Nothing,
    Paragraph(String),
    Item(String, String),
    Table(Vec<Vec<Vec<Span>>>),
}

impl Open {
    fn close(&mut self, blocks: &mut Vec<MarkdownBlock>) {
        match std::mem::replace(self, Open::Nothing) {
            Open::Nothing => {}
            Open::Paragraph(text) => blocks.push(MarkdownBlock::Paragraph(spans(&text))),
            Open::Item(marker, text) => blocks.push(MarkdownBlock::Item { marker, text: spans(&text) }),
            Open::Table(rows) => blocks.push(MarkdownBlock::Table(rows)),
        }
    }

    fn line(&mut self, blocks: &mut Vec<MarkdownBlock>, line: &str) {
        if let Open::Paragraph(text) | Open::Item(_, text) = self {
            text.push(' ');
            text.push_str(line);
        } else {
            self.close(blocks);
            *self = Open::Paragraph(line.to_owned());
        }
    }

    fn row(&mut self, blocks: &mut Vec<MarkdownBlock>, row: &str) {
        // The line below the header.
        if row.chars().all(|c| "-: |".contains(c)) {
            return;
        }
        let cells = cells(row).iter().map(|cell| spans(cell)).collect();
        if let Open::Table(rows) = self {
            rows.push(cells);
        } else {
            self.close(blocks);
            *self = Open::Table(vec![cells]);
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with("<!--") && line.ends_with("-->")
}

fn is_definition(line: &str) -> bool {
    line.starts_with('[') && line.contains("]: ")
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len().checked_sub(title.len())?;
    Some((level, title.strip_prefix(' ')?)).filter(|_| level > 0)
}

/// Splits a line of a list into its marker and the text that follows.
fn item(line: &str) -> Option<(&str, &str)> {
    let (marker, rest) = line.split_once(' ')?;
    let number =
        marker.strip_suffix('.').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (marker == "-" || number).then_some((marker, rest))
}

/// Splits a row, without its first bar, into cells. `\|` is a bar inside a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_end().trim_end_matches('|').replace("\\|", "\0");
    row.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Splits a text into spans. The beginning of a span that has no end is plain text.
fn spans(text: &str) -> Vec<Span> {
    let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(first) = rest.chars().next() {
        let (span, after) = match span(rest) {
            Some(span_and_rest) => span_and_rest,
            None => {
                plain.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
        };
        if !plain.is_empty() {
            found.push(Span::Text(std::mem::take(&mut plain)));
        }
        found.push(span);
        rest = after;
    }
    if !plain.is_empty() {
        found.push(Span::Text(plain));
    }
    found
}

/// Parses the span at the beginning of a text. Returns it and the rest of the text.
fn span(text: &str) -> Option<(Span, &str)> {
    if let Some(rest) = text.strip_prefix("``") {
        let (code, rest) = rest.split_once("``")?;
        return Some((Span::Code(code.trim().to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('`') {
        let (code, rest) = rest.split_once('`')?;
        return Some((Span::Code(code.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix("**") {
        let (strong, rest) = rest.split_once("**")?;
        return Some((Span::Strong(strong.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('*') {
        let (emphasis, rest) = rest.split_once('*')?;
        return (!emphasis.starts_with(' ')).then(|| (Span::Emphasis(emphasis.to_owned()), rest));
    }
    if text.starts_with("<https://") {
        let (url, rest) = text.strip_prefix('<')?.split_once('>')?;
        return Some((Span::Link { text: url.to_owned(), target: Target::of(url) }, rest));
    }
    let (text, rest) = text.strip_prefix('[')?.split_once("][")?;
    let (label, rest) = rest.split_once(']')?;
    Some((Span::Link { text: text.replace('`', ""), target: Target::of(label) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_construct_is_parsed() {
        let text = "# A `b`\n\nOne\ntwo *three* **four** [`five`][audit#x] [six][fixtures/ops].\n\n<!-- not shown -->\n\
                    ```sh\n# no heading\n\n- no item\n```\n\n- first\n  goes on\n- second\n1. third\n\n| a | b |\n|---|---|\n\
                    | `c\\|d` | <https://e.example> |\n\n[audit#x]: audit.md#x\n";
        let plain = |text: &str| Span::Text(text.to_owned());
        let link = |text: &str, target| Span::Link { text: text.to_owned(), target };
        let item = |marker: &str, text: &str| MarkdownBlock::Item {
            marker: marker.to_owned(),
            text: vec![plain(text)],
        };
        let code = ["# no heading", "", "- no item"].map(str::to_owned).to_vec();
        let url = "https://e.example".to_owned();
        assert_eq!(
            parse(text),
            [
                MarkdownBlock::Heading { level: 1, text: vec![plain("A "), Span::Code("b".to_owned())] },
                MarkdownBlock::Paragraph(vec![
                    plain("One two "),
                    Span::Emphasis("three".to_owned()),
                    plain(" "),
                    Span::Strong("four".to_owned()),
                    plain(" "),
                    link("five", Target::Page("audit".to_owned())),
                    plain(" "),
                    link("six", Target::File("fixtures/ops".to_owned())),
                    plain("."),
                ]),
                MarkdownBlock::Code(code),
                item("-", "first goes on"),
                item("-", "second"),
                item("1.", "third"),
                MarkdownBlock::Table(vec![
                    vec![vec![plain("a")], vec![plain("b")]],
                    vec![vec![Span::Code("c|d".to_owned())], vec![link(&url, Target::Url(url.clone()))]],
                ]),
            ]
        );
    }

    #[test]
    fn unclosed_markup_is_text() {
        for text in
            ["a ` b", "a * b", "2 * 3 * 4", "a [b] c", "**", "[a][b", "<https://", "-a", "#a", "1.5 x"]
        {
            assert_eq!(parse(text), [MarkdownBlock::Paragraph(vec![Span::Text(text.to_owned())])], "{text}");
        }
    }

    /// No page uses other Markdown, which would be shown as it is written.
    #[test]
    fn every_page_uses_the_subset() {
        let is_markup =
            |text: &str| ["`", "**", "](", "][", "<!--", "    "].iter().any(|mark| text.contains(mark));
        for page in crate::docs::PAGES {
            let blocks = parse(page.text);
            assert!(blocks.len() > 3, "{}", page.name);
            assert!(
                matches!(blocks.first(), Some(MarkdownBlock::Heading { level: 1, .. })),
                "{}: no title",
                page.name
            );
            for block in &blocks {
                let texts: Vec<&Span> = match block {
                    MarkdownBlock::Heading { text, .. }
                    | MarkdownBlock::Paragraph(text)
                    | MarkdownBlock::Item { text, .. } => text.iter().collect(),
                    MarkdownBlock::Table(rows) => {
                        let columns = rows.first().map(Vec::len);
                        assert!(rows.iter().all(|row| Some(row.len()) == columns), "{}: {rows:?}", page.name);
                        rows.iter().flatten().flatten().collect()
                    }
                    MarkdownBlock::Code(_) => Vec::new(),
                };
                for span in texts {
                    let (Span::Text(text)
                    | Span::Strong(text)
                    | Span::Emphasis(text)
                    | Span::Link { text, .. }) = span
                    else {
                        continue;
                    };
                    assert!(!is_markup(text), "{}: {text}", page.name);
                }
            }
        }
    }
}
