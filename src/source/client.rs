//! The HTTP client: HTTP/1.1 and HTTP/2, TLS, proxies, and a thread that keeps the connections. It does not
//! decode content; [`super::coding`] does.

use super::OpenError;
use super::error::describe;
use super::exhaustion::exhaustion_in;
use super::options::HttpOptions;
use super::proxy::proxy_for;
use super::runtime::{check_free_descriptors, resolve_host, runtime};
use super::user_file::{ReadError, is_local, read_file};
use crate::core::text::escape;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Url};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A bundle of all public authorities takes 250 KB.
const MAX_CA_FILE: usize = 4 * 1024 * 1024;

/// How much the server may send on one HTTP/2 stream before we have read it.
const WINDOW: u32 = 1024 * 1024;

/// The most concurrent requests, so that the sum of their windows fits into 31 bits.
const MAX_PARALLEL: usize = 1024;

/// The number of concurrent requests, at least one.
pub(super) fn parallelism(options: &HttpOptions) -> usize {
    options.parallelism.clamp(1, MAX_PARALLEL)
}

/// Descriptors needed at once to read the files of the system's authorities.
const CA_FILE_DESCRIPTORS: usize = 4;

/// A client for requests to `base`.
pub(super) fn client(base: &Url, options: &HttpOptions) -> Result<Client, OpenError> {
    // Without free descriptors, the system would look as if it had no authorities.
    check_free_descriptors(CA_FILE_DESCRIPTORS)
        .map_err(|error| OpenError::Local { cause: escape(&error.to_string()) })?;
    match builder(base, options)?.build() {
        Ok(client) => Ok(client),
        Err(error) if exhaustion_in(&error).is_some() => {
            Err(OpenError::Local { cause: escape(&describe(&error.without_url())) })
        }
        // A small container may have no authorities, and plain http needs none.
        Err(_) if base.scheme() == "http" && options.ca_file.is_none() => {
            builder(base, options)?.tls_certs_only([]).build().map_err(|error| cannot(&describe(&error)))
        }
        Err(error) => Err(cannot(&describe(&error.without_url()))),
    }
}

fn builder(base: &Url, options: &HttpOptions) -> Result<ClientBuilder, OpenError> {
    let mut agent = concat!("countersign/", env!("CARGO_PKG_VERSION")).to_owned();
    if let Some(contact) = &options.contact {
        agent.push_str(&format!(" (+{contact})"));
    }
    // A body that waits for its permit leaves its stream unread. The window of the connection has room for all
    // such streams and one more. With an adaptive window, a few unread streams would block the one that is
    // being read.
    let streams = u32::try_from(parallelism(options)).unwrap_or(u32::MAX).saturating_add(1);
    let mut builder = Client::builder()
        .user_agent(agent)
        .connect_timeout(options.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::new(Names))
        .no_gzip()
        .no_zstd()
        .no_brotli()
        .no_deflate()
        // We retry ourselves: within the rate limit, and counted.
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(if options.keep_alive { parallelism(options) } else { 0 })
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW.saturating_mul(streams))
        // All requests may share one connection: detect that it is dead, or each would wait in vain.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    // In both cases the client itself does not read the environment.
    builder = match proxy_for(base, options)? {
        Some(proxy) => {
            let cannot = |_| cannot("the proxy of the environment cannot be used");
            builder.proxy(reqwest::Proxy::all(proxy.expose().clone()).map_err(cannot)?)
        }
        None => builder.no_proxy(),
    };
    if let Some(path) = &options.ca_file {
        let wrong = |why: &str| cannot(&format!("the CA file {path:?}: {why}"));
        let roots = ca_certificates(path).map_err(|error| match error.is_local {
            true => OpenError::Local { cause: escape(&format!("the CA file {path:?}: {error}")) },
            false => wrong(&error.why),
        })?;
        let roots =
            roots.iter().map(|der| Certificate::from_der(der).map_err(|error| wrong(&error.to_string())));
        builder = builder.tls_certs_merge(roots.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(builder)
}

/// Resolves names as the client would, but on threads whose failure to start is an error.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = resolve_host(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn cannot(cause: &str) -> OpenError {
    OpenError::Client { cause: escape(cause) }
}

/// The certificates of a PEM file in DER, each usable as a root.
///
/// # Errors
/// The file cannot be read, or is not a PEM file of such certificates.
pub fn ca_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    let pem = read_file(path, MAX_CA_FILE)?;
    certificates(&pem).map_err(|why| ReadError { is_local: false, why })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = RootCertStore::empty();
    let mut certificates = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|error| format!("not PEM: {error}"))?;
        // Checked here because the client does not tell which file is wrong.
        certificates.push(der.clone());
        roots.add(der).map_err(|error| format!("certificate {}: {error}", certificates.len()))?;
    }
    match certificates.is_empty() {
        true => Err("there is no certificate in it: give it in PEM (-----BEGIN CERTIFICATE-----)".to_owned()),
        false => Ok(certificates),
    }
}

/// The thread that keeps the connections. It ends with its owner, and does not wait for a pending name look-up.
pub(super) struct Background {
    /// Dropping it ends the thread.
    _ends: oneshot::Sender<()>,
}

impl Background {
    /// Starts the thread. A multi-threaded runtime would panic if no thread can be created; here that is an
    /// error.
    pub(super) fn start() -> Result<(Background, Handle), OpenError> {
        let fail = |error: io::Error| match is_local(&error) {
            true => OpenError::Local { cause: escape(&error.to_string()) },
            false => cannot(&error.to_string()),
        };
        let runtime = runtime().map_err(fail)?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("http".to_owned());
        let run = move || {
            // The result does not matter: the owner is gone.
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        };
        thread.spawn(run).map_err(fail)?;
        Ok((Background { _ends: ends }, handle))
    }
}
