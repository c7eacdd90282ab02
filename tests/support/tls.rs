//! A TLS server for tests, which speaks HTTP/2 and HTTP/1.1 as real ones do, and counts.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What it saw.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicU64,
    /// Connections that were begun, those included whose handshake failed.
    pub tries: AtomicU64,
    /// Version and header names with values of each request.
    pub requests: Mutex<Vec<(Version, hyper::HeaderMap)>>,
}

/// A running server, whose certificate only `authority` vouches for; stops when dropped.
pub struct TlsServer {
    address: SocketAddr,
    pub seen: Arc<Seen>,
    /// PEM.
    pub authority: String,
    _runtime: Runtime,
}

type Answer = dyn Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync;

impl TlsServer {
    /// Speaks these protocols, the preferred one first, and answers every request with `answer`.
    pub fn start(
        protocols: &[&str],
        answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> TlsServer {
        TlsServer::showing(Shown::Signed, protocols, answer)
    }

    /// The same with such a certificate.
    pub fn showing(
        shown: Shown,
        protocols: &[&str],
        answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> TlsServer {
        let (authority, acceptor) = acceptor_showing(shown, protocols);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let answer: Arc<Answer> = Arc::new(answer);
        runtime.spawn(accept(listener, acceptor, Arc::clone(&seen), answer));
        TlsServer { address, seen, authority, _runtime: runtime }
    }

    /// The prefix of everything served.
    pub fn url(&self) -> String {
        format!("https://{}/", self.address)
    }

    /// The versions of HTTP in which requests came, each once.
    pub fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<Version> =
            self.seen.requests.lock().unwrap().iter().map(|seen| seen.0).collect();
        versions.dedup();
        versions
    }

    /// Writes the authority's certificate to a file.
    pub fn write_authority(&self, path: &Path) {
        std::fs::write(path, &self.authority).unwrap();
    }
}

/// Which certificate a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// One that the authority made for 127.0.0.1.
    Signed,
    /// The authority's own.
    Authority,
    /// One that the authority made for 127.0.0.1 long ago.
    Expired,
    /// One that the authority made for another name.
    OtherName,
}

/// An authority's certificate, and a server with one that it made for 127.0.0.1 and 127.0.0.2.
pub fn acceptor(protocols: &[&str]) -> (String, TlsAcceptor) {
    acceptor_showing(Shown::Signed, protocols)
}

fn acceptor_showing(shown: Shown, protocols: &[&str]) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names: &[&str] =
        if shown == Shown::OtherName { &["log.example"] } else { &["127.0.0.1", "127.0.0.2"] };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if shown == Shown::Expired {
        params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let (certificate, key) = match shown {
        Shown::Authority => (authority.der().clone(), authority.key().serialize_der()),
        _ => (certificate.der().clone(), key.serialize_der()),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn accept(
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
    answer: Arc<Answer>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        seen.tries.fetch_add(1, SeqCst);
        let (acceptor, seen, answer) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&answer));
        tokio::spawn(async move {
            // A client that does not trust us goes away here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            seen.connections.fetch_add(1, SeqCst);
            let service = service_fn(move |request: Request<Incoming>| {
                seen.requests.lock().unwrap().push((request.version(), request.headers().clone()));
                let response = answer(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
