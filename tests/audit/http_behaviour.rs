//! How the client behaves towards a server that has done nothing wrong: how often it asks, over how
//! many connections, in which protocol, for how long, and what it trusts.

use support::tls;

use countersign::source::tiled::Tiled;
use countersign::source::{
    Document, FetchError, Http, HttpOptions, OpenError, RequestOutcome, SecretHeaders,
};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, Version};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{HANG, Reply, TestServer, until};
use tls::TlsServer;

const BOTH: [&str; 2] = ["h2", "http/1.1"];

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn options() -> HttpOptions {
    HttpOptions {
        backoff_base: ms(2),
        backoff_cap: ms(10),
        missing_delay: ms(5),
        connect_timeout: HANG,
        attempt_timeout: HANG,
        resource_timeout: HANG,
        env_proxy: false,
        ..HttpOptions::default()
    }
}

/// A tiled log at `url`, file by file.
fn open(url: &str, options: &HttpOptions) -> Result<Tiled<Http>, OpenError> {
    Http::new(url, options).map(Tiled::new)
}

fn log_at(url: &str, options: &HttpOptions) -> Tiled<Http> {
    open(url, options).map_err(|error| error.to_string()).unwrap()
}

fn wrong_usage(url: &str, options: &HttpOptions) -> String {
    open(url, options).err().map(|error: OpenError| error.to_string()).expect("was opened")
}

/// Full bundles `0..count`, eight threads at once.
fn fetch_all(log: &Tiled<Http>, count: usize) -> Vec<Result<Vec<u8>, FetchError>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, SeqCst);
                    if n >= count {
                        return;
                    }
                    let result = log.bundle(n as u64, 256);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn eight_threads_use_at_most_eight_connections() {
    let server = TestServer::start(|request| match request.path.ends_with('7') {
        true => Reply::status("404 Not Found", "", "nothing here"),
        false => Reply::ok(vec![7; 50_000]),
    });
    let log = log_at(&server.url(), &options());
    let results = fetch_all(&log, 200);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 180);
    assert!(server.connections() <= 8, "{} connections", server.connections());
    // Threads beyond those wait for a place.
    let narrow = HttpOptions { parallelism: 2, ..options() };
    let server = TestServer::start(|_| Reply::ok("x").after(ms(2)));
    assert!(fetch_all(&log_at(&server.url(), &narrow), 100).iter().all(Result::is_ok));
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

#[test]
fn a_discarded_answer_keeps_its_connection() {
    // The page arrives after its headers, as over a real network.
    let page = Reply::raw("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n").drip(b'x', ms(5), 3);
    let away =
        Reply::raw("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1\r\n\r\n").drip(b'x', ms(5), 1);
    let server = TestServer::scripted([
        ("/checkpoint", vec![page.keep_alive(), Reply::ok("head")]),
        ("/sth", vec![away.keep_alive()]),
        ("/x", vec![Reply::ok("head")]),
    ]);
    let log = log_at(&server.url(), &options());
    assert_eq!(log.checkpoint().unwrap(), b"head");
    assert_eq!(log.sth().unwrap().unwrap(), b"head");
    assert_eq!((server.paths().len(), server.connections()), (4, 1));
    // A page that never ends is not waited for.
    let endless = Reply::raw("HTTP/1.1 403 Forbidden\r\n\r\n").drip(b'x', ms(50), 10_000);
    let server = TestServer::scripted([("/checkpoint", vec![endless])]);
    let error = log_at(&server.url(), &options()).checkpoint().unwrap_err();
    assert!(matches!(error, FetchError::Refused { .. }), "{error:?}");
    assert!(server.sent() < 5000, "waited for {} bytes of it", server.sent());
}

/// The number of requests and the time that they took under a rate, at a server that also fails, redirects and answers 404.
fn asked_under(rate: f64, count: usize) -> (usize, Duration) {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let server = TestServer::start(move |request| match (seen.fetch_add(1, SeqCst) + 1) % 5 {
        1 => Reply::status("503 Service Unavailable", "", ""),
        2 if !request.path.contains('?') => {
            Reply::status("307 Again", &format!("Location: {}?again\r\n", request.path), "")
        }
        3 => Reply::status("404 Not Found", "", ""),
        _ => Reply::ok("x"),
    });
    let limited = HttpOptions { max_rps: Some(rate), retries: 20, missing_retries: 20, ..options() };
    let begun = Instant::now();
    let results = fetch_all(&log_at(&server.url(), &limited), count);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let asked = asked.load(SeqCst);
    assert!(asked > count, "nothing was asked again");
    (asked, begun.elapsed())
}

