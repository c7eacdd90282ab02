//! The proxies of the environment through the real program: what cannot be understood stops it, what is excepted is
//! asked directly, and the message names the proxy.

use support::tls;

use http_body_util::Full;
use hyper::Response;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use support::cli::{Auditor, Outcome, RP_ID, WEB_ORIGIN, program, run};
use support::log::{TestKey, honest_log, rejected_leaves};
use support::{Reply, TestServer};
use tls::TlsServer;

/// Those in force for an `http://` URL.
const VARIABLES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// No patience, where a failure is wanted.
const SHORT_RETRY: [&str; 3] = ["--init", "--retry-for", "300ms"];

fn key() -> TestKey {
    TestKey::new(1)
}

/// A log, or a proxy of one: it answers paths and whole URLs alike.
fn log_server() -> TestServer {
    let files = honest_log(&key(), &rejected_leaves(3));
    TestServer::start(move |request| {
        let path = request.path.strip_prefix("http://log.invalid").unwrap_or(&request.path);
        match files.get(path.trim_start_matches('/')) {
            Some(bytes) => Reply::ok(bytes),
            None => Reply::status("404 Not Found", "", ""),
        }
    })
}

/// Runs a command with these variables and no others about proxies.
fn run_with(mut command: Command, variables: &[(&str, &str)]) -> Outcome {
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    run(command)
}

fn audit(log: &str, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
    run_with(Auditor::new(&key().vkey()).audit_command(log, options), variables)
}

