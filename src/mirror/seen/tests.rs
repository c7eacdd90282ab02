//! The runs as a whole, compared with a map that holds the same values; and with every row damaged in every way.

use super::*;
use crate::audit::across::Unique;
use crate::core::hash::sha256;
use layout::Place;
use rusqlite::{StatementStatus, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Many blocks, fences and merges with few records.
const SMALL: Shape = Shape { block: 3, fence: 2, fan: 3, small: 8, largest: 150 };

fn table() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(crate::mirror::schema::SEEN).unwrap();
    db
}

fn seen(shape: Shape, runs: &[RunRef]) -> Seen {
    Seen { shape, ..Seen::new(runs) }
}

/// Numbers that are the same in every test run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let digest = sha256(&self.0.to_be_bytes()).0;
        u64::from_be_bytes(*digest.first_chunk().unwrap()) % bound
    }
}

fn value(n: u64) -> Fingerprint {
    Unique::Nonce.fingerprint(&n.to_be_bytes())
}

fn sighting(n: u64, index: u64) -> Sighting {
    Sighting { kind: Unique::Nonce, fingerprint: value(n), index }
}

/// The behaviour of a table with one row per value.
#[derive(Default)]
struct Naive(BTreeMap<Fingerprint, u64>);

impl Naive {
    fn remember(&mut self, sightings: &[Sighting]) -> Vec<(Fingerprint, u64, u64)> {
        let mut sorted = sightings.to_vec();
        sorted.sort_by_key(|sighting| (sighting.fingerprint, sighting.index));
        let mut repeats = Vec::new();
        for sighting in sorted {
            let first = *self.0.entry(sighting.fingerprint).or_insert(sighting.index);
            if first != sighting.index {
                repeats.push((sighting.fingerprint, sighting.index, first));
            }
        }
        repeats.sort_unstable();
        repeats
    }
}

fn plain(repeats: &[Repeat]) -> Vec<(Fingerprint, u64, u64)> {
    assert!(repeats.is_sorted_by_key(|repeat| repeat.sighting.index));
    let mut plain: Vec<_> =
        repeats.iter().map(|r| (r.sighting.fingerprint, r.sighting.index, r.first)).collect();
    plain.sort_unstable();
    plain
}

/// Remembers values `[begin, end)`, each at the entry with its number, in batches of this size.
fn fill(db: &Connection, seen: &mut Seen, begin: u64, end: u64, batch: u64) {
    let mut from = begin;
    while from < end {
        let to = end.min(from + batch);
        let mut sightings: Vec<Sighting> = (from..to).map(|n| sighting(n, n)).collect();
        assert_eq!(seen.remember(db, &mut sightings).unwrap(), []);
        from = to;
    }
}

#[test]
fn any_batches_agree_with_a_map() {
    for seed in 0..40 {
        let (db, mut random) = (table(), Random(seed << 32));
        let (mut ours, mut naive) = (seen(SMALL, &[]), Naive::default());
        for batch in 0..40 {
            let universe = 20 + batch * 30;
            let mut sightings: Vec<Sighting> =
                (0..random.below(60)).map(|_| sighting(random.below(universe), random.below(200))).collect();
            if random.below(4) == 0 {
                // Rolled back.
                let before = ours.runs.clone();
                db.execute_batch("BEGIN").unwrap();
                ours.remember(&db, &mut sightings.clone()).unwrap();
                db.execute_batch("ROLLBACK").unwrap();
                ours.reset(&before);
            }
            if random.below(8) == 0 {
                // Closed and opened.
                ours = seen(SMALL, &ours.runs);
            }
            let expected = naive.remember(&sightings);
            assert_eq!(plain(&ours.remember(&db, &mut sightings).unwrap()), expected, "{seed}, {batch}");
            assert!(ours.check(&db, &|| false).unwrap());
        }
        for n in 0..1300 {
            assert_eq!(ours.first(&db, value(n)).unwrap(), naive.0.get(&value(n)).copied(), "{seed}: {n}");
        }
        let records: u64 = ours.runs.iter().map(|run| run.records()).sum();
        assert_eq!(records, naive.0.len() as u64);
        assert!(
            ours.runs.iter().any(|run| run.records() > 75),
            "none was merged to the end: {:?}",
            ours.runs
        );
    }
}

