//! Receipts (specification section 8): one entry with everything needed to check it without the log.
//!
//! A receipt has three formats: `approval-receipt/v1`, a verification bundle of the JSON API (section 5), and a C2SP
//! `.tlog-proof` with the leaf as `extra`. All are parsed into the same [`Receipt`].
//!
//! Parsing proves nothing; [`crate::audit::receipt`] checks a receipt. Signed parts are kept byte for byte. In the two JSON
//! formats the leaf is the canonical form of their `entry` (section 2), so only white space and the order of members are
//! free.

use crate::core::api::VerificationBundle;
use crate::core::encoding;
use crate::core::entry::{EntryJson, OriginUncheckedReading};
use crate::core::head::Head;
use crate::core::jcs;
use crate::core::limits;
use crate::core::object::{self, AtMost, Object};
use crate::core::proof::InclusionProof;
use crate::core::text;
use crate::core::tlog_proof::{self, TlogProof};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// `type` of a receipt.
pub const RECEIPT_TYPE: &str = "approval-receipt/v1";

/// `type` of an anchor (specification section 7).
const ANCHOR_TYPE: &str = "approval-log-anchor/v1";

/// Anchors in one receipt: a daily anchor for a year, with room for more.
const MAX_ANCHORS: usize = 1000;

/// An entry in bytes: each character of a leaf takes at most six when escaped, and nothing else makes an entry longer.
const MAX_ESCAPED_ENTRY: usize = 6 * limits::MAX_LEAF;

/// Nesting of an entry, which is inside the object that is the receipt.
const MAX_ENTRY_DEPTH: usize = limits::MAX_JSON_DEPTH - 1;

/// The format of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptForm {
    /// `approval-receipt/v1`.
    Receipt,
    /// The response of the JSON API to `entries/<id>/verification`.
    Bundle,
    /// A C2SP tlog-proof with the leaf as `extra`.
    TlogProof,
}

/// A parsed receipt. Nothing in it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The format in which it was read or will be written.
    pub form: ReceiptForm,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The leaf's index in the log, from 0.
    pub index: u64,
    /// The inclusion path.
    pub path: InclusionProof,
    /// The size of the tree of the path. Only a bundle states it; in the other formats it is the tree of the checkpoint.
    pub tree_size: Option<u64>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
    /// The STH, verbatim, if there is one.
    pub sth: Option<Vec<u8>>,
    /// The public reveal (specification section 6), verbatim, if there is one.
    pub reveal: Option<Vec<u8>>,
    /// The array of anchors (specification section 7), verbatim. Well-formed, but not verified.
    pub anchors: Vec<u8>,
    /// The number of anchors.
    pub anchor_count: usize,
}

/// Why a text is not a receipt. The message may repeat parts of the text and is not escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptError(pub String);

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReceiptError {}

/// Parses a tlog-proof. If it has CRLF line ends, the error says so, because they alone make the first line wrong.
fn parse_proof(text: &str) -> Result<TlogProof, ReceiptError> {
    TlogProof::parse(text).map_err(|why| match text.contains("\r\n") {
        true => ReceiptError(format!("{why}: {}", text::CRLF)),
        false => ReceiptError(why.to_string()),
    })
}

fn error<T>(why: impl fmt::Display) -> Result<T, ReceiptError> {
    Err(ReceiptError(why.to_string()))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReceiptJson<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    entry: &'a RawValue,
    #[serde(borrow)]
    tlog_proof: Cow<'a, str>,
    /// As raw text, `null` is a value, so a missing member is still an error.
    #[serde(borrow)]
    sth: &'a RawValue,
    #[serde(borrow)]
    reveal: &'a RawValue,
    #[serde(borrow)]
    anchors: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnchorJson<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    tree_size: u64,
    #[serde(borrow)]
    ots: Cow<'a, str>,
}

const NULL: &str = "null";

impl Receipt {
    /// Parses a receipt in any of the three formats.
    ///
    /// # Errors
    /// [`ReceiptError`]: it is in none of them, or longer than [`limits::MAX_RECEIPT`].
    pub fn parse(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
        Receipt::read(bytes).map(|(receipt, _)| receipt)
    }

