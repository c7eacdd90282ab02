//! `countersign-testlog serve`: an honest log answers what a naive transcription of RFC 6962 says, both
//! ways; and a lying one answers something else, from the phase on in which it begins to lie.

use countersign::core::api::{self, HeadAnswer, HeadsPage, VerificationBundle, path};
use countersign::core::hash::{Hash, LeafHash, empty_root, leaf_hash, node_hash};
use countersign::core::head::{Head, LogKey};
use countersign::core::proof::{verify_consistency, verify_inclusion};
use countersign::core::tile::{TilePath, parse_bundle, parse_tile};
use reqwest::Version;
use reqwest::blocking::{Client, ClientBuilder};
use serde_json::Value;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};
use support::served::Served;

/// Few passkeys are made quickly.
const QUICK: [&str; 4] = ["--approvers", "4", "--mix", "es256=1"];

fn start(args: &[&str]) -> Served {
    Served::start(&[args, &QUICK].concat())
}

fn builder() -> ClientBuilder {
    Client::builder().no_proxy().no_gzip().no_zstd().timeout(Duration::from_secs(20))
}

fn client() -> Client {
    builder().build().unwrap()
}

/// Status and body.
fn ask(client: &Client, log: &Served, path: &str) -> (u16, Vec<u8>) {
    let answer = client.get(format!("{}/{path}", log.url)).send().unwrap();
    (answer.status().as_u16(), answer.bytes().unwrap().to_vec())
}

#[track_caller]
fn get(client: &Client, log: &Served, path: &str) -> Vec<u8> {
    let (status, body) = ask(client, log, path);
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    body
}