#[test]
fn empty_batches_and_cleared_tables_hold_nothing() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    assert_eq!(ours.remember(&db, &mut []).unwrap(), []);
    assert!(ours.runs.is_empty() && ours.check(&db, &|| false).unwrap());
    assert_eq!(ours.first(&db, value(1)).unwrap(), None);
    fill(&db, &mut ours, 0, 100, 9);
    ours.clear(&db).unwrap();
    assert!(ours.runs.is_empty() && ours.check(&db, &|| false).unwrap());
    assert_eq!(ours.first(&db, value(1)).unwrap(), None);
    fill(&db, &mut ours, 0, 100, 9);
    assert_eq!(ours.first(&db, value(99)).unwrap(), Some(99));
}

type Rows = BTreeMap<i64, Vec<u8>>;

fn rows_of(db: &Connection) -> Rows {
    let mut select = db.prepare("SELECT id, data FROM seen_rows").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(|row| row.unwrap()).collect()
}

fn put(db: &Connection, id: i64, data: Option<&[u8]>) {
    match data {
        Some(data) => db.execute("INSERT OR REPLACE INTO seen_rows VALUES (?1, ?2)", params![id, data]),
        None => db.execute("DELETE FROM seen_rows WHERE id = ?1", [id]),
    }
    .unwrap();
}

/// Returns the values that cannot be looked up, and asserts that the answers for all others are correct. Each look-up
/// is made as in a mirror that was just opened.
fn faults(db: &Connection, runs: &[RunRef], here: &str) -> BTreeSet<u64> {
    let mut faults = BTreeSet::new();
    for n in 0..200 {
        let expected = (n < 100).then_some(n);
        match seen(SMALL, runs).first(db, value(n)) {
            Ok(found) => assert_eq!(found, expected, "{here}: {n}"),
            Err(StoreFault::Wrong(_)) => drop(faults.insert(n)),
            Err(error) => panic!("{here}: {n}: {error:?}"),
        }
        // A value that cannot be looked up cannot be remembered, and remembered values are unchanged.
        db.execute_batch("BEGIN").unwrap();
        match seen(SMALL, runs).remember(db, &mut [sighting(n, 1000)]) {
            Ok(repeats) => {
                assert!(!faults.contains(&n));
                assert_eq!(repeats.first().map(|repeat| repeat.first), expected, "{here}: {n}");
            }
            // A merge may have to read more.
            Err(StoreFault::Wrong(_)) => assert!(faults.contains(&n) || expected.is_none()),
            Err(error) => panic!("{here}: {n}: {error:?}"),
        }
        db.execute_batch("ROLLBACK").unwrap();
    }
    faults
}

#[test]
fn a_damaged_row_is_a_fault_only_in_its_own_look_ups() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    // Rows with the same ids held other values before everything was checked again.
    fill(&db, &mut ours, 1000, 1090, 9);
    let older = rows_of(&db);
    ours.clear(&db).unwrap();
    fill(&db, &mut ours, 0, 100, 9);
    let (runs, rows) = (ours.runs.clone(), rows_of(&db));
    assert!(runs.len() >= 3 && rows.len() > 50, "{} runs, {} rows", runs.len(), rows.len());
    assert_eq!(faults(&db, &runs, "whole"), BTreeSet::new());
    let ids: Vec<i64> = rows.keys().copied().collect();
    let (mut touched, mut had_older) = (BTreeSet::<u64>::new(), 0);
    for (at, (id, data)) in rows.iter().enumerate() {
        put(&db, *id, None);
        let here = faults(&db, &runs, "missing");
        assert!(!here.is_empty(), "no look-up reads row {id}");
        touched.extend(&here);
        let mut others: Vec<Vec<u8>> = vec![
            Vec::new(),
            data[1..].to_vec(),
            data[..data.len() - 1].to_vec(),
            [data.as_slice(), &[0]].concat(),
            vec![0; data.len()],
            // The data of another row, often of the same length.
            rows[&ids[(at + 1) % ids.len()]].clone(),
            rows[&ids[(at + 3) % ids.len()]].clone(),
        ];
        had_older += usize::from(older.contains_key(id));
        others.extend(older.get(id).cloned());
        for bit in [0, 77, data.len() * 8 - 1] {
            let mut flipped = data.clone();
            flipped[(bit / 8) % data.len()] ^= 1 << (bit % 8);
            others.push(flipped);
        }
        for (way, other) in others.iter().enumerate().filter(|(_, other)| *other != data) {
            put(&db, *id, Some(other));
            assert_eq!(faults(&db, &runs, &format!("row {id}, way {way}")), here, "row {id}, way {way}");
            let checked = seen(SMALL, &runs).check(&db, &|| false);
            assert!(matches!(checked, Err(StoreFault::Wrong(_))), "row {id}, way {way}");
            let scrubbed = seen(SMALL, &runs).scrub(&db, Cursor::default(), 1000);
            assert!(matches!(scrubbed, Err(StoreFault::Wrong(_))), "row {id}, way {way}");
        }
        put(&db, *id, Some(data));
    }
    assert!(touched.len() == 200 && had_older > 20, "{touched:?}, {had_older}");
    assert_eq!(faults(&db, &runs, "whole again"), BTreeSet::new());
}

