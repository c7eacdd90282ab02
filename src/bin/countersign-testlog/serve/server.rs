//! The HTTP/1.1 and HTTP/2 server, with or without TLS.

use super::super::output;
use super::answer::honest;
use super::compress::{compressed, in_members};
use super::disturb::{Disturbance, FaultInjector, InjectedFault, Injection};
use super::lies::{Lie, content, transport};
use super::reply::{BodyPlan, BodyStep, Reply, ReplyBody};
use super::request::Request;
use super::served_log::ServedLog;
use super::stats::Stats;
use crate::error::TestlogError;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Simultaneous connections. Further ones wait.
const MAX_CONNECTIONS: usize = 1024;

/// Time limit for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a restarted server does not listen.
const RESTART_PAUSE: Duration = Duration::from_millis(300);

/// Time to send the response to `/quit`.
const QUIT_DELAY: Duration = Duration::from_millis(100);

/// The server of one log.
pub struct Server {
    pub served_log: RwLock<ServedLog>,
    lies: Vec<Lie>,
    faults: Mutex<FaultInjector>,
    stats: Arc<Stats>,
    page: u64,
    compress: bool,
    /// Members of each body's gzip, if that disturbance is on.
    gzip_members: Option<usize>,
    quit: Notify,
    /// The number of restarts. Every connection ends when it changes.
    restarts: watch::Sender<u64>,
}

/// There is no response: the connection is closed, or the stream reset.
#[derive(Debug)]
struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off, as was asked for")
    }
}

impl std::error::Error for Aborted {}

impl Server {
    pub fn new(
        served_log: ServedLog,
        lies: &[Lie],
        disturbances: &[Disturbance],
        page: u64,
        compress: bool,
    ) -> Server {
        let faults = FaultInjector::new(disturbances);
        Server {
            served_log: RwLock::new(served_log),
            lies: lies.to_vec(),
            gzip_members: faults.gzip_members(),
            faults: Mutex::new(faults),
            stats: Arc::default(),
            page,
            compress,
            quit: Notify::new(),
            restarts: watch::Sender::new(0),
        }
    }

