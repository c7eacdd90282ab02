//! Receipts: made, verified, and used by gates.

mod gate;
mod gate_browser;
mod integrations;
mod journal_audit;
mod receipt_cmd;
mod receipt_from_log;
mod receipt_limits;
mod receipts;
mod receipts_made;
