//! The approval service: asking once, and looking until somebody has decided (gate specification sections 1 and 5.4).
//!
//! It says what the service said, and what its silence means. Nothing of it is believed here.

use super::reason::{Reason, Refusal};
use super::request::{Request, idempotency_header};
use super::wire::{self, Confirmation, IDEMPOTENCY_HEADER, MAX_ANSWER, StatusAnswer, path};
use crate::source::{Pauses, ServiceAnswer, ServiceClient, ServiceFailure, ServiceRequest};
use std::time::{Duration, Instant};

/// What a look may take beyond the time that the service was asked to wait for.
const LOOK_GRACE: Duration = Duration::from_secs(10);

/// Why a look did not tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookFailure {
    /// The service is away. Waited out, at least for as long as it asks for.
    Away(Refusal, Option<Duration>),
    /// It knows no such confirmation. A replica may be behind.
    Absent,
    /// It will not tell.
    Refused(Refusal),
}

/// Why nobody has a confirmation to decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AskFailure {
    /// Nobody was asked, and a later run with the same key is refused in the same way.
    Final(Refusal),
    /// Nobody was asked, and a later run may make the same request again: no connection was made, or the service said that
    /// it did nothing (429, 503).
    NotAsked(Refusal),
    /// It is unknown whether somebody was asked.
    Unknown(Refusal),
}

/// An approval service.
pub struct Service {
    client: ServiceClient,
}

impl Service {
    /// The service that this client reaches.
    pub fn new(client: ServiceClient) -> Service {
        Service { client }
    }

    /// Its base URL.
    pub fn location(&self) -> String {
        self.client.location()
    }

    /// Asks for a confirmation. It is sent again only if it was never sent, or if the service said that it did nothing
    /// with it (429, 503), and within `time`.
    ///
    /// # Errors
    /// [`AskFailure`].
    pub fn ask(&self, request: &Request, key: &str, time: Duration) -> Result<Confirmation, AskFailure> {
        let (body, header, began) = (wire::write_request(request), idempotency_header(key), Instant::now());
        let mut pauses = self.client.pauses(time);
        loop {
            let sent = self.client.send(&ServiceRequest {
                path: path::CONFIRMATIONS,
                body: Some(&body),
                headers: &[(IDEMPOTENCY_HEADER, &header)],
                limit: MAX_ANSWER,
                timeout: time.saturating_sub(began.elapsed()),
            });
            let (refusal, retry_after) = match sent {
                Ok(answer) => match answer.status {
                    200 | 201 => {
                        return Confirmation::read(&answer.body)
                            .map_err(|why| AskFailure::Unknown(unknown(&format!("its answer: {why}"))));
                    }
                    400 | 401 | 403 | 404 | 409 | 413 | 422 => {
                        return Err(AskFailure::Final(denied(&answer)));
                    }
                    429 | 503 => (unavailable(&status(&answer)), answer.retry_after),
                    _ => return Err(AskFailure::Unknown(unknown(&status(&answer)))),
                },
                Err(ServiceFailure::NoAnswer(why) | ServiceFailure::Refused(why)) => {
                    return Err(AskFailure::Unknown(unknown(&why)));
                }
                Err(ServiceFailure::Stopped) => return Err(AskFailure::Unknown(interrupted())),
                Err(ServiceFailure::Unsent(why)) => (unavailable(&why), None),
                Err(ServiceFailure::ResourceExhausted(why)) => (Refusal::new(Reason::LocalFault, why), None),
            };
            if !pauses.wait(retry_after) {
                return Err(AskFailure::NotAsked(if self.is_stopped() { interrupted() } else { refusal }));
            }
        }
    }

    /// Looks what became of a confirmation; the service answers within `wait` seconds.
    ///
    /// # Errors
    /// [`LookFailure`].
    pub fn look(&self, id: &str, wait: u64) -> Result<StatusAnswer, LookFailure> {
        let Some(path) = path::confirmation(id, wait) else { return Err(LookFailure::Absent) };
        let timeout = Duration::from_secs(wait).saturating_add(LOOK_GRACE);
        let request = ServiceRequest { path: &path, body: None, headers: &[], limit: MAX_ANSWER, timeout };
        let away = |why: &str, retry_after| LookFailure::Away(unavailable(why), retry_after);
        let answer = self.client.send(&request).map_err(|failure| match failure {
            ServiceFailure::Stopped => LookFailure::Refused(interrupted()),
            ServiceFailure::ResourceExhausted(why) => {
                LookFailure::Away(Refusal::new(Reason::LocalFault, why), None)
            }
            ServiceFailure::Unsent(why) | ServiceFailure::NoAnswer(why) | ServiceFailure::Refused(why) => {
                away(&why, None)
            }
        })?;
        match answer.status {
            200 => StatusAnswer::read(&answer.body).map_err(|why| away(&format!("its answer: {why}"), None)),
            401 | 403 => Err(LookFailure::Refused(denied(&answer))),
            404 | 410 => Err(LookFailure::Absent),
            408 | 425 | 429 | 500..=599 => Err(away(&status(&answer), answer.retry_after)),
            _ => Err(LookFailure::Refused(unavailable(&status(&answer)))),
        }
    }

    /// Waits between attempts, for at most `total` together.
    pub fn pauses(&self, total: Duration) -> Pauses<'_> {
        self.client.pauses(total)
    }

    /// Waits.
    ///
    /// # Errors
    /// `interrupted`, at once, when the run is told to stop.
    pub fn sleep(&self, time: Duration) -> Result<(), Refusal> {
        self.client.sleep(time).then_some(()).ok_or_else(interrupted)
    }

    /// Whether the run was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.client.stop().is_stopped()
    }

    /// Why these bytes must not be kept: they contain the API key.
    pub fn repeats_secret(&self, bytes: &[u8]) -> Option<&'static str> {
        self.client.repeats_secret(bytes)
    }
}

/// What the service's status says, with its own words where it has some.
fn status(answer: &ServiceAnswer) -> String {
    let said = wire::read_error(&answer.body).map_or_else(String::new, |said| format!(" ({said})"));
    match answer.status {
        300..=399 => format!("HTTP {}: a redirect, which is not followed", answer.status),
        status => format!("HTTP {status}{said}"),
    }
}

fn denied(answer: &ServiceAnswer) -> Refusal {
    let what = match answer.status {
        401 | 403 => "refused the API key",
        _ => "refused the request",
    };
    Refusal::new(Reason::Denied, format!("the service {what}: {}", status(answer)))
}

fn unavailable(why: &str) -> Refusal {
    Refusal::new(Reason::Unavailable, format!("the service cannot be reached or does not answer: {why}"))
}

/// The request may have been carried out.
fn unknown(why: &str) -> Refusal {
    let why = format!(
        "it is unknown whether somebody was asked: {why}; look at the service, and if nobody was, run again with the same \
         --key and --ask-again"
    );
    Refusal::new(Reason::Unavailable, why)
}

/// The run was told to stop.
pub fn interrupted() -> Refusal {
    Refusal::new(
        Reason::Interrupted,
        "the gate was stopped before it used an approval, so nothing runs; run again with the same --key to go on waiting",
    )
}
