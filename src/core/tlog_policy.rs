//! Witness policies (c2sp.org/tlog-policy): the known logs and witnesses, and which witnesses must have cosigned a
//! checkpoint.
//!
//! If the quorum is reached, the holders of that many witness keys signed this origin, size and root
//! (c2sp.org/tlog-cosignature). Each states that it saw no other history of this log, and when. This does not prove that the
//! log signed the checkpoint (see [`crate::core::head::Head`]), nor that witnesses are honest or independent: the policy
//! decides whom to trust.
//!
//! Parsing is strict: an octet, a name or a number that the format does not allow is an error with its line. The format
//! leaves two points open, which are decided here: the last line may lack its newline, and a numeric threshold has no
//! leading zero. Two keys that signature lines cannot distinguish (same key name and key id) are refused, because a line by
//! one would count as an invalid signature of the other.

mod parse;
mod quorum;

pub use self::parse::TlogPolicyError;
pub use self::quorum::{CosignError, Cosignature, FreshnessWindow, QuorumResult};

use crate::core::head::LogKey;
use crate::core::note::VerifierKey;
use crate::core::text::escape;

/// A parsed and coherent policy: every name in it is defined before it is used.
#[derive(Clone, Debug)]
pub struct TlogPolicy {
    logs: Vec<LogKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// `None` means `quorum none`.
    quorum: Option<Member>,
}

#[derive(Clone, Debug)]
struct Witness {
    /// Opaque octets without meaning outside the file.
    name: Vec<u8>,
    key: VerifierKey,
}

#[derive(Clone, Debug)]
struct Group {
    name: Vec<u8>,
    /// The number of members that must have cosigned, from 1 to all.
    threshold: usize,
    members: Vec<Member>,
}

/// The position of a witness or a group in the policy. A group's members come before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Member {
    Witness(usize),
    Group(usize),
}

impl TlogPolicy {
    /// The logs' keys in the order of the file. There may be none, and several may share an origin.
    pub fn logs(&self) -> &[LogKey] {
        &self.logs
    }

    /// The number of witnesses in the policy.
    pub fn witness_count(&self) -> usize {
        self.witnesses.len()
    }

    /// Whether the policy requires any cosignature. It is false for `quorum none`, which every checkpoint satisfies and
    /// which therefore checks nothing.
    pub fn has_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// The quorum in words, safe to display: `2 of 3 in X-witnesses`, `witness X1`, or `none`.
    pub fn quorum_text(&self) -> String {
        match self.quorum {
            None => "none".to_owned(),
            Some(Member::Witness(at)) => {
                let name = self.witnesses.get(at).map(|witness| display_name(&witness.name));
                format!("witness {}", name.unwrap_or_default())
            }
            Some(Member::Group(at)) => self.groups.get(at).map_or_else(String::new, |group| {
                format!("{} of {} in {}", group.threshold, group.members.len(), display_name(&group.name))
            }),
        }
    }

    /// Whether the quorum is reached if these witnesses (by position) cosigned. Members come before their groups, so one
    /// pass is enough for any nesting of groups.
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
const MAX_NAME_CHARS: usize = 100;

/// A name in the policy, safe to display. Octets that are not UTF-8 become U+FFFD.
fn display_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(MAX_NAME_CHARS) {
        None => escape(&text),
        Some((end, _)) => format!("{}…", escape(text.get(..end).unwrap_or_default())),
    }
}
