//! Misbehaviour files: proof that a log key signed contradictory statements (specification
//! section 11).
//!
//! A file that verifies proves exactly one sentence to anybody who has the log's public key, without this program or the
//! log: *no single append-only log could have signed both of these heads*. It does not prove who was shown which head, nor
//! when: `context` is an unsigned statement by the observer.

use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::{Head, HeadFormat, LogKey};
use crate::core::jcs::Json;
use crate::core::limits;
use crate::core::object::{self, present};
use crate::core::proof::rebuild_consistency;
use crate::core::text;
use crate::core::time::whole_millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `type` of a misbehaviour file.
pub const MISBEHAVIOUR_TYPE: &str = "approval-log-misbehaviour/v1";

/// The contradictions that two heads can prove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EvidenceKind {
    /// Two roots for one size.
    SameSizeFork,
    /// The smaller head is not a prefix of the larger one.
    InconsistentHeads,
    /// An STH of a smaller size that is later by more than the clocks of signers may differ.
    SthTimeContradiction,
}

impl EvidenceKind {
    /// The code of the finding that it proves.
    pub fn code(self) -> Code {
        match self {
            EvidenceKind::SameSizeFork => Code::SameSizeFork,
            EvidenceKind::InconsistentHeads => Code::InconsistentHeads,
            EvidenceKind::SthTimeContradiction => Code::SthTimeContradiction,
        }
    }

    /// The word in the file, which is that code.
    pub fn as_str(self) -> &'static str {
        self.code().as_str()
    }

    fn from_text(text: &str) -> Option<EvidenceKind> {
        [EvidenceKind::SameSizeFork, EvidenceKind::InconsistentHeads, EvidenceKind::SthTimeContradiction]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MisbehaviourJson {
    r#type: String,
    kind: String,
    origin: String,
    heads: Vec<String>,
    #[serde(deserialize_with = "present")]
    nodes: Option<Vec<String>>,
    context: serde_json::Map<String, serde_json::Value>,
}

/// A verified contradiction. Only [`verify`] constructs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misbehaviour {
    kind: EvidenceKind,
    smaller: Head,
    larger: Head,
}

impl Misbehaviour {
    /// The kind of contradiction.
    pub fn kind(&self) -> EvidenceKind {
        self.kind
    }

    /// The two heads, smaller size first.
    pub fn heads(&self) -> (&Head, &Head) {
        (&self.smaller, &self.larger)
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (small, large) = (&self.smaller, &self.larger);
        match self.kind {
            EvidenceKind::SameSizeFork => write!(
                f,
                "the log key signed two trees of size {}: one with root {}, one with root {}",
                small.size(),
                small.root(),
                large.root()
            ),
            EvidenceKind::InconsistentHeads => write!(
                f,
                "the log key signed size {} with root {}, and size {} with root {}, whose first {} entries have another root",
                small.size(),
                small.root(),
                large.size(),
                large.root(),
                small.size()
            ),
            EvidenceKind::SthTimeContradiction => write!(
                f,
                "the log key signed size {} at time {:?}, and the smaller size {} at the later time {:?}",
                large.size(),
                large.timestamp().unwrap_or_default().get(),
                small.size(),
                small.timestamp().unwrap_or_default().get()
            ),
        }
    }
}

/// Why a file proves nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvidenceError {
    /// It is not a misbehaviour file.
    Malformed(String),
    /// It is a misbehaviour file, but does not prove what it claims.
    NotProved(String),
    /// Two implementations disagree about a signature.
    Disagreement(String),
    /// The file could not be written as JSON: a local fault.
    Encoding(String),
}

impl std::error::Error for EvidenceError {}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvidenceError::Malformed(why) => write!(f, "not a misbehaviour file: {why}"),
            EvidenceError::NotProved(why) => write!(f, "it does not prove what it says: {why}"),
            EvidenceError::Disagreement(what) => f.write_str(what),
            EvidenceError::Encoding(why) => write!(f, "the misbehaviour file could not be written: {why}"),
        }
    }
}

/// Writes a misbehaviour file and verifies it as a stranger would.
///
/// # Errors
/// As [`make`] and [`verify`].
pub fn prove(
    kind: EvidenceKind,
    heads: [&Head; 2],
    nodes: Option<&[Hash]>,
    context: &[(&str, String)],
    key: &LogKey,
) -> Result<(Vec<u8>, Misbehaviour), EvidenceError> {
    let file = make(kind, heads, nodes, context)?;
    let proved = verify(&file, key)?;
    Ok((file, proved))
}

