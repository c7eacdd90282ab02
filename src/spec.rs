#![doc = include_str!("approval-log-v1.md")]

/// The approval service and the gate.
///
/// [log]: crate::spec
///
#[doc = include_str!("approval-gate-v1.md")]
pub mod gate {}
