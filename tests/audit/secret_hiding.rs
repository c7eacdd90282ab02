//! A server that sends back the secret it was given, in every customary spelling and wherever we might print it. No
//! error, report, event or alert shows it to a reader who undoes escapes, passes over case and what is not seen.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use countersign::source::{self, HttpOptions, SecretHeaders};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::cli::{Auditor, Outcome, program, run};
use support::log::{TestKey, honest_log, leaf, rejected, rejected_leaves};
use support::monitor::{Monitor, config, log_table};
use support::{HANG, Reply, TestServer};
use unicode_normalization::UnicodeNormalization as _;

const USER: &str = "auditor";
const PASSWORD: &str = "S3cr3t/Pä&ß+\"w<o>rd=";
/// As a URL has it.
const IN_URL: &str = "auditor:S3cr3t%2FP%C3%A4&%C3%9F+%22w%3Co%3Erd%3D@";
/// What goes into a header is ASCII.
const TOKEN: &str = "Tk-s3cr3t/Bearer+0123==";

/// As a reader sees it who undoes every escape: without case, accents, width and what is not seen.
fn seen(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..4 {
        text = unescaped(&text);
    }
    let letters = text.nfkd().filter(|c| !is_passed_over(*c));
    letters.collect::<String>().to_lowercase().to_uppercase().to_lowercase().nfkd().collect()
}

fn is_passed_over(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// One level of `%41`, `\u0041`, `\u{41}`, `\"`, `&#65;`, `&#x41;` and the named entities of XML taken away.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let code = |digits: &str| char::from_u32(u32::from_str_radix(digits, 16).ok()?);
        let between = |open: &str, close: char| {
            let (inside, behind) = rest.strip_prefix(open)?.split_once(close)?;
            (inside.len() < 9).then_some((inside, behind))
        };
        let (found, behind) = None
            .or_else(|| {
                let digits = rest.strip_prefix('%')?.get(..2)?;
                Some((vec![u8::from_str_radix(digits, 16).ok()?], &rest[3..]))
            })
            .or_else(|| between("\\u{", '}').and_then(|(inside, behind)| Some((utf8(code(inside)?), behind))))
            .or_else(|| Some((utf8(code(rest.strip_prefix("\\u")?.get(..4)?)?), &rest[6..])))
            .or_else(|| between("&#x", ';').and_then(|(inside, behind)| Some((utf8(code(inside)?), behind))))
            .or_else(|| {
                let (inside, behind) = between("&#", ';')?;
                Some((utf8(char::from_u32(inside.parse().ok()?)?), behind))
            })
            .or_else(|| {
                let named = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')];
                named.iter().find_map(|(name, c)| Some((utf8(*c), rest.strip_prefix(name)?)))
            })
            .or_else(|| {
                rest.strip_prefix('\\')
                    .filter(|rest| rest.starts_with(['"', '/', '\\']))
                    .map(|r| (Vec::new(), r))
            })
            .unwrap_or_else(|| (utf8(first), &rest[first.len_utf8()..]));
        bytes.extend(found);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn utf8(c: char) -> Vec<u8> {
    c.to_string().into_bytes()
}

/// Base64 and hexadecimal of it, as the server may have cut and written them.
fn coded(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for text in [secret.to_owned(), format!("{USER}:{secret}")] {
        all.push(BASE64_STANDARD.encode(&text));
        all.push(BASE64_STANDARD.encode(&text).trim_end_matches('=').to_owned());
        all.push(BASE64_URL_SAFE_NO_PAD.encode(&text));
        all.push(text.bytes().map(|byte| format!("{byte:02X}")).collect());
    }
    all
}

fn every_character(text: &str, spell: impl Fn(char) -> String) -> String {
    text.chars().map(spell).collect()
}

fn percent(text: &str, hex: impl Fn(u8) -> String) -> String {
    text.bytes().map(hex).collect()
}

/// The secret in other letters that read the same.
fn letters(secret: &str) -> Vec<String> {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap().to_string(),
        _ => c.to_string(),
    };
    let swapped = |c: char| match c.is_uppercase() {
        true => c.to_lowercase().to_string(),
        false => c.to_uppercase().to_string(),
    };
    vec![
        secret.to_owned(),
        secret.to_uppercase(),
        secret.to_lowercase(),
        every_character(secret, swapped),
        secret.replace('ß', "SS"),
        secret.replace('ß', "ẞ"),
        secret.nfd().collect(),
        secret.to_uppercase().nfkd().collect(),
        every_character(secret, wide),
        every_character(secret, |c| format!("{c}\u{200b}")),
        every_character(&secret.to_uppercase(), |c| format!("{c}\u{ad}\u{2060}")),
        every_character(secret, |c| format!("{c}\u{feff}\u{301}")),
        every_character(secret, |c| format!("{c}\t")),
    ]
}

