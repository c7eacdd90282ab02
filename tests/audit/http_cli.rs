//! The options of HTTP through the real program: secrets that show nowhere, proxies, deadlines,
//! heads imported from a URL, and what is wrong usage.

use support::tls;

use http_body_util::Full;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::cli::{Auditor, Outcome, program, run};
use support::lab::Files;
use support::log::{TestKey, honest_log, leaf, rejected, rejected_leaves};
use support::{HANG, Reply, Request, TestServer, serve_dir};
use tls::TlsServer;

const BEARER: &str = "Tk-s3cret-bearer";
const HEADER: &str = "Hd-s3cret-header";

fn key() -> TestKey {
    TestKey::new(1)
}

fn answer(files: &Files, request: &Request) -> Reply {
    match files.get(request.path.trim_start_matches('/')) {
        Some(bytes) => Reply::ok(bytes),
        None => Reply::status("404 Not Found", "", ""),
    }
}

/// Serves a log of so many entries, those from `other` on of another history.
fn log_server(count: usize, other: usize, allowed: fn(&Request) -> bool) -> TestServer {
    let mut leaves = rejected_leaves(count);
    for (n, place) in leaves.iter_mut().enumerate().skip(other) {
        *place = leaf(&rejected(&format!("other-{n}")));
    }
    let files = honest_log(&key(), &leaves);
    TestServer::start(move |request| match allowed(request) {
        true => answer(&files, request),
        false => Reply::status("401 Unauthorized", "", ""),
    })
}

fn with_secrets(request: &Request) -> bool {
    request.header("authorization") == Some(&format!("Bearer {BEARER}"))
        && request.header("x-api-key") == Some(HEADER)
}

