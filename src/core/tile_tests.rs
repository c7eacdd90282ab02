//! Tests paths in both directions, sets of tiles against the specification, and bundles cut at every byte.

use super::*;
use proptest::prelude::*;

#[test]
fn paths_are_those_of_the_specification() {
    let cases = [
        ("tile/0/x001/x234/067", TilePath::Hash { level: 0, index: 1_234_067, width: 256 }),
        ("tile/0/x001/x234/067.p/8", TilePath::Hash { level: 0, index: 1_234_067, width: 8 }),
        ("tile/63/000", TilePath::Hash { level: 63, index: 0, width: 256 }),
        ("tile/entries/x273/112.p/255", TilePath::Entries { index: 273_112, width: 255 }),
        ("tile/data/999", TilePath::Data { index: 999, width: 256 }),
        ("tile/names/x001/000.p/1", TilePath::Names { index: 1000, width: 1 }),
        (
            "tile/0/x018/x446/x744/x073/x709/x551/615",
            TilePath::Hash { level: 0, index: u64::MAX, width: 256 },
        ),
    ];
    for (text, path) in cases {
        assert_eq!(path.to_path(), text);
        assert_eq!(TilePath::parse(text), Ok(path));
    }
}

#[test]
fn each_tile_has_one_path() {
    let wrong = [
        ("", TilePathError::Kind),
        ("/tile/0/000", TilePathError::Kind),
        ("tile/0", TilePathError::Kind),
        ("checkpoint", TilePathError::Kind),
        ("tile//000", TilePathError::Level),
        ("tile/+1/000", TilePathError::Level),
        ("tile/00/000", TilePathError::Level),
        ("tile/64/000", TilePathError::Level),
        ("tile/256/000", TilePathError::Level),
        ("tile/Entries/000", TilePathError::Level),
        ("tile/0/", TilePathError::Index),
        ("tile/0/0", TilePathError::Index),
        ("tile/0/0000", TilePathError::Index),
        ("tile/0/x000/001", TilePathError::Index),
        ("tile/0/001/002", TilePathError::Index),
        ("tile/0/x001", TilePathError::Index),
        ("tile/0/x001/", TilePathError::Index),
        ("tile/0/x001//002", TilePathError::Index),
        ("tile/0/+01", TilePathError::Index),
        ("tile/0/00a", TilePathError::Index),
        ("tile/0/000/", TilePathError::Index),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", TilePathError::Index),
        ("tile/0/x001/x018/x446/x744/x073/x709/x551/615", TilePathError::Index),
        ("tile/0/.p/1", TilePathError::Index),
        ("tile/0/000.p/1.p/1", TilePathError::Width),
        ("tile/0/000.p/", TilePathError::Width),
        ("tile/0/000.p/0", TilePathError::Width),
        ("tile/0/000.p/01", TilePathError::Width),
        ("tile/0/000.p/256", TilePathError::Width),
        ("tile/0/000.p/65537", TilePathError::Width),
        ("tile/0/000.p/1/", TilePathError::Width),
        ("tile/0/000.p", TilePathError::Index),
    ];
    for (text, error) in wrong {
        assert_eq!(TilePath::parse(text), Err(error), "{text}");
    }
}

#[test]
fn the_tiles_of_70000_are_those_of_the_specification() {
    let run = |level, indices, width| TileRun { level, indices, width };
    let expected = vec![
        run(0, 0..273, 256),
        run(0, 273..274, 112),
        run(1, 0..1, 256),
        run(1, 1..2, 17),
        run(2, 0..1, 1),
    ];
    assert_eq!(tiles_for_size(70_000), expected);
    assert_eq!(tiles_for_size(0), vec![]);
    assert_eq!(tiles_for_size(256), vec![run(0, 0..1, 256), run(1, 0..1, 1)]);
    assert_eq!(tiles_for_size(u64::MAX).len(), 15);
    assert_eq!(tiles_for_size(u64::MAX).last(), Some(&run(7, 0..1, 255)));
}

#[test]
fn width_at_agrees_with_the_list_of_tiles() {
    for size in (0..2000).chain([65_535, 65_536, 65_537, 70_000, u64::MAX]) {
        let runs = tiles_for_size(size);
        for level in [0, 1, 2, 3, 7, 8, 63, 255] {
            for index in (0..12).chain([256, 273, u64::MAX >> 8, u64::MAX]) {
                let listed = runs.iter().find(|run| run.level == level && run.indices.contains(&index));
                assert_eq!(
                    width_at(level, index, size),
                    listed.map(|run| run.width),
                    "{level} {index} {size}"
                );
            }
        }
    }
}

#[test]
fn a_bundle_cut_or_extended_anywhere_is_refused_precisely() {
    let entries: [&[u8]; 4] = [b"one", b"", b"three", &[7; 300]];
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for entry in entries {
        bytes.extend_from_slice(&(entry.len() as u16).to_be_bytes());
        bytes.extend_from_slice(entry);
        ends.push(bytes.len());
    }
    assert_eq!(parse_bundle(&bytes, 4).unwrap(), entries);
    for cut in 0..bytes.len() {
        let entries_read = ends.iter().filter(|end| **end > 0 && **end <= cut).count() as u16;
        assert_eq!(parse_bundle(&bytes[..cut], 4), Err(BundleError::Truncated { entries_read }));
    }
    for width in 0..4u16 {
        let extra_bytes = bytes.len() - ends[usize::from(width)];
        assert_eq!(parse_bundle(&bytes, width), Err(BundleError::Trailing { extra_bytes }));
    }
    assert_eq!(parse_bundle(&bytes, 5), Err(BundleError::Truncated { entries_read: 4 }));
    assert_eq!(parse_bundle(&[], u16::MAX), Err(BundleError::Truncated { entries_read: 0 }));
}

#[test]
fn a_tile_has_exactly_its_width() {
    let bytes: Vec<u8> = (0..96).collect();
    let hashes = parse_tile(&bytes, 3).unwrap();
    assert_eq!(hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>(), bytes);
    assert_eq!(parse_tile(&bytes, 2), Err(TileError { expected: 64, found: 96 }));
    assert_eq!(parse_tile(&bytes[..95], 3), Err(TileError { expected: 96, found: 95 }));
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0u8..64, index: u64, width in 1u16..=256, kind in 0..4) {
        let path = match kind {
            0 => TilePath::Hash { level, index, width },
            1 => TilePath::Entries { index, width },
            2 => TilePath::Data { index, width },
            _ => TilePath::Names { index, width },
        };
        prop_assert_eq!(TilePath::parse(&path.to_path()), Ok(path));
    }

    #[test]
    fn what_parses_is_canonical(text in "tile/([0-9]{1,3}|entries)/(x[0-9]{2,4}/){0,3}[0-9]{2,4}(\\.p/[0-9]{0,3})?") {
        if let Ok(path) = TilePath::parse(&text) {
            prop_assert_eq!(path.to_path(), text);
        }
    }

    #[test]
    fn hostile_bundles_do_not_panic(bytes: Vec<u8>, width: u16) {
        if let Ok(entries) = parse_bundle(&bytes, width) {
            prop_assert_eq!(entries.len(), usize::from(width));
        }
    }
}
