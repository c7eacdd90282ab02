//! Notifies systemd of the monitor's state (`sd_notify`): a datagram to the socket that `$NOTIFY_SOCKET` names.
//!
//! Implemented here because sd-notify 0.5 does not support abstract sockets (`@name`), and its sends block if the
//! manager does not read.

use std::time::Duration;

/// Sends a message to the service manager, if there is one. Errors are ignored: a failed notification is not a reason
/// to stop monitoring.
pub(super) fn say(message: &str) {
    #[cfg(unix)]
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(&address, message.as_bytes());
    }
    #[cfg(not(unix))]
    let _ = message;
}

#[cfg(unix)]
fn send(address: &std::ffi::OsStr, message: &[u8]) -> std::io::Result<usize> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::UnixDatagram;
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not block the monitor.
    socket.set_nonblocking(true)?;
    match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            socket.send_to_addr(message, &std::os::unix::net::SocketAddr::from_abstract_name(name)?)
        }
        _ => socket.send_to(message, address),
    }
}

/// How often to send a keep-alive to the service manager: half of the interval in `$WATCHDOG_USEC`, as
/// `sd_watchdog_enabled` advises. `None` if it asks for none.
pub(super) fn watchdog() -> Option<Duration> {
    let for_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (for_us && micros > 1).then(|| Duration::from_micros(micros / 2))
}
