//! `[[peer]]`: others who watch the same log, and whose heads are compared with ours.

use super::config::Settings;
use super::failure::Failure;
use super::net;
use crate::core::head::LogKey;
use crate::core::text::{escape, quoted};
use crate::mirror::identity_of;
use crate::source::{HttpOptions, OpenError, Peer, PeerPlace, SecretHeaders, Stop, host_of};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// More peers than this are asked for a slip, and would take an audit's time.
const MAX_PEERS: usize = 16;

/// A name is shown in metrics and messages.
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

/// One peer. Its secret is read only where it is asked.
#[derive(Clone, Debug)]
pub struct NamedPeer {
    name: String,
    place: PeerPlace,
    table: PeerTable,
}

impl NamedPeer {
    /// Its name and its file, where it is one that is not there.
    pub fn missing_file(&self) -> Option<(&str, &Path)> {
        match &self.place {
            PeerPlace::File(path) if !path.is_file() => Some((&self.name, path)),
            _ => None,
        }
    }
}

/// Checks the tables.
///
/// # Errors
/// A sentence for the person.
pub fn resolve(tables: Vec<PeerTable>) -> Result<Vec<NamedPeer>, String> {
    if tables.len() > MAX_PEERS {
        return Err(format!(
            "more than {MAX_PEERS} [[peer]] tables: nobody needs so many to see a split view"
        ));
    }
    let numbered = |(number, table): (usize, PeerTable)| {
        named(table).map_err(|why| format!("[[peer]] number {number}: {why}"))
    };
    let peers = (1..).zip(tables).map(numbered).collect::<Result<Vec<NamedPeer>, String>>()?;
    let mut names = BTreeSet::new();
    match peers.iter().find(|peer| !names.insert(&peer.name)) {
        None => Ok(peers),
        Some(twice) => {
            Err(format!("two peers are named {}: give each a name of its own", quoted(&twice.name)))
        }
    }
}

fn named(table: PeerTable) -> Result<NamedPeer, String> {
    let place = match (&table.heads, &table.witness, &table.file) {
        (Some(url), None, None) => PeerPlace::Heads(url.clone()),
        (None, Some(prefix), None) => PeerPlace::Witness(prefix.clone()),
        (None, None, Some(file)) if is_url(file) => PeerPlace::Url(file.clone()),
        (None, None, Some(file)) => PeerPlace::File(PathBuf::from(file)),
        _ => return Err("give one of heads, witness and file".to_owned()),
    };
    if let PeerPlace::Heads(url) | PeerPlace::Witness(url) = &place
        && !url.contains("://")
    {
        // What stands there is not shown: it may hold a secret.
        return Err("heads and witness are URLs: write https://… (file is for a file)".to_owned());
    }
    let secret = table.bearer_file.is_some() || table.bearer_env.is_some();
    if table.bearer_file.is_some() && table.bearer_env.is_some() {
        return Err("bearer-file and bearer-env: give one of them".to_owned());
    }
    if matches!(place, PeerPlace::File(_)) && (secret || table.ca_file.is_some()) {
        return Err("bearer-file, bearer-env and ca-file are for what is fetched".to_owned());
    }
    let name = table.name.clone().unwrap_or_else(|| name_of(&place));
    if name.is_empty() || name.len() > MAX_NAME || escape(&name) != name {
        return Err(format!("name {}: give it a name of 1 to {MAX_NAME} visible characters", quoted(&name)));
    }
    Ok(NamedPeer { name, place, table })
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// The host of a URL, of which nothing else is shown, or the name of a file.
fn name_of(place: &PeerPlace) -> String {
    match place {
        PeerPlace::Heads(url) | PeerPlace::Witness(url) | PeerPlace::Url(url) => {
            host_of(url).unwrap_or_default()
        }
        PeerPlace::File(path) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    }
}

/// The peers of the config, ready to be asked, their secrets read. Those of the log are not for them.
///
/// # Errors
/// A sentence for the person, without any secret: wrong usage.
pub fn open(settings: &Settings, key: &LogKey, stop: &Stop) -> Result<Vec<Peer>, Failure> {
    let mirror = settings.db.as_deref().map(identity_of);
    let open_one = |peer: &NamedPeer| {
        // It has no heads of others; and SQLite would lose its locks on a file that is opened beside it and closed.
        if let (PeerPlace::File(path), Some(mirror)) = (&peer.place, &mirror)
            && identity_of(path) == *mirror
        {
            return Err("this file is the mirror itself".into());
        }
        let plain = settings.net.plain();
        let options = HttpOptions {
            headers: secret(&peer.table)?,
            ca_file: peer.table.ca_file.clone().or(plain.ca_file.clone()),
            stop: stop.clone(),
            ..plain
        };
        Peer::new(&peer.name, &peer.place, key.origin(), &options).map_err(|error| match error {
            OpenError::Url { url, cause } => format!("{url}: {cause}").into(),
            error => Failure::opening(&error, OpenError::to_string),
        })
    };
    let named = |peer: &NamedPeer| {
        let say = |why| format!("peer {}: {why}", quoted(&peer.name));
        open_one(peer).map_err(|failure: Failure| failure.within(say))
    };
    settings.peers.iter().map(named).collect()
}

fn secret(table: &PeerTable) -> Result<SecretHeaders, Failure> {
    let mut headers = SecretHeaders::default();
    if let Some(path) = &table.bearer_file {
        let token = net::read(path).map_err(|failure| failure.within(|why| format!("bearer-file: {why}")))?;
        headers.add_bearer(&token).map_err(|why| format!("bearer-file: {why}"))?;
    }
    if let Some(variable) = &table.bearer_env {
        let token = net::environment(variable).map_err(|why| format!("bearer-env: {why}"))?;
        headers.add_bearer(&token).map_err(|why| format!("bearer-env: {why}"))?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        peer: Vec<PeerTable>,
    }

    fn resolved(text: &str) -> Result<Vec<NamedPeer>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        resolve(file.peer)
    }

    #[test]
    fn a_peer_is_called_by_its_host_and_nothing_secret_of_it() {
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

    /// What the guide shows can be used as it stands.
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
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("[[peer]]", "give one of"),
            ("[[peer]]\nheads = 'https://a.example'\nfile = 'a'", "give one of"),
            ("[[peer]]\nurl = 'https://a.example'", "unknown field"),
            ("[[peer]]\nfile = 'a'\nbearer-env = 'A'", "for what is fetched"),
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
