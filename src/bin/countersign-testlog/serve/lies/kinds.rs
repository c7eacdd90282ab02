//! Selects the responses for a lie about transport.

use super::super::request::ResourceKind;
use crate::error::TestlogError;

/// One kind of resources, or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceKinds {
    All,
    Only(ResourceKind),
}

impl ResourceKinds {
    /// Parses `head`, `entries`, `proofs`, `history`, `bundle` or `all`.
    ///
    /// # Errors
    /// Any other text, with a user-facing message.
    pub fn parse(text: &str) -> Result<ResourceKinds, TestlogError> {
        match text {
            "head" => Ok(ResourceKinds::Only(ResourceKind::Head)),
            "entries" => Ok(ResourceKinds::Only(ResourceKind::Entries)),
            "proofs" => Ok(ResourceKinds::Only(ResourceKind::Proofs)),
            "history" => Ok(ResourceKinds::Only(ResourceKind::History)),
            "bundle" => Ok(ResourceKinds::Only(ResourceKind::Bundle)),
            "all" => Ok(ResourceKinds::All),
            _ => Err(format!("{text:?} is not one of head, entries, proofs, history, bundle, all").into()),
        }
    }

    /// Whether resources of this kind are included.
    pub fn include(self, kind: Option<ResourceKind>) -> bool {
        match self {
            ResourceKinds::All => true,
            ResourceKinds::Only(only) => kind == Some(only),
        }
    }
}