#[test]
fn an_orphan_row_is_found_by_the_check_and_otherwise_ignored() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    fill(&db, &mut ours, 0, 100, 9);
    let last = ours.runs.last().unwrap().id();
    for id in [-5, 0, Place::block(0, 0).row_id(last + 1), Place::Header.row_id(last) - 1, i64::MAX] {
        put(&db, id, Some(b"stray"));
        let fault = ours.check(&db, &|| false).unwrap_err();
        assert!(matches!(&fault, StoreFault::Wrong(why) if why.contains("no run")), "{fault:?}");
        assert_eq!(faults(&db, &ours.runs, "a stray"), BTreeSet::new());
        put(&db, id, None);
    }
    // A stray row in the place where the next run begins is overwritten.
    put(&db, Place::block(0, 0).row_id(last + 1), Some(b"stray"));
    fill(&db, &mut ours, 100, 109, 9);
    assert!(ours.check(&db, &|| false).unwrap());
}

/// A value in two runs is damage that no digest shows; a merge notices it.
#[test]
fn runs_with_a_common_value_are_not_merged() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    let record = Record { key: 5, index: 5 };
    for _ in 0..2 {
        ours.insert(&db, &[record]).unwrap();
    }
    assert!(matches!(ours.insert(&db, &[record]), Err(StoreFault::Wrong(_))));
}

/// An impossible state is a fault, and allocates no memory.
#[test]
fn a_run_of_impossible_size_is_a_fault() {
    let db = table();
    for records in [0, SMALL.largest + 1, u64::MAX] {
        let run = RunRef::new(1, records, sha256(b""));
        let ours = seen(SMALL, &[run]);
        assert!(matches!(ours.first(&db, value(1)), Err(StoreFault::Wrong(_))));
        assert!(matches!(ours.check(&db, &|| false), Err(StoreFault::Wrong(_))));
    }
    let last = RunRef::new(i32::MAX as u32, 1, sha256(b""));
    let mut ours = seen(SMALL, &[last]);
    assert!(matches!(ours.insert(&db, &[Record { key: 1, index: 1 }]), Err(StoreFault::Wrong(_))));
}

/// The number of rows read by look-ups so far.
fn reads(db: &Connection) -> i32 {
    db.prepare_cached(rows::SELECT).unwrap().get_status(StatementStatus::Run)
}

/// With all bits of all filters set, and digests to match: look-ups read more, and their answers stay the same.
#[test]
fn a_saturated_filter_only_costs_time() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    fill(&db, &mut ours, 0, 100, 100);
    let before = reads(&db);
    assert_eq!(faults(&db, &ours.runs, "as it was"), BTreeSet::new());
    let usual = reads(&db) - before;
    let run = &mut ours.runs[0];
    let mut header = block::BlockDirectory::default();
    for fence in 0.. {
        let place = Place::fence(fence);
        let Some(mut data) = rows::read(&db, run.id(), place).unwrap() else { break };
        let first = Key::from_be_bytes(*data.first_chunk().unwrap());
        data[2 * 48..].fill(0xff);
        rows::write(&db, run.id(), place, &data).unwrap();
        header.push(block::Item { first, digest: place.digest(run.id(), &data) });
    }
    rows::write(&db, run.id(), Place::Header, &header.bytes()).unwrap();
    *run = RunRef::new(run.id(), run.records(), Place::Header.digest(run.id(), &header.bytes()));
    let before = reads(&db);
    assert_eq!(faults(&db, &ours.runs, "saturated"), BTreeSet::new());
    assert!(reads(&db) - before > usual + 100, "{usual} reads before, {} now", reads(&db) - before);
    assert!(ours.check(&db, &|| false).unwrap());
}

