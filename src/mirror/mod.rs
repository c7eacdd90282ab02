//! The mirror: the auditor's own copy of the log, in SQLite. The only SQL of the crate.
//!
//! It keeps the leaves byte for byte, every signed head ever seen, what was found, and three
//! cursors that mean three things, so that a crash at any moment is safe:
//!
//! - *downloaded*: leaves `[0, downloaded)` are stored;
//! - *verified*: leaves `[0, verified)` are proved to be what a signed head commits to;
//! - *checked*: the entries `[0, checked)` were checked.
//!
//! `checked <= verified <= downloaded`. Every change is one transaction that moves the cursors with
//! the rows they speak of, and is durable (`synchronous=FULL`) before anything is acknowledged.
//!
//! [`Mirror`] is a handle: it begins and ends transactions, and gives the stores, each of which has the statements on its
//! own tables. They read through a shared handle, and write through one that is borrowed mutably.
//!
//! | file | holds |
//! |---|---|
//! | `schema.sql`, `seen.sql`, `outbox.sql`, `watching.sql`, `views.sql` | tables, and the views that an auditor may query |
//! | `handle` | the open mirror |
//! | `leaves` | the leaves, and the nodes of their tree |
//! | `entry_columns` | what checked entries say, and when they say that they were decided |
//! | `heads` | every signed head: which the log lists itself, which are of one history by proof, which are out of order by their times; and their history for others, read beside a running audit |
//! | `findings` | findings |
//! | `memory` | what the checks across entries remember |
//! | `peers` | how far the histories of others were read |
//! | `watch_rules` | how far watch rules looked |
//! | `outbox` | alerts: what was told to people, and what is on its way |
//! | `db` | what the stores have in common, and that nobody else wrote, whatever became of the lock |
//! | [`state`], `state_row` | the cursors and counts, and their row |
//! | `seal` | what must be true of each table, so that a page that the disk lost is noticed |
//! | `seen` | ids, nonces and assertions that were seen, authenticated at every look-up |
//! | `connection`, `create`, `schema`, `values` | how a database is opened, made, laid out and filled |
//! | `migrate` | mirrors of earlier formats |
//! | `check`, `rebuild`, `folded` | a check of all of it, and what is made again of a damaged one |
//! | `mark` | how a rolled-back mirror is noticed |
//! | `path`, `file_kind` | where the mirror is: one name for one file, and no file that is none |
//! | `lock`, `holder` | that one process has the mirror, and which |
//! | `side_files` | the files beside it, written whole, and whose they are |
//!
//! Three files read or write tables of several stores: `views.sql`; `migrate`, which brings all tables to a later format;
//! and `rebuild`, which copies what can be read of all of them.

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
pub use leaves::{Leaves, Reader};
pub use memory::EntryMemory;
pub use outbox::{Attempt, Due, Failing, LONGEST_WAIT, Notification, Outbox, Outgoing, Queue};
pub use path::{identity_of, is_there, place_of};
pub use peers::{PeerProgress, Peers};
pub use rebuild::{Rebuilt, rebuild};
pub use seen::Cursor as SeenCursor;
pub use side_files::{beside, folder, read as read_beside, replace};
pub use watch_rules::{Looked, WatchRules};
