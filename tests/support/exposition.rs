//! The text format of Prometheus, read strictly, and what `promtool check metrics` finds fault with: after the
//! exposition format's own description and the linter of its client library (`promlint`).

use std::collections::{BTreeMap, BTreeSet};

/// One metric of a page.
#[derive(Debug, Default)]
pub struct Metric {
    /// `counter` or `gauge`.
    pub kind: String,
    pub help: String,
    /// Labels and value of each sample.
    pub samples: Vec<(BTreeMap<String, String>, f64)>,
}

/// The metrics of a page by name. Panics if the page is malformed.
#[track_caller]
pub fn parse(page: &str) -> BTreeMap<String, Metric> {
    assert!(page.ends_with('\n') && !page.contains('\r'), "lines end in a line feed");
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            assert!(is_name(name, true), "{line}");
            let fresh = Metric { help: help.to_owned(), ..Metric::default() };
            assert!(metrics.insert(name.to_owned(), fresh).is_none(), "twice: {line}");
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name == current && ["counter", "gauge"].contains(&kind), "{line} after {current}");
            metrics.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            // All samples of a metric are together, below its type.
            assert!(name == current && !metrics[&name].kind.is_empty(), "{line} after {current}");
            let samples = &mut metrics.get_mut(&name).unwrap().samples;
            assert!(samples.iter().all(|(before, _)| *before != labels), "twice: {line}");
            samples.push((labels, value));
        }
    }
    metrics
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label, false) && !label.starts_with("__"), "{label} in {line}");
            let (value, after) = quoted(after).unwrap_or_else(|| panic!("{line}"));
            assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice in {line}");
            match (after.strip_prefix(','), after.strip_prefix('}')) {
                (Some(more), _) => rest = more,
                (_, Some(end)) => {
                    rest = end;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(!value.contains(' '), "a time stamp, or more: {line}");
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
    assert!(value.is_finite(), "{line}");
    (name.to_owned(), labels, value)
}

/// Up to the quotation mark that ends it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('\\' | '"') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn is_name(name: &str, of_metric: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (of_metric && c == ':');
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Units that are no base unit, their prefixes included.
const NO_BASE_UNITS: [&str; 24] = [
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "kibibytes",
    "mebibytes",
    "gibibytes",
    "bits",
    "kilobits",
    "fahrenheit",
    "inches",
    "yards",
    "miles",
    "pounds",
    "ounces",
    "milliamperes",
    "kilometers",
    "millivolts",
];

const ABBREVIATIONS: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

/// The messages of the linter for these metrics.
pub fn lint(metrics: &BTreeMap<String, Metric>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, Metric { kind, help, samples }) in metrics {
        let words: Vec<&str> = name.split('_').collect();
        let mut fault = |holds: bool, what: &str| {
            if holds {
                faults.push(format!("{name}: {what}"));
            }
        };
        fault(help.trim().is_empty(), "no help text");
        fault((kind == "counter") != name.ends_with("_total"), "counters, and nothing else, end in _total");
        fault(words.iter().any(|word| NO_BASE_UNITS.contains(word)), "a unit that is no base unit");
        fault(words.iter().any(|word| ABBREVIATIONS.contains(word)), "an abbreviated unit");
        fault(
            words.iter().skip(1).any(|word| ["counter", "gauge", "histogram", "summary"].contains(word)),
            "its type in its name",
        );
        fault(["_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end)), "a reserved end");
        fault(name.contains(':'), "a colon");
        let labels: BTreeSet<&String> = samples.iter().flat_map(|(labels, _)| labels.keys()).collect();
        fault(labels.iter().any(|label| ["le", "quantile"].contains(&label.as_str())), "a reserved label");
        let camel = |text: &str| {
            text.as_bytes()
                .windows(2)
                .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        };
        fault(camel(name) || labels.iter().any(|label| camel(label)), "camelCase");
    }
    faults
}

/// Names of metrics in an expression of PromQL, and names of labels: in selectors, and after `by`, `on` and
/// the like.
pub fn names(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let mut text = String::new();
    // What is in quotation marks is no name.
    for (number, part) in expression.split('"').enumerate() {
        text.push_str(if number % 2 == 0 { part } else { "x" });
    }
    let (mut selector, mut list, mut after_clause) = (false, false, false);
    let mut rest = text.as_str();
    while let Some(character) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            match character {
                '{' => selector = true,
                '}' => selector = false,
                '(' => list = after_clause,
                ')' => list = false,
                // A range is a number with a unit, or a variable of Grafana.
                '[' => rest = &rest[rest.find(']').unwrap()..],
                _ => {}
            }
            after_clause &= character == ' ';
            rest = &rest[character.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        let followed_by = after.trim_start().chars().next();
        let clause = ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&word);
        if (selector && matches!(followed_by, Some('=' | '!'))) || list {
            labels.insert(word.to_owned());
        } else if !selector
            && !clause
            && followed_by != Some('(')
            && !["and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg"].contains(&word)
            && !word.starts_with(|c: char| c.is_ascii_digit())
        {
            metrics.insert(word.to_owned());
        }
        // `sum by (log) (…)` as well as `by(log)`.
        after_clause = clause;
    }
    (metrics, labels)
}
