//! What may be asked of `countersign receipt`, and in which form it comes.

use crate::cli::args::{ReceiptOptions, TypedFormat};
use crate::cli::file_name;
use crate::core::entry::is_id;
use crate::core::receipt::Receipt;
use crate::core::text::quoted;

/// How a receipt is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `approval-receipt/v1`.
    Json,
    /// A C2SP tlog-proof.
    TlogProof,
}

impl Form {
    /// The form that was asked for.
    ///
    /// # Errors
    /// Wrong usage: a sentence for the person.
    pub fn typed(format: Option<TypedFormat>) -> Result<Form, String> {
        match format {
            None | Some(TypedFormat::Json) => Ok(Form::Json),
            Some(TypedFormat::TlogProof) => Ok(Form::TlogProof),
            Some(TypedFormat::Text) => Err("--format: a receipt is json or tlog-proof".to_owned()),
        }
    }

    /// What its files end in.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::TlogProof => "tlog-proof",
        }
    }

    /// The text; `None` where there is no such receipt, as of a leaf that is no JSON.
    pub fn write(self, receipt: &Receipt) -> Option<String> {
        match self {
            Form::Json => receipt.to_json(),
            Form::TlogProof => receipt.to_tlog_proof(),
        }
    }
}

/// What options mean only together.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn check(options: &ReceiptOptions) -> Result<(), String> {
    if let Some(id) = options.which.id.as_ref().filter(|id| !is_id(id)) {
        return Err(format!("{} is no id: ids are 1 to 64 of the characters 0-9 A-Z a-z . _ -", quoted(id)));
    }
    options.out.as_deref().map_or(Ok(()), |out| file_name::check_home("--out", out))?;
    if options.which.all_of.is_none() {
        return match &options.out {
            Some(out) if out.exists() && !out.is_file() => {
                Err(format!("--out {out:?} is no regular file; without --out the receipt goes to stdout"))
            }
            _ => Ok(()),
        };
    }
    match &options.out {
        _ if options.from_log => {
            Err("--all-of takes the receipts from the mirror: leave out --from-log".to_owned())
        }
        None => Err("--all-of writes a file for each approval: say where, with --out DIR".to_owned()),
        Some(out) if out.exists() && !out.is_dir() => Err(format!("--out {out:?} is no directory")),
        Some(_) => Ok(()),
    }
}
