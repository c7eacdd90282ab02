//! Why alerts cannot be set up, and why one was not delivered.

use crate::core::text::quoted;
use std::fmt;
use std::path::PathBuf;

/// The most recipients of one mail channel.
pub(super) const MAX_RECIPIENTS: usize = 50;

/// Why a channel or a dispatcher cannot be set up. Its text never contains a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetupError {
    /// A command channel names no program.
    NoProgram,
    /// Two channels have this name.
    DuplicateChannel(String),
    /// The mail server's URL is malformed.
    Server,
    /// A user name without a password, or the reverse.
    Login,
    /// No recipient, or too many.
    Recipients,
    /// This is not a mail address.
    Address(String),
    /// The CA file cannot be used: its path, and why.
    CaFile(PathBuf, String),
    /// The TLS library refuses the configuration.
    Tls(String),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::NoProgram => {
                f.write_str("command: name a program, as in command = [\"/usr/local/bin/page\", \"--now\"]")
            }
            SetupError::DuplicateChannel(name) => {
                write!(f, "two alert channels are named {}: give each a name of its own", quoted(name))
            }
            SetupError::Server => {
                f.write_str("smtp: write smtp://host:port or smtps://host:port, and nothing else")
            }
            SetupError::Login => f.write_str("username and a secret must be given together"),
            SetupError::Recipients => write!(f, "to: write 1 to {MAX_RECIPIENTS} addresses"),
            SetupError::Address(address) => {
                write!(f, "{} is not an address such as ops@example.org", quoted(address))
            }
            SetupError::CaFile(path, why) => write!(f, "the CA file {path:?}: {why}"),
            SetupError::Tls(why) => write!(f, "TLS cannot be set up: {why}"),
        }
    }
}

impl std::error::Error for SetupError {}

/// Why a channel did not deliver an alert, escaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryError(pub(super) String);

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeliveryError {}
