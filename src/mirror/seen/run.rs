//! Reads a run. A row is used only if it has the digest that the row above it states, up to the state.

use super::block::{Block, BlockDirectory, Fence, Item};
use super::cache::Cache;
use super::fault::{Result, StoreFault};
use super::key::Key;
use super::layout::{Layout, Place, Shape};
use super::rows;
use super::run_ref::RunRef;
use rusqlite::Connection;
use std::cell::RefCell;
use std::sync::Arc;

/// The size in bytes of the cached fences of an open mirror: enough for 45 million records.
const CACHED_FENCES: u64 = 60 << 20;

/// The size in bytes of the cached headers of an open mirror; those of 45 million records take 100 kB.
const CACHED_HEADERS: u64 = 4 << 20;

/// Verified rows of all runs.
#[derive(Debug)]
pub struct Caches {
    headers: RefCell<Cache<BlockDirectory>>,
    fences: RefCell<Cache<Fence>>,
}

impl Caches {
    /// Empty caches.
    pub fn new() -> Caches {
        Caches {
            headers: RefCell::new(Cache::new(CACHED_HEADERS)),
            fences: RefCell::new(Cache::new(CACHED_FENCES)),
        }
    }
}

/// A run whose header was read and verified.
pub struct SortedRun<'a> {
    db: &'a Connection,
    id: u32,
    layout: Layout,
    header: Arc<BlockDirectory>,
}

impl<'a> SortedRun<'a> {
    /// Reads the header.
    pub fn open(db: &'a Connection, shape: Shape, run: &RunRef) -> Result<SortedRun<'a>> {
        let layout = layout_of(shape, run)?;
        let header = Arc::new(read_header(db, run, layout)?);
        Ok(SortedRun { db, id: run.id(), layout, header })
    }

    /// Reads the header, or takes it from the cache.
    pub fn open_cached(
        db: &'a Connection,
        shape: Shape,
        run: &RunRef,
        caches: &Caches,
    ) -> Result<SortedRun<'a>> {
        let layout = layout_of(shape, run)?;
        let known = caches.headers.borrow_mut().get(&run.header());
        let header = match known {
            Some(header) => header,
            None => {
                let header = Arc::new(read_header(db, run, layout)?);
                let bytes = BlockDirectory::length(layout.fences());
                caches.headers.borrow_mut().put(run.header(), Arc::clone(&header), bytes);
                header
            }
        };
        Ok(SortedRun { db, id: run.id(), layout, header })
    }

    /// The layout of the run.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Looks up sorted values that are not found yet. Each row is read at most once.
    pub fn find(&self, caches: &Caches, keys: &[Key], found: &mut [Option<u64>]) -> Result<()> {
        let mut fence: Option<(usize, Arc<Fence>)> = None;
        let mut block: Option<(usize, Block)> = None;
        // The first value of the next fence: a later value that is below it is below the open fence.
        let mut end = None;
        for (key, found) in keys.iter().zip(found).filter(|(_, found)| found.is_none()) {
            let (number, here) = match fence.take() {
                Some(open) if end.is_none_or(|end| *key < end) => open,
                _ => {
                    let Some(number) = self.header.holding(*key) else { continue };
                    end = self.header.items().get(number.saturating_add(1)).map(|item| item.first);
                    block = None;
                    (number, self.fence_cached(number, caches)?)
                }
            };
            if here.filter.may_contain(*key)
                && let Some(slot) = here.blocks.holding(*key)
            {
                let records = match block.take() {
                    Some((at, records)) if at == slot => records,
                    _ => self.block(number, &here, slot)?,
                };
                *found = records.find(*key);
                block = Some((slot, records));
            }
            fence = Some((number, here));
        }
        Ok(())
    }

    fn fence_cached(&self, number: usize, caches: &Caches) -> Result<Arc<Fence>> {
        let Some(item) = self.header.items().get(number) else { return Err(self.no_such_row()) };
        let known = caches.fences.borrow_mut().get(&item.digest);
        if let Some(fence) = known {
            return Ok(fence);
        }
        let fence = Arc::new(self.fence(number)?);
        let bytes = self.length_of_fence(number);
        caches.fences.borrow_mut().put(item.digest, Arc::clone(&fence), bytes);
        Ok(fence)
    }

    fn length_of_fence(&self, number: usize) -> u64 {
        let fence = wide(number);
        Fence::length(self.layout.blocks_under(fence), self.layout.records_under(fence))
    }

