//! Watch rules, compared with naive implementations.

use super::*;
use crate::audit::hours::Zone;
use proptest::prelude::*;

fn rule(conditions: Conditions) -> Rule {
    Rule { name: "r".to_owned(), severity: Severity::Warning, past: false, conditions }
}

/// Sets one condition to a value that `FITTING` matches, or to another.
type Set = fn(&mut Conditions, bool);

/// Noon on 2026-06-01.
const NOON: UnixMillis = UnixMillis::new(1_780_315_200_000);

fn fitting() -> Facts {
    Facts {
        index: 7,
        id: Some("order-7".to_owned()),
        decision: Some(Decision::Approved),
        decided_at: Some(NOON),
        approver: Some("alex".to_owned()),
        rp_id: Some("a.example".to_owned()),
        key: Some(Hash([1; 32])),
        is_first_of_key: true,
        payload_hash: Some([2; 32]),
    }
}

fn hours(from: u16, to: u16) -> Hours {
    Hours { days: [true; 7], from, to, zone: Zone::fixed("UTC", 0) }
}

const SETS: [Set; 8] = [
    |c, fits| c.approvers = vec![if fits { "alex" } else { "alex " }.to_owned()],
    |c, fits| c.keys = vec![Hash([u8::from(fits); 32])],
    |c, fits| c.rp_ids = vec![if fits { "a.example" } else { "b.a.example" }.to_owned()],
    |c, fits| c.decisions = vec![if fits { Decision::Approved } else { Decision::Rejected }],
    |c, fits| c.payload_hashes = vec![[if fits { 2 } else { 3 }; 32]],
    |c, fits| c.ids = vec![Pattern(if fits { "order-?" } else { "order-??" }.to_owned())],
    |c, fits| c.outside = Some(if fits { hours(0, 720) } else { hours(720, 721) }),
    |c, _| c.new_key = true,
];

/// Facts without the value that a condition needs.
const LACKS: [fn(&mut Facts); 8] = [
    |f| f.approver = None,
    |f| f.key = None,
    |f| f.rp_id = None,
    |f| f.decision = None,
    |f| f.payload_hash = None,
    |f| f.id = None,
    |f| f.decided_at = None,
    |f| f.is_first_of_key = false,
];

fn speaks(conditions: &Conditions, facts: &Facts) -> bool {
    rule(conditions.clone()).look(facts, &mut WatchMemory::default()).is_some()
}

/// Every condition alone and combined with every other, each matching or not; and with each value that an entry can
/// lack.
#[test]
fn all_conditions_must_hold() {
    for (i, first) in SETS.iter().enumerate() {
        for (j, second) in SETS.iter().enumerate() {
            for fits in [[true, true], [true, false], [false, true], [false, false]] {
                let mut conditions = Conditions::default();
                first(&mut conditions, fits[0]);
                second(&mut conditions, fits[1]);
                // The last condition has no value that does not match; if a condition is set twice, the second value
                // counts.
                let holds = |at: usize, fits: bool| at == 7 || fits;
                let expected =
                    if i == j { holds(j, fits[1]) } else { holds(i, fits[0]) && holds(j, fits[1]) };
                assert_eq!(speaks(&conditions, &fitting()), expected, "{conditions:?}");
                for (k, lack) in LACKS.iter().enumerate() {
                    let mut facts = fitting();
                    lack(&mut facts);
                    // Without a decision it is not an entry.
                    let still = expected && k != 3 && k != i && k != j;
                    assert_eq!(speaks(&conditions, &facts), still, "{conditions:?} {facts:?}");
                }
            }
        }
    }
}

#[test]
fn any_item_of_a_list_matches_and_no_condition_matches_all() {
    let list = |names: &[&str]| Conditions {
        approvers: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Conditions::default()
    };
    assert!(speaks(&list(&["sam", "alex"]), &fitting()) && !speaks(&list(&["sam", "kim"]), &fitting()));
    assert!(speaks(&list(&[]), &fitting()) && !speaks(&list(&[]), &Facts::default()));
}

fn naive_fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|taken| naive_fits(rest, &text[taken..])),
        ([b'?', rest @ ..], [_, more @ ..]) => naive_fits(rest, more),
        ([one, rest @ ..], [other, more @ ..]) => one == other && naive_fits(rest, more),
        _ => false,
    }
}

