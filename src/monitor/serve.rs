//! Serves `/metrics`, `/healthz` and `/heads`: read only, without secrets, and bounded in connections, size and time.

use super::clock::Clock;
use super::metrics;
use super::state::StatusRegistry;
use crate::core::time::UnixMillis;
use crate::mirror::{HeadLine, HeadReader};
use crate::source::runtime;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

/// The maximum number of open connections; for a further one, the oldest is dropped.
const MAX_CONNECTIONS: usize = 256;

/// The maximum number of head histories that are sent at a time; further requests are refused, so that the other
/// pages stay available.
const MAX_HISTORIES: usize = 4;

/// The maximum time for a request to arrive.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The maximum time for a connection as a whole, enough to send a long history to a slow reader.
const CONNECTION_TIME: Duration = Duration::from_secs(5 * 60);

/// The maximum size of a request in bytes.
const MAX_REQUEST: usize = 16 * 1024;

/// How many heads are read and sent at a time.
const HEADS_AT_ONCE: usize = 100;

/// The wait after an error of the operating system, such as too many open files.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// The pages and their data.
pub(super) struct Pages {
    pub(super) registry: Arc<StatusRegistry>,
    pub(super) clock: Clock,
    started: UnixMillis,
    histories: Arc<Semaphore>,
}

impl Pages {
    pub(super) fn new(registry: Arc<StatusRegistry>, clock: Clock) -> Pages {
        Pages {
            registry,
            clock,
            started: clock.now().shown,
            histories: Arc::new(Semaphore::new(MAX_HISTORIES)),
        }
    }

    /// Serves for ever.
    pub(super) async fn serve(self: Arc<Pages>, listener: TcpListener) {
        let mut places = Places::default();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (pages, long) = (Arc::clone(&self), Arc::<AtomicBool>::default());
                    let served = pages.connection(stream, Arc::clone(&long));
                    // If the connection times out or is closed, there is no client to report it to.
                    let task =
                        tokio::spawn(async { drop(tokio::time::timeout(CONNECTION_TIME, served).await) });
                    places.add(task.abort_handle(), long);
                }
                Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
            }
        }
    }

    async fn connection(self: Arc<Pages>, stream: TcpStream, long: Arc<AtomicBool>) {
        let service = service_fn(|request| Arc::clone(&self).answer(request, Arc::clone(&long)));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_TIME)
            .max_buf_size(MAX_REQUEST)
            // A connection is for one request.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let _ = served.await;
    }

    async fn answer(
        self: Arc<Pages>,
        request: Request<Incoming>,
        long: Arc<AtomicBool>,
    ) -> Result<Response<Content>, Infallible> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        Ok(match request.uri().path() {
            "/metrics" => {
                let page = metrics::render(&self.registry, self.started, self.clock.now().shown);
                respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Content::whole(page))
            }
            "/healthz" => match self.registry.unhealthy_reasons(self.clock.now()) {
                reasons if reasons.is_empty() => plain(StatusCode::OK, "ok\n"),
                reasons => plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
            },
            "/heads" => self.heads(request.uri().query(), request.method() == Method::HEAD, &long).await,
            _ => plain(StatusCode::NOT_FOUND, "not found: try /metrics, /healthz or /heads?log=NAME\n"),
        })
    }

    async fn heads(&self, query: Option<&str>, head_only: bool, long: &AtomicBool) -> Response<Content> {
        let (named, since) = (parameter(query, "log"), parameter(query, "since"));
        let subject = {
            let all = self.registry.lock();
            let found = match named {
                Some(name) => all.get(&name),
                None if all.len() == 1 => all.values().next(),
                None => None,
            };
            found.map(|status| Arc::clone(&status.subject))
        };
        let Some(subject) = subject else {
            return plain(
                StatusCode::NOT_FOUND,
                "missing log: ask for /heads?log=NAME, with a name from the config\n",
            );
        };
        let Ok(place) = Arc::clone(&self.histories).try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "too many readers; try again later\n");
        };
        long.store(true, Ordering::Relaxed);
        let opened = runtime::blocking(move || {
            let reader = subject.heads().map_err(|error| error.to_string())?;
            match since {
                None => Ok(Some(reader)),
                Some(since) => reader.since(&since).map_err(|error| error.to_string()),
            }
        });
        let reader = match opened.await {
            Ok(Ok(Some(reader))) => reader,
            Ok(Ok(None)) => {
                let message =
                    "since is not a time: write it like firstSeen, such as 2026-12-31T23:59:59.000Z\n";
                return plain(StatusCode::BAD_REQUEST, message);
            }
            // The cause is in /healthz and in the log, because its message may name files of this machine.
            Ok(Err(_)) | Err(_) => {
                return plain(StatusCode::SERVICE_UNAVAILABLE, "the mirror cannot be read now\n");
            }
        };
        let content =
            if head_only { Ok(Content::Pieces(mpsc::channel(1).1)) } else { history(reader, place) };
        match content {
            Ok(content) => respond(StatusCode::OK, "application/x-ndjson", content),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the mirror cannot be read now\n"),
        }
    }
}