    fn fence(&self, number: usize) -> Result<Fence> {
        let Some(item) = self.header.items().get(number) else { return Err(self.no_such_row()) };
        let place = Place::fence(wide(number));
        let bytes = read_row(self.db, self.id, place, self.length_of_fence(number), item)?;
        let blocks = self.layout.blocks_under(wide(number));
        Fence::parse(self.id, &bytes, blocks, item.first).map_err(|why| wrong(self.id, place, why))
    }

    fn block(&self, number: usize, fence: &Fence, slot: usize) -> Result<Block> {
        let Some(item) = fence.blocks.items().get(slot) else { return Err(self.no_such_row()) };
        let place = Place::block(wide(number), wide(slot));
        let length = Block::length(self.layout.records_in(wide(number), wide(slot)));
        let bytes = read_row(self.db, self.id, place, length, item)?;
        Block::parse(bytes, item.first).map_err(|why| wrong(self.id, place, why))
    }

    fn no_such_row(&self) -> StoreFault {
        wrong(self.id, Place::Header, "names fewer rows than there should be")
    }
}

fn layout_of(shape: Shape, run: &RunRef) -> Result<Layout> {
    let none = || StoreFault::Wrong(format!("run {} cannot have {} records", run.id(), run.records()));
    Layout::new(shape, run.records()).ok_or_else(none)
}

fn read_header(db: &Connection, run: &RunRef, layout: Layout) -> Result<BlockDirectory> {
    let item = Item { first: 0, digest: run.header() };
    let bytes = read_row(db, run.id(), Place::Header, BlockDirectory::length(layout.fences()), &item)?;
    BlockDirectory::parse(&bytes).map_err(|why| wrong(run.id(), Place::Header, why))
}

/// Reads a row and verifies its length and digest.
fn read_row(db: &Connection, run: u32, place: Place, length: u64, item: &Item) -> Result<Vec<u8>> {
    let bytes = rows::read(db, run, place)?.ok_or_else(|| wrong(run, place, "is missing"))?;
    if wide(bytes.len()) != length {
        return Err(wrong(run, place, "is of another length"));
    }
    if place.digest(run, &bytes) != item.digest {
        return Err(wrong(run, place, "does not have its digest"));
    }
    Ok(bytes)
}

fn wrong(run: u32, place: Place, why: &str) -> StoreFault {
    StoreFault::Wrong(format!("{place} of run {run} {why}"))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Reads the blocks of a run in order and verifies each against the rows above it.
pub struct Scan<'a> {
    run: SortedRun<'a>,
    fence: usize,
    slot: usize,
    open: Option<Fence>,
    last: Option<Key>,
}

impl<'a> Scan<'a> {
    /// Starts at the first block.
    pub fn new(run: SortedRun<'a>) -> Scan<'a> {
        Scan::from(run, 0, 0)
    }

    /// Starts at this block, or at the next fence if there is no such block below this one.
    pub fn from(run: SortedRun<'a>, fence: usize, slot: usize) -> Scan<'a> {
        let is_there = wide(slot) < run.layout.blocks_under(wide(fence));
        let (fence, slot) = if is_there { (fence, slot) } else { (fence.saturating_add(1), 0) };
        Scan { run, fence, slot, open: None, last: None }
    }

    /// The run.
    pub fn run(&self) -> &SortedRun<'a> {
        &self.run
    }

    /// The fence and the slot of the next block.
    pub fn position(&self) -> (usize, usize) {
        (self.fence, self.slot)
    }

    /// The next block; `None` after the last.
    pub fn next(&mut self) -> Result<Option<Block>> {
        if self.open.as_ref().is_some_and(|fence| self.slot >= fence.blocks.items().len()) {
            (self.fence, self.slot, self.open) = (self.fence.saturating_add(1), 0, None);
        }
        let fence = match self.open.take() {
            Some(fence) => fence,
            None if wide(self.fence) >= self.run.layout.fences() => return Ok(None),
            None => self.run.fence(self.fence)?,
        };
        let block = self.run.block(self.fence, &fence, self.slot)?;
        let place = Place::block(wide(self.fence), wide(self.slot));
        let first = block.records().next().map(|record| record.key);
        if self.last.is_some() && first <= self.last {
            return Err(wrong(self.run.id, place, "begins before the one before it ends"));
        }
        if !block.records().all(|record| fence.filter.may_contain(record.key)) {
            return Err(wrong(self.run.id, place, "has a record that its filter has not"));
        }
        self.last = block.records().next_back().map(|record| record.key);
        self.slot = self.slot.saturating_add(1);
        self.open = Some(fence);
        Ok(Some(block))
    }
}
