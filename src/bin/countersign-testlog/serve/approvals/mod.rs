//! The approval service: the API of the gate specification (section 1), and a page on which a person decides with a passkey.
//!
//! Every decision enters the log at once, before anybody hears of it. Passkeys and confirmations are in memory. It is honest
//! unless lies are requested.
//!
//! | file | does |
//! |---|---|
//! | `route` | which requests are for this service |
//! | `ask` | the body of a request for an approval |
//! | `confirmation` | confirmations: decided once, waited for, one for each idempotency key |
//! | `api` | the answers to a gate |
//! | `page` | the page, and what it sends |
//! | `verify` | new passkeys and assertions are checked |
//! | `decision` | a decision becomes an entry of the log |
//! | `lying` | which entries a lying service makes of it |

mod api;
mod ask;
mod confirmation;
mod decision;
mod lying;
mod page;
pub mod route;
mod verify;

use super::super::args::{ApprovalOptions, Decider};
use super::super::assertion::Site;
use super::super::passkeys::{NAMES, of_person};
use super::super::seed::Seed;
use super::lies::ServiceLie;
use super::reply::Reply;
use super::request::Resource;
use super::served_log::ServedLog;
use super::view::LogView;
use super::{answer, answer::Content};
use crate::error::TestlogError;
use confirmation::Confirmations;
use countersign::core::api::VerificationBundle;
use countersign::core::encoding::encode_base64url;
use countersign::core::hash::{Hash, sha256};
use hyper::HeaderMap;
use route::Route;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use verify::RegisteredPasskey;

pub use ask::MAX_BODY;

/// The API key of every service that has no other. It protects nothing.
const PUBLISHED_KEY: &str = "countersign-testlog";

/// The most people with a passkey.
const MAX_PEOPLE: usize = 10_000;

/// A request to this service.
pub struct Call {
    /// Path and query, as sent.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Call {
    /// The value of a header that is there once.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok();
        value.filter(|_| values.next().is_none())
    }
}

/// What the log answers about an id that is not, or not so, in it.
enum ShownBundle {
    /// The bundle of the entry with this other id.
    OfId(String),
    Whole(Box<VerificationBundle>),
}

/// The approval service of one log.
pub struct Approvals {
    seed: Seed,
    /// The log's origin.
    log_origin: String,
    /// Of the passkeys. Its origin is that of the page.
    site: Site,
    api_key: Hash,
    payload_encoding: &'static str,
    /// How long somebody may take to decide.
    open_for: Duration,
    decider: Decider,
    decide_after: Duration,
    lies: Vec<ServiceLie>,
    served_log: Arc<RwLock<ServedLog>>,
    confirmations: Confirmations,
    people: Mutex<HashMap<String, RegisteredPasskey>>,
    shown_bundles: Mutex<HashMap<String, ShownBundle>>,
}

/// The API key that these options name.
///
/// # Errors
/// The file cannot be read, or there is no key in it.
fn api_key(options: &ApprovalOptions) -> Result<String, TestlogError> {
    let Some(path) = &options.api_key_file else { return Ok(PUBLISHED_KEY.to_owned()) };
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let key = text.trim();
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(key.to_owned()) } else { Err(format!("{}: no API key", path.display()).into()) }
}

impl Approvals {
    /// The service of this log.
    ///
    /// # Errors
    /// The API key cannot be read.
    pub fn new(
        options: &ApprovalOptions,
        lies: Vec<ServiceLie>,
        (seed, log_origin): (Seed, String),
        site: Site,
        served_log: Arc<RwLock<ServedLog>>,
    ) -> Result<Approvals, TestlogError> {
        Ok(Approvals {
            seed,
            log_origin,
            site,
            api_key: sha256(api_key(options)?.as_bytes()),
            payload_encoding: if options.sign_action { "jcs-action-payload" } else { "jcs-payload" },
            open_for: options.expires,
            decider: options.decide,
            decide_after: options.decide_after,
            lies,
            served_log,
            confirmations: Confirmations::default(),
            people: Mutex::default(),
            shown_bundles: Mutex::default(),
        })
    }

    fn lies(&self, lie: ServiceLie) -> bool {
        self.lies.contains(&lie)
    }

    /// Answers a request.
    pub async fn answer(self: &Arc<Approvals>, route: Route, call: &Call) -> Reply {
        match route {
            Route::Ask => self.ask(call),
            Route::Wait { id, query } => self.wait(&id, &query, call).await,
            Route::Page(page) => self.page(page, call),
            Route::Redirected => api::error(404, "a redirect was followed"),
            Route::WrongMethod(allowed) => {
                let mut reply = api::error(405, &format!("only {allowed}"));
                reply.headers.push(("allow", allowed.to_owned()));
                reply
            }
        }
    }

    /// What a log answers instead of the truth, if the service has it lie about this resource.
    pub fn instead_of(&self, resource: &Resource, view: &LogView) -> Option<Content> {
        let Resource::Verification { id } = resource else { return None };
        let shown = self.shown_bundles.lock().unwrap_or_else(PoisonError::into_inner);
        let bundle = match shown.get(id)? {
            ShownBundle::OfId(other) => answer::bundle(view, view.ids.find(&view.history, other)?)?,
            ShownBundle::Whole(bundle) => (**bundle).clone(),
        };
        Some(Content::Bundle(Box::new(bundle)))
    }

    /// The COSE keys of the software passkeys of some people, as they are pinned; none where people decide themselves.
    ///
    /// # Errors
    /// The seed makes no key.
    pub fn approver_keys(&self) -> Result<BTreeMap<&'static str, String>, TestlogError> {
        let names = NAMES.iter().filter(|_| self.decider == Decider::Approve);
        names.map(|name| Ok((*name, encode_base64url(&of_person(&self.seed, name)?.cose)))).collect()
    }

    /// The API key, if it is the published one.
    pub fn published_key(&self) -> Option<&'static str> {
        (self.api_key == sha256(PUBLISHED_KEY.as_bytes())).then_some(PUBLISHED_KEY)
    }
}