fn write(auditor: &Auditor, name: &str, text: &str) -> String {
    let folder = auditor.directory().join("given");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every file of the auditor but those that the test gave it.
fn kept(auditor: &Auditor) -> Vec<PathBuf> {
    let entries = fs::read_dir(auditor.directory()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

#[track_caller]
fn assert_no_secret(auditor: &Auditor, outcome: &Outcome) {
    let mut texts = vec![outcome.stdout.clone().into_bytes(), outcome.stderr.clone().into_bytes()];
    texts.extend(kept(auditor).iter().map(|path| fs::read(path).unwrap()));
    for text in texts {
        for secret in [BEARER, HEADER, "s3cret"] {
            let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} in {}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn secrets_authenticate_and_are_never_shown() {
    let auditor = Auditor::new(&key().vkey());
    let bearer = write(&auditor, "bearer", &format!("{BEARER}\n"));
    let header = write(&auditor, "headers", &format!("X-Api-Key: {HEADER}\nX-Other: {HEADER}\n"));
    let options = ["-v", "--bearer-file", &bearer, "--header-file", &header];

    let server = log_server(300, 300, with_secrets);
    let outcome = auditor.audit(server.url(), &[&options[..], &["--init"]].concat());
    outcome.expect(0, &[]);
    assert_no_secret(&auditor, &outcome);

    // A fork, for evidence; the secrets this time from the environment.
    let forked = log_server(300, 100, with_secrets);
    let mut command =
        auditor.audit_command(forked.url(), &["-v", "--bearer-env", "BEARER", "--header-env", "HEADER"]);
    command.env("BEARER", BEARER).env("HEADER", format!("x-api-key: {HEADER}"));
    let outcome = run(command);
    assert_eq!(outcome.exit, 4, "{outcome:?}");
    assert!(kept(&auditor).iter().any(|path| path.to_string_lossy().contains("misbehaviour-")));
    assert_no_secret(&auditor, &outcome);

    // Without them, with a wrong one, and from a server that is not there.
    assert_eq!(auditor.audit(server.url(), &[]).exit, 4, "what was found stays found");
    let wrong = write(&auditor, "wrong", "another-s3cret");
    assert_no_secret(&auditor, &auditor.audit(server.url(), &["-v", "--bearer-file", &wrong]));
    let gone = ["--bearer-file", bearer.as_str(), "--retry-for", "10ms"];
    let mut command = auditor.audit_command("http://127.0.0.1:9/", &gone);
    command.args(["--format", "text", "-v"]);
    assert_no_secret(&auditor, &run(command));
}

#[test]
fn secrets_and_options_can_be_in_the_config() {
    let auditor = Auditor::new(&key().vkey());
    let server = log_server(3, 3, with_secrets);
    let bearer = write(&auditor, "bearer", BEARER);
    let header = write(&auditor, "headers", &format!("X-Api-Key: {HEADER}"));
    let other = write(&auditor, "other", "another-s3cret");
    let config = |bearer: &str| {
        let text = format!(
            "log = {:?}\ncontact = \"ops@auditor.example\"\nmax-rps = 1000\ntimeout = \"20s\"\nretry-for = \"30s\"\n\
             deadline = \"1m\"\nbearer-file = {bearer:?}\nheader-file = {header:?}\n",
            server.url()
        );
        write(&auditor, "config.toml", &text)
    };
    let audit = |config: &str, more: &[&str]| {
        let mut command = program();
        command.arg("audit").arg("--db").arg(auditor.db()).args(&auditor.trust);
        command.args(["--format", "json", "--config", config]).args(more);
        run(command)
    };
    audit(&config(&bearer), &["--init"]).expect(0, &[]);
    let agent = concat!("countersign/", env!("CARGO_PKG_VERSION"), " (+ops@auditor.example)");
    assert_eq!(server.requests()[0].header("user-agent"), Some(agent));
    assert_eq!(audit(&config(&other), &[]).exit, 3);
    // Options win: the token, whichever way it is given.
    audit(&config(&other), &["--bearer-file", &bearer]).expect(0, &[]);
    let mut command = program();
    command.arg("audit").arg("--db").arg(auditor.db()).args(&auditor.trust);
    command.args(["--format", "json", "--config", &config(&other), "--bearer-env", "BEARER"]);
    let outcome = run(command);
    assert_eq!(outcome.exit, 2, "the variable is not set: {outcome:?}");
}

#[test]
fn invalid_http_options_are_wrong_usage() {
    let auditor = Auditor::new(&key().vkey());
    let file = |name: &str, text: &str| write(&auditor, name, text);
    let good = file("good", BEARER);
    let here = "http://127.0.0.1:9/";
    let cases: Vec<(&str, Vec<String>, &str)> = [
        (here, vec!["--max-rps", "0"], "--max-rps"),
        (here, vec!["--max-rps", "nan"], "--max-rps"),
        (here, vec!["--max-rps", "inf"], "--max-rps"),
        (here, vec!["--max-rps", "10001"], "--max-rps"),
        (here, vec!["--timeout", "soon"], "--timeout"),
        (here, vec!["--timeout", "0s"], "--timeout"),
        (here, vec!["--retry-for", "5"], "--retry-for"),
        (here, vec!["--deadline", "900years"], "--deadline"),
        (here, vec!["--contact", "a\r\nX: y"], "--contact"),
        (here, vec!["--contact", ""], "--contact"),
        (here, vec!["--ca-file", &good], "certificate"),
        (here, vec!["--ca-file", "/no/such/file"], "No such file"),
        (here, vec!["--bearer-file", "/no/such/s3cret"], "--bearer-file"),
        (here, vec!["--bearer-file", &file("empty", "\n")], "--bearer-file"),
        (here, vec!["--bearer-file", &file("two", "s3cret\ns3cret\n")], "--bearer-file"),
        (here, vec!["--bearer-file", &file("control", "s3cret\x1b[0m")], "--bearer-file"),
        (here, vec!["--bearer-file", &file("long", &"s3cret".repeat(20_000))], "--bearer-file"),
        (here, vec!["--bearer-env", "s3cret"], "--bearer-env"),
        (here, vec!["--bearer-env", ""], "--bearer-env"),
        (here, vec!["--header-env", "s3cret"], "--header-env"),
        (here, vec!["--header-file", &file("host", "Host: s3cret")], "host"),
        (here, vec!["--header-file", &file("agent", "User-Agent: s3cret")], "user-agent"),
        (here, vec!["--header-file", &file("none", "s3cret")], "Name: value"),
        (
            here,
            vec!["--header-file", &file("auth", "Authorization: s3cret"), "--bearer-file", &good],
            "give one",
        ),
        ("http://log.example/", vec!["--bearer-file", &good], "https://"),
        ("http://u:s3cret@127.0.0.1:9/", vec!["--bearer-file", &good], "give one"),
    ]
    .map(|(log, options, part)| (log, options.into_iter().map(str::to_owned).collect(), part))
    .into();
    for (log, options, part) in cases {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let outcome = auditor.audit(log, &[&["--init"], &options[..]].concat());
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{options:?}: {outcome:?}");
        assert!(outcome.stderr.contains(part), "{options:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("s3cret"), "{options:?}: {outcome:?}");
        assert!(!auditor.db().exists());
    }
}

#[test]
fn a_private_certificate_authority_is_trusted() {
    let auditor = Auditor::new(&key().vkey());
    let files = honest_log(&key(), &rejected_leaves(300));
    let server = TlsServer::start(&["h2", "http/1.1"], move |request| {
        let file = files.get(request.uri().path().trim_start_matches('/')).cloned();
        let mut response = hyper::Response::new(Full::new(file.clone().unwrap_or_default().into()));
        *response.status_mut() = if file.is_some() { 200 } else { 404 }.try_into().unwrap();
        response
    });
    let authority = write(&auditor, "authority.pem", &server.authority);
    let outcome = auditor.audit(server.url(), &["--init", "--retry-for", "1s"]);
    assert_eq!(outcome.exit, 3, "{outcome:?}");
    assert!(outcome.stdout.contains("certificate"), "{outcome:?}");
    auditor.audit(server.url(), &["--ca-file", &authority]).expect(0, &[]);
}

/// As in a container with nothing but the program.
#[test]
fn a_machine_without_authorities_cannot_use_https() {
    let auditor = Auditor::new(&key().vkey());
    let server = log_server(3, 3, |_| true);
    let bare = |log: &str| {
        let mut command = auditor.audit_command(log, &["--init"]);
        command.env("SSL_CERT_FILE", "/no/such/file").env("SSL_CERT_DIR", "/no/such/directory");
        run(command)
    };
    bare(&server.url()).expect(0, &[]);
    let outcome = bare("https://127.0.0.1:9/");
    assert!(outcome.exit == 2 && outcome.stderr.contains("CA certificates"), "{outcome:?}");
}

#[test]
fn time_and_rate_limits_are_kept() {
    let auditor = Auditor::new(&key().vkey());
    let server = log_server(300, 300, |_| true);
    let begun = Instant::now();
    auditor.audit(server.url(), &["--init", "--max-rps", "10"]).expect(0, &[]);
    let least = Duration::from_millis(100) * u32::try_from(server.paths().len() - 1).unwrap();
    assert!(server.paths().len() > 4 && begun.elapsed() >= least, "{:?}", begun.elapsed());

    let slow = TestServer::start(|_| Reply::ok("late").after(HANG));
    for (options, part, most) in [
        (["--timeout", "200ms", "--retry-for", "700ms"], "no full answer within", 12),
        (["--timeout", "20s", "--deadline", "500ms"], "the run's --deadline of 500ms has passed", 4),
    ] {
        let before = slow.paths().len();
        let outcome = auditor.audit(slow.url(), &options);
        assert_eq!(outcome.exit, 3, "{outcome:?}");
        assert!(outcome.stdout.contains(part), "{outcome:?}");
        // Load makes the attempts fewer: patience is a matter of time, and not of their number.
        let asked = slow.paths().len() - before;
        assert!(asked <= most, "asked {asked} times");
    }
}

fn through(proxy: &TestServer, mut command: Command) -> Outcome {
    command.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url());
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    run(command)
}

#[test]
fn proxies_of_the_environment_are_used() {
    let files = honest_log(&key(), &rejected_leaves(3));
    // A proxy gets whole URLs.
    let proxy = TestServer::start(move |request| match request.path.strip_prefix("http://log.invalid/") {
        Some(path) => {
            answer(&files, &Request { path: path.to_owned(), headers: Vec::new(), body: Vec::new() })
        }
        None => Reply::status("502 Bad Gateway", "", ""),
    });
    let auditor = Auditor::new(&key().vkey());
    let outcome = through(&proxy, auditor.audit_command("http://log.invalid/", &["--init"]));
    outcome.expect(0, &[]);
    assert!(proxy.paths().contains(&"http://log.invalid/checkpoint".to_owned()), "{:?}", proxy.paths());

    let server = log_server(3, 3, |_| true);
    let asked = proxy.paths().len();
    let mut command = auditor.audit_command(server.url(), &[]);
    command.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url());
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    run(command).expect(0, &[]);
    assert_eq!(proxy.paths().len(), asked, "NO_PROXY is kept");

    // Secrets in the clear never leave this machine, not even by way of a proxy.
    let server = log_server(3, 3, with_secrets);
    let bearer = write(&auditor, "bearer", BEARER);
    let header = write(&auditor, "headers", &format!("X-Api-Key: {HEADER}"));
    let options = ["--bearer-file", bearer.as_str(), "--header-file", &header];
    through(&proxy, auditor.audit_command(server.url(), &options)).expect(0, &[]);
    assert_eq!(proxy.paths().len(), asked);
}

fn import(auditor: &Auditor, from: &str, options: &[&str]) -> Outcome {
    auditor.command(&[&["heads", "import", "--db", "{db}", "--format", "json", from], options].concat())
}

fn audited(count: usize, other: usize) -> Auditor {
    let server = log_server(count, other, |_| true);
    let auditor = Auditor::new(&key().vkey());
    auditor.init(server.url()).expect(0, &[]);
    auditor
}

#[test]
fn heads_are_imported_from_a_url() {
    let (one, same, other) = (audited(300, 300), audited(300, 300), audited(300, 100));
    let served = tempfile::tempdir().unwrap();
    for (name, auditor) in [("same.jsonl", &same), ("other.jsonl", &other)] {
        let exported = auditor.command(&["heads", "export", "--db", "{db}"]);
        fs::write(served.path().join(name), exported.stdout).unwrap();
    }
    let server = serve_dir(served.path());
    let at = |name: &str| format!("{}{name}", server.url());
    assert_eq!(import(&one, &at("same.jsonl"), &["--contact", "ops@auditor.example"]).exit, 0);
    assert!(server.requests()[0].header("user-agent").unwrap().ends_with("(+ops@auditor.example)"));
    assert_eq!(import(&one, &at("other.jsonl"), &[]).exit, 4);

    let fresh = audited(300, 300);
    let missing = import(&fresh, &at("none?sig=s3cret"), &[]);
    assert_eq!((missing.exit, missing.verdict().as_str()), (3, "incomplete"));
    assert!(missing.stdout.contains("not there") && !missing.stdout.contains("s3cret"), "{missing:?}");
    let gone = import(&fresh, "HTTP://127.0.0.1:9/heads", &["--retry-for", "100ms"]);
    assert_eq!(gone.exit, 3, "{gone:?}");
    assert!(gone.stdout.contains("could not be fetched"), "{gone:?}");
    for wrong in ["http://", "https://u:s3cret@host:99999/x", "http:///"] {
        let outcome = import(&fresh, wrong, &[]);
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
        assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
    }
    let page = TestServer::start(|_| Reply::status("200 OK", "Content-Type: text/html\r\n", "<p>log in"));
    assert_eq!(import(&fresh, &page.url(), &[]).exit, 3);
    assert_eq!(fresh.audit(Path::new("/no/such/log"), &[]).exit, 3, "and the mirror is as it was");
}

/// The secrets of the config are for its log; another auditor must not get them.
#[test]
fn secrets_of_the_config_are_sent_to_its_log_only() {
    let auditor = audited(3, 3);
    let heads = auditor.command(&["heads", "export", "--db", "{db}"]).stdout;
    let server = TestServer::start(move |request| match request.header("authorization") {
        Some(_) => Reply::ok(&heads),
        None => Reply::status("403 Forbidden", "", ""),
    });
    let bearer = write(&auditor, "bearer", BEARER);
    let config = |log: &str| {
        let text = format!("log = {log:?}\nbearer-file = {bearer:?}\n");
        write(&auditor, "config.toml", &text)
    };
    let elsewhere = config("https://log.example/x");
    let outcome = import(&auditor, &server.url(), &["--config", &elsewhere]);
    assert_eq!(outcome.exit, 3, "{outcome:?}");
    assert!(outcome.stdout.contains("give those for this URL as options"), "{outcome:?}");
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
    let typed = import(&auditor, &server.url(), &["--config", &elsewhere, "--bearer-file", &bearer]);
    assert_eq!(typed.exit, 0, "{typed:?}");
    let same = config(&format!("{}log", server.url()));
    assert_eq!(import(&auditor, &server.url(), &["--config", &same]).exit, 0);
    // Nor does another --log than the config's.
    let asked = server.requests().len();
    let elsewhere = config("https://log.example/x");
    let outcome = auditor.audit(server.url(), &["--config", &elsewhere]);
    assert_eq!(outcome.exit, 3, "{outcome:?}");
    assert!(outcome.stdout.contains("are for the log that it names"), "{outcome:?}");
    assert!(server.requests()[asked..].iter().all(|request| request.header("authorization").is_none()));
}

/// A server knows the secret, and may send it back: it must not get into reports or the mirror.
#[test]
fn echoed_secrets_are_not_shown() {
    let auditor = audited(3, 3);
    let bearer = write(&auditor, "bearer", BEARER);
    let echo = |answer: fn(&str) -> Reply| {
        TestServer::start(move |request| {
            answer(request.header("authorization").unwrap_or_default().trim_start_matches("Bearer "))
        })
    };
    for server in [
        echo(|secret| Reply::status("302 Found", &format!("Location: http://evil.example/{secret}\r\n"), "")),
        echo(|secret| Reply::status("200 OK", &format!("Content-Encoding: b-{secret}\r\n"), "")),
        echo(|secret| Reply::ok(format!("{{\"{secret}\":1}}"))),
    ] {
        for url in [server.url(), format!("api+{}", server.url())] {
            let outcome =
                auditor.audit(&url, &["--bearer-file", &bearer, "--timeout", "1s", "--retry-for", "1s"]);
            assert_eq!(outcome.exit, 3, "{outcome:?}");
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!text.contains(BEARER.trim()), "{text}");
        }
    }
    let mirror = std::fs::read(auditor.db()).unwrap();
    assert!(!String::from_utf8_lossy(&mirror).contains(BEARER.trim()));
}

/// The same for a password in the URL and a `Basic` header, in whatever spelling they come back.
#[test]
fn echoed_passwords_are_hidden_in_any_spelling() {
    type Spell = fn(&str) -> String;
    // Of "Basic dXM6…" as it came.
    let coded: Spell = |basic| basic.to_owned();
    let unpadded: Spell = |basic| basic.trim_end_matches('=').replace('/', "_").replace('+', "-");
    let escaped: Spell = |basic| basic.replace('=', "%3D");
    let plain: Spell = |_| "p/s3cret!x".to_owned();
    let encoded: Spell = |_| "p%2Fs3cret%21x".to_owned();
    let twice: Spell = |_| "p%252fs3cret%2521x".to_owned();
    let json: Spell = |_| r"p\/s3cret\u0021x".to_owned();
    let capitals: Spell = |_| "P/S3CRET!X".to_owned();
    let hex: Spell = |_| "702f7333637265742178".to_owned();
    let auditor = audited(3, 3);
    let header = write(&auditor, "basic", "Authorization: Basic dXM6cC9zM2NyZXQheA==\n");
    for spell in [coded, unpadded, escaped, plain, encoded, twice, json, capitals, hex] {
        let server = TestServer::start(move |request| {
            let text = request.header("authorization").unwrap_or_default();
            assert_eq!(text, "Basic dXM6cC9zM2NyZXQheA==");
            let text = spell(text.trim_start_matches("Basic "));
            match request.path.trim_start_matches('/') {
                "checkpoint" => {
                    Reply::status("302 Found", &format!("Location: http://evil.example/{text}\r\n"), "")
                }
                _ => Reply::status("200 OK", &format!("Content-Encoding: b-{text}\r\n"), ""),
            }
        });
        let with_password = server.url().replace("http://", "http://us:p%2fs3cret!x@");
        let typed = ["--header-file", header.as_str()];
        for (url, options) in [(with_password, &[][..]), (server.url(), &typed[..])] {
            let outcome = auditor.audit(&url, options);
            assert_eq!(outcome.exit, 3, "{outcome:?}");
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(text.contains("[a secret of yours]"), "{text}");
            let folded = text.to_ascii_lowercase();
            for part in ["s3cret", "dxm6", "cc9zm2ny", "7333637265"] {
                assert!(!folded.contains(part), "{part} in {text}");
            }
        }
    }
    // In an answer, which is then none: the origin of a checkpoint is in findings.
    for text in
        ["p/s3cret!x", r"p\/s3cret\u0021x", "p%2fs3cret%21x", "dXM6cC9zM2NyZXQheA", "eDpwL3MzY3JldCF4eA"]
    {
        let server = TestServer::start(move |_| Reply::ok(format!("{text}\n3\nAAAA\n\n")));
        let url = server.url().replace("http://", "http://us:p%2fs3cret!x@");
        let outcome = auditor.audit(&url, &[]);
        assert_eq!(outcome.exit, 3, "{outcome:?}");
        assert!(outcome.stdout.contains("repeats a secret"), "{outcome:?}");
        assert!(!outcome.stdout.contains(text) && !outcome.stdout.contains("s3cret"), "{outcome:?}");
    }
}

/// An answer that would take too long to search is refused, and is not stored as an entry.
#[test]
fn an_unsearchable_answer_is_not_kept() {
    let files = honest_log(&key(), &rejected_leaves(3));
    let server = TestServer::start(move |request| match request.path.contains("/entries/") {
        true => Reply::ok("a".repeat(3 << 20)),
        false => answer(&files, request),
    });
    let auditor = Auditor::new(&key().vkey());
    let secret = format!("{}b", "a".repeat(200));
    let bearer = write(&auditor, "bearer", &secret);
    let outcome = auditor.audit(server.url(), &["--init", "--retry-for", "300ms", "--bearer-file", &bearer]);
    assert_eq!(outcome.exit, 3, "{outcome:?}");
    assert!(
        outcome.stdout.contains("searching for the secret takes too long; it was not kept"),
        "{outcome:?}"
    );
    assert!(!format!("{outcome:?}").contains("aaaaaaaa"), "{outcome:?}");
}
