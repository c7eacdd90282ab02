//! The views of the log: which clients see which history, and when.
//!
//! Every audience has a first view. If a lie begins later, it has another view from phase 2 on. A request for a checkpoint
//! (tiles) or a head (JSON API) begins a phase; all other requests belong to the current phase of the audience.

use super::super::heads::LogSigner;
use super::history::History;
use super::lies::{HistoryLie, Lie};
use super::load::{Loaded, SigningMaterial};
use super::signing::{ListedHead, SignedHead};
use super::tamper;
use super::view::LogView;
use crate::error::TestlogError;
use countersign::core::limits::MAX_SIGNER_SKEW;
use countersign::core::time::UnixMillis;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// How long before the first head a rolled-back head was signed.
const EARLIER: Duration = Duration::from_secs(60);

/// The age of the first head of a log that is rolled back: too long for a cache to explain it.
const LONG_AGO: Duration = Duration::from_secs(2 * 60 * 60);

const NO_KEY: &str = "the log's private key is not known";

const HOUR_MS: u64 = 3_600_000;

/// A group of clients with the same view.
struct Audience {
    phase: u64,
    first: LogView,
    later: Option<LogView>,
    /// The head of a log that was rolled back, signed before the first head.
    earlier: Option<SignedHead>,
}

/// The log with the views of all audiences.
pub struct ServedLog {
    lies: Vec<HistoryLie>,
    audiences: Vec<Audience>,
    signing: Option<SigningMaterial>,
    other: LogSigner,
}

impl ServedLog {
    /// The log in phase 1.
    ///
    /// # Errors
    /// A lie is impossible for this log, or needs the log's private key.
    pub fn new(loaded: Loaded, lies: &[Lie]) -> Result<ServedLog, TestlogError> {
        let lies: Vec<HistoryLie> = lies
            .iter()
            .filter_map(|lie| if let Lie::History(lie) = lie { Some(lie.clone()) } else { None })
            .collect();
        let Loaded { history, head, signing, other_signer: other } = loaded;
        let mut served_log = ServedLog { lies, audiences: Vec::new(), signing, other };
        let verbatim = head.filter(|_| !served_log.lies.iter().any(changes_the_first_head));
        let first = served_log.first(history, verbatim)?;
        let fork = served_log.lies.iter().any(|lie| matches!(lie, HistoryLie::ForkByClient(_)));
        let forked = if fork { Some(served_log.forked(&first)?) } else { None };
        for first in std::iter::once(first).chain(forked) {
            let audience = served_log.meet(first)?;
            // A lie that will be impossible later is refused now, before the first request.
            served_log.later(&audience)?;
            served_log.audiences.push(audience);
        }
        Ok(served_log)
    }

    fn signing(&self) -> Result<&SigningMaterial, TestlogError> {
        self.signing.as_ref().ok_or_else(|| NO_KEY.into())
    }

    /// The first view: its entries, and how its heads are signed.
    fn first(&self, mut history: History, verbatim: Option<SignedHead>) -> Result<LogView, TestlogError> {
        for lie in &self.lies {
            match lie {
                HistoryLie::Forged(index) => history = tamper::forge(&history, *index)?,
                HistoryLie::Replayed(index) => tamper::replay(&mut history, *index)?,
                _ => {}
            }
        }
        if let Some(head) = verbatim {
            return Ok(LogView::new(
                history,
                head,
                self.signing.as_ref().map(|signing| signing.signer.clone()),
            ));
        }
        let mut signer = self.signing()?.signer.clone();
        let mut signs = true;
        for lie in &self.lies {
            match lie {
                HistoryLie::WrongKey => signer.signer = self.other.clone(),
                HistoryLie::HeadDisagree => signer.disagrees = true,
                HistoryLie::Future(hours) => signer.ahead = milliseconds(*hours)?,
                HistoryLie::Frozen(hours) => {
                    signer.ahead = -milliseconds(*hours)?;
                    signs = false;
                }
                _ => {}
            }
        }
        let size = history.len();
        let root = history.root(size).ok_or("the log has no root")?;
        let goes_back = self.lies.iter().any(|lie| matches!(lie, HistoryLie::Rollback(_)));
        let age = if goes_back { LONG_AGO } else { Duration::ZERO };
        let time = signer.time_after(UnixMillis::EPOCH).saturating_sub(age);
        let head = signer.sign(size, root, time);
        Ok(LogView { signs, ..LogView::new(history, head, Some(signer)) })
    }

    /// The view of the other clients.
    fn forked(&self, first: &LogView) -> Result<LogView, TestlogError> {
        let size = first.history.len();
        let leaf = self.signing()?.generator.other("fork by client").leaf(size / 2)?;
        let history = first.history.replaced(size / 2, &leaf)?;
        let signer = first.signer.clone().ok_or(NO_KEY)?;
        let root = history.root(size).ok_or("the log has no root")?;
        let head = signer.sign(size, root, signer.time_after(first.last_time()));
        Ok(LogView { signs: first.signs, ..LogView::new(history, head, Some(signer)) })
    }

    /// An audience before its first request.
    fn meet(&self, mut first: LogView) -> Result<Audience, TestlogError> {
        let mut earlier = None;
        for lie in &self.lies {
            if let HistoryLie::Rollback(count) = lie {
                let size = fewer(first.current.size, *count)?;
                let signer = first.signer.as_ref().ok_or(NO_KEY)?;
                let head = signer.sign(size, first.root(size)?, first.current.time.saturating_sub(EARLIER));
                first.listed.insert(0, ListedHead::from(&head));
                earlier = Some(head);
            }
        }
        Ok(Audience { phase: 0, first, later: None, earlier })
    }

