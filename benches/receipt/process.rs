//! The program itself: started, run, waited for.

use super::{case, folder, median};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 101;

/// One receipt, a process each.
pub struct One {
    pub runs: usize,
    pub ms: f64,
    pub peak_mb: f64,
}

/// Many receipts, one process.
pub struct Many {
    pub seconds: f64,
    pub rate: f64,
    pub cores: usize,
    /// Rate on all cores against as many times the rate on one.
    pub scaling: f64,
    pub directory_seconds: f64,
}

fn verify(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("verify").args(args).args(["--log-key", &case("logKey"), "--rp-id", "approvals.example"]);
    command.args(["--allow-origin", "https://approvals.example"]).current_dir(folder());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn one() -> One {
    let args = ["good-payload.json", "--payload", "good-payload.payload"];
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let status = verify(&args).status().expect("the program runs");
        times.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(status.code(), Some(0));
    }
    // GNU time reports what the kernel counted; without it the figure is reported as missing.
    let timed = Command::new("/usr/bin/time")
        .args(["-f", "%M", env!("CARGO_BIN_EXE_countersign"), "verify"])
        .args(args)
        .args(["--log-key", &case("logKey"), "--rp-id", "approvals.example"])
        .args(["--allow-origin", "https://approvals.example"])
        .current_dir(folder())
        .output();
    let peak =
        timed.ok().and_then(|output| String::from_utf8(output.stderr).ok()?.trim().parse::<f64>().ok());
    One { runs: RUNS, ms: median(&mut times), peak_mb: peak.map_or(f64::NAN, |kib| kib * 1024.0 / 1e6) }
}

pub fn many(receipts: &[String]) -> Many {
    let lines = receipts.join("\n");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let run = |workers: &str| {
        let start = Instant::now();
        let mut child =
            verify(&["-", "--quiet", "--workers", workers]).stdin(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        start.elapsed().as_secs_f64()
    };
    let (mut all, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (one, every) = (run("1"), run(&cores.to_string()));
        ratios.push(one / every / cores as f64);
        all.push(every);
    }
    let seconds = median(&mut all);
    Many {
        seconds,
        rate: receipts.len() as f64 / seconds,
        cores,
        scaling: median(&mut ratios),
        directory_seconds: directory(receipts),
    }
}

fn directory(receipts: &[String]) -> f64 {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("receipts");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    for (n, receipt) in receipts.iter().enumerate() {
        std::fs::write(folder.join(format!("{n}.json")), receipt).expect("a file");
    }
    let start = Instant::now();
    let status = verify(&[folder.to_str().expect("UTF-8"), "--quiet"]).status().expect("it runs");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(status.code(), Some(0));
    std::fs::remove_dir_all(&folder).expect("it was ours");
    seconds
}
