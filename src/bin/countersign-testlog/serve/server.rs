//! The HTTP/1.1 and HTTP/2 server, with or without TLS.

use super::super::args::ServeOptions;
use super::super::output;
use super::answer::honest;
use super::approvals::route::Route;
use super::approvals::{Approvals, Call, MAX_BODY};
use super::compress::{compressed, in_members};
use super::disturb::{FaultInjector, InjectedFault, Injection};
use super::lies::{Lie, content, transport};
use super::reply::{BodyPlan, BodyStep, Reply, ReplyBody};
use super::request::Request;
use super::served_log::ServedLog;
use super::stats::Stats;
use crate::error::TestlogError;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
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

/// The server of one log, and of the approval service in front of it.
pub struct Server {
    pub served_log: Arc<RwLock<ServedLog>>,
    /// The approval service in front of it.
    approvals: Option<Arc<Approvals>>,
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
    /// The server of this log, and of the approval service that adds to it.
    pub fn new(
        served_log: Arc<RwLock<ServedLog>>,
        approvals: Option<Approvals>,
        options: &ServeOptions,
    ) -> Server {
        let faults = FaultInjector::new(&options.disturbances);
        Server {
            served_log,
            approvals: approvals.map(Arc::new),
            lies: options.lies.clone(),
            gzip_members: faults.gzip_members(),
            faults: Mutex::new(faults),
            stats: Arc::default(),
            page: options.page,
            compress: options.compress,
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
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let agent = header(&request, USER_AGENT);
        let accepted = header(&request, ACCEPT_ENCODING);
        let service = self.approvals.as_ref().zip(Route::read(request.method(), &target));
        let reply = match service {
            Some((approvals, route)) => self.approval_service(approvals, route, &target, request).await?,
            None => match (request.method(), target.as_str()) {
                (&Method::GET, "/stats") => Reply::json(200, &self.stats.to_json()),
                (&Method::POST, "/quit") => {
                    self.quit.notify_one();
                    Reply::json(200, &serde_json::json!({}))
                }
                (&Method::GET | &Method::HEAD, _) => match Request::read(&target, &agent) {
                    Some(asked) => self.log(&asked)?,
                    None => transport::error(404),
                },
                _ => Reply::json(405, &serde_json::json!({"error": "a log is only read"})),
            },
        };
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
        match self.instead(&injection)? {
            Some(reply) => Ok(reply),
            None => Ok(with_faults(self.lying_reply(request, &injection), &injection)),
        }
    }

    /// The reply of the approval service, after faults. What became of a request with a body is never left unknown: nobody
    /// could ask again.
    async fn approval_service(
        &self,
        approvals: &Arc<Approvals>,
        route: Route,
        target: &str,
        request: hyper::Request<Incoming>,
    ) -> Result<Reply, Aborted> {
        self.stats.count_request(route.counted_as(), false);
        let asked = Request::of_service(request.method().as_str(), target);
        let mut injection = self.faults.lock().unwrap_or_else(PoisonError::into_inner).next(&asked);
        if route.takes_body() && !matches!(injection.fault, Some(InjectedFault::Status(..))) {
            injection.fault = None;
        }
        if let Some(reply) = self.instead(&injection)? {
            return Ok(reply);
        }
        let (head, body) = request.into_parts();
        let body = match route.takes_body() {
            true => match Limited::new(body, MAX_BODY).collect().await {
                Ok(body) => body.to_bytes().to_vec(),
                Err(why) if why.is::<LengthLimitError>() => return Ok(transport::error(413)),
                Err(_) => return Err(Aborted),
            },
            false => Vec::new(),
        };
        let call = Call { target: target.to_owned(), headers: head.headers, body };
        Ok(with_faults(approvals.answer(route, &call).await, &injection))
    }

    /// What is sent instead of a response, if a fault says so.
    fn instead(&self, injection: &Injection) -> Result<Option<Reply>, Aborted> {
        match injection.fault {
            Some(InjectedFault::Status(status, retry_after)) => {
                let mut reply = transport::error(status);
                reply.headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
                Ok(Some(reply))
            }
            Some(InjectedFault::Reset) => Err(Aborted),
            Some(InjectedFault::Restart) => {
                self.restarts.send_modify(|restarts| *restarts += 1);
                Err(Aborted)
            }
            Some(InjectedFault::Cut) | None => Ok(None),
        }
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
            let elsewhere =
                self.approvals.as_ref().and_then(|service| service.instead_of(&request.resource, view));
            let truth = elsewhere.unwrap_or_else(|| honest(&request.resource, view, page));
            self.lies.iter().fold(truth, |response, lie| match lie {
                Lie::Content(lie) => content::apply(lie, request, view, page, response),
                Lie::History(_) | Lie::Transport(..) | Lie::Service(_) => response,
            })
        };
        let (status, format, body) = response.write(request);
        let reply = Reply::new(status, format.content_type(), body);
        self.lies.iter().fold(reply, |reply, lie| match lie {
            Lie::Transport(lie, kinds) => transport::apply(*lie, *kinds, request, reply),
            Lie::History(_) | Lie::Content(_) | Lie::Service(_) => reply,
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
