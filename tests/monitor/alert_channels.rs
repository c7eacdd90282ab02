//! The channels against real receivers, honest and otherwise: a program, an HTTP server, a mail server.

use support::tls;

use countersign::alerts::{
    Channel, CommandTransport, Dispatcher, DispatcherConfig, LogName, Smtp, SmtpConfig, Transport, Webhook,
    signature,
};
use countersign::core::finding::Severity;
use countersign::core::time::{UnixMillis, UnixSeconds};
use countersign::source::HttpOptions;
use http_body_util::Full;
use hyper::Response;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use support::cli::{program, run};
use support::mail::MailServer;
use support::receivers::hmac;
use support::{HANG, Reply, TestServer, until};
use tls::TlsServer;

const NOW: u64 = 1_900_000_000_000;
const SECRET: &str = "0123456789abcdef";

/// The message of a test alert.
const SAID: &str = "this is a test of the alert channel";

/// Sends a test alert of a log with this name one way; how it went.
fn send(transport: impl Transport + 'static, log: &str) -> Result<(), String> {
    let channel = Channel {
        name: "a".to_owned(),
        least: Severity::Info,
        retry_for: Duration::from_secs(1),
        transport: Box::new(transport),
    };
    let dispatcher =
        Dispatcher::new(DispatcherConfig { channels: vec![channel], ..DispatcherConfig::default() }).unwrap();
    let log = LogName { name: log.to_owned(), origin: "o".to_owned() };
    dispatcher.test(&log, UnixMillis::new(NOW)).remove(0).1.map_err(|error| error.to_string())
}

fn shell(script: &str) -> CommandTransport {
    CommandTransport::new(&["/bin/sh", "-c", script].map(str::to_owned)).unwrap()
}

#[test]
fn a_command_gets_the_alert_on_stdin_and_answers_by_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("got.json");
    assert_eq!(send(shell(&format!("cat > {}", file.display())), "our log"), Ok(()));
    let got: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((&got["tool"], &got["kind"]), (&"countersign".into(), &"test".into()));
    assert_eq!(got["log"]["name"], "our log");
    assert!(got["message"].as_str().unwrap().starts_with(SAID), "{got}");
    let why = send(shell("echo of course not >&2; exit 7"), "l").unwrap_err();
    assert!(why.contains('7') && why.contains("of course not"), "{why}");
    assert!(send(shell("kill -9 $$"), "l").unwrap_err().contains('9'));
    let missing = CommandTransport::new(&["/no/such/program".to_owned()]).unwrap();
    assert!(send(missing, "l").unwrap_err().contains("cannot be run"));
    assert!(CommandTransport::new(&[]).is_err() && CommandTransport::new(&[String::new()]).is_err());
}

#[test]
fn a_hanging_or_verbose_command_blocks_nothing() {
    let hangs = shell("sleep 400").with_timeout(Duration::from_millis(300));
    assert!(send(hangs, "l").unwrap_err().contains("did not end"));
    // More than a pipe holds, both ways.
    assert_eq!(send(shell("exec 0<&-; exit 0"), &"x".repeat(1 << 20)), Ok(()));
    assert_eq!(send(shell("head -c 1000000 /dev/zero >&2; cat > /dev/null"), &"x".repeat(1 << 20)), Ok(()));
    // What it leaves running may keep the pipes.
    let begun = Instant::now();
    assert!(send(shell("sleep 400 & exit 3"), "l").is_err());
    assert!(begun.elapsed() < HANG, "waited for what it left running");
}

/// At the time-out all of it is ended, and what a program left running keeps no thread and no pipe of ours.
#[test]
fn an_ended_command_keeps_no_thread_and_no_pipe() {
    let home = tempfile::tempdir().unwrap();
    let id = home.path().join("id");
    let late = format!("sleep 400 & echo $! > {}; sleep 400", id.display());
    // Again with more time, if the shell did not get so far.
    let mut patience = Duration::from_millis(300);
    while fs::read_to_string(&id).unwrap_or_default().trim().is_empty() {
        assert!(send(shell(&late).with_timeout(patience), "l").is_err());
        patience *= 2;
        assert!(patience < HANG, "the shell never begins");
    }
    // Who looks at the same process sees the tests beside it too.
    let count = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = count();
    (0..40).for_each(|_| assert_eq!(send(shell("sleep 5 & exit 0"), "l"), Ok(())));
    assert!(count() < before + 40, "{before}, then {}", count());
    let id = fs::read_to_string(&id).unwrap();
    until("ended", || !Path::new("/proc").join(id.trim()).exists());
}

