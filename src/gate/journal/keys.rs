//! First-seen keys: which passkey stands for a person whose key is not pinned (gate specification section 5.1).
//!
//! That the first one is the person's is the service's word. Only a pin is independent of it.

use super::db::{Change, View};
use super::error::{JournalError, Result};
use super::rows::{self, Columns};
use super::seal::{Sealed, Table};
use crate::core::time::UnixMillis;
use rusqlite::types::Value;

/// A passkey of a person, under the key of one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApproverKey {
    /// The origin of the log.
    pub origin: String,
    /// Who.
    pub username: String,
    /// The identity of the passkey, as hex.
    pub key: String,
    /// When it was first seen here, or accepted.
    pub since: UnixMillis,
}

/// The result of accepting a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trusted {
    /// The key that was refused stands for the person from now on, in the place of the other one.
    Accepted {
        /// The key that stands now.
        now: ApproverKey,
        /// The key that stood before.
        before: ApproverKey,
    },
    /// No other key was refused, so there is none to accept.
    NothingOffered,
    /// Keys were refused under several logs: one of these origins must be named.
    Several(Vec<String>),
}

/// What a key is, compared with the one that stands.
pub(super) enum Compared {
    /// It is that one, or the first one.
    Same,
    /// It is another one than this.
    Other(ApproverKey),
}

/// The passkey that stands for a person.
pub(super) fn standing(view: &View<'_>, origin: &str, username: &str) -> Result<Option<ApproverKey>> {
    Ok(find(view, Table::ApproverKeys, origin, username)?.map(|(_, key)| key))
}

/// Compares a key with the one that stands; keeps a first one, and offers another one to be accepted.
pub(super) fn compare(change: &mut Change<'_>, key: &ApproverKey) -> Result<Compared> {
    match standing(change.view(), &key.origin, &key.username)? {
        None => put(change, Table::ApproverKeys, key).map(|()| Compared::Same),
        Some(stands) if stands.key == key.key => Ok(Compared::Same),
        Some(stands) => put(change, Table::OfferedKeys, key).map(|()| Compared::Other(stands)),
    }
}

/// Accepts the key that was refused last.
pub(super) fn accept(
    change: &mut Change<'_>,
    origin: Option<&str>,
    username: &str,
    now: UnixMillis,
) -> Result<Trusted> {
    let mut offered = Vec::new();
    for row in change.view().select(Table::OfferedKeys, "username = ?1", &[&username])? {
        let key = parse(change.view(), &row)?;
        let stands = standing(change.view(), &key.origin, username)?;
        let is_named = origin.is_none_or(|origin| origin == key.origin);
        match stands {
            Some(stands) if is_named && stands.key != key.key => offered.push((key, stands)),
            _ => {}
        }
    }
    if offered.len() > 1 {
        return Ok(Trusted::Several(offered.into_iter().map(|(key, _)| key.origin).collect()));
    }
    let Some((key, before)) = offered.pop() else { return Ok(Trusted::NothingOffered) };
    let key = ApproverKey { since: now, ..key };
    put(change, Table::ApproverKeys, &key)?;
    Ok(Trusted::Accepted { now: key, before })
}

fn put(change: &mut Change<'_>, table: Table, key: &ApproverKey) -> Result<()> {
    let values = columns(key).map_err(|why| JournalError::TooLarge(change.view().path().to_owned(), why))?;
    match find(change.view(), table, &key.origin, &key.username)? {
        Some((row, found)) if found.key != key.key => change.replace(table, &row, values),
        Some(_) => Ok(()),
        None => change.insert(table, values),
    }
}

fn find(
    view: &View<'_>,
    table: Table,
    origin: &str,
    username: &str,
) -> Result<Option<(Sealed, ApproverKey)>> {
    let found = view.select(table, "origin = ?1 AND username = ?2", &[&origin, &username])?.pop();
    found.map(|row| parse(view, &row).map(|key| (row, key))).transpose()
}

fn columns(key: &ApproverKey) -> std::result::Result<Vec<Value>, String> {
    Ok(vec![
        rows::text(&key.origin)?,
        rows::text(&key.username)?,
        rows::text(&key.key)?,
        rows::time(key.since)?,
    ])
}

fn parse(view: &View<'_>, row: &Sealed) -> Result<ApproverKey> {
    let mut columns = Columns(row.values.iter());
    let mut read = || {
        Some(ApproverKey {
            origin: columns.text()??,
            username: columns.text()??,
            key: columns.text()??,
            since: columns.time()??,
        })
    };
    read().ok_or_else(|| view.damaged("a key in it is not a key"))
}