    /// The view from phase 2 on, if it differs.
    fn later(&self, audience: &Audience) -> Result<Option<LogView>, TestlogError> {
        let Audience { first, earlier, .. } = audience;
        let earlier = earlier.as_ref();
        let mut history = first.history.clone();
        let mut signer = first.signer.clone();
        let (mut size, mut time, mut grows, mut listed) = (None, None, true, first.listed.clone());
        let mut changed = false;
        for lie in &self.lies {
            match lie {
                HistoryLie::ForkAt(at) => {
                    let at = at.unwrap_or(history.len() / 2);
                    history = history.replaced(at, &self.signing()?.generator.other("fork").leaf(at)?)?;
                    // A forked log does not list the heads of the other branch.
                    listed.clear();
                }
                HistoryLie::Rewrite(index) => {
                    let generator = &self.signing()?.generator;
                    history = history.replaced(*index, &generator.other("rewrite").leaf(*index)?)?;
                    history.push(&generator.leaf(history.len())?)?;
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
                    let later = first.last_time().saturating_add(MAX_SIGNER_SKEW);
                    time = first.signer.as_ref().map(|signer| signer.time_after(later));
                    grows = false;
                }
                HistoryLie::KeySwap => {
                    signer.iter_mut().for_each(|signer| signer.signer = self.other.clone());
                }
                _ => continue,
            }
            changed = true;
        }
        if !changed {
            return Ok(None);
        }
        let signer = signer.ok_or(NO_KEY)?;
        let size = size.unwrap_or(history.len());
        // Removed entries and their proofs are still served, as caches would.
        let root = history.root(size).ok_or("the log is too short")?;
        let head = signer.sign(size, root, time.unwrap_or_else(|| signer.time_after(first.last_time())));
        if !listed.iter().any(|there| there.sth == head.sth) {
            listed.push(ListedHead::from(&head));
        }
        Ok(Some(LogView { grows, signs: first.signs, listed, ..LogView::new(history, head, Some(signer)) }))
    }

    /// The audience of a client with this `User-Agent`.
    pub fn audience(&self, agent: &str) -> usize {
        let other = self.lies.iter().any(|lie| match lie {
            HistoryLie::ForkByClient(text) => agent.contains(text.as_str()),
            _ => false,
        });
        usize::from(other && self.audiences.len() > 1)
    }

    /// The current view of this audience.
    pub fn shown(&self, audience: usize) -> &LogView {
        let audience = &self.audiences[audience];
        audience.later.as_ref().unwrap_or(&audience.first)
    }

    /// Begins a new phase for this audience.
    ///
    /// # Errors
    /// The lie of phase 2 is impossible.
    pub fn next_phase(&mut self, audience: usize) -> Result<(), TestlogError> {
        self.audiences[audience].phase += 1;
        if self.audiences[audience].phase == 2 {
            self.audiences[audience].later = self.later(&self.audiences[audience])?;
        }
        Ok(())
    }

    /// Every view to which entries are appended.
    fn growing(&mut self) -> impl Iterator<Item = &mut LogView> {
        let audiences = self.audiences.iter_mut();
        let views =
            audiences.flat_map(|audience| std::iter::once(&mut audience.first).chain(&mut audience.later));
        views.filter(|view| view.grows)
    }

    fn views(&self) -> impl Iterator<Item = &LogView> {
        self.audiences.iter().flat_map(|audience| std::iter::once(&audience.first).chain(&audience.later))
    }

    /// The log's verifier key, if it is known.
    pub fn vkey(&self) -> Option<String> {
        self.signing.as_ref().map(|signing| signing.signer.signer.vkey())
    }
}

/// Appends `count` entries to every view and signs heads. Entries are made without holding the lock.
///
/// # Errors
/// The log's private key is not known, or an entry could not be made.
pub fn grow(served_log: &RwLock<ServedLog>, count: u64) -> Result<(), TestlogError> {
    let (generator, starts) = {
        let served_log = served_log.read().unwrap_or_else(PoisonError::into_inner);
        let starts: Vec<u64> = served_log.views().map(|view| view.history.len()).collect();
        (served_log.signing()?.generator.clone(), starts)
    };
    let mut leaves: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for index in starts.into_iter().flat_map(|start| start..start + count) {
        if let Entry::Vacant(place) = leaves.entry(index) {
            place.insert(generator.leaf(index)?);
        }
    }
    let mut served_log = served_log.write().unwrap_or_else(PoisonError::into_inner);
    for view in served_log.growing() {
        let start = view.history.len();
        view.append(leaves.range(start..start + count).map(|(_, leaf)| leaf.as_slice()))?;
    }
    Ok(())
}

/// Appends these leaves to every view that grows and signs heads, all at once.
///
/// # Errors
/// A leaf is longer than an entry may be, or the log's private key is not known.
pub fn append(served_log: &RwLock<ServedLog>, leaves: &[Vec<u8>]) -> Result<(), TestlogError> {
    let mut served_log = served_log.write().unwrap_or_else(PoisonError::into_inner);
    for view in served_log.growing() {
        view.append(leaves.iter().map(Vec::as_slice))?;
    }
    Ok(())
}

/// Whether the heads of a directory cannot be served verbatim.
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

fn fewer(size: u64, count: u64) -> Result<u64, TestlogError> {
    size.checked_sub(count).ok_or_else(|| format!("a log of {size} entries cannot lose {count}").into())
}

fn milliseconds(hours: u64) -> Result<i64, TestlogError> {
    let most = 24 * 365 * 50;
    let hours = if hours <= most { Ok(hours) } else { Err(format!("at most {most} hours").into()) };
    hours.map(|hours| i64::try_from(hours * HOUR_MS).unwrap_or(i64::MAX))
}
