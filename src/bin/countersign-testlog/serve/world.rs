//! Who is shown which history, and when.
//!
//! Every audience has a first track and, where a lie begins later, another from phase 2 on. A request
//! for a checkpoint (tiles) or a head (JSON API) begins a phase; everything else belongs to the phase
//! that the audience is in.

use super::super::heads::LogSigner;
use super::history::History;
use super::lies::{HistoryLie, Lie};
use super::load::{Loaded, Own};
use super::signing::{Listed, SignedHead};
use super::tamper;
use super::track::Track;
use countersign::core::limits::MAX_SIGNER_SKEW_MS;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{PoisonError, RwLock};

/// How long before the first head a rolled-back one was signed, in milliseconds.
const EARLIER: u64 = 60_000;

/// How long ago the head was signed that a rolled-back log goes back behind, in milliseconds: no cache explains that.
const LONG_AGO: u64 = 2 * HOUR;

const NO_KEY: &str = "the log's private key is not known";

const HOUR: u64 = 3_600_000;

/// The clients that are shown the same.
struct Audience {
    phase: u64,
    first: Track,
    later: Option<Track>,
    /// The head that a rolled-back log serves, signed before the first.
    earlier: Option<SignedHead>,
}

/// Everything that is shown to anybody.
pub struct World {
    lies: Vec<HistoryLie>,
    audiences: Vec<Audience>,
    own: Option<Own>,
    other: LogSigner,
}

impl World {
    /// The world in phase 1.
    pub fn new(loaded: Loaded, lies: &[Lie]) -> Result<World, String> {
        let lies: Vec<HistoryLie> = lies
            .iter()
            .filter_map(|lie| if let Lie::History(lie) = lie { Some(lie.clone()) } else { None })
            .collect();
        let Loaded { history, head, own, other_signer: other } = loaded;
        let mut world = World { lies, audiences: Vec::new(), own, other };
        let verbatim = head.filter(|_| !world.lies.iter().any(changes_the_first_head));
        let first = world.first(history, verbatim)?;
        let fork = world.lies.iter().any(|lie| matches!(lie, HistoryLie::ForkByClient(_)));
        let forked = if fork { Some(world.forked(&first)?) } else { None };
        for first in std::iter::once(first).chain(forked) {
            let audience = world.meet(first)?;
            // Whatever cannot be shown later is refused now, before anybody has asked.
            world.later(&audience)?;
            world.audiences.push(audience);
        }
        Ok(world)
    }

    fn own(&self) -> Result<&Own, String> {
        self.own.as_ref().ok_or_else(|| NO_KEY.to_owned())
    }

    /// The first track: what is committed to, and how its heads are signed.
    fn first(&self, mut history: History, verbatim: Option<SignedHead>) -> Result<Track, String> {
        for lie in &self.lies {
            match lie {
                HistoryLie::Forged(index) => history = tamper::forge(&history, *index)?,
                HistoryLie::Replayed(index) => tamper::replay(&mut history, *index)?,
                _ => {}
            }
        }
        if let Some(head) = verbatim {
            return Ok(Track::new(history, head, self.own.as_ref().map(|own| own.pen.clone())));
        }
        let mut pen = self.own()?.pen.clone();
        let mut signs = true;
        for lie in &self.lies {
            match lie {
                HistoryLie::WrongKey => pen.signer = self.other.clone(),
                HistoryLie::HeadDisagree => pen.disagrees = true,
                HistoryLie::Future(hours) => pen.ahead = milliseconds(*hours)?,
                HistoryLie::Frozen(hours) => {
                    pen.ahead = -milliseconds(*hours)?;
                    signs = false;
                }
                _ => {}
            }
        }
        let size = history.len();
        let root = history.root(size).ok_or("the log has no root")?;
        let goes_back = self.lies.iter().any(|lie| matches!(lie, HistoryLie::Rollback(_)));
        let time = pen.time_after(0).saturating_sub(if goes_back { LONG_AGO } else { 0 });
        let head = pen.sign(size, root, time);
        Ok(Track { signs, ..Track::new(history, head, Some(pen)) })
    }

    /// The history that other clients see.
    fn forked(&self, first: &Track) -> Result<Track, String> {
        let size = first.history.len();
        let leaf = self.own()?.maker.other("fork by client").leaf(size / 2)?;
        let history = first.history.replaced(size / 2, &leaf)?;
        let pen = first.pen.clone().ok_or(NO_KEY)?;
        let root = history.root(size).ok_or("the log has no root")?;
        let head = pen.sign(size, root, pen.time_after(first.last_time()));
        Ok(Track { signs: first.signs, ..Track::new(history, head, Some(pen)) })
    }

    /// An audience that has seen nothing yet.
    fn meet(&self, mut first: Track) -> Result<Audience, String> {
        let mut earlier = None;
        for lie in &self.lies {
            if let HistoryLie::Rollback(count) = lie {
                let size = fewer(first.current.size, *count)?;
                let pen = first.pen.as_ref().ok_or(NO_KEY)?;
                let head = pen.sign(size, first.root(size)?, first.current.time.saturating_sub(EARLIER));
                first.listed.insert(0, Listed::from(&head));
                earlier = Some(head);
            }
        }
        Ok(Audience { phase: 0, first, later: None, earlier })
    }

