//! A log over HTTP(S), read as from a server that is slow, broken or hostile.
//!
//! Bounded in bytes (as sent and as decoded), time, rate and redirects. TLS says whom we talk to; it
//! proves nothing about the log, whose signature on its heads does.

use super::answer::{check, header, is_redirect, page, page_type};
use super::auth::is_loopback;
use super::body::{Gate, drain};
use super::certificate;
use super::client::{Background, parallelism};
use super::coding::ACCEPTED;
use super::lack::{Lack, lack_in, lack_in_connecting};
use super::limiter::Limiter;
use super::miss::Miss;
use super::options::HttpOptions;
use super::places::{Place, Places};
use super::proxy::{Proxy, direct_only, proxy_for};
use super::requests::Outcome;
use super::retry::{Next, RetryBudget, Timer};
use super::secrets::Secrets;
use super::tiled::{Fetcher, Found, Wanted};
use super::{FetchError, Lag, OpenError};
use crate::core::text::escape;
use reqwest::header::{ACCEPT_ENCODING, LOCATION};
use reqwest::{Response, Url};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Same-origin redirects followed for one file: one to move the log, one to tidy the path, one more.
const MAX_REDIRECTS: usize = 3;

/// The files below one URL.
///
/// Its fetches block, and must not be called on a thread that runs asynchronous tasks.
pub struct Http {
    places: Places,
    /// Ends with a slash; without credentials, so that no message can show them.
    base: Url,
    credentials: Option<(String, Option<String>)>,
    proxy: Option<Proxy>,
    options: HttpOptions,
    deadline: Option<Timer>,
    limiter: Limiter,
    gate: Gate,
    /// Something was served.
    served: AtomicBool,
    /// What a server may know and must not get printed or stored by sending it back.
    secrets: Secrets,
    lack: Lack,
    handle: Handle,
    _background: Background,
}

