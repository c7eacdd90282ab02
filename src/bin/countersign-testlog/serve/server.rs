//! Sockets: HTTP/1.1 and HTTP/2, over TLS or not, and what stands between a request and its reply.

use super::super::output;
use super::answer::honest;
use super::compress::{compressed, in_members};
use super::disturb::{Disturbance, Forecast, Strike, Weather};
use super::lies::{Lie, content, transport};
use super::reply::{Player, Reply, Sent, Step};
use super::request::Request;
use super::stats::Stats;
use super::world::World;
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

/// Connections at once; further ones wait.
const MAX_CONNECTIONS: usize = 1024;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a restarted server is away.
const AWAY: Duration = Duration::from_millis(300);

/// For the answer to `/quit` to get out.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// One log and everybody who asks.
pub struct Server {
    pub world: RwLock<World>,
    lies: Vec<Lie>,
    weather: Mutex<Weather>,
    stats: Arc<Stats>,
    page: u64,
    compress: bool,
    /// Members of each body's gzip, in bad weather.
    gzip_members: Option<usize>,
    quit: Notify,
    /// Counts restarts: every connection ends when it changes.
    restarts: watch::Sender<u64>,
}

/// There is no answer: the connection is closed, or the stream reset.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off, as was asked for")
    }
}

impl std::error::Error for Cut {}

impl Server {
    pub fn new(
        world: World,
        lies: &[Lie],
        disturbances: &[Disturbance],
        page: u64,
        compress: bool,
    ) -> Server {
        let weather = Weather::new(disturbances);
        Server {
            world: RwLock::new(world),
            lies: lies.to_vec(),
            gzip_members: weather.gzip_members(),
            weather: Mutex::new(weather),
            stats: Arc::default(),
            page,
            compress,
            quit: Notify::new(),
            restarts: watch::Sender::new(0),
        }
    }

    /// Serves until somebody says that it is enough. `listener` is replaced at every restart.
    pub async fn run(
        self: Arc<Server>,
        mut listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> Result<(), String> {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut restarts = self.restarts.subscribe();
        loop {
            tokio::select! {
                () = self.quit.notified() => {
                    tokio::time::sleep(LAST_WORDS).await;
                    return Ok(());
                }
                changed = restarts.changed() => {
                    changed.map_err(|error| error.to_string())?;
                    drop(listener);
                    tokio::time::sleep(AWAY).await;
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
        // Small answers must not wait for each other.
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
        // Whoever goes away in the middle is what many tests are about.
        let _ =
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(self: Arc<Server>, request: hyper::Request<Incoming>) -> Result<Response<Player>, Cut> {
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
        reply.respond(Arc::clone(&self.stats)).map_err(|_| Cut)
    }

    /// The reply to a request below `/log/`: weather first, then the truth, then lies about it.
    fn log(&self, request: &Request) -> Result<Reply, Cut> {
        self.stats.asked(request.counted_as(), request.begins_a_phase());
        let forecast = self.weather.lock().unwrap_or_else(PoisonError::into_inner).next(request);
        match forecast.strike {
            Some(Strike::Status(status, retry_after)) => {
                let mut reply = transport::error(status);
                reply.headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
                return Ok(reply);
            }
            Some(Strike::Reset) => return Err(Cut),
            Some(Strike::Restart) => {
                self.restarts.send_modify(|restarts| *restarts += 1);
                return Err(Cut);
            }
            Some(Strike::Cut) | None => {}
        }
        Ok(weathered(self.told(request, &forecast), &forecast))
    }

    fn told(&self, request: &Request, forecast: &Forecast) -> Reply {
        let page = forecast.page.unwrap_or(self.page).min(self.page);
        let audience = self.world.read().unwrap_or_else(PoisonError::into_inner).audience(&request.agent);
        // Who got half a head asks again, and is still in the same phase.
        if request.begins_a_phase() && forecast.strike.is_none() {
            let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
            if let Err(why) = world.next_phase(audience) {
                output::note(&format!("countersign-testlog: the lie of phase 2 cannot be told: {why}"));
            }
        }
        let said = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            let track = world.shown(audience);
            let truth = honest(&request.ask, track, page);
            self.lies.iter().fold(truth, |said, lie| match lie {
                Lie::Content(lie) => content::tell(lie, request, track, page, said),
                Lie::History(_) | Lie::Transport(..) => said,
            })
        };
        let (status, format, body) = said.write(request);
        let reply = Reply::new(status, format.content_type(), body);
        self.lies.iter().fold(reply, |reply, lie| match lie {
            Lie::Transport(lie, kinds) => transport::tell(*lie, *kinds, request, reply),
            Lie::History(_) | Lie::Content(_) => reply,
        })
    }
}

/// A reply that is cut or slow.
fn weathered(mut reply: Reply, forecast: &Forecast) -> Reply {
    if forecast.strike == Some(Strike::Cut)
        && let Some(body) = reply.whole()
    {
        reply.sent = transport::truncated(body);
    }
    if let Some(ms) = forecast.slow {
        reply.delay += Duration::from_millis(ms);
        if let Some(body) = reply.whole() {
            // Sixteen pieces, or fewer where they would be very small.
            let (length, size) = (body.len(), body.len().div_ceil(16).max(512));
            let pieces = Step::Pieces { bytes: body.to_vec().into(), size, pause: Duration::from_millis(1) };
            reply.sent = Sent::Played { steps: vec![pieces], length: Some(length) };
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

/// Listens, also where this address was in use a moment ago.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("--listen {address}: {error}"))
}
