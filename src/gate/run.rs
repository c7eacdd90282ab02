//! The steps of the gate in their order (gate specification section 2): ask, wait, verify, consume.
//!
//! The order is what keeps it safe. The row is durable before anybody is asked, so that nobody is asked twice; the
//! decision is durable before its receipt is fetched; the nonce is consumed, durably, before the caller gets the approval.
//! A gate that is killed anywhere can be started again with the same key, and goes on with what the journal has.
//!
//! It runs no action. Whoever gets an [`Outcome::Approved`] may do that once.

use super::journal::{Consumed, Journal, JournalError, Noted, Recorded};
use super::judge::{Case, Checked, Demands, Judged, action_not_signed, judge, no_pinned_passkey};
use super::reason::{Reason, Refusal};
use super::request::Request;
use super::row::{Accepted, Asked, Consumption, NewRow, Row};
use super::service::{AskFailure, LookFailure, Service, interrupted};
use super::step::{self, Step, Wanted, next};
use super::wire::{Status, StatusAnswer, path::is_confirmation_id};
use crate::audit::trust::TrustPolicy;
use crate::core::entry::Decision;
use crate::core::text::{duration, quoted, shell_word};
use crate::core::time::UnixMillis;
use crate::source::{FetchError, LogSource, Pauses};
use std::time::{Duration, Instant};

/// The most time for asking, retries included.
const POST_TIME: Duration = Duration::from_secs(30);

/// How long the service is asked to wait before it says that nobody has decided, in seconds.
const LONGEST_LOOK: u64 = 25;

/// The least time between two looks at a service that does not wait.
const PACE: Duration = Duration::from_secs(1);

/// Looks at a confirmation of which the service knows nothing: a replica may be behind.
const MAX_ABSENCES: u32 = 3;

/// How often the journal is looked at while another process asks.
const POLL: Duration = Duration::from_millis(100);

/// The wait before the second look into the log, which doubles up to the longest one.
const FIRST_LOG_WAIT: Duration = Duration::from_millis(200);

/// The longest wait between two looks into the log.
const LONGEST_LOG_WAIT: Duration = Duration::from_secs(5);

/// Who is told what happens, and who may still object.
pub trait Observer {
    /// The person is asked, and this long is waited for them.
    fn waiting(&self, request: &Request, asked: &Asked, left: Duration);

    /// The service says that they approved: the log is waited for.
    fn approved(&self);

    /// The approval verified, and is consumed next. What the action needs is prepared here.
    ///
    /// # Errors
    /// Why the action cannot be run. The approval is not consumed then.
    fn ready(&self, checked: &Checked) -> Result<(), String>;

    /// Saves the proof that the log signed two histories, and returns its name.
    ///
    /// # Errors
    /// Why it could not be saved.
    fn save_evidence(&self, evidence: &[u8]) -> Result<String, String>;
}

/// How long is waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For the person.
    pub timeout: Duration,
    /// For the log to have an approval.
    pub log_wait: Duration,
}

/// An approval that verified and was consumed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// What the service calls it, and where it was decided.
    pub asked: Asked,
    /// What was verified.
    pub checked: Checked,
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The action may run once, with exactly the payload of the request.
    Approved(Box<Approval>),
    /// Nothing may run. With what the journal has about the key.
    Refused(Refusal, Option<Box<Row>>),
}

/// Why a step ends the run.
enum End {
    /// Another run with the same key may end otherwise.
    Now(Refusal),
    /// Each later run with the same key ends so: it is written down.
    Forever(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Now(refusal)
    }
}

impl From<JournalError> for End {
    fn from(error: JournalError) -> End {
        End::Now(local(&error))
    }
}

fn local(error: &JournalError) -> Refusal {
    Refusal::new(Reason::LocalFault, error.to_string())
}

fn forever<T>(reason: Reason, why: impl Into<String>) -> Result<T, End> {
    Err(End::Forever(Refusal::new(reason, why)))
}

/// What a gate works with.
pub struct Gate<'a> {
    /// The approval service.
    pub service: &'a Service,
    /// The log, behind its JSON API.
    pub log: &'a dyn LogSource,
    /// The origin of the log.
    pub origin: &'a str,
    /// What the caller trusts.
    pub trust: &'a TrustPolicy,
    /// What the caller demands beyond a clean receipt.
    pub demands: Demands,
    /// How long is waited.
    pub limits: Limits,
    /// Whether a request whose outcome is unknown may be made again.
    pub ask_again: bool,
    /// The time. It may jump; waits are measured with a steady clock.
    pub now: &'a dyn Fn() -> UnixMillis,
    /// Who is told.
    pub observer: &'a dyn Observer,
}

/// One key, and what is asked under it.
#[derive(Clone, Copy)]
struct Job<'a> {
    key: &'a str,
    request: &'a Request,
    deadline: Instant,
}