#[test]
fn no_text_of_an_alert_is_executed() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("owned");
    let evil = format!("$(touch {0}) `touch {0}` ; touch {0}\n", mark.display());
    assert_eq!(send(shell("cat > /dev/null"), &evil), Ok(()));
    let quoted = CommandTransport::new(&["/bin/echo".to_owned(), evil]).unwrap();
    assert_eq!(send(quoted, "l"), Ok(()));
    assert!(!mark.exists());
}

fn options() -> HttpOptions {
    HttpOptions { env_proxy: false, attempt_timeout: HANG, ..HttpOptions::default() }
}

fn webhook(url: &str) -> Webhook {
    webhook_with(url, &options())
}

/// One that is to be given up, as it never answers.
fn webhook_with_short_timeout(url: &str) -> Webhook {
    webhook_with(url, &HttpOptions { attempt_timeout: Duration::from_millis(700), ..options() })
}

fn webhook_with(url: &str, options: &HttpOptions) -> Webhook {
    Webhook::new(url, SECRET, options).map_err(|error| error.to_string()).unwrap()
}

#[test]
fn a_webhook_gets_the_alert_signed_with_its_own_key() {
    let server = TestServer::start(|_| Reply::status("204 No Content", "", ""));
    let url = format!("{}hook/s3cret?s3cret", server.url());
    assert_eq!(send(webhook(&url), "our log\r\nX-Evil: 1"), Ok(()));
    let request = server.requests().remove(0);
    assert_eq!(request.path, "/hook/s3cret?s3cret");
    let body = String::from_utf8(request.body.clone()).unwrap();
    let alert: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("idempotency-key"), alert["key"].as_str());
    assert_eq!(request.header("x-evil"), None);
    assert_eq!(alert["log"]["name"], "our log\\u{d}\\u{a}X-Evil: 1");
    let signed = request.header("countersign-signature").unwrap();
    let seconds = NOW / 1000;
    let right = format!("t={seconds},v1={}", hmac(SECRET.as_bytes(), format!("{seconds}.{body}").as_bytes()));
    assert_eq!(signed, right);
    // RFC 4231, test case 2, over the form that is signed here.
    assert_eq!(signature(b"Jefe", UnixSeconds::new(7), "x"), format!("t=7,v1={}", hmac(b"Jefe", b"7.x")));
}

#[test]
fn an_unconfirmed_webhook_fails_and_its_url_is_never_shown() {
    let elsewhere = TestServer::start(|_| Reply::ok("taken"));
    let to = elsewhere.url();
    let server = TestServer::start(move |request| match request.path.as_str() {
        "/s3cret/hangs" => Reply::ok("").after(HANG),
        "/s3cret/drips" => Reply::raw("HTTP/1.1 2").drip(b'0', Duration::from_millis(200), 2000),
        "/s3cret/garbage" => Reply::raw("SSH-2.0-OpenSSH\r\n\r\n"),
        "/s3cret/moved" => Reply::status("307 Temporary Redirect", &format!("Location: {to}\r\n"), ""),
        path => Reply::status(path.rsplit('/').next().unwrap(), "", "s3cret"),
    });
    for path in ["500", "503", "429", "400", "404", "301", "100", "hangs", "drips", "garbage", "moved"] {
        let open =
            if ["100", "hangs", "drips"].contains(&path) { webhook_with_short_timeout } else { webhook };
        let why = send(open(&format!("{}s3cret/{path}", server.url())), "l").unwrap_err();
        assert!(!why.contains("s3cret") && why.contains("127.0.0.1"), "{path}: {why}");
        if let Ok(status @ 200..) = path.parse::<u16>() {
            assert!(why.contains(&status.to_string()), "{why}");
        }
    }
    assert!(elsewhere.requests().is_empty(), "an alert went to somebody else");
    assert!(send(webhook("http://127.0.0.1:1/s3cret"), "l").is_err());
}

#[test]
fn the_certificate_of_a_webhook_is_verified() {
    let server = TlsServer::start(&["http/1.1"], |_| Response::new(Full::default()));
    assert!(send(webhook(&server.url()), "l").unwrap_err().contains("certificate"));
    assert!(server.seen.requests.lock().unwrap().is_empty());
    let home = tempfile::tempdir().unwrap();
    let ca_file = home.path().join("ca.pem");
    server.write_authority(&ca_file);
    let trusting = HttpOptions { ca_file: Some(ca_file), ..options() };
    let webhook = Webhook::new(&server.url(), SECRET, &trusting).map_err(|error| error.to_string());
    assert_eq!(send(webhook.unwrap(), "l"), Ok(()));
}