    /// Serves until `/quit`. `listener` is replaced at every restart.
    ///
    /// # Errors
    /// The address cannot be bound again.
    pub async fn run(
        self: Arc<Server>,
        mut listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> Result<(), TestlogError> {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut restarts = self.restarts.subscribe();
        loop {
            tokio::select! {
                () = self.quit.notified() => {
                    tokio::time::sleep(QUIT_DELAY).await;
                    return Ok(());
                }
                changed = restarts.changed() => {
                    changed.map_err(|error| error.to_string())?;
                    drop(listener);
                    tokio::time::sleep(RESTART_PAUSE).await;
                    listener = listen(address).await?;
                }
                accepted = listener.accept() => {
                    let (Ok((stream, _)), Ok(permit)) = (accepted, Arc::clone(&room).acquire_owned().await) else {
                        continue;
                    };
                    let (server, tls) = (Arc::clone(&self), tls.clone());
                    tokio::spawn(async move {
                        server.connection(stream, tls).await;
                        drop(permit);
                    });
                }
            }
        }
    }

    async fn connection(self: Arc<Server>, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Small responses must not wait for each other.
        let _ = stream.set_nodelay(true);
        let mut restarts = self.restarts.subscribe();
        let served = async {
            match tls {
                None => self.http(stream).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        self.http(stream).await;
                    }
                }
            }
        };
        tokio::select! {
            () = served => {}
            _ = restarts.changed() => {}
        }
    }

    async fn http(self: &Arc<Server>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(|request| Arc::clone(self).answer(request));
        // Many tests close the connection in the middle, which is not an error here.
        let _ =
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        self: Arc<Server>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<ReplyBody>, Aborted> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let agent = header(&request, USER_AGENT);
        let reply = match (request.method(), target) {
            (&Method::GET, "/stats") => json(200, &self.stats.to_json()),
            (&Method::POST, "/quit") => {
                self.quit.notify_one();
                json(200, &serde_json::json!({}))
            }
            (&Method::GET | &Method::HEAD, _) => match Request::read(target, &agent) {
                Some(asked) => self.log(&asked)?,
                None => transport::error(404),
            },
            _ => json(405, &serde_json::json!({"error": "a log is only read"})),
        };
        let accepted = header(&request, ACCEPT_ENCODING);
        let reply = match (self.gzip_members, self.compress) {
            (Some(members), _) => in_members(reply, &accepted, members),
            (None, true) => compressed(reply, &accepted),
            (None, false) => reply,
        };
        tokio::time::sleep(reply.delay).await;
        reply.respond(Arc::clone(&self.stats)).map_err(|_| Aborted)
    }

    /// The reply to a request below `/log/`: first faults, then the honest response, then lies about it.
    fn log(&self, request: &Request) -> Result<Reply, Aborted> {
        self.stats.count_request(request.counted_as(), request.begins_a_phase());
        let injection = self.faults.lock().unwrap_or_else(PoisonError::into_inner).next(request);
        match injection.fault {
            Some(InjectedFault::Status(status, retry_after)) => {
                let mut reply = transport::error(status);
                reply.headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
                return Ok(reply);
            }
            Some(InjectedFault::Reset) => return Err(Aborted),
            Some(InjectedFault::Restart) => {
                self.restarts.send_modify(|restarts| *restarts += 1);
                return Err(Aborted);
            }
            Some(InjectedFault::Cut) | None => {}
        }
        Ok(with_faults(self.lying_reply(request, &injection), &injection))
    }

    fn lying_reply(&self, request: &Request, injection: &Injection) -> Reply {
        let page = injection.page.unwrap_or(self.page).min(self.page);
        let audience =
            self.served_log.read().unwrap_or_else(PoisonError::into_inner).audience(&request.agent);
        // A client that got half a head retries, and is still in the same phase.
        if request.begins_a_phase() && injection.fault.is_none() {
            let mut served_log = self.served_log.write().unwrap_or_else(PoisonError::into_inner);
            if let Err(why) = served_log.next_phase(audience) {
                output::note(&format!("countersign-testlog: the lie of phase 2 cannot be served: {why}"));
            }
        }
        let response = {
            let served_log = self.served_log.read().unwrap_or_else(PoisonError::into_inner);
            let view = served_log.shown(audience);
            let truth = honest(&request.resource, view, page);
            self.lies.iter().fold(truth, |response, lie| match lie {
                Lie::Content(lie) => content::apply(lie, request, view, page, response),
                Lie::History(_) | Lie::Transport(..) => response,
            })
        };
        let (status, format, body) = response.write(request);
        let reply = Reply::new(status, format.content_type(), body);
        self.lies.iter().fold(reply, |reply, lie| match lie {
            Lie::Transport(lie, kinds) => transport::apply(*lie, *kinds, request, reply),
            Lie::History(_) | Lie::Content(_) => reply,
        })
    }
}

/// Makes a reply incomplete or slow, as injected.
fn with_faults(mut reply: Reply, injection: &Injection) -> Reply {
    if injection.fault == Some(InjectedFault::Cut)
        && let Some(body) = reply.whole()
    {
        reply.sent = transport::truncated(body);
    }
    if let Some(ms) = injection.slow {
        reply.delay += Duration::from_millis(ms);
        if let Some(body) = reply.whole() {
            // Sixteen pieces, or fewer if they would be very small.
            let (length, size) = (body.len(), body.len().div_ceil(16).max(512));
            let pieces =
                BodyStep::Pieces { bytes: body.to_vec().into(), size, pause: Duration::from_millis(1) };
            reply.sent = BodyPlan::Steps { steps: vec![pieces], length: Some(length) };
        }
    }
    reply
}

fn json(status: u16, value: &serde_json::Value) -> Reply {
    Reply::new(status, "application/json", value.to_string().into_bytes())
}

fn header(request: &hyper::Request<Incoming>, name: hyper::header::HeaderName) -> String {
    let value =
        request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_default()
}

/// Listens on this address, also if it was in use a moment ago.
///
/// # Errors
/// The address cannot be bound.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, TestlogError> {
    TcpListener::bind(address).await.map_err(|error| format!("--listen {address}: {error}").into())
}