impl Http {
    /// The log below the `http://` or `https://` URL `text`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(text: &str, options: &HttpOptions) -> Result<Http, OpenError> {
        let mut base =
            Url::parse(text).map_err(|error| OpenError::url(text, &format!("no URL ({error})")))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(OpenError::url(text, "a prefix has no query (?) and no fragment (#)"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Http::at(base, options)
    }

    /// What is below `base`, whose end counts as it is.
    pub(super) fn at(mut base: Url, options: &HttpOptions) -> Result<Http, OpenError> {
        let credentials = take_credentials(&mut base);
        check_secrets(&base, credentials.is_some(), options)?;
        // In the clear to this machine, a password must not make a detour over a proxy either.
        let direct = credentials.is_some() && base.scheme() == "http";
        let options = &if direct { direct_only(&base, options)? } else { options.clone() };
        let (background, handle) = Background::start()?;
        let proxy = proxy_for(&base, options)?;
        Ok(Http {
            places: Places::new(&base, options)?,
            secrets: secrets(credentials.as_ref(), proxy.as_ref(), options),
            proxy,
            base,
            deadline: options.deadline.map(Timer::new),
            limiter: Limiter::new(options.max_rps),
            gate: Gate::new(),
            served: AtomicBool::new(false),
            credentials,
            options: options.clone(),
            lack: Lack::default(),
            handle,
            _background: background,
        })
    }

    /// With texts that are shown nowhere, unless they are too short for that. An answer may well contain them: one
    /// may be the log's name.
    pub(super) fn not_showing(mut self, texts: impl IntoIterator<Item = String>) -> Http {
        texts.into_iter().for_each(|text| self.secrets.add_unshown(&text));
        self
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Each path once, until one is there. A definite "no" goes on to the next path also where it
    /// is no 404, because some object stores say 403 for what is missing, and some sites an HTML
    /// page; but that "no" is then what is reported, as it is no proof of absence.
    async fn round(
        &self,
        wanted: &Wanted<'_>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Found, (String, Miss)> {
        let mut first_miss: Option<(String, Miss)> = None;
        for (place, path) in wanted.paths.iter().enumerate() {
            let url = self.url(path);
            let answer = self.ask(&url, wanted, budget).await;
            // Before the answer is counted: whoever has heard of it may rely on the pause.
            self.pause_all(answer.as_ref().err(), budget);
            let outcome = answer.as_ref().map_or_else(Miss::outcome, |_| Some(Outcome::Ok));
            outcome.into_iter().for_each(|outcome| self.options.requests.count(outcome));
            match answer {
                Ok(bytes) => return Ok(Found { place, bytes }),
                Err(
                    miss @ (Miss::Failed { .. } | Miss::Lacking(_) | Miss::Untrusted(..) | Miss::Over(_)),
                ) => {
                    return Err((url, miss));
                }
                Err(miss) => match &first_miss {
                    None => first_miss = Some((url, miss)),
                    Some((_, Miss::Absent)) if !matches!(miss, Miss::Absent) => {
                        first_miss = Some((url, miss))
                    }
                    Some(_) => {}
                },
            }
        }
        Err(first_miss.unwrap_or_else(|| (self.base.to_string(), Miss::Absent)))
    }

    /// One attempt at one file: its redirects, its headers, its body.
    async fn ask(
        &self,
        url: &str,
        wanted: &Wanted<'_>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let mut url = Url::parse(url).map_err(|error| Miss::Refused(error.to_string()))?;
        budget.begin_attempt()?;
        let place = budget.off_the_clock(self.places.take()).await?;
        for _ in 0..=MAX_REDIRECTS {
            budget.off_the_clock(self.limiter.turn()).await?;
            let response = budget.within_attempt(self.send(&url, &place)).await??;
            place.answered(response.version());
            let target = match is_redirect(response.status()) {
                true => self.redirected(&url, &response),
                false => match (check(&response, wanted.required), page_type(&response)) {
                    (Ok(codings), None) => {
                        return self.gate.read(response, &codings, wanted.limit, budget).await;
                    }
                    (Ok(codings), Some(kind)) => {
                        let began = budget.within_attempt(drain(response)).await.unwrap_or_default();
                        return Err(page(&kind, &codings.beginning(began)));
                    }
                    (Err(miss), _) => Err(miss),
                },
            };
            // Expired or not, what was in it changes nothing any more.
            let _ = budget.within_attempt(drain(response)).await;
            url = target?;
        }
        Err(Miss::Refused(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Only ever to the origin of `base`, which is what the secrets are for.
    async fn send(&self, url: &Url, place: &Place<'_>) -> Result<Response, Miss> {
        let request = place.client().get(self.with_credentials(url)).headers(self.options.headers.expose());
        let request = request.header(ACCEPT_ENCODING, ACCEPTED);
        // On the thread of the connections, after what it still has to do: there the connection of
        // the answer before this becomes free, and is used again instead of a new one. Dropping
        // the set gives the request up.
        let mut sending = JoinSet::new();
        sending.spawn(request.send());
        match sending.join_next().await {
            Some(Ok(Ok(response))) => Ok(response),
            Some(Ok(Err(error))) => {
                let error = error.without_url();
                let lack = if error.is_connect() { lack_in_connecting(&error) } else { lack_in(&error) };
                if let Some(what) = lack {
                    return Err(Miss::Lacking(what));
                }
                let advice = certificate::advice(&error, self.options.ca_file.is_some());
                Err(match advice {
                    Some(advice) => Miss::Untrusted(describe(&error), advice),
                    None => Miss::failed(describe(&error)),
                })
            }
            Some(Err(_)) | None => Err(Miss::failed("the HTTP client gave up: a bug, please report it")),
        }
    }

    async fn fetch_in_time(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
        let mut budget = RetryBudget::new(&self.options, self.deadline);
        if self.served.load(Relaxed) {
            budget = budget.with_known_server();
        }
        loop {
            let (url, mut miss) = match self.round(wanted, &mut budget).await {
                Ok(found) => {
                    self.served.store(true, Relaxed);
                    let answer = self.check_secrets(found);
                    return answer.map_err(|miss| self.error(self.base.as_str(), miss, wanted.limit, 1));
                }
                Err(missed) => missed,
            };
            let next = match &miss {
                Miss::Absent if wanted.required => budget.after_absence().await,
                Miss::Failed { cause, retry_after: Some(asked), .. }
                    if !budget.has_time_for(budget.pause(Some(*asked))) =>
                {
                    // Nobody waits for it: neither this thread, nor whoever asks for something else.
                    miss = Miss::failed(format!("{cause}; {}", budget.too_long(*asked)));
                    Next::Enough
                }
                Miss::Failed { retry_after, .. } => budget.after_failure(*retry_after).await,
                Miss::Absent
                | Miss::TooLarge
                | Miss::Rejected(_)
                | Miss::Refused(_)
                | Miss::Untrusted(..)
                | Miss::Over(_) => Next::Enough,
                // Others may give back what they hold.
                Miss::Lacking(_) => budget.after_failure(None).await,
            };
            if next == Next::NoTime && matches!(miss, Miss::Absent) {
                // One look is too little to accuse the log of a gap.
                miss = Miss::failed("not there, and no time was left to look again");
            }
            if next != Next::Ask {
                return Err(self.error(&url, miss, wanted.limit, budget.attempts()));
            }
        }
    }

    /// What a busy server asks of one of our threads, it asks of all, unless nobody has the time to wait for it.
    fn pause_all(&self, miss: Option<&Miss>, budget: &RetryBudget<'_>) {
        if let Some(Miss::Failed { outcome: Outcome::Busy, retry_after, .. }) = miss {
            let pause = budget.pause(*retry_after);
            if retry_after.is_none() || budget.has_time_for(pause) {
                self.limiter.pause(pause);
            }
        }
    }

    /// For the client alone, which makes an `Authorization` header of them.
    fn with_credentials(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some((user, password)) = &self.credentials {
            // These only fail for a URL without a host, which an http URL always has.
            let _ = url.set_username(user);
            let _ = url.set_password(password.as_deref());
        }
        url
    }

    /// Where the redirect leads, if that is the same origin: another one would be another party
    /// than the one whose name was given, and must not see the credentials.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, Miss> {
        let location = header(response, &LOCATION);
        let target = location.as_deref().and_then(|location| from.join(location).ok());
        let Some(mut target) = target else {
            return Err(Miss::Refused(format!("HTTP {} that leads nowhere", response.status())));
        };
        let as_parsed = target.to_string();
        take_credentials(&mut target);
        if target.origin() == self.base.origin() {
            return Ok(target);
        }
        // In what the server wrote, as a URL that was parsed has lost its backslashes, and in the URL, which has lost
        // its `/./` and what else stood in between.
        if location.into_iter().chain([as_parsed]).any(|text| self.secrets.are_in(&text)) {
            return Err(Miss::Refused(
                "redirected to another origin, with a secret of yours in the address; not followed"
                    .to_owned(),
            ));
        }
        target.set_query(None);
        target.set_fragment(None);
        Err(Miss::Refused(format!(
            "redirected to {target}, which is another origin and not followed (if the log has moved there, set --log to it)"
        )))
    }

    /// An answer that sends a secret back is none: it would end up in findings and in the mirror.
    fn check_secrets(&self, found: Found) -> Result<Found, Miss> {
        match self.secrets.refusal(&found.bytes) {
            Some(why) => Err(Miss::Refused(why.to_owned())),
            None => Ok(found),
        }
    }

    /// A cause that may be the proxy's, where there is one.
    fn blamed(&self, cause: &str) -> String {
        self.proxy.as_ref().map_or_else(|| cause.to_owned(), |proxy| proxy.blamed(cause))
    }

    fn error(&self, url: &str, miss: Miss, limit: usize, attempts: u32) -> FetchError {
        let url = &self.secrets.hide(url);
        match miss {
            Miss::Absent => FetchError::not_found(url),
            Miss::TooLarge => FetchError::too_large(url, limit),
            Miss::Rejected(cause) => FetchError::rejected(url, &self.blamed(&self.secrets.hide(&cause))),
            Miss::Refused(cause) => FetchError::refused(url, &self.blamed(&self.secrets.hide(&cause))),
            Miss::Failed { cause, .. } => {
                let cause = self.blamed(&self.secrets.hide(&cause));
                match attempts {
                    1 => FetchError::unavailable(url, &cause),
                    _ => FetchError::unavailable(url, &format!("{cause} (asked {attempts} times)")),
                }
            }
            Miss::Untrusted(cause, advice) => {
                let cause = self.blamed(&self.secrets.hide(&cause));
                FetchError::unavailable(url, &format!("{cause}: {advice}"))
            }
            Miss::Lacking(what) => {
                let what = escape(&what);
                let error = FetchError::unavailable(url, &what);
                self.lack.note(what);
                error
            }
            Miss::Over(why) => FetchError::unavailable(url, &why),
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

    fn lacked(&self) -> Option<String> {
        self.lack.noted()
    }

    fn fetch(&self, wanted: &Wanted<'_>) -> Result<Found, FetchError> {
        self.handle.block_on(self.fetch_in_time(wanted))
    }
}

/// Where secrets must not go, and what they would contradict.
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

/// What goes to the server and to nobody else: header values, and the password of the URL. A proxy's password is none
/// of the log's business, so an answer that happens to contain it is no less an answer.
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

/// The user and password of a URL, percent-encoded, which it then no longer has.
pub(super) fn take_credentials(url: &mut Url) -> Option<(String, Option<String>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let credentials = (url.username().to_owned(), url.password().map(str::to_owned));
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(credentials)
}

/// An error with its causes, each said once.
pub(super) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
