//! `[[watch]]`: rules for entries that are reported when they appear.

use super::alert::ChannelTable;
use super::duration::duration;
use super::error::Error;
use super::names::OneOrMore;
use super::zones;
use crate::audit::hours::{Hours, WEEKDAYS};
use crate::audit::trust::key_identity;
use crate::audit::watch_list::{Burst, Conditions, Pattern, Rule};
use crate::core::encoding::{decode_hex_exact, encode_hex};
use crate::core::entry::Decision;
use crate::core::finding::Severity;
use crate::core::limits::{MAX_APPROVER, MAX_ID, MAX_RP_ID};
use crate::core::text::{self, escape, quoted};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// The most bytes of a name, which is shown in findings, alerts and reports.
const MAX_NAME: usize = 64;

/// The largest count of a burst. A larger one is a mistake.
const MAX_COUNT: usize = 10_000;

/// One `[[watch]]`, as written.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WatchTable {
    name: String,
    severity: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
    comment: Option<String>,
    #[serde(default)]
    any: bool,
    #[serde(default)]
    past: bool,
    approver: Option<OneOrMore>,
    key: Option<OneOrMore>,
    rp_id: Option<OneOrMore>,
    decision: Option<OneOrMore>,
    payload_hash: Option<OneOrMore>,
    id: Option<OneOrMore>,
    new_key: Option<bool>,
    outside: Option<OutsideTable>,
    more_than: Option<MoreThanTable>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OutsideTable {
    days: Option<OneOrMore>,
    hours: Option<String>,
    zone: Option<String>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MoreThanTable {
    count: usize,
    within: String,
}

/// One rule, and the channels for its hits.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The rule.
    pub rule: Rule,
    /// Channels that its hits are sent over, whatever their least severity.
    pub channels: Vec<String>,
    /// The purpose of the rule.
    pub comment: Option<String>,
}

/// Checks the tables.
///
/// # Errors
/// Returns [`Error::Usage`] with the name of the wrong table.
pub(super) fn resolve(tables: Vec<WatchTable>, channels: &[ChannelTable]) -> Result<Vec<Watch>, Error> {
    let known: BTreeSet<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    let mut names = BTreeSet::new();
    let mut rules: Vec<Watch> = Vec::new();
    for table in tables {
        let name = table.name.clone();
        let fail = |why: String| format!("[[watch]] {}: {why}", quoted(&name));
        let watch = one(table, &known).map_err(fail)?;
        if !names.insert(name.clone()) {
            return Err(fail("two rules have this name: give each a name of its own".to_owned()).into());
        }
        let digest = |rule: &Rule| Rule { name: String::new(), ..rule.clone() }.digest();
        if let Some(other) = rules.iter().find(|other| digest(&other.rule) == digest(&watch.rule)) {
            let other = quoted(&other.rule.name);
            return Err(fail(format!("it has the same conditions as {other}: keep one of them")).into());
        }
        rules.push(watch);
    }
    Ok(rules)
}

fn one(table: WatchTable, known: &BTreeSet<&str>) -> Result<Watch, String> {
    let name = table.name.clone();
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(format!("name: write 1 to {MAX_NAME} printable ASCII characters"));
    }
    let severity = match table.severity.as_deref() {
        None | Some("warning") => Severity::Warning,
        Some("info") => Severity::Info,
        Some(other) => {
            let why = "write info or warning (a hit says nothing against the log)";
            return Err(format!("severity {}: {why}", quoted(other)));
        }
    };
    if let Some(unknown) = table.channels.iter().find(|name| !known.contains(name.as_str())) {
        return Err(format!("channels: there is no [[alert]] with name = {}", quoted(unknown)));
    }
    let (channels, comment, past, any) =
        (table.channels.clone(), table.comment.clone(), table.past, table.any);
    let conditions = conditions(table)?;
    match (any, conditions == Conditions::default()) {
        (false, true) => Err("no condition is given: give one, or any = true for every entry".to_owned()),
        (true, false) => Err("any = true is for every entry: leave it out, or the conditions".to_owned()),
        _ => Ok(Watch { rule: Rule { name, severity, past, conditions }, channels, comment }),
    }
}

fn conditions(table: WatchTable) -> Result<Conditions, String> {
    let decisions = list("decision", table.decision, |text| {
        Decision::from_text(text).ok_or("write approved, rejected or expired".to_owned())
    })?;
    let keys = list("key", table.key, |key| key_identity(key).map_err(|error| error.to_string()))?;
    let new_key = match table.new_key {
        Some(false) => return Err("new-key: write true, or leave it out".to_owned()),
        given => given.is_some(),
    };
    let may_be_signed = decisions.is_empty() || decisions.contains(&Decision::Approved);
    if (new_key || !keys.is_empty()) && !may_be_signed {
        return Err("decision: only approved entries have a key, so this rule would never match".to_owned());
    }
    Ok(Conditions {
        approvers: list("approver", table.approver, |text| name(text, MAX_APPROVER))?,
        keys,
        rp_ids: list("rp-id", table.rp_id, |text| name(text, MAX_RP_ID))?,
        decisions,
        payload_hashes: list("payload-hash", table.payload_hash, |text| {
            decode_hex_exact::<32>(text).ok_or("write 64 lowercase hex digits".to_owned())
        })?,
        ids: list("id", table.id, pattern)?,
        new_key,
        outside: table.outside.map(outside).transpose().map_err(|why| format!("outside: {why}"))?,
        more_than: table.more_than.map(burst).transpose().map_err(|why| format!("more-than: {why}"))?,
    })
}

