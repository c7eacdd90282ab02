//! Alerts: notifies people of each distinct finding once, also across crashes.
//!
//! What to report is decided from the content of the mirror ([`plan`], pure) and written to the outbox in the
//! mirror, in one transaction with the record that it was reported. An alert leaves the outbox of a channel
//! only after that channel accepted it. So nothing is lost. A crash between the acceptance and its record, one
//! commit later, is the only case in which an alert is sent again, under the same key: a receiver that
//! remembers keys sees each alert exactly once.
//!
//! Call [`Dispatcher::note`] after each audit, and [`Dispatcher::deliver`] then and at each
//! [`Delivered::next_try`]. Both block, and must not be called on a thread that runs asynchronous tasks. If the
//! mirror cannot be used, neither can its outbox: [`Dispatcher::notify_without_mirror`] reports that without
//! it, and [`Dispatcher::mirror_opened`] reports the end.
//!
//! This does not prove that somebody reads what a channel accepted.
//!
//! | file | holds |
//! |---|---|
//! | [`plan`] | what to report, pure |
//! | [`topic`] | what an alert is about, and its text in the outbox |
//! | `message` | an alert, as it is stored and sent |
//! | `deliver`, `fallback` | sending what is due; notifying without an outbox |
//! | `channels` | what a channel is: `command`, `webhook`, `smtp` with its `mail_server` |
//! | `error` | why alerts cannot be set up or delivered |

mod channels;
mod command;
mod deliver;
mod error;
mod fallback;
mod kind;
mod mail_server;
mod mail_stream;
mod message;
pub mod plan;
mod smtp;
mod starttls;
pub mod topic;
mod webhook;

#[cfg(test)]
mod plan_tests;

pub use channels::{Channel, Delivery, Message, Transport};
pub use command::CommandTransport;
pub use deliver::Delivered;
pub use error::{DeliveryError, SetupError};
pub use fallback::{FallbackStore, MirrorUnavailable, TIMES_IN_USE};
pub use kind::AlertKind;
pub use mail_server::SmtpConfig;
pub use message::{Alert, AlertItem, EncodeError, LogName};
pub use smtp::Smtp;
pub use webhook::{Webhook, signature};

use crate::audit::acknowledge::Acknowledgement;
use crate::core::finding::Severity;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::mirror::{Mirror, MirrorError, Notification, Outgoing, Queue, StoredFinding};
use crate::report::Report;
use crate::source::ResourceExhaustion;
use plan::{Condition, ConditionChanges, PlanFacts, PlannedAlert};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use topic::Topic;

type Result<T> = std::result::Result<T, MirrorError>;

/// The JSON of an alert for the outbox of this mirror.
fn payload(mirror: &Mirror, alert: &Alert) -> Result<String> {
    alert.to_json().map_err(|error| MirrorError::Io(mirror.path().to_owned(), error.to_string()))
}

/// The configuration of a dispatcher.
#[derive(Default)]
pub struct DispatcherConfig {
    /// The channels.
    pub channels: Vec<Channel>,
    /// How often to remind of a finding that still holds and is invalid or a violation.
    pub reminder: Option<Duration>,
    /// Findings that are not reported for now.
    pub acknowledgements: Vec<Acknowledgement>,
    /// For each watch rule, by its name: the channels that receive its hits, whatever their least severity.
    pub rule_channels: BTreeMap<String, Vec<String>>,
}

/// The outcome of an audit, except for the findings, which are in the mirror.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditOutcome {
    /// Why the log could not be read completely.
    pub unreachable: Option<String>,
    /// A fault of the auditor.
    pub fault: Option<String>,
    /// The audit was stopped in the middle, and cannot tell whether the log can be read or whether the auditor
    /// has a fault.
    pub cut_short: bool,
    /// Peers that could not be compared with more than once in a row, and why. `None` if peers are configured
    /// and none was asked: then nothing is known of them.
    pub peers: Option<Vec<(String, String)>>,
}

