//! A log over HTTP(S). The server may be slow, broken or hostile.
//!
//! Every fetch is bounded in bytes (as sent and as decoded), time, rate and redirects. TLS identifies the
//! server; it proves nothing about the log, whose signature on its heads does.

use super::auth::{is_loopback, take_credentials};
use super::body::{LargeBodyLimit, drain};
use super::certificate;
use super::client::{Background, parallelism};
use super::coding::ACCEPTED;
use super::error::describe;
use super::exhaustion::{ResourceExhaustion, exhaustion_in, exhaustion_in_connecting};
use super::failure::FetchFailure;
use super::limiter::Limiter;
use super::options::HttpOptions;
use super::pool::{ConnectionPool, ConnectionSlot};
use super::proxy::{Proxy, direct_only, proxy_for};
use super::requests::RequestOutcome;
use super::response::{check, header, is_redirect, page, page_type};
use super::retry::{RetryBudget, RetryDecision, Timer};
use super::secrets::Secrets;
use super::tiled::{FetchedFile, Fetcher, FileRequest};
use super::{FetchError, Lag, OpenError};
use crate::core::text::escape;
use reqwest::header::{ACCEPT_ENCODING, LOCATION};
use reqwest::{Response, Url};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Same-origin redirects followed for one file: one for a moved log, one for path normalisation, one spare.
const MAX_REDIRECTS: usize = 3;

/// The files below one URL.
///
/// Its fetches block, and must not be called on a thread that runs asynchronous tasks.
pub struct Http {
    pool: ConnectionPool,
    /// Ends with a slash; without credentials, so that no message can show them.
    base: Url,
    credentials: Option<(String, Option<String>)>,
    proxy: Option<Proxy>,
    options: HttpOptions,
    deadline: Option<Timer>,
    limiter: Limiter,
    large_bodies: LargeBodyLimit,
    /// Whether the server has served something.
    served: AtomicBool,
    /// Secrets that the server knows, and that must not be printed or stored if it sends them back.
    secrets: Secrets,
    exhaustion: ResourceExhaustion,
    handle: Handle,
    _background: Background,
}

