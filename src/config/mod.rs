//! Settings: what was given and what a config says, checked, as values.
//!
//! Three layers, each over the next: what was given ([`Given`], which options fill), a config in TOML, defaults. It
//! knows no command line, opens no file and prints nothing: texts come in, and what is wrong comes out as a sentence
//! ([`Error`]). Sentences name options as `--log-key` and keys of a config by their table.
//!
//! Every option has a key of the same name in the config file.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | [`Settings`], and how they are put together |
//! | `given`, `values` | what can be given |
//! | `file`, `log` | a config as it stands on disk: of one log, or of several |
//! | `trust`, `net` | the log key, the relying party, `[approvers]`; how things are fetched |
//! | `alert`, `acknowledge`, `alerting` | `[[alert]]`, `[[acknowledge]]`, both together |
//! | `peer` | `[[peer]]` |
//! | `watch`, `zones` | `[[watch]]`, and the time zones in it |
//! | `monitored` | what a monitor is given besides |
//! | `duration`, `names`, `file_name` | how single values are written |
//! | `outside` | what is asked of the world meanwhile |
//! | `error`, `toml_error` | what is wrong |

mod acknowledge;
mod alert;
mod alerting;
mod duration;
mod error;
mod file;
mod file_name;
mod given;
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
pub use given::{Expected, Given, GivenMonitor, GivenNet};
pub use log::LogTable;
pub use monitored::{address, check_name, interval, refuse_options_of_one_log};
pub use net::{Net, SecretPlaces};
pub use outside::{Outside, ReadFile};
pub use peer::{NamedPeer, PeerAt};
pub use settings::Settings;
pub use values::{Colour, DecisionOption, Format, GivenFormat, LogFormat};
pub use watch::{Watch, describe};
