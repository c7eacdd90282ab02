//! The monitor, its alerts, peers and watch rules.

mod alert_channels;
mod alerts;
mod alerts_fallback;
mod exposition;
mod mail_tls;
mod metrics_page;
mod monitor;
mod monitor_alerts;
mod monitor_hardened;
mod ops;
mod peers;
mod peers_live;
mod watch_alerts;
mod watch_list;
mod watch_state;
