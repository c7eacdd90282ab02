//! What is known about each log, and how a report changes it. This module reads no clock. What is late is decided by
//! the steady clock of [`Now`], which nobody can set.

use super::clock::Now;
use super::event::Event;
use super::peers::PeerStates;
use super::{Auditable, WatchedLog};
use crate::audit::conclusion::Conclusion;
use crate::core::finding::Code;
use crate::core::text;
use crate::core::time::{UnixMillis, whole_millis};
use crate::report::{MirrorUse, Report};
use crate::service::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest wait for a log that cannot be reached. The wait doubles up to this value.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// How many findings are logged one by one; the others are only counted. The report has all of them.
const MAX_LINES: usize = 20;

/// How many causes are logged.
const MAX_CAUSES: usize = 3;

/// What is known about one log.
pub struct Status {
    /// The log.
    pub subject: Arc<dyn Auditable>,
    /// The time between two audits.
    pub interval: Duration,
    deadline: Duration,
    /// When the next audit is due; during an audit, when that audit was due.
    pub due: UnixMillis,
    /// `due` on the steady clock.
    due_steady: Duration,
    /// When the running audit began.
    pub running: Option<Now>,
    /// The last audit that produced a report.
    pub last: Option<Last>,
    /// When an audit last made every check that it was asked for.
    pub success: Option<UnixMillis>,
    /// The number of audits by verdict.
    pub counts: BTreeMap<Conclusion, u64>,
    /// How many times in a row the log could not be reached.
    pub unreachable: u32,
    /// The content of the mirror at the end of the last audit that could open it.
    pub known: Option<Known>,
    /// The peers of the log.
    pub peers: PeerStates,
    /// Why the last audit produced no report, if that is a fault on our side.
    pub fault: Option<MonitorFault>,
}

/// A fault on this side.
pub struct MonitorFault {
    /// When the first audit in a row with a fault ended.
    since: UnixMillis,
    /// The fault of the last audit.
    why: String,
}

/// The last audit.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// When it ended.
    pub at: UnixMillis,
    /// `at` on the steady clock.
    steady: Duration,
    /// The duration.
    pub took: Duration,
    /// The verdict.
    pub verdict: Conclusion,
}

/// The content of the mirror.
#[derive(Default)]
pub struct Known {
    /// Size of the newest head that was read.
    pub size: Option<u64>,
    /// The time of that head, if it has one.
    pub head_time: Option<UnixMillis>,
    /// The number of checked entries.
    pub checked: u64,
    /// Standing findings by code and severity.
    pub findings: BTreeMap<(&'static str, &'static str), u64>,
    /// Those of `findings` that are acknowledged.
    pub acknowledged: BTreeMap<(&'static str, &'static str), u64>,
    /// The messages of standing findings above `info` by their keys, as first reported.
    standing: BTreeMap<String, String>,
}

impl Status {
    fn new(watched: &WatchedLog, now: Now) -> Status {
        Status {
            subject: Arc::clone(&watched.subject),
            interval: watched.interval,
            deadline: watched.deadline.unwrap_or_default(),
            due: now.shown,
            due_steady: now.steady,
            running: None,
            last: None,
            success: None,
            counts: BTreeMap::new(),
            unreachable: 0,
            known: None,
            peers: PeerStates::default(),
            fault: None,
        }
    }

    /// The faults on our side, for `/healthz`. Misbehaviour of the log, or that it cannot be reached, is not among
    /// them.
    pub fn unhealthy_reasons(&self, now: Now) -> Vec<String> {
        let fault = |MonitorFault { since, why }: &MonitorFault| {
            format!(
                "a fault on this side since {since}: {why}. Fix it on this machine: the log is not accused of it, \
                 and nothing more is known about the log until then"
            )
        };
        let mut reasons: Vec<String> = self.fault.iter().map(fault).collect();
        // The next audit is due an interval after the last, so this is two and a half intervals after the last.
        // A saturated time is never reached: nothing is late then.
        let patience = self.interval.saturating_mul(3).checked_div(2).unwrap_or_default();
        let latest = self.due_steady.saturating_add(patience).saturating_add(self.deadline);
        if now.steady > latest {
            let due = (self.due, self.due_steady);
            let (since, steady) = self.last.map_or(due, |last| (last.at, last.steady));
            // The steady clock never decreases.
            let passed = text::duration(now.steady.saturating_sub(steady));
            reasons.push(format!(
                "an interval was missed: no audit ended for {passed}, since {since}. See what is slow (the \
                 network, the disk, a mirror that another program holds), or restart the monitor, which is safe"
            ));
        }
        reasons
    }

    /// The time until the next audit. `random` is from 0 to 1: the interval is varied by a tenth, so that many
    /// auditors do not ask at the same time.
    fn wait(&self, random: f64) -> Duration {
        // Cut to the longest wait. Before the first failure there is nothing to double.
        let doubled = self.interval.saturating_mul(2_u32.saturating_pow(self.unreachable.saturating_sub(1)));
        let backoff = doubled.min(LONGEST_BACKOFF.max(self.interval));
        let whole = if self.unreachable == 0 { self.interval } else { backoff };
        whole.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
    }

