//! The tables of a mirror and their versions.

/// All tables except those that a later format added.
pub(super) const TABLES: &str = include_str!("schema.sql");

/// The `user_version` of the schema that this program writes. It reads every earlier one, and upgrades the mirror
/// when it opens it: a mirror holds every head ever seen, so no mirror may become unreadable.
pub(super) const SCHEMA_VERSION: i64 = 5;

/// The outbox, added in format 3. Creates only missing tables.
pub(super) const OUTBOX: &str = include_str!("outbox.sql");

/// How far peers were read and watch rules have looked, added in format 4. Creates only missing tables.
pub(super) const WATCHING: &str = include_str!("watching.sql");

/// The views, which are the stable interface.
pub(super) const VIEWS: &str = include_str!("views.sql");

/// `application_id`: "csig".
pub(super) const APPLICATION_ID: i64 = 0x6373_6967;

/// The seen values of entries: the table of [`super::seen`]. Creates only missing tables.
pub(super) const SEEN: &str = include_str!("seen.sql");
