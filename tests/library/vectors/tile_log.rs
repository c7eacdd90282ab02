//! Small tiled logs, read as a verifier reads them: checkpoint, every hash tile, every entry.

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use crate::vectors::notes::{parse_keys, verify_note};
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::encoding::decode_hex;
use countersign::core::hash::{Hash, LeafHash, leaf_hash};
use countersign::core::note::Note;
use countersign::core::tile::{TilePath, parse_bundle, parse_tile, tiles_for_size};
use countersign::core::tree::CompactRange;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

/// What the log serves: its own files, or those of another case with some replaced or deleted.
fn files(case: &Case<'_>) -> Result<Files, Failure> {
    let mut files = match case.get("base") {
        Some(_) => files(&case.other(case.text("base")?)?)?,
        None => Files::new(),
    };
    for name in ["files", "replace"] {
        let none = Map::new();
        for (path, content) in case.get(name).and_then(Value::as_object).unwrap_or(&none) {
            match content.as_str() {
                None => drop(files.remove(path)),
                Some(hex) => {
                    let broken = || Failure::Broken(format!("{path} is not hex"));
                    files.insert(path.clone(), decode_hex(hex).ok_or_else(broken)?);
                }
            }
        }
    }
    Ok(files)
}

/// The nearest case, this one or those it is an edit of, that has the field.
fn inherited<'a>(case: &Case<'a>, name: &str) -> Result<Option<Case<'a>>, Failure> {
    if case.get(name).is_some() {
        return Ok(Some(*case));
    }
    if case.get("base").is_none() {
        return Ok(None);
    }
    inherited(&case.other(case.text("base")?)?, name)
}

fn checkpoint(case: &Case<'_>, files: &Files) -> Result<CheckpointBody, Failure> {
    let mut keys = Vec::new();
    if let Some(case) = inherited(case, "checkpoint_key")? {
        keys.push(case.text("checkpoint_key")?);
    }
    if let Some(case) = inherited(case, "cosigner_keys")? {
        keys.extend(case.texts("cosigner_keys")?);
    }
    let raw = files.get("checkpoint").ok_or_else(|| refused("no checkpoint"))?;
    let note = Note::parse(raw).map_err(refused)?;
    verify_note(&note, &parse_keys(&keys)?)?;
    CheckpointBody::parse(note.text()).map_err(refused)
}

/// The first `width` parts of a tile or bundle. The full one may stand in for the partial one, which a
/// log may then delete.
fn fetch<T>(
    files: &Files,
    width: u16,
    path: impl Fn(u16) -> TilePath,
    parse: impl Fn(&[u8], u16) -> Result<Vec<T>, Failure>,
) -> Result<Vec<T>, Failure> {
    if let Some(bytes) = files.get(&path(width).to_path()) {
        return parse(bytes, width);
    }
    let missing = || refused(format!("{} is missing", path(width)));
    let mut parts = parse(files.get(&path(256).to_path()).ok_or_else(missing)?, 256)?;
    parts.truncate(usize::from(width));
    Ok(parts)
}

fn tile(files: &Files, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, Failure> {
    let path = |width| TilePath::Hash { level, index, width };
    fetch(files, width, path, |bytes, width| parse_tile(bytes, width).map_err(refused))
}

fn entries(files: &Files, index: u64, width: u16) -> Result<Vec<Hash>, Failure> {
    fetch(
        files,
        width,
        |width| TilePath::Entries { index, width },
        |bytes, width| {
            let entries = parse_bundle(bytes, width).map_err(refused)?;
            Ok(entries.into_iter().map(|entry| leaf_hash(entry).0).collect())
        },
    )
}

fn fold(hashes: &[Hash]) -> Result<Hash, Failure> {
    let mut range = CompactRange::new(0);
    for hash in hashes {
        range.append_leaf(LeafHash(*hash)).map_err(refused)?;
    }
    Ok(range.root())
}

pub fn tile_log(case: &Case<'_>) -> Verdict {
    let files = files(case)?;
    let body = checkpoint(case, &files)?;
    let entry_check = match inherited(case, "entry_check")? {
        Some(case) => case.get("entry_check") == Some(&Value::Bool(true)),
        None => false,
    };
    let (mut leaves, mut level_below): (Vec<Hash>, Vec<Hash>) = (Vec::new(), Vec::new());
    let mut levels: BTreeMap<u8, Vec<Hash>> = BTreeMap::new();
    for run in tiles_for_size(body.size) {
        for index in run.indices {
            let hashes = tile(&files, run.level, index, run.width)?;
            if run.level == 0 && entry_check {
                claim(entries(&files, index, run.width)? == hashes, "the entries do not hash to the tile")?;
            }
            levels.entry(run.level).or_default().extend(hashes);
        }
    }
    for (level, hashes) in levels {
        if level == 0 {
            leaves.clone_from(&hashes);
        } else {
            let roots = level_below.chunks_exact(256).map(fold).collect::<Result<Vec<_>, _>>()?;
            claim(roots == hashes, "a tile differs from the tiles below it")?;
        }
        level_below = hashes;
    }
    claim(leaves.len() as u64 == body.size, "fewer leaf hashes than the size")?;
    claim(fold(&leaves)? == body.root, "the tiles do not hash to the signed root")?;
    if case.get("size").is_some() {
        claim(case.number("size")? == body.size, "another size")?;
    }
    if case.get("root").is_some() {
        claim(case.hash("root")? == body.root, "another root")?;
    }
    Ok(())
}
