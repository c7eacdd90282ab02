//! What takes long: many lives, many damaged pages, a monitor that runs for a minute.

mod alert_restarts;
mod kill;
mod mirror_pages;
mod monitor_matrix;
mod soak;