    /// Like [`Receipt::parse`]; also returns the entry if it was parsed on the way.
    ///
    /// # Errors
    /// As [`Receipt::parse`].
    pub fn read(bytes: &[u8]) -> Result<(Receipt, Option<OriginUncheckedReading>), ReceiptError> {
        if bytes.len() > limits::MAX_RECEIPT {
            return error(format!("longer than the {} bytes that a receipt may have", limits::MAX_RECEIPT));
        }
        if text::is_utf16(bytes) {
            return error(text::UTF_16);
        }
        if bytes.starts_with(tlog_proof::PREFIX) {
            return Ok((Receipt::parse_tlog_proof(bytes)?, None));
        }
        match object::from_slice::<ReceiptJson<'_>>(bytes) {
            Ok(json) => Receipt::from_json(&json),
            Err(why) => match VerificationBundle::read(bytes) {
                Ok(bundle) => read_bundle(bundle),
                // Only a bundle has this member, so the error is about a bundle.
                Err(other) if names_inclusion(bytes) => error(other),
                Err(_) => error(format!("not a receipt, a verification bundle or a tlog-proof: {why}")),
            },
        }
    }

    fn from_json(json: &ReceiptJson<'_>) -> Result<(Receipt, Option<OriginUncheckedReading>), ReceiptError> {
        if json.r#type != RECEIPT_TYPE {
            return error(format!("type is not {RECEIPT_TYPE:?}"));
        }
        let (leaf, entry) = canonical_entry(json.entry.get().as_bytes())?;
        let proof = parse_proof(&json.tlog_proof)?;
        if proof.extra.as_ref().is_some_and(|extra| *extra != leaf) {
            return error("the tlogProof has a different leaf than the entry");
        }
        let present = |raw: &RawValue| (raw.get() != NULL).then(|| raw.get().as_bytes().to_vec());
        let receipt = Receipt {
            form: ReceiptForm::Receipt,
            leaf,
            index: proof.index,
            path: proof.path,
            tree_size: None,
            checkpoint: proof.checkpoint.into_bytes(),
            sth: present(json.sth),
            reveal: present(json.reveal),
            anchors: json.anchors.get().as_bytes().to_vec(),
            anchor_count: count_anchors(json.anchors.get().as_bytes())?,
        };
        Ok((receipt, entry))
    }

    /// Converts a verification bundle.
    ///
    /// # Errors
    /// [`ReceiptError`]: the bundle's parts belong to different entries, or are not JSON.
    pub fn from_bundle(bundle: VerificationBundle) -> Result<Receipt, ReceiptError> {
        read_bundle(bundle).map(|(receipt, _)| receipt)
    }

    /// A receipt for a leaf in the tree of this checkpoint, without STH, reveal and anchors.
    pub fn new(leaf: Vec<u8>, index: u64, path: InclusionProof, checkpoint: &Head) -> Receipt {
        Receipt {
            form: ReceiptForm::Receipt,
            leaf,
            index,
            path,
            tree_size: None,
            checkpoint: checkpoint.raw().as_bytes().to_vec(),
            sth: None,
            reveal: None,
            anchors: b"[]".to_vec(),
            anchor_count: 0,
        }
    }

    fn parse_tlog_proof(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
        let Ok(text) = std::str::from_utf8(bytes) else { return error("the tlog-proof is not UTF-8") };
        let proof = parse_proof(text)?;
        let Some(leaf) = proof.extra else {
            return error("the tlog-proof has no leaf: it must be in the line \"extra\"");
        };
        if leaf.len() > limits::MAX_LEAF {
            return error("the leaf in the line \"extra\" is too long");
        }
        Ok(Receipt {
            form: ReceiptForm::TlogProof,
            leaf,
            index: proof.index,
            path: proof.path,
            tree_size: None,
            checkpoint: proof.checkpoint.into_bytes(),
            sth: None,
            reveal: None,
            anchors: b"[]".to_vec(),
            anchor_count: 0,
        })
    }

    /// The receipt as `approval-receipt/v1`, with a final newline. `None` if a part that must be JSON or text is not, such as
    /// a leaf of a log of another kind.
    pub fn to_json(&self) -> Option<String> {
        let raw = |bytes: &[u8]| RawValue::from_string(String::from_utf8(bytes.to_vec()).ok()?).ok();
        let (entry, anchors) = (raw(&self.leaf)?, raw(&self.anchors)?);
        let sth = raw(self.sth.as_deref().unwrap_or(NULL.as_bytes()))?;
        let reveal = raw(self.reveal.as_deref().unwrap_or(NULL.as_bytes()))?;
        let json = ReceiptJson {
            r#type: RECEIPT_TYPE.into(),
            entry: &entry,
            tlog_proof: self.proof(None)?.to_text().into(),
            sth: &sth,
            reveal: &reveal,
            anchors: &anchors,
        };
        let mut text = serde_json::to_string(&json).ok()?;
        text.push('\n');
        Some(text)
    }

    /// The receipt as a C2SP tlog-proof with the leaf as `extra`, without STH, reveal and anchors. `None` if the checkpoint is
    /// not UTF-8.
    pub fn to_tlog_proof(&self) -> Option<String> {
        Some(self.proof(Some(self.leaf.clone()))?.to_text())
    }

    fn proof(&self, extra: Option<Vec<u8>>) -> Option<TlogProof> {
        let checkpoint = String::from_utf8(self.checkpoint.clone()).ok()?;
        Some(TlogProof { extra, index: self.index, path: self.path.clone(), checkpoint })
    }
}

