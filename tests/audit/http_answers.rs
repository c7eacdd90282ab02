//! Answers over HTTP that are none, through the real program: what each is taken for, what is said of it, and how
//! often is asked again.

use support::tls;

use countersign::source::tiled::Tiled;
use countersign::source::{FetchError, Http, HttpOptions, LogSource as _};
use http_body_util::Full;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use support::cli::{Auditor, Outcome};
use support::lab::Files;
use support::log::{TestKey, honest_log, rejected_leaves};
use support::{Reply, Request, TestServer};
use tls::{Shown, TlsServer};

fn key() -> TestKey {
    TestKey::new(1)
}

fn files() -> Files {
    honest_log(&key(), &rejected_leaves(300))
}

/// Serves a log, but answers as `odd` does where that is something.
fn server(odd: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> TestServer {
    let files = files();
    TestServer::start(move |request| {
        let honest = || match files.get(request.path.trim_start_matches('/')) {
            Some(body) => Reply::ok(body),
            None => Reply::status("404 Not Found", "", ""),
        };
        odd(request).unwrap_or_else(honest)
    })
}

fn options() -> HttpOptions {
    HttpOptions { env_proxy: false, ..HttpOptions::default() }
}

fn log_at(url: &str, options: &HttpOptions) -> Tiled<Http> {
    Http::new(url, options).map(Tiled::new).map_err(|error| error.to_string()).unwrap()
}

#[track_caller]
fn assert_causes(outcome: &Outcome, words: &[&str], not: &[&str]) {
    assert_eq!((outcome.exit, outcome.codes()), (3, Vec::new()), "{outcome:#?}");
    let causes = outcome.report()["incomplete"].to_string();
    for word in words {
        assert!(causes.contains(word), "{word:?} is not said in: {causes}");
    }
    for word in not {
        assert!(!causes.contains(word), "{word:?} is said in: {causes}");
    }
}

/// As an S3 bucket answers whose objects are public and whose list is not.
#[test]
fn a_bucket_may_answer_403_for_a_missing_file() {
    let mut files = files();
    files.remove("sth");
    let bucket = move |request: &Request| match files.get(request.path.trim_start_matches('/')) {
        Some(body) => Some(Reply::ok(body)),
        None => Some(Reply::status("403 Forbidden", "Content-Type: application/xml\r\n", "<Error/>")),
    };
    let server = server(bucket);
    let auditor = Auditor::new(&key().vkey());
    for options in [&["--init"][..], &[], &["--full"]] {
        auditor.audit(server.url(), options).expect(0, &[]);
    }
    let log = log_at(&server.url(), &options());
    assert_eq!((log.sth(), log.reveal("a-1")), (Ok(None), Ok(None)));
    // For a required file, 403 means that we may not read it, not that it is missing.
    assert!(matches!(log.bundle(7, 256), Err(FetchError::Refused { .. })));
}

#[test]
fn a_403_for_a_required_file_is_not_a_gap() {
    for path in ["/checkpoint", "/tile/0/000", "/tile/1/000.p/1", "/tile/entries/000"] {
        let server =
            server(move |request| (request.path == path).then(|| Reply::status("403 Forbidden", "", "")));
        let auditor = Auditor::new(&key().vkey());
        assert_causes(&auditor.init(server.url()), &["HTTP 403 Forbidden"], &["not there"]);
    }
    // Nor is an optional file missing for another status.
    for status in ["401 Unauthorized", "400 Bad Request", "451 Unavailable For Legal Reasons"] {
        let server = server(move |request| (request.path == "/sth").then(|| Reply::status(status, "", "")));
        let auditor = Auditor::new(&key().vkey());
        assert_causes(&auditor.init(server.url()), &[status], &[]);
    }
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let far = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(400 * 24 * 3600));
    for (status, asked) in [
        ("429 Too Many Requests", "9999999999"),
        ("503 Service Unavailable", &far),
        ("500 Internal Server Error", "9999999999"),
    ] {
        let headers = format!("Retry-After: {asked}\r\n");
        let server = server(move |_| Some(Reply::status(status, &headers, "")));
        let auditor = Auditor::new(&key().vkey());
        // An inherited wait would be reported as a passed deadline.
        let outcome = auditor.audit(server.url(), &["--init", "--retry-for", "4s", "--deadline", "1m"]);
        let reason = if asked.len() == 10 {
            "9999999999 seconds"
        } else {
            "seconds (Retry-After), which is longer than"
        };
        assert_causes(&outcome, &[reason, "Retry-After", "not retried", status], &["deadline of"]);
        assert_eq!(server.paths(), ["/checkpoint", "/sth"]);
    }
}

#[test]
fn an_abandoned_wait_does_not_delay_the_next_request() {
    let limits = [
        HttpOptions {
            resource_timeout: Duration::from_secs(4),
            deadline: Some(Duration::from_secs(60)),
            ..options()
        },
        HttpOptions { deadline: Some(Duration::from_secs(60)), ..options() },
    ];
    for limit in limits {
        let server = server(|request| {
            (request.path == "/checkpoint")
                .then(|| Reply::status("429 Too Many Requests", "Retry-After: 7200\r\n", ""))
        });
        let log = log_at(&server.url(), &limit);
        let error = log.checkpoint().unwrap_err();
        assert!(
            matches!(&error, FetchError::Unavailable { cause, .. } if cause.contains("7200")),
            "{error:?}"
        );
        // Two minutes, which is what is granted at most, are longer than the deadline leaves.
        assert!(log.sth().unwrap().is_some());
        assert!(log.bundle(0, 256).is_ok());
        assert_eq!(server.paths(), ["/checkpoint", "/sth", "/tile/entries/000"]);
    }
}