fn smtp(server: &str) -> SmtpConfig {
    SmtpConfig {
        server: server.to_owned(),
        from: "Watch <watch@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "sec@example.org".to_owned()],
        ..SmtpConfig::default()
    }
}

#[test]
fn a_mail_has_readable_text_and_the_json() {
    let server = MailServer::start(|_| None);
    assert_eq!(
        send(Smtp::new(&smtp(&server.url)).unwrap(), "our log\r\nBcc: x@evil.example\r\n\r\n.\r\n"),
        Ok(())
    );
    let received = server.received.lock().unwrap().clone();
    let has = |start: &str| received.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((has("MAIL FROM:<watch@example.org>"), has("RCPT TO:")), (1, 2));
    assert_eq!((has("Subject: [countersign] info test: test"), has("Bcc:"), has(".")), (1, 0, 1));
    assert_eq!((has("Message-ID: <"), has(SAID), has("Content-Disposition: attachment")), (1, 1, 1));
}

#[test]
fn an_unconfirmed_mail_is_not_delivered() {
    for (at, answer) in [
        ("", "554 go away"),
        ("", "garbage in the place of a greeting\r\n220"),
        ("MAIL", "451 later"),
        ("RCPT", "550 nobody here"),
        ("DATA", "552 too long"),
        (".", "554 spam"),
    ] {
        let server = MailServer::start(move |command| (command == at).then(|| answer.to_owned()));
        let why = send(Smtp::new(&smtp(&server.url)).unwrap(), "l").unwrap_err();
        assert!(why.contains("127.0.0.1"), "{at} {answer}: {why}");
    }
    assert!(send(Smtp::new(&smtp("smtp://127.0.0.1:1")).unwrap(), "l").is_err());
    assert!(send(Smtp::new(&smtp("smtps://127.0.0.1:1")).unwrap(), "l").is_err());
}

/// A server that offers TLS and then has none: nothing is sent in the clear instead.
#[test]
fn failed_starttls_sends_nothing_in_plain_text() {
    let server = MailServer::start(|command| match command {
        "EHLO" => Some("250-mail.example\r\n250 STARTTLS".to_owned()),
        "STARTTLS" => Some("220 go on".to_owned()),
        _ => None,
    });
    let begun = Instant::now();
    assert!(send(Smtp::new(&smtp(&server.url)).unwrap(), "l").is_err());
    assert!(!server.received.lock().unwrap().iter().any(|line| line.starts_with("MAIL")));
    assert!(begun.elapsed() < HANG);
}

/// 127.0.0.2 is here as well, and nothing that the program takes for granted to be so.
#[test]
fn a_password_is_never_sent_in_plain_text() {
    let server = MailServer::at("127.0.0.2:0", |_| None);
    let config = SmtpConfig {
        username: Some("us".to_owned()),
        password: Some("s3cret".to_owned()),
        ..smtp(&server.url)
    };
    let why = send(Smtp::new(&config).unwrap(), "l").unwrap_err();
    assert!(!why.contains("s3cret"), "{why}");
    let received = server.received.lock().unwrap();
    assert!(
        !received.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")),
        "{received:?}"
    );
}

/// One that never ends a line, one that never ends an answer, one that drips.
#[test]
fn a_hostile_mail_server_is_bounded_in_time_and_bytes() {
    use std::io::Write;
    type Talk = fn(&mut std::net::TcpStream) -> std::io::Result<()>;
    let line: Talk = |to| loop {
        to.write_all(&[b'x'; 65536])?;
    };
    let lines: Talk = |to| loop {
        to.write_all(b"220-x\r\n")?;
    };
    let drip: Talk = |to| loop {
        to.write_all(b"2")?;
        std::thread::sleep(Duration::from_millis(100));
    };
    for (talk, why) in [(line, "more than"), (lines, "more than"), (drip, "not done within")] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || listener.incoming().flatten().for_each(|mut to| drop(talk(&mut to))));
        // A flood is detected by its length, a slow server by the time.
        let patience = Duration::from_secs(if why == "more than" { 3600 } else { 3 });
        let transport = Smtp::new(&smtp(&url)).unwrap().with_timeout(patience);
        let error = send(transport, "l").unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

