//! Something like a clone, in which the blocks of one document run one after the other.

use super::page::{Block, root};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::HANG;
use support::receipt_cli::{DEMO_ID, DEMO_KEY};
use support::served::Served;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
const TESTLOG: &str = env!("CARGO_BIN_EXE_countersign-testlog");

/// In the place of cargo: what is built is the program under test.
const CARGO: &str = r#"#!/bin/sh
case "$1 ${2-} ${3-} ${4-}" in
  "build "*) exit 0 ;;
  "run --bin countersign-testlog --") shift 4; exec countersign-testlog "$@" ;;
  "run -- "*) shift 2; exec countersign "$@" ;;
esac
echo "no stand-in for cargo $*" >&2; exit 99
"#;

/// How a block ended, and its output.
pub struct Ended {
    pub exit: Option<i32>,
    pub output: String,
}

/// A process group that is ended with this.
struct Group {
    child: Child,
    /// Where it listens.
    address: Option<String>,
}

impl Group {
    /// As Control-C does; whoever does not listen to that is killed.
    fn end(mut self) {
        self.signal("INT");
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() && begun.elapsed() < HANG {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

pub struct Folder {
    place: TempDir,
    /// The demo log over HTTP, where a page needs one.
    _served: Option<Served>,
    /// What stands in a document, and what it is here.
    stand_ins: Vec<(String, String)>,
    background: Vec<Group>,
}

impl Folder {
    /// A folder with the parts of the clone, and the log of `host.example` if a document speaks of it.
    pub fn new(text: &str) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["tests", "src", "benches", "README.md", "CHANGELOG.md", "Cargo.toml"] {
            symlink(root().join(name), path.join(name)).unwrap();
        }
        for name in
            ["bin", "home", "target/debug", "fixtures/ops", "etc/countersign", "var/lib/countersign/evidence"]
        {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        for entry in fs::read_dir(root().join("fixtures")).unwrap().map(Result::unwrap) {
            if entry.file_name() != "ops" {
                symlink(entry.path(), path.join("fixtures").join(entry.file_name())).unwrap();
            }
        }
        symlink(PROGRAM, path.join("target/debug/countersign")).unwrap();
        symlink(PROGRAM, path.join("bin/countersign")).unwrap();
        symlink(TESTLOG, path.join("bin/countersign-testlog")).unwrap();
        write_program(&path.join("bin/cargo"), CARGO);
        for name in ["hook.secret", "mail.secret", "other-org.token"] {
            fs::write(path.join("etc/countersign").join(name), "0123456789abcdef-secret\n").unwrap();
        }
        let demo = root().join("fixtures/demo");
        let asks = text.contains("https://host.example/public/log");
        let serve = [
            "--dir",
            demo.to_str().unwrap(),
            "--seed",
            "countersign demo",
            "--origin",
            "log.approvals.example/demo",
        ];
        let served = asks.then(|| Served::start(&serve));
        let url = served.as_ref().map_or_else(String::new, |served| served.url.clone());
        let place = path.display();
        let stand_ins: Vec<(String, String)> = [
            ("https://host.example/public/log/entries/ID", format!("{url}/entries/{DEMO_ID}")),
            ("https://host.example/public/log", url),
            ("https://host.example/approvals", demo.display().to_string()),
            ("log.approvals.example/2026+4f21c0de+Aa…", DEMO_KEY.to_owned()),
            ("2f6c…", "ab".repeat(32)),
            ("/etc/countersign/", format!("{place}/etc/countersign/")),
            ("/var/lib/countersign", format!("{place}/var/lib/countersign")),
            ("8080", free_port()),
            ("9464", free_port()),
        ]
        .map(|(from, to)| (from.to_owned(), to))
        .to_vec();
        let made = Folder { place: folder, _served: served, stand_ins, background: Vec::new() };
        for entry in fs::read_dir(root().join("fixtures/ops")).unwrap().map(Result::unwrap) {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(made.path().join("fixtures/ops").join(entry.file_name()), made.with_stand_ins(&text))
                .unwrap();
        }
        made
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// A text with what there is in the place of what is an example.
    pub fn with_stand_ins(&self, text: &str) -> String {
        self.stand_ins.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Writes a block that a document shows as a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name.trim_start_matches('/'));
        fs::write(&path, self.with_stand_ins(text)).unwrap();
        path
    }

    /// Runs a block to its end.
    pub fn run(&mut self, block: &Block) -> Ended {
        let output = self.path().join("said");
        let mut child = self.start(block, &output);
        let begun = Instant::now();
        let exit = loop {
            match child.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if begun.elapsed() > HANG => break None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        Ended { exit, output: read(&output) }
    }

    /// Starts a block that does not end, and waits until it listens, or says something.
    pub fn run_in_background(&mut self, block: &Block) {
        let address = block.marker("background").filter(|address| !address.is_empty());
        let address = address.map(|address| self.with_stand_ins(address));
        // A second one at an address is in the place of the first.
        let (before, others) =
            self.background.drain(..).partition(|group| address.is_some() && group.address == address);
        self.background = others;
        let before: Vec<Group> = before;
        before.into_iter().for_each(Group::end);
        let output = self.path().join(format!("said-{}", block.place.replace(['/', ':'], "-")));
        let mut group = self.start(block, &output);
        group.address = address;
        let begun = Instant::now();
        loop {
            let is_ready = match &group.address {
                Some(address) => TcpStream::connect(address).is_ok(),
                None => read(&output).contains('\n'),
            };
            if is_ready {
                break;
            }
            let ended = group.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}: {ended:?}: {}", block.place, read(&output));
            assert!(begun.elapsed() < HANG, "{}: it never listens: {}", block.place, read(&output));
            std::thread::sleep(Duration::from_millis(20));
        }
        self.background.push(group);
    }

    fn start(&self, block: &Block, output: &Path) -> Group {
        // A trial names the example's paths to replace them itself.
        let script =
            if block.marker("try").is_some() { block.text.clone() } else { self.with_stand_ins(&block.text) };
        let file = File::create(output).unwrap();
        let search = format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-euc", &script]).current_dir(self.path()).env("PATH", search).process_group(0);
        command.env("HOME", self.path().join("home")).env("LC_ALL", "C.UTF-8");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Group { child: command.spawn().unwrap(), address: None }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Before the folder that they write into is gone.
        self.background.drain(..).for_each(Group::end);
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Written by a child: while this process has it open, another thread's child may too, and then it cannot be run.
fn write_program(path: &Path, text: &str) {
    let mut write = Command::new("/bin/sh");
    write.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 700 \"$0\""]).arg(path).arg(text);
    assert!(write.status().unwrap().success());
}

/// A port that nobody listens on, and that no system hands out: between now and its use, another test could get it.
fn free_port() -> String {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() * 16;
    loop {
        let port = 10_000 + (first + TRIED.fetch_add(1, SeqCst)) % 20_000;
        if TcpListener::bind(format!("127.0.0.1:{port}")).is_ok() {
            return port.to_string();
        }
    }
}
