//! A receipt together with everything that it is checked against.

use super::trust::{Expectation, TrustPolicy};
use crate::core::receipt::Receipt;
use crate::core::time::UnixMillis;

/// Everything that the verdict depends on.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub receipt: &'a Receipt,
    pub trust: &'a TrustPolicy,
    pub expected: &'a Expectation<'a>,
    /// The time of the check.
    pub now: UnixMillis,
}