impl AuditOutcome {
    /// The outcome that this report describes.
    pub fn of(report: &Report) -> AuditOutcome {
        let first = |causes: &[String]| {
            let more = causes.len().saturating_sub(1);
            let text = escape(causes.first()?);
            Some(if more == 0 { text } else { format!("{text} (and {more} more)") })
        };
        let input = report.input();
        let lasting = input.peers.iter().filter(|peer| peer.failures >= PEER_FAILURES);
        let failing = lasting.filter_map(|peer| Some((peer.name.clone(), peer.error.clone()?)));
        let asked = !(input.asked.peers && input.peers.is_empty());
        AuditOutcome {
            unreachable: first(report.undecided()),
            fault: first(&input.faults),
            cut_short: false,
            peers: asked.then(|| failing.collect()),
        }
    }
}

/// Writes alerts to the outbox and sends them.
pub struct Dispatcher {
    config: DispatcherConfig,
    exhaustion: ResourceExhaustion,
}

impl Dispatcher {
    /// A dispatcher with these channels.
    ///
    /// # Errors
    /// [`SetupError::DuplicateChannel`]: two channels have one name.
    pub fn new(config: DispatcherConfig) -> std::result::Result<Dispatcher, SetupError> {
        let mut names = BTreeSet::new();
        for channel in &config.channels {
            if !names.insert(channel.name.as_str()) {
                return Err(SetupError::DuplicateChannel(channel.name.clone()));
            }
        }
        Ok(Dispatcher { config, exhaustion: ResourceExhaustion::default() })
    }

    /// The resource that this machine had run out of when an alert could not be sent. No receiver is at fault
    /// then.
    pub fn resource_exhaustion(&self) -> Option<String> {
        self.exhaustion.recorded()
    }

    fn send(&self, channel: &Channel, alert: &Alert, now: UnixMillis) -> Delivery {
        let delivery = channel.send(alert, now);
        if let Delivery::ResourceExhausted(what) = &delivery {
            self.exhaustion.record(what.clone());
        }
        delivery
    }

    /// Writes what an audit has to report into the outbox; returns the number of alerts. The same audit noted
    /// again adds nothing.
    ///
    /// # Errors
    /// The mirror cannot be used. Nothing is written then.
    pub fn note(
        &self,
        mirror: &mut Mirror,
        log: &str,
        audited: &AuditOutcome,
        now: UnixMillis,
    ) -> Result<u64> {
        let (standing, ended, notified) =
            (mirror.findings().standing()?, mirror.findings().ended()?, mirror.outbox().notifications()?);
        let acknowledged = self.acknowledged(mirror, standing.iter().chain(&ended), now)?;
        let facts = PlanFacts {
            standing: &standing,
            ended: &ended,
            notified: &notified,
            acknowledged: &acknowledged,
            reminder: self.config.reminder,
            now,
        };
        let log = LogName { name: escape(log), origin: escape(&mirror.state().origin) };
        let mut written = PendingWrites::default();
        if !notified.contains_key(&Topic::Began.to_string()) {
            let began =
                Notification { episode: 0, open: true, at: now, severity: Severity::Info, ended: None };
            written.notified.push((Topic::Began, began));
        }
        for group in plan::grouped(plan::findings(&facts)) {
            self.of_findings(mirror, &log, group, now, &mut written)?;
        }
        if !audited.cut_short {
            self.of_conditions(
                mirror,
                &log,
                &conditions(audited),
                codes(audited),
                &notified,
                now,
                &mut written,
            )?;
        }
        self.write(mirror, written, now)
    }

    /// The queue of each channel, including those without any alert.
    ///
    /// # Errors
    /// The mirror cannot be used.
    pub fn queue(&self, mirror: &Mirror) -> Result<BTreeMap<String, Queue>> {
        let mut queues = mirror.outbox().queues()?;
        for channel in &self.config.channels {
            queues.entry(channel.name.clone()).or_default();
        }
        Ok(queues)
    }

