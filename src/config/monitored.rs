//! Values for a monitor besides the settings of each log: names, intervals, the address that it listens on.

use super::duration::duration;
use super::error::Error;
use super::given::Given;
use crate::core::text::{escape, quoted};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The default time between two audits.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The shortest interval. A shorter one is a mistake, and a burden to the log.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest interval. A longer one is a mistake.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most bytes of a log's name, which is in every line and label.
const MAX_NAME: usize = 100;

/// Refuses options that are for one log, if there are several: they would apply to each, and one key or one mirror for
/// all logs is never right.
///
/// # Errors
/// Returns [`Error::Usage`] if there are such options.
pub fn refuse_options_of_one_log(given: &Given) -> Result<(), Error> {
    let Given { format, quiet, verbose, color, .. } = *given;
    if *given == (Given { format, quiet, verbose, color, ..Given::default() }) {
        return Ok(());
    }
    Err("the config has several logs: select one with --name NAME, or move the options of one log into its [[log]] \
         (init = true as well)"
        .into())
}

/// Checks that a name can be used in lines and labels.
///
/// # Errors
/// Returns [`Error::Usage`] if the name is empty, too long, or not printable.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > MAX_NAME || escape(name) != name {
        return Err(
            format!("the name {} does not have 1 to {MAX_NAME} visible characters", quoted(name)).into()
        );
    }
    Ok(())
}

/// Parses the time between two audits of a log.
///
/// # Errors
/// Returns [`Error::Usage`] if the text is not a duration, or if it is too short or too long.
pub fn interval(text: Option<&str>) -> Result<Duration, Error> {
    text.map_or(Ok(INTERVAL), span)
}

fn span(text: &str) -> Result<Duration, Error> {
    let span = duration(text)?;
    match (SHORTEST..=LONGEST).contains(&span) {
        true => Ok(span),
        false => Err(format!("interval {}: not between 100ms and a year", quoted(text)).into()),
    }
}

/// Parses the address to listen on. A port alone is on the loopback address: to be reachable from other machines, the
/// address must be written out.
///
/// # Errors
/// Returns [`Error::Usage`] if the text is not an address.
pub fn address(text: &str) -> Result<SocketAddr, Error> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        format!("--listen {}: write a port, or address:port with the address in digits", quoted(text)).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_listens_on_loopback() {
        for (text, expected) in [
            ("9464", Some("127.0.0.1:9464")),
            (":9464", Some("127.0.0.1:9464")),
            ("0.0.0.0:1", Some("0.0.0.0:1")),
            ("[::1]:9464", Some("[::1]:9464")),
            ("localhost:9464", None),
            ("", None),
            ("70000", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(address(text).ok().map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn intervals_have_bounds() {
        assert_eq!(span("100ms").unwrap(), SHORTEST);
        for slip in ["0s", "99ms", "2years", "soon", "", "-5m"] {
            assert!(span(slip).is_err(), "{slip}");
        }
    }
}
