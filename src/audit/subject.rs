//! What a finding is about, besides its code and its entry. The subject tells two findings with one code apart.
//!
//! The mirror keeps it as text; [`fmt::Display`] and [`Subject::decode`] are the only codec for it. Text that does
//! not parse, which another version may have written, is kept unchanged.

use crate::core::check::Check;
use crate::core::hash::Hash;
use crate::core::head::{Head, HeadFormat};
use crate::core::tile::TilePath;
use std::fmt;

/// What a finding is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The log or the entry as a whole, which has one finding of this code.
    Whole,
    /// The head that the log serves in this format.
    Served(HeadFormat),
    /// The cosignatures on the checkpoint that the log serves.
    Cosignatures,
    /// A tree that the log signed.
    Tree(SignedTree),
    /// Two trees that the log signed; see [`Subject::contradiction`].
    Trees([SignedTree; 2]),
    /// Entries `[from, to)`.
    Entries {
        /// The first index.
        from: u64,
        /// The index after the last.
        to: u64,
    },
    /// A tile.
    Tile(TilePath),
    /// The log's consistency proof between two trees.
    Consistency {
        /// Size of the smaller one.
        first: u64,
        /// Size of the larger one.
        second: u64,
    },
    /// The log's inclusion proof of an entry.
    Inclusion {
        /// The entry.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The log's verification bundle of an entry.
    Verification {
        /// The entry.
        index: u64,
    },
    /// The log's head list.
    HeadList,
    /// A head that is not in the log's head list.
    Unlisted {
        /// The head's [`Head::statement`].
        statement: Hash,
    },
    /// Hits of a watch rule.
    Rule {
        /// The rule's name.
        name: String,
        /// The index at which hits that are not kept one by one begin; `None` for a single hit.
        from: Option<u64>,
    },
    /// A confirmation of an approval service.
    Confirmation {
        /// Its id.
        id: String,
    },
    /// An approval that was acted on.
    Nonce {
        /// Its nonce, as base64url.
        nonce: String,
    },
    /// Anything else, verbatim.
    Other(String),
}

/// A tree that the log signed, in any format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedTree {
    /// The number of entries.
    pub size: u64,
    /// The root.
    pub root: Hash,
}

impl SignedTree {
    /// The tree of a head.
    pub fn of(head: &Head) -> SignedTree {
        SignedTree { size: head.size(), root: head.root() }
    }

    fn read(text: &str) -> Option<SignedTree> {
        let (size, root) = text.split_once(' ')?;
        Some(SignedTree { size: size.parse().ok()?, root: Hash::from_hex(root)? })
    }
}

impl fmt::Display for SignedTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.size, self.root)
    }
}

const COSIGNATURES: &str = "cosignatures";
const ENTRIES: &str = "entries";
const CONSISTENCY: &str = "consistency";
const INCLUSION: &str = "inclusion";
const VERIFICATION: &str = "verification";
const HEADS: &str = "heads";
const RULE: &str = "rule";
const CONFIRMATION: &str = "confirmation";
const NONCE: &str = "nonce";

/// The separator between two trees.
const AND: &str = " / ";

/// The separator before the index at which the hits of a rule begin. The name of a rule cannot contain a tab.
const FROM: &str = "\tfrom ";

impl Subject {
    /// The trees of two heads that no single log could have signed. The order of the arguments does not matter.
    pub fn contradiction(a: &Head, b: &Head) -> Subject {
        let mut trees = [SignedTree::of(a), SignedTree::of(b)];
        // Sorted by their text, as in all existing mirrors.
        trees.sort_by_cached_key(SignedTree::to_string);
        Subject::Trees(trees)
    }

    /// The check that a finding with this subject belongs to, whatever its code, if only a JSON API can answer it.
    pub fn check(&self) -> Option<Check> {
        match self {
            Subject::HeadList | Subject::Unlisted { .. } => Some(Check::HeadList),
            Subject::Consistency { .. } | Subject::Inclusion { .. } => Some(Check::ServedProofs),
            Subject::Verification { .. } => Some(Check::VerificationBundles),
            _ => None,
        }
    }

    /// Parses the text that [`fmt::Display`] writes; other text becomes [`Subject::Other`].
    pub fn decode(text: &str) -> Subject {
        // Accepts only text that is written back identically: a number with a sign or a leading zero is kept as
        // `Other`.
        let read = Subject::read(text).filter(|subject| subject.to_string() == text);
        read.unwrap_or_else(|| Subject::Other(text.to_owned()))
    }

    fn read(text: &str) -> Option<Subject> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = || rest.parse().ok();
        let two = || {
            let (a, b) = rest.split_once(' ')?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        Some(match word {
            "" => Subject::Whole,
            COSIGNATURES => Subject::Cosignatures,
            ENTRIES => two().map(|(from, to)| Subject::Entries { from, to })?,
            CONSISTENCY => two().map(|(first, second)| Subject::Consistency { first, second })?,
            INCLUSION => two().map(|(index, size)| Subject::Inclusion { index, size })?,
            VERIFICATION => Subject::Verification { index: number()? },
            HEADS if rest.is_empty() => Subject::HeadList,
            HEADS => Subject::Unlisted { statement: Hash::from_hex(rest)? },
            RULE => {
                let (name, from) = match rest.split_once(FROM) {
                    Some((name, from)) => (name, Some(from.parse().ok()?)),
                    None => (rest, None),
                };
                Subject::Rule { name: name.to_owned(), from }
            }
            CONFIRMATION => Subject::Confirmation { id: rest.to_owned() },
            NONCE => Subject::Nonce { nonce: rest.to_owned() },
            _ => match (HeadFormat::from_text(text), TilePath::parse(text), text.split_once(AND)) {
                (Some(format), ..) => Subject::Served(format),
                (_, Ok(tile), _) => Subject::Tile(tile),
                (.., Some((a, b))) => Subject::Trees([SignedTree::read(a)?, SignedTree::read(b)?]),
                _ => Subject::Tree(SignedTree::read(text)?),
            },
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Whole => Ok(()),
            Subject::Served(format) => f.write_str(format.as_str()),
            Subject::Cosignatures => f.write_str(COSIGNATURES),
            Subject::Tree(tree) => tree.fmt(f),
            Subject::Trees([a, b]) => write!(f, "{a}{AND}{b}"),
            Subject::Entries { from, to } => write!(f, "{ENTRIES} {from} {to}"),
            Subject::Tile(tile) => tile.fmt(f),
            Subject::Consistency { first, second } => write!(f, "{CONSISTENCY} {first} {second}"),
            Subject::Inclusion { index, size } => write!(f, "{INCLUSION} {index} {size}"),
            Subject::Verification { index } => write!(f, "{VERIFICATION} {index}"),
            Subject::HeadList => f.write_str(HEADS),
            Subject::Unlisted { statement } => write!(f, "{HEADS} {statement}"),
            Subject::Rule { name, from: None } => write!(f, "{RULE} {name}"),
            Subject::Rule { name, from: Some(from) } => write!(f, "{RULE} {name}{FROM}{from}"),
            Subject::Confirmation { id } => write!(f, "{CONFIRMATION} {id}"),
            Subject::Nonce { nonce } => write!(f, "{NONCE} {nonce}"),
            Subject::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