/// The cost of a look-up is bounded by the number of runs, which hardly grows.
#[test]
fn a_look_up_among_300000_values_reads_few_rows() {
    let (db, mut ours) = (table(), seen(SHAPE, &[]));
    db.execute_batch("BEGIN").unwrap();
    let mut most = Vec::new();
    for end in [30_000u64, 300_000] {
        fill(&db, &mut ours, end / 10 * u64::from(end > 30_000), end, 7001);
        let reads_of = |ours: &Seen, n: u64, expected: Option<u64>| {
            let before = reads(&db);
            assert_eq!(ours.first(&db, value(n)).unwrap(), expected);
            reads(&db) - before
        };
        let runs = i32::try_from(ours.runs.len()).unwrap();
        let (mut cold, mut absent, mut warm) = (0, 0, 0);
        for n in (0..end).step_by(997) {
            cold = cold.max(reads_of(&seen(SHAPE, &ours.runs), n, Some(n)));
            absent += reads_of(&ours, end + n, None);
            warm = warm.max(reads_of(&ours, n, Some(n)));
        }
        assert!(runs <= 12 && cold <= 3 * runs && warm <= runs, "{runs} runs, {cold} rows, then {warm}");
        most.push(cold);
        let looked = i32::try_from(end / 997).unwrap();
        assert!(absent <= looked * runs / 10 + 3 * 2 * runs, "{absent} rows for {looked} absent values");
    }
    assert!(most.iter().all(|rows| *rows <= 24), "{most:?}");
    assert!(ours.check(&db, &|| false).unwrap());
    assert!(!ours.check(&db, &|| true).unwrap(), "stopped");
    let repeats = ours.remember(&db, &mut [sighting(5, 5), sighting(299_999, 400_000)]).unwrap();
    assert_eq!(plain(&repeats), [(value(299_999), 400_000, 299_999)]);
}

/// Without a query nothing is read, and with few new values little, however much is remembered.
#[test]
fn small_batches_read_little_and_are_merged() {
    let (db, mut ours) = (table(), seen(SHAPE, &[]));
    db.execute_batch("BEGIN").unwrap();
    fill(&db, &mut ours, 0, 100_000, 10_007);
    let before = reads(&db);
    ours = seen(SHAPE, &ours.runs);
    assert_eq!(reads(&db), before);
    for night in 0..200 {
        let first = 1_000_000 + night * 30;
        let before = reads(&db);
        fill(&db, &mut ours, first, first + 30, 30);
        assert!(reads(&db) - before < 100, "{} rows read in night {night}", reads(&db) - before);
        assert!(ours.runs.len() <= 12, "{} runs", ours.runs.len());
    }
}

/// The rotation verifies everything, with any number of blocks at a time, even while runs come and go.
#[test]
fn rotation_reaches_every_row() {
    let (db, mut ours) = (table(), seen(SMALL, &[]));
    fill(&db, &mut ours, 0, 300, 9);
    let all = rows_of(&db);
    for blocks in [1, 2, 5, 1000] {
        for (id, data) in &all {
            put(&db, *id, None);
            let mut cursor = Cursor::default();
            let mut visits = 0;
            let noticed = loop {
                match ours.scrub(&db, cursor, blocks) {
                    Ok(next) => cursor = next,
                    Err(StoreFault::Wrong(_)) => break true,
                    Err(error) => panic!("{error:?}"),
                }
                visits += 1;
                if cursor == Cursor::default() {
                    break false;
                }
            };
            assert!(noticed, "row {id} was not looked at in {visits} visits of {blocks} blocks");
            put(&db, *id, Some(data));
        }
    }
    let mut cursor = Cursor::default();
    let (mut ends, mut n) = (0, 300);
    for _ in 0..400 {
        let before = reads(&db);
        cursor = ours.scrub(&db, cursor, 4).unwrap();
        assert!(reads(&db) - before <= 4 * 3 + 2 * 12, "{} rows for 4 blocks", reads(&db) - before);
        ends += usize::from(cursor == Cursor::default());
        fill(&db, &mut ours, n, n + 2, 2);
        n += 2;
    }
    assert!(ends >= 2, "{ends} rotations");
    assert_eq!(seen(SMALL, &[]).scrub(&db, cursor, 4).unwrap(), Cursor::default());
}

