//! Settings: the checked values of options and of a config.
//!
//! There are three layers, in order of precedence: the given values ([`Given`], filled from options), a config in TOML,
//! and defaults. This module knows no command line, opens no file and prints nothing. It takes text, and returns an
//! [`Error`] with a message if something is wrong. Messages name options as `--log-key`, and keys of a config by their
//! table.
//!
//! Every option has a key of the same name in the config file.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | [`Settings`], and how they are resolved |
//! | `given`, `values` | the values that can be given |
//! | `file`, `log` | the config file, of one log or of several |
//! | `trust`, `net` | the log key, the relying party, `[approvers]`; options for HTTP |
//! | `alert`, `acknowledge`, `alerting` | `[[alert]]`, `[[acknowledge]]`, both together |
//! | `peer` | `[[peer]]` |
//! | `gate`, `journal` | `[gate]`, `[journal]` |
//! | `watch`, `zones` | `[[watch]]`, and the time zones in it |
//! | `monitored` | further values for a monitor |
//! | `duration`, `names`, `file_name` | the syntax of single values |
//! | `outside` | the functions that read files for the resolver |
//! | `error`, `toml_error` | errors |

mod acknowledge;
mod alert;
mod alerting;
mod duration;
mod error;
mod file;
mod file_name;
mod gate;
mod given;
mod journal;
mod log;
mod monitored;
mod names;
mod net;
mod outside;
mod peer;
mod settings;
mod toml_error;
mod trust;
mod values;
mod watch;
mod zones;

pub use alert::{AlertTable, ChannelTable};
pub use alerting::Alerting;
pub use duration::duration;
pub use error::Error;
pub use file::{Config, MAX_CONFIG, NAME_OF_WHAT, NO_LOG, SeveralLogs};
pub use file_name::check_home;
pub use gate::{API_KEY_VARIABLE, ApiKeyPlace, GateSettings, GivenGate};
pub use given::{Expected, Given, GivenMonitor, GivenNet};
pub use journal::JournalSettings;
pub use log::LogTable;
pub use monitored::{address, check_name, interval, refuse_options_of_one_log};
pub use net::{Net, SecretPlaces};
pub use outside::{Outside, ReadFile};
pub use peer::{NamedPeer, PeerAt};
pub use settings::Settings;
pub use values::{Colour, DecisionOption, Format, GivenFormat, LogFormat};
pub use watch::{Watch, describe};