/// In any answer of the server.
#[test]
fn a_password_is_never_shown() {
    let config = |url: &str| SmtpConfig {
        username: Some("us".to_owned()),
        password: Some("s3cret".to_owned()),
        ..smtp(url)
    };
    // With both of its base64 forms.
    const SAID: &str = "535 5.7.8 no: AUTH PLAIN AHVzAHMzY3JldA== czNjcmV0 s3cret";
    for (at, answer) in [
        ("AUTH", SAID),
        ("AUTH", "garbage s3cret AHVzAHMzY3JldA=="),
        ("MAIL", SAID),
        ("DATA", "x s3cret"),
        // It knows the password from the time before.
        ("", "554 s3cret"),
        ("EHLO", "550 czNjcmV0"),
        ("MAIL", "550 s3%63ret"),
        ("MAIL", "550 S3CRET"),
        ("MAIL", r"550 s3\u0063ret"),
        ("MAIL", "550 733363726574"),
        ("MAIL", "550 AHVzAHMzY3JldA"),
        ("DATA", "552 s3&#99;ret"),
        ("MAIL", "550 S\u{200b}3\u{200b}c\u{200b}r\u{200b}e\u{200b}t"),
        ("MAIL", "550 ｓ３ｃｒｅｔ"),
        ("DATA", "552 Ś3ĆRÉT"),
    ] {
        let server = MailServer::start(move |command| match command {
            command if command == at => Some(answer.to_owned()),
            "EHLO" => Some("250-mail.example\r\n250 AUTH PLAIN LOGIN".to_owned()),
            "AUTH" => Some("235 welcome".to_owned()),
            _ => None,
        });
        let why = send(Smtp::new(&config(&server.url)).unwrap(), "l").unwrap_err();
        let folded = why.to_lowercase();
        let shown =
            ["s3cret", "ahvz", "cznj", "s3%63", "u0063", "7333", "#99", "\u{200b}", "200b", "ｓ３ｃ", "ś3ć"];
        assert!(shown.iter().all(|secret| !folded.contains(secret)), "{at}: {why}");
        assert!(!answer.starts_with("535") || why.contains("535"), "{why}");
    }
}

#[test]
fn the_certificate_of_a_mail_server_is_verified() {
    let server = TlsServer::start(&[], |_| Response::new(Full::default()));
    let url = server.url().replace("https://", "smtps://");
    let why = send(Smtp::new(&smtp(&url)).unwrap(), "l").unwrap_err();
    assert!(why.contains("certificate"), "{why}");
}

fn test_alert_command(config: &Path) -> std::process::Command {
    let mut command = program();
    command.args(["monitor", "test-alert", "--format", "json", "--config"]).arg(config);
    command.env("HOOK_SECRET", SECRET);
    command
}

fn test_alert(config: &Path) -> support::cli::Outcome {
    run(test_alert_command(config))
}

/// The channels of every log, and one that several logs have once.
#[test]
fn each_channel_of_several_logs_is_tried_once() {
    let home = tempfile::tempdir().unwrap();
    let key = "log.approvals.example/2026+9978b3d0+AaRzICHzMeGTiBChYq8/zJub2Q6ZCWwzLfgLcAHvPG2u";
    let log = |name: &str, alert: &str| {
        format!(
            "[[log]]\nname = '{name}'\nlog = 'https://log.example/'\ndb = '{0}/{name}.db'\nlog-key = '{key}'\n{alert}",
            home.path().display()
        )
    };
    let page = |name: &str, file: &str| {
        let file = home.path().join(file);
        format!("name = '{name}'\ncommand = ['/bin/sh', '-c', 'cat >> {}']\n", file.display())
    };
    let all = format!("[[alert]]\n{}", page("all", "all"));
    let own = |file: &str| format!("[[log.alert]]\n{}", page("own", file));
    let config = home.path().join("c.toml");
    fs::write(
        &config,
        format!("{all}{}{}{}", log("one", &own("one")), log("two", &own("two")), log("three", &own("one"))),
    )
    .unwrap();
    let outcome = test_alert(&config);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    let report = outcome.report();
    assert_eq!(report["command"], "monitor test-alert");
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let tried: Vec<(String, String)> = report["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| (word(&channel["log"]), word(&channel["name"])))
        .collect();
    let expected = [("one", "own"), ("one", "all"), ("two", "own")];
    assert_eq!(tried, expected.map(|(log, name)| (log.to_owned(), name.to_owned())));
    for file in ["all", "one", "two"] {
        assert_eq!(fs::read_to_string(home.path().join(file)).unwrap().lines().count(), 1, "{file}");
    }
    assert!(!home.path().join("one.db").exists(), "nothing is audited");
    // Before or after, options are those of any command; those of an audit have no meaning here.
    let exit = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(&config);
        run(command).exit
    };
    assert_eq!(exit(&["--quiet", "monitor", "test-alert"]), 0);
    for wrong in [&["monitor", "--once", "test-alert"][..], &["monitor", "--db", "x", "test-alert"]] {
        assert_eq!(exit(wrong), 2, "{wrong:?}");
    }
    // A slip in one of them sends nothing.
    fs::remove_file(home.path().join("all")).unwrap();
    fs::write(&config, format!("{all}{}", log("one", "[[log.alert]]\ncommand = []\n"))).unwrap();
    assert_eq!(test_alert(&config).exit, 2);
    assert!(!home.path().join("all").exists());
}