/// Writes a misbehaviour file without checking it. [`prove`] is the function for a file that will be reported.
///
/// # Errors
/// [`EvidenceError::Encoding`]: the file could not be written as JSON.
pub fn make(
    kind: EvidenceKind,
    heads: [&Head; 2],
    nodes: Option<&[Hash]>,
    context: &[(&str, String)],
) -> Result<Vec<u8>, EvidenceError> {
    let [a, b] = heads;
    let (smaller, larger) = if a.size() <= b.size() { (a, b) } else { (b, a) };
    let file = MisbehaviourJson {
        r#type: MISBEHAVIOUR_TYPE.to_owned(),
        kind: kind.as_str().to_owned(),
        origin: smaller.origin().to_owned(),
        heads: vec![smaller.raw().to_owned(), larger.raw().to_owned()],
        nodes: nodes.map(|nodes| nodes.iter().map(Hash::to_string).collect()),
        context: context.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect(),
    };
    let encoded = serde_json::to_vec_pretty(&file);
    let mut bytes = encoded.map_err(|error| EvidenceError::Encoding(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Checks a misbehaviour file with the log's key. The caller provides the key, because a key in the file would prove
/// nothing.
///
/// # Errors
/// [`EvidenceError`]: the file is malformed, or does not prove what it says.
pub fn verify(bytes: &[u8], key: &LogKey) -> Result<Misbehaviour, EvidenceError> {
    let file = parse(bytes)?;
    let kind = EvidenceKind::from_text(&file.kind)
        .ok_or_else(|| EvidenceError::Malformed(format!("unknown kind {:?}", file.kind)))?;
    if file.origin != key.origin() {
        let why = format!("it accuses {:?}, but the key is that of {:?}", file.origin, key.origin());
        return Err(EvidenceError::NotProved(why));
    }
    let [smaller, larger] = file.heads.as_slice() else {
        return Err(EvidenceError::Malformed("there must be exactly two heads".to_owned()));
    };
    let (smaller, larger) = (verify_head("first", smaller, key)?, verify_head("second", larger, key)?);
    match (kind, &file.nodes) {
        (EvidenceKind::SameSizeFork, None) => check_fork(&smaller, &larger)?,
        (EvidenceKind::SthTimeContradiction, None) => check_times(&smaller, &larger)?,
        (EvidenceKind::InconsistentHeads, Some(nodes)) => check_nodes(&smaller, &larger, nodes)?,
        (EvidenceKind::InconsistentHeads, None) => return not_proved("nodes are missing"),
        (_, Some(_)) => return Err(EvidenceError::Malformed("nodes do not belong to this kind".to_owned())),
    }
    Ok(Misbehaviour { kind, smaller, larger })
}

fn parse(bytes: &[u8]) -> Result<MisbehaviourJson, EvidenceError> {
    if bytes.len() > limits::MAX_EVIDENCE {
        return Err(EvidenceError::Malformed("it is too long".to_owned()));
    }
    if text::is_utf16(bytes) {
        return Err(EvidenceError::Malformed(text::UTF_16.to_owned()));
    }
    // The strict parser comes first: it also refuses repeated names and deep nesting inside `context`.
    Json::parse(bytes, limits::MAX_JSON_DEPTH)
        .map_err(|error| EvidenceError::Malformed(error.to_string()))?;
    let file: MisbehaviourJson =
        object::from_slice(bytes).map_err(|error| EvidenceError::Malformed(error.to_string()))?;
    if file.r#type != MISBEHAVIOUR_TYPE {
        return Err(EvidenceError::Malformed(format!("type is not {MISBEHAVIOUR_TYPE:?}")));
    }
    Ok(file)
}

fn not_proved<T>(why: &str) -> Result<T, EvidenceError> {
    Err(EvidenceError::NotProved(why.to_owned()))
}

fn verify_head(which: &str, raw: &str, key: &LogKey) -> Result<Head, EvidenceError> {
    use crate::core::head::HeadError;
    Head::verify(raw.as_bytes(), key).map_err(|error| match error {
        HeadError::Disagreement(what) => EvidenceError::Disagreement(what),
        other => EvidenceError::NotProved(format!("the {which} head: {other}")),
    })
}

fn check_fork(a: &Head, b: &Head) -> Result<(), EvidenceError> {
    if a.size() != b.size() {
        return not_proved("the sizes differ");
    }
    if a.root() == b.root() {
        return not_proved("the roots are the same");
    }
    Ok(())
}

fn check_times(smaller: &Head, larger: &Head) -> Result<(), EvidenceError> {
    if smaller.format() != HeadFormat::Sth || larger.format() != HeadFormat::Sth {
        return not_proved("both heads must be STHs: a checkpoint has no time");
    }
    if smaller.size() >= larger.size() {
        return not_proved("the first head is not the smaller one");
    }
    let (Some(time), Some(before)) = (smaller.timestamp(), larger.timestamp()) else {
        return not_proved("a head has no time");
    };
    // An earlier time counts as a difference of 0.
    match time.since(before).unwrap_or_default() {
        by if by.is_zero() => not_proved("the smaller head is not the later one"),
        by if by <= limits::MAX_SIGNER_SKEW => {
            let why = format!(
                "the smaller head is later by {} ms; the clocks of a log's signers may differ by {} ms",
                whole_millis(by),
                whole_millis(limits::MAX_SIGNER_SKEW)
            );
            Err(EvidenceError::NotProved(why))
        }
        _ => Ok(()),
    }
}

fn check_nodes(smaller: &Head, larger: &Head, nodes: &[String]) -> Result<(), EvidenceError> {
    if smaller.size() == 0 || smaller.size() >= larger.size() {
        return not_proved("the first head is not the smaller one, or is empty");
    }
    let nodes: Option<Vec<Hash>> = nodes.iter().map(|node| Hash::from_hex(node)).collect();
    let nodes =
        nodes.ok_or_else(|| EvidenceError::Malformed("a node is not 64 lowercase hex digits".to_owned()))?;
    let (old_root, new_root) = rebuild_consistency(smaller.size(), larger.size(), &nodes)
        .map_err(|error| EvidenceError::NotProved(format!("the nodes: {error}")))?;
    if new_root != larger.root() {
        return not_proved("the nodes do not rebuild the larger head's root");
    }
    if old_root == smaller.root() {
        return not_proved("the nodes rebuild the smaller head's root too: the heads are consistent");
    }
    Ok(())
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
