//! Faults around an honest log. They are counted, not random, and never affect a resource twice in a row, so that a retry
//! gets a response.

use super::lies::expected::{CLEAN, Expected};
use super::lies::row::{Argument, Row, parse};
use super::request::{Request, ResourceKind};
use crate::error::TestlogError;
use std::collections::HashSet;

/// The most resources to remember as affected. Beyond, all are forgotten, and one may be affected again.
const MAX_HIT: usize = 10_000;

/// A kind of fault. Numbers count requests unless noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disturbance {
    TooMany(u64),
    Unavailable(u64),
    Resets(u64),
    Cut(u64),
    /// Milliseconds.
    Slow(u64),
    /// Entries.
    ShortPages(u64),
    NotYet(u64),
    Restarts(u64),
    /// Members of the gzip of every body.
    GzipMembers(u64),
}

const fn row(
    name: &'static str,
    [argument, default]: [&'static str; 2],
    does: &'static str,
    tiles: Option<Expected>,
    make: fn(&str) -> Result<Disturbance, TestlogError>,
) -> Row<Disturbance> {
    Row {
        name,
        argument: Argument::Value(argument, default),
        does,
        tiles,
        api: Some(CLEAN),
        gate: None,
        make,
    }
}

fn with(make: fn(u64) -> Disturbance, number: &str) -> Result<Disturbance, TestlogError> {
    let number = number.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.map(make).ok_or_else(|| "a number from 1 to 1000000".into())
}

/// The disturbances.
pub const DISTURBANCES: &[Row<Disturbance>] = &[
    row(
        "429",
        ["N", "7"],
        "every Nth request is answered with 429, with Retry-After of 0 or 1 seconds or without",
        Some(CLEAN),
        |n| with(Disturbance::TooMany, n),
    ),
    row(
        "503",
        ["N", "11"],
        "every Nth request is answered with 503, with Retry-After of 0 or 1 seconds or without",
        Some(CLEAN),
        |n| with(Disturbance::Unavailable, n),
    ),
    row("resets", ["N", "13"], "every Nth request is cut off without an answer", Some(CLEAN), |n| {
        with(Disturbance::Resets, n)
    }),
    row("cut", ["N", "9"], "every Nth body ends in the middle", Some(CLEAN), |n| with(Disturbance::Cut, n)),
    row("slow", ["MS", "20"], "every answer waits MS milliseconds and comes in pieces", Some(CLEAN), |n| {
        with(Disturbance::Slow, n)
    }),
    row("short-pages", ["N", "10"], "pages of entries hold 1 to N of them, varying", None, |n| {
        with(Disturbance::ShortPages, n)
    }),
    row(
        "not-yet",
        ["N", "5"],
        "every Nth request for entries or a tile is answered with 404",
        Some(CLEAN),
        |n| with(Disturbance::NotYet, n),
    ),
    row(
        "restarts",
        ["N", "50"],
        "every N requests all connections are closed, and none is taken for 300 milliseconds",
        Some(CLEAN),
        |n| with(Disturbance::Restarts, n),
    ),
    row(
        "gzip-members",
        ["N", "3"],
        "every body is sent as gzip of N members, to clients that accept gzip",
        Some(CLEAN),
        |n| with(Disturbance::GzipMembers, n),
    ),
];

impl Disturbance {
    /// Parses `NAME[:ARG]` from the table.
    ///
    /// # Errors
    /// A user-facing message: there is no such name, or its argument is wrong.
    pub fn parse(text: &str) -> Result<Disturbance, TestlogError> {
        parse(text, DISTURBANCES.iter())
    }
}

/// A fault instead of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InjectedFault {
    Status(u16, Option<u64>),
    Reset,
    Cut,
    Restart,
}

/// The faults for one request.
#[derive(Default)]
pub struct Injection {
    pub fault: Option<InjectedFault>,
    /// Delay of the response in milliseconds.
    pub slow: Option<u64>,
    /// The most entries in the response.
    pub page: Option<u64>,
}

/// Decides which requests get which faults.
pub struct FaultInjector {
    /// Each disturbance with the requests since its last fault, and its number of faults.
    all: Vec<(Disturbance, u64, u64)>,
    /// Resources whose last request had a fault.
    hit: HashSet<String>,
}

impl FaultInjector {
    pub fn new(all: &[Disturbance]) -> FaultInjector {
        FaultInjector { all: all.iter().map(|one| (*one, 0, 0)).collect(), hit: HashSet::new() }
    }

    /// The number of members of gzip bodies, if they are requested.
    pub fn gzip_members(&self) -> Option<usize> {
        self.all.iter().find_map(|(disturbance, ..)| match disturbance {
            Disturbance::GzipMembers(members) => usize::try_from(*members).ok(),
            _ => None,
        })
    }

    /// Counts a request and returns its faults.
    pub fn next(&mut self, request: &Request) -> Injection {
        let mut injection = Injection::default();
        let spared = self.hit.remove(&request.target);
        for (disturbance, since, times) in &mut self.all {
            let every = match *disturbance {
                Disturbance::Slow(ms) => {
                    injection.slow = Some(ms);
                    continue;
                }
                Disturbance::ShortPages(most) => {
                    if request.kind() == Some(ResourceKind::Entries) {
                        *times += 1;
                        injection.page = Some(1 + *times % most);
                    }
                    continue;
                }
                // Applied when the response is written.
                Disturbance::GzipMembers(_) => continue,
                Disturbance::NotYet(_) if !is_static(request) => continue,
                Disturbance::TooMany(n)
                | Disturbance::Unavailable(n)
                | Disturbance::Resets(n)
                | Disturbance::Cut(n)
                | Disturbance::NotYet(n)
                | Disturbance::Restarts(n) => n,
            };
            *since += 1;
            if *since < every || spared || injection.fault.is_some() {
                continue;
            }
            *since = 0;
            *times += 1;
            injection.fault = Some(injected_fault(*disturbance, *times));
        }
        if injection.fault.is_some() {
            if self.hit.len() >= MAX_HIT {
                self.hit.clear();
            }
            self.hit.insert(request.target.clone());
        }
        injection
    }
}

/// Whether a cache in front of a log may lack this resource. A cached head can be old, but not missing.
fn is_static(request: &Request) -> bool {
    matches!(request.kind(), Some(ResourceKind::Entries | ResourceKind::Proofs))
}

fn injected_fault(disturbance: Disturbance, times: u64) -> InjectedFault {
    let retry_after = match times % 4 {
        1 => Some(0),
        3 => Some(1),
        _ => None,
    };
    match disturbance {
        Disturbance::TooMany(_) => InjectedFault::Status(429, retry_after),
        Disturbance::Unavailable(_) => InjectedFault::Status(503, retry_after),
        Disturbance::Cut(_) => InjectedFault::Cut,
        Disturbance::NotYet(_) => InjectedFault::Status(404, None),
        Disturbance::Restarts(_) => InjectedFault::Restart,
        Disturbance::Resets(_)
        | Disturbance::Slow(_)
        | Disturbance::ShortPages(_)
        | Disturbance::GzipMembers(_) => InjectedFault::Reset,
    }
}
