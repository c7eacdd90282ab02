//! The crate as a library: what is pure, what reads a log, and the rules that the sources keep.

mod across;
mod bit_flips;
mod content_codings;
mod cosignatures;
mod cycles;
mod docs;
mod facts;
mod imports;
mod library;
mod receipt_checks;
mod receipt_mutations;
mod service;
mod source_http;
mod tlog_policy;
mod vectors;
