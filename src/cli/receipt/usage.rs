//! Checks the options of `countersign receipt`.

use crate::cli::args::ReceiptOptions;
use crate::config::{GivenFormat, check_home};
use crate::core::entry::is_id;
use crate::core::text::quoted;
use crate::service::Error;
use crate::service::receipts::ReceiptFormat;

/// The format of the receipt.
///
/// # Errors
/// Returns [`Error::Usage`] if the format is not one of receipts.
pub fn form(format: Option<GivenFormat>) -> Result<ReceiptFormat, Error> {
    match format {
        None | Some(GivenFormat::Json) => Ok(ReceiptFormat::Json),
        Some(GivenFormat::TlogProof) => Ok(ReceiptFormat::TlogProof),
        Some(GivenFormat::Text) => Err("--format: a receipt is json or tlog-proof".into()),
    }
}

/// Checks options that depend on each other.
///
/// # Errors
/// Returns [`Error::Usage`] if they do not fit together.
pub fn check(options: &ReceiptOptions) -> Result<(), Error> {
    if let Some(id) = options.which.id.as_ref().filter(|id| !is_id(id)) {
        return Err(format!(
            "{} is not an id: an id has 1 to 64 of the characters 0-9 A-Z a-z . _ -",
            quoted(id)
        )
        .into());
    }
    options.out.as_deref().map_or(Ok(()), |out| check_home("--out", out))?;
    if options.which.all_of.is_none() {
        return match &options.out {
            Some(out) if out.exists() && !out.is_file() => {
                Err(format!("--out {out:?} is not a regular file; without --out the receipt goes to stdout")
                    .into())
            }
            _ => Ok(()),
        };
    }
    match &options.out {
        _ if options.from_log => Err("--all-of reads the mirror: leave out --from-log".into()),
        None => Err("--all-of writes one file for each approval: missing --out DIR".into()),
        Some(out) if out.exists() && !out.is_dir() => Err(format!("--out {out:?} is not a directory").into()),
        Some(_) => Ok(()),
    }
}