/// The open connections, the oldest first, and whether each is sending a history.
///
/// A request is answered at once, so the oldest connection has waited longest for its request and may never send one.
/// A connection that sends a history lives longer, and is dropped only if there is no other.
#[derive(Default)]
struct Places(VecDeque<(AbortHandle, Arc<AtomicBool>)>);

impl Places {
    fn add(&mut self, task: AbortHandle, long: Arc<AtomicBool>) {
        self.0.retain(|(task, _)| !task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let oldest = self.0.iter().position(|(_, long)| !long.load(Ordering::Relaxed)).unwrap_or(0);
            if let Some((task, _)) = self.0.remove(oldest) {
                task.abort();
            }
        }
        self.0.push_back((task, long));
    }
}

/// Sends the history piece by piece, as fast as the client reads.
///
/// # Errors
/// [`io::Error`] if no thread can be started.
fn history(mut reader: HeadReader, place: OwnedSemaphorePermit) -> io::Result<Content> {
    let (sender, pieces) = mpsc::channel(1);
    let send = move || {
        let _place = place;
        loop {
            let piece = match reader.next(HEADS_AT_ONCE) {
                Ok(heads) if heads.is_empty() => return,
                Ok(heads) => {
                    let lines =
                        heads.iter().map(|head| HeadLine::new(head).to_line()).collect::<Result<String, _>>();
                    lines.map_err(|_| BrokenOff)
                }
                // The response is cut off, so the client notices that it is incomplete.
                Err(_) => Err(BrokenOff),
            };
            let broken = piece.is_err();
            if sender.blocking_send(piece.map(Bytes::from)).is_err() || broken {
                return;
            }
        }
    };
    std::thread::Builder::new().name("history".to_owned()).spawn(send)?;
    Ok(Content::Pieces(pieces))
}

/// The first value of this name in a query (`application/x-www-form-urlencoded`).
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<Content> {
    respond(status, "text/plain; charset=utf-8", Content::whole(text))
}

fn respond(status: StatusCode, kind: &'static str, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The body of a response.
enum Content {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Result<Bytes, BrokenOff>>),
}

impl Content {
    fn whole(text: impl Into<String>) -> Content {
        Content::Whole(Some(Bytes::from(text.into())).filter(|bytes| !bytes.is_empty()))
    }
}

/// The mirror could not be read to its end.
#[derive(Debug)]
struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mirror could not be read to its end")
    }
}

impl std::error::Error for BrokenOff {}

impl Body for Content {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Pieces(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Pieces(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn query_values_are_decoded() {
        for (query, value) in [
            ("log=main", Some("main")),
            ("since=2&log=a%20b+c%C3%A9&log=main", Some("a b c\u{e9}")),
            ("log=", Some("")),
            ("log", Some("")),
            ("log=%zz", Some("%zz")),
            ("log=%ff", Some("\u{fffd}")),
            ("logs=main&xlog=main", None),
            ("", None),
        ] {
            assert_eq!(parameter(Some(query), "log").as_deref(), value, "{query}");
        }
        assert_eq!(parameter(None, "log"), None);
    }
}
