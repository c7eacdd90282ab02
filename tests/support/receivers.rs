//! Three receivers of alerts at once: a program, a webhook and a mail server. Each records all
//! alerts that it got, and checks that they are complete, signed and under their keys.

use super::mail::MailServer;
use super::{Reply, Request, TestServer};
use base64::Engine as _;
use countersign::core::hash::sha256;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SECRET: &str = "a secret of the receiver";

/// The program, `$1` being its folder: a file for each alert, there as a whole or not at all. A process that is killed
/// while it writes sends no line end, and has sent nothing.
const PROGRAM: &str = r#"
    part=$(mktemp "$1/part.XXXXXXXX") && cat > "$part" || exit 1
    [ "$(tail -c 1 "$part" | wc -l)" -eq 1 ] || exit 1
    mv "$part" "$1/$(basename "$part" | sed s/part/alert/)"
"#;

/// One alert as one receiver got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Got {
    /// By which the receiver knows it again.
    pub key: String,
    /// kind, code, severity.
    pub what: [String; 3],
    /// What was in the misbehaviour file.
    pub evidence: Option<String>,
}

/// See the module.
pub struct Receivers {
    folder: PathBuf,
    hook: TestServer,
    mail: MailServer,
}

impl Receivers {
    /// Starts them; what they need is below `home`.
    pub fn start(home: &Path) -> Receivers {
        let folder = home.join("told");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(home.join("program.sh"), PROGRAM).unwrap();
        std::fs::write(home.join("hook.secret"), SECRET).unwrap();
        Receivers {
            folder,
            hook: TestServer::start(|_| Reply::ok("thanks")),
            mail: MailServer::start(|_| None),
        }
    }

    /// Their tables in a config.
    pub fn tables(&self) -> String {
        let home = self.folder.parent().unwrap();
        format!(
            "[[alert]]\nname = \"program\"\ncommand = [\"/bin/sh\", {:?}, {:?}]\n\
             [[alert]]\nname = \"hook\"\nwebhook = \"{}hook\"\nsecret-file = {:?}\n\
             [[alert]]\nname = \"mail\"\nsmtp = {:?}\nfrom = \"watch@example.org\"\nto = [\"ops@example.org\"]\n",
            home.join("program.sh"),
            self.folder,
            self.hook.url(),
            home.join("hook.secret"),
            self.mail.url
        )
    }

    /// What each got so far.
    pub fn got(&self) -> BTreeMap<&'static str, Vec<Got>> {
        let posted = self.hook.requests().iter().map(posted).collect();
        let mailed = self.mail.taken.lock().unwrap().iter().map(|mail| mailed(mail)).collect();
        [("program", self.run()), ("hook", posted), ("mail", mailed)].into()
    }

    fn run(&self) -> Vec<Got> {
        let files = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let whole = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("alert."));
        whole.map(|path| of_json(&std::fs::read(path).unwrap())).collect()
    }
}

fn of_json(json: &[u8]) -> Got {
    let alert: Value = serde_json::from_slice(json).unwrap();
    let word = |name: &str| alert[name].as_str().unwrap().to_owned();
    assert_eq!(alert["tool"], "countersign", "{alert}");
    assert_eq!(alert["log"]["name"], "main", "{alert}");
    Got {
        key: word("key"),
        what: [word("kind"), word("code"), word("severity")],
        evidence: alert["evidenceContent"].as_str().map(str::to_owned),
    }
}

fn posted(request: &Request) -> Got {
    let got = of_json(&request.body);
    assert_eq!(request.header("idempotency-key"), Some(got.key.as_str()));
    let signed = request.header("countersign-signature").expect("it is signed");
    let seconds = signed.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap();
    let text = [seconds.as_bytes(), b".", &request.body].concat();
    assert_eq!(signed, format!("t={seconds},v1={}", hmac(SECRET.as_bytes(), &text)));
    got
}

/// HMAC-SHA-256 of RFC 2104, by hand.
pub fn hmac(key: &[u8], text: &[u8]) -> String {
    let pad = |byte: u8| -> Vec<u8> {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block.to_vec()
    };
    let inner = sha256(&[&pad(0x36), text].concat());
    sha256(&[&pad(0x5c)[..], &inner.0].concat()).to_string()
}

fn mailed(mail: &str) -> Got {
    let (header, _) = mail.split_once("\n\n").unwrap();
    let header = header.replace("\n ", " ");
    let line = |name: &str| header.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let got = of_json(attached(mail, "alert.json").expect("the JSON is attached").as_bytes());
    assert_eq!(line("Message-ID:"), format!("<{}@example.org>", got.key));
    let [kind, code, severity] = &got.what;
    assert!(line("Subject:").starts_with(&format!("[countersign] {severity} {kind}: {code}")), "{header}");
    assert_eq!(attached(mail, "misbehaviour.json"), got.evidence, "the same as in the JSON");
    got
}

/// An attachment, decoded.
fn attached(mail: &str, name: &str) -> Option<String> {
    let boundary = mail.split_once("boundary=\"")?.1.split_once('"')?.0;
    let part =
        mail.split(&format!("--{boundary}")).find(|part| part.contains(&format!("filename=\"{name}\"")))?;
    let (header, body) = part.split_once("\n\n")?;
    let body = body.strip_suffix('\n')?;
    let coding = header.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding:"))?.trim();
    Some(match coding {
        "7bit" | "8bit" => body.to_owned(),
        "base64" => {
            let text: String = body.split_whitespace().collect();
            String::from_utf8(base64::prelude::BASE64_STANDARD.decode(text).unwrap()).unwrap()
        }
        "quoted-printable" => unquoted(body),
        other => panic!("an attachment is coded as {other}"),
    })
}

fn unquoted(body: &str) -> String {
    let (mut bytes, body) = (Vec::new(), body.replace("=\n", ""));
    let mut rest = body.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'=').then(|| std::str::from_utf8(&after[..2]).unwrap());
        bytes.push(digits.map_or(*first, |digits| u8::from_str_radix(digits, 16).unwrap()));
        rest = if digits.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}
