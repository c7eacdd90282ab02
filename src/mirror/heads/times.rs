//! The times of STHs: which STHs are out of order with each other.

use super::query::{Query, key_of, only, query_head};
use super::store::Heads;
use super::stored::StoredHead;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::limits::MAX_SIGNER_SKEW;
use crate::core::time::UnixMillis;
use crate::mirror::db::Db;
use crate::mirror::error::Result;
use crate::mirror::seal::{MAX_KEY, Node, Table};
use crate::mirror::state::State;
use crate::mirror::values::int;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Deref;
use std::ops::RangeInclusive;

/// Size and time of an STH.
type Sth = (u64, UnixMillis);

/// The side of an STH on which other STHs are compared with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// STHs of smaller sizes: one that is later is out of order with it.
    Smaller,
    /// STHs of larger sizes: one that is earlier is out of order with it.
    Larger,
}

impl Side {
    fn sql(self) -> &'static str {
        match self {
            Side::Smaller => {
                "SELECT size, time FROM heads WHERE size >= ?1 AND size <= ?2 AND format = 'sth' ORDER BY size"
            }
            Side::Larger => {
                "SELECT size, time FROM heads WHERE size >= ?1 AND size <= ?2 AND format = 'sth' ORDER BY size DESC"
            }
        }
    }

    /// The sizes beyond `last` on this side.
    fn sizes(self, last: u64) -> RangeInclusive<u64> {
        match (self, key_of(last).checked_sub(1)) {
            (Side::Smaller, Some(end)) => 0..=end,
            (Side::Smaller, None) => RangeInclusive::new(1, 0),
            (Side::Larger, _) => key_of(last).saturating_add(1)..=MAX_KEY,
        }
    }

    fn is_reached(self, size: u64, by: u64) -> bool {
        match self {
            Side::Smaller => size <= by,
            Side::Larger => size >= by,
        }
    }
}

/// Which of the STHs that are out of order is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The one that is out of order by the most.
    Worst,
    /// The one that is out of order by the least.
    Nearest,
}

/// The STHs that a sweep over one side has passed.
struct Passed {
    side: Side,
    wanted: Wanted,
    /// Time and size of all of them, or, if the worst is wanted, of that one only.
    times: BTreeMap<UnixMillis, u64>,
}

impl Passed {
    fn new(side: Side, wanted: Wanted) -> Passed {
        Passed { side, wanted, times: BTreeMap::new() }
    }

    fn worst(&self) -> Option<Sth> {
        let worst = match self.side {
            Side::Smaller => self.times.last_key_value(),
            Side::Larger => self.times.first_key_value(),
        };
        worst.map(|(time, size)| (*size, *time))
    }

    fn add(&mut self, size: u64, time: UnixMillis) {
        if self.wanted == Wanted::Worst {
            match self.worst() {
                Some((_, than)) if (self.side == Side::Smaller) == (time <= than) => return,
                _ => self.times.clear(),
            }
        }
        self.times.insert(time, size);
    }

    /// The wanted one of those that are out of order with an STH of this time.
    fn against(&self, time: UnixMillis) -> Option<Sth> {
        let pair = |(time, size): (&UnixMillis, &u64)| (*size, *time);
        match (self.wanted, self.side) {
            (Wanted::Worst, Side::Smaller) => self.worst().filter(|(_, other)| *other > time),
            (Wanted::Worst, Side::Larger) => self.worst().filter(|(_, other)| *other < time),
            (Wanted::Nearest, Side::Smaller) => {
                self.times.range((Excluded(time), Unbounded)).next().map(pair)
            }
            (Wanted::Nearest, Side::Larger) => self.times.range(..time).next_back().map(pair),
        }
    }
}