fn read_bundle(
    bundle: VerificationBundle,
) -> Result<(Receipt, Option<OriginUncheckedReading>), ReceiptError> {
    if bundle.index != bundle.inclusion_index {
        let (a, b) = (bundle.index, bundle.inclusion_index);
        return error(format!("it is for entry {a}, but its proof is for entry {b}"));
    }
    let (leaf, entry) = canonical_entry(&bundle.entry)?;
    let receipt = Receipt {
        form: ReceiptForm::Bundle,
        leaf,
        index: bundle.index,
        path: bundle.proof,
        tree_size: Some(bundle.tree_size),
        checkpoint: bundle.checkpoint,
        sth: Some(bundle.sth),
        reveal: bundle.reveal,
        anchor_count: count_anchors(&bundle.anchors)?,
        anchors: bundle.anchors,
    };
    Ok((receipt, entry))
}

/// Whether a text that is not a bundle was meant to be one.
fn names_inclusion(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        inclusion: Option<serde::de::IgnoredAny>,
    }
    object::from_slice::<Named>(bytes).is_ok_and(|named| named.inclusion.is_some())
}

/// JCS of an entry. An entry's members are written in their known order. Other JSON goes through the general canonicalizer,
/// and is then reported as a malformed leaf.
fn canonical_entry(entry: &[u8]) -> Result<(Vec<u8>, Option<OriginUncheckedReading>), ReceiptError> {
    if entry.len() > MAX_ESCAPED_ENTRY {
        return error(format!(
            "the entry is longer than any JSON form of an entry of {} bytes",
            limits::MAX_LEAF
        ));
    }
    let (leaf, read) = match object::from_slice::<EntryJson<'_>>(entry) {
        Ok(json) => (json.to_canonical(), Some(OriginUncheckedReading::read(&json))),
        Err(_) => {
            let leaf = jcs::canonicalize(entry, MAX_ENTRY_DEPTH);
            let leaf = leaf.map_err(|why| ReceiptError(format!("the entry: {why}")))?;
            if object::from_slice::<EntryJson<'_>>(&leaf).is_ok() {
                return error("the entry has an integer with a fraction or an exponent");
            }
            (leaf, None)
        }
    };
    if leaf.len() > limits::MAX_LEAF {
        return error(format!("the entry is longer than {} bytes", limits::MAX_LEAF));
    }
    Ok((leaf, read))
}

/// Counts the anchors, which are closed objects. They are not verified.
fn count_anchors(json: &[u8]) -> Result<usize, ReceiptError> {
    let AtMost(anchors) = serde_json::from_slice::<AtMost<Object<AnchorJson<'_>>, MAX_ANCHORS>>(json)
        .map_err(|why| ReceiptError(format!("the anchors: {why}")))?;
    for Object(anchor) in &anchors {
        let well = anchor.r#type == ANCHOR_TYPE
            && anchor.kind == "ots"
            && anchor.tree_size <= limits::MAX_INTEGER
            && encoding::decode_base64(&anchor.ots).is_some();
        if !well {
            return error("an anchor is not an \"approval-log-anchor/v1\" of kind \"ots\"");
        }
    }
    Ok(anchors.len())
}