#[test]
fn the_request_rate_is_kept() {
    for (rate, count) in [(20.0, 24), (100.0, 100)] {
        // From before the first to after the last: what holds this machine up makes that longer. That they are evenly
        // spaced in between is the limiter's own test.
        let (asked, took) = asked_under(rate, count);
        let least = (asked - 1) as f64 / rate;
        assert!(took.as_secs_f64() >= least, "{asked} requests in {took:?} at {rate}/s");
    }
}

/// The server answers nobody else until the client has heard of the pause, and the pause does not end before the test
/// has seen that nothing more comes.
#[test]
fn a_pause_holds_for_all_threads() {
    let (asked, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (seen, go_on) = (Arc::clone(&asked), Arc::clone(&heard));
    let server = TestServer::start(move |_| match seen.fetch_add(1, SeqCst) + 1 {
        20 => Reply::status("429 Too Many RequestCounters", "Retry-After: 3600\r\n", ""),
        number => {
            until("told to go on", || number < 20 || go_on.load(SeqCst));
            Reply::ok("x")
        }
    });
    let patient = HttpOptions {
        retry_after_cap: HANG * 20,
        resource_timeout: HANG * 20,
        attempt_timeout: HANG * 20,
        ..options()
    };
    let (log, requests, stop) = (log_at(&server.url(), &patient), patient.requests, patient.stop);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch_all(&log, 2000));
        until("the pause was heard of", || requests.so_far(RequestOutcome::Busy) == 1);
        heard.store(true, SeqCst);
        until("nothing more is asked", || {
            let before = asked.load(SeqCst);
            std::thread::sleep(ms(300));
            asked.load(SeqCst) == before
        });
        stop.stop();
        assert_eq!(fetching.join().unwrap().len(), 2000);
        // And one of each other thread, which it had asked already.
        let asked = asked.load(SeqCst);
        assert!((20..=20 + 7).contains(&asked), "{asked} were asked");
    });
}

#[test]
fn after_a_pause_everything_is_fetched() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let server = TestServer::start(move |_| {
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        match seen.len() {
            20 => Reply::status("429 Too Many RequestCounters", "Retry-After: 1\r\n", ""),
            _ => Reply::ok("x"),
        }
    });
    let results = fetch_all(&log_at(&server.url(), &options()), 100);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let times = times.lock().unwrap().clone();
    assert!(times.len() >= 101 && times[times.len() - 1] >= times[19] + ms(1000));
}

#[test]
fn the_deadline_of_the_run_ends_everything() {
    let server = TestServer::start(|request| match request.path.ends_with("/checkpoint") {
        true => Reply::ok("head"),
        false => Reply::ok("late").after(HANG),
    });
    let limited = HttpOptions { deadline: Some(ms(3000)), max_rps: Some(50.0), ..options() };
    let begun = Instant::now();
    let log = log_at(&server.url(), &limited);
    assert_eq!(log.checkpoint().unwrap(), b"head");
    for result in fetch_all(&log, 40) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("the run's --deadline of 3s has passed; what was fetched is kept"), "{error}");
    }
    assert!(begun.elapsed() >= ms(3000), "{:?}", begun.elapsed());
    let asked = server.paths().len();
    assert!(matches!(log.checkpoint(), Err(FetchError::Unavailable { .. })), "also what would be served");
    assert_eq!(server.paths().len(), asked);
}

#[test]
fn a_gap_needs_a_second_look() {
    let server = TestServer::scripted([]);
    let hasty = HttpOptions { missing_delay: HANG * 2, resource_timeout: HANG, ..options() };
    let error = log_at(&server.url(), &hasty).checkpoint().unwrap_err();
    assert!(
        matches!(&error, FetchError::Unavailable { cause, .. } if cause.contains("look again")),
        "{error:?}"
    );
}

fn body(bytes: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(bytes.into()))
}

fn trusting(server: &TlsServer, directory: &std::path::Path) -> HttpOptions {
    let path = directory.join("authority.pem");
    server.write_authority(&path);
    HttpOptions { ca_file: Some(path), ..options() }
}

#[test]
fn http2_uses_one_connection() {
    let directory = tempfile::tempdir().unwrap();
    for (protocols, version, most) in [(&BOTH[..], Version::HTTP_2, 1), (&BOTH[1..], Version::HTTP_11, 8)] {
        let server = TlsServer::start(protocols, |request| body(request.uri().path().to_owned()));
        let log = log_at(&server.url(), &trusting(&server, directory.path()));
        assert_eq!(log.checkpoint().unwrap(), b"/checkpoint");
        assert!(fetch_all(&log, 200).iter().all(Result::is_ok));
        assert_eq!(server.versions(), [version]);
        let connections = server.seen.connections.load(SeqCst);
        assert!(connections <= most, "{connections} connections for {version:?}");
        assert_eq!(server.seen.requests.lock().unwrap().len(), 201);
    }
}

