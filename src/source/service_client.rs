//! Requests to an approval service: one at a time, with a secret header, and an answer that is bounded in bytes and in
//! time.
//!
//! No redirect is followed: the header, and what is asked, are for this server alone. An answer that repeats a secret is
//! not passed on. Whether a request that got no answer was sent is told apart, because one that may have been sent must
//! not be sent again.

use super::failure::FetchFailure;
use super::options::HttpOptions;
use super::response::header;
use super::retry::{Expired, RetryBudget, RetryDecision, Timer, retry_after};
use super::secrets::Secrets;
use super::sender::{Sender, private_url};
use super::{OpenError, Stop};
use crate::core::text::escape;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, Url};
use std::time::{Duration, SystemTime};

/// The longest wait between two attempts, but for what the server asks for: a person may decide at any moment.
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// A request, with its path below the base URL.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRequest<'a> {
    /// The path, with a query if there is one; without a leading slash.
    pub path: &'a str,
    /// The JSON to post. Without it the request is a `GET`.
    pub body: Option<&'a [u8]>,
    /// Further headers.
    pub headers: &'a [(&'static str, &'a str)],
    /// The most bytes of an answer.
    pub limit: usize,
    /// The most time for the whole answer.
    pub timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceAnswer {
    /// The status.
    pub status: u16,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The body; empty if it is of an error, and too long or repeats a secret.
    pub body: Vec<u8>,
}

/// Why there is no answer. The text is escaped and without secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceFailure {
    /// No connection was made: nothing was sent.
    Unsent(String),
    /// This machine has run out of a resource: nothing was sent.
    ResourceExhausted(String),
    /// It may have been sent, and no whole answer came.
    NoAnswer(String),
    /// It was answered, and the answer is too long or repeats a secret.
    Refused(String),
    /// The run was told to stop.
    Stopped,
}

/// A client for one approval service. Requests block, and must not be made on a thread that runs asynchronous tasks.
pub struct ServiceClient {
    /// Ends with a slash.
    base: Url,
    sender: Sender,
    options: HttpOptions,
}

