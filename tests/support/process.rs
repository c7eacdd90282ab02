//! What the system says of a running process (Linux, `/proc`).

use std::time::{Duration, Instant};

/// A clock tick, which is 1/100 s everywhere.
const TICK: Duration = Duration::from_millis(10);

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    fn read(self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0)).unwrap()
    }

    fn status(self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Resident memory, in KiB.
    pub fn resident(self) -> u64 {
        self.status("VmRSS")
    }

    /// The most that it ever was, in KiB.
    pub fn peak(self) -> u64 {
        self.status("VmHWM")
    }

    /// Threads.
    pub fn threads(self) -> u64 {
        self.status("Threads")
    }

    /// What its open files are, sorted: which they are names a leak.
    pub fn files(self) -> Vec<String> {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap();
        let links = folder.map_while(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        // A pipe or socket by its kind, as its number is another each time.
        let name = |link: std::path::PathBuf| link.to_string_lossy().split(":[").next().unwrap().to_owned();
        let mut files: Vec<String> = links.map(name).collect();
        files.sort();
        files
    }

    /// Processor time so far.
    pub fn spent(self) -> Duration {
        let stat = self.read("stat");
        // After the name, which may hold anything but a closing bracket that is not its last.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u32 = fields[11..13].iter().map(|ticks| ticks.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }

    /// Processor time in percent of one core, over `time`.
    pub fn load(self, time: Duration) -> f64 {
        let (before, begun) = (self.spent(), Instant::now());
        std::thread::sleep(time);
        (self.spent() - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
    }
}