    /// Keys of the acknowledged findings.
    fn acknowledged<'a>(
        &self,
        mirror: &Mirror,
        findings: impl Iterator<Item = &'a StoredFinding>,
        now: UnixMillis,
    ) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        if self.config.acknowledgements.is_empty() {
            return Ok(keys);
        }
        for stored in findings {
            let approver =
                stored.finding.index.map(|index| mirror.entries().approver_of(index)).transpose()?.flatten();
            let covers = |rule: &Acknowledgement| rule.covers(&stored.finding, approver.as_deref(), now);
            if self.config.acknowledgements.iter().any(covers) {
                keys.insert(stored.finding.key());
            }
        }
        Ok(keys)
    }

    /// The channels for this severity.
    fn route(&self, severity: Severity) -> Vec<String> {
        let wanting = self.config.channels.iter().filter(|channel| severity >= channel.least);
        wanting.map(|channel| channel.name.clone()).collect()
    }

    /// The channels for these findings: by their severity, or because the watch rule names them.
    fn route_findings(&self, group: &[PlannedAlert<'_>], severity: Severity) -> Vec<String> {
        let rule = group.first().and_then(PlannedAlert::rule);
        let named = rule.and_then(|rule| self.config.rule_channels.get(rule)).map_or(&[][..], Vec::as_slice);
        let wanting = |channel: &&Channel| severity >= channel.least || named.contains(&channel.name);
        self.config.channels.iter().filter(wanting).map(|channel| channel.name.clone()).collect()
    }

    fn of_findings(
        &self,
        mirror: &Mirror,
        log: &LogName,
        group: Vec<PlannedAlert<'_>>,
        now: UnixMillis,
        written: &mut PendingWrites,
    ) -> Result<()> {
        let Some(kind) = group.first().map(|step| step.kind) else { return Ok(()) };
        let number =
            |step: &PlannedAlert<'_>| if kind == AlertKind::Reminder { step.then.at.get() } else { 0 };
        let texts: Vec<String> = group.iter().map(|step| step.topic.to_string()).collect();
        let topics: Vec<(&str, u64, u64)> = texts
            .iter()
            .zip(&group)
            .map(|(text, step)| (text.as_str(), step.then.episode, number(step)))
            .collect();
        let key = message::key(&mirror.state().mirror, kind, &topics);
        let severity = group.iter().map(|step| step.then.severity).max().unwrap_or(Severity::Info);
        let alert = message::of_findings(&group, key.clone(), log.clone(), severity, now);
        written.alerts.push(Outgoing {
            key,
            kind: kind.as_str().to_owned(),
            severity,
            payload: payload(mirror, &alert)?,
            channels: self.route_findings(&group, severity),
        });
        written.notified.extend(group.into_iter().map(|step| (step.topic, step.then)));
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are facts, and they meet here alone")]
    fn of_conditions(
        &self,
        mirror: &Mirror,
        log: &LogName,
        holding: &[Condition],
        codes: &[&str],
        notified: &BTreeMap<String, Notification>,
        now: UnixMillis,
        written: &mut PendingWrites,
    ) -> Result<()> {
        let ConditionChanges { begins, ends } = plan::conditions(holding, codes, notified, now);
        let begins = begins.into_iter().map(|(condition, then)| (condition.topic(), Some(condition), then));
        let ends = ends.into_iter().map(|(topic, then)| (topic, None, then));
        for (topic, condition, then) in begins.chain(ends) {
            let Topic::Condition { code, about } = &topic else { continue };
            let (code, about) = (code.as_str(), about.as_str());
            let kind = match condition {
                None => AlertKind::Recovered,
                Some(_) if [UNREACHABLE, PEER_FAILING].contains(&code) => AlertKind::Unreachable,
                Some(_) => AlertKind::Local,
            };
            let key = message::key(&mirror.state().mirror, kind, &[(&topic.to_string(), then.episode, 0)]);
            let mut alert = Alert::new(kind, key.clone(), log.clone(), then.severity, code, now);
            alert.message = match condition {
                Some(condition) => condition.message.clone(),
                None => recovered(code, about),
            };
            // A failure of the monitoring itself concerns everybody who relies on being notified.
            let everybody = ![UNREACHABLE, PEER_FAILING].contains(&code);
            let mut channels = self.route(if everybody { Severity::Violation } else { then.severity });
            channels.retain(|name| code != CHANNEL_FAILING || *name != about);
            let kind = kind.as_str().to_owned();
            let payload = payload(mirror, &alert)?;
            written.alerts.push(Outgoing { key, kind, severity: then.severity, payload, channels });
            written.notified.push((topic, then));
        }
        Ok(())
    }

    fn write(&self, mirror: &mut Mirror, written: PendingWrites, now: UnixMillis) -> Result<u64> {
        if written.notified.is_empty() && written.alerts.is_empty() {
            return Ok(0);
        }
        let count = mirror.transact(|mirror, _| {
            let mut count = 0u64;
            for alert in &written.alerts {
                count = count.saturating_add(u64::from(mirror.outbox_mut().enqueue(alert, now)?));
            }
            // In the order of the plan: the last record of a topic stays.
            for (topic, notified) in &written.notified {
                mirror.outbox_mut().put_notification(&topic.to_string(), notified)?;
            }
            mirror.outbox_mut().forget_old(now)?;
            Ok(count)
        })?;
        mirror.acknowledge()?;
        Ok(count)
    }
}

/// What to write in one transaction.
#[derive(Default)]
struct PendingWrites {
    alerts: Vec<Outgoing>,
    notified: Vec<(Topic, Notification)>,
}

/// The log could not be read, or not completely.
const UNREACHABLE: &str = "unreachable";

/// The auditor has a fault.
const LOCAL_FAULT: &str = "local-fault";

/// An alert channel fails.
const CHANNEL_FAILING: &str = "channel-failing";

/// A peer cannot be compared with.
const PEER_FAILING: &str = "peer-failing";

/// How often in a row a peer must fail before it is reported: it may just be starting, or have no head yet.
const PEER_FAILURES: u64 = 2;

/// The conditions that an audit can detect.
const CODES: [&str; 3] = [UNREACHABLE, LOCAL_FAULT, PEER_FAILING];

/// The conditions that this audit decided.
fn codes(audited: &AuditOutcome) -> &'static [&'static str] {
    match audited.peers {
        Some(_) => &CODES,
        None => &[UNREACHABLE, LOCAL_FAULT],
    }
}

fn conditions(audited: &AuditOutcome) -> Vec<Condition> {
    let condition = |code, message: &Option<String>| {
        message.as_deref().map(|message| Condition { code, about: String::new(), message: escape(message) })
    };
    let of_peer = |(name, why): &(String, String)| Condition {
        code: PEER_FAILING,
        about: escape(name),
        message: format!("the peer {} could not be compared with: {}", quoted(name), escape(why)),
    };
    let peers = audited.peers.iter().flatten().map(of_peer);
    let own = [condition(UNREACHABLE, &audited.unreachable), condition(LOCAL_FAULT, &audited.fault)];
    own.into_iter().flatten().chain(peers).collect()
}

fn recovered(code: &str, about: &str) -> String {
    match code {
        UNREACHABLE => "the log can be read again, and every requested check was decided".to_owned(),
        PEER_FAILING => {
            format!("the peer {} can be compared with again, or is no longer in the config", quoted(about))
        }
        CHANNEL_FAILING => format!("the alert channel {} delivers again", quoted(about)),
        _ => "there is no local fault any more".to_owned(),
    }
}
