//! A log over HTTP from servers that are slow, broken or hostile: what is said of each, and that
//! time and bytes stay bounded (specification section 4).

use countersign::core::limits::{MAX_CHECKPOINT, MAX_TILE};
use countersign::source::tiled::Tiled;
use countersign::source::{
    FetchError, Http, HttpOptions, LogSource as _, OpenError, RequestCounters, RequestOutcome,
};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};
use support::{HANG, Reply, TestServer, serve_dir};

const HEAD: &[u8] = b"log.example\n1\nAAAA\n";

/// Patience in milliseconds; the proportions are those of the defaults.
fn options() -> HttpOptions {
    HttpOptions {
        connect_timeout: HANG,
        attempt_timeout: HANG,
        resource_timeout: HANG,
        retries: 2,
        later_retries: 2,
        backoff_base: Duration::from_millis(2),
        backoff_cap: Duration::from_millis(10),
        missing_delay: Duration::from_millis(5),
        env_proxy: false,
        ..HttpOptions::default()
    }
}

/// A tiled log at `url`, file by file.
fn open(url: &str, options: &HttpOptions) -> Result<Tiled<Http>, OpenError> {
    Http::new(url, options).map(Tiled::new)
}

fn log_at(url: &str) -> Tiled<Http> {
    open(url, &options()).map_err(|error| error.to_string()).unwrap()
}

fn checkpoint_of(replies: Vec<Reply>) -> (Result<Vec<u8>, FetchError>, TestServer) {
    checkpoint_with(&options(), replies)
}

fn checkpoint_with(options: &HttpOptions, replies: Vec<Reply>) -> (Result<Vec<u8>, FetchError>, TestServer) {
    let server = TestServer::scripted([("/checkpoint", replies)]);
    let log = open(&server.url(), options).map_err(|error| error.to_string()).unwrap();
    (log.checkpoint(), server)
}

/// For servers that never answer in time, and are not waited for.
fn short_timeouts() -> HttpOptions {
    HttpOptions { attempt_timeout: Duration::from_millis(600), ..options() }
}

#[track_caller]
fn assert_unavailable(result: Result<Vec<u8>, FetchError>, part: &str) {
    match result {
        Err(FetchError::Unavailable { cause, .. }) if cause.contains(part) => {}
        other => panic!("not unavailable because of {part:?}: {other:?}"),
    }
}

#[track_caller]
fn assert_refused(result: Result<Vec<u8>, FetchError>, part: &str) {
    match result {
        Err(FetchError::Refused { cause, .. }) if cause.contains(part) => {}
        other => panic!("not refused because of {part:?}: {other:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: &[u8]) -> Reply {
    Reply::status("200 OK", "Content-Encoding: gzip\r\n", body)
}

#[test]
fn a_directory_is_read_over_one_connection() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("log/tile/entries/000.p")).unwrap();
    std::fs::write(dir.path().join("log/checkpoint"), HEAD).unwrap();
    std::fs::write(dir.path().join("log/tile/entries/000.p/2"), b"\0\x01a\0\x01b").unwrap();
    let server = serve_dir(dir.path());
    for prefix in ["log", "log/"] {
        let log = log_at(&format!("{}{prefix}", server.url()));
        assert_eq!(log.checkpoint().unwrap(), HEAD);
        assert_eq!(log.bundle(0, 2).unwrap(), b"\0\x01a\0\x01b");
        assert_eq!(log.checkpoint().unwrap(), HEAD);
        assert_eq!(log.location(), format!("{}log/", server.url()));
    }
    assert_eq!(server.connections(), 2, "one for each source");
    assert!(matches!(
        log_at(&format!("{}../x", server.url())).checkpoint(),
        Err(FetchError::NotFound { .. })
    ));
}

