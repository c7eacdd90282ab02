//! Witness policies (c2sp.org/tlog-policy): which logs are known, which witnesses, and which of them must
//! have cosigned a checkpoint.
//!
//! A quorum that holds proves that the holders of so many witness keys signed this origin, size and root
//! (c2sp.org/tlog-cosignature): each says that it saw no other history of this log, and when. It does not
//! prove that the log signed the checkpoint, which is [`crate::core::head::Head`]'s, nor that witnesses
//! are honest or independent: whom to trust is what the policy says.
//!
//! The file is read strictly: an octet, a name or a number that the format does not allow is an error with its
//! line. Two liberties are taken where the format is silent: the last line may lack its newline, and a numeric
//! threshold has no leading zero. Two keys that signature lines cannot tell apart (one key name, one key
//! id) are refused, because a line of the one would be held against the other.

mod judge;
mod parse;

pub use self::judge::{CosignError, Cosignature, Cosigned, Fresh};
pub use self::parse::TlogPolicyError;

use crate::core::head::LogKey;
use crate::core::note::VerifierKey;
use crate::core::text::escape;

/// A policy that was read and is coherent: every name in it is defined, before it is used.
#[derive(Clone, Debug)]
pub struct TlogPolicy {
    logs: Vec<LogKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// `None` is `quorum none`.
    quorum: Option<Member>,
}

#[derive(Clone, Debug)]
struct Witness {
    /// Opaque octets, with no meaning outside of the file.
    name: Vec<u8>,
    key: VerifierKey,
}

#[derive(Clone, Debug)]
struct Group {
    name: Vec<u8>,
    /// How many members must have witnessed: from 1 to their number.
    threshold: usize,
    members: Vec<Member>,
}

/// A witness or a group by its place in the policy. A group's members stand before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Member {
    Witness(usize),
    Group(usize),
}

impl TlogPolicy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The line, and a sentence for the person who wrote it.
    pub fn parse(bytes: &[u8]) -> Result<TlogPolicy, TlogPolicyError> {
        parse::parse(bytes)
    }

    /// The keys of the logs, in the order of the file. There may be none, and several may share an origin.
    pub fn logs(&self) -> &[LogKey] {
        &self.logs
    }

    /// How many witnesses the policy lists.
    pub fn witness_count(&self) -> usize {
        self.witnesses.len()
    }

    /// Whether the policy asks for any cosignature: false for `quorum none`, which every checkpoint
    /// satisfies and which therefore checks nothing.
    pub fn has_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// The quorum in words, fit to be shown: `2 of 3 in X-witnesses`, `witness X1`, or `none`.
    pub fn quorum_text(&self) -> String {
        match self.quorum {
            None => "none".to_owned(),
            Some(Member::Witness(at)) => {
                let name = self.witnesses.get(at).map(|witness| shown(&witness.name));
                format!("witness {}", name.unwrap_or_default())
            }
            Some(Member::Group(at)) => self.groups.get(at).map_or_else(String::new, |group| {
                format!("{} of {} in {}", group.threshold, group.members.len(), shown(&group.name))
            }),
        }
    }

    /// Whether the quorum holds where these witnesses (by place) cosigned. Members stand before
    /// their groups, so one pass decides however deep the groups are nested.
    fn holds(&self, cosigned: &[bool]) -> bool {
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let witnessed = group.members.iter().filter(|member| member.is_in(cosigned, &groups)).count();
            groups.push(witnessed >= group.threshold);
        }
        self.quorum.is_none_or(|member| member.is_in(cosigned, &groups))
    }
}

impl Member {
    fn is_in(self, witnesses: &[bool], groups: &[bool]) -> bool {
        match self {
            Member::Witness(at) => witnesses.get(at),
            Member::Group(at) => groups.get(at),
        }
        .copied()
        .unwrap_or(false)
    }
}

/// Characters of a name that a message repeats.
const SHOWN: usize = 100;

/// A name of the policy, fit to be shown. Octets that are no UTF-8 show as U+FFFD.
fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(SHOWN) {
        None => escape(&text),
        Some((end, _)) => format!("{}…", escape(text.get(..end).unwrap_or_default())),
    }
}