    /// What is shown from phase 2 on, if it is something else.
    fn later(&self, audience: &Audience) -> Result<Option<Track>, String> {
        let Audience { first, earlier, .. } = audience;
        let earlier = earlier.as_ref();
        let mut history = first.history.clone();
        let mut pen = first.pen.clone();
        let (mut size, mut time, mut grows, mut listed) = (None, None, true, first.listed.clone());
        let mut changed = false;
        for lie in &self.lies {
            match lie {
                HistoryLie::ForkAt(at) => {
                    let at = at.unwrap_or(history.len() / 2);
                    history = history.replaced(at, &self.own()?.maker.other("fork").leaf(at)?)?;
                    // Who forks does not list the heads of the other branch.
                    listed.clear();
                }
                HistoryLie::Rewrite(index) => {
                    let maker = &self.own()?.maker;
                    history = history.replaced(*index, &maker.other("rewrite").leaf(*index)?)?;
                    history.push(&maker.leaf(history.len())?)?;
                    listed.clear();
                }
                HistoryLie::Rollback(_) => {
                    size = earlier.map(|head| head.size);
                    time = earlier.map(|head| head.time);
                    grows = false;
                }
                HistoryLie::Shrink(count) => {
                    size = Some(fewer(first.current.size, *count)?);
                    // Later by more than the clocks of two signers may differ.
                    let later = first.last_time().saturating_add(MAX_SIGNER_SKEW_MS);
                    time = first.pen.as_ref().map(|pen| pen.time_after(later));
                    grows = false;
                }
                HistoryLie::KeySwap => {
                    pen.iter_mut().for_each(|pen| pen.signer = self.other.clone());
                }
                _ => continue,
            }
            changed = true;
        }
        if !changed {
            return Ok(None);
        }
        let pen = pen.ok_or(NO_KEY)?;
        let size = size.unwrap_or(history.len());
        // Entries and proofs of what was taken back are still there, as they are in caches.
        let root = history.root(size).ok_or("the log is too short")?;
        let head = pen.sign(size, root, time.unwrap_or_else(|| pen.time_after(first.last_time())));
        if !listed.iter().any(|there| there.sth == head.sth) {
            listed.push(Listed::from(&head));
        }
        Ok(Some(Track { grows, signs: first.signs, listed, ..Track::new(history, head, Some(pen)) }))
    }

    /// Who asks.
    pub fn audience(&self, agent: &str) -> usize {
        let other = self.lies.iter().any(|lie| match lie {
            HistoryLie::ForkByClient(text) => agent.contains(text.as_str()),
            _ => false,
        });
        usize::from(other && self.audiences.len() > 1)
    }

    /// What this audience is shown.
    pub fn shown(&self, audience: usize) -> &Track {
        let audience = &self.audiences[audience];
        audience.later.as_ref().unwrap_or(&audience.first)
    }

    /// A new phase for this audience.
    pub fn next_phase(&mut self, audience: usize) -> Result<(), String> {
        self.audiences[audience].phase += 1;
        if self.audiences[audience].phase == 2 {
            self.audiences[audience].later = self.later(&self.audiences[audience])?;
        }
        Ok(())
    }

    fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.audiences.iter().flat_map(|audience| std::iter::once(&audience.first).chain(&audience.later))
    }

    /// The log's verifier key, where it is known.
    pub fn vkey(&self) -> Option<String> {
        self.own.as_ref().map(|own| own.pen.signer.vkey())
    }
}

/// Appends `count` entries everywhere and signs the heads of it. Entries are made outside of the lock.
pub fn grow(world: &RwLock<World>, count: u64) -> Result<(), String> {
    let (maker, starts) = {
        let world = world.read().unwrap_or_else(PoisonError::into_inner);
        let starts: Vec<u64> = world.tracks().map(|track| track.history.len()).collect();
        (world.own()?.maker.clone(), starts)
    };
    let mut leaves: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for index in starts.into_iter().flat_map(|start| start..start + count) {
        if let Entry::Vacant(place) = leaves.entry(index) {
            place.insert(maker.leaf(index)?);
        }
    }
    let mut world = world.write().unwrap_or_else(PoisonError::into_inner);
    for audience in &mut world.audiences {
        for track in
            std::iter::once(&mut audience.first).chain(&mut audience.later).filter(|track| track.grows)
        {
            let start = track.history.len();
            track.append(leaves.range(start..start + count).map(|(_, leaf)| leaf.as_slice()))?;
        }
    }
    Ok(())
}

/// Whether the heads of a directory cannot be served as they are.
fn changes_the_first_head(lie: &HistoryLie) -> bool {
    matches!(
        lie,
        HistoryLie::Frozen(_)
            | HistoryLie::HeadDisagree
            | HistoryLie::WrongKey
            | HistoryLie::Future(_)
            | HistoryLie::Forged(_)
            | HistoryLie::Replayed(_)
    )
}

fn fewer(size: u64, count: u64) -> Result<u64, String> {
    size.checked_sub(count).ok_or_else(|| format!("a log of {size} entries cannot lose {count}"))
}

fn milliseconds(hours: u64) -> Result<i64, String> {
    let most = 24 * 365 * 50;
    let hours = if hours <= most { Ok(hours) } else { Err(format!("at most {most} hours")) };
    hours.map(|hours| i64::try_from(hours * HOUR).unwrap_or(i64::MAX))
}
