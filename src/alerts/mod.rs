//! Alerts: the right person is told, once per distinct finding, also across crashes.
//!
//! What is to be told is decided from what the mirror holds ([`plan`], pure) and written to the outbox
//! in the mirror in one transaction with the note that it was told. It leaves the outbox of a channel
//! only after that channel said yes. So nothing is lost; and between a channel's yes and the note of it,
//! which is one commit later, lies the only moment in which a crash lets it be sent again, under the
//! same key: a receiver that keeps keys sees each alert exactly once.
//!
//! Whoever audits calls [`Dispatcher::note`] after each audit, and [`Dispatcher::deliver`] then and whenever
//! [`Delivered::next_try`] has come. Both block, and are not for a thread that runs asynchronous tasks. Where
//! the mirror cannot be used, the outbox cannot be either: [`Dispatcher::without_mirror`] says so without it, and
//! [`Dispatcher::with_mirror`] that it is over.
//!
//! What this does not prove: that somebody reads what a channel took.
//!
//! | file | holds |
//! |---|---|
//! | [`plan`] | what there is to tell, pure |
//! | `message` | an alert, as it is kept and sent |
//! | `deliver`, `without` | sending what is due; telling where there is no outbox |
//! | `channels` | what a channel is: `command`, `webhook`, `smtp` with its `mail_server` |

mod channels;
mod command;
mod deliver;
mod fallback;
mod mail_server;
mod mail_stream;
mod message;
pub mod plan;
mod smtp;
mod starttls;
mod webhook;

#[cfg(test)]
mod plan_tests;

pub use channels::{Channel, Delivery, Message, Transport};
pub use command::Command;
pub use deliver::Delivered;
pub use fallback::{FallbackStore, TIMES_IN_USE, Trouble};
pub use message::{Alert, Item, Kind, Log};
pub use smtp::{Smtp, SmtpConfig};
pub use webhook::{Webhook, signature};

use crate::audit::acknowledge::Acknowledgement;
use crate::core::finding::Severity;
use crate::core::text::{escape, quoted};
use crate::mirror::{Mirror, MirrorError, Notification, Outgoing, Queue, StoredFinding};
use crate::report::Report;
use crate::source::Lack;
use plan::{Condition, Facts, Step, Turns};
use std::collections::{BTreeMap, BTreeSet};

type Result<T> = std::result::Result<T, MirrorError>;

/// Everything that a dispatcher is set up with.
#[derive(Default)]
pub struct Config {
    /// Who is told, and how.
    pub channels: Vec<Channel>,
    /// How often to remind of what stands and is invalid or a violation, in milliseconds.
    pub reminder: Option<u64>,
    /// Of what nothing is told for now.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Channels that are told of the hits of a watch rule, by its name, whatever their least severity.
    pub of_rules: BTreeMap<String, Vec<String>>,
}

/// What an audit came to, besides the findings, which are in the mirror.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audited {
    /// Why not everything of the log could be read.
    pub unreachable: Option<String>,
    /// What is at fault on this side.
    pub fault: Option<String>,
    /// Somebody ended it in the middle: whether the log can be read, and whether all is well here, it cannot tell.
    pub cut_short: bool,
    /// Peers that could not be compared with for more than once, and why. `None` where no peer was asked that should have been: then
    /// nothing is known of them.
    pub peers: Option<Vec<(String, String)>>,
}

impl Audited {
    /// What this report says.
    pub fn of(report: &Report) -> Audited {
        let first = |causes: &[String]| {
            let more = causes.len().saturating_sub(1);
            let text = escape(causes.first()?);
            Some(if more == 0 { text } else { format!("{text} (and {more} more)") })
        };
        let input = report.input();
        let lasting = input.peers.iter().filter(|peer| peer.failures >= PEER_FAILURES);
        let failing = lasting.filter_map(|peer| Some((peer.name.clone(), peer.error.clone()?)));
        let asked = !(input.asked.peers && input.peers.is_empty());
        Audited {
            unreachable: first(report.undecided()),
            fault: first(&input.faults),
            cut_short: false,
            peers: asked.then(|| failing.collect()),
        }
    }
}

/// Where alerts are written and sent from.
pub struct Dispatcher {
    config: Config,
    lack: Lack,
}

