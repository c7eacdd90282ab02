//! The fields that vectors may have and the published ones do not use, on cases made here: without
//! them the replay would meet these fields for the first time in somebody else's file.

use crate::vectors::case::{Case, Failure, VectorFile, Verdict};
use countersign::core::encoding::{encode_base64, encode_hex};
use countersign::core::hash::leaf_hash;
use countersign::core::note::{KeyKind, derive_key_id};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

struct Key {
    name: &'static str,
    kind: KeyKind,
    byte: u8,
    secret: SigningKey,
}

impl Key {
    fn new(name: &'static str, kind: KeyKind, byte: u8, seed: u8) -> Key {
        Key { name, kind, byte, secret: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn public(&self) -> [u8; 32] {
        self.secret.verifying_key().to_bytes()
    }

    fn vkey(&self) -> String {
        let typed = [&[self.byte][..], &self.public()].concat();
        let id = derive_key_id(self.name, self.kind, &self.public());
        format!("{}+{}+{}", self.name, encode_hex(&id), encode_base64(&typed))
    }

    fn line(&self, text: &str) -> String {
        let id = derive_key_id(self.name, self.kind, &self.public());
        let blob = match self.kind {
            KeyKind::CosignatureV1 => {
                let message = format!("cosignature/v1\ntime 7\n{text}");
                let signature = self.secret.sign(message.as_bytes()).to_bytes();
                [&id[..], &7u64.to_be_bytes(), &signature].concat()
            }
            _ => [&id[..], &self.secret.sign(text.as_bytes()).to_bytes()].concat(),
        };
        format!("\u{2014} {} {}\n", self.name, encode_base64(&blob))
    }
}

fn run(runner: fn(&Case<'_>) -> Verdict, mut case: Value, edits: &Value) -> Verdict {
    let members = case.as_object_mut().unwrap();
    for (name, value) in [("id", "self"), ("expect", "accept"), ("why", "self"), ("source", "self")] {
        members.insert(name.to_owned(), json!(value));
    }
    members.extend(edits.as_object().unwrap().clone());
    let file = VectorFile::new(json!({"kind": "self", "cases": [case]}));
    let verdict = runner(&file.cases().next().unwrap());
    // A refusal may come before the last field is looked at.
    assert!(verdict.is_err() || file.fields_never_read().is_empty(), "{:?}", file.fields_never_read());
    verdict
}

fn assert_refused(verdict: Verdict) {
    assert!(matches!(verdict, Err(Failure::Refused(_))), "{verdict:?}");
}

#[test]
fn cosignatures_are_counted_by_distinct_key() {
    let log = Key::new("log.example", KeyKind::Ed25519, 1, 1);
    let witnesses = [
        Key::new("one.example", KeyKind::CosignatureV1, 4, 2),
        Key::new("two.example", KeyKind::CosignatureV1, 4, 3),
        Key::new("one-again.example", KeyKind::CosignatureV1, 4, 2),
    ];
    let root = leaf_hash(b"leaf").0;
    let text = format!("log.example\n1\n{}\n", encode_base64(root.as_bytes()));
    let lines =
        |keys: &[&Key]| format!("{text}\n{}", keys.iter().map(|key| key.line(&text)).collect::<String>());
    let all: Vec<&Key> = std::iter::once(&log).chain(&witnesses).collect();
    let case = json!({
        "leaf": encode_hex(b"leaf"), "index": "0", "tree_size": 1, "root": root.to_string(), "proof": [],
        "checkpoint": lines(&all), "log_keys": [log.vkey()], "origin": "log.example",
        "cosigners": witnesses.iter().map(Key::vkey).collect::<Vec<_>>(),
        "min_cosignatures": 2,
        "cosigned_by": [
            {"name": "two.example", "timestamp": 7}, {"name": "one.example", "timestamp": 7},
        ],
    });
    let run = |edits: Value| run(crate::vectors::log_proof::log_proof, case.clone(), &edits);
    assert!(run(json!({})).is_ok());
    assert!(run(json!({"cosigned_by": ["one.example", "two.example"]})).is_ok());
    assert!(run(json!({"cosigned_by": {"one.example": 7, "two.example": 7}})).is_ok());
    assert!(matches!(run(json!({"cosigned_by": ["one.example"]})), Err(Failure::Wrong(_))));
    let other_time = json!({"cosigned_by": {"one.example": 7, "two.example": 8}});
    assert!(matches!(run(other_time), Err(Failure::Wrong(_))));
    assert_refused(run(json!({"min_cosignatures": 3})));
    assert_refused(run(json!({"checkpoint": lines(&[&log, &witnesses[0], &witnesses[2]])})));
    assert_refused(run(json!({"checkpoint": lines(&[&witnesses[0], &witnesses[1]])})));
    let bad = lines(&all).replace(&witnesses[1].line(&text), &witnesses[1].line("another text"));
    assert_refused(run(json!({"checkpoint": bad, "min_cosignatures": 1})));
    assert_refused(run(json!({"origin": "other.example"})));
    assert_refused(run(json!({"tree_size": "18446744073709551616"})));
    assert_refused(run(json!({"proof": [""]})));

    let tlog_proof = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{}", lines(&all));
    let case = json!({
        "text": tlog_proof, "leaf": encode_hex(b"leaf"), "log_keys": [log.vkey()], "origin": "log.example",
        "cosigners": [witnesses[0].vkey()], "min_cosignatures": 1,
        "cosigned_by": [{"name": "one.example", "timestamp": 7}],
        "parsed": {"index": 0, "hashes": [], "extra": null},
    });
    assert!(self::run(crate::vectors::log_proof::tlog_proof, case.clone(), &json!({})).is_ok());
    assert_refused(self::run(crate::vectors::log_proof::tlog_proof, case, &json!({"min_cosignatures": 2})));
}

#[test]
fn a_mirror_may_publish_only_its_own_cosignature() {
    let mirror = Key::new("mirror.example", KeyKind::CosignatureV1, 4, 2);
    let text = format!("log.example\n1\n{}\n", encode_base64(leaf_hash(b"leaf").0.as_bytes()));
    let checkpoint = format!("{text}\n{}", mirror.line(&text));
    let mut bundle = vec![0, 4];
    bundle.extend_from_slice(b"leaf");
    let tile = leaf_hash(b"leaf").0.to_string();
    let case = json!({
        "files": {
            "checkpoint": encode_hex(checkpoint.as_bytes()),
            "tile/0/000.p/1": tile, "tile/entries/000.p/1": encode_hex(&bundle),
        },
        "cosigner_keys": [mirror.vkey()], "entry_check": true, "size": 1, "root": tile,
    });
    let runner = crate::vectors::tile_log::tile_log;
    assert!(run(runner, case.clone(), &json!({})).is_ok());
    assert_refused(run(runner, case.clone(), &json!({"cosigner_keys": []})));
    assert_refused(run(runner, case.clone(), &json!({"size": 2})));
    assert_refused(run(runner, case, &json!({"root": encode_hex(&[0; 32])})));
}

#[test]
fn other_forms_of_numbers_paths_and_encodings_are_read() {
    let hash = leaf_hash(b"").0.to_string();
    let one = json!({"leaf": "", "leaf_index": 0, "tree_size": "1", "root": hash, "proof": []});
    assert!(run(crate::vectors::merkle::inclusion, one.clone(), &json!({})).is_ok());
    assert_refused(run(crate::vectors::merkle::inclusion, one, &json!({"leaf_hash": encode_hex(&[0; 32])})));
    let data = json!({"path": "tile/names/x001/000.p/9"});
    let parsed = json!({"parsed": {"what": "names", "index": "1000", "width": 9}});
    assert!(run(crate::vectors::tiles::tile_path, data, &parsed).is_ok());
    let most = json!({"tree_size": "18446744073709551615", "hash_tiles": [
        [0, 0, 72_057_594_037_927_934u64, 256], [0, 72_057_594_037_927_935u64, 255],
        [1, 0, 281_474_976_710_654u64, 256], [1, 281_474_976_710_655u64, 255],
        [2, 0, 1_099_511_627_774u64, 256], [2, 1_099_511_627_775u64, 255],
        [3, 0, 4_294_967_294u64, 256], [3, 4_294_967_295u64, 255],
        [4, 0, 16_777_214, 256], [4, 16_777_215, 255], [5, 0, 65_534, 256], [5, 65_535, 255],
        [6, 0, 254, 256], [6, 255, 255], [7, 0, 255],
    ]});
    assert!(run(crate::vectors::tiles::tile_set, most.clone(), &json!({})).is_ok());
    assert_refused(run(crate::vectors::tiles::tile_set, most, &json!({"tree_size": 1})));
    // CCTV, RFC 6979 A.2.5: the same signature as r and s side by side.
    let raw = json!({
        "alg": "ES256", "msg": "77765b766e58", "encoding": "p1363",
        "public_key": "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                       7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        "sig": "efd9073b652e76da1b5a019c0e4a2e3fa529b035a6abb91ef67f0ed7a1f21234\
                3db4706c9d9f4a4fe13bb5e08ef0fab53a57dbab2061c83a35fa411c68d2ba33",
    });
    assert!(run(crate::vectors::signature::signature, raw.clone(), &json!({})).is_ok());
    assert_refused(run(crate::vectors::signature::signature, raw.clone(), &json!({"encoding": "der"})));
    assert_refused(run(crate::vectors::signature::signature, raw, &json!({"alg": "ES512"})));
    let text = json!({"text_hex": encode_hex(b"\xff")});
    assert_refused(run(crate::vectors::notes::checkpoint_text, text, &json!({})));
}
