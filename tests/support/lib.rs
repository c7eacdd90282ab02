//! A small HTTP/1.1 server for tests: as honest as a directory, or as broken as a test says.
//!
//! `serve_dir` serves a directory log; `TestServer::scripted` plays canned raw answers, each path
//! its own; `TestServer::start` takes a function. It listens on 127.0.0.1, a thread a connection,
//! and counts what it sent, so that a test can bound what a client took.

pub mod api;
pub mod api_lab;
pub mod approvals;
pub mod browser;
pub mod case;
pub mod cli;
pub mod exposition;
pub mod lab;
pub mod log;
pub mod mail;
pub mod monitor;
pub mod passkey;
#[cfg(target_os = "linux")]
pub mod process;
pub mod receipt;
pub mod receipt_cli;
pub mod receiver;
pub mod receivers;
pub mod recorded;
pub mod served;
pub mod text;
pub mod tls;
pub mod watching;
pub mod witness;

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The root of the clone.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A program of this package, as Cargo built it beside the test that runs.
#[track_caller]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join(name);
    assert!(program.is_file(), "{program:?} is not built");
    program
}

/// Longer than any delay of a busy machine: what takes longer hangs. No shorter time is asserted where other processes can
/// cause a delay.
pub const HANG: Duration = Duration::from_secs(300);

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANG, "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the other side has left this connection open.
pub fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A request as far as the tests care.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request target, as sent.
    pub path: String,
    /// The header lines, as sent.
    pub headers: Vec<String>,
    /// As long as its `Content-Length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its lowercase name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// One thing that the server does in answering.
#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// The same bytes repeatedly, until the client closes the connection.
    Endless(Vec<u8>),
}

/// A whole answer, raw.
#[derive(Clone, Debug)]
pub struct Reply {
    steps: Vec<Step>,
    keep_alive: bool,
}

impl Reply {
    /// 200 with a right `Content-Length`; the connection stays open.
    pub fn ok(body: impl AsRef<[u8]>) -> Reply {
        Reply::status("200 OK", "Content-Type: application/octet-stream\r\n", body)
    }

    /// Any status line and header lines (each with its `\r\n`), with a right `Content-Length`.
    pub fn status(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        Reply { steps: vec![Step::Send([head.as_bytes(), body].concat())], keep_alive: true }
    }

    /// Exactly these bytes, and then the connection is closed.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply { steps: vec![Step::Send(bytes.as_ref().to_vec())], keep_alive: false }
    }

    /// The same, and the connection stays open.
    pub fn keep_alive(mut self) -> Reply {
        self.keep_alive = true;
        self
    }

    /// The same after a wait.
    pub fn after(mut self, delay: Duration) -> Reply {
        self.steps.insert(0, Step::Wait(delay));
        self
    }

    /// After what stands so far, `byte` every `interval`, `count` times.
    pub fn drip(mut self, byte: u8, interval: Duration, count: usize) -> Reply {
        for _ in 0..count {
            self.steps.extend([Step::Wait(interval), Step::Send(vec![byte])]);
        }
        self
    }

    /// After what stands so far, `bytes` without end.
    pub fn endless(mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.steps.push(Step::Endless(bytes.as_ref().to_vec()));
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    sent: AtomicU64,
    connections: AtomicU64,
    stopped: AtomicBool,
}

/// A running server; stops when dropped.
pub struct TestServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl TestServer {
    /// Answers every request with what `handler` makes of it.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            sent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(SeqCst) {
                    return;
                }
                accepting.connections.fetch_add(1, SeqCst);
                let shared = Arc::clone(&accepting);
                // Many tests are about clients that close the connection early.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        TestServer { address, shared }
    }

    /// Answers each path with its replies in turn, the last one for ever; other paths with 404.
    pub fn scripted<const N: usize>(script: [(&str, Vec<Reply>); N]) -> TestServer {
        let script: HashMap<String, VecDeque<Reply>> =
            script.into_iter().map(|(path, replies)| (path.to_owned(), replies.into())).collect();
        let script = Mutex::new(script);
        TestServer::start(move |request| match script.lock().unwrap().get_mut(&request.path) {
            Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
            Some(replies) => replies[0].clone(),
            None => not_found(),
        })
    }

    /// The prefix of everything served, with a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The paths of every request so far.
    pub fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }

    /// Bytes that clients accepted so far, socket buffers included.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        drop(TcpStream::connect(self.address)); // wakes the accepting thread
    }
}

/// Serves the files below `root`, read anew for every request; 404 for everything else.
pub fn serve_dir(root: impl AsRef<Path>) -> TestServer {
    let root = root.as_ref().to_owned();
    TestServer::start(move |request| {
        let path = Path::new(request.path.trim_start_matches('/'));
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let path = root.join(path);
        match std::fs::read(&path) {
            Ok(bytes) if inside => Reply::ok(bytes),
            _ => not_found(),
        }
    })
}

fn not_found() -> Reply {
    Reply::status("404 Not Found", "Content-Type: text/plain\r\n", "nothing here")
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let reply = (shared.handler)(&request);
        shared.requests.lock().unwrap().push(request);
        for step in &reply.steps {
            play(step, &mut stream, shared)?;
        }
        if !reply.keep_alive || shared.stopped.load(SeqCst) {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.split_off(lines.len().min(1));
    let mut request = Request { path, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn play(step: &Step, stream: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    match step {
        Step::Wait(duration) => std::thread::sleep(*duration),
        Step::Send(bytes) => send(bytes, stream, shared)?,
        Step::Endless(bytes) => {
            while !shared.stopped.load(SeqCst) {
                send(bytes, stream, shared)?;
            }
        }
    }
    Ok(())
}

fn send(bytes: &[u8], stream: &mut TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    shared.sent.fetch_add(u64::try_from(bytes.len()).unwrap(), SeqCst);
    Ok(())
}