impl Http {
    /// The log below the `http://` or `https://` URL `text`. Does not connect yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(text: &str, options: &HttpOptions) -> Result<Http, OpenError> {
        let mut base =
            Url::parse(text).map_err(|error| OpenError::url(text, &format!("not a URL ({error})")))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(OpenError::url(text, "a prefix has no query (?) and no fragment (#)"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Http::at(base, options)
    }

    /// The files below `base`, to which no slash is added.
    pub(super) fn at(mut base: Url, options: &HttpOptions) -> Result<Http, OpenError> {
        let credentials = take_credentials(&mut base);
        check_secrets(&base, credentials.is_some(), options)?;
        // Over plain http to this machine, a password must not go through a proxy either.
        let direct = credentials.is_some() && base.scheme() == "http";
        let options = &if direct { direct_only(&base, options)? } else { options.clone() };
        let (background, handle) = Background::start()?;
        let proxy = proxy_for(&base, options)?;
        Ok(Http {
            pool: ConnectionPool::new(&base, options)?,
            secrets: secrets(credentials.as_ref(), proxy.as_ref(), options),
            proxy,
            base,
            deadline: options.deadline.map(Timer::new),
            limiter: Limiter::new(options.max_rps),
            large_bodies: LargeBodyLimit::new(),
            served: AtomicBool::new(false),
            credentials,
            options: options.clone(),
            exhaustion: ResourceExhaustion::default(),
            handle,
            _background: background,
        })
    }

    /// Hides these texts in messages, unless they are too short. An answer may contain them: one may be the
    /// log's name.
    pub(super) fn with_hidden(mut self, texts: impl IntoIterator<Item = String>) -> Http {
        texts.into_iter().for_each(|text| self.secrets.add_unshown(&text));
        self
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Tries each path once, until one exists. Any definite refusal leads to the next path, because some object
    /// stores answer 403 and some sites an HTML page for a missing file. A refusal other than 404 is then what
    /// is reported, because it does not prove absence.
    async fn try_paths(
        &self,
        wanted: &FileRequest<'_>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<FetchedFile, (String, FetchFailure)> {
        let mut first_miss: Option<(String, FetchFailure)> = None;
        for (place, path) in wanted.paths.iter().enumerate() {
            let url = self.url(path);
            let answer = self.ask(&url, wanted, budget).await;
            // Before the answer is counted, so that an observer of the counter can rely on the pause.
            self.pause_all(answer.as_ref().err(), budget);
            let outcome = answer.as_ref().map_or_else(FetchFailure::outcome, |_| Some(RequestOutcome::Ok));
            outcome.into_iter().for_each(|outcome| self.options.requests.count(outcome));
            match answer {
                Ok(bytes) => return Ok(FetchedFile { place, bytes }),
                Err(
                    miss @ (FetchFailure::Failed { .. }
                    | FetchFailure::ResourceExhausted(_)
                    | FetchFailure::Untrusted(..)
                    | FetchFailure::RunEnded(_)),
                ) => {
                    return Err((url, miss));
                }
                Err(miss) => match &first_miss {
                    None => first_miss = Some((url, miss)),
                    Some((_, FetchFailure::Absent)) if !matches!(miss, FetchFailure::Absent) => {
                        first_miss = Some((url, miss))
                    }
                    Some(_) => {}
                },
            }
        }
        Err(first_miss.unwrap_or_else(|| (self.base.to_string(), FetchFailure::Absent)))
    }

    /// One attempt to fetch one file: redirects, headers, body.
    async fn ask(
        &self,
        url: &str,
        wanted: &FileRequest<'_>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, FetchFailure> {
        let mut url = Url::parse(url).map_err(|error| FetchFailure::Refused(error.to_string()))?;
        budget.begin_attempt()?;
        let place = budget.off_the_clock(self.pool.acquire()).await?;
        for _ in 0..=MAX_REDIRECTS {
            budget.off_the_clock(self.limiter.acquire()).await?;
            let response = budget.within_attempt(self.send(&url, &place)).await??;
            place.record_version(response.version());
            let target = match is_redirect(response.status()) {
                true => self.redirected(&url, &response),
                false => match (check(&response, wanted.required), page_type(&response)) {
                    (Ok(codings), None) => {
                        return self.large_bodies.read(response, &codings, wanted.limit, budget).await;
                    }
                    (Ok(codings), Some(kind)) => {
                        let began = budget.within_attempt(drain(response)).await.unwrap_or_default();
                        return Err(page(&kind, &codings.beginning(began)));
                    }
                    (Err(miss), _) => Err(miss),
                },
            };
            // Its content no longer matters, even if the time expired.
            let _ = budget.within_attempt(drain(response)).await;
            url = target?;
        }
        Err(FetchFailure::Refused(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Sends only to the origin of `base`, for which the secrets are.
    async fn send(&self, url: &Url, place: &ConnectionSlot<'_>) -> Result<Response, FetchFailure> {
        let request = place.client().get(self.with_credentials(url)).headers(self.options.headers.expose());
        let request = request.header(ACCEPT_ENCODING, ACCEPTED);
        // Runs on the connection thread after its pending work, so that the connection of the previous answer
        // is free and is reused. Dropping the set cancels the request.
        let mut sending = JoinSet::new();
        sending.spawn(request.send());
        match sending.join_next().await {
            Some(Ok(Ok(response))) => Ok(response),
            Some(Ok(Err(error))) => {
                let error = error.without_url();
                let exhaustion =
                    if error.is_connect() { exhaustion_in_connecting(&error) } else { exhaustion_in(&error) };
                if let Some(what) = exhaustion {
                    return Err(FetchFailure::ResourceExhausted(what));
                }
                let advice = certificate::advice(&error, self.options.ca_file.is_some());
                Err(match advice {
                    Some(advice) => FetchFailure::Untrusted(describe(&error), advice),
                    None => FetchFailure::failed(describe(&error)),
                })
            }
            Some(Err(_)) | None => {
                Err(FetchFailure::failed("the HTTP client gave up: a bug, please report it"))
            }
        }
    }

    async fn fetch_in_time(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        let mut budget = RetryBudget::new(&self.options, self.deadline);
        if self.served.load(Relaxed) {
            budget = budget.with_known_server();
        }
        loop {
            let (url, mut miss) = match self.try_paths(wanted, &mut budget).await {
                Ok(found) => {
                    self.served.store(true, Relaxed);
                    let answer = self.check_secrets(found);
                    return answer.map_err(|miss| self.error(self.base.as_str(), miss, wanted.limit, 1));
                }
                Err(missed) => missed,
            };
            let next = match &miss {
                FetchFailure::Absent if wanted.required => budget.after_absence().await,
                FetchFailure::Failed { cause, retry_after: Some(asked), .. }
                    if !budget.has_time_for(budget.pause(Some(*asked))) =>
                {
                    // The wait would be too long: no thread waits for it.
                    miss = FetchFailure::failed(format!("{cause}; {}", budget.too_long(*asked)));
                    RetryDecision::GiveUp
                }
                FetchFailure::Failed { retry_after, .. } => budget.after_failure(*retry_after).await,
                FetchFailure::Absent
                | FetchFailure::TooLarge
                | FetchFailure::Rejected(_)
                | FetchFailure::Refused(_)
                | FetchFailure::Untrusted(..)
                | FetchFailure::RunEnded(_) => RetryDecision::GiveUp,
                // Other programs may release resources.
                FetchFailure::ResourceExhausted(_) => budget.after_failure(None).await,
            };
            if next == RetryDecision::NoTimeLeft && matches!(miss, FetchFailure::Absent) {
                // One look is not enough to accuse the log of a gap.
                miss = FetchFailure::failed("not there, and no time was left to look again");
            }
            if next != RetryDecision::Retry {
                return Err(self.error(&url, miss, wanted.limit, budget.attempts()));
            }
        }
    }

    /// A pause that a busy server requests from one thread applies to all threads, unless it is longer than the
    /// remaining time.
    fn pause_all(&self, miss: Option<&FetchFailure>, budget: &RetryBudget<'_>) {
        if let Some(FetchFailure::Failed { outcome: RequestOutcome::Busy, retry_after, .. }) = miss {
            let pause = budget.pause(*retry_after);
            if retry_after.is_none() || budget.has_time_for(pause) {
                self.limiter.pause(pause);
            }
        }
    }

    /// For the client only, which turns them into an `Authorization` header.
    fn with_credentials(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some((user, password)) = &self.credentials {
            // These fail only for a URL without a host, and an http URL always has one.
            let _ = url.set_username(user);
            let _ = url.set_password(password.as_deref());
        }
        url
    }

    /// The target of the redirect, if it has the same origin. Another origin is another party than the one that
    /// the user named, and must not see the credentials.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, FetchFailure> {
        let location = header(response, &LOCATION);
        let target = location.as_deref().and_then(|location| from.join(location).ok());
        let Some(mut target) = target else {
            return Err(FetchFailure::Refused(format!(
                "HTTP {} without a valid Location",
                response.status()
            )));
        };
        let as_parsed = target.to_string();
        take_credentials(&mut target);
        if target.origin() == self.base.origin() {
            return Ok(target);
        }
        // Checks the text from the server, because parsing a URL removes backslashes, and the parsed URL,
        // because parsing also removes `/./` and the like.
        if location.into_iter().chain([as_parsed]).any(|text| self.secrets.contained_in(&text)) {
            return Err(FetchFailure::Refused(
                "redirected to another origin, with a secret of yours in the address; not followed"
                    .to_owned(),
            ));
        }
        target.set_query(None);
        target.set_fragment(None);
        Err(FetchFailure::Refused(format!(
            "redirected to {target}, which is another origin and not followed (if the log has moved there, set --log to it)"
        )))
    }

    /// Refuses an answer that repeats a secret: it would end up in findings and in the mirror.
    fn check_secrets(&self, found: FetchedFile) -> Result<FetchedFile, FetchFailure> {
        match self.secrets.refusal(&found.bytes) {
            Some(why) => Err(FetchFailure::Refused(why.to_owned())),
            None => Ok(found),
        }
    }

    /// Adds the proxy to the cause of a failure, if there is one.
    fn with_proxy_named(&self, cause: &str) -> String {
        self.proxy.as_ref().map_or_else(|| cause.to_owned(), |proxy| proxy.with_proxy_named(cause))
    }

    fn error(&self, url: &str, miss: FetchFailure, limit: usize, attempts: u32) -> FetchError {
        let url = &self.secrets.hide(url);
        match miss {
            FetchFailure::Absent => FetchError::not_found(url),
            FetchFailure::TooLarge => FetchError::too_large(url, limit),
            FetchFailure::Rejected(cause) => {
                FetchError::rejected(url, &self.with_proxy_named(&self.secrets.hide(&cause)))
            }
            FetchFailure::Refused(cause) => {
                FetchError::refused(url, &self.with_proxy_named(&self.secrets.hide(&cause)))
            }
            FetchFailure::Failed { cause, .. } => {
                let cause = self.with_proxy_named(&self.secrets.hide(&cause));
                match attempts {
                    1 => FetchError::unavailable(url, &cause),
                    _ => FetchError::unavailable(url, &format!("{cause} (asked {attempts} times)")),
                }
            }
            FetchFailure::Untrusted(cause, advice) => {
                let cause = self.with_proxy_named(&self.secrets.hide(&cause));
                FetchError::unavailable(url, &format!("{cause}: {advice}"))
            }
            FetchFailure::ResourceExhausted(what) => {
                let what = escape(&what);
                let error = FetchError::unavailable(url, &what);
                self.exhaustion.record(what);
                error
            }
            FetchFailure::RunEnded(why) => FetchError::unavailable(url, &why),
        }
    }
}

impl Fetcher for Http {
    fn location(&self) -> String {
        escape(self.base.as_str())
    }

    fn parallelism(&self) -> usize {
        parallelism(&self.options)
    }

    fn lag(&self) -> Lag {
        Lag::Caches
    }

    fn resource_exhaustion(&self) -> Option<String> {
        self.exhaustion.recorded()
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        self.handle.block_on(self.fetch_in_time(wanted))
    }
}

/// Refuses secrets over plain http, and contradictory secrets.
fn check_secrets(base: &Url, credentials: bool, options: &HttpOptions) -> Result<(), OpenError> {
    let host = base.host_str().unwrap_or_default();
    if (credentials || !options.headers.is_empty()) && base.scheme() != "https" && !is_loopback(host) {
        return Err(OpenError::secrets(
            base.as_str(),
            "over plain http:// anybody on the way could read the password, token or headers, which are \
             therefore not sent: use https://",
        ));
    }
    if credentials && options.headers.has_authorization() {
        return Err(OpenError::secrets(
            base.as_str(),
            "the URL holds credentials, and a token or Authorization header is given besides: give one of them",
        ));
    }
    Ok(())
}

/// The secrets to hide: header values and the password of the URL, which only the server gets, and the password
/// of the proxy. The log does not know the latter, so an answer that happens to contain it is still valid.
fn secrets(
    credentials: Option<&(String, Option<String>)>,
    proxy: Option<&Proxy>,
    options: &HttpOptions,
) -> Secrets {
    let mut secrets = Secrets::default();
    options.headers.hide_in(&mut secrets);
    if let Some((user, password)) = credentials {
        secrets.add_credentials(user, password.as_deref().unwrap_or_default(), true);
    }
    if let Some(url) = proxy.map(Proxy::expose) {
        secrets.add_credentials(url.username(), url.password().unwrap_or_default(), false);
    }
    secrets
}