#[test]
fn the_command_tries_and_reports_every_channel() {
    let home = tempfile::tempdir().unwrap();
    let got = home.path().join("got.json");
    let hook = TestServer::start(|_| Reply::ok(""));
    let mail = MailServer::start(|_| None);
    let good = format!(
        "[[alert]]\nname = 'page'\ncommand = ['/bin/sh', '-c', 'cat > {}']\n
         [[alert]]\nname = 'hook'\nwebhook = '{}'\nsecret-env = 'HOOK_SECRET'\nseverity = 'violation'\n
         [[alert]]\nname = 'mail'\nsmtp = '{}'\nfrom = 'watch@example.org'\nto = ['ops@example.org']\n",
        got.display(),
        hook.url(),
        mail.url
    );
    let config = home.path().join("c.toml");
    fs::write(&config, &good).unwrap();
    let outcome = test_alert(&config);
    assert_eq!((outcome.exit, outcome.verdict().as_str()), (0, "clean"), "{outcome:#?}");
    assert_eq!(hook.requests().len(), 1);
    let alert: Value = serde_json::from_slice(&fs::read(&got).unwrap()).unwrap();
    assert_eq!((&alert["kind"], &alert["code"]), (&"test".into(), &"test".into()));

    // The URL of a webhook elsewhere than in the config, with the line end that editors leave.
    let url = home.path().join("url");
    fs::write(&url, format!("{}from-a-file\n", hook.url())).unwrap();
    let elsewhere = format!(
        "[[alert]]\nwebhook-file = '{}'\nsecret-env = 'HOOK_SECRET'\n
         [[alert]]\nwebhook-env = 'HOOK_URL'\nsecret-env = 'HOOK_SECRET'\n",
        url.display()
    );
    fs::write(&config, &elsewhere).unwrap();
    let outcome = test_alert(&config);
    assert_eq!(outcome.exit, 2, "nothing is in the variable: {outcome:#?}");
    let mut command = test_alert_command(&config);
    command.env("HOOK_URL", format!("{}from-a-variable", hook.url()));
    let outcome = run(command);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    let paths: Vec<String> = hook.requests().iter().skip(1).map(|request| request.path.clone()).collect();
    assert_eq!(paths, ["/from-a-file", "/from-a-variable"]);
    assert!(!format!("{outcome:?}").contains("from-a"), "{outcome:?}");

    fs::write(&config, format!("{good}[[alert]]\nname = 'bad'\ncommand = ['/bin/false']\n")).unwrap();
    let outcome = test_alert(&config);
    let delivered: Vec<Value> = outcome.report()["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| channel["delivered"].clone())
        .collect();
    assert_eq!(outcome.exit, 3, "{outcome:#?}");
    assert_eq!(delivered, [true, true, true, false].map(Value::from));

    for wrong in [
        "",
        "[[alert]]\nwebhook = 'https://hooks.example/s3cret'\n",
        "[[alert]]\nwebhook = 'https://hooks.example/s3cret'\nsecret-env = 'NO_SUCH_VARIABLE'\n",
        "[[alert]]\nwebhook = 'http://hooks.example/s3cret'\nsecret-env = 'HOOK_SECRET'\n",
        "[[alert]]\nwebhook = 'https://hooks.example/'\nsecret-env = 'LANG'\n",
        "[[alert]]\ncommand = []\n",
        "[[alert]]\nsmtp = 'smtp://s3cret@mail.example'\nfrom = 'a@b.example'\nto = ['a@b.example']\n",
        "[[alert]]\nsmtp = 'smtp://mail.example'\nfrom = 'a@b.example'\nto = []\n",
        "[[alert]]\nsmtp = 'smtp://mail.example'\nfrom = 'a@b.example'\nto = ['a@b.example']\nusername = 'a'\n",
    ] {
        fs::write(&config, wrong).unwrap();
        let outcome = test_alert(&config);
        assert_eq!(outcome.exit, 2, "{wrong}: {outcome:#?}");
        assert!(!outcome.stderr.contains("--log"), "it is not the log that is wrong: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("s3cret"), "{wrong}: {}", outcome.stderr);
    }
}
