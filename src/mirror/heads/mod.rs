//! Signed heads.

mod find;
mod head_list;
mod lines;
mod links;
mod query;
mod store;
mod stored;
mod times;
mod verified;

pub use lines::{HeadLine, HeadReader, NoText, read_heads};
pub(super) use lines::{Place, place};
pub(super) use query::{SELECT, raw, stored_head};
pub use store::Heads;
pub use stored::{HeadStatus, Provenance, StoredHead};