#[test]
fn an_invalid_proxy_variable_stops_every_network_command() {
    let server = log_server();
    let auditor = Auditor::new(&key().vkey());
    auditor.init(server.url()).expect(0, &[]);
    let asked = server.paths().len();
    let write = |name: &str, text: String| {
        let path = auditor.directory().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let log = |location: &str, more: &str| {
        format!(
            "[[log]]\nname = 'a'\nlog = '{location}'\ndb = '{}'\nlog-key = '{}'\nrp-id = '{RP_ID}'\n\
             allow-origin = ['{WEB_ORIGIN}']\n{more}",
            auditor.db().display(),
            key().vkey()
        )
    };
    let hook = format!("webhook = '{}'\nsecret-env = 'HOOK_SECRET'\n", server.url());
    // Of three things that are asked, one each.
    let (of_log, of_peer, of_hook) = (
        write("log.toml", log(&server.url(), "")),
        write(
            "peer.toml",
            log("/no/such/log", &format!("[[log.peer]]\nname = 'p'\nheads = '{}heads'\n", server.url())),
        ),
        write("hook.toml", log("/no/such/log", &format!("[[log.alert]]\n{hook}"))),
    );
    let (db, url, vkey) = (auditor.db().to_str().unwrap().to_owned(), server.url(), key().vkey());
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["audit", "--log", &url, "--db", &db, "--log-key", &vkey, "--heads-only"],
        vec!["heads", "import", "--db", &db, "--log-key", &vkey, &url],
        vec!["receipt", "--from-log", "--log", &url, "--log-key", &vkey, "--index", "0"],
        vec!["monitor", "test-alert", "--config", &of_hook],
    ];
    for config in [&of_log, &of_peer, &of_hook] {
        commands.push(vec!["config", "check", "--config", config]);
        commands.push(vec!["monitor", "--once", "--config", config]);
    }
    for (arguments, variable) in commands.iter().zip(VARIABLES.iter().cycle()) {
        for value in ["htp://u:s3cret@127.0.0.1:9", "\"http://u:s3cret@127.0.0.1:9"] {
            let mut command = program();
            command.args(arguments).env("HOOK_SECRET", "0123456789abcdef");
            let outcome = run_with(command, &[(variable, value)]);
            assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{arguments:?}: {outcome:?}");
            // It is at fault, and neither an option nor a table of the config.
            let begins = format!("countersign: {variable} is not the URL of a proxy: ");
            assert!(outcome.stderr.starts_with(&begins), "{arguments:?}: {outcome:?}");
            assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
        }
    }
    assert_eq!(server.paths().len(), asked, "somebody was asked");
    // Commands without requests are not affected.
    let mut command = program();
    command.args(["heads", "list", "--db", &db, "--log-key", &vkey]);
    assert_eq!(run_with(command, &[("HTTPS_PROXY", "htp://x")]).exit, 0);
    // What is not in force for what is asked is not looked at.
    for (arguments, variable) in commands.iter().zip(["https_proxy", "HTTPS_PROXY"].iter().cycle()) {
        let mut command = program();
        command.args(arguments).env("HOOK_SECRET", "0123456789abcdef");
        let outcome = run_with(command, &[(variable, "htp://u:s3cret@127.0.0.1:9")]);
        assert_ne!(outcome.exit, 2, "{arguments:?}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains(variable), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn a_variable_applies_to_urls_of_its_scheme() {
    const WRONG: &str = "htp://u:s3cret@127.0.0.1:9";
    let result = |log: &str, variables: &[(&str, &str)]| {
        let outcome = audit(log, &SHORT_RETRY, variables);
        assert!(!format!("{outcome:?}").contains("s3cret"), "{outcome:?}");
        (outcome.exit, outcome.stderr.starts_with("countersign: HTTP"))
    };
    let (http, https, api) = ("http://127.0.0.1:1/", "https://127.0.0.1:1/", "api+https://127.0.0.1:1/");
    for log in [https, api] {
        assert_eq!(result(log, &[("HTTPS_PROXY", WRONG)]), (2, true), "{log}");
        assert_eq!(result(log, &[("HTTP_PROXY", WRONG), ("http_proxy", WRONG)]), (3, false), "{log}");
        let excepted = [("HTTPS_PROXY", WRONG), ("NO_PROXY", "127.0.0.1")];
        assert_eq!(result(log, &excepted), (3, false), "{log}");
    }
    assert_eq!(result(http, &[("HTTP_PROXY", WRONG)]), (2, true));
    assert_eq!(result(http, &[("HTTPS_PROXY", WRONG), ("https_proxy", WRONG)]), (3, false));
}

#[test]
fn spaces_and_quotation_marks_around_a_proxy_are_removed() {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = log_server();
        let place = proxy.url().replace("http://", "");
        let value = format!(" \"{}\"\n", place.trim_end_matches('/'));
        audit("http://log.invalid/", &["--init"], &[(variable, &value)]).expect(0, &[]);
        assert!(proxy.paths().iter().all(|path| path.starts_with("http://log.invalid/")), "{variable}");
        assert!(!proxy.paths().is_empty());
    }
    // A header of a web request is not a proxy setting.
    let (log, proxy) = (log_server(), log_server());
    let variables = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", &proxy.url())];
    audit(&log.url(), &["--init"], &variables).expect(0, &[]);
    assert_eq!((proxy.paths().len(), log.paths().is_empty()), (0, false));
}

#[test]
fn no_proxy_hosts_are_asked_directly() {
    // Not worth asking again.
    let proxy = TestServer::start(|_| Reply::status("403 Forbidden", "", ""));
    for (list, direct) in [
        ("*", true),
        ("'*'", true),
        ("log.example, *", true),
        ("127.0.0.1", true),
        ("127.0.0.0/8", true),
        ("*:PORT", true),
        ("127.0.0.1:PORT", true),
        ("127.0.0.1:1", false),
        ("128.0.0.0/8", false),
        (".0.0.1", false),
        ("log.example", false),
    ] {
        for variable in ["NO_PROXY", "no_proxy"] {
            let (log, before) = (log_server(), proxy.paths().len());
            let port = log.url().trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
            let list = list.replace("PORT", &port);
            let variables = [("http_proxy", proxy.url()), (variable, list.clone())];
            let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
            let outcome = audit(&log.url(), &["--init"], &variables);
            assert_eq!(outcome.exit, if direct { 0 } else { 3 }, "{list}: {outcome:?}");
            assert_eq!(proxy.paths().len() == before, direct, "{list}");
            assert_eq!(log.paths().is_empty(), !direct, "{list}");
        }
    }
    let outcome = audit(&log_server().url(), &SHORT_RETRY, &[("NO_PROXY", "127.0.0.0/33")]);
    assert_eq!(outcome.exit, 2, "{outcome:?}");
    assert!(outcome.stderr.starts_with("countersign: NO_PROXY: "), "{outcome:?}");
}

#[test]
fn a_failure_names_the_proxy() {
    let gateway = TestServer::start(|_| Reply::status("502 Bad Gateway", "", ""));
    let locked = TestServer::start(|_| Reply::status("407 Proxy Authentication Required", "", ""));
    let places = [gateway.url(), locked.url(), "http://127.0.0.1:1/".to_owned()];
    for proxy in places.each_ref().map(|url| url.trim_end_matches('/')) {
        for log in ["http://log.invalid/", "https://log.invalid/", "api+https://log.invalid/"] {
            let with_password = proxy.replace("http://", "http://us:s3cret@");
            let outcome = audit(log, &SHORT_RETRY, &[("all_proxy", &with_password)]);
            assert_eq!(outcome.exit, 3, "{outcome:?}");
            let message = format!("over the proxy {proxy}, which all_proxy names");
            assert!(outcome.stdout.contains(&message), "{outcome:?}");
            assert!(!format!("{outcome:?}").contains("s3cret"), "{outcome:?}");
        }
    }
    let direct = audit("http://127.0.0.1:1/", &SHORT_RETRY, &[]);
    assert!(direct.exit == 3 && !direct.stdout.contains("proxy"), "{direct:?}");
}

/// A proxy that makes a tunnel to `to`, and sends `more` after its answer to `CONNECT`.
fn tunnel(to: String, more: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let server = TcpStream::connect(&to).unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                client
                    .write_all(format!("HTTP/1.1 200 Connection established\r\n\r\n{more}").as_bytes())
                    .unwrap();
                let pass = |mut from: Box<dyn std::io::Read + Send>, mut to: TcpStream| {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    })
                };
                pass(Box::new(reader), server.try_clone().unwrap());
                pass(Box::new(server), client);
            });
        }
    });
    url
}