/// The Merkle Tree Hash as RFC 6962 section 2.1 writes it.
fn naive_root(leaves: &[LeafHash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf.0,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// The first `size` leaves, page by page.
fn leaves(client: &Client, log: &Served, size: u64) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    while (all.len() as u64) < size {
        let (start, count) = (all.len() as u64, size - all.len() as u64);
        all.extend(api::read_entries(&get(client, log, &path::entries(start, count)), start, count).unwrap());
    }
    all
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<LeafHash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}

fn key(log: &Served) -> LogKey {
    LogKey::parse(log.log_key()).unwrap()
}

#[test]
fn tiles_and_api_serve_one_log() {
    let (log, client) = (start(&["--entries", "700", "--page", "300"]), client());
    let head = HeadAnswer::read(&get(&client, &log, path::HEAD)).unwrap();
    assert_eq!(head.checkpoint, get(&client, &log, "checkpoint"));
    assert_eq!(head.sth, get(&client, &log, "sth"));
    let sth = Head::verify_sth(&head.sth, &key(&log)).unwrap();
    let checkpoint = Head::verify_checkpoint(&head.checkpoint, &key(&log)).unwrap();
    assert_eq!((sth.size(), sth.root()), (checkpoint.size(), checkpoint.root()));
    assert_eq!((sth.size(), log.announced["treeSize"].as_u64()), (700, Some(700)));

    let page = get(&client, &log, &path::entries(0, 1000));
    assert_eq!(api::read_entries(&page, 0, 1000).unwrap().len(), 300, "a page is as long as --page says");
    let leaves = leaves(&client, &log, 700);
    let hashes = hashes(&leaves);
    assert_eq!(naive_root(&hashes), sth.root());

    for (index, width) in [(0, 256), (1, 256), (2, 188), (0, 1), (1, 77), (2, 187)] {
        let first = index as usize * 256;
        let range = first..first + usize::from(width);
        let bundle = get(&client, &log, &TilePath::Entries { index, width }.to_path());
        assert_eq!(parse_bundle(&bundle, width).unwrap(), leaves[range.clone()]);
        let tile = get(&client, &log, &TilePath::Hash { level: 0, index, width }.to_path());
        let tile: Vec<LeafHash> = parse_tile(&tile, width).unwrap().into_iter().map(LeafHash).collect();
        assert_eq!(tile, hashes[range]);
    }
    for width in 1..=2 {
        let tile = get(&client, &log, &TilePath::Hash { level: 1, index: 0, width }.to_path());
        let expected: Vec<Hash> = hashes.chunks(256).take(usize::from(width)).map(naive_root).collect();
        assert_eq!(parse_tile(&tile, width).unwrap(), expected);
    }
}

#[test]
fn proofs_match_the_naive_roots() {
    let (log, client) = (start(&["--entries", "521"]), client());
    let hashes = hashes(&leaves(&client, &log, 521));
    let root = |size: u64| naive_root(&hashes[..size as usize]);
    let sizes = [0, 1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 513, 521];
    for first in sizes {
        for second in sizes.into_iter().filter(|second| *second >= first) {
            let answer = get(&client, &log, &path::consistency(first, second));
            let proof = api::read_consistency(&answer, first, second).unwrap();
            verify_consistency(first, root(first), second, root(second), &proof).unwrap();
        }
        for index in sizes.into_iter().filter(|index| *index < first) {
            let answer = get(&client, &log, &path::inclusion(index, first));
            let proof = api::read_inclusion(&answer, index, first).unwrap();
            verify_inclusion(hashes[index as usize], index, first, &proof, root(first)).unwrap();
        }
    }
}

#[test]
fn a_bundle_is_sufficient_for_verification() {
    let (log, client) = (start(&["--entries", "300"]), client());
    for (index, leaf) in leaves(&client, &log, 300).iter().enumerate().step_by(13) {
        let entry: Value = serde_json::from_slice(leaf).unwrap();
        let asked = path::verification(entry["id"].as_str().unwrap()).unwrap();
        let bundle = VerificationBundle::read(&get(&client, &log, &asked)).unwrap();
        assert_eq!((bundle.index, &bundle.entry), (index as u64, leaf));
        let head = Head::verify_sth(&bundle.sth, &key(&log)).unwrap();
        assert_eq!((bundle.inclusion_index, bundle.tree_size), (bundle.index, head.size()));
        verify_inclusion(leaf_hash(leaf), bundle.index, head.size(), &bundle.proof, head.root()).unwrap();
        assert_eq!(Head::verify_checkpoint(&bundle.checkpoint, &key(&log)).unwrap().root(), head.root());
    }
}

/// Every STH of the list, in pages of `limit`.
fn all_heads(client: &Client, log: &Served, limit: u64) -> Vec<Head> {
    let (mut heads, mut after) = (Vec::new(), Some(0));
    while let Some(cursor) = after {
        let page = HeadsPage::read(&get(client, log, &path::heads(cursor, limit)), cursor, limit).unwrap();
        heads.extend(page.heads.iter().map(|sth| Head::verify_sth(sth, &key(log)).unwrap()));
        after = page.next;
    }
    heads
}

#[test]
fn growth_is_append_only_and_every_head_is_listed() {
    let (log, client) = (start(&["--entries", "250", "--grow", "200"]), client());
    let started = Instant::now();
    let mut seen: Vec<Head> = Vec::new();
    // Until it has grown, and was looked at while it did.
    while seen.len() < 10 || seen.last().is_none_or(|head| head.size() <= 300) {
        assert!(started.elapsed() < support::HANG, "it does not grow");
        let head = HeadAnswer::read(&get(&client, &log, path::HEAD)).unwrap();
        seen.push(Head::verify_sth(&head.sth, &key(&log)).unwrap());
        std::thread::sleep(Duration::from_millis(130));
    }
    let last = seen.last().unwrap().size();
    assert!(last > 300, "it has grown to {last} only");
    let listed: Vec<Head> =
        all_heads(&client, &log, 3).into_iter().filter(|head| head.size() <= last).collect();
    assert!(seen.iter().all(|head| listed.iter().any(|listed| listed.raw() == head.raw())));
    assert!(listed.is_sorted_by_key(|head| head.size()));
    assert!(listed.windows(2).all(|pair| pair[0].timestamp() < pair[1].timestamp()));
    let leaves = leaves(&client, &log, last);
    for head in &listed {
        let hashes = hashes(&leaves[..head.size() as usize]);
        assert_eq!(naive_root(&hashes), head.root(), "the head of {}", head.size());
        let (index, width) = (head.size() / 256, (head.size() % 256) as u16);
        if width > 0 {
            let tile = get(&client, &log, &TilePath::Hash { level: 0, index, width }.to_path());
            let first = index as usize * 256;
            let expected: Vec<Hash> = hashes[first..].iter().map(|hash| hash.0).collect();
            assert_eq!(parse_tile(&tile, width).unwrap(), expected, "the partial tile of an earlier head");
        }
    }
}

#[test]
fn a_directory_is_served_unchanged() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo");
    // Also by somebody who has no key of it.
    let (log, client) = (start(&["--dir", demo, "--seed", "another"]), client());
    assert_eq!(log.announced["logKey"], Value::Null);
    let files = [
        "checkpoint",
        "sth",
        "tile/entries/001",
        "tile/entries/003.p/32",
        "tile/0/003.p/32",
        "tile/1/000.p/3",
    ];
    for file in files {
        assert_eq!(get(&client, &log, file), std::fs::read(format!("{demo}/{file}")).unwrap(), "{file}");
    }
    assert_eq!(ask(&client, &log, "tile/0/003.p/33").0, 404);
}

