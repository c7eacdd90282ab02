//! How fast an audit is, and against what: `cargo bench --bench audit` prints a Markdown table.
//!
//! The yardstick is the verify-only bound: the same signatures, verified by aws-lc-rs with parsed keys
//! on all cores and nothing else, in the same run and interleaved with the audits. An audit does more
//! (read, hash, parse, fold twice, compare, store durably), so its rate is lower. The ratio of the two
//! rates can be reproduced on other machines.
//!
//! The logs stay in `target/bench-logs` and are reused; `COUNTERSIGN_BENCH_LARGE=1` adds one of a
//! million entries.
#![forbid(unsafe_code)]

mod audit;
mod bound;
mod fold;
mod log;
mod served;

use audit::Measured;
use log::BenchLog;
use std::time::Duration;

const ENTRIES: u64 = 200_000;
const ENTRIES_LARGE: u64 = 1_000_000;

/// Pairs of bound and audit; the median ratio counts.
const PAIRS: usize = 3;

/// Rows of the table: measure, reached, target.
#[derive(Default)]
struct Table(Vec<[String; 3]>);

impl Table {
    fn row(&mut self, measure: impl Into<String>, reached: impl Into<String>, target: &str) {
        self.0.push([measure.into(), reached.into(), target.to_owned()]);
    }

    fn print(&self) {
        println!("| measure | reached | target |\n|---|---|---|");
        for [measure, reached, target] in &self.0 {
            println!("| {measure} | {reached} | {target} |");
        }
    }
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    eprintln!("{cores} cores");
    let mut table = Table::default();
    cold_and_warm(&mut table, cores);
    over_http(&mut table);
    folding(&mut table);
    if std::env::var_os("COUNTERSIGN_BENCH_LARGE").is_some_and(|value| value == "1") {
        large(&mut table);
    }
    table.print();
}

/// One bound, one audit right after it, and one more audit with nothing new.
struct Pair {
    bound: f64,
    cold: Measured,
    warm: Duration,
    ratio: f64,
    tick_ratio: Option<f64>,
}

impl Pair {
    fn measure(log: &BenchLog, work: &bound::Work, cores: usize) -> Pair {
        let before = audit::ticks("self");
        let bound = rate(work.signatures(), work.verify_all(cores));
        let spent = audit::ticks("self").zip(before).map(|(after, before)| after - before);
        let mirror = audit::Mirror::new();
        let cold = mirror.audit(log);
        let warm = mirror.audit(log).wall;
        // Only approved entries have a signature, so signatures are what both rates count.
        let ratio = rate(work.signatures(), cold.wall) / bound;
        let tick_ratio = spent.zip(cold.ticks).map(|(bound, audit)| bound as f64 / audit as f64);
        eprintln!("bound {bound:.0} signatures/s; {cold:?}; ratio {ratio:.2}, by ticks {tick_ratio:.2?}");
        Pair { bound, cold, warm, ratio, tick_ratio }
    }
}

fn cold_and_warm(table: &mut Table, cores: usize) {
    let log = BenchLog::of(ENTRIES);
    let work = bound::Work::read(&log);
    let mut pairs: Vec<Pair> = (0..PAIRS).map(|_| Pair::measure(&log, &work, cores)).collect();
    let (mut warm, mut by_ticks): (Vec<Duration>, Vec<f64>) = (
        pairs.iter().map(|pair| pair.warm).collect(),
        pairs.iter().filter_map(|pair| pair.tick_ratio).collect(),
    );
    warm.sort();
    by_ticks.sort_by(f64::total_cmp);
    pairs.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let Pair { bound, cold, ratio, .. } = &pairs[PAIRS / 2];
    table.row(format!("verify-only bound, {cores} cores"), format!("{} signatures/s", thousands(*bound)), "");
    audit_rows(table, ENTRIES, cold);
    table.row("cold audit, part of the bound", format!("{ratio:.2}"), "≥ 0.6");
    let by_ticks = by_ticks.get(PAIRS / 2).map_or("n/a".to_owned(), |ratio| format!("{ratio:.2}"));
    table.row("the same by processor time", by_ticks, "");
    table.row("audit with nothing new", format!("{:.2} s", warm[PAIRS / 2].as_secs_f64()), "≤ 0.3 s");
}

/// The same log from a directory and over loopback HTTP, in turns. The server runs on the same machine, so
/// the figure includes its time.
fn over_http(table: &mut Table) {
    let log = BenchLog::of(ENTRIES);
    let server = served::Server::start(&log);
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..PAIRS {
        let directory = audit::Mirror::new().audit(&log);
        for (ratios, from) in ratios.iter_mut().zip([server.tiles(), server.api()]) {
            let served = audit::Mirror::new().audit_from(&log, &from);
            let ratio = directory.wall.as_secs_f64() / served.wall.as_secs_f64();
            eprintln!("directory {directory:?}; {from} {served:?}; ratio {ratio:.2}");
            ratios.push(ratio);
        }
    }
    for (ratios, name) in ratios.iter_mut().zip(["HTTP tiles", "the JSON API"]) {
        ratios.sort_by(f64::total_cmp);
        let reached = format!("{:.2}", ratios[PAIRS / 2]);
        table.row(format!("cold audit over {name}, part of the directory's rate"), reached, "≥ 0.8");
    }
}

fn audit_rows(table: &mut Table, entries: u64, cold: &Measured) {
    let (seconds, per_second) = (cold.wall.as_secs_f64(), thousands(rate(entries, cold.wall)));
    let measure = format!("cold audit of {} entries", thousands(entries as f64));
    let memory = cold.peak_kib.map_or("n/a".to_owned(), |kib| format!("{:.0} MB", kib as f64 * 1024.0 / 1e6));
    table.row(measure.as_str(), format!("{seconds:.1} s, {per_second} entries/s"), "");
    table.row(format!("{measure}, peak memory"), memory, "≤ 300 MB");
}

fn folding(table: &mut Table) {
    let ours = format!("{:.1} M leaves/s", fold::compact_range() / 1e6);
    table.row("Merkle folding, one core", ours, "≥ 8 M leaves/s");
    table.row("the same by rs_merkle", format!("{:.1} M leaves/s", fold::rs_merkle() / 1e6), "");
}

fn large(table: &mut Table) {
    let log = BenchLog::of(ENTRIES_LARGE);
    audit_rows(table, ENTRIES_LARGE, &audit::Mirror::new().audit(&log));
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// `12,345`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