/// Reads one string or several. An absent value means that nothing is asked for; an empty list is an error.
fn list<T>(
    what: &str,
    given: Option<OneOrMore>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let Some(OneOrMore(mut texts)) = given else { return Ok(Vec::new()) };
    if texts.is_empty() {
        return Err(format!("{what}: the list is empty: leave it out, or add values"));
    }
    // The order has no meaning, so a different order must not make a different rule.
    texts.sort();
    texts.dedup();
    let one = |text: &String| read(text).map_err(|why| format!("{what} {}: {why}", quoted(text)));
    texts.iter().map(one).collect()
}

fn name(text: &str, most: usize) -> Result<String, String> {
    match text.len() {
        0 => Err("it is empty".to_owned()),
        length if length > most => Err(format!("no entry has more than {most} bytes in this field")),
        _ => Ok(text.to_owned()),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte);
    // Twice a bound of 64.
    if text.is_empty() || text.len() > MAX_ID.saturating_mul(2) || !text.bytes().all(fits) {
        return Err(
            "ids are of letters, digits, dots, _ and -; * stands for any of them, ? for one".to_owned()
        );
    }
    Ok(Pattern(text.to_owned()))
}

fn outside(OutsideTable { days, hours, zone }: OutsideTable) -> Result<Hours, String> {
    if days.is_none() && hours.is_none() {
        return Err("give days, hours or both".to_owned());
    }
    let weekday = |text: &str| {
        let known = WEEKDAYS.iter().position(|day| *day == text);
        known.ok_or_else(|| format!("write a list of {}", WEEKDAYS.join(", ")))
    };
    let listed = list("days", days, weekday)?;
    let mut on = [listed.is_empty(); 7];
    for (day, is_on) in on.iter_mut().enumerate() {
        *is_on |= listed.contains(&day);
    }
    let (from, to) = hours.map_or(Ok((0, 24 * 60)), |text| {
        span(&text).ok_or_else(|| {
            format!("hours {}: write them as 08:00-18:00 (22:00-06:00 passes midnight)", quoted(&text))
        })
    })?;
    let zone = zones::read(zone.as_deref().unwrap_or("UTC")).map_err(|why| format!("zone: {why}"))?;
    Ok(Hours { days: on, from, to, zone })
}

/// Parses `08:00-18:00` into minutes of the day. The end may be 24:00, and must differ from the beginning.
fn span(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (zones::minutes(from)?, zones::minutes(to)?);
    (from < 24 * 60 && to <= 24 * 60 && from != to).then_some((from, to))
}

fn burst(MoreThanTable { count, within }: MoreThanTable) -> Result<Burst, String> {
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(format!("count: write 1 to {MAX_COUNT} (to hear of every entry, leave more-than out)"));
    }
    let within = duration(&within).map_err(|why| format!("within: {why}"))?;
    if within < Duration::from_secs(1) {
        return Err("within: at least 1s".to_owned());
    }
    Ok(Burst { count, within })
}

/// Describes a rule in one line.
pub fn describe(Watch { rule, channels, comment }: &Watch) -> String {
    let Conditions { approvers, keys, rp_ids, decisions, payload_hashes, ids, .. } = &rule.conditions;
    let decisions = decisions.iter().map(|decision| decision.as_str().to_owned()).collect();
    let quoted_all = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect();
    let listed: [(&str, Vec<String>); 6] = [
        ("decision", decisions),
        ("approver", quoted_all(approvers)),
        ("key", keys.iter().map(|key| key.to_string()).collect()),
        ("rp-id", quoted_all(rp_ids)),
        ("payload-hash", payload_hashes.iter().map(|hash| encode_hex(hash)).collect()),
        ("id", ids.iter().map(|pattern| pattern.0.clone()).collect()),
    ];
    let mut parts: Vec<String> = listed
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(what, values)| format!("{what} {}", values.join(" or ")))
        .collect();
    if rule.conditions.new_key {
        parts.push("the first of its key".to_owned());
    }
    if let Some(hours) = &rule.conditions.outside {
        let days = WEEKDAYS.iter().zip(hours.days).filter_map(|(day, is_on)| is_on.then_some(*day));
        let days = days.collect::<Vec<_>>().join(",");
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let zone = escape(&hours.zone.name);
        parts.push(format!("outside {days} {}-{} {zone}", clock(hours.from), clock(hours.to)));
    }
    if let Some(burst) = rule.conditions.more_than {
        parts.push(format!("more than {} within {}", burst.count, text::duration(burst.within)));
    }
    if parts.is_empty() {
        parts.push("any entry".to_owned());
    }
    let whole = if rule.past { ", including entries mirrored before" } else { "" };
    let also =
        if channels.is_empty() { String::new() } else { format!("; notifies {}", channels.join(", ")) };
    let comment = comment.as_deref().map_or_else(String::new, |comment| format!(" ({})", escape(comment)));
    format!("{}: {}{whole}; {}{also}{comment}", rule.name, parts.join(", "), rule.severity.as_str())
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