#[test]
fn runs_in_the_state_round_trip() {
    let run = RunRef::new(7, 12, sha256(b"x"));
    let json = serde_json::to_string(&run).unwrap();
    assert_eq!(serde_json::from_str::<RunRef>(&json).unwrap(), run);
    for wrong in
        [json.replace("header\":\"2", "header\":\"g"), json.replace('7', "-7"), json.replace("id", "ie")]
    {
        assert!(wrong != json && serde_json::from_str::<RunRef>(&wrong).is_err(), "{wrong}");
    }
}

/// What a transaction remembered is known if and only if it was committed.
#[test]
fn a_rolled_back_transaction_stores_nothing() {
    use crate::audit::across::Memory as _;
    use crate::mirror::{Mirror, MirrorError};
    let directory = tempfile::tempdir().unwrap();
    let key = "log.approvals.example/2026+9978b3d0+AaRzICHzMeGTiBChYq8/zJub2Q6ZCWwzLfgLcAHvPG2u";
    let key = crate::core::head::LogKey::parse(key).unwrap();
    let path = directory.path().join("mirror.db");
    let mut mirror = Mirror::create_or_open(&path, &key).unwrap();
    let remember = |mirror: &mut Mirror, index: u64| {
        let repeats =
            mirror.memory_mut().remember(&mut [sighting(1, index), sighting(index, index)]).unwrap();
        repeats.first().map(|repeat| repeat.first)
    };
    let stands = |mirror: &Mirror, runs: usize| {
        let (seen, _) = mirror.db().seen();
        let stored = mirror.state().seen_runs();
        assert_eq!((seen.runs(), stored.len()), (stored, runs));
        assert!(mirror.memory().check_seen(&|| false).unwrap());
    };
    // Rolled back explicitly, by a fault, and because it cannot be committed.
    mirror.begin().unwrap();
    assert_eq!(remember(&mut mirror, 10), None);
    assert_eq!(remember(&mut mirror, 11), Some(10), "known in the transaction");
    mirror.rollback().unwrap();
    stands(&mirror, 0);
    let fault = mirror.transact(|mirror, _| {
        assert_eq!(remember(mirror, 20), None);
        Err::<(), _>(MirrorError::wrong_memory(mirror.path(), 20))
    });
    assert!(fault.is_err());
    stands(&mirror, 0);
    mirror.begin().unwrap();
    assert_eq!(remember(&mut mirror, 30), None);
    mirror.db().connection().execute_batch("ALTER TABLE state RENAME TO elsewhere").unwrap();
    let unchanged = mirror.state().clone();
    assert!(mirror.commit(unchanged).is_err());
    stands(&mirror, 0);
    // Committed with a state that was taken before, as in audits.
    let state = mirror.state().clone();
    mirror.begin().unwrap();
    assert_eq!(remember(&mut mirror, 40), None);
    mirror.commit(state).unwrap();
    stands(&mirror, 1);
    assert_eq!(mirror.transact(|mirror, _| Ok(remember(mirror, 50))).unwrap(), Some(40));
    drop(mirror);
    let mut mirror = Mirror::open(&path, &key).unwrap();
    stands(&mirror, 2);
    assert_eq!(mirror.transact(|mirror, _| Ok(remember(mirror, 60))).unwrap(), Some(40));
    assert_eq!(mirror.memory().scrub_seen(mirror.state().seen_scrubbed, 100).unwrap(), Cursor::default());
    // Forgotten together with the checks, which a rollback also undoes.
    let fault = mirror.transact(|mirror, state| {
        mirror.forget_checks(state)?;
        assert_eq!(remember(mirror, 70), None);
        Err::<(), _>(MirrorError::wrong_memory(mirror.path(), 70))
    });
    assert!(fault.is_err());
    stands(&mirror, 3);
    mirror.transact(Mirror::forget_checks).unwrap();
    stands(&mirror, 0);
    assert_eq!(mirror.transact(|mirror, _| Ok(remember(mirror, 80))).unwrap(), None);
}

/// The message names the damaged table of a mirror, and says what to do.
#[test]
fn a_fault_names_its_table_and_the_remedy() {
    let fault = StoreFault::Wrong("block 3 of fence 0 of run 9 does not have its digest".to_owned());
    let message = fault.of(Path::new("m.db")).to_string();
    for word in ["seen_rows", "disagrees with the state", "block 3 of fence 0 of run 9", "--full"] {
        assert!(message.contains(word), "{message}");
    }
}