#[test]
fn missing_resources_and_bad_requests_are_refused() {
    let (log, client) = (start(&["--entries", "300"]), client());
    for (path, status) in [
        ("entries?start=300&count=1", 404),
        ("entries?start=9007199254740991&count=9007199254740991", 404),
        ("entries/no-such-id/verification", 404),
        ("inclusion?index=300&treeSize=301", 404),
        ("consistency?first=0&second=301", 404),
        ("consistency?first=301&second=301", 404),
        ("tile/entries/001.p/45", 404),
        ("tile/0/002", 404),
        ("tile/2/000.p/1", 404),
        ("tile/63/x018/x446/x744/x073/x709/551/615", 404),
        ("reveal/some-id", 404),
        ("anchor/300", 404),
        ("../other", 404),
        ("entries", 400),
        ("entries?start=0", 400),
        ("entries?start=0&count=0", 400),
        ("entries?start=00&count=1", 400),
        ("entries?start=-1&count=1", 400),
        ("entries?start=0&count=9007199254740992", 400),
        ("entries?start=0&start=0&count=1", 400),
        ("entries?start=0&count=1&more=1", 400),
        ("consistency?first=2&second=1", 400),
        ("inclusion?index=1&treeSize=1", 400),
        ("heads?after=0&limit=0", 400),
    ] {
        let (found, body) = ask(&client, &log, path);
        assert_eq!(found, status, "{path}");
        assert!(api::read_error(&body).is_some(), "{path}");
    }
    let posted = client.post(format!("{}/head", log.url)).send().unwrap();
    assert_eq!(posted.status().as_u16(), 405);
}

#[test]
fn requests_are_counted_and_quit_ends_the_server() {
    let (mut log, client) = (start(&["--entries", "10"]), client());
    for _ in 0..3 {
        get(&client, &log, "checkpoint");
        get(&client, &log, &path::entries(0, 5));
        get(&client, &log, "tile/0/000.p/10");
    }
    let stats = log.stats();
    assert_eq!((&stats["requests"], &stats["heads"]), (&9.into(), &3.into()));
    assert_eq!(stats["paths"], serde_json::json!({"checkpoint": 3, "entries": 3, "tile": 3}));
    assert!((1..=9).contains(&stats["maxPerSecond"].as_u64().unwrap()));
    assert!(stats["bytes"].as_u64().unwrap() > 3 * 5 * 500);
    client.post(format!("{}/quit", log.url.trim_end_matches("/log"))).send().unwrap();
    assert!(log.child.wait().unwrap().success());
}

