//! Bad weather around an honest log: everything is counted and nothing random, and no resource is hit
//! twice in a row, so that who asks again gets an answer.

use super::lies::expected::{CLEAN, Expected};
use super::lies::row::{Argument, Row, parse};
use super::request::{Kind, Request};
use std::collections::HashSet;

/// Resources that are remembered as hit; past this all are forgotten, and one may be hit again.
const MAX_HIT: usize = 10_000;

/// A kind of bad weather. Numbers are of requests, unless said.
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
    /// Of every body.
    GzipMembers(u64),
}

const fn row(
    name: &'static str,
    [argument, default]: [&'static str; 2],
    does: &'static str,
    tiles: Option<Expected>,
    make: fn(&str) -> Result<Disturbance, String>,
) -> Row<Disturbance> {
    Row { name, argument: Argument::Value(argument, default), does, tiles, api: Some(CLEAN), make }
}

fn with(make: fn(u64) -> Disturbance, number: &str) -> Result<Disturbance, String> {
    let number = number.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.map(make).ok_or_else(|| "a number from 1 to 1000000".to_owned())
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
    /// Reads `NAME[:ARG]` as the table has it.
    pub fn parse(text: &str) -> Result<Disturbance, String> {
        parse(text, DISTURBANCES)
    }
}

/// What happens in place of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strike {
    Status(u16, Option<u64>),
    Reset,
    Cut,
    Restart,
}

/// What the weather does to one request.
#[derive(Default)]
pub struct Forecast {
    pub strike: Option<Strike>,
    /// Milliseconds that the answer waits.
    pub slow: Option<u64>,
    /// Most entries in the answer.
    pub page: Option<u64>,
}

/// The state of the weather.
pub struct Weather {
    /// Each with the requests since it struck last, and how often it struck.
    all: Vec<(Disturbance, u64, u64)>,
    /// Resources that were hit when they were last asked for.
    hit: HashSet<String>,
}

impl Weather {
    pub fn new(all: &[Disturbance]) -> Weather {
        Weather { all: all.iter().map(|one| (*one, 0, 0)).collect(), hit: HashSet::new() }
    }

    /// In how many members of gzip bodies are sent, if so.
    pub fn gzip_members(&self) -> Option<usize> {
        self.all.iter().find_map(|(disturbance, ..)| match disturbance {
            Disturbance::GzipMembers(members) => usize::try_from(*members).ok(),
            _ => None,
        })
    }

    /// Counts a request and says what happens to it.
    pub fn next(&mut self, request: &Request) -> Forecast {
        let mut forecast = Forecast::default();
        let spared = self.hit.remove(&request.target);
        for (disturbance, since, times) in &mut self.all {
            let every = match *disturbance {
                Disturbance::Slow(ms) => {
                    forecast.slow = Some(ms);
                    continue;
                }
                Disturbance::ShortPages(most) => {
                    if request.kind() == Some(Kind::Entries) {
                        *times += 1;
                        forecast.page = Some(1 + *times % most);
                    }
                    continue;
                }
                // Where the answer is written.
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
            if *since < every || spared || forecast.strike.is_some() {
                continue;
            }
            *since = 0;
            *times += 1;
            forecast.strike = Some(strike(*disturbance, *times));
        }
        if forecast.strike.is_some() {
            if self.hit.len() >= MAX_HIT {
                self.hit.clear();
            }
            self.hit.insert(request.target.clone());
        }
        forecast
    }
}

/// What a cache in front of a log may hold: a head is never missing there, only old.
fn is_static(request: &Request) -> bool {
    matches!(request.kind(), Some(Kind::Entries | Kind::Proofs))
}

fn strike(disturbance: Disturbance, times: u64) -> Strike {
    let retry_after = match times % 4 {
        1 => Some(0),
        3 => Some(1),
        _ => None,
    };
    match disturbance {
        Disturbance::TooMany(_) => Strike::Status(429, retry_after),
        Disturbance::Unavailable(_) => Strike::Status(503, retry_after),
        Disturbance::Cut(_) => Strike::Cut,
        Disturbance::NotYet(_) => Strike::Status(404, None),
        Disturbance::Restarts(_) => Strike::Restart,
        Disturbance::Resets(_)
        | Disturbance::Slow(_)
        | Disturbance::ShortPages(_)
        | Disturbance::GzipMembers(_) => Strike::Reset,
    }
}
