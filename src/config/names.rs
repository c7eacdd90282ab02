//! A string or a list of strings in TOML.

use serde::Deserialize;

/// One string, such as `approver = "alex"`, or a list of alternatives.
#[derive(Clone, Debug, Default)]
pub(super) struct OneOrMore(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<OneOrMore, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a name, or a list of names")]
        enum Names {
            One(String),
            More(Vec<String>),
        }
        Ok(OneOrMore(match Names::deserialize(deserializer)? {
            Names::One(name) => vec![name],
            Names::More(names) => names,
        }))
    }
}
