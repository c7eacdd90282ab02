//! `[[peer]]`: others who watch the same log. Their heads are compared with ours.

use super::error::Error;
use super::outside::Outside;
use crate::core::text::{escape, quoted};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The most peers. More would be a mistake, and would take too much time of an audit.
const MAX_PEERS: usize = 16;

/// The most bytes of a name, which is shown in metrics and messages.
const MAX_NAME: usize = 64;

/// One `[[peer]]`, as written.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PeerTable {
    name: Option<String>,
    heads: Option<String>,
    witness: Option<String>,
    file: Option<String>,
    bearer_file: Option<PathBuf>,
    bearer_env: Option<String>,
    ca_file: Option<PathBuf>,
}

/// The location of a peer's heads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerAt {
    /// The URL of another auditor's `/heads`, or of the output of `heads export`.
    Heads(String),
    /// The monitoring prefix of a C2SP witness.
    Witness(String),
    /// A file.
    File(PathBuf),
    /// A URL that is used exactly as written.
    Url(String),
}

/// One peer. Its secret is read only when the peer is asked.
#[derive(Clone, Debug)]
pub struct NamedPeer {
    /// The name of the peer, unique among all.
    pub name: String,
    /// The location of its heads.
    pub at: PeerAt,
    /// A file with a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// A variable with a bearer token.
    pub bearer_env: Option<String>,
    /// A PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
}

/// Checks the tables.
///
/// # Errors
/// Returns [`Error::Usage`] if a value is wrong, if a name is used twice, or if there are too many tables.
pub(super) fn resolve(tables: Vec<PeerTable>, outside: &Outside<'_>) -> Result<Vec<NamedPeer>, Error> {
    if tables.len() > MAX_PEERS {
        return Err(format!("more than {MAX_PEERS} [[peer]] tables: remove some").into());
    }
    let numbered = |(number, table): (usize, PeerTable)| {
        named(table, outside).map_err(|error| error.within(|why| format!("[[peer]] number {number}: {why}")))
    };
    let peers = (1..).zip(tables).map(numbered).collect::<Result<Vec<NamedPeer>, Error>>()?;
    let mut names = BTreeSet::new();
    match peers.iter().find(|peer| !names.insert(&peer.name)) {
        None => Ok(peers),
        Some(twice) => {
            Err(format!("two peers are named {}: give each a name of its own", quoted(&twice.name)).into())
        }
    }
}

fn named(table: PeerTable, outside: &Outside<'_>) -> Result<NamedPeer, Error> {
    let place = match (&table.heads, &table.witness, &table.file) {
        (Some(url), None, None) => PeerAt::Heads(url.clone()),
        (None, Some(prefix), None) => PeerAt::Witness(prefix.clone()),
        (None, None, Some(file)) if is_url(file) => PeerAt::Url(file.clone()),
        (None, None, Some(file)) => PeerAt::File(PathBuf::from(file)),
        _ => return Err("give one of heads, witness and file".into()),
    };
    if let PeerAt::Heads(url) | PeerAt::Witness(url) = &place
        && !url.contains("://")
    {
        // The message does not show the value, which may hold a secret.
        return Err("heads and witness are URLs: write https://… (file is for a file)".into());
    }
    let secret = table.bearer_file.is_some() || table.bearer_env.is_some();
    if table.bearer_file.is_some() && table.bearer_env.is_some() {
        return Err("bearer-file and bearer-env: give one of them".into());
    }
    if matches!(place, PeerAt::File(_)) && (secret || table.ca_file.is_some()) {
        return Err("bearer-file, bearer-env and ca-file are only for URLs, not for a file".into());
    }
    let name = table.name.clone().unwrap_or_else(|| name_of(&place, outside));
    if name.is_empty() || name.len() > MAX_NAME || escape(&name) != name {
        return Err(
            format!("name {}: give it a name of 1 to {MAX_NAME} visible characters", quoted(&name)).into()
        );
    }
    let PeerTable { bearer_file, bearer_env, ca_file, .. } = table;
    Ok(NamedPeer { name, at: place, bearer_file, bearer_env, ca_file })
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// The default name of a peer: the name of its file, or the host of its URL, and no other part of the URL.
fn name_of(place: &PeerAt, outside: &Outside<'_>) -> String {
    match place {
        PeerAt::Heads(url) | PeerAt::Witness(url) | PeerAt::Url(url) => {
            (outside.host_of)(url).unwrap_or_default()
        }
        PeerAt::File(path) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::host_of;

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        peer: Vec<PeerTable>,
    }

    fn resolved(text: &str) -> Result<Vec<NamedPeer>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let read = |_: &std::path::Path, _| Err("no file is named".into());
        let outside = Outside { read: &read, host_of };
        resolve(file.peer, &outside).map_err(|error| error.to_string())
    }

    #[test]
    fn a_peer_is_named_by_its_host_without_secrets() {
        let peers = resolved(
            "[[peer]]\nheads = 'https://u:s3cret@one.example:9464/heads?key=s3cret'\n
             [[peer]]\nwitness = 'https://two.example'\n[[peer]]\nfile = '/srv/heads.jsonl'\n
             [[peer]]\nfile = 'HTTPS://three.example/x'\n[[peer]]\nfile = 'https://u:p@ss@four.example/x'",
        );
        let names: Vec<String> = peers.unwrap().into_iter().map(|peer| peer.name).collect();
        assert_eq!(
            names,
            ["one.example:9464", "two.example", "heads.jsonl", "three.example", "four.example"]
        );
    }

    /// The examples of the guide can be used unchanged.
    #[test]
    fn the_example_of_the_guide_loads() {
        let page = include_str!("../docs/peers.md");
        let blocks = page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
        let ours: Vec<&str> = blocks.filter(|block| block.contains("[[peer]]")).collect();
        let [block] = ours.as_slice() else { panic!("{ours:?}") };
        let names: Vec<String> = resolved(block).unwrap().into_iter().map(|peer| peer.name).collect();
        assert_eq!(names, ["other-org", "witness.example", "theirs.jsonl"]);
    }

    #[test]
    fn mistakes_are_reported() {
        for (text, part) in [
            ("[[peer]]", "give one of"),
            ("[[peer]]\nheads = 'https://a.example'\nfile = 'a'", "give one of"),
            ("[[peer]]\nurl = 'https://a.example'", "unknown field"),
            ("[[peer]]\nfile = 'a'\nbearer-env = 'A'", "only for URLs"),
            ("[[peer]]\nheads = 'https://a.example'\nbearer-env = 'A'\nbearer-file = 'a'", "one of them"),
            ("[[peer]]\nheads = 'a.example/heads'", "write https://"),
            ("[[peer]]\nheads = 'a.example/heads'\nname = 'a'", "write https://"),
            ("[[peer]]\nwitness = 'a.example'", "write https://"),
            ("[[peer]]\nwitness = 'https://'", "give it a name"),
            ("[[peer]]\nfile = 'a'\nname = \"a\\u001bb\"", "visible"),
            ("[[peer]]\nfile = 'a'\n[[peer]]\nfile = 'b/a'", "two peers"),
            (&"[[peer]]\nfile = 'a'\n".repeat(17), "more than 16"),
        ] {
            let why = resolved(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
