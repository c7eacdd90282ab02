//! Every lie of the approval service: its name, what it does, the reason of a gate, and the result of an audit after it.

use super::expected::{CLEAN, Expected, GateExpected, RUNS, invalid, refused};
use super::row::{Argument, Row};
use super::table::{both, plain, word};
use super::{Lie, ServiceLie as S, ServiceRequest};
use crate::error::TestlogError;

/// One signature stands twice in the log.
const REUSED: Expected = invalid(&["assertion-reused", "nonce-reused"]);

const fn row(
    (name, argument): (&'static str, Argument),
    does: &'static str,
    gate: GateExpected,
    audit: Expected,
    make: fn(&str) -> Result<Lie, TestlogError>,
) -> Row<Lie> {
    let [tiles, api] = both(audit);
    Row { name, argument, does, tiles, api, gate: Some(gate), make }
}

/// The lies of the approval service.
pub const SERVICE_LIES: &[Row<Lie>] = &[
    row(
        plain("own-passkey"),
        "approves with a passkey of the service's own, in the name of the person who was asked",
        GateExpected { pinned: true, ..refused("unverified") },
        CLEAN,
        |_| Ok(Lie::Service(S::OwnPasskey)),
    ),
    row(plain("other-payload"), "approves another payload", refused("mismatch"), CLEAN, |_| {
        Ok(Lie::Service(S::OtherPayload))
    }),
    row(plain("other-person"), "somebody else approves", refused("mismatch"), CLEAN, |_| {
        Ok(Lie::Service(S::OtherPerson))
    }),
    row(
        plain("other-id"),
        "the approval is in the log under another id, and the log answers with it",
        refused("mismatch"),
        CLEAN,
        |_| Ok(Lie::Service(S::OtherId)),
    ),
    row(
        plain("not-logged"),
        "answers approved, and nothing enters the log",
        refused("not-logged"),
        CLEAN,
        |_| Ok(Lie::Service(S::NotLogged)),
    ),
    row(
        plain("old-approval"),
        "logs an approval of the same payload, an hour old, again under the new id",
        refused("mismatch"),
        REUSED,
        |_| Ok(Lie::Service(S::OldApproval)),
    ),
    row(
        plain("old-bundle"),
        "logs nothing new: the log answers with an approval of the same payload, an hour old",
        refused("mismatch"),
        CLEAN,
        |_| Ok(Lie::Service(S::OldBundle)),
    ),
    row(
        plain("other-log"),
        "the log answers with the verification bundle of a log of another name and key, which has the approval",
        refused("unverified"),
        CLEAN,
        |_| Ok(Lie::Service(S::OtherLog)),
    ),
    row(
        plain("after-expiry"),
        "the entry says that it was decided a second after the confirmation expired",
        refused("mismatch"),
        CLEAN,
        |_| Ok(Lie::Service(S::AfterExpiry)),
    ),
    row(plain("other-hash"), "payloadHash is that of another payload", refused("mismatch"), CLEAN, |_| {
        Ok(Lie::Service(S::OtherHash))
    }),
    row(plain("never-decides"), "is pending for ever, whoever decides", refused("timed-out"), CLEAN, |_| {
        Ok(Lie::Service(S::NeverDecides))
    }),
    row(
        word("never-answers", "post"),
        "takes the request for an approval, and does not answer it",
        refused("unavailable"),
        CLEAN,
        |_| Ok(Lie::Service(S::NeverAnswers(ServiceRequest::Ask))),
    ),
    row(
        word("never-answers", "get"),
        "does not answer whoever waits for the decision",
        refused("unavailable"),
        CLEAN,
        |_| Ok(Lie::Service(S::NeverAnswers(ServiceRequest::Wait))),
    ),
    row(
        plain("changes-mind"),
        "answers approved, and the log says rejected",
        refused("unverified"),
        CLEAN,
        |_| Ok(Lie::Service(S::ChangesMind)),
    ),
    row(
        plain("entry-twice"),
        "logs each approval twice, under two ids; the action runs, and the audit finds it",
        RUNS,
        REUSED,
        |_| Ok(Lie::Service(S::EntryTwice)),
    ),
    row(
        plain("nonce-twice"),
        "all confirmations have the same nonce",
        GateExpected { runs: 2, ..refused("replayed") },
        REUSED,
        |_| Ok(Lie::Service(S::NonceTwice)),
    ),
    row(
        plain("unknown-status"),
        "an approval has the status granted, which is none",
        refused("unavailable"),
        CLEAN,
        |_| Ok(Lie::Service(S::UnknownStatus)),
    ),
    row(
        word("redirect", "post"),
        "redirects the request for an approval to another origin",
        refused("unavailable"),
        CLEAN,
        |_| Ok(Lie::Service(S::Redirect(ServiceRequest::Ask))),
    ),
    row(
        word("redirect", "get"),
        "redirects whoever waits for the decision to another origin",
        refused("unavailable"),
        CLEAN,
        |_| Ok(Lie::Service(S::Redirect(ServiceRequest::Wait))),
    ),
];
