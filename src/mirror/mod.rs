//! The mirror: the auditor's own copy of the log, in SQLite. The only SQL of the crate but for that of the gate's journal.
//!
//! It keeps the leaves byte for byte, every signed head ever seen, the findings, and three cursors with separate
//! meanings, so that a crash at any moment is safe:
//!
//! - *downloaded*: leaves `[0, downloaded)` are stored;
//! - *verified*: leaves `[0, verified)` are proved to be what a signed head commits to;
//! - *checked*: the entries `[0, checked)` were checked.
//!
//! `checked <= verified <= downloaded`. Every change is one transaction that moves the cursors together with the rows
//! they cover, and is durable (`synchronous=FULL`) before anything is acknowledged.
//!
//! [`Mirror`] is a handle: it begins and ends transactions, and hands out the stores. Each store has the statements
//! on its own tables. A store reads through a shared handle and writes through a mutable one.
//!
//! | file | holds |
//! |---|---|
//! | `schema.sql`, `seen.sql`, `outbox.sql`, `watching.sql`, `views.sql` | tables, and the views that an auditor may query |
//! | `handle` | the open mirror |
//! | `leaves` | the leaves, and the nodes of their tree |
//! | `entry_columns` | the fields of checked entries, including the times of their decisions |
//! | `heads` | every signed head: which are in the log's head list, which are proved to be of one history, which have times out of order; and the export of their history, which can be read during an audit |
//! | `findings` | findings |
//! | `memory` | the memory of the checks across entries |
//! | `peers` | how far the head histories of peers were read |
//! | `watch_rules` | how far watch rules have looked |
//! | `outbox` | alerts: what was reported, and what still has to be delivered |
//! | `db` | what the stores have in common, and the check that no other process wrote, even if the lock was lost |
//! | [`state`], `state_row` | the cursors and counts, and their row |
//! | `seal` | digests over each table, so that a page that the disk lost is noticed |
//! | `seen` | ids, nonces and assertions that were seen, authenticated at every look-up |
//! | `connection`, `create`, `schema`, `values` | how a database is opened, created, laid out, and how values are stored |
//! | `migrate` | mirrors of earlier formats |
//! | `check`, `rebuild`, `folded` | a full check of a mirror, and the rebuild of a damaged one |
//! | `mark` | how a rolled-back mirror is noticed |
//! | `path`, `file_kind` | where the mirror is: one name for each file, and only regular files |
//! | `lock`, `holder` | the lock that gives the mirror to one process, and the name of that process |
//! | `side_files` | the files beside the mirror, which are replaced atomically, and their owner |
//!
//! Three files read or write tables of several stores: `views.sql`; `migrate`, which upgrades all tables to the
//! current format; and `rebuild`, which copies the readable rows of all tables.

mod check;
mod connection;
mod create;
mod db;
mod entry_columns;
mod error;
mod file_kind;
mod findings;
mod folded;
mod handle;
mod heads;
mod holder;
mod leaves;
mod lock;
mod mark;
mod memory;
mod migrate;
mod outbox;
mod path;
mod peers;
mod rebuild;
mod schema;
mod seal;
mod seen;
mod side_files;
pub mod state;
mod state_row;
mod values;
mod watch_rules;

pub use check::{Checked, Part};
pub use entry_columns::{Decided, EntryColumns};
pub use error::MirrorError;
pub use findings::{Findings, StoredFinding};
pub use handle::{Begun, Mirror};
pub use heads::{HeadLine, HeadReader, HeadStatus, Heads, NoText, Provenance, StoredHead, read_heads};
pub use holder::{holder_id, holder_of};
pub use leaves::{LeafStore, Reader};
pub use memory::EntryMemory;
pub use outbox::{Attempt, Due, Failing, LONGEST_WAIT, Notification, Outbox, Outgoing, Queue};
pub use path::{identity_of, is_there, place_of};
pub use peers::{PeerProgress, PeerStore};
pub use rebuild::{Rebuilt, rebuild};
pub use seen::Cursor as SeenCursor;
pub use side_files::{beside, folder, read as read_beside, replace};
pub use watch_rules::{Looked, WatchRules};

// What the gate's journal, the other database of this program, has in common with the mirror.
pub(crate) use connection::{configure, connect};
pub(crate) use create::{Built, random_name};
pub(crate) use error::{beside_error, sql_error};
pub(crate) use lock::lock_within;
pub(crate) use path::{exists, no_remains, resolve};
pub(crate) use seal::{ColumnDigest, DigestSum};
pub(crate) use side_files::open_plain;
