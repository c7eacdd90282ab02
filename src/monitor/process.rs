//! Metrics of the process itself, under the names that Prometheus client libraries use. They are read from `/proc`,
//! so they exist only on Linux; values that cannot be read are left out.

use crate::core::time::UnixMillis;

/// One metric: name, type, help text and value.
pub(super) type Number = (&'static str, &'static str, &'static str, f64);

/// Exact up to 2^53. Prometheus has only floating-point values.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// A moment in Unix seconds.
pub(super) fn unix_seconds(moment: UnixMillis) -> f64 {
    number(moment.get()) / 1000.0
}

/// All available metrics.
pub(super) fn numbers(started: UnixMillis) -> Vec<Number> {
    let mut known = of_the_system();
    let name = "process_start_time_seconds";
    known.push((name, "gauge", "When the process started.", unix_seconds(started)));
    known
}

#[cfg(not(target_os = "linux"))]
fn of_the_system() -> Vec<Number> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn of_the_system() -> Vec<Number> {
    use procfs::process::{LimitValue, Process};
    let Ok(process) = Process::myself() else { return Vec::new() };
    let (stat, status, limits) = (process.stat().ok(), process.status().ok(), process.limits().ok());
    let processor = stat.map(|stat| {
        // Ticks of many years fit.
        let ticks = stat.utime.saturating_add(stat.stime);
        number(ticks) / number(procfs::ticks_per_second())
    });
    // No machine has so much memory.
    let bytes = |kilobytes: Option<u64>| kilobytes.map(|n| number(n.saturating_mul(1024)));
    let resident = bytes(status.as_ref().and_then(|status| status.vmrss));
    let mapped = bytes(status.as_ref().and_then(|status| status.vmsize));
    // Listing the open files opens one more, which is closed again.
    // No process has fewer than the one that lists them.
    let open = process.fd_count().ok().and_then(|open| u64::try_from(open.saturating_sub(1)).ok());
    let most = limits.and_then(|limits| match limits.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(number(most)),
        LimitValue::Unlimited => None,
    });
    let known = [
        ("process_cpu_seconds_total", "counter", "Processor time that the process used.", processor),
        ("process_resident_memory_bytes", "gauge", "Memory that the process has in RAM.", resident),
        ("process_virtual_memory_bytes", "gauge", "Addresses that the process has mapped.", mapped),
        ("process_open_fds", "gauge", "Files and sockets that are open.", open.map(number)),
        ("process_max_fds", "gauge", "Files and sockets that may be open at once.", most),
        ("process_threads", "gauge", "Threads of the process.", status.map(|status| number(status.threads))),
    ];
    known.into_iter().filter_map(|(name, kind, help, value)| Some((name, kind, help, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_measured() {
        let all = numbers(UnixMillis::new(1500));
        assert_eq!(
            all.last().map(|(name, .., value)| (*name, *value)),
            Some(("process_start_time_seconds", 1.5))
        );
        assert!(all.len() == 7 && all.iter().all(|(.., value)| *value >= 0.0), "{all:?}");
    }
}