impl Dispatcher {
    /// A dispatcher with these channels.
    ///
    /// # Errors
    /// A sentence for the person: two channels of one name.
    pub fn new(config: Config) -> std::result::Result<Dispatcher, String> {
        let mut names = BTreeSet::new();
        for channel in &config.channels {
            if !names.insert(channel.name.as_str()) {
                let name = quoted(&channel.name);
                return Err(format!("two alert channels are named {name}: give each a name of its own"));
            }
        }
        Ok(Dispatcher { config, lack: Lack::default() })
    }

    /// What this machine had run out of when something could not be sent for it; nobody else is to blame then.
    pub fn lacked(&self) -> Option<String> {
        self.lack.noted()
    }

    fn send(&self, channel: &Channel, alert: &Alert, now: u64) -> Delivery {
        let delivery = channel.send(alert, now);
        if let Delivery::Lacking(what) = &delivery {
            self.lack.note(what.clone());
        }
        delivery
    }

    /// Writes what is to be told after an audit into the outbox; gives the number of alerts. The same
    /// audit noted again adds nothing.
    ///
    /// # Errors
    /// Of the mirror. Nothing is written then.
    pub fn note(&self, mirror: &mut Mirror, log: &str, audited: &Audited, now: u64) -> Result<u64> {
        let (standing, ended, told) = (mirror.findings(false)?, mirror.findings(true)?, mirror.told()?);
        let acknowledged = self.acknowledged(mirror, standing.iter().chain(&ended), now)?;
        let facts = Facts {
            standing: &standing,
            ended: &ended,
            told: &told,
            acknowledged: &acknowledged,
            reminder: self.config.reminder,
            now,
        };
        let log = Log { name: escape(log), origin: escape(&mirror.state().origin) };
        let mut written = Written::default();
        if !told.contains_key(plan::BEGAN) {
            let began =
                Notification { episode: 0, open: true, at: now, severity: Severity::Info, ended: None };
            written.told.push((plan::BEGAN.to_owned(), began));
        }
        for group in plan::grouped(plan::findings(&facts)) {
            self.of_findings(mirror, &log, group, now, &mut written);
        }
        if !audited.cut_short {
            self.of_conditions(mirror, &log, &conditions(audited), codes(audited), &told, now, &mut written);
        }
        self.write(mirror, written, now)
    }

    /// The queue of each channel, those without any alert included.
    ///
    /// # Errors
    /// Of the mirror.
    pub fn queue(&self, mirror: &Mirror) -> Result<BTreeMap<String, Queue>> {
        let mut queues = mirror.queues()?;
        for channel in &self.config.channels {
            queues.entry(channel.name.clone()).or_default();
        }
        Ok(queues)
    }