/// Bytes of a proxy after its answer to `CONNECT` are not from the log, whose answer begins inside TLS.
#[test]
fn an_answer_of_a_proxy_before_tls_is_ignored() {
    let files = honest_log(&key(), &rejected_leaves(3));
    let server = TlsServer::start(&["http/1.1"], move |request| {
        let file = files.get(request.uri().path().trim_start_matches('/')).cloned();
        let status = if file.is_some() { 200 } else { 404 };
        Response::builder().status(status).body(Full::from(file.unwrap_or_default())).unwrap()
    });
    let auditor = Auditor::new(&key().vkey());
    let ca_file = auditor.directory().join("ca.pem");
    server.write_authority(&ca_file);
    let to = server.url().trim_start_matches("https://").trim_end_matches('/').to_owned();
    let (log, ca_file) = (server.url(), ca_file.to_str().unwrap().to_owned());
    let options = ["--ca-file", ca_file.as_str(), "--init", "--retry-for", "5s"];
    run_with(auditor.audit_command(&log, &options), &[("https_proxy", &tunnel(to.clone(), ""))])
        .expect(0, &[]);
    assert!(!server.seen.requests.lock().unwrap().is_empty());
    for more in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "x",
    ] {
        let fresh = Auditor::new(&key().vkey());
        let outcome = run_with(
            fresh.audit_command(Path::new(&log), &options),
            &[("https_proxy", &tunnel(to.clone(), more))],
        );
        // Either it is passed over, or the connection ends.
        assert!([0, 3].contains(&outcome.exit), "{more:?}: {outcome:?}");
        assert!(outcome.findings().is_empty() && !outcome.stdout.contains("evil"), "{outcome:?}");
    }
    // An answer in place of the tunnel is not accepted either.
    let liar = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", liar.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in liar.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let outcome = run_with(auditor.audit_command(&log, &options[..2]), &[("https_proxy", &proxy)]);
    assert_eq!(outcome.exit, 3, "{outcome:?}");
    assert!(outcome.findings().is_empty(), "{outcome:?}");
}
