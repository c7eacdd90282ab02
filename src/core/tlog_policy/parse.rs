//! Parses a policy file (c2sp.org/tlog-policy "Policy file syntax and structure").
//!
//! Octets with the high bit set are opaque: names are compared without normalisation.

use super::{Group, Member, TlogPolicy, Witness, display_name};
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::limits;
use crate::core::note::{KeyId, KeyKind, VerifierKey};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a file is not a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogPolicyError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it and what to write instead, safe to display.
    pub why: String,
}

impl fmt::Display for TlogPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for TlogPolicyError {}

/// The reserved name that means "no cosignatures" on the quorum line.
const NONE: &[u8] = b"none";

/// The lines parsed so far.
#[derive(Default)]
struct PolicyParser {
    logs: Vec<LogKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Option<Member>>,
    /// Witnesses and groups share one namespace.
    names: BTreeMap<Vec<u8>, Member>,
    /// The members of groups so far.
    members: BTreeSet<Member>,
    /// Identities of the public keys, regardless of key name and signature type.
    log_keys: BTreeSet<Hash>,
    witness_keys: BTreeSet<Hash>,
    /// The part of a key that its signature lines contain.
    hints: BTreeSet<(String, KeyId)>,
}

impl TlogPolicy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// [`TlogPolicyError`] with the line and a user-facing message.
    pub fn parse(bytes: &[u8]) -> Result<TlogPolicy, TlogPolicyError> {
        let error = |line: usize, why: String| TlogPolicyError { line, why };
        if bytes.len() > limits::MAX_POLICY {
            return Err(error(1, "the file is longer than 1 MiB: is it a policy?".to_owned()));
        }
        let mut parser = PolicyParser::default();
        let mut number: usize = 0;
        for (at, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
            number = at;
            parser.line(line).map_err(|why| error(number, why))?;
        }
        let Some(quorum) = parser.quorum else {
            let why =
                "there is no quorum line: add `quorum NAME`, or `quorum none` to ask for no cosignatures";
            return Err(error(number, why.to_owned()));
        };
        Ok(TlogPolicy { logs: parser.logs, witnesses: parser.witnesses, groups: parser.groups, quorum })
    }
}

impl PolicyParser {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if let Some(octet) = line.iter().find(|octet| !is_allowed(**octet)) {
            return Err(match octet {
                b'\r' => "a carriage return: save the file with Unix line ends".to_owned(),
                other => format!("the octet 0x{other:02x} is not allowed: remove it"),
            });
        }
        let words: Vec<&[u8]> =
            line.split(|octet| matches!(octet, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            // The URL is for programs that contact the log or witness. It is ignored here.
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"log", ..] => Err("a log line is `log VKEY` or `log VKEY URL`".to_owned()),
            [b"witness", name, key] | [b"witness", name, key, _] => self.witness(name, key),
            [b"witness", ..] => {
                Err("a witness line is `witness NAME VKEY` or `witness NAME VKEY URL`".to_owned())
            }
            [b"group", name, rule, members @ ..] if !members.is_empty() => self.group(name, rule, members),
            [b"group", ..] => {
                Err("a group line is `group NAME all|any|K MEMBER…`, with at least one member".to_owned())
            }
            [b"quorum", name] => self.quorum(name),
            [b"quorum", ..] => Err("a quorum line is `quorum NAME` or `quorum none`".to_owned()),
            [other, ..] => Err(format!(
                "a line must begin with log, witness, group, quorum or #, not with {}",
                display_name(other)
            )),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), String> {
        let key = LogKey::parse(vkey_text(key)?).map_err(|error| error.to_string())?;
        if !self.log_keys.insert(key.verifier().public_key().identity()) {
            return Err("this log's public key is in an earlier log line: remove one of them".to_owned());
        }
        self.distinguish(key.verifier())?;
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8]) -> Result<(), String> {
        let key = VerifierKey::parse(vkey_text(key)?).map_err(|error| error.to_string())?;
        if !matches!(key.kind(), KeyKind::CosignatureV1 | KeyKind::CosignatureMlDsa44) {
            return Err(
                "a witness key is a cosignature verifier key (type 0x04 or 0x06); this one is not".to_owned()
            );
        }
        if !self.witness_keys.insert(key.public_key().identity()) {
            return Err(
                "this witness's public key is in an earlier witness line: remove one of them".to_owned()
            );
        }
        self.distinguish(&key)?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name: name.to_vec(), key });
        Ok(())
    }

    fn group(&mut self, name: &[u8], rule: &[u8], names: &[&[u8]]) -> Result<(), String> {
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            let found = self.defined(member)?;
            if !self.members.insert(found) {
                return Err(format!(
                    "{} is a member of a group already: a name can be a member only once in the whole file",
                    display_name(member)
                ));
            }
            members.push(found);
        }
        let threshold = match rule {
            b"all" => members.len(),
            b"any" => 1,
            number => threshold(number, members.len())?,
        };
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name: name.to_vec(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("a second quorum line: keep one, and join the two rules in a group".to_owned());
        }
        self.quorum = Some(if name == NONE { None } else { Some(self.defined(name)?) });
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<(), String> {
        if name == NONE {
            return Err("the name `none` is taken by the format: choose another".to_owned());
        }
        match self.names.insert(name.to_vec(), member) {
            None => Ok(()),
            Some(_) => {
                Err(format!("the name {} is taken by a line above: choose another", display_name(name)))
            }
        }
    }

    fn defined(&self, name: &[u8]) -> Result<Member, String> {
        if name == NONE {
            return Err("`none` cannot be a member of a group: it is for the quorum line".to_owned());
        }
        self.names.get(name).copied().ok_or_else(|| {
            format!(
                "{} is not defined above this line: define it first, or correct the name",
                display_name(name)
            )
        })
    }

    fn distinguish(&mut self, key: &VerifierKey) -> Result<(), String> {
        if self.hints.insert((key.name().to_owned(), key.id())) {
            return Ok(());
        }
        Err("an earlier key has the same key name and key id, so signatures of the two cannot be told apart"
            .to_owned())
    }
}

/// C2SP tlog-policy "Character set", without the newline, which ends a line.
fn is_allowed(octet: u8) -> bool {
    matches!(octet, b'\t' | 0x20..=0x7e | 0x80..=0xff)
}

fn vkey_text(word: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(word).map_err(|_| "the verifier key is not UTF-8: copy it again".to_owned())
}

/// Decimal digits without sign or leading zero, from 1 to the number of members.
fn threshold(word: &[u8], members: usize) -> Result<usize, String> {
    let digits = std::str::from_utf8(word).ok();
    let number: Option<usize> = digits.and_then(|digits| digits.parse().ok());
    match number.filter(|number| Some(number.to_string().as_str()) == digits) {
        Some(number) if (1..=members).contains(&number) => Ok(number),
        _ => Err(format!(
            "the rule of a group is all, any, or a number from 1 to the number of its members, here {members}; not \
             {}",
            display_name(word)
        )),
    }
}
