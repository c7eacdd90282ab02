//! Every lie: its name, its argument, what it does, and the expected result of the audit.

use super::super::request::ResourceKind;
use super::expected::{CLEAN, Expected, INCOMPLETE, invalid, violation};
use super::row::{Argument, Row};
use super::{ContentLie as C, HistoryLie as H, Lie, ResourceKinds, TransportLie as T};
use crate::error::TestlogError;

const fn row(
    (name, argument): (&'static str, Argument),
    does: &'static str,
    [tiles, api]: [Option<Expected>; 2],
    make: fn(&str) -> Result<Lie, TestlogError>,
) -> Row<Lie> {
    Row { name, argument, does, tiles, api, gate: None, make }
}

pub(super) const fn word(name: &'static str, word: &'static str) -> (&'static str, Argument) {
    (name, Argument::Word(word))
}

pub(super) const fn plain(name: &'static str) -> (&'static str, Argument) {
    (name, Argument::None)
}

const fn value(
    name: &'static str,
    argument: &'static str,
    default: &'static str,
) -> (&'static str, Argument) {
    (name, Argument::Value(argument, default))
}

const fn entries(name: &'static str) -> (&'static str, Argument) {
    value(name, "KIND", "entries")
}

const fn head(name: &'static str) -> (&'static str, Argument) {
    value(name, "KIND", "head")
}

/// The same result for both interfaces.
pub(super) const fn both(expected: Expected) -> [Option<Expected>; 2] {
    [Some(expected), Some(expected)]
}

const fn api(expected: Expected) -> [Option<Expected>; 2] {
    [None, Some(expected)]
}

const ROOT: Expected = invalid(&["root-mismatch"]);
const GAP: Expected = invalid(&["gap"]);
const PROOF: Expected = invalid(&["proof-invalid"]);
const MALFORMED: Expected = invalid(&["head-malformed"]);
const BAD_SIGNATURE: Expected = invalid(&["head-signature-invalid"]);
const FORK: Expected = violation(&["same-size-fork"], &["same-size-fork"]);
const TIME: &[&str] = &["sth-time-contradiction"];

/// Options with which warnings count.
const STRICT: &[&str] = &["--max-head-age", "36h", "--deny-warnings"];

const HEAD: ResourceKinds = ResourceKinds::Only(ResourceKind::Head);
const ENTRIES: ResourceKinds = ResourceKinds::Only(ResourceKind::Entries);
const PROOFS: ResourceKinds = ResourceKinds::Only(ResourceKind::Proofs);

fn number(text: &str) -> Result<u64, TestlogError> {
    text.parse().map_err(|_| format!("{text:?} is not a number").into())
}

fn history(lie: fn(u64) -> H, argument: &str) -> Result<Lie, TestlogError> {
    Ok(Lie::History(lie(number(argument)?)))
}

fn content(lie: fn(u64) -> C, argument: &str) -> Result<Lie, TestlogError> {
    Ok(Lie::Content(lie(number(argument)?)))
}

fn sent(lie: T, kinds: &str) -> Result<Lie, TestlogError> {
    Ok(Lie::Transport(lie, ResourceKinds::parse(kinds)?))
}

/// The lies.
pub const LIES: &[Row<Lie>] = &[
    row(
        value("fork-by-client", "TEXT", "mallory"),
        "clients whose User-Agent contains TEXT see a history of the same size with another entry in the middle; \
         each auditor alone finds it clean, and a same-size-fork once they exchange heads",
        both(CLEAN),
        |text| Ok(Lie::History(H::ForkByClient(text.to_owned()))),
    ),
    row(
        value("fork-at", "SIZE", "half"),
        "from phase 2 on heads of the same size have another root: the histories diverge at entry SIZE",
        both(FORK.second()),
        |text| Ok(Lie::History(H::ForkAt(if text == "half" { None } else { Some(number(text)?) }))),
    ),
    row(
        value("rewrite", "INDEX", "0"),
        "from phase 2 on the log has one entry more, and entry INDEX was replaced",
        both(violation(&["inconsistent-heads"], &["inconsistent-heads"]).second()),
        |text| history(H::Rewrite, text),
    ),
    row(
        value("rollback", "COUNT", "10"),
        "from phase 2 on the log serves a head of COUNT entries fewer, properly signed before the first, which is dated \
         two hours ago; a replica of the JSON API may do that, so there it is undecided for an hour and a head-rollback \
         from then on",
        [Some(invalid(&["head-rollback"]).second()), Some(INCOMPLETE.second())],
        |text| history(H::Rollback, text),
    ),
    row(
        value("shrink", "COUNT", "10"),
        "from phase 2 on the log serves a head of COUNT entries fewer that is dated later, by more than a minute",
        [
            Some(violation(&["head-rollback", "sth-time-contradiction"], TIME).second()),
            Some(violation(&["head-rollback", "sth-time-contradiction"], TIME).second()),
        ],
        |text| history(H::Shrink, text),
    ),
    row(
        value("frozen", "HOURS", "72"),
        "the head is dated HOURS ago and never moves, although entries are added",
        both(invalid(&["head-stale"]).with(STRICT)),
        |text| history(H::Frozen, text),
    ),
    row(
        plain("head-disagree"),
        "the STH and the checkpoint are of the same size and name two roots",
        both(FORK),
        |_| Ok(Lie::History(H::HeadDisagree)),
    ),
    row(
        plain("wrong-key"),
        "heads are signed by another key under the same name",
        both(BAD_SIGNATURE),
        |_| Ok(Lie::History(H::WrongKey)),
    ),
    row(
        plain("key-swap"),
        "from phase 2 on heads are signed by another key under the same name",
        both(BAD_SIGNATURE.second()),
        |_| Ok(Lie::History(H::KeySwap)),
    ),
    row(
        value("future", "HOURS", "24"),
        "the STH is dated HOURS ahead",
        both(invalid(&["head-in-future"]).with(STRICT)),
        |text| history(H::Future, text),
    ),
    row(word("no-head", "404"), "heads are answered with 404: no log was found", both(INCOMPLETE), |_| {
        status(404, HEAD)
    }),
    row(word("no-head", "500"), "heads are answered with 500", both(INCOMPLETE), |_| status(500, HEAD)),
    row(word("no-head", "timeout"), "heads are never answered", both(INCOMPLETE), |_| {
        Ok(Lie::Transport(T::Timeout, HEAD))
    }),
    row(word("no-head", "empty"), "heads are answered with nothing", both(MALFORMED), |_| {
        Ok(Lie::Transport(T::Empty, HEAD))
    }),
    row(word("no-head", "endless"), "heads are followed by spaces without end", both(MALFORMED), |_| {
        Ok(Lie::Transport(T::Endless, HEAD))
    }),
    row(
        word("no-head", "malformed"),
        "heads are answered with text that is not a head",
        both(MALFORMED),
        |_| Ok(Lie::Transport(T::Malformed, HEAD)),
    ),
    row(word("no-entries", "404"), "entries are answered with 404", both(GAP), |_| status(404, ENTRIES)),
    row(word("no-entries", "500"), "entries are answered with 500", both(INCOMPLETE), |_| {
        status(500, ENTRIES)
    }),
    row(word("no-entries", "timeout"), "entries are never answered", both(INCOMPLETE), |_| {
        Ok(Lie::Transport(T::Timeout, ENTRIES))
    }),
    row(word("no-entries", "empty"), "answers hold no entries (tiles: no bytes)", both(GAP), |_| {
        Ok(Lie::Content(C::NoEntries))
    }),
    row(
        word("no-entries", "short"),
        "the last entry that the head commits to is missing; a replica of the JSON API may be behind, so there it is \
         undecided for an hour and a gap from then on",
        [Some(GAP), Some(INCOMPLETE)],
        |_| Ok(Lie::Content(C::ShortOfEntries)),
    ),
    row(word("no-entries", "endless"), "entries are followed by spaces without end", both(ROOT), |_| {
        Ok(Lie::Transport(T::Endless, ENTRIES))
    }),
    row(
        value("tampered-entry", "INDEX", "0"),
        "one byte of entry INDEX is not what the root commits to",
        both(ROOT),
        |text| content(C::Tampered, text),
    ),
    row(
        value("dropped-entry", "INDEX", "0"),
        "entry INDEX is left out, and later ones move up",
        [Some(invalid(&["gap", "root-mismatch"])), Some(PROOF)],
        |text| content(C::Dropped, text),
    ),
    row(
        value("swapped-entries", "INDEX", "0"),
        "entries INDEX and INDEX + 1 are exchanged",
        both(ROOT),
        |text| content(C::Swapped, text),
    ),
    row(
        plain("duplicate-page"),
        "every page after the first repeats the one before under the right index (needs more than one page)",
        both(ROOT),
        |_| Ok(Lie::Content(C::DuplicatePage)),
    ),
    row(
        plain("other-page"),
        "every page is that of another index, which it names (needs more than one page)",
        [Some(ROOT), Some(GAP)],
        |_| Ok(Lie::Content(C::OtherPage)),
    ),
    row(
        value("more-entries", "COUNT", "1"),
        "answers hold COUNT entries more than were asked for",
        both(ROOT),
        |text| content(C::More, text),
    ),
    row(
        plain("tampered-proof"),
        "one bit of every consistency and inclusion proof is wrong (tiles: of every Merkle tile)",
        [Some(invalid(&["tile-mismatch"])), Some(PROOF)],
        |_| Ok(Lie::Content(C::TamperedProof)),
    ),
    row(word("no-proof", "404"), "proofs and Merkle tiles are answered with 404", both(GAP), |_| {
        status(404, PROOFS)
    }),
    row(word("no-proof", "500"), "proofs and Merkle tiles are answered with 500", both(INCOMPLETE), |_| {
        status(500, PROOFS)
    }),
    row(
        value("forged-entry", "INDEX", "0"),
        "the log commits to an approval, the first from INDEX on, whose passkey signature does not verify",
        both(invalid(&["signature-invalid"])),
        |text| history(H::Forged, text),
    ),
    row(
        value("replayed-entry", "INDEX", "0"),
        "the log commits to a copy of an approval, the first from INDEX on, as its last entry",
        both(invalid(&["assertion-reused", "id-duplicate", "nonce-reused"])),
        |text| history(H::Replayed, text),
    ),
    row(
        plain("history-omits"),
        "the list of heads omits the head that is served; a cache may do that, so it is undecided for an hour and \
         a gap from then on",
        api(INCOMPLETE),
        |_| Ok(Lie::Content(C::HistoryOmits)),
    ),
    row(
        plain("history-fork"),
        "the list of heads has a signed head of another tree of the same size",
        api(FORK),
        |_| Ok(Lie::Content(C::HistoryFork)),
    ),
    row(
        plain("history-forged"),
        "the list of heads has an STH that the key did not sign",
        api(BAD_SIGNATURE),
        |_| Ok(Lie::Content(C::HistoryForged)),
    ),
    row(
        plain("history-endless"),
        "the list of heads never ends: every page has a next one, a millisecond later",
        api(INCOMPLETE),
        |_| Ok(Lie::Content(C::HistoryEndless)),
    ),
    row(
        plain("bundle-fork"),
        "verification bundles carry a signed head of another tree of the same size",
        api(FORK),
        |_| Ok(Lie::Content(C::BundleFork)),
    ),
    row(
        plain("bundle-other"),
        "the verification bundle of an entry is that of another entry",
        api(PROOF),
        |_| Ok(Lie::Content(C::BundleOther)),
    ),
    row(
        entries("truncated"),
        "the body ends in the middle, and Content-Length says more",
        both(INCOMPLETE),
        |kinds| sent(T::Truncated, kinds),
    ),
    row(
        entries("wrong-length"),
        "body and Content-Length are 10 bytes shorter than they should be",
        both(GAP),
        |kinds| sent(T::WrongLength, kinds),
    ),
    row(entries("gzip-bomb"), "1 MB of gzip that expands to 1 GiB", both(ROOT), |kinds| {
        sent(T::GzipBomb, kinds)
    }),
    row(entries("zstd-bomb"), "32 KB of zstd that expand to 1 GiB", both(ROOT), |kinds| {
        sent(T::ZstdBomb, kinds)
    }),
    row(entries("slow-drip"), "the body comes at one byte a second", both(INCOMPLETE), |kinds| {
        sent(T::SlowDrip, kinds)
    }),
    row(entries("429"), "always 429, without Retry-After", both(INCOMPLETE), |kinds| {
        sent(T::TooMany(None), kinds)
    }),
    row(
        value("429-retry-after", "SECONDS", "1"),
        "entries are always answered with 429 and Retry-After",
        both(INCOMPLETE),
        |seconds| Ok(Lie::Transport(T::TooMany(Some(number(seconds)?)), ENTRIES)),
    ),
    row(entries("redirect-loop"), "302 to itself, with a query that grows", both(INCOMPLETE), |kinds| {
        sent(T::RedirectLoop, kinds)
    }),
    row(entries("redirect-elsewhere"), "302 to another origin", both(INCOMPLETE), |kinds| {
        sent(T::RedirectElsewhere, kinds)
    }),
    row(entries("html"), "200 with an HTML page", both(INCOMPLETE), |kinds| sent(T::Html, kinds)),
    row(
        entries("invalid-utf8"),
        "a byte that is not UTF-8 inside a JSON string, a note or a leaf",
        [Some(ROOT), Some(GAP)],
        |kinds| sent(T::InvalidUtf8, kinds),
    ),
    row(head("deep-json"), "JSON answers are 100,000 arrays in each other", both(MALFORMED), |kinds| {
        sent(T::DeepJson, kinds)
    }),
    row(head("floats"), "the numbers of JSON answers are floats, such as 5.0", both(MALFORMED), |kinds| {
        sent(T::Floats, kinds)
    }),
    row(head("strings"), "the numbers of JSON answers are strings", both(MALFORMED), |kinds| {
        sent(T::Strings, kinds)
    }),
];

fn status(status: u16, kinds: ResourceKinds) -> Result<Lie, TestlogError> {
    Ok(Lie::Transport(T::Status(status), kinds))
}