    fn take(
        &mut self,
        name: &str,
        result: &Result<Report, Error>,
        now: Now,
        random: f64,
    ) -> (Vec<Event>, Duration) {
        let began = self.running.take().unwrap_or(now);
        let report = match result {
            Ok(report) => report,
            Err(why) => {
                // The steady clock never decreases.
                self.count(Conclusion::LocalFault, now, now.steady.saturating_sub(began.steady));
                let why = format!("could not be audited: {why}");
                self.set_fault(Some(why.clone()), now.shown);
                let next = self.schedule(now, random);
                return (vec![Event::of(name, "fault", again(&why, next))], next);
            }
        };
        let (input, verdict) = (report.input(), report.verdict());
        let was_unreachable = self.unreachable;
        // No monitor runs for so many audits.
        self.unreachable = if input.unreachable { was_unreachable.saturating_add(1) } else { 0 };
        self.count(verdict, now, input.took);
        let decided = input.faults.is_empty() && input.incomplete.is_empty();
        if decided {
            self.success = Some(now.shown);
        }
        let causes = if input.faults.is_empty() { &input.incomplete } else { &input.faults };
        self.set_fault((!input.faults.is_empty()).then(|| list_causes(&input.faults)), now.shown);
        let next = self.schedule(now, random);
        let mut events = Vec::new();
        match () {
            () if input.mirror == MirrorUse::InUse => {
                events.push(Event::of(name, "in-use", again(&list_causes(causes), next)));
                return (events, next);
            }
            () if input.unreachable => {
                let why = format!(
                    "the log is unreachable ({} in a row): {}",
                    self.unreachable,
                    list_causes(causes)
                );
                events.push(
                    Event::of(name, "unreachable", again(&why, next))
                        .with("times", self.unreachable)
                        .with("nextMs", whole_millis(next)),
                );
            }
            () if was_unreachable > 0 => {
                events.push(Event::of(name, "reachable", "the log is reachable again"))
            }
            () => {}
        }
        events.push(audited(name, report, causes, next));
        if input.mirror == MirrorUse::Opened {
            events.extend(self.peers.update(name, input, now.shown));
            events.extend(self.compare(name, report));
        }
        (events, next)
    }

    fn set_fault(&mut self, why: Option<String>, now: UnixMillis) {
        let since = self.fault.as_ref().map_or(now, |fault| fault.since);
        self.fault = why.map(|why| MonitorFault { since, why });
    }

    fn count(&mut self, verdict: Conclusion, now: Now, took: Duration) {
        let count = self.counts.entry(verdict).or_default();
        // No monitor runs for so many audits.
        *count = count.saturating_add(1);
        self.last = Some(Last { at: now.shown, steady: now.steady, took, verdict });
    }

    fn schedule(&mut self, now: Now, random: f64) -> Duration {
        let wait = self.wait(random);
        // A saturated time is never reached: such an audit is not due.
        self.due = now.shown.saturating_add(wait);
        self.due_steady = now.steady.saturating_add(wait);
        wait
    }

    /// Compares findings: which are new, and which no longer stand.
    fn compare(&mut self, name: &str, report: &Report) -> Vec<Event> {
        let input = report.input();
        let mut known = Known {
            size: input.log.tree_size.or(self.known.as_ref().and_then(|known| known.size)),
            head_time: input.log.head_time,
            checked: input.entries.total,
            ..Known::default()
        };
        if input.log.tree_size.is_none() {
            known.head_time = self.known.as_ref().and_then(|known| known.head_time);
        }
        let before = self.known.take();
        let (mut new, mut ended) = (Vec::new(), Vec::new());
        // Hits of watch rules come last, so that they do not crowd out findings against the log.
        let (against, hits): (Vec<_>, Vec<_>) =
            input.findings.iter().partition(|reported| reported.finding.code != Code::WatchList);
        for reported in against.into_iter().chain(hits) {
            let finding = &reported.finding;
            let kind = (finding.code.as_str(), finding.severity.as_str());
            let count = known.findings.entry(kind).or_default();
            // At most one for each finding in memory.
            *count = count.saturating_add(1);
            let answered = known.acknowledged.entry(kind).or_default();
            // The same.
            *answered = answered.saturating_add(u64::from(reported.acknowledged.is_some()));
            if !reported.is_above_info() {
                continue;
            }
            let key = finding.key();
            let place = finding.index.map_or(String::new(), |index| format!(" in entry {index}"));
            let what =
                format!("{} ({}){place}: {}", finding.code, finding.severity.as_str(), finding.message);
            let seen_now = reported.first_seen == input.started_at;
            // After a start, earlier findings are reported once more: it is unknown whether they were reported before
            // the monitor was killed.
            if before.as_ref().is_none_or(|before| !before.standing.contains_key(&key)) {
                let (event, message) = match seen_now || before.is_some() {
                    true => ("finding-new", format!("new: {what}")),
                    false => ("finding-stands", format!("stands since {}: {what}", reported.first_seen)),
                };
                let proof =
                    finding.evidence.as_ref().map_or(String::new(), |path| format!(". Proof: {path}"));
                new.push(
                    Event::of(name, event, format!("{message}{proof}"))
                        .with("code", finding.code.as_str())
                        .with("severity", finding.severity.as_str())
                        .with("index", finding.index)
                        .with("firstSeen", reported.first_seen.to_string())
                        .with("evidence", finding.evidence.clone()),
                );
            }
            known.standing.insert(key, what);
        }
        let gone = before.iter().flat_map(|before| &before.standing);
        for (_, what) in gone.filter(|(key, _)| !known.standing.contains_key(*key)) {
            ended.push(Event::of(name, "finding-ended", format!("no longer stands: {what}")));
        }
        self.known = Some(known);
        let bounded = |events: Vec<Event>, what: &str| {
            // If there are fewer, none is left out.
            let more = events.len().saturating_sub(MAX_LINES);
            let message = format!("and {more} more findings {what}; the report lists them all");
            let rest = (more > 0).then(|| Event::of(name, "findings-more", message).with("count", more));
            events.into_iter().take(MAX_LINES).chain(rest).collect::<Vec<Event>>()
        };
        [bounded(new, "are new or stand"), bounded(ended, "no longer stand")].concat()
    }
}