impl Gate<'_> {
    /// Asks, waits, verifies and consumes.
    pub fn run(&self, journal: &mut Journal, key: &str, request: &Request) -> Outcome {
        let refusal = match self.go(journal, key, request) {
            Ok(approval) => return Outcome::Approved(Box::new(approval)),
            Err(End::Now(refusal)) => refusal,
            Err(End::Forever(refusal)) => match journal.refused(key, &refusal) {
                Ok(_) => refusal,
                // Otherwise a later run could end in another way.
                Err(error) => {
                    let why = format!("{}; and that was not written down: {error}", refusal.message);
                    Refusal::new(Reason::LocalFault, why)
                }
            },
        };
        let row = journal.row(key).ok().flatten().map(Box::new);
        Outcome::Refused(refusal, row)
    }

    fn go(&self, journal: &mut Journal, key: &str, request: &Request) -> Result<Approval, End> {
        let deadline = after(Instant::now(), self.limits.timeout);
        let (job, service) = (Job { key, request, deadline }, self.service.location());
        let wanted = Wanted { request, service: &service, origin: self.origin, ask_again: self.ask_again };
        // A wall clock that stands still must not make this wait for ever.
        let patience = after(Instant::now(), self.limits.timeout.min(POST_TIME));
        loop {
            let row = journal.row(key)?;
            match next(row.as_ref(), &wanted, (self.now)()) {
                Step::Ask => self.ask(journal, &job, &service, false)?,
                Step::AskAgain => self.ask(journal, &job, &service, true)?,
                Step::AwaitAsker(_) if Instant::now() < patience => self.service.sleep(POLL)?,
                Step::AwaitAsker(_) => return Err(step::unknown_outcome(key).into()),
                Step::Wait(asked) => self.wait(journal, &job, &asked)?,
                Step::Fetch(asked) => {
                    let asked_at = row.map_or(UnixMillis::EPOCH, |row| row.request.asked_at);
                    let checked = self.fetch(&job, &asked, asked_at)?;
                    self.consume(journal, &job, &checked)?;
                    return Ok(Approval { asked, checked });
                }
                Step::Refuse(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Asks, once. If another process asks under this key, nothing is asked here.
    fn ask(&self, journal: &mut Journal, job: &Job<'_>, service: &str, again: bool) -> Result<(), End> {
        if self.service.is_stopped() {
            return Err(interrupted().into());
        }
        // What could never be approved disturbs nobody.
        if self.demands.pinned_key && !self.trust.pinned_keys.contains_key(job.request.username()) {
            return Err(no_pinned_passkey(job.request.username()).into());
        }
        let (request, now) = (job.request, (self.now)());
        let time = left(job.deadline).clamp(PACE, POST_TIME);
        let post_until = now.saturating_add(time);
        let begun = match again {
            true => journal.ask_again(job.key, now, post_until)?,
            false => journal.begin(&NewRow {
                key: job.key.to_owned(),
                service: service.to_owned(),
                origin: self.origin.to_owned(),
                username: request.username().to_owned(),
                action: request.action().to_owned(),
                payload_hash: request.payload_hash(),
                asked_at: now,
                post_until,
            })?,
        };
        if let Recorded::Known(_) = begun {
            return Ok(());
        }
        let confirmation = match self.service.ask(request, job.key, time) {
            Ok(confirmation) => confirmation,
            Err(AskFailure::Final(refusal)) => return Err(End::Forever(refusal)),
            Err(AskFailure::Unknown(refusal)) => return Err(refusal.into()),
            Err(AskFailure::NotAsked(refusal)) => {
                journal.not_asked(job.key)?;
                return Err(refusal.into());
            }
        };
        let Some(encoding) = request.encoding_of(&confirmation.payload_hash) else {
            let why =
                "the service hashed something else than the payload that was asked: nobody should approve it";
            return forever(Reason::Mismatch, why);
        };
        if !is_confirmation_id(&confirmation.id) {
            let why = format!("the service calls it {}, which no log has as an id", quoted(&confirmation.id));
            return forever(Reason::Mismatch, why);
        }
        let (id, expires_at) = (confirmation.id, confirmation.expires_at);
        let asked = Asked { id, url: confirmation.url, encoding, expires_at };
        if journal.asked(job.key, &asked)? == Noted::IdTaken {
            let why = format!("the service calls it {}, as it called another request", quoted(&asked.id));
            return forever(Reason::Mismatch, why);
        }
        if self.demands.signed_action && encoding == Accepted::JcsPayload {
            return Err(End::Forever(action_not_signed()));
        }
        if expires_at <= (self.now)() {
            return forever(Reason::Expired, "it had expired when the service answered: compare the clocks");
        }
        Ok(())
    }

    /// Waits until somebody has decided, and writes down what.
    fn wait(&self, journal: &mut Journal, job: &Job<'_>, asked: &Asked) -> Result<(), End> {
        let expires_in = asked.expires_at.since((self.now)()).unwrap_or_default();
        let expiry = after(Instant::now(), expires_in);
        let end = expiry.min(job.deadline);
        self.observer.waiting(job.request, asked, left(end));
        let (mut absences, mut pauses) = (0, None::<Pauses<'_>>);
        loop {
            if self.service.is_stopped() {
                return Err(interrupted().into());
            }
            let has_expired = left(expiry).is_zero() || (self.now)() > asked.expires_at;
            let began = Instant::now();
            let answer = match self.service.look(&asked.id, seconds(left(end))) {
                Ok(answer) => answer,
                Err(LookFailure::Refused(refusal)) => return Err(refusal.into()),
                Err(LookFailure::Absent) => {
                    absences = 1_u32.saturating_add(absences);
                    if absences >= MAX_ABSENCES {
                        let why = format!("the service does not know the confirmation {} any more", asked.id);
                        return Err(Refusal::new(Reason::Unavailable, why).into());
                    }
                    self.service.sleep(PACE)?;
                    continue;
                }
                Err(LookFailure::Away(refusal, retry_after)) => {
                    let pauses = pauses.get_or_insert_with(|| self.service.pauses(left(end)));
                    match pauses.wait(retry_after) {
                        true => continue,
                        false if self.service.is_stopped() => return Err(interrupted().into()),
                        false => return Err(refusal.into()),
                    }
                }
            };
            (absences, pauses) = (0, None);
            check_answer(&answer, job.request, asked)?;
            match answer.status {
                Status::Pending if has_expired => return Err(End::Forever(step::expired(job.request))),
                Status::Pending if left(job.deadline).is_zero() => return Err(self.timed_out(job).into()),
                Status::Pending => self.service.sleep(PACE.saturating_sub(began.elapsed()))?,
                Status::Approved => return self.decided(journal, job, Decision::Approved, Ok(())),
                Status::Rejected => {
                    let end = Err(End::Forever(step::rejected(job.request)));
                    return self.decided(journal, job, Decision::Rejected, end);
                }
                Status::Expired => {
                    let end = Err(End::Forever(step::expired(job.request)));
                    return self.decided(journal, job, Decision::Expired, end);
                }
                Status::Unknown(status) => {
                    let why = format!(
                        "the service answers with the status {}, which is not an approval",
                        quoted(&status)
                    );
                    return Err(Refusal::new(Reason::Unavailable, why).into());
                }
            }
        }
    }

    /// Writes down a decision, and goes on as that says. Where another process wrote one down before, that one counts.
    fn decided(
        &self,
        journal: &mut Journal,
        job: &Job<'_>,
        decision: Decision,
        then: Result<(), End>,
    ) -> Result<(), End> {
        match journal.decided(job.key, decision, (self.now)())? {
            Recorded::New(_) => then,
            Recorded::Known(_) => Ok(()),
        }
    }

    fn timed_out(&self, job: &Job<'_>) -> Refusal {
        let limit = duration(self.limits.timeout);
        let (who, key) = (quoted(job.request.username()), quoted(job.key));
        let why = format!("{who} did not decide within {limit}; run again with --key {key} to go on waiting");
        Refusal::new(Reason::TimedOut, why)
    }

    /// Gets the bundle, and verifies it.
    fn fetch(&self, job: &Job<'_>, asked: &Asked, asked_at: UnixMillis) -> Result<Checked, End> {
        self.observer.approved();
        let until = after(Instant::now(), self.limits.log_wait);
        let mut pause = FIRST_LOG_WAIT;
        loop {
            if self.service.is_stopped() {
                return Err(interrupted().into());
            }
            let refusal = match self.bundle(asked) {
                Err(missing) => missing,
                Ok(bundle) => match self.judge(&bundle, job, asked, asked_at) {
                    Judged::Approved(checked) => return Ok(*checked),
                    Judged::FetchAgain(refusal) => refusal,
                    Judged::Violation(refusal, evidence) => return Err(self.violation(&refusal, &evidence)),
                    Judged::Refused(refusal) if refusal.reason.may_go_on() => return Err(refusal.into()),
                    Judged::Refused(refusal) => return Err(End::Forever(refusal)),
                },
            };
            if self.service.is_stopped() {
                return Err(interrupted().into());
            }
            // Bytes that are no bundle say nothing of this approval: another run may get the right ones.
            if left(until).is_zero() {
                return Err(refusal.into());
            }
            self.service.sleep(pause.min(left(until)))?;
            pause = pause.saturating_mul(2).min(LONGEST_LOG_WAIT);
        }
    }

    /// The bundle as the log serves it; or why there is none yet.
    fn bundle(&self, asked: &Asked) -> Result<Vec<u8>, Refusal> {
        let not_logged = || {
            let why = "the service says approved, and the log does not have it: run again with the same --key to look again";
            Refusal::new(Reason::NotLogged, why)
        };
        let unverified = |why: String| Refusal::new(Reason::Unverified, why);
        let answer = self.log.api().map(|api| api.verification(&asked.id));
        let bundle = match answer {
            Some(Ok(Some(bundle))) => bundle.write().map_err(|why| unverified(quoted(&why.to_string())))?,
            Some(Ok(None)) | None | Some(Err(FetchError::NotFound { .. })) => return Err(not_logged()),
            Some(Err(
                why @ (FetchError::Malformed { .. }
                | FetchError::Lacking { .. }
                | FetchError::Excess { .. }
                | FetchError::TooLarge { .. }),
            )) => return Err(unverified(format!("what the log served is not a receipt: {why}"))),
            Some(Err(why)) => {
                return Err(match self.log.resource_exhaustion() {
                    Some(what) => Refusal::new(Reason::LocalFault, what),
                    None => Refusal::new(Reason::Unavailable, format!("the log: {why}")),
                });
            }
        };
        match self.service.repeats_secret(&bundle) {
            Some(why) => Err(unverified(why.to_owned())),
            None => Ok(bundle),
        }
    }

    fn judge(&self, bundle: &[u8], job: &Job<'_>, asked: &Asked, asked_at: UnixMillis) -> Judged {
        let Gate { trust, origin, demands, .. } = *self;
        judge(
            bundle,
            &Case { request: job.request, asked, asked_at, trust, origin, demands, now: (self.now)() },
        )
    }

    /// A proof that could not be saved outweighs what it proves: the disk must be fixed first.
    fn violation(&self, refusal: &Refusal, evidence: &[u8]) -> End {
        match self.observer.save_evidence(evidence) {
            Ok(name) => {
                let why = format!("{}; the proof is in {name}", refusal.message);
                End::Forever(Refusal::new(Reason::Violation, why))
            }
            Err(why) => End::Now(Refusal::new(Reason::LocalFault, format!("{}; {why}", refusal.message))),
        }
    }

    /// Uses the approval up. Only whoever gets `Ok` may act.
    fn consume(&self, journal: &mut Journal, job: &Job<'_>, checked: &Checked) -> Result<(), End> {
        self.observer.ready(checked).map_err(|why| Refusal::new(Reason::LocalFault, why))?;
        if self.service.is_stopped() {
            return Err(interrupted().into());
        }
        let consumption = Consumption {
            nonce: checked.nonce.clone(),
            credential: checked.credential.to_string(),
            key_pinned: checked.key_pinned,
            action_signed: checked.action_signed,
            receipt: checked.receipt.clone(),
            at: (self.now)(),
        };
        match journal.consume(job.key, &consumption)? {
            Consumed::Fresh => Ok(()),
            Consumed::Replayed => {
                forever(Reason::Replayed, "this approval was used before: an action runs once")
            }
            Consumed::Refused(refusal) => Err(refusal.into()),
            Consumed::OtherKey { stands } => {
                let (who, is) = (quoted(job.request.username()), checked.credential);
                let (name, path) =
                    (shell_word(job.request.username()), shell_word(&journal.path().to_string_lossy()));
                let why = format!(
                    "it is signed with the passkey {is}, and {} stands for {who}: ask {who} in another way whether both are \
                     theirs; if so, accept it with `countersign gate trust {name} --journal {path}`, and ask again with \
                     another --key",
                    quoted(&stands.key)
                );
                forever(Reason::Unverified, why)
            }
        }
    }
}

/// An answer must be about what was asked.
fn check_answer(answer: &StatusAnswer, request: &Request, asked: &Asked) -> Result<(), End> {
    if let Some(id) = answer.id.as_ref().filter(|id| **id != asked.id) {
        let why = format!("asked about {}, the service answers about {}", quoted(&asked.id), quoted(id));
        return forever(Reason::Mismatch, why);
    }
    let accepted = request.hash(asked.encoding).to_string();
    if answer.payload_hash.as_ref().is_some_and(|hash| *hash != accepted) {
        return forever(Reason::Mismatch, "the service now answers with the hash of another payload");
    }
    Ok(())
}

/// The time until `end`; zero once it has passed.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

/// A time that no clock reaches is never.
fn after(start: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    start.checked_add(time).or_else(|| start.checked_add(FAR)).unwrap_or(start)
}

/// How long the service is asked to wait: whole seconds, so that the last look ends with the time.
fn seconds(left: Duration) -> u64 {
    let whole = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    whole.clamp(1, LONGEST_LOOK)
}
