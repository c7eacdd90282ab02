//! `countersign-testlog serve --approvals`, as a gate sees it.

use super::cli::Auditor;
use super::served::Served;
use countersign::{LogKey, TrustPolicy};
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;

/// An approval service and its log.
pub struct Service {
    /// The process.
    pub served: Served,
    client: Client,
}

/// Status and JSON of an answer.
pub type Answered = (u16, Value);

impl Service {
    /// A service with few entries in its log, and these options.
    #[track_caller]
    pub fn start(options: &[&str]) -> Service {
        let quick = ["--approvals", "--entries", "20", "--approvers", "4", "--mix", "es256=1"];
        Service::of(Served::start(&[&quick, options].concat()), super::HANG)
    }

    /// The same, whose client waits for an answer only so long.
    pub fn impatient(self, timeout: Duration) -> Service {
        Service::of(self.served, timeout)
    }

    fn of(served: Served, timeout: Duration) -> Service {
        let client =
            Client::builder().no_proxy().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        Service { served, client: client.build().unwrap() }
    }

    /// Below this its API is.
    pub fn base(&self) -> &str {
        self.served.announced["service"].as_str().unwrap()
    }

    /// The origin of its page and of its passkeys.
    pub fn web_origin(&self) -> &str {
        self.served.announced["allowOrigins"][0].as_str().unwrap()
    }

    /// Its API key.
    pub fn api_key(&self) -> &str {
        self.served.announced["apiKey"].as_str().unwrap()
    }

    /// A request with its API key.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base())).header("x-api-key", self.api_key())
    }

    /// Sends a request; `None` where no answer comes.
    pub fn send(request: RequestBuilder) -> Option<Answered> {
        let answer = request.send().ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(&answer.bytes().ok()?).unwrap_or_default()))
    }

    /// Asks `username` for this.
    pub fn ask(&self, username: &str, action: &str, payload: &Value) -> Option<Answered> {
        let body = json!({"username": username, "action": action, "payload": payload});
        Service::send(self.request("POST", "/api/confirmations").body(body.to_string()))
    }

    /// Waits for the decision at most so many seconds.
    pub fn wait(&self, id: &str, seconds: u64) -> Option<Answered> {
        Service::send(self.request("GET", &format!("/api/confirmations/{id}?wait={seconds}")))
    }

    /// What the log has for an id: status and the verification bundle.
    #[track_caller]
    pub fn bundle(&self, id: &str) -> (u16, Vec<u8>) {
        let answer =
            self.client.get(format!("{}/entries/{id}/verification", self.served.url)).send().unwrap();
        (answer.status().as_u16(), answer.bytes().unwrap().to_vec())
    }

    /// What is trusted of it.
    pub fn trust(&self) -> TrustPolicy {
        TrustPolicy::new(LogKey::parse(self.served.log_key()).unwrap(), "localhost", self.web_origin())
    }

    /// The same, with the software passkey of `username` pinned.
    #[track_caller]
    pub fn pinned(&self, username: &str) -> TrustPolicy {
        let mut trust = self.trust();
        trust.pin(username, self.served.announced["approverKeys"][username].as_str().unwrap()).unwrap();
        trust
    }

    /// An auditor of its log.
    pub fn auditor(&self) -> Auditor {
        let trust =
            ["--log-key", self.served.log_key(), "--rp-id", "localhost", "--allow-origin", self.web_origin()];
        let mut auditor = Auditor::new(self.served.log_key());
        auditor.trust = trust.map(str::to_owned).to_vec();
        auditor
    }
}
