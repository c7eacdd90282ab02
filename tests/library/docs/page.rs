//! The README and the pages, read line by line: their blocks, headings and links.

use countersign::docs::PAGES;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block of code.
#[derive(Debug)]
pub struct Block {
    /// Where it stands, for messages.
    pub place: String,
    /// The word behind the fence.
    pub language: String,
    pub text: String,
    /// The comments directly above, without their marks.
    markers: Vec<String>,
}

impl Block {
    /// What stands behind `name:` in a comment above; empty for a comment that is the name alone.
    pub fn marker(&self, name: &str) -> Option<&str> {
        self.markers.iter().find_map(|marker| match marker.split_once(": ") {
            Some((first, rest)) => (first == name).then_some(rest),
            None => (marker == name).then_some(""),
        })
    }

    pub fn marker_names(&self) -> impl Iterator<Item = &str> {
        self.markers.iter().map(|marker| marker.split_once(": ").map_or(marker.as_str(), |(name, _)| name))
    }

    /// The exit code that it must have.
    pub fn exit(&self) -> i32 {
        self.marker("exit").map_or(0, |code| code.parse().unwrap())
    }
}

/// A document.
pub struct Document {
    /// From the root of the repository.
    pub name: String,
    pub text: String,
}

impl Document {
    pub fn read(name: &str) -> Document {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Document { name: name.to_owned(), text }
    }

    /// The README and every page.
    pub fn all() -> Vec<Document> {
        let pages = PAGES.iter().map(|page| format!("src/docs/{}.md", page.name));
        ["README.md".to_owned()].into_iter().chain(pages).map(|name| Document::read(&name)).collect()
    }

    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut markers, mut open): (Vec<Block>, Vec<String>, Option<Block>) =
            (Vec::new(), Vec::new(), None);
        for (number, line) in self.text.lines().enumerate() {
            let fence = line.strip_prefix("```");
            match (&mut open, fence) {
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => block.text.push_str(&format!("{line}\n")),
                (None, Some(language)) => {
                    let place = format!("{}:{}", self.name, number + 1);
                    let (language, markers) = (language.to_owned(), std::mem::take(&mut markers));
                    open = Some(Block { place, language, text: String::new(), markers });
                }
                (None, None) => match line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
                    Some(marker) => markers.push(marker.to_owned()),
                    None => assert!(
                        markers.is_empty(),
                        "{}:{}: {markers:?} is above no block",
                        self.name,
                        number + 1
                    ),
                },
            }
        }
        assert!(open.is_none(), "{}: a block does not end", self.name);
        blocks
    }

    /// The lines outside of blocks.
    fn prose(&self) -> String {
        let mut is_inside = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.starts_with("```");
            is_inside ^= is_fence;
            !is_inside && !is_fence
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The code spans outside of blocks.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.prose().replace("``", "");
        prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
    }

    /// The prose without its code spans.
    pub fn words(&self) -> String {
        self.prose().replace("``", "").split('`').step_by(2).collect()
    }

    /// What each heading is linked as. The rule of GitHub and that of rustdoc come to the same.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for line in self.prose().lines().filter(|line| line.starts_with('#')) {
            let title = line.trim_start_matches('#').trim();
            let kept = title.chars().filter(|c| c.is_ascii_alphanumeric() || " -_".contains(*c));
            let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
            // The second of two would have a number behind it, by another rule each.
            assert!(anchors.insert(anchor), "{}: two headings {title:?}", self.name);
        }
        anchors
    }

    /// `[text](target)` outside of code.
    pub fn inline_links(&self) -> Vec<String> {
        let words = self.words();
        let parts = words.split("](").skip(1);
        parts.map(|part| part.split(')').next().unwrap().to_owned()).collect()
    }

    /// The labels of `[text][label]` outside of code.
    pub fn labels(&self) -> BTreeSet<String> {
        // A line may end inside of a link.
        let words = self.words().replace('\n', " ");
        words.split("][").skip(1).map(|part| part.split(']').next().unwrap().to_owned()).collect()
    }

    /// The lines `[label]: target`.
    pub fn definitions(&self) -> BTreeMap<String, String> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        lines.map(|(label, target)| (label.to_owned(), target.to_owned())).collect()
    }
}

/// Where a relative link of a document leads: the file, and the heading in it.
pub fn target(document: &str, link: &str) -> (PathBuf, Option<String>) {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    let folder = Path::new(document).parent().unwrap();
    let mut place = PathBuf::new();
    let written = if path.is_empty() { Path::new(document).to_owned() } else { folder.join(path) };
    for part in written.components() {
        match part {
            std::path::Component::ParentDir => {
                assert!(place.pop(), "{document}: {link} leaves the repository")
            }
            part => place.push(part),
        }
    }
    (place, anchor)
}