fn audited(name: &str, report: &Report, causes: &[String], next: Duration) -> Event {
    let input = report.input();
    let size = input.log.tree_size.map_or("no head".to_owned(), |size| format!("size {size}"));
    let standing = input.findings.iter().filter(|found| found.is_above_info()).count();
    let mut message = format!(
        "audited: {}, {size}, {} new entries, {standing} findings, {} ms, next in {}",
        report.verdict().as_str(),
        input.entries.new,
        whole_millis(input.took),
        shown(next)
    );
    // The message about an unreachable log already contains the causes.
    if !causes.is_empty() && !input.unreachable {
        message = format!("{message}: {}", list_causes(causes));
    }
    Event::of(name, "audited", message)
        .with("verdict", report.verdict().as_str())
        .with("size", input.log.tree_size)
        .with("newEntries", input.entries.new)
        .with("findings", standing)
        .with("durationMs", whole_millis(input.took))
        .with("nextMs", whole_millis(next))
        .with("causes", causes.iter().take(MAX_CAUSES).map(|why| text::escape(why)).collect::<Vec<_>>())
}

fn list_causes(causes: &[String]) -> String {
    let unique: BTreeSet<&String> = causes.iter().collect();
    let mut shown: Vec<String> = causes.iter().take(MAX_CAUSES).cloned().collect();
    shown.dedup();
    // If all are said, none is left.
    match unique.len().saturating_sub(shown.len()) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more causes", shown.join("; ")),
    }
}

fn again(why: &str, next: Duration) -> String {
    format!("{why} (next try in {})", shown(next))
}

/// A duration for display: to the second, or exactly if it is shorter.
fn shown(time: Duration) -> String {
    let whole =
        // 128 bits have room for every duration; what a duration cannot hold is cut to 64.
        if time.as_secs() < 10 { time.as_millis() } else { u128::from(time.as_secs()).saturating_mul(1000) };
    humantime::format_duration(Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX))).to_string()
}

/// What is known about all logs, shared by their threads and the pages.
#[derive(Default)]
pub struct StatusRegistry(Mutex<BTreeMap<String, Status>>);

impl StatusRegistry {
    /// Applies a plan: what is known about logs that stay is kept, other logs are removed. Every log is due now.
    pub fn plan(&self, logs: &[WatchedLog], now: Now) {
        let mut all = self.lock();
        let mut before = std::mem::take(&mut *all);
        for watched in logs {
            let fresh = Status::new(watched, now);
            let status = match before.remove(&watched.name) {
                Some(Status { last, success, counts, unreachable, known, peers, fault, .. }) => {
                    Status { last, success, counts, unreachable, known, peers, fault, ..fresh }
                }
                None => fresh,
            };
            all.insert(watched.name.clone(), status);
        }
    }

    /// Records that an audit of this log has begun.
    pub fn begun(&self, name: &str, now: Now) {
        if let Some(status) = self.lock().get_mut(name) {
            status.running = Some(now);
        }
    }

    /// Records that an audit of this log has ended; returns the events to report and how long to wait for the next
    /// audit.
    pub fn finished(
        &self,
        name: &str,
        result: &Result<Report, Error>,
        now: Now,
        random: f64,
    ) -> (Vec<Event>, Duration) {
        match self.lock().get_mut(name) {
            Some(status) => status.take(name, result, now, random),
            // The log is no longer in the plan: its thread was told to stop.
            None => (Vec::new(), Duration::ZERO),
        }
    }

    /// All logs, locked against changes.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults on our side, for all logs.
    pub fn unhealthy_reasons(&self, now: Now) -> Vec<String> {
        let all = self.lock();
        let reasons = all.iter().flat_map(|(name, status)| {
            status.unhealthy_reasons(now).into_iter().map(move |reason| (name, reason))
        });
        reasons.map(|(name, reason)| text::escape(&format!("{name}: {reason}"))).collect()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
