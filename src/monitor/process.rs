//! What the process itself needs, under the names that client libraries of Prometheus have for it. From
//! `/proc`, so on Linux alone; what cannot be read there is left out.

use super::metrics::number;

/// The unit of processor times in `/proc/<pid>/stat`, which Linux keeps at this for programs (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// One number: its name, its type, what it is.
pub(super) type Number = (&'static str, &'static str, &'static str, f64);

/// Everything that is known. `started` is in Unix milliseconds.
pub(super) fn numbers(started: u64) -> Vec<Number> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The listing is itself an open file, which is closed again.
    let open = std::fs::read_dir("/proc/self/fd").map(|fds| fds.count().saturating_sub(1));
    let open = open.ok().and_then(|open| u64::try_from(open).ok());
    let known = [
        ("process_cpu_seconds_total", "counter", "Processor time that the process used.", cpu_seconds(&stat)),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Memory that the process has in RAM.",
            kilobytes(&status, "VmRSS:"),
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Addresses that the process has mapped.",
            kilobytes(&status, "VmSize:"),
        ),
        ("process_open_fds", "gauge", "Files and sockets that are open.", open.map(number)),
        ("process_max_fds", "gauge", "Files and sockets that may be open at once.", most_files(&limits)),
        ("process_threads", "gauge", "Threads of the process.", count(&status, "Threads:").map(number)),
        ("process_start_time_seconds", "gauge", "When the process started.", Some(number(started) / 1000.0)),
    ];
    known.into_iter().filter_map(|(name, kind, help, value)| Some((name, kind, help, value?))).collect()
}

/// The first number on the line that begins so.
fn count(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    Some(number(count(status, name)?.saturating_mul(1024)))
}

fn most_files(limits: &str) -> Option<f64> {
    count(limits, "Max open files").map(number)
}

/// Fields 14 and 15, `utime` and `stime`. The name of the program is in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let [user, system] = [fields.next()?, fields.next()?].map(|field| field.parse::<u64>().ok());
    Some(number(user?.saturating_add(system?)) / number(TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_do_not_confuse() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 12345 1000 200";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a"), None);
        assert_eq!(kilobytes("VmSize:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12.0 * 1024.0));
        assert_eq!(
            most_files("Max open files            1024                 4096                 files"),
            Some(1024.0)
        );
        assert_eq!(
            most_files("Max open files            unlimited            unlimited            files"),
            None
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen() {
        let all = numbers(1500);
        assert_eq!(
            all.last().map(|(name, .., value)| (*name, *value)),
            Some(("process_start_time_seconds", 1.5))
        );
        assert!(all.len() >= 6 && all.iter().all(|(.., value)| *value >= 0.0), "{all:?}");
    }
}