#[test]
fn a_wait_within_the_deadline_is_kept() {
    let asked = std::sync::atomic::AtomicU64::new(0);
    let server = server(move |request| {
        (request.path == "/checkpoint" && asked.fetch_add(1, SeqCst) == 0)
            .then(|| Reply::status("429 Too Many Requests", "Retry-After: 1\r\n", ""))
    });
    let auditor = Auditor::new(&key().vkey());
    auditor.audit(server.url(), &["--init", "--retry-for", "1m"]).expect(0, &[]);
}

#[test]
fn a_file_labelled_as_a_page_is_reported() {
    let files = files();
    for kind in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"] {
        let labelled = files.clone();
        let server = server(move |request| {
            let body = labelled.get(request.path.trim_start_matches('/'))?;
            Some(Reply::status("200 OK", &format!("Content-Type: {kind}\r\n"), body))
        });
        let auditor = Auditor::new(&key().vkey());
        let words = [&format!("Content-Type: {kind}"), "application/octet-stream", "not a web page"];
        assert_causes(&auditor.init(server.url()), &words, &["an HTML page was served", "check --log"]);
    }
    let page = server(|_| {
        Some(Reply::status("200 OK", "Content-Type: text/html\r\n", "\n<!doctype html><p>Please log in"))
    });
    let auditor = Auditor::new(&key().vkey());
    assert_causes(&auditor.init(page.url()), &["an HTML page was served in its place"], &["octet-stream"]);
}

#[test]
fn an_unrequested_coding_is_named() {
    for (headers, words) in [
        ("Content-Encoding: br\r\n", ["Content-Encoding: br", "gzip, zstd"]),
        ("Content-Encoding: gzip, compress\r\n", ["Content-Encoding: compress", "gzip, zstd"]),
        ("Content-Encoding: deflate\r\n", ["Content-Encoding: deflate", "gzip, zstd"]),
        ("Content-Encoding: gzip,gzip,gzip,gzip,gzip\r\n", ["codings on top", "Content-Encoding"]),
    ] {
        let server = server(move |_| Some(Reply::status("200 OK", headers, "\x0b\x01")));
        let auditor = Auditor::new(&key().vkey());
        assert_causes(&auditor.init(server.url()), &words, &[]);
        assert_eq!(server.paths(), ["/checkpoint", "/sth"], "not retried");
    }
    let coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    let server = server(move |_| Some(Reply::raw(coded)));
    let auditor = Auditor::new(&key().vkey());
    assert_causes(&auditor.init(server.url()), &["Transfer-Encoding: gzip, which was not asked for"], &[]);
}

#[test]
fn an_untrusted_certificate_is_not_retried() {
    for (shown, trusted, words, not) in [
        (
            Shown::Signed,
            false,
            &["UnknownIssuer", "give its certificate with --ca-file"][..],
            &["CA:TRUE"][..],
        ),
        (Shown::Authority, false, &["CA:TRUE", "CA:FALSE"], &[]),
        (Shown::Authority, true, &["CaUsedAsEndEntity", "CA:TRUE", "CA:FALSE"], &["for a private authority"]),
        (Shown::Expired, true, &["expired", "clock", "renew"], &["--ca-file"]),
        (Shown::OtherName, true, &["log.example", "name that the certificate is for"], &["--ca-file"]),
    ] {
        let files = files();
        let server = TlsServer::showing(shown, &["h2", "http/1.1"], move |request| {
            let file = files.get(request.uri().path().trim_start_matches('/')).cloned();
            hyper::Response::new(Full::new(file.unwrap_or_default().into()))
        });
        let auditor = Auditor::new(&key().vkey());
        let authority = auditor.directory().join("authority.pem");
        server.write_authority(&authority);
        let ca_file = ["--init", "--ca-file", authority.to_str().unwrap()];
        let outcome = auditor.audit(server.url(), if trusted { &ca_file } else { &ca_file[..1] });
        assert_causes(
            &outcome,
            &[words, &["certificate"]].concat(),
            &[not, &["asked", "when the log can be"]].concat(),
        );
        assert_eq!(server.seen.tries.load(SeqCst), 2, "checkpoint and sth, once each: {shown:?}");
    }
    // An authority is given, but another one signed: the message does not ask for an authority.
    let server = TlsServer::start(&["http/1.1"], |_| hyper::Response::new(Full::new("x".into())));
    let other = TlsServer::start(&["http/1.1"], |_| hyper::Response::new(Full::new("x".into())));
    let auditor = Auditor::new(&key().vkey());
    let authority = auditor.directory().join("authority.pem");
    other.write_authority(&authority);
    let outcome = auditor.audit(server.url(), &["--init", "--ca-file", authority.to_str().unwrap()]);
    assert_causes(
        &outcome,
        &["by an authority of this machine or one in --ca-file"],
        &["for a private authority"],
    );
}
