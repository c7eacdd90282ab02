//! Turns arguments into settings.

use super::args::Common;
use super::audit_args::AuditOptions;
use crate::config::{Given, GivenNet, Settings};
use crate::service::{self, Error};

/// Combines options and config.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if a file cannot be read.
pub fn settings_of(common: Common, options: AuditOptions) -> Result<Settings, Error> {
    let (config, name) = (common.config.clone(), common.name.clone());
    service::settings(config.as_deref(), name.as_deref(), given(common, options))
}

/// The given values for one log.
pub fn given(common: Common, options: AuditOptions) -> Given {
    Given {
        format: common.format,
        quiet: common.quiet,
        verbose: common.verbose,
        color: common.color,
        log_key: common.log_key,
        policy: common.policy,
        rp_id: common.rp_id,
        allow_origin: common.allow_origin,
        allow_cross_origin: common.allow_cross_origin,
        allow_top_origin: common.allow_top_origin,
        log: options.log,
        api: options.api,
        db: options.db,
        init: options.init,
        evidence_dir: options.evidence_dir,
        workers: options.workers,
        full: options.full,
        heads_only: options.heads_only,
        max_head_age: options.max_head_age,
        deny_warnings: options.deny_warnings,
        max_entries: options.max_entries,
        max_findings: options.max_findings,
        journal: options.journal,
        net: GivenNet::from(*options.net),
        ..Given::default()
    }
}
