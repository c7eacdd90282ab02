use super::*;
use proptest::prelude::*;

const A: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const B: &str = "0202020202020202020202020202020202020202020202020202020202020202";

fn tree(size: u64, root: u8) -> SignedTree {
    SignedTree { size, root: Hash([root; 32]) }
}

/// The text of every subject in existing mirrors. It is part of a finding's key and digest: a change would turn each
/// finding into a new one and make its mirror look damaged.
#[test]
fn the_text_stored_in_mirrors_is_unchanged() {
    let table = [
        (Subject::Whole, String::new()),
        (Subject::Served(HeadFormat::Checkpoint), "checkpoint".to_owned()),
        (Subject::Served(HeadFormat::Sth), "sth".to_owned()),
        (Subject::Cosignatures, "cosignatures".to_owned()),
        (Subject::Tree(tree(300, 1)), format!("300 {A}")),
        (Subject::Trees([tree(300, 1), tree(300, 2)]), format!("300 {A} / 300 {B}")),
        (Subject::Trees([tree(10, 2), tree(9, 1)]), format!("10 {B} / 9 {A}")),
        (Subject::Entries { from: 256, to: 300 }, "entries 256 300".to_owned()),
        (Subject::Tile(TilePath::Hash { level: 0, index: 1, width: 44 }), "tile/0/001.p/44".to_owned()),
        (Subject::Tile(TilePath::Hash { level: 1, index: 1234, width: 256 }), "tile/1/x001/234".to_owned()),
        (Subject::Consistency { first: 5, second: 9 }, "consistency 5 9".to_owned()),
        (Subject::Inclusion { index: 5, size: 9 }, "inclusion 5 9".to_owned()),
        (Subject::Verification { index: 7 }, "verification 7".to_owned()),
        (Subject::HeadList, "heads".to_owned()),
        (Subject::Unlisted { statement: Hash([1; 32]) }, format!("heads {A}")),
        (Subject::Rule { name: "my rule from 7".to_owned(), from: None }, "rule my rule from 7".to_owned()),
        (Subject::Rule { name: "night".to_owned(), from: Some(7) }, "rule night\tfrom 7".to_owned()),
        (Subject::Confirmation { id: "c-1".to_owned() }, "confirmation c-1".to_owned()),
        (Subject::Nonce { nonce: "AQ_-".to_owned() }, "nonce AQ_-".to_owned()),
    ];
    for (subject, text) in table {
        assert_eq!(subject.to_string(), text);
        assert_eq!(Subject::decode(&text), subject);
    }
}

#[test]
fn unknown_subjects_are_kept_unchanged() {
    let hash = "01".repeat(31);
    for text in [
        " ",
        "a",
        "heads ",
        "heads 5",
        "entries 5",
        "entries 05 9",
        "entries +5 9",
        "entries 5 9 ",
        "consistency 5 18446744073709551616",
        "verification",
        "rule",
        "confirmation",
        "nonce",
        "rule a\tfrom x",
        "tile/0/1",
        "checkpoint ",
        "5 ",
        &format!("5 {hash}"),
        &format!("5 {A} / 6"),
        &format!("5 {}", "AB".repeat(32)),
    ] {
        assert_eq!(Subject::decode(text), Subject::Other(text.to_owned()), "{text:?}");
        assert_eq!(Subject::decode(text).to_string(), text);
    }
}

fn trees() -> impl Strategy<Value = SignedTree> {
    (any::<u64>(), any::<[u8; 32]>()).prop_map(|(size, root)| SignedTree { size, root: Hash(root) })
}

fn subjects() -> impl Strategy<Value = Subject> {
    let format = prop_oneof![Just(HeadFormat::Checkpoint), Just(HeadFormat::Sth)];
    prop_oneof![
        Just(Subject::Whole),
        format.prop_map(Subject::Served),
        Just(Subject::Cosignatures),
        trees().prop_map(Subject::Tree),
        [trees(), trees()].prop_map(Subject::Trees),
        any::<[u64; 2]>().prop_map(|[from, to]| Subject::Entries { from, to }),
        (0..=63u8, any::<u64>(), 1..=256u16)
            .prop_map(|(level, index, width)| Subject::Tile(TilePath::Hash { level, index, width })),
        any::<[u64; 2]>().prop_map(|[first, second]| Subject::Consistency { first, second }),
        any::<[u64; 2]>().prop_map(|[index, size]| Subject::Inclusion { index, size }),
        any::<u64>().prop_map(|index| Subject::Verification { index }),
        Just(Subject::HeadList),
        any::<[u8; 32]>().prop_map(|statement| Subject::Unlisted { statement: Hash(statement) }),
        ("[ -~]{1,40}", any::<Option<u64>>()).prop_map(|(name, from)| Subject::Rule { name, from }),
        "[A-Za-z0-9._-]{1,64}".prop_map(|id| Subject::Confirmation { id }),
        "[A-Za-z0-9_-]{1,86}".prop_map(|nonce| Subject::Nonce { nonce }),
    ]
}

proptest! {
    #[test]
    fn subjects_round_trip(subject in subjects()) {
        prop_assert_eq!(Subject::decode(&subject.to_string()), subject);
    }

    #[test]
    fn no_text_is_lost(text in "(heads|rule|confirmation|nonce|entries|tile/|5|sth)?[ /a-f0-9\t]{0,80}|\\PC*") {
        prop_assert_eq!(Subject::decode(&text).to_string(), text);
    }
}
