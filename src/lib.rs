//! countersign: the independent auditor for approval transparency logs.
//!
//! An approval log says: *this person approved exactly this payload, with this passkey, and
//! everybody can see it*. This crate checks that a log keeps that promise, from the log's bytes and
//! from keys that the person who runs it brings along.
//!
//! # What an audit proves
//!
//! - Every entry up to the signed head is served, and hashes to the root that the log key signed.
//! - Every signed head ever seen belongs to one append-only history; where two do not, there is a
//!   file that proves it to anybody.
//! - Every approval carries a passkey assertion that verifies, over this nonce and this payload
//!   hash, for the pinned relying party, on an allowed origin, with the person verified.
//! - No id, nonce or assertion stands twice, and no passkey signs for two approvers.
//! - Where a witness policy is given: so many witnesses cosigned the newest checkpoint as it asks for.
//!
//! # What it does not prove
//!
//! What the approver saw on the screen; who holds a passkey (pin keys for that); that an approved
//! action ran, or ran once; that the log shows everybody the same (compare heads with peers for
//! that); that an approval that was never logged does not exist.
//!
//! # Check a receipt
//!
//! A pure function: no file, no network, no clock of its own. [`verify_receipt`] says what each verdict means.
//!
//! ```rust
//! use countersign::{Expectation, LogKey, Payload, TrustPolicy, UnixMillis, verify_receipt};
//! use std::time::{SystemTime, UNIX_EPOCH};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Whom you trust. Never taken from a receipt.
//!     let key = "log.approvals.example/2026+9978b3d0+AaRzICHzMeGTiBChYq8/zJub2Q6ZCWwzLfgLcAHvPG2u";
//!     let trust = TrustPolicy::new(LogKey::parse(key)?, "approvals.example", "https://approvals.example");
//!
//!     // The bytes that you are about to act with, and who must have approved them.
//!     let arguments = std::fs::read("fixtures/receipts/good-payload.payload")?;
//!     let expected = Expectation {
//!         payload: Some(Payload::Bytes(&arguments)),
//!         approvers: &["bruna"],
//!         ..Expectation::default()
//!     };
//!
//!     let receipt = std::fs::read("fixtures/receipts/good-payload.json")?;
//!     let now = UnixMillis::new(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?);
//!     let verdict = verify_receipt(&receipt, &trust, &expected, now);
//!     if !verdict.is_clean() {
//!         return Err(format!("not approved: {verdict:#?}").into());
//!     }
//!     // Only here: look `verdict.nonce` up among those that you acted on, write it down, and act, with `arguments`.
//!     Ok(())
//! }
//! ```
//!
//! # Audit a log
//!
//! With the feature `audit`. The log below is a directory; a URL is read in the same way. It prints nothing, and several can
//! run at once, each with a mirror of its own.
//!
#![cfg_attr(feature = "audit", doc = "```rust")]
#![cfg_attr(not(feature = "audit"), doc = "```rust,ignore")]
//! use countersign::Conclusion;
//! use countersign::config::Given;
//! use countersign::run::Silent;
//! use countersign::service::{AuditSpec, SystemClock, audit, note_told};
//! use countersign::source::Stop;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let spec = AuditSpec::of(Given {
//!         log: Some("fixtures/demo".to_owned()),
//!         db: Some(folder.path().join("demo.db")),
//!         // The first time alone: a mirror that is gone later is a fault, and no fresh start.
//!         init: true,
//!         log_key: Some(
//!             "log.approvals.example/demo+8510316a+AW1WNZCZA1cmce/hLEL8UdRcAicdDrQ7a0EjMoTz7QD2".to_owned(),
//!         ),
//!         rp_id: Some("approvals.example".to_owned()),
//!         allow_origin: vec!["https://approvals.example".to_owned()],
//!         ..Given::default()
//!     })?;
//!     let report = audit(&spec, &SystemClock::default(), &Stop::default(), &Silent)?;
//!     assert_eq!(report.verdict(), Conclusion::Clean);
//!     assert_eq!(report.input().entries.total, 800);
//!     // Once somebody has read it.
//!     note_told(&spec, &report)?;
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! | question | answer |
//! |---|---|
//! | how is an entry's signature verified? | [`core::webauthn::assertion`] |
//! | how is a head held against older heads? | `run::kept` |
//! | what makes the exit code 3? | [`audit::conclusion`], and `Report::verdict` in `report` |
//! | how is a webhook signed? | `alerts::webhook` |
//! | where is an approval consumed, once? | `gate::journal`, in its file `steps` |
//! | what does a new finding code need? | [`docs::contributing`] |
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | none | `spec`, `docs`, `core` and `audit`: what is pure, without SQLite, HTTP or an async runtime |
//! | `audit` | all others but `monitor` and `cli` |
//! | `cli`, on by default | these two as well, and the programs |
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | the wire format, as documentation |
//! | [`core`] | pure: hashes, trees, proofs, notes, heads, witnesses, JSON, entries, passkeys, evidence, the API's wire |
//! | [`audit`] | pure: what is wrong with an entry, across entries, between heads, in a receipt; what watch rules watch for |
//! | `config` | settings: what was given, a config in TOML, defaults |
//! | `source` | the log as served: tiles in a directory or over HTTP, or a JSON API; the heads that peers have |
//! | `mirror` | the auditor's copy in SQLite; the only SQL but for the gate's journal |
//! | `run` | one audit, or one of heads alone: where source, checks, peers and mirror meet |
//! | `gate` | asks a person, verifies the answer, lets an action run once; the journal of it, in SQLite |
//! | `report` | one value, as text and JSON |
//! | `alerts` | who is notified of what, once, out of the mirror's outbox |
//! | `service` | what a program calls: an audit, receipts, heads, the logs of a monitor |
//! | `monitor` | audits again and again; metrics, health, the history of heads |
//! | `cli` | arguments, commands |
//! | [`docs`] | the guide, which `countersign help` shows as well |
//! | `src/python`, `src/typescript` | packages for programs in these languages, which start `countersign gate` |
//!
//! `core` and `docs` import nothing of ours; `audit` and `source` import `core`; `config`, `mirror` and `report` import
//! `core` and `audit`; `run` and `gate` import those but `config` and `report`, and not each other; `alerts` imports
//! all of these but `run`, `gate` and `config`; `service` imports all of these; `monitor` imports `service` as well;
//! `cli` imports all, and nothing imports `cli`. No two files import each other. Tests (`tests/library/imports.rs`,
//! `cycles.rs`) keep that.

#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc)]
// What came from outside must not be able to panic us. Tests may.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

#[cfg(feature = "audit")]
pub mod alerts;
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "audit")]
pub mod config;
pub mod core;
pub mod docs;
#[cfg(feature = "audit")]
pub mod gate;
#[cfg(feature = "audit")]
pub mod mirror;
#[cfg(feature = "cli")]
pub mod monitor;
#[cfg(feature = "audit")]
pub mod report;
#[cfg(feature = "audit")]
pub mod run;
#[cfg(feature = "audit")]
pub mod service;
#[cfg(feature = "audit")]
pub mod source;
pub mod spec;

pub use audit::conclusion::Conclusion;
pub use audit::receipt::verify_receipt;
pub use audit::trust::{Expectation, TrustPolicy};
pub use audit::verdict::Verdict;
pub use core::hash::Hash;
pub use core::head::LogKey;
pub use core::payload::Payload;
pub use core::time::UnixMillis;
pub use core::tlog_policy::TlogPolicy;