impl<D: Deref<Target = Db>> Heads<D> {
    /// For each of these STHs, returns kept ones that are out of order with it: of the smaller
    /// STHs the latest, if it is later, and of the larger STHs the earliest, if it is earlier. If one of these is out
    /// of order by more than the clocks of signers may differ, one on the same side that is not is returned too, if
    /// there is any.
    ///
    /// Comparing neighbours is not enough: many small steps back, each within the allowed clock difference, add up to
    /// a large one. STHs that are beyond everything that was compared before, as those of an honest log are, cost
    /// nothing. Otherwise a call looks at the times of all kept STHs, however many STHs it is given.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn sths_against(&self, sths: &[Sth], key: &LogKey) -> Result<Vec<Vec<StoredHead>>> {
        let mut found = vec![Vec::new(); sths.len()];
        if self.are_beyond(sths) {
            return Ok(found);
        }
        let mut against: Vec<Vec<Sth>> = vec![Vec::new(); sths.len()];
        for side in [Side::Smaller, Side::Larger] {
            let worst = self.sweep(sths, side, Wanted::Worst)?;
            let is_wide = |(_, time): &Sth, worst: &Option<Sth>| {
                worst.is_some_and(|(_, other)| other.abs_diff(*time) > MAX_SIGNER_SKEW)
            };
            let near = match sths.iter().zip(&worst).any(|(sth, worst)| is_wide(sth, worst)) {
                true => self.sweep(sths, side, Wanted::Nearest)?,
                false => Vec::new(),
            };
            for (place, ((sth, worst), against)) in sths.iter().zip(worst).zip(&mut against).enumerate() {
                let near = near.get(place).copied().flatten().filter(|near| !is_wide(sth, &Some(*near)));
                against.extend(worst);
                against.extend(near.filter(|near| Some(*near) != worst));
            }
        }
        for (against, found) in against.into_iter().zip(&mut found) {
            for (size, time) in against {
                let query = Query {
                    sizes: only(size),
                    condition: "format = 'sth' AND time = ?3",
                    values: &[&time],
                    limit: 1,
                    ..Query::all()
                };
                found.extend(query_head(self.db(), &query, key)?);
            }
        }
        Ok(found)
    }

    /// Whether these STHs are in order, and beyond all that were compared with each other before.
    fn are_beyond(&self, sths: &[Sth]) -> bool {
        let Some(mut until) = self.db().state().sths_until else { return sths.is_empty() };
        let mut sths = sths.to_vec();
        sths.sort_unstable();
        sths.into_iter().all(|(size, time)| {
            let beyond = size >= until.0 && time >= until.1;
            until = (size, time);
            beyond
        })
    }

    /// For each of these STHs, size and time of a kept one on this side that is out of order with it, if there is
    /// one.
    fn sweep(&self, sths: &[Sth], side: Side, wanted: Wanted) -> Result<Vec<Option<Sth>>> {
        let mut places: Vec<(usize, u64, UnixMillis)> =
            sths.iter().enumerate().map(|(place, (size, time))| (place, *size, *time)).collect();
        places.sort_by_key(|(_, size, _)| *size);
        if side == Side::Larger {
            places.reverse();
        }
        let mut found = vec![None; sths.len()];
        let Some((_, last, _)) = places.last().copied() else { return Ok(found) };
        let mut passed = Passed::new(side, wanted);
        let mut waiting = places.into_iter().peekable();
        let mut set = |(place, _, time): (usize, u64, UnixMillis), passed: &Passed| {
            if let Some(found) = found.get_mut(place) {
                *found = passed.against(time);
            }
        };
        // Ranges in which all heads are in order with these are skipped.
        let times = || sths.iter().map(|(_, time)| *time);
        let (earliest, latest) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let wanted = |node: &Node| match side {
            Side::Smaller => node.times.1 > earliest,
            Side::Larger => node.times.0 < latest,
        };
        let sizes = side.sizes(last);
        if !sizes.is_empty() {
            self.db().trusted_ranges(Table::Heads, sizes, side == Side::Larger, &wanted, &mut |sizes| {
                let result = self.db().connection().prepare_cached(side.sql()).and_then(|mut select| {
                    let mut rows = select.query([int(*sizes.start()), int(*sizes.end())])?;
                    while let Some(row) = rows.next()? {
                        let (size, time): Sth = (row.get(0)?, row.get(1)?);
                        // STHs whose size was reached have no more to compare with on this side.
                        while let Some(place) = waiting.next_if(|(_, of, _)| side.is_reached(*of, size)) {
                            set(place, &passed);
                        }
                        passed.add(size, time);
                    }
                    Ok(())
                });
                self.db().sql(result).map(|()| false)
            })?;
        }
        waiting.for_each(|place| set(place, &passed));
        Ok(found)
    }

    /// The latest STH of one tree, and the earliest of another.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn widest_apart(
        &self,
        (size, root): (u64, &Hash),
        (than, than_root): (u64, &Hash),
        key: &LogKey,
    ) -> Result<Option<(StoredHead, StoredHead)>> {
        let of_tree = |size, root: &Hash, then| {
            let query = Query {
                sizes: only(size),
                condition: "format = 'sth' AND root = ?3",
                values: &[&root.0],
                then,
                limit: 1,
                ..Query::all()
            };
            query_head(self.db(), &query, key)
        };
        Ok(of_tree(size, root, "time DESC")?.zip(of_tree(than, than_root, "time")?))
    }
}

impl Heads<&mut Db> {
    /// Records the comparisons of an earlier version, which found all STHs in order, as the largest size and the
    /// latest time of those STHs.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn adopt_compared(&mut self, state: &mut State) -> Result<()> {
        self.db().trust(Table::Heads, 0..=MAX_KEY)?;
        let sql = "SELECT coalesce(max(size), 0), coalesce(max(time), 0) FROM heads WHERE format = 'sth' AND compared = 1";
        let result = self.db().connection().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        state.sths_until = Some(self.db().sql(result)?);
        Ok(())
    }
}
