//! Receipts (specification section 8): one entry with all that a check without the log needs.
//!
//! Three texts carry one: an `approval-receipt/v1`, a verification bundle as the JSON API gives it
//! (section 5), and a C2SP `.tlog-proof` whose `extra` is the leaf. Each becomes the same [`Receipt`].
//!
//! Reading proves nothing: [`crate::audit::receipt`] does. What was signed is kept byte for byte. The
//! leaf of the two JSON forms is the canonical form of their `entry` (section 2), so white space and
//! the order of members in them are free, and nothing else is.

use crate::core::api::Bundle;
use crate::core::encoding;
use crate::core::entry::{EntryJson, Unplaced};
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

/// Anchors in one receipt: a daily one for a year, and room.
const MAX_ANCHORS: usize = 1000;

/// Which of the three texts a receipt was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `approval-receipt/v1`.
    Receipt,
    /// What the JSON API gives as `entries/<id>/verification`.
    Bundle,
    /// A C2SP tlog-proof with the leaf as `extra`.
    TlogProof,
}

/// A receipt that was read. Everything in it is a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The text that it was, or is to be.
    pub form: Form,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// Where it is in the log, from 0.
    pub index: u64,
    /// The inclusion path.
    pub path: InclusionProof,
    /// The size of the tree that the path is in. Only a bundle says so; the path of the others is in
    /// the tree of the checkpoint.
    pub tree_size: Option<u64>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: Vec<u8>,
    /// The STH, verbatim, where there is one.
    pub sth: Option<Vec<u8>>,
    /// The public reveal (specification section 6), verbatim, where there is one.
    pub reveal: Option<Vec<u8>>,
    /// The array of anchors (specification section 7), verbatim: of the right form, and not verified.
    pub anchors: Vec<u8>,
    /// How many anchors those are.
    pub anchor_count: usize,
}

/// Why a text is no receipt. It may repeat parts of it and is not escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptError(pub String);

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReceiptError {}

/// Says so where line ends are all that is wrong: no line of a tlog-proof ends as its first does not.
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
    /// `null` is a text too, so that a missing member stays a missing member.
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
    /// Reads a receipt in whichever form it is.
    ///
    /// # Errors
    /// [`ReceiptError`]: it is none of the three, or longer than [`limits::MAX_RECEIPT`].
    pub fn parse(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
        Receipt::read(bytes).map(|(receipt, _)| receipt)
    }

    /// As [`Receipt::parse`], with the entry where reading the receipt has read it already.
    ///
    /// # Errors
    /// As [`Receipt::parse`].
    pub fn read(bytes: &[u8]) -> Result<(Receipt, Option<Unplaced>), ReceiptError> {
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
            Err(why) => match Bundle::read(bytes) {
                Ok(bundle) => read_bundle(bundle),
                // The member that only a bundle has tells which of the two it was meant to be.
                Err(other) if names_inclusion(bytes) => error(other),
                Err(_) => error(format!("not a receipt, a verification bundle or a tlog-proof: {why}")),
            },
        }
    }

    fn from_json(json: &ReceiptJson<'_>) -> Result<(Receipt, Option<Unplaced>), ReceiptError> {
        if json.r#type != RECEIPT_TYPE {
            return error(format!("type is not {RECEIPT_TYPE:?}"));
        }
        let (leaf, entry) = canonical_entry(json.entry.get().as_bytes())?;
        let proof = parse_proof(&json.tlog_proof)?;
        if proof.extra.as_ref().is_some_and(|extra| *extra != leaf) {
            return error("the tlogProof carries another leaf than the entry");
        }
        let present = |raw: &RawValue| (raw.get() != NULL).then(|| raw.get().as_bytes().to_vec());
        let receipt = Receipt {
            form: Form::Receipt,
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

    /// The receipt that a verification bundle is.
    ///
    /// # Errors
    /// [`ReceiptError`]: the bundle's parts are of different entries, or no JSON.
    pub fn from_bundle(bundle: Bundle) -> Result<Receipt, ReceiptError> {
        read_bundle(bundle).map(|(receipt, _)| receipt)
    }

    /// The receipt of a leaf in the tree of this checkpoint, without anchors.
    pub fn new(leaf: Vec<u8>, index: u64, path: InclusionProof, checkpoint: &Head) -> Receipt {
        Receipt {
            form: Form::Receipt,
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
            return error("the tlog-proof has no leaf: it must stand in the line \"extra\"");
        };
        if leaf.len() > limits::MAX_LEAF {
            return error("the leaf in the line \"extra\" is too long");
        }
        Ok(Receipt {
            form: Form::TlogProof,
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

    /// The receipt as `approval-receipt/v1`, its last newline included. `None` where a part that must
    /// be JSON or text is not, such as a leaf of a log that logs something else.
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

    /// The receipt as a C2SP tlog-proof with the leaf as `extra`: without STH, reveal and anchors.
    /// `None` where the checkpoint is no text.
    pub fn to_tlog_proof(&self) -> Option<String> {
        Some(self.proof(Some(self.leaf.clone()))?.to_text())
    }

    fn proof(&self, extra: Option<Vec<u8>>) -> Option<TlogProof> {
        let checkpoint = String::from_utf8(self.checkpoint.clone()).ok()?;
        Some(TlogProof { extra, index: self.index, path: self.path.clone(), checkpoint })
    }
}

fn read_bundle(bundle: Bundle) -> Result<(Receipt, Option<Unplaced>), ReceiptError> {
    if bundle.index != bundle.inclusion_index {
        let (a, b) = (bundle.index, bundle.inclusion_index);
        return error(format!("it is of entry {a}, with a proof of entry {b}"));
    }
    let (leaf, entry) = canonical_entry(&bundle.entry)?;
    let receipt = Receipt {
        form: Form::Bundle,
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

/// Whether a text that is no bundle was meant to be one.
fn names_inclusion(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        inclusion: Option<serde::de::IgnoredAny>,
    }
    object::from_slice::<Named>(bytes).is_ok_and(|named| named.inclusion.is_some())
}

/// JCS of an entry. The short way writes the members of an entry in their known order; only what is no
/// entry takes the general one, and is then found malformed as a leaf.
fn canonical_entry(entry: &[u8]) -> Result<(Vec<u8>, Option<Unplaced>), ReceiptError> {
    // Every character of a leaf can be escaped in six, and nothing makes an entry longer.
    if entry.len() > limits::MAX_LEAF.saturating_mul(6) {
        return error(format!("the entry is longer than any of {} bytes can be written", limits::MAX_LEAF));
    }
    let (leaf, read) = match object::from_slice::<EntryJson<'_>>(entry) {
        Ok(json) => (json.to_canonical(), Some(Unplaced::read(&json))),
        // The entry stands inside the object that is the receipt.
        Err(_) => {
            let leaf = jcs::canonicalize(entry, limits::MAX_JSON_DEPTH.saturating_sub(1));
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

/// Anchors are closed objects like all others; what is in them is for somebody else to verify.
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
