//! Alerts by mail over STARTTLS, with somebody on the way who writes into what is in the clear.

use support::tls;

use countersign::alerts::{Channel, Dispatcher, DispatcherConfig, LogName, Smtp, SmtpConfig};
use countersign::core::finding::Severity;
use countersign::core::time::UnixMillis;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

/// The answers of a server that accepts an alert.
const TAKEN: &str =
    "250-mail.example\r\n250 8BITMIME\r\n235 welcome\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n";

/// The bytes in plain text, and the answers to the mail inside TLS.
#[derive(Clone)]
struct Script {
    greeting: String,
    offers: String,
    /// The answer to STARTTLS.
    begins: String,
    /// Once the first byte of TLS is there.
    inside: String,
    /// The server's answer to `MAIL`.
    mail: &'static str,
    /// To `RCPT`, to `DATA`, and to the mail itself.
    others: [&'static str; 3],
}

fn honest() -> Script {
    Script {
        greeting: "220 mail.example\r\n".to_owned(),
        offers: "250-mail.example\r\n250 STARTTLS\r\n".to_owned(),
        begins: "220 go on\r\n".to_owned(),
        inside: String::new(),
        mail: "250 ok",
        others: ["250 ok", "354 go on", "250 taken"],
    }
}

/// What the server received: in plain text, and inside TLS.
type Received = Arc<Mutex<(Vec<String>, Vec<String>)>>;

struct Server {
    url: String,
    received: Received,
    _home: tempfile::TempDir,
    ca_file: std::path::PathBuf,
}

impl Server {
    fn start(address: &str, script: Script) -> Server {
        let (authority, acceptor) = tls::acceptor(&[]);
        let home = tempfile::tempdir().unwrap();
        let ca_file = home.path().join("ca.pem");
        std::fs::write(&ca_file, authority).unwrap();
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let received = Received::default();
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The client may close the connection at any time.
                let Some(stream) = in_the_clear(stream, &script, &kept) else { continue };
                let connection = ServerConnection::new(Arc::clone(acceptor.config())).unwrap();
                inside(StreamOwned::new(connection, stream), &script, &kept);
            }
        });
        Server { url, received, _home: home, ca_file }
    }

    /// Sends a test alert, with a password if so; how it went.
    fn send(&self, password: bool) -> Result<(), String> {
        let login = |text: &str| password.then(|| text.to_owned());
        let smtp = Smtp::new(&SmtpConfig {
            server: self.url.clone(),
            from: "watch@example.org".to_owned(),
            to: vec!["ops@example.org".to_owned()],
            username: login("us"),
            password: login("s3cret"),
            ca_file: Some(self.ca_file.clone()),
        });
        let channel = Channel {
            name: "a".to_owned(),
            least: Severity::Info,
            retry_for: Duration::from_secs(1),
            transport: Box::new(smtp.unwrap()),
        };
        let dispatcher =
            Dispatcher::new(DispatcherConfig { channels: vec![channel], ..DispatcherConfig::default() })
                .unwrap();
        let log = LogName { name: "l".to_owned(), origin: "o".to_owned() };
        dispatcher
            .test(&log, UnixMillis::new(1_900_000_000_000))
            .remove(0)
            .1
            .map_err(|error| error.to_string())
    }

    fn received(&self) -> (Vec<String>, Vec<String>) {
        self.received.lock().unwrap().clone()
    }
}

/// Up to STARTTLS. Reads no byte further.
fn in_the_clear(mut stream: TcpStream, script: &Script, received: &Received) -> Option<TcpStream> {
    stream.write_all(script.greeting.as_bytes()).ok()?;
    for reply in [&script.offers, &script.begins] {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        received.lock().unwrap().0.push(String::from_utf8(line).unwrap().trim_end().to_owned());
        stream.write_all(reply.as_bytes()).ok()?;
    }
    if !script.inside.is_empty() {
        stream.peek(&mut [0]).ok()?;
        stream.write_all(script.inside.as_bytes()).ok()?;
    }
    Some(stream)
}

/// A mail server that, inside TLS, is asked from the start.
fn inside(stream: StreamOwned<ServerConnection, TcpStream>, script: &Script, received: &Received) {
    let [rcpt, data, taken] = script.others;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut in_data = false;
    while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
        let command = std::mem::take(&mut line).trim_end().to_owned();
        received.lock().unwrap().1.push(command.clone());
        if in_data && command != "." {
            continue;
        }
        let is_mail = std::mem::replace(&mut in_data, command == "DATA" && data.starts_with("354"));
        let answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
            "MAIL" => script.mail,
            "RCPT" => rcpt,
            "DATA" => data,
            "." if is_mail => taken,
            _ => "250 ok",
        };
        if write!(stream.get_mut(), "{answer}\r\n").is_err() {
            return;
        }
    }
}

