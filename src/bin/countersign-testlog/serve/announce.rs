//! What is printed at the start: JSON for programs to stdout, and to stderr commands for people.

use super::approvals::Approvals;
use super::served_log::ServedLog;
use super::signing::now;
use crate::args::ApprovalOptions;
use crate::assertion::Site;
use crate::error::TestlogError;
use crate::output;
use std::sync::{PoisonError, RwLock};

/// Prints the addresses of a server at `base` to stdout, and to stderr how to audit the log and to gate an action.
///
/// # Errors
/// Standard output cannot be written, or the seed makes no passkey.
pub fn announce(
    base: &str,
    site: &Site,
    served_log: &RwLock<ServedLog>,
    approvals: Option<&Approvals>,
    options: &ApprovalOptions,
) -> Result<(), TestlogError> {
    let (vkey, size) = {
        let served_log = served_log.read().unwrap_or_else(PoisonError::into_inner);
        (served_log.vkey(), served_log.shown(0).current.size)
    };
    let url = format!("{base}/log");
    let (rp_id, origin) = (&site.rp_id, &site.origin);
    let mut line = serde_json::json!({
        "url": url, "logKey": vkey, "rpId": rp_id, "allowOrigins": [origin], "treeSize": size,
    });
    let key = vkey.unwrap_or_else(|| "VKEY".to_owned());
    // Each server gets its own mirror: they share one key, and a mirror does not forget a log that lied.
    let port = base.rsplit(':').next().unwrap_or_default();
    let name = match approvals {
        None => port.to_owned(),
        // What was approved here is nowhere else: a later server on this port has another history.
        Some(_) => format!("{port}-{}", now().second().get()),
    };
    let trust = format!("--log-key '{key}' --rp-id '{rp_id}' --allow-origin '{origin}'");
    for log in [url.clone(), format!("api+{url}")] {
        output::note(&format!("countersign audit --init --db testlog-{name}.db --log '{log}' {trust}"));
    }
    if let Some(approvals) = approvals {
        let api_key = approvals.published_key();
        if let Some(members) = line.as_object_mut() {
            members.insert("service".to_owned(), base.into());
            members.insert("apiKey".to_owned(), api_key.into());
            members.insert("approverKeys".to_owned(), serde_json::json!(approvals.approver_keys()?));
        }
        let (variable, option) = match &options.api_key_file {
            None => (format!("COSIGNET_API_KEY={} ", api_key.unwrap_or_default()), String::new()),
            Some(path) => (String::new(), format!(" --api-key-file '{}'", path.display())),
        };
        output::note(&format!(
            "echo '{{\"service\":\"api\",\"version\":\"1.4.2\"}}' | {variable}countersign gate --init --journal \
             gate-{name}.db --service '{base}'{option} --log 'api+{url}' {trust} --username alex --action 'Deploy api to \
             production' --payload - -- cat"
        ));
    }
    output::print(&format!("{line}\n"))
}
