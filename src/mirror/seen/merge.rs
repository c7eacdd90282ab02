//! Writes runs: a batch as a new run, and several runs merged into one.
//!
//! Runs of about the same size are merged when there are four of them. There are therefore few runs, however small
//! the batches are, and each record is written about once for every fourfold growth of the memory. If one merge leads
//! to another, they are done as a single merge.

use super::block::{Block, BlockDirectory, Fence, Item, Record};
use super::fault::{Result, StoreFault};
use super::filter::Filter;
use super::key::Key;
use super::layout::{Layout, Place, Shape};
use super::rows;
use super::run::{Scan, SortedRun};
use super::run_ref::RunRef;
use rusqlite::Connection;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::{mem, slice, vec};

/// Which of the runs of these sizes are merged: every run is in one group, and most groups contain a single run.
pub fn plan(shape: Shape, sizes: &[u64]) -> Vec<Vec<usize>> {
    let alone = sizes.iter().enumerate().map(|(number, records)| (*records, vec![number]));
    let mut groups: Vec<(u64, Vec<usize>)> = alone.collect();
    while let Some(tier) = full_tier(shape, &groups) {
        groups.sort_by_key(|(records, _)| *records);
        let (mut total, mut members, mut parts) = (0u64, Vec::new(), 0);
        groups.retain_mut(|(records, group)| {
            let sum = total.saturating_add(*records);
            let taken = tier_of(shape, *records) == Some(tier) && parts < shape.fan && sum <= shape.largest;
            if taken {
                total = sum;
                parts = parts.saturating_add(1);
                members.append(group);
            }
            !taken
        });
        groups.push((total, members));
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The smallest size class with enough runs to merge.
fn full_tier(shape: Shape, groups: &[(u64, Vec<usize>)]) -> Option<u32> {
    let tiers: Vec<u32> = groups.iter().filter_map(|(records, _)| tier_of(shape, *records)).collect();
    let full = |tier: &u32| tiers.iter().filter(|other| *other == tier).count() >= shape.fan;
    tiers.iter().copied().filter(full).min()
}

/// The size class of a run; `None` if it is not merged again. Any run that is merged has at most half of the maximum
/// number of records, so any two of them can be merged.
fn tier_of(shape: Shape, records: u64) -> Option<u32> {
    if records > shape.largest / 2 {
        return None;
    }
    let fan = u64::try_from(shape.fan).unwrap_or(u64::MAX);
    let power = records.checked_div(shape.small).and_then(|times| times.checked_ilog(fan));
    Some(power.map_or(0, |power| power.saturating_add(1)))
}

/// A source of records, ascending.
pub enum Source<'a> {
    /// A batch.
    Batch(slice::Iter<'a, Record>),
    /// A run, and the rest of its open block.
    SortedRun(Box<Scan<'a>>, vec::IntoIter<Record>),
}

impl<'a> Source<'a> {
    /// A source of the records of a run.
    pub fn run(run: SortedRun<'a>) -> Source<'a> {
        Source::SortedRun(Box::new(Scan::new(run)), Vec::new().into_iter())
    }

    fn next(&mut self) -> Result<Option<Record>> {
        match self {
            Source::Batch(records) => Ok(records.next().copied()),
            Source::SortedRun(scan, records) => {
                if records.len() == 0
                    && let Some(block) = scan.next()?
                {
                    *records = block.records().collect::<Vec<Record>>().into_iter();
                }
                Ok(records.next())
            }
        }
    }
}

/// Writes the records of all sources as one run of `total` records.
pub fn merge(
    db: &Connection,
    shape: Shape,
    id: u32,
    total: u64,
    mut sources: Vec<Source<'_>>,
) -> Result<RunRef> {
    let mut writer = Writer::new(db, shape, id, total)?;
    let mut next: BinaryHeap<Reverse<(Key, u64, usize)>> = BinaryHeap::new();
    for (number, source) in sources.iter_mut().enumerate() {
        next.extend(source.next()?.map(|record| Reverse((record.key, record.index, number))));
    }
    while let Some(Reverse((key, index, number))) = next.pop() {
        writer.push(Record { key, index })?;
        if let Some(source) = sources.get_mut(number) {
            next.extend(source.next()?.map(|record| Reverse((record.key, record.index, number))));
        }
    }
    writer.finish()
}

/// Writes a run in the order of its rows. Needs memory for one fence and the header only, however large the run is.
struct Writer<'a> {
    db: &'a Connection,
    id: u32,
    layout: Layout,
    header: BlockDirectory,
    /// The numbers of the open fence and of its open block.
    place: (u64, u64),
    fence: Fence,
    block: Vec<u8>,
    first: Key,
    last: Option<Key>,
    written: u64,
}

impl<'a> Writer<'a> {
    fn new(db: &'a Connection, shape: Shape, id: u32, records: u64) -> Result<Writer<'a>> {
        let none = || StoreFault::Wrong(format!("a run of {records} records was to be written"));
        let layout = Layout::new(shape, records).ok_or_else(none)?;
        Ok(Writer {
            db,
            id,
            layout,
            header: BlockDirectory::default(),
            place: (0, 0),
            fence: empty_fence(id, layout, 0),
            block: Vec::new(),
            first: 0,
            last: None,
            written: 0,
        })
    }

    /// No value is in two runs, and the sources are sorted: anything else means that the memory is damaged.
    fn push(&mut self, record: Record) -> Result<()> {
        if self.last.is_some_and(|last| last >= record.key) {
            return Err(StoreFault::Wrong("one value is in two runs".to_owned()));
        }
        if self.block.is_empty() {
            self.first = record.key;
        }
        self.last = Some(record.key);
        self.written = self.written.saturating_add(1);
        self.fence.filter.insert(record.key);
        record.append(&mut self.block);
        let whole = Block::length(self.layout.records_in(self.place.0, self.place.1));
        if u64::try_from(self.block.len()) == Ok(whole) { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        let (number, slot) = self.place;
        let block = mem::take(&mut self.block);
        let digest = self.write(Place::block(number, slot), &block)?;
        self.fence.blocks.push(Item { first: self.first, digest });
        // Reuses the buffer.
        self.block = block;
        self.block.clear();
        self.place.1 = slot.saturating_add(1);
        if self.place.1 == self.layout.blocks_under(number) { self.end_fence() } else { Ok(()) }
    }

    fn end_fence(&mut self) -> Result<()> {
        let number = self.place.0;
        let after = number.saturating_add(1);
        let fence = mem::replace(&mut self.fence, empty_fence(self.id, self.layout, after));
        let digest = self.write(Place::fence(number), &fence.bytes())?;
        let first = fence.blocks.items().first().map_or(0, |item| item.first);
        self.header.push(Item { first, digest });
        self.place = (after, 0);
        Ok(())
    }

    fn write(&self, place: Place, data: &[u8]) -> Result<crate::core::hash::Hash> {
        rows::write(self.db, self.id, place, data)?;
        Ok(place.digest(self.id, data))
    }

    fn finish(self) -> Result<RunRef> {
        let records = self.layout.records();
        if self.written != records {
            return Err(StoreFault::Wrong(format!("runs of {records} records have {}", self.written)));
        }
        let header = self.write(Place::Header, &self.header.bytes())?;
        Ok(RunRef::new(self.id, records, header))
    }
}

fn empty_fence(run: u32, layout: Layout, number: u64) -> Fence {
    Fence { blocks: BlockDirectory::default(), filter: Filter::empty(run, layout.records_under(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::seen::layout::SHAPE;

    #[test]
    fn sizes_are_powers_of_four_up_to_half_of_the_largest() {
        let tiers = [1, 1023, 1024, 4095, 4096, 1 << 22, 1 << 23].map(|records| tier_of(SHAPE, records));
        assert_eq!(tiers, [0, 0, 1, 1, 2, 7, 7].map(Some));
        assert_eq!(tier_of(SHAPE, (1 << 23) + 1), None);
    }

    /// Batches of one size, as in a first audit, and of varying sizes, as in nightly audits.
    #[test]
    fn runs_are_few_and_bounded_and_records_are_rarely_rewritten() {
        for (batches, size) in
            [(20_000u64, 7u64), (3000, 12_000), (40_000, 700), (50, 3_000_000), (40, SHAPE.largest)]
        {
            let (mut runs, mut written, mut most) = (Vec::new(), 0, 0);
            let mut random = 1u64;
            for _ in 0..batches {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                runs.push((size / 2 + (random >> 33) % size.div_ceil(2)).max(1));
                let groups = plan(SHAPE, &runs);
                let mut all: Vec<usize> = groups.concat();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..runs.len()), "every run is in one group");
                let sums = groups.iter().map(|group| {
                    let sum: u64 = group.iter().map(|number| runs[*number]).sum();
                    if group.len() > 1 || group[0] + 1 == runs.len() {
                        written += sum;
                    }
                    sum
                });
                runs = sums.collect();
                let finished = runs.iter().filter(|records| tier_of(SHAPE, **records).is_none()).count();
                most = most.max(runs.len() - finished);
                assert!(runs.iter().all(|records| *records <= SHAPE.largest));
            }
            let records: u64 = runs.iter().sum();
            let bound = match size {
                // Runs below the first size class are rewritten together, which costs a few pages.
                7 | 700 => 60,
                _ => 8,
            };
            assert!(most <= 24, "{most} runs of {size}");
            assert!(written <= records * bound, "{written} written for {records} of {size}");
        }
    }
}
