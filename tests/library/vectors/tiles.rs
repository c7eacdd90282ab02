//! Tile paths, tile sets and entry bundles (c2sp.org/tlog-tiles).

use crate::vectors::case::{Case, Failure, Verdict, claim, compare, refused};
use countersign::core::encoding::encode_hex;
use countersign::core::tile::{TilePath, TileRun, parse_bundle, tiles_for_size};
use serde_json::{Value, json};

pub fn tile_path(case: &Case<'_>) -> Verdict {
    let text = case.text("path")?;
    let path = TilePath::parse(text).map_err(refused)?;
    if path.to_path() != text {
        return Err(Failure::Wrong(format!("written as {path}")));
    }
    let ours = match path {
        TilePath::Hash { level, index, width } => {
            json!({"what": "hash", "level": level, "index": index, "width": width})
        }
        TilePath::Entries { index, width } => json!({"what": "entries", "index": index, "width": width}),
        TilePath::Data { index, width } => json!({"what": "data", "index": index, "width": width}),
        TilePath::Names { index, width } => json!({"what": "names", "index": index, "width": width}),
    };
    case.compare("parsed", &ours)
}

/// Full tiles as `[level, first, last, 256]`, both ends included; a partial one as `[level, index, width]`.
fn run_json(run: &TileRun) -> Value {
    let TileRun { level, indices, width } = run;
    if *width == 256 {
        json!([level, indices.start, indices.end - 1, width])
    } else {
        json!([level, indices.start, width])
    }
}

pub fn tile_set(case: &Case<'_>) -> Verdict {
    let ours: Vec<Value> = tiles_for_size(case.number("tree_size")?).iter().map(run_json).collect();
    let expected = case.list("hash_tiles")?;
    let listed = |run: &Value| expected.iter().any(|tile| compare(tile, run).is_ok());
    claim(ours.len() == expected.len() && ours.iter().all(listed), "another set of tiles")
}

/// The vectors leave the width open: for an accepted bundle it is the number of its entries, and a
/// refused one must be refused at every width.
pub fn entry_bundle(case: &Case<'_>) -> Verdict {
    let bundle = case.hex("bundle")?;
    if case.get("entries").is_none() {
        let widths = (1..=256).find(|width| parse_bundle(&bundle, *width).is_ok());
        return claim(widths.is_some(), "no width fits");
    }
    let expected = case.list("entries")?;
    let width = u16::try_from(expected.len()).map_err(refused)?;
    let entries = parse_bundle(&bundle, width).map_err(refused)?;
    let ours = Value::from(entries.iter().map(|entry| encode_hex(entry)).collect::<Vec<_>>());
    case.compare("entries", &ours)
}
