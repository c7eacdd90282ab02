//! Reports of the program, held byte for byte against ones that an earlier version of it wrote.
//!
//! A [`Session`] is one auditor in a directory of its own: every run of the program is kept with its arguments, exit
//! code and report. What differs between two runs of one program (times, places) is taken out, and so are sentences for
//! people; member names, their order and all other values stay.

use super::cli::{program, run};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Instead of a value that is not compared.
const LEFT_OUT: &str = "\u{2026}";

/// Sessions at once.
const THREADS: usize = 6;

/// How long a time is as text.
const TIME: usize = "2026-11-28T09:36:49.422Z".len();

/// JSON that keeps the order of its members.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// An object.
    Map(Vec<(String, Json)>),
    /// An array.
    List(Vec<Json>),
    /// A string.
    Text(String),
    /// A number, `true`, `false` or `null`.
    Other(serde_json::Value),
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
            Json::List(items) => items.serialize(serializer),
            Json::Text(text) => text.serialize(serializer),
            Json::Other(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Map(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::List(items))
            }

            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Other(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Other(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Other(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Other(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Other(serde_json::Value::Null))
            }
        }
        deserializer.deserialize_any(InOrder)
    }
}

/// One run of the program.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    name: String,
    args: Vec<String>,
    exit: i32,
    report: Json,
}

impl Record {
    /// The session and the step.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is compared of what was printed.
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_str(&shown(&self.report)).unwrap()
    }

    fn line(&self) -> String {
        let text = |text: &str| Json::Text(text.to_owned());
        let line = Json::Map(vec![
            ("name".to_owned(), text(&self.name)),
            ("args".to_owned(), Json::List(self.args.iter().map(|arg| text(arg)).collect())),
            ("exit".to_owned(), Json::Other(self.exit.into())),
            ("report".to_owned(), self.report.clone()),
        ]);
        serde_json::to_string(&line).unwrap()
    }
}

/// One auditor, with its own directory and all reports that it got.
pub struct Session {
    name: String,
    home: TempDir,
    begun: String,
    hidden: Vec<String>,
    places: Vec<(String, String)>,
    records: Vec<Record>,
}

impl Session {
    /// In arguments `{dir}` is the auditor's directory, `{db}` the mirror in it, and `{fixtures}` the fixtures.
    pub fn new(name: impl Into<String>) -> Session {
        let home = super::lab::quick_tempdir();
        let fixtures = super::case::fixtures().canonicalize().unwrap().display().to_string();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let begun = countersign::core::time::UnixMillis::new(u64::try_from(now).unwrap()).to_string();
        let (hidden, places, records) = (Vec::new(), Vec::new(), Vec::new());
        let mut session = Session { name: name.into(), home, begun, hidden, places, records };
        let directory = session.directory().display().to_string();
        session.place("db", session.directory().join("mirror.db").display().to_string());
        session.place("dir", directory);
        session.place("fixtures", fixtures);
        session
    }

    /// `{name}` in arguments stands for this from now on, and replaces it in reports.
    pub fn place(&mut self, name: &str, value: impl Into<String>) {
        let name = format!("{{{name}}}");
        self.places.retain(|(other, _)| *other != name);
        self.places.push((name, value.into()));
        // What is part of another comes after it.
        self.places.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    }

    /// Members of this name differ from run to run of this session, and are not compared; of a check of this name, the
    /// count is not.
    pub fn hide(&mut self, member: &str) {
        self.hidden.push(member.to_owned());
    }

    /// Where the auditor keeps things.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file of the auditor's.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.directory().join(name), bytes).unwrap();
    }

    /// Runs the program and records its report; returns what it printed.
    #[track_caller]
    pub fn run(&mut self, step: &str, args: &[&str]) -> String {
        let mut command = program();
        command.current_dir(self.directory());
        for arg in args {
            command.arg(
                self.places.iter().fold((*arg).to_owned(), |arg, (name, value)| arg.replace(name, value)),
            );
        }
        let outcome = run(command);
        let mut report = parsed(&outcome.stdout);
        self.normalise(&mut report);
        self.records.push(Record {
            name: format!("{}: {step}", self.name),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            exit: outcome.exit,
            report,
        });
        outcome.stdout
    }

    /// Runs `evidence verify` on every misbehaviour file there is.
    pub fn verify_evidence(&mut self, key: &str) {
        for file in self.files_named("misbehaviour-") {
            let path = format!("{{dir}}/{file}");
            self.run("evidence verify", &["evidence", "verify", &path, "--format", "json", "--log-key", key]);
        }
    }

    /// The auditor's files whose name begins so, in order.
    pub fn files_named(&self, prefix: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.directory()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// All that was kept.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn normalise(&self, json: &mut Json) {
        match json {
            Json::Map(members) => {
                for (name, value) in members {
                    match value {
                        Json::Text(text) if name == "message" || name == "version" => {
                            LEFT_OUT.clone_into(text);
                        }
                        Json::List(items) if name == "notProven" => {
                            items.fill(Json::Text(LEFT_OUT.to_owned()))
                        }
                        Json::Other(number) if name == "durationMs" => *number = 0.into(),
                        Json::Map(checks) if name == "checks" => {
                            for (name, check) in checks {
                                shorten(check);
                                if self.hidden.contains(name) {
                                    without_count(check);
                                }
                            }
                        }
                        Json::List(checks) if name == "checks" => checks.iter_mut().for_each(shorten),
                        _ if self.hidden.contains(name) => *value = Json::Text(LEFT_OUT.to_owned()),
                        _ => self.normalise(value),
                    }
                }
            }
            Json::List(items) => items.iter_mut().for_each(|item| self.normalise(item)),
            Json::Text(text) => {
                for (name, value) in &self.places {
                    *text = text.replace(value, name);
                }
                self.without_times(text);
                without_pages(text);
            }
            Json::Other(_) => {}
        }
    }

    /// Takes out the times since the session began. An earlier time is from the mirror, and stays.
    fn without_times(&self, text: &mut String) {
        let century = self.begun.split_at(2).0;
        let mut from = 0;
        while let Some(at) = text[from..].find(century).map(|at| from + at) {
            from = at + century.len();
            let Some(time) = text.get(at..at + TIME) else { continue };
            let is_time = time.ends_with('Z') && time.as_bytes()[10] == b'T';
            if is_time && *time >= *self.begun {
                text.replace_range(at..at + TIME, LEFT_OUT);
                from = at + LEFT_OUT.len();
            }
        }
    }
}