#[test]
fn http2_works_with_and_without_tls() {
    let client = builder().http2_prior_knowledge().build().unwrap();
    let log = start(&["--entries", "10"]);
    let answer = client.get(format!("{}/checkpoint", log.url)).send().unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));

    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let log = start(&["--entries", "10", "--tls-cert", cert, "--tls-key", key]);
    assert!(log.url.starts_with("https://"));
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let both = builder().tls_certs_only([root.clone()]).build().unwrap();
    let old = builder().tls_certs_only([root]).http1_only().build().unwrap();
    for (client, version) in [(both, Version::HTTP_2), (old, Version::HTTP_11)] {
        let answer = client.get(format!("{}/sth", log.url)).send().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
}

#[test]
fn bodies_are_compressed_on_request() {
    let client = client();
    let (plain, packed) = (start(&["--entries", "50"]), start(&["--entries", "50", "--compress"]));
    let honest = get(&client, &plain, "tile/entries/000.p/50");
    for (log, accepted, expected) in [
        (&packed, "gzip", Some("gzip")),
        (&packed, "gzip, zstd", Some("zstd")),
        (&packed, "br", None),
        (&plain, "gzip, zstd", None),
    ] {
        let asked =
            client.get(format!("{}/tile/entries/000.p/50", log.url)).header("accept-encoding", accepted);
        let answer = asked.send().unwrap();
        let encoding =
            answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), expected);
        let body = answer.bytes().unwrap();
        let mut unpacked = Vec::new();
        match expected {
            Some("gzip") => drop(flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap()),
            Some(_) => unpacked = zstd::decode_all(&body[..]).unwrap(),
            None => unpacked = body.to_vec(),
        }
        assert!(unpacked == honest, "{accepted}");
    }
}

#[test]
fn gzip_has_the_requested_number_of_members() {
    let log = start(&["--entries", "50", "--disturb", "gzip-members:5"]);
    for path in ["checkpoint", "tile/entries/000.p/50", "entries?start=0&count=50"] {
        let honest = get(&client(), &log, path);
        let asked = client().get(format!("{}/{path}", log.url)).header("accept-encoding", "zstd, gzip");
        let answer = asked.send().unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        let body = answer.bytes().unwrap();
        let (mut left, mut members, mut unpacked) = (&body[..], 0, Vec::new());
        while !left.is_empty() {
            let mut member = flate2::bufread::GzDecoder::new(left);
            member.read_to_end(&mut unpacked).unwrap();
            left = member.into_inner();
            members += 1;
        }
        assert!(members == 5 && unpacked == honest, "{path}: {members} members");
    }
}

#[test]
fn an_unservable_log_is_refused() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo");
    for (args, words) in [
        (&["--lie", "no-such-lie"][..], &["no-such-lie", "fork-by-client", "no-head:404", "strings"][..]),
        (&["--lie", "no-head:418"], &["no-head:404", "no-head:malformed"]),
        (&["--lie", "fork-at:many"], &["fork-at", "many"]),
        (&["--lie", "html:everything"], &["proofs"]),
        (&["--disturb", "rain"], &["429[:N]", "restarts"]),
        (&["--lie", "rollback:11"], &["10 entries", "11"]),
        (&["--lie", "fork-at:10"], &["no entry 10"]),
        (&["--dir", demo, "--lie", "wrong-key"], &["--seed"]),
        (&["--dir", demo, "--grow", "1"], &["--seed"]),
    ] {
        let size: &[&str] = if args.contains(&"--dir") { &[] } else { &["--entries", "10"] };
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
        let output = command.arg("serve").args(args).args(size).args(QUICK).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{args:?}: {message}");
    }
}