#[test]
fn the_user_agent_is_sent() {
    let server = TestServer::scripted([("/checkpoint", vec![Reply::ok(HEAD)])]);
    let contact = Some("https://auditor.example".to_owned());
    let url = server.url().replace("http://", "http://us%65r:p%40ss@");
    let log = open(&url, &HttpOptions { contact, ..options() }).map_err(|e| e.to_string()).unwrap();
    log.checkpoint().unwrap();
    let request = server.requests().remove(0);
    let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"), " (+https://auditor.example)");
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwQHNz"), "user:p@ss");
    assert_eq!(request.header("cookie"), None);
    let error = log.bundle(0, 1).unwrap_err().to_string();
    assert!(!error.contains("ss@") && !log.location().contains("ss@"), "{error}");
}

#[test]
fn transient_faults_are_retried() {
    let faults = [
        Reply::status("503 Service Unavailable", "", ""),
        Reply::status("500 Internal Server Error", "Content-Type: text/html\r\n", "<p>sorry"),
        Reply::status("429 Too Many RequestCounters", "Retry-After: 0\r\n", ""),
        Reply::status("404 Not Found", "", ""),
        Reply::status("410 Gone", "", ""),
        Reply::raw(""),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nlog"),
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nlog\r\n"),
        Reply::raw("not HTTP at all\r\n\r\n"),
        gzipped(&gzip(HEAD)[..15]),
    ];
    for fault in faults {
        let (result, server) = checkpoint_of(vec![fault.clone(), Reply::ok(HEAD)]);
        assert_eq!(result.as_deref(), Ok(HEAD), "{fault:?}");
        assert_eq!(server.paths().len(), 2);
    }
    // The answer that comes may itself be late where much else is done.
    let late = Reply::ok(HEAD).after(HANG);
    let patient = HttpOptions { retries: 1000, ..short_timeouts() };
    let (result, server) = checkpoint_with(&patient, vec![late, Reply::ok(HEAD)]);
    assert_eq!(result.as_deref(), Ok(HEAD));
    assert!(server.paths().len() >= 2);
}

#[test]
fn persistent_faults_are_unavailable() {
    for (fault, part) in [
        (Reply::status("503 Service Unavailable", "", ""), "HTTP 503 Service Unavailable (asked 3 times)"),
        (Reply::status("429 Too Many RequestCounters", "Retry-After: soon\r\n", ""), "HTTP 429"),
        (Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nlog"), "broke off"),
        (gzipped(&gzip(HEAD)[..15]), "broke off"),
        (gzipped(b"no gzip"), "broke off"),
    ] {
        let (result, server) = checkpoint_of(vec![fault]);
        assert_unavailable(result, part);
        assert_eq!(server.paths().len(), 3);
    }
}

#[test]
fn no_server_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = log_at(&url).sth().unwrap_err();
    assert!(matches!(&error, FetchError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("{url}sth: could not be fetched: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn slow_servers_time_out() {
    const WITHOUT_END: usize = 10_000;
    let silent = Reply::raw("").after(HANG);
    let slow_head = Reply::raw("HTTP/1.1 200 OK\r\nX: ").drip(b'x', Duration::from_millis(50), WITHOUT_END);
    let slow_body = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n").drip(
        b'x',
        Duration::from_millis(50),
        WITHOUT_END,
    );
    let slow_chunks = Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;").drip(
        b'x',
        Duration::from_millis(50),
        WITHOUT_END,
    );
    std::thread::scope(|scope| {
        for fault in [silent, slow_head, slow_body, slow_chunks] {
            scope.spawn(move || {
                let (result, _server) = checkpoint_with(&short_timeouts(), vec![fault]);
                assert_unavailable(result, "no full answer within 600ms (asked 3 times)");
            });
        }
    });
}

#[test]
fn the_deadline_of_a_resource_covers_all_attempts() {
    let server = TestServer::scripted([("/checkpoint", vec![Reply::raw("").after(HANG)])]);
    let impatient =
        HttpOptions { retries: 1000, resource_timeout: Duration::from_secs(1), ..short_timeouts() };
    let log = open(&server.url(), &impatient).map_err(|e| e.to_string()).unwrap();
    assert_unavailable(log.checkpoint(), "no full answer");
    // One attempt of 600 ms, one with what is left, and perhaps one that had next to nothing left.
    assert!(server.paths().len() <= 3, "asked {} times in a second", server.paths().len());
}

#[test]
fn retry_after_is_honoured_up_to_its_cap() {
    let answered_after = |value: &str| {
        let headers = format!("Retry-After: {value}\r\n");
        let limited = Reply::status("429 Too Many Requests", &headers, "");
        let begun = Instant::now();
        assert_eq!(checkpoint_of(vec![limited, Reply::ok(HEAD)]).0.as_deref(), Ok(HEAD));
        let elapsed = begun.elapsed();
        assert!(elapsed < HANG, "{value}: {elapsed:?}");
        elapsed
    };
    answered_after("0");
    let elapsed = answered_after("1");
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    // A date has whole seconds: what is not reached before it, on a machine however slow, was waited for.
    let date = SystemTime::now() + Duration::from_secs(3);
    let whole = SystemTime::UNIX_EPOCH
        + Duration::from_secs(date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    answered_after(&httpdate::fmt_http_date(whole));
    assert!(SystemTime::now() >= whole);
    let tomorrow = Reply::status("503 Service Unavailable", "Retry-After: 86400\r\n", "");
    let server = TestServer::scripted([("/checkpoint", vec![tomorrow, Reply::ok(HEAD)])]);
    let capped = HttpOptions { retry_after_cap: Duration::from_millis(100), ..options() };
    let begun = Instant::now();
    open(&server.url(), &capped).map_err(|e| e.to_string()).unwrap().checkpoint().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100) && begun.elapsed() < HANG);
}

#[test]
fn requests_are_counted_by_outcome() {
    let there = Reply::ok(HEAD);
    let status = |line: &str| Reply::status(line, "", "");
    for (replies, expected) in [
        (vec![there.clone()], vec![(RequestOutcome::Ok, 1)]),
        (
            vec![status("404 Not Found"), there.clone()],
            vec![(RequestOutcome::NotThere, 1), (RequestOutcome::Ok, 1)],
        ),
        (
            vec![status("429 Too Many RequestCounters"), there.clone()],
            vec![(RequestOutcome::Busy, 1), (RequestOutcome::Ok, 1)],
        ),
        (
            vec![status("500 No"), status("408 Late"), there.clone()],
            vec![(RequestOutcome::ServerError, 2), (RequestOutcome::Ok, 1)],
        ),
        (vec![status("403 Forbidden")], vec![(RequestOutcome::Refused, 1)]),
        (vec![Reply::ok(vec![b'x'; MAX_CHECKPOINT + 1])], vec![(RequestOutcome::TooLarge, 1)]),
        (vec![Reply::raw(""), there.clone()], vec![(RequestOutcome::Failed, 1), (RequestOutcome::Ok, 1)]),
        (
            // What never comes is late however late all else is.
            vec![Reply::raw("").after(HANG)],
            vec![(RequestOutcome::Late, 3)],
        ),
    ] {
        let requests = RequestCounters::default();
        let is_late = expected.iter().any(|(outcome, _)| *outcome == RequestOutcome::Late);
        let server = TestServer::scripted([("/checkpoint", replies)]);
        let limits = if is_late { short_timeouts() } else { options() };
        let counting = HttpOptions { requests: requests.clone(), ..limits };
        let _ = open(&server.url(), &counting).map_err(|e| e.to_string()).unwrap().checkpoint();
        let counted = RequestOutcome::ALL.map(|outcome| (outcome, requests.so_far(outcome)));
        let counted: Vec<(RequestOutcome, u64)> =
            counted.into_iter().filter(|(_, count)| *count > 0).collect();
        let mut expected = expected;
        expected.sort_by_key(|(outcome, _)| RequestOutcome::ALL.iter().position(|one| one == outcome));
        assert_eq!(counted, expected);
    }
}

#[test]
fn bodies_past_the_limit_are_not_read() {
    let endless = |head: &str| Reply::raw(head).endless([b'x'; 64 * 1024]);
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 128 * 1024);
    for fault in [
        Reply::ok(vec![b'x'; MAX_CHECKPOINT + 1]),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"),
        endless("HTTP/1.1 200 OK\r\n\r\n"),
        endless("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").endless(chunk),
        gzipped(&bomb),
    ] {
        let (result, server) = checkpoint_of(vec![fault]);
        assert!(matches!(result, Err(FetchError::TooLarge { limit: MAX_CHECKPOINT, .. })), "{result:?}");
        assert_eq!(server.paths().len(), 1, "not retried");
        std::thread::sleep(Duration::from_millis(50));
        assert!(server.sent() < 16 << 20, "{} bytes accepted; socket buffers hold some", server.sent());
    }
    let whole = vec![b'x'; MAX_CHECKPOINT];
    assert_eq!(checkpoint_of(vec![Reply::ok(&whole)]).0.as_ref(), Ok(&whole), "the limit itself is fine");
    assert_eq!(checkpoint_of(vec![gzipped(&gzip(&whole))]).0.as_ref(), Ok(&whole));
}