/// Takes out which page of entries was asked for: the program draws where pages begin.
fn without_pages(text: &mut String) {
    let Some(at) = text.find("?start=") else { return };
    let end = text[at..].find(": ").map_or(text.len(), |length| at + length);
    text.replace_range(at + 1..end, LEFT_OUT);
}

/// `{"result": "passed", "count": 2}` as `"passed 2"`, and a receipt's check as name, result and code: there are thirty or
/// forty in each report. Any other form stays as it is.
fn shorten(check: &mut Json) {
    let Json::Map(members) = &*check else { return };
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    let short = match (names.as_slice(), members.as_slice()) {
        (["result", "count"], [(_, Json::Text(result)), (_, Json::Other(count))]) => {
            format!("{result} {count}")
        }
        (
            ["name", "result", "code", "message"],
            [(_, Json::Text(name)), (_, Json::Text(result)), (_, code), (_, Json::Text(_))],
        ) => format!("{name} {result} {}", shown(code)),
        _ => return,
    };
    *check = Json::Text(short);
}

/// `passed 17` as `passed`, and that it was counted.
fn without_count(check: &mut Json) {
    if let Json::Text(text) = check
        && let Some((result, _)) = text.split_once(' ')
    {
        *text = format!("{result} {LEFT_OUT}");
    }
}

/// One document; several, each on its line; or text.
fn parsed(stdout: &str) -> Json {
    if let Ok(json) = serde_json::from_str(stdout) {
        return json;
    }
    let lines: Result<Vec<Json>, _> = stdout.lines().map(serde_json::from_str).collect();
    match lines {
        Ok(lines) if !lines.is_empty() => Json::List(lines),
        _ => Json::Text(stdout.to_owned()),
    }
}

/// Runs so many sessions, some at once, and gives their records in order. They wait more than they compute.
pub fn in_order(count: usize, session: impl Fn(usize) -> Vec<Record> + Sync) -> Vec<Record> {
    let done = std::sync::Mutex::new(vec![Vec::new(); count]);
    super::lab::on_threads(THREADS, count, |number| {
        let records = session(number);
        done.lock().unwrap()[number] = records;
    });
    done.into_inner().unwrap().concat()
}

/// Asserts that the records are those of `fixtures/reports/{group}.jsonl`, byte for byte.
#[track_caller]
pub fn assert_as_recorded(group: &str, records: &[Record]) {
    let path = super::case::fixtures().join("reports").join(format!("{group}.jsonl"));
    let now: String = records.iter().map(|record| record.line() + "\n").collect();
    let then = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    if now == then {
        return;
    }
    let differences = differences(&then, &now);
    panic!("{group}: the program says other things than were recorded:\n{}", differences.join("\n"));
}

/// The first differences between the records, each with the recorded and the present value.
fn differences(then: &str, now: &str) -> Vec<String> {
    const MOST: usize = 20;
    let mut differences = Vec::new();
    let (then_lines, now_lines): (Vec<&str>, Vec<&str>) = (then.lines().collect(), now.lines().collect());
    if then_lines.len() != now_lines.len() {
        differences.push(format!(
            "{} runs were recorded, and there are {}",
            then_lines.len(),
            now_lines.len()
        ));
    }
    for (then, now) in then_lines.iter().zip(&now_lines).filter(|(then, now)| then != now) {
        let (then, now): (Json, Json) =
            (serde_json::from_str(then).unwrap(), serde_json::from_str(now).unwrap());
        let name = match &now {
            Json::Map(members) => members.first().map(|(_, name)| name.clone()),
            _ => None,
        };
        differences.push(format!("{}:", shown(&name.unwrap_or(Json::List(Vec::new())))));
        compare("", &then, &now, &mut differences);
        if differences.len() >= MOST {
            differences.push("and perhaps more".to_owned());
            break;
        }
    }
    differences
}

fn shown(json: &Json) -> String {
    serde_json::to_string(json).unwrap()
}

fn compare(path: &str, then: &Json, now: &Json, differences: &mut Vec<String>) {
    match (then, now) {
        (Json::Map(then), Json::Map(now))
            if then.iter().map(|member| &member.0).eq(now.iter().map(|member| &member.0)) =>
        {
            for ((name, then), (_, now)) in then.iter().zip(now) {
                compare(&format!("{path}/{name}"), then, now, differences);
            }
        }
        (Json::List(then), Json::List(now)) if then.len() == now.len() => {
            for (at, (then, now)) in then.iter().zip(now).enumerate() {
                compare(&format!("{path}/{at}"), then, now, differences);
            }
        }
        _ if then != now => {
            differences.push(format!("  {path}:\n    recorded {}\n    now      {}", shown(then), shown(now)));
        }
        _ => {}
    }
}
