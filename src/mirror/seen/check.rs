//! Verifies all rows, or some in rotation, so that damage in rows that no look-up reads does not go unnoticed.

use super::fault::Result;
use super::layout::{Layout, Place, Shape};
use super::rows;
use super::run::{Scan, SortedRun};
use super::run_ref::RunRef;
use rusqlite::Connection;

/// Where the next verification begins: a run, a fence in it, and a block below that fence. Later runs follow before
/// the verification starts over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cursor(u32, u32, u32);

/// Verifies every row of every run, and that there are no other rows; `false` if `stopped` ended it.
pub fn all(
    db: &Connection,
    shape: Shape,
    runs: &[RunRef],
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<bool> {
    let mut layouts = Vec::new();
    for run in runs {
        let mut scan = Scan::new(SortedRun::open(db, shape, run)?);
        while scan.next()?.is_some() {
            if stopped() {
                return Ok(false);
            }
        }
        layouts.push((run.id(), scan.run().layout()));
    }
    rows::check_ids(db, layouts.into_iter().flat_map(|(id, layout)| row_ids(id, layout)), stopped)
}

/// The ids of a run's rows, ascending.
fn row_ids(run: u32, layout: Layout) -> impl Iterator<Item = i64> {
    let places = (0..layout.fences()).flat_map(move |fence| {
        let blocks = (0..layout.blocks_under(fence)).map(move |slot| Place::block(fence, slot));
        blocks.chain([Place::fence(fence)])
    });
    places.chain([Place::Header]).map(move |place| place.row_id(run))
}

/// Verifies `blocks` blocks from the cursor on, and the rows above them; fewer at the end of the last run, after
/// which the cursor starts at the first run again.
pub fn some(db: &Connection, shape: Shape, runs: &[RunRef], from: Cursor, mut blocks: u64) -> Result<Cursor> {
    for run in runs.iter().filter(|run| run.id() >= from.0) {
        let (fence, slot) = if run.id() == from.0 { (from.1, from.2) } else { (0, 0) };
        let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let mut scan = Scan::from(SortedRun::open(db, shape, run)?, at(fence), at(slot));
        loop {
            if blocks == 0 {
                let (fence, slot) = scan.position();
                let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                return Ok(Cursor(run.id(), at(fence), at(slot)));
            }
            if scan.next()?.is_none() {
                break;
            }
            blocks = blocks.saturating_sub(1);
        }
    }
    Ok(Cursor::default())
}