#[test]
fn only_known_authorities_are_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let server = TlsServer::start(&BOTH, |_| body("head"));
    let other = TlsServer::start(&BOTH, |_| body("head"));
    let patient = HttpOptions { retries: 0, ..options() };
    for wrong in [patient.clone(), HttpOptions { retries: 0, ..trusting(&other, directory.path()) }] {
        let error = log_at(&server.url(), &wrong).checkpoint().unwrap_err();
        let FetchError::Unavailable { cause, .. } = &error else { panic!("{error:?}") };
        assert!(cause.contains("certificate"), "{cause}");
    }
    let both = directory.path().join("both.pem");
    std::fs::write(&both, format!("two of them\n{}{}", other.authority, server.authority)).unwrap();
    let both = HttpOptions { ca_file: Some(both), ..options() };
    assert_eq!(log_at(&server.url(), &both).checkpoint().unwrap(), b"head");
    assert_eq!(log_at(&other.url(), &both).checkpoint().unwrap(), b"head");
}

#[test]
fn an_invalid_ca_file_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let with = HttpOptions { ca_file: Some(path.clone()), ..options() };
    let certificate =
        |base64: &str| format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    for (text, part) in [
        (String::new(), "no certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(), "no certificate"),
        (certificate("AAAA"), "certificate 1"),
        (certificate("?"), "not PEM"),
        ("x".repeat(5 << 20), "longer than 4 MiB"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = wrong_usage("https://log.example/", &with);
        assert!(error.contains(part) && error.contains("ca.pem"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(wrong_usage("https://log.example/", &with).contains("No such file"));
}

#[test]
fn zstd_is_decoded_and_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let bomb = zstd::encode_all(&vec![0; 64 << 20][..], 3).unwrap();
    let head = zstd::encode_all(&b"head"[..], 3).unwrap();
    assert!(bomb.len() < 64 * 1024);
    let server = TlsServer::start(&BOTH, move |request| {
        let accepted = request.headers()["accept-encoding"].to_str().unwrap();
        assert!(accepted.contains("zstd") && accepted.contains("gzip"), "{accepted}");
        let mut response = body(if request.uri().path() == "/sth" { bomb.clone() } else { head.clone() });
        response.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
        response
    });
    let log = log_at(&server.url(), &trusting(&server, directory.path()));
    assert_eq!(log.checkpoint().unwrap(), b"head");
    assert!(matches!(log.sth(), Err(FetchError::TooLarge { .. })));
}

/// Over one HTTP/2 connection, the bodies that wait must not hold up the one that is read.
#[test]
fn large_bodies_are_read_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = Bytes::from(vec![7; 12 << 20]);
    for protocols in [&BOTH[..], &BOTH[1..]] {
        let bytes = bytes.clone();
        let server = TlsServer::start(protocols, move |_| body(bytes.clone()));
        let log = log_at(&server.url(), &trusting(&server, directory.path()));
        let begun = Instant::now();
        let results = fetch_all(&log, 16);
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|body| body.len() == 12 << 20)));
        assert_eq!(server.seen.requests.lock().unwrap().len(), 16, "none was asked for twice");
        assert!(begun.elapsed() < HANG, "{:?}", begun.elapsed());
    }
}

#[test]
fn secrets_are_sent_to_the_log_only_and_never_in_plain_text() {
    let mut headers = SecretHeaders::default();
    headers.add_bearer("s3cret").unwrap();
    headers.add_lines("X-Key: s3cret").unwrap();
    let with = HttpOptions { headers, ..options() };
    assert!(!format!("{with:?}").contains("s3cret"));
    for url in ["http://log.example/x", "http://10.0.0.1/", "http://[::2]/"] {
        let error = wrong_usage(url, &with);
        assert!(error.contains("https://") && error.contains(url), "{error}");
        assert!(Document::new(url, &with).is_err());
    }
    let error = wrong_usage("https://u:s3cret@log.example/", &with);
    assert!(error.contains("give one of them") && !error.contains("s3cret"), "{error}");

    let elsewhere = TestServer::scripted([("/checkpoint", vec![Reply::ok("head")])]);
    let away = format!("Location: {}checkpoint\r\n", elsewhere.url());
    let server = TestServer::scripted([
        ("/checkpoint", vec![Reply::status("302 Found", "Location: /here\r\n", "")]),
        ("/here", vec![Reply::ok("head")]),
        ("/sth", vec![Reply::status("302 Found", &away, "")]),
    ]);
    let log = log_at(&server.url(), &with);
    assert_eq!(log.checkpoint().unwrap(), b"head");
    assert!(matches!(log.sth(), Err(FetchError::Refused { .. })));
    for request in server.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
        assert_eq!(request.header("x-key"), Some("s3cret"));
    }
    assert!(elsewhere.requests().is_empty());
}