#[test]
fn endless_headers_are_cut_off() {
    let (result, server) =
        checkpoint_of(vec![Reply::raw("HTTP/1.1 200 OK\r\n").endless("X: yyyyyyyyyyyyyyyy\r\n")]);
    assert!(matches!(result, Err(FetchError::Unavailable { .. })), "{result:?}");
    assert!(server.sent() < 32 << 20);
}

#[test]
fn other_answers_are_refused_at_once() {
    let page = |kind: &str| Reply::status("200 OK", &format!("Content-Type: {kind}\r\n"), "<!doctype html>");
    for (answer, part) in [
        (Reply::status("401 Unauthorized", "", ""), "HTTP 401"),
        (Reply::status("403 Forbidden", "", ""), "HTTP 403"),
        (Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"), "HTTP 204"),
        (Reply::raw("HTTP/1.1 304 Not Modified\r\n\r\n"), "HTTP 304"),
        (Reply::status("206 Partial Content", "", "log"), "HTTP 206"),
        (page("text/html; charset=utf-8"), "HTML"),
        (page("Application/XHTML+xml"), "HTML"),
        (Reply::status("200 OK", "Content-Encoding: br\r\n", "\x0b"), "encoding"),
        (Reply::status("302 Found", "", ""), "without a valid Location"),
        (
            Reply::status("301 Moved", "Location: https://other.example/\u{202e}?token=s\r\n", ""),
            "https://other.example/%E2%80%AE, ",
        ),
        (Reply::status("301 Moved", "Location: //other.example:80/x\r\n", ""), "another origin"),
        (Reply::status("301 Moved", "Location: https://127.0.0.1/checkpoint\r\n", ""), "another origin"),
        (Reply::status("302 Found", "Location: file:///etc/passwd\r\n", ""), "another origin"),
        (Reply::status("307 Again", "Location: /checkpoint\r\n", ""), "more than 3 redirects"),
    ] {
        let (result, server) = checkpoint_of(vec![answer]);
        assert_refused(result, part);
        assert!(server.paths().len() <= 4, "not retried: {:?}", server.paths());
    }
}

/// Whether that means a missing resource depends on the answers to other requests.
#[test]
fn a_request_answered_with_400_is_rejected_at_once() {
    for status in ["400 Bad Request", "416 Range Not Satisfiable", "422 Unprocessable Content"] {
        let (result, server) = checkpoint_of(vec![Reply::status(status, "", "")]);
        assert!(
            matches!(&result, Err(FetchError::Rejected { cause, .. }) if cause.contains(&status[..3])),
            "{result:?}"
        );
        assert_eq!(server.paths().len(), 1, "not retried");
    }
}

#[test]
fn redirects_within_the_origin_are_followed() {
    let to = |path: &str| vec![Reply::status("308 Moved", &format!("Location: {path}\r\n"), "")];
    let server = TestServer::scripted([
        ("/checkpoint", to("/a")),
        ("/a", to("b")),
        ("/b", to("./c?v=1")),
        ("/c?v=1", vec![Reply::ok(HEAD)]),
    ]);
    assert_eq!(log_at(&server.url()).checkpoint().unwrap(), HEAD);
    assert_eq!(server.paths(), ["/checkpoint", "/a", "/b", "/c?v=1"]);
}

#[test]
fn missing_files_are_requested_again_except_the_sth() {
    let server = TestServer::scripted([]);
    let log = log_at(&server.url());
    assert_eq!(log.sth(), Ok(None));
    assert_eq!(server.paths(), ["/sth"]);
    let error = log.bundle(1_234, 44).unwrap_err();
    assert_eq!(error, FetchError::NotFound { what: format!("{}tile/entries/x001/234.p/44", server.url()) });
    let pair = ["/tile/entries/x001/234.p/44", "/tile/entries/x001/234"];
    assert_eq!(server.paths()[1..], [pair, pair, pair].concat());
    assert!(matches!(log.tile(0, 0, 256), Err(FetchError::NotFound { .. })));
    assert!(matches!(log.checkpoint(), Err(FetchError::NotFound { .. })));
}

#[test]
fn a_missing_partial_tile_is_cut_from_the_full_one() {
    for instead in [
        Reply::status("404 Not Found", "", ""),
        Reply::status("403 Forbidden", "", ""),
        Reply::status("200 OK", "Content-Type: text/html\r\n", "<p>our log"),
    ] {
        let server = TestServer::scripted([
            ("/tile/0/000.p/3", vec![instead.clone()]),
            ("/tile/0/000", vec![Reply::ok([7; MAX_TILE])]),
            ("/tile/0/001.p/3", vec![instead.clone()]),
        ]);
        let log = log_at(&server.url());
        assert_eq!(log.tile(0, 0, 3).unwrap(), [7; 96]);
        assert_eq!(server.paths().len(), 2);
        let absent = matches!(log.tile(0, 1, 3), Err(FetchError::NotFound { .. }));
        assert_eq!(absent, format!("{instead:?}") == format!("{:?}", Reply::status("404 Not Found", "", "")));
    }
}

#[test]
fn many_threads_share_one_source() {
    let server = TestServer::start(|request| Reply::ok(&request.path));
    let log = log_at(&server.url());
    std::thread::scope(|scope| {
        for n in 0..8u64 {
            let log = &log;
            scope.spawn(move || {
                for i in 0..20 {
                    let bytes = log.bundle(n * 20 + i, 256).unwrap();
                    assert_eq!(bytes, format!("/tile/entries/{:03}", n * 20 + i).as_bytes());
                }
            });
        }
    });
    assert!(server.connections() <= 16, "{} connections", server.connections());
}
