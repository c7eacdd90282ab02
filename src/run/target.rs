//! The head that the mirror is brought up to.

use crate::core::head::Head;

/// The head that the mirror is brought up to, and whether the rebuilt tree has its root.
#[derive(Default)]
pub(super) struct Target {
    head: Option<Head>,
    verified: bool,
}

impl Target {
    /// Makes this head the target.
    pub(super) fn set(&mut self, head: &Head) {
        self.head = Some(head.clone());
    }

    /// Notes whether the rebuilt tree has the root of the target.
    pub(super) fn set_verified(&mut self, verified: bool) {
        self.verified = verified;
    }

    /// The target, if there is one.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Whether the rebuilt tree has the root of the target.
    pub(super) fn is_verified(&self) -> bool {
        self.verified
    }

    /// The target, if the rebuilt tree has its root.
    pub(super) fn verified_head(&self) -> Option<&Head> {
        self.head.as_ref().filter(|_| self.verified)
    }
}
