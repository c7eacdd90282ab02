//! Saves the misbehaviour files that the verification of a receipt yields.

use super::{Error, files};
use crate::config::Settings;
use crate::core::evidence::EvidenceKind;
use crate::core::hash::sha256;
use std::path::PathBuf;

/// Saves a misbehaviour file and returns its name. If that fails, the receipt itself remains as the proof.
///
/// # Errors
/// Returns [`Error::Local`] if the file could not be written.
pub fn save_evidence(settings: &Settings, kind: EvidenceKind, file: &[u8]) -> Result<String, Error> {
    let digest: String = sha256(file).to_string().chars().take(16).collect();
    let folder = settings.evidence_dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let path = folder.join(format!("misbehaviour-{}-{digest}.json", kind.as_str()));
    let written = std::fs::create_dir_all(&folder).and_then(|()| files::replace_file(&path, file));
    let name = files::name(&path);
    let failure = |error| Error::not_written(format_args!("the misbehaviour file {name}"), &error);
    written.map_err(failure)?;
    Ok(name)
}