fn words(letters: &[u8], longest: usize) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|word| letters.iter().map(move |letter| [word.as_slice(), &[*letter]].concat()))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn patterns_agree_with_a_naive_version() {
    let (patterns, texts) = (words(b"ab*?", 5), words(b"ab", 5));
    for pattern in &patterns {
        let ours = Pattern(String::from_utf8(pattern.clone()).unwrap());
        for text in &texts {
            let fits = ours.fits(std::str::from_utf8(text).unwrap());
            assert_eq!(fits, naive_fits(pattern, text), "{ours:?} {text:?}");
        }
    }
    // A hostile pattern takes at most length × length steps.
    let hostile = Pattern(format!("{}b", "*a".repeat(60)));
    assert!(!hostile.fits(&"a".repeat(64)));
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Whether some span of this length that contains the last of the times has more than `count` of them.
fn naive_over(times: &[u64], burst: Burst) -> bool {
    let Some(last) = times.last() else { return false };
    times.iter().filter(|begin| *begin <= last && last - *begin <= whole_millis(burst.within)).any(|begin| {
        let within =
            times.iter().filter(|time| *begin <= **time && **time - begin <= whole_millis(burst.within));
        within.count() > burst.count
    })
}

fn naive_hits(times: &[u64], burst: Burst) -> Vec<usize> {
    let over: Vec<usize> = (0..times.len()).filter(|at| naive_over(&times[..=*at], burst)).collect();
    let near = |at: usize, other: usize| times[at].abs_diff(times[other]) <= whole_millis(burst.within);
    over.iter().copied().filter(|at| !over.iter().any(|before| before < at && near(*at, *before))).collect()
}

fn hits(times: &[u64], burst: Burst, cut: impl Fn(usize) -> bool) -> Vec<usize> {
    let rule = rule(Conditions {
        more_than: Some(burst),
        approvers: vec!["alex".to_owned()],
        ..Conditions::default()
    });
    let mut memory = WatchMemory::default();
    let mut hits = Vec::new();
    for (at, time) in times.iter().enumerate() {
        if cut(at) {
            // Encoded and decoded, as the mirror does between two batches.
            memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
        }
        let facts = Facts { decided_at: Some(UnixMillis::new(*time)), ..fitting() };
        hits.extend(rule.look(&facts, &mut memory).map(|_| at));
        // Entries that do not match the other conditions are not counted.
        let other = Facts { approver: Some("sam".to_owned()), ..facts };
        assert_eq!(rule.look(&other, &mut memory), None);
    }
    hits
}

proptest! {
    #[test]
    fn bursts_agree_with_a_naive_version(
        times in prop::collection::vec(0u64..60, 0..60), count in 1usize..6, within in 0u64..20, cuts: u64,
    ) {
        let burst = Burst { count, within: ms(within) };
        prop_assert_eq!(hits(&times, burst, |at| cuts >> at & 1 == 1), naive_hits(&times, burst));
    }
}

#[test]
fn a_burst_is_reported_once_and_again_after_its_end() {
    let burst = Burst { count: 2, within: ms(10) };
    let times = [0, 5, 10, 12, 14, 30, 35, 39, 40, 41];
    assert_eq!(hits(&times, burst, |_| false), [2, 7]);
    // One time in the far future hides nothing that comes after it.
    assert_eq!(hits(&[0, 5, u64::MAX, 10, 11], burst, |_| false), [3]);
    // An entry that is late or far away in time does not end a burst; nor does another burst in between.
    assert_eq!(hits(&[1000, 1001, 1002, 400, 1004, 401, 1005, 402, 1006, 403], burst, |_| true), [2, 7]);
    // A late entry is counted with its neighbours.
    assert_eq!(hits(&[0, 5, 100, 200, 9], burst, |_| true), [4]);
}

#[test]
fn memory_is_bounded() {
    let burst = Burst { count: 3, within: ms(10) };
    let mut memory = WatchMemory::default();
    for time in 0..10_000 {
        memory.note(burst, UnixMillis::new(time * 1000));
    }
    assert_eq!(memory.times.len(), 3 + LATE);
    // The memory in a mirror of another version may be longer; it is trimmed.
    memory.times = vec![UnixMillis::EPOCH; 10_000];
    memory.note(burst, UnixMillis::EPOCH);
    assert_eq!(memory.times.len(), 3 + LATE);
    let [seven, soon, then] = [7, 990, 1000].map(UnixMillis::new);
    memory.reported = vec![(seven, seven); 10_000];
    assert!(memory.is_another(burst, then));
    assert_eq!(memory.reported.len(), BURSTS);
    assert!(!memory.is_another(burst, seven) && !memory.is_another(burst, soon));
    assert_eq!(memory.reported, [(seven, seven), (soon, then)]);
}

#[test]
fn hits_quote_claims_safely() {
    let hostile = Facts {
        approver: Some("al\u{202e}ex\u{1b}[2J\n\"".to_owned()),
        rp_id: Some("\u{200b}".to_owned()),
        ..fitting()
    };
    let conditions = Conditions {
        outside: Some(hours(0, 1)),
        rp_ids: vec!["\u{200b}".to_owned()],
        payload_hashes: vec![[2; 32]],
        more_than: Some(Burst { count: 1, within: ms(60_000) }),
        ..Conditions::default()
    };
    let mut memory = WatchMemory::default();
    assert_eq!(rule(conditions.clone()).look(&hostile, &mut memory), None);
    let hit = rule(conditions).look(&hostile, &mut memory).unwrap();
    let key = Hash([1; 32]);
    let expected = format!(
        "watch rule \"r\": more than 1 within 1m, now \"al\\u{{202e}}ex\\u{{1b}}[2J\\n\\\"\" approved at \
         2026-06-01T12:00:00.000Z (mon 12:00 in UTC) with a new key {key} for \"\\u{{200b}}\", payload {}",
        "02".repeat(32)
    );
    assert_eq!(hit.message, expected);
    assert_eq!((hit.code, hit.index, hit.id.as_deref()), (Code::WatchList, Some(7), Some("order-7")));
    assert_eq!(escape(&hit.message), hit.message);
}

#[test]
fn a_finding_knows_its_rule() {
    let one = rule(Conditions::default());
    let hit = one.look(&fitting(), &mut WatchMemory::default()).unwrap();
    let many = one.many(3, 10, 20);
    assert_eq!((rule_of(&hit), rule_of(&many), many.index), (Some("r"), Some("r"), None));
    assert_ne!(hit.key(), many.key());
    assert_eq!(rule_of(&Finding::of_entry(Code::Gap, 7, None, "rule r")), None);
    let info = Rule { severity: Severity::Info, ..one };
    assert_eq!(info.look(&fitting(), &mut WatchMemory::default()).unwrap().severity, Severity::Info);
}
