//! The table `seen_rows`: the only SQL of the runs.

use super::fault::{Result, StoreFault};
use super::layout::Place;
use rusqlite::{Connection, OptionalExtension as _, params};

/// Selects one row.
pub(super) const SELECT: &str = "SELECT data FROM seen_rows WHERE id = ?1";

/// Reads a row of a run; `None` if it is missing, or is not a blob.
pub fn read(db: &Connection, run: u32, place: Place) -> Result<Option<Vec<u8>>> {
    let mut select = db.prepare_cached(SELECT)?;
    let data = select
        .query_row([place.row_id(run)], |row| Ok(row.get_ref(0)?.as_blob().ok().map(<[u8]>::to_vec)))
        .optional()?;
    Ok(data.flatten())
}

/// Writes a row of a new run. An existing row with its id remains from a deletion that was lost.
pub fn write(db: &Connection, run: u32, place: Place, data: &[u8]) -> Result<()> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO seen_rows VALUES (?1, ?2)")?;
    insert.execute(params![place.row_id(run), data])?;
    Ok(())
}

/// Deletes the rows of a run.
pub fn delete_run(db: &Connection, run: u32) -> Result<()> {
    let first = i64::from(run) << 32;
    let last = first | i64::from(u32::MAX);
    db.prepare_cached("DELETE FROM seen_rows WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
    Ok(())
}

/// Deletes all rows.
pub fn delete_all(db: &Connection) -> Result<()> {
    db.execute_batch("DELETE FROM seen_rows")?;
    Ok(())
}

/// Compares the ids of all rows, ascending, with the expected ones; `false` if `stopped` ended it.
pub fn check_ids(
    db: &Connection,
    expected: impl IntoIterator<Item = i64>,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<bool> {
    let mut select = db.prepare("SELECT id FROM seen_rows ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut expected = expected.into_iter();
    loop {
        let row: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        match (row, expected.next()) {
            (None, None) => return Ok(true),
            (Some(row), Some(expected)) if row == expected => {}
            (Some(row), Some(expected)) if expected < row => {
                return Err(StoreFault::Wrong(format!("the row {expected} is missing")));
            }
            (None, Some(expected)) => {
                return Err(StoreFault::Wrong(format!("the row {expected} is missing")));
            }
            (Some(row), _) => return Err(StoreFault::Wrong(format!("the row {row} belongs to no run"))),
        }
        if stopped() {
            return Ok(false);
        }
    }
}