/// Every spelling of the secret.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = coded(secret);
    for text in letters(secret) {
        let json =
            |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|half| format!("\\u{half:04x}")).collect();
        let entity = |c: char| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c if c.is_ascii() => c.to_string(),
            c => format!("&#{};", u32::from(c)),
        };
        let mixed =
            percent(
                &text,
                |byte| if byte % 2 == 0 { format!("%{byte:02x}") } else { format!("%{byte:02X}") },
            );
        all.extend([
            mixed.replace('%', "%25"),
            percent(&text, |byte| {
                if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02x}") }
            }),
            mixed,
            every_character(&text, json),
            every_character(&text, entity),
            every_character(&text, |c| format!("&#x{:X};", u32::from(c))),
            text,
        ]);
    }
    all
}

/// What only a URL parser makes the secret of.
fn spellings_for_a_url(secret: &str) -> Vec<String> {
    let all = letters(secret).into_iter();
    all.flat_map(|text| ["/./", "\\", "/x/../", "/%2e/"].map(|slash| text.replace('/', slash))).collect()
}

/// Answers that cause messages, each with the `spelling` in it.
fn channels(spelling: &str) -> Vec<Reply> {
    let found = |place: String| Reply::status("302 Found", &format!("Location: {place}\r\n"), "");
    let ok = |header: &str, body: &str| Reply::status("200 OK", &format!("{header}\r\n"), body);
    vec![
        found(format!("http://evil.example/a/{spelling}/b")),
        found(format!("http://{spelling}/")),
        found(format!("http://{spelling}.evil.example/")),
        found(format!("http://evil.example/?q={spelling}#{spelling}")),
        found(format!("http://x:{spelling}@evil.example/{spelling}")),
        found(format!("{spelling}:{spelling}")),
        ok(&format!("Content-Encoding: {spelling}"), "x"),
        ok(&format!("Content-Type: text/html; {spelling}"), "x"),
        // Whose body ends with the connection.
        Reply::raw(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {spelling}\r\n\r\nx")),
        Reply::raw(format!("HTTP/1.1 400 {spelling}\r\nContent-Length: 0\r\n\r\n")),
        Reply::status(
            "401 Unauthorized",
            &format!("WWW-Authenticate: Basic realm=\"{spelling}\"\r\n"),
            spelling,
        ),
        Reply::status("503 Away", &format!("Retry-After: {spelling}\r\n"), spelling),
        Reply::raw(format!("{spelling}\r\n\r\n")),
        Reply::ok(format!("{spelling}\n3\nAAAA\n\n— {spelling} AAAA\n")),
        Reply::ok(format!("{{\"{}\":1}}", spelling.replace('"', "\\\""))),
    ]
}

/// A server whose answer to everything is the one that the test put there last.
fn echo_server() -> (TestServer, Arc<Mutex<Reply>>) {
    let next = Arc::new(Mutex::new(Reply::ok("")));
    let reply = Arc::clone(&next);
    (TestServer::start(move |_| reply.lock().unwrap().clone()), next)
}

#[track_caller]
fn assert_hidden(secret: &str, message: &str, spelling: &str) {
    let read = seen(message);
    for hidden in [seen(secret), seen("s3cr3t")] {
        assert!(!read.contains(&hidden), "{spelling:?} was sent, and is in {message}");
    }
    for hidden in coded(secret) {
        let (message, hidden) =
            (message.to_lowercase().replace('-', "+").replace('_', "/"), hidden.to_lowercase());
        assert!(
            !message.contains(&hidden.replace('-', "+").replace('_', "/")),
            "{spelling:?} was sent, and is in {message}"
        );
    }
}

fn once(headers: SecretHeaders) -> HttpOptions {
    HttpOptions {
        headers,
        connect_timeout: HANG,
        attempt_timeout: HANG,
        resource_timeout: HANG,
        retries: 0,
        later_retries: 0,
        missing_retries: 0,
        retry_after_cap: Duration::ZERO,
        env_proxy: false,
        ..HttpOptions::default()
    }
}

/// The errors of the source, and of the reader of its head.
fn no_error_repeats(secret: &str, url: impl Fn(&TestServer) -> String, headers: &SecretHeaders) {
    let (server, next) = echo_server();
    let source = source::open(&url(&server), false, &once(headers.clone())).unwrap_or_else(|e| panic!("{e}"));
    let api = format!("api+{}", url(&server));
    let api = source::open(&api, false, &once(headers.clone())).unwrap_or_else(|e| panic!("{e}"));
    let everywhere = spellings(secret).into_iter().map(|spelling| (channels(&spelling), spelling));
    let in_locations =
        spellings_for_a_url(secret).into_iter().map(|spelling| (channels(&spelling)[..6].to_vec(), spelling));
    for (channels, spelling) in everywhere.chain(in_locations) {
        for (channel, reply) in channels.into_iter().enumerate() {
            *next.lock().unwrap() = reply;
            for source in [&source, &api] {
                let head = source.head();
                for error in [head.checkpoint.as_ref().err(), head.sth.as_ref().err()].into_iter().flatten() {
                    assert_hidden(secret, &error.to_string(), &format!("{channel}: {spelling}"));
                }
                // What was taken is shown in findings.
                for bytes in [head.checkpoint.ok(), head.sth.ok().flatten()].into_iter().flatten() {
                    assert_hidden(
                        secret,
                        &String::from_utf8_lossy(&bytes),
                        &format!("{channel}: {spelling}"),
                    );
                }
            }
        }
    }
}

#[test]
fn no_error_repeats_a_password() {
    no_error_repeats(
        PASSWORD,
        |server| server.url().replace("//", &format!("//{IN_URL}")),
        &SecretHeaders::default(),
    );
}

#[test]
fn no_error_repeats_a_token() {
    let mut headers = SecretHeaders::default();
    headers.add_bearer(TOKEN).unwrap();
    no_error_repeats(TOKEN, TestServer::url, &headers);
}

#[test]
fn no_error_repeats_a_key_in_a_custom_header() {
    let mut headers = SecretHeaders::default();
    headers.add_lines(&format!("X-Api-Key: {TOKEN}")).unwrap();
    no_error_repeats(TOKEN, TestServer::url, &headers);
}

/// The spellings that a person reads, through the whole program and in both kinds of report.
#[test]
fn no_report_repeats_a_password() {
    let auditor = Auditor::new(&TestKey::new(1).vkey());
    let (server, next) = echo_server();
    let url = server.url().replace("//", &format!("//{IN_URL}"));
    for (n, spelling) in letters(PASSWORD).into_iter().chain(coded(PASSWORD)).enumerate() {
        let channels = channels(&spelling);
        // The test of errors covers all of them; this one covers the path to the report.
        let chosen = [0, 6, 7, 13, 14].map(|channel| channels[channel].clone());
        for reply in [&chosen[n % 5], &chosen[(n + 2) % 5]] {
            *next.lock().unwrap() = reply.clone();
            for (url, format) in [(url.clone(), "text"), (format!("api+{url}"), "json")] {
                let mut command = program();
                command.args([
                    "audit",
                    "--log",
                    &url,
                    "--init",
                    "-v",
                    "--retry-for",
                    "10ms",
                    "--format",
                    format,
                ]);
                command.arg("--db").arg(auditor.db()).args(&auditor.trust);
                let Outcome { exit, stdout, stderr } = run(command);
                assert_eq!(exit, 3, "{spelling}: {stdout}{stderr}");
                assert_hidden(PASSWORD, &format!("{stdout}{stderr}"), &spelling);
            }
        }
    }
}

/// A proxy knows its own password alone.
#[test]
fn no_report_repeats_a_proxy_password() {
    let auditor = Auditor::new(&TestKey::new(1).vkey());
    let (proxy, next) = echo_server();
    let url = proxy.url().replace("//", &format!("//{IN_URL}"));
    for (n, spelling) in letters(PASSWORD).into_iter().chain(coded(PASSWORD)).enumerate() {
        *next.lock().unwrap() = channels(&spelling)[[0, 6, 7][n % 3]].clone();
        let mut command = auditor.audit_command("http://log.invalid/", &["--init", "--retry-for", "5m"]);
        command.env("HTTP_PROXY", &url).env("http_proxy", &url).env_remove("NO_PROXY").env_remove("no_proxy");
        let Outcome { exit, stdout, stderr } = run(command);
        assert_eq!(exit, 3, "{spelling}: {stdout}{stderr}");
        assert_hidden(PASSWORD, &format!("{stdout}{stderr}"), &spelling);
    }
    assert!(proxy.paths().iter().any(|path| path.starts_with("http://log.invalid/")), "{:?}", proxy.paths());
}

/// An entry that is decoded before it is shown, and what is in base64 inside of that.
#[test]
fn no_entry_repeats_a_password() {
    for spelling in [
        PASSWORD.to_uppercase(),
        every_character(PASSWORD, |c| format!("{c}\u{200b}")),
        coded(PASSWORD)[0].clone(),
    ] {
        let mut entry = rejected("request-1");
        entry[spelling.as_str()] = spelling.clone().into();
        let mut packed = rejected("request-2");
        packed["packed"] = BASE64_URL_SAFE_NO_PAD.encode(BASE64_URL_SAFE_NO_PAD.encode(&spelling)).into();
        for entry in [entry, packed] {
            let mut leaves = rejected_leaves(3);
            leaves.push(leaf(&entry));
            let key = TestKey::new(1);
            let files = honest_log(&key, &leaves);
            let api = support::api::ApiLog::new(&key, &leaves, &[4]);
            let server = TestServer::start(move |request| match request.path.strip_prefix("/api/") {
                Some(path) => {
                    api.answer(path).map_or_else(|| Reply::status("404 Not Found", "", ""), Reply::ok)
                }
                None => match files.get(request.path.trim_start_matches('/')) {
                    Some(bytes) => Reply::ok(bytes),
                    None => Reply::status("404 Not Found", "", ""),
                },
            });
            let url = server.url().replace("//", &format!("//{IN_URL}"));
            for url in [url.clone(), format!("api+{url}api")] {
                let auditor = Auditor::new(&key.vkey());
                let outcome = auditor.audit(&url, &["--init", "--retry-for", "5m"]);
                assert_eq!(outcome.exit, 3, "{spelling}: {outcome:?}");
                assert!(outcome.stdout.contains("repeats a secret"), "{spelling}: {outcome:?}");
                assert_hidden(PASSWORD, &format!("{}{}", outcome.stdout, outcome.stderr), &spelling);
                assert_eq!(auditor.leaves().iter().filter(|leaf| **leaf == leaves[3]).count(), 0);
            }
        }
    }
}

/// The events and alerts of a monitor for the same answers.
#[test]
fn no_event_and_no_alert_repeats_a_password() {
    let (server, next) = echo_server();
    let spelling = every_character(&PASSWORD.to_uppercase(), |c| format!("{c}\u{200b}"));
    *next.lock().unwrap() =
        Reply::status("302 Found", &format!("Location: http://evil.example/{spelling}\r\n"), "");
    let auditor = Auditor::new(&TestKey::new(1).vkey());
    let alerts = auditor.directory().join("told");
    let alert = format!(
        "[[alert]]\nname = \"all\"\nseverity = \"info\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {}\"]\n",
        alerts.display()
    );
    let url = server.url().replace("//", &format!("//{IN_URL}"));
    let table = log_table("main", &url, &auditor.db(), &TestKey::new(1).vkey(), "init = true");
    let path = config(auditor.directory(), &format!("{alert}{table}"));
    for channel in [0, 6, 7, 13, 14] {
        *next.lock().unwrap() = channels(&spelling)[channel].clone();
        let mut monitor = Monitor::start(&path);
        monitor.wait_after(0, "an audit", |event| {
            event["event"] == "audited" || event["event"] == "unreachable"
        });
        monitor.stop();
        let events = serde_json::Value::from(monitor.events()).to_string();
        assert_hidden(PASSWORD, &events, &spelling);
    }
    let text = fs::read_to_string(&alerts).unwrap();
    assert!(text.contains("\"kind\""), "no alert was sent");
    assert_hidden(PASSWORD, &text, &spelling);
}