impl ServiceClient {
    /// Prepares requests below this `https://` URL, or `http://` URL of this machine. `options.headers` go with each of
    /// them. Does not connect yet.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage. It shows only the origin of the URL.
    pub fn new(text: &str, options: &HttpOptions) -> Result<ServiceClient, OpenError> {
        let mut base = private_url(text)?;
        if base.query().is_some() || base.fragment().is_some() {
            let url = escape(&base.origin().ascii_serialization());
            return Err(OpenError::Url {
                url,
                cause: "write it without a query (?) and a fragment (#)".to_owned(),
            });
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let options = HttpOptions {
            // Time alone ends the retries.
            retries: u32::MAX,
            resource_timeout: Duration::MAX,
            backoff_cap: BACKOFF_CAP,
            parallelism: 1,
            ..options.clone()
        };
        let mut secrets = Secrets::default();
        options.headers.hide_in(&mut secrets);
        let sender = Sender::new(&base, &options, secrets)?;
        Ok(ServiceClient { base, sender, options })
    }

    /// The base URL, for messages and for rows of a journal. It has no secret in it.
    pub fn location(&self) -> String {
        escape(self.base.as_str())
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// [`ServiceFailure`].
    pub fn send(&self, request: &ServiceRequest<'_>) -> Result<ServiceAnswer, ServiceFailure> {
        let url = self.base.join(request.path);
        let url = url.map_err(|error| ServiceFailure::Unsent(format!("the path of a request: {error}")))?;
        let client = &self.sender.client;
        let mut builder = match request.body {
            Some(body) => client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec()),
            None => client.get(url),
        };
        builder = builder.header(ACCEPT, "application/json").headers(self.options.headers.expose());
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        let options = HttpOptions { attempt_timeout: request.timeout, ..self.options.clone() };
        let answer = self.sender.handle.block_on(async {
            let mut budget = RetryBudget::new(&options, None);
            budget.begin_attempt().map_err(|_| ServiceFailure::Stopped)?;
            let answer = budget.within_attempt(self.answer(builder, request.limit)).await;
            answer.map_err(|expired| match expired {
                Expired::Stopped => ServiceFailure::Stopped,
                expired => ServiceFailure::NoAnswer(said(expired)),
            })?
        })?;
        match self.repeats_secret(&answer.body) {
            None => Ok(answer),
            // "Wrong key: …" is a refusal as well.
            Some(_) if !is_success(answer.status) => Ok(ServiceAnswer { body: Vec::new(), ..answer }),
            Some(why) => Err(ServiceFailure::Refused(why.to_owned())),
        }
    }

    async fn answer(&self, builder: RequestBuilder, limit: usize) -> Result<ServiceAnswer, ServiceFailure> {
        let response = builder.send().await.map_err(|error| self.failure(error))?;
        let (status, now) = (response.status().as_u16(), SystemTime::now());
        let asked = header(&response, &RETRY_AFTER).and_then(|value| retry_after(&value, now));
        let body = match self.body(response, limit).await {
            // A long error page says what its status says.
            Err(ServiceFailure::Refused(_)) if !is_success(status) => Vec::new(),
            body => body?,
        };
        Ok(ServiceAnswer { status, retry_after: asked, body })
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, ServiceFailure> {
        let mut body = Vec::new();
        loop {
            let broken = |error| match self.failure(error) {
                // It was sent, whatever cut its answer short.
                ServiceFailure::Unsent(why) => ServiceFailure::NoAnswer(why),
                failure => failure,
            };
            let Some(chunk) = response.chunk().await.map_err(broken)? else { return Ok(body) };
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(ServiceFailure::Refused(format!("the answer is longer than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn failure(&self, error: reqwest::Error) -> ServiceFailure {
        let failure = self.sender.failure(error);
        let cause = escape(&failure.cause);
        match (failure.is_unsent, failure.is_exhausted) {
            (true, true) => ServiceFailure::ResourceExhausted(cause),
            (true, false) => ServiceFailure::Unsent(cause),
            (false, _) => ServiceFailure::NoAnswer(cause),
        }
    }

    /// Hides the secrets in a text.
    pub fn hide(&self, text: &str) -> String {
        self.sender.secrets.hide(text)
    }

    /// Why bytes from elsewhere must not be kept: they contain a secret that is only for this service.
    pub fn repeats_secret(&self, bytes: &[u8]) -> Option<&'static str> {
        self.sender.secrets.refusal(bytes)
    }

    /// What ends all requests and waits.
    pub fn stop(&self) -> &Stop {
        &self.options.stop
    }

    /// Waits between attempts at one thing, for at most `total` together.
    pub fn pauses(&self, total: Duration) -> Pauses<'_> {
        Pauses { budget: RetryBudget::new(&self.options, Some(Timer::new(total))), client: self }
    }

    /// Waits. Returns `false` at once when the run is told to stop.
    pub fn sleep(&self, time: Duration) -> bool {
        let waited = async { tokio::time::timeout(time, self.options.stop.stopped()).await };
        self.sender.handle.block_on(waited).is_err()
    }
}

/// The waits between attempts at one thing: they grow, and are at least as long as the server asks for.
pub struct Pauses<'a> {
    budget: RetryBudget<'a>,
    client: &'a ServiceClient,
}

impl Pauses<'_> {
    /// Waits before the next attempt. Returns `false` if no time is left for that, or if the run is told to stop.
    pub fn wait(&mut self, retry_after: Option<Duration>) -> bool {
        let waited = self.client.sender.handle.block_on(self.budget.after_failure(retry_after));
        waited == RetryDecision::Retry
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn said(expired: Expired) -> String {
    match FetchFailure::from(expired) {
        FetchFailure::Failed { cause, .. } | FetchFailure::RunEnded(cause) => cause,
        _ => "no answer in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SecretHeaders;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    const KEY: &str = "s3cret-api-key";

    fn client(url: &str) -> Result<ServiceClient, OpenError> {
        let mut headers = SecretHeaders::default();
        headers.add_token("x-api-key", &format!("{KEY}\n")).unwrap();
        let options = HttpOptions { env_proxy: false, headers, ..HttpOptions::default() };
        ServiceClient::new(url, &options)
    }

    fn ask(client: &ServiceClient) -> Result<ServiceAnswer, ServiceFailure> {
        let timeout = Duration::from_secs(20);
        let headers = &[("idempotency-key", "k")];
        client.send(&ServiceRequest { path: "api/x?a=1", body: Some(b"{}"), headers, limit: 100, timeout })
    }

    /// A server that answers one request with these bytes; what it was sent.
    fn answering(answer: String) -> (ServiceClient, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client(&format!("http://{}/base", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut sent = Vec::new();
            while !sent.ends_with(b"{}") {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).unwrap();
                sent.extend_from_slice(&piece[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(sent).unwrap()
        });
        (client, server)
    }

    fn response(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_request_has_the_key_and_an_answer_its_status() {
        let (client, server) = answering(response("429 Slow\r\nRetry-After: 7", "{}"));
        let expected =
            ServiceAnswer { status: 429, retry_after: Some(Duration::from_secs(7)), body: b"{}".to_vec() };
        assert_eq!(ask(&client), Ok(expected));
        let sent = server.join().unwrap();
        assert!(sent.starts_with("POST /base/api/x?a=1 HTTP/1.1\r\n"), "{sent}");
        for line in [&format!("x-api-key: {KEY}"), "idempotency-key: k", "content-type: application/json"] {
            assert!(sent.contains(&format!("{line}\r\n")), "{sent}");
        }
    }

    #[test]
    fn answers_are_bounded_and_keep_no_secret() {
        for (answer, expected) in [
            (response("200 OK", &"x".repeat(101)), "longer"),
            (response("200 OK", KEY), "repeats a secret"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned(), "NoAnswer"),
            (String::new(), "NoAnswer"),
        ] {
            let (client, server) = answering(answer);
            let said = format!("{:?}", ask(&client));
            assert!(said.starts_with("Err(") && said.contains(expected) && !said.contains(KEY), "{said}");
            server.join().unwrap();
        }
    }

    #[test]
    fn an_error_is_one_whatever_it_quotes() {
        for body in [KEY.to_owned(), "x".repeat(101), KEY.repeat(20)] {
            let (client, server) = answering(response("401 No", &body));
            let expected = ServiceAnswer { status: 401, retry_after: None, body: Vec::new() };
            assert_eq!(ask(&client), Ok(expected));
            server.join().unwrap();
        }
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let head = format!("307 T\r\nLocation: http://{}/", elsewhere.local_addr().unwrap());
        let (client, server) = answering(response(&head, ""));
        assert_eq!(ask(&client).map(|answer| answer.status), Ok(307));
        server.join().unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        assert!(elsewhere.accept().is_err());
    }

    #[test]
    fn what_was_not_sent_is_told_apart() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = client(&format!("http://{address}/")).unwrap();
        assert!(matches!(ask(&client), Err(ServiceFailure::Unsent(_))));
        client.stop().stop();
        assert_eq!(ask(&client), Err(ServiceFailure::Stopped));
        assert!(!client.pauses(Duration::from_secs(60)).wait(None));
        assert!(!client.sleep(Duration::from_secs(60)));
    }

    #[test]
    fn pauses_end_with_their_time() {
        let client = client("http://127.0.0.1:1/").unwrap();
        let mut pauses = client.pauses(Duration::from_secs(60));
        assert!(!pauses.wait(Some(Duration::from_secs(61))));
        assert!(pauses.wait(None));
    }

    #[test]
    fn only_a_private_base_is_taken() {
        for wrong in [
            "http://host.example/",
            "https://u:s3cret@host.example/",
            "https://host.example/?s3cret",
            "s3cret",
        ] {
            let error = client(wrong).err().map(|error| error.to_string()).unwrap();
            assert!(!error.contains("s3cret"), "{wrong}: {error}");
        }
        assert_eq!(client("https://host.example/a").unwrap().location(), "https://host.example/a/");
    }
}