/// 127.0.0.2 is this machine and nothing that the program takes for granted to be so: with a password TLS is required.
const WAYS: [(&str, bool); 3] = [("127.0.0.1", false), ("127.0.0.1", true), ("127.0.0.2", true)];

#[test]
fn an_alert_is_sent_inside_offered_tls() {
    for (address, password) in WAYS {
        let server = Server::start(address, honest());
        assert_eq!(server.send(password), Ok(()));
        let (clear, secret) = server.received();
        assert_eq!(clear.len(), 2, "{clear:?}");
        assert!(clear[0].starts_with("EHLO ") && clear[1] == "STARTTLS", "{clear:?}");
        assert!(secret[0].starts_with("EHLO "), "{secret:?}");
        assert_eq!(secret.iter().any(|line| line.starts_with("AUTH PLAIN ")), password);
        let refusing = Server::start(address, Script { mail: "554 no", ..honest() });
        assert!(refusing.send(password).unwrap_err().contains("554"));
    }
}

/// The server refuses the mail; an attacker on the path claims that it was accepted.
#[test]
fn answers_before_tls_are_not_trusted_inside() {
    let behind = |answer: &str, more: &str| format!("{answer}{more}");
    for (address, password) in WAYS {
        for more in [TAKEN, "\r\n", " ", "\0", "2", "250 ok\r\n", "220 go on\r\n", &TAKEN.repeat(20)] {
            let Script { greeting, offers, begins, .. } = honest();
            let scripts = [
                Script { begins: behind(&begins, more), ..honest() },
                Script { offers: behind(&offers, &begins) + more, ..honest() },
                Script { greeting: behind(&greeting, &offers) + &begins + more, ..honest() },
            ];
            for script in scripts {
                let server = Server::start(address, Script { mail: "554 no", ..script });
                let why = server.send(password).unwrap_err();
                assert!(why.contains("more than an answer before TLS"), "{why}");
                assert_eq!(server.received().1, Vec::<String>::new(), "nothing more is said");
            }
        }
        // In the middle of TLS it is no TLS.
        let script = Script { inside: TAKEN.to_owned(), mail: "554 no", ..honest() };
        let server = Server::start(address, script);
        assert!(server.send(password).is_err());
        assert_eq!(server.received().1, Vec::<String>::new());
    }
}

#[test]
fn nothing_confidential_is_sent_without_tls() {
    for begins in ["454 not now\r\n", "554 no\r\n", "220\r\n220 twice\r\n", "354 go on\r\n", "nonsense\r\n"] {
        for (address, password) in WAYS {
            let server = Server::start(address, Script { begins: begins.to_owned(), ..honest() });
            assert!(server.send(password).is_err());
            assert_eq!(server.received().0.len(), 2);
            assert_eq!(server.received().1, Vec::<String>::new());
        }
    }
    let offers = "250 mail.example\r\n".to_owned();
    let server = Server::start("127.0.0.2", Script { offers, ..honest() });
    assert!(server.send(true).unwrap_err().contains("STARTTLS"));
    let (clear, _) = server.received();
    assert!(!clear.iter().any(|line| line.starts_with("AUTH")), "{clear:?}");
}

/// A certificate for another name, or of an unknown authority.
#[test]
fn the_certificate_is_verified_after_starttls() {
    let one = Server::start("127.0.0.1", honest());
    let other = Server::start("127.0.0.1", honest());
    let mistaken = Server { ca_file: other.ca_file.clone(), ..one };
    assert!(mistaken.send(false).unwrap_err().contains("certificate"));
    let elsewhere = Server::start("127.0.0.3", honest());
    assert!(elsewhere.send(true).unwrap_err().contains("certificate"));
    assert_eq!(elsewhere.received().1, Vec::<String>::new());
}

/// The mail library takes any answer that is not a refusal for a yes.
#[test]
fn each_step_accepts_only_its_own_answer() {
    let with = |mail, others| Server::start("127.0.0.1", Script { mail, others, ..honest() });
    let [rcpt, data, taken] = honest().others;
    for password in [false, true] {
        assert_eq!(with("250 ok", [rcpt, data, taken]).send(password), Ok(()));
        assert_eq!(with("250 ok", ["251 will forward", data, taken]).send(password), Ok(()));
        for (mail, others) in [
            ("354 go on", [rcpt, data, taken]),
            ("250 ok", ["354 go on", data, taken]),
            ("250 ok", [rcpt, "250 ok", taken]),
            ("250 ok", [rcpt, data, "354 go on"]),
            ("250 ok", [rcpt, data, "334 more"]),
        ] {
            let error = with(mail, others).send(password).unwrap_err();
            assert!(error.contains("is not an answer to"), "{mail} {others:?}: {error}");
        }
    }
}
