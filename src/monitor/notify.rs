//! Telling systemd how we are (`sd_notify`): a datagram to the socket that `$NOTIFY_SOCKET` names.
//!
//! Written here because sd-notify 0.5 knows no abstract sockets (`@name`), and its datagrams wait for a manager that does
//! not read.

use std::time::Duration;

/// Says something to the service manager, if there is one that listens. That it could not be said is no
/// reason to stop watching logs.
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
    // A manager that does not read must not hold us up.
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

/// How often the service manager wants to hear that we live: half of what it asks for in
/// `$WATCHDOG_USEC`, as `sd_watchdog_enabled` advises. `None`: not at all.
pub(super) fn watchdog() -> Option<Duration> {
    let for_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (for_us && micros > 1).then(|| Duration::from_micros(micros / 2))
}
