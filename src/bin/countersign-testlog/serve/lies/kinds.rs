//! Which answers a lie about sending is about.

use super::super::request::Kind;

/// One kind of answers, or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinds {
    All,
    Only(Kind),
}

impl Kinds {
    /// Reads `head`, `entries`, `proofs`, `history`, `bundle` or `all`.
    pub fn parse(text: &str) -> Result<Kinds, String> {
        match text {
            "head" => Ok(Kinds::Only(Kind::Head)),
            "entries" => Ok(Kinds::Only(Kind::Entries)),
            "proofs" => Ok(Kinds::Only(Kind::Proofs)),
            "history" => Ok(Kinds::Only(Kind::History)),
            "bundle" => Ok(Kinds::Only(Kind::Bundle)),
            "all" => Ok(Kinds::All),
            _ => Err(format!("{text:?} is none of head, entries, proofs, history, bundle, all")),
        }
    }

    /// Whether an answer of this kind is meant.
    pub fn include(self, kind: Option<Kind>) -> bool {
        match self {
            Kinds::All => true,
            Kinds::Only(only) => kind == Some(only),
        }
    }
}
