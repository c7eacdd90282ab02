//! The tables of a mirror and their versions.

/// All tables but those that a later format brought.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// `user_version` of the schema that this program writes. It reads every earlier one, and brings it up
/// to this when it opens it: a mirror holds every head ever seen, so none may become unreadable.
pub(super) const SCHEMA_VERSION: i64 = 5;

/// The outbox, which format 3 brought. Creates only what is not there.
pub(super) const OUTBOX: &str = include_str!("outbox.sql");

/// How far peers were read and watch rules looked, which format 4 brought. Creates only what is not there.
pub(super) const WATCHING: &str = include_str!("watching.sql");

/// The views, which are the stable interface.
pub(super) const VIEWS: &str = include_str!("views.sql");

/// `application_id`: "csig".
pub(super) const APPLICATION_ID: i64 = 0x6373_6967;

/// What was seen in entries: the table of [`super::seen`]. Creates only what is not there.
pub(super) const SEEN: &str = include_str!("seen.sql");
