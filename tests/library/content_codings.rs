//! Bodies as large static hosts and their caches send them: gzip of several members, zstd of several frames, codings
//! on top of each other, named in any way that RFC 9110 allows. An honest log stays clean, whichever file comes so;
//! a body that was cut or changed is asked for again, and is never taken for a file of the log.

use support::tls;

use countersign::core::limits::{MAX_CHECKPOINT, MAX_REVEAL, MAX_STH};
use countersign::source::tiled::Tiled;
use countersign::source::{
    self, Document, FetchError, Http, HttpOptions, LogSource as _, Peer, PeerLocation,
};
use http_body_util::Full;
use std::io::Write as _;
use std::time::Duration;
use support::cli::Auditor;
use support::lab::{Files, Lab};
use support::log::{TestKey, honest_log, rejected_leaves};
use support::served::Served;
use support::{Reply, TestServer};
use tls::TlsServer;

fn options() -> HttpOptions {
    HttpOptions {
        retries: 1,
        later_retries: 1,
        backoff_base: Duration::from_millis(1),
        missing_delay: Duration::from_millis(1),
        env_proxy: false,
        ..HttpOptions::default()
    }
}

fn log_at(url: &str) -> Tiled<Http> {
    Http::new(url, &options()).map(Tiled::new).map_err(|error| error.to_string()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Each third of the body apart.
fn parts(bytes: &[u8], encode: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    bytes.chunks(bytes.len().div_ceil(3).max(1)).flat_map(encode).collect()
}

/// A body in one of the ways in which honest servers send it: headers, and what is sent.
fn sent(way: usize, body: &[u8]) -> (&'static str, Vec<u8>) {
    let members = parts(body, gzip);
    match way % 9 {
        0 => ("Content-Encoding: gzip\r\n", members),
        1 => ("content-encoding: GZip\r\n", members),
        2 => ("Content-Encoding: x-gzip\r\n", members),
        3 => ("Content-Encoding: , gzip ,,\r\n", members),
        4 => ("Content-Encoding: gzip, identity\r\n", members),
        5 => ("Content-Encoding: zstd\r\n", parts(body, zstd)),
        6 => ("Content-Encoding: gzip, gzip\r\n", parts(&members, gzip)),
        7 => ("Content-Encoding: gzip\r\nContent-Encoding: ZSTD\r\n", parts(&members, zstd)),
        _ => ("Content-Encoding: identity\r\n", body.to_vec()),
    }
}

fn key() -> TestKey {
    TestKey::new(1)
}

/// A log each file of which is sent in another way.
fn in_many_ways(files: Files) -> TestServer {
    TestServer::start(move |request| match files.get(request.path.trim_start_matches('/')) {
        Some(body) => {
            let (headers, sent) = sent(request.path.bytes().map(usize::from).sum(), body);
            Reply::status("200 OK", headers, sent)
        }
        None => Reply::status("404 Not Found", "", ""),
    })
}

#[test]
fn a_tiled_log_is_clean_in_every_coding() {
    let files = honest_log(&key(), &rejected_leaves(600));
    for way in 0..9 {
        let coded = files.clone();
        let server =
            TestServer::start(move |request| match coded.get(request.path.trim_start_matches('/')) {
                Some(body) => {
                    let (headers, sent) = sent(way, body);
                    Reply::status("200 OK", headers, sent)
                }
                None => Reply::status("404 Not Found", "Content-Encoding: gzip\r\n", gzip(b"not here")),
            });
        let auditor = Auditor::new(&key().vkey());
        auditor.init(server.url()).expect(0, &[]);
        assert!(server.requests().iter().all(|asked| asked.header("accept-encoding") == Some("gzip, zstd")));
    }
    let auditor = Auditor::new(&key().vkey());
    let server = in_many_ways(files);
    auditor.init(server.url()).expect(0, &[]);
    auditor.audit(server.url(), &["--full"]).expect(0, &[]);
}

#[test]
fn a_json_api_is_clean_in_gzip_of_several_members() {
    for members in ["2", "1000"] {
        let log = Served::start(&["--entries", "600", "--disturb", &format!("gzip-members:{members}")]);
        for url in [log.api_url(), log.tiles_url()] {
            let auditor = Auditor::new(log.log_key());
            auditor.init(&url).expect(0, &[]);
            auditor.audit(&url, &["--full"]).expect(0, &[]);
        }
    }
}

#[test]
fn heads_of_peers_are_decoded() {
    let audited = || {
        let server = in_many_ways(honest_log(&key(), &rejected_leaves(300)));
        let auditor = Auditor::new(&key().vkey());
        auditor.init(server.url()).expect(0, &[]);
        auditor
    };
    let heads = audited().command(&["heads", "export", "--db", "{db}"]).stdout.into_bytes();
    assert!(heads.iter().filter(|byte| **byte == b'\n').count() >= 2, "a checkpoint and an STH");
    for way in 0..9 {
        let (headers, sent) = sent(way, &heads);
        let server = TestServer::start(move |_| Reply::status("200 OK", headers, &sent));
        let url = format!("{}heads", server.url());
        let document = Document::new(&url, &options()).map_err(|error| error.to_string()).unwrap();
        assert_eq!(document.fetch(heads.len()).as_ref(), Ok(&heads));
        for place in [
            PeerLocation::Heads(url.clone()),
            PeerLocation::Url(url.clone()),
            PeerLocation::Witness(url.clone()),
        ] {
            let peer =
                Peer::new("them", &place, "log.example", &options()).map_err(|error| error.to_string());
            assert_eq!(peer.unwrap().fetch(None).as_ref(), Ok(&heads), "{place:?}");
        }
        if way == 0 {
            let fresh = audited();
            let outcome = fresh.command(&["heads", "import", "--db", "{db}", "--format", "json", &url]);
            assert_eq!(outcome.exit, 0, "{outcome:?}");
        }
    }
}

#[test]
fn every_kind_of_file_is_decoded_over_http2() {
    let directory = tempfile::tempdir().unwrap();
    let body = |path: &str| format!("{path} ").repeat(200).into_bytes();
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        for way in 0..9 {
            let server = TlsServer::start(protocols, move |request| {
                let (headers, sent) = sent(way, &body(request.uri().path()));
                let mut response = hyper::Response::new(Full::new(sent.into()));
                for line in headers.trim_end().split("\r\n") {
                    let (_, value) = line.split_once(':').unwrap();
                    response.headers_mut().append("content-encoding", value.trim().parse().unwrap());
                }
                response
            });
            let authority = directory.path().join("authority.pem");
            server.write_authority(&authority);
            let options = HttpOptions { ca_file: Some(authority), ..options() };
            let log = Http::new(&server.url(), &options).map(Tiled::new).map_err(|e| e.to_string()).unwrap();
            assert_eq!(log.checkpoint().unwrap(), body("/checkpoint"));
            assert_eq!(log.sth().unwrap().unwrap(), body("/sth"));
            assert_eq!(log.bundle(1234, 256).unwrap(), body("/tile/entries/x001/234"));
            assert_eq!(log.tile(1, 7, 44).unwrap(), body("/tile/1/007.p/44"));
            assert_eq!(log.reveal("a-1").unwrap().unwrap(), body("/reveal/a-1"));
            let api = format!("api+{}", server.url());
            let api = source::open(&api, false, &options).map_err(|error| error.to_string()).unwrap();
            assert!(matches!(api.leaves(0, 256), Err(FetchError::Malformed { .. })), "whole, and no page");
        }
    }
}

/// A body of two members that is not what was sent.
fn damaged(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (first, second) = body.split_at(body.len() / 2);
    let whole = [gzip(first), gzip(second)].concat();
    let frames = [zstd(first), zstd(second)].concat();
    let mut wrong_crc = whole.clone();
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    let mut wrong_first_crc = whole.clone();
    let at = gzip(first).len() - 8;
    wrong_first_crc[at] ^= 1;
    let mut wrong_length = whole.clone();
    *wrong_length.last_mut().unwrap() ^= 1;
    vec![
        ("gzip", [&whole[..], b"garbage"].concat()),
        ("gzip", [&whole[..], &[0; 4]].concat()),
        ("gzip", whole[..whole.len() - 1].to_vec()),
        ("gzip", whole[..whole.len() - 9].to_vec()),
        ("gzip", whole[..gzip(first).len() + 5].to_vec()),
        ("gzip", wrong_crc),
        ("gzip", wrong_first_crc),
        ("gzip", wrong_length),
        ("gzip", Vec::new()),
        ("gzip", body.to_vec()),
        ("gzip, gzip", whole.clone()),
        ("gzip, gzip", gzip(&whole[..whole.len() - 3])),
        ("zstd", frames[..frames.len() - 1].to_vec()),
        ("zstd", [&frames[..], b"garbage"].concat()),
        ("zstd", whole),
    ]
}

#[test]
fn damaged_bodies_are_requested_again() {
    let body = b"log.example\n1\nAAAA\n".repeat(20);
    for (coding, sent) in damaged(&body) {
        let bad = Reply::status("200 OK", &format!("Content-Encoding: {coding}\r\n"), &sent);
        let server = TestServer::scripted([
            ("/checkpoint", vec![bad.clone(), Reply::ok(&body)]),
            ("/tile/0/000", vec![bad]),
        ]);
        let log = log_at(&server.url());
        assert_eq!(log.checkpoint().as_ref(), Ok(&body), "{coding} {sent:?}");
        let error = log.tile(0, 0, 256).unwrap_err();
        let FetchError::Unavailable { cause, .. } = &error else { panic!("{coding} {sent:?}: {error:?}") };
        assert!(cause.contains("asked 2 times") && cause.contains("Content-Encoding"), "{cause}");
    }
}

/// With the real program: what a cache damaged is neither a finding nor a pass.
#[test]
fn a_damaged_body_is_not_a_finding() {
    let files = honest_log(&key(), &rejected_leaves(300));
    let auditor = Auditor::new(&key().vkey());
    auditor.init(in_many_ways(files.clone()).url()).expect(0, &[]);
    for file in ["checkpoint", "sth", "tile/0/000", "tile/entries/000", "tile/entries/001.p/44"] {
        for (coding, broken) in damaged(&files[file]).into_iter().step_by(2) {
            let (files, odd) = (files.clone(), file);
            let server = TestServer::start(move |request| match request.path.trim_start_matches('/') {
                path if path == odd => {
                    Reply::status("200 OK", &format!("Content-Encoding: {coding}\r\n"), &broken)
                }
                path => files.get(path).map_or_else(|| Reply::status("404 Not Found", "", ""), Reply::ok),
            });
            let source =
                source::open(&server.url(), false, &options()).map_err(|error| error.to_string()).unwrap();
            let answer = Lab::of_key(&key().vkey()).workspace(0).audit(source.as_ref());
            assert!(
                answer.findings.is_empty() && !answer.incomplete.is_empty(),
                "{file} {coding}: {answer:?}"
            );
        }
    }
    let server =
        TestServer::start(move |_| Reply::status("200 OK", "Content-Encoding: gzip\r\n", "no gzip at all"));
    let outcome = auditor.audit(server.url(), &["--retry-for", "10ms"]);
    outcome.expect(3, &[]);
    assert!(outcome.stdout.contains("is not the gzip that its Content-Encoding says"), "{outcome:?}");
}

#[test]
fn bodies_are_bounded_before_and_after_decoding() {
    let zeros = vec![0; 32 << 20];
    let reply =
        |coding: &str, body: &[u8]| Reply::status("200 OK", &format!("Content-Encoding: {coding}\r\n"), body);
    // Of a file that is too long, the log is to answer for it; of a coding that is, the file is not known.
    let bombs = [
        reply("gzip", &parts(&zeros, gzip)),
        reply("zstd", &parts(&zeros, zstd)),
        reply("gzip, gzip", &gzip(&gzip(&zeros))),
        reply("gzip", &gzip(&[7; MAX_CHECKPOINT + 1])),
        reply("gzip", &[gzip(&[7; MAX_CHECKPOINT]), gzip(&[7])].concat()),
    ];
    for bomb in bombs {
        let server = TestServer::scripted([("/checkpoint", vec![bomb])]);
        let error = log_at(&server.url()).checkpoint().unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { limit: MAX_CHECKPOINT, .. }), "{error:?}");
        assert_eq!(server.paths().len(), 1, "not retried");
    }
    let endless = [
        reply("gzip", &gzip(b"").repeat(20_000)),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n").endless(gzip(b"").repeat(1000)),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 99999999999\r\n\r\n"),
        reply("gzip, gzip", &gzip(&gzip(b"").repeat(20_000))),
        reply("zstd, gzip", &gzip(&zeros[..1 << 20])),
    ];
    for (place, endless) in endless.into_iter().enumerate() {
        let server = TestServer::scripted([("/sth", vec![endless])]);
        let error = log_at(&server.url()).sth().unwrap_err();
        match place {
            4 => assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}"),
            _ => assert!(matches!(error, FetchError::Refused { .. }), "{place}: {error:?}"),
        }
    }
    // The limits themselves are fine, also where coding makes a body longer.
    let mut random = fastrand::Rng::with_seed(1);
    for (path, limit) in [("checkpoint", MAX_CHECKPOINT), ("sth", MAX_STH), ("reveal/a-1", MAX_REVEAL)] {
        let body: Vec<u8> = (0..limit).map(|_| random.u8(..)).collect();
        let members: Vec<u8> = body.chunks(250).flat_map(gzip).collect();
        assert!(members.len() > limit);
        let server = TestServer::scripted([(format!("/{path}").as_str(), vec![reply("gzip", &members)])]);
        let log = log_at(&server.url());
        let read = match path {
            "checkpoint" => log.checkpoint().map(Some),
            "sth" => log.sth(),
            _ => log.reveal("a-1"),
        };
        assert_eq!(read.unwrap().unwrap().len(), limit);
    }
}