    /// Keys of the findings that a rule covers.
    fn acknowledged<'a>(
        &self,
        mirror: &Mirror,
        findings: impl Iterator<Item = &'a StoredFinding>,
        now: u64,
    ) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        if self.config.acknowledgements.is_empty() {
            return Ok(keys);
        }
        for stored in findings {
            let approver = stored.finding.index.map(|index| mirror.approver_of(index)).transpose()?.flatten();
            let covers = |rule: &Acknowledgement| rule.covers(&stored.finding, approver.as_deref(), now);
            if self.config.acknowledgements.iter().any(covers) {
                keys.insert(stored.finding.key());
            }
        }
        Ok(keys)
    }

    /// Those who want to hear of this severity.
    fn route(&self, severity: Severity) -> Vec<String> {
        let wanting = self.config.channels.iter().filter(|channel| severity >= channel.least);
        wanting.map(|channel| channel.name.clone()).collect()
    }

    /// Those who want to hear of these findings: by their severity, or because the watch rule names them.
    fn route_findings(&self, group: &[Step<'_>], severity: Severity) -> Vec<String> {
        let rule = group.first().and_then(Step::rule);
        let named = rule.and_then(|rule| self.config.of_rules.get(rule)).map_or(&[][..], Vec::as_slice);
        let wanting = |channel: &&Channel| severity >= channel.least || named.contains(&channel.name);
        self.config.channels.iter().filter(wanting).map(|channel| channel.name.clone()).collect()
    }

    fn of_findings(&self, mirror: &Mirror, log: &Log, group: Vec<Step<'_>>, now: u64, written: &mut Written) {
        let Some(kind) = group.first().map(|step| step.kind) else { return };
        let number = |step: &Step<'_>| if kind == Kind::Reminder { step.then.at } else { 0 };
        let subjects: Vec<(&str, u64, u64)> =
            group.iter().map(|step| (step.subject.as_str(), step.then.episode, number(step))).collect();
        let key = message::key(&mirror.state().mirror, kind, &subjects);
        let severity = group.iter().map(|step| step.then.severity).max().unwrap_or(Severity::Info);
        let alert = message::of_findings(&group, key.clone(), log.clone(), severity, now);
        written.alerts.push(Outgoing {
            key,
            kind: kind.as_str().to_owned(),
            severity,
            payload: alert.to_json(),
            channels: self.route_findings(&group, severity),
        });
        written.told.extend(group.into_iter().map(|step| (step.subject, step.then)));
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are facts, and they meet here alone")]
    fn of_conditions(
        &self,
        mirror: &Mirror,
        log: &Log,
        holding: &[Condition],
        codes: &[&str],
        told: &BTreeMap<String, Notification>,
        now: u64,
        written: &mut Written,
    ) {
        let Turns { begins, ends } = plan::conditions(holding, codes, told, now);
        let begins = begins.into_iter().map(|(condition, then)| (condition.subject(), Some(condition), then));
        let ends = ends.into_iter().map(|(subject, then)| (subject, None, then));
        for (subject, condition, then) in begins.chain(ends) {
            let code = subject.split('/').nth(1).unwrap_or_default().to_owned();
            let about = subject.splitn(3, '/').nth(2).unwrap_or_default().to_owned();
            let kind = match condition {
                None => Kind::Recovered,
                Some(_) if [UNREACHABLE, PEER_FAILING].contains(&code.as_str()) => Kind::Unreachable,
                Some(_) => Kind::Local,
            };
            let key = message::key(&mirror.state().mirror, kind, &[(&subject, then.episode, 0)]);
            let mut alert = Alert::new(kind, key.clone(), log.clone(), then.severity, &code, now);
            alert.message = match condition {
                Some(condition) => condition.message.clone(),
                None => recovered(&code, &about),
            };
            // Whatever makes the watching itself fail is for everybody who relies on being told.
            let everybody = ![UNREACHABLE, PEER_FAILING].contains(&code.as_str());
            let mut channels = self.route(if everybody { Severity::Violation } else { then.severity });
            channels.retain(|name| code != CHANNEL_FAILING || *name != about);
            let kind = kind.as_str().to_owned();
            let payload = alert.to_json();
            written.alerts.push(Outgoing { key, kind, severity: then.severity, payload, channels });
            written.told.push((subject, then));
        }
    }

    fn write(&self, mirror: &mut Mirror, written: Written, now: u64) -> Result<u64> {
        if written.told.is_empty() && written.alerts.is_empty() {
            return Ok(0);
        }
        let count = mirror.transact(|mirror, _| {
            let mut count = 0u64;
            for alert in &written.alerts {
                count = count.saturating_add(u64::from(mirror.enqueue(alert, now)?));
            }
            // In the order of the plan: the last word on a subject stays.
            for (subject, told) in &written.told {
                mirror.put_told(subject, told)?;
            }
            mirror.forget_old_alerts(now)?;
            Ok(count)
        })?;
        mirror.acknowledge()?;
        Ok(count)
    }
}

/// What is to be written in one transaction.
#[derive(Default)]
struct Written {
    alerts: Vec<Outgoing>,
    told: Vec<(String, Notification)>,
}

/// The log could not be read, or not all of it.
const UNREACHABLE: &str = "unreachable";

/// Something on this side.
const LOCAL_FAULT: &str = "local-fault";

/// A channel of ours.
const CHANNEL_FAILING: &str = "channel-failing";

/// Somebody whose heads are compared with ours.
const PEER_FAILING: &str = "peer-failing";

/// A peer that fails so often in a row is told of: it may just be starting, or have no head yet.
const PEER_FAILURES: u64 = 2;

/// The conditions that an audit shows.
const CODES: [&str; 3] = [UNREACHABLE, LOCAL_FAULT, PEER_FAILING];

/// Those of them that this audit says something about.
fn codes(audited: &Audited) -> &'static [&'static str] {
    match audited.peers {
        Some(_) => &CODES,
        None => &[UNREACHABLE, LOCAL_FAULT],
    }
}

fn conditions(audited: &Audited) -> Vec<Condition> {
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
        UNREACHABLE => "the log can be read again, and everything that was asked for was decided".to_owned(),
        PEER_FAILING => format!("the peer {} is compared with again, or is no peer any more", quoted(about)),
        CHANNEL_FAILING => format!("the alert channel {} delivers again", quoted(about)),
        _ => "nothing on this side is at fault any more".to_owned(),
    }
}
