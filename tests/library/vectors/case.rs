//! One vector and its fields. A field is asked for by name, and the file keeps account of the names,
//! so that a field which no case was asked for shows up in the output.

use countersign::core::encoding::decode_hex;
use countersign::core::hash::Hash;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Fields that say something about the case to a person, and nothing to a verifier.
const ABOUT: [&str; 8] = ["id", "expect", "why", "source", "policy", "optional", "fails_at", "profile"];

/// Why a case was not accepted with the right values.
#[derive(Debug)]
pub enum Failure {
    /// The crate refused the input: the right answer where `expect` is `reject`.
    Refused(String),
    /// The crate accepted the input and read another value out of it. Never right.
    Wrong(String),
    /// The vector has no such field: only right for a feature that a verifier need not have.
    NoSuchField(String),
    /// The vector is not of the announced shape, or the crate panicked. Never right.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(why) => write!(f, "refused: {why}"),
            Failure::Wrong(why) => write!(f, "accepted with another value: {why}"),
            Failure::NoSuchField(name) => write!(f, "it has no field {name:?}"),
            Failure::Broken(why) => f.write_str(why),
        }
    }
}

pub type Verdict = Result<(), Failure>;

/// The crate's own refusal, in words.
pub fn refused(why: impl fmt::Display) -> Failure {
    Failure::Refused(why.to_string())
}

/// Refuses where a claim of the vector does not hold.
pub fn claim(holds: bool, what: &str) -> Verdict {
    if holds { Ok(()) } else { Err(refused(what)) }
}

/// 32 bytes, or a refusal: vectors offer hashes of wrong lengths.
pub fn hash(bytes: &[u8]) -> Result<Hash, Failure> {
    Hash::from_slice(bytes).ok_or_else(|| refused("a hash does not have 32 bytes"))
}

fn hex_of(text: &str) -> Result<Vec<u8>, Failure> {
    decode_hex(text).ok_or_else(|| Failure::Broken(format!("not lower-case hex: {text}")))
}

/// Every member of `expected` must be a member of `ours` with the same value; absent is `null`. A
/// member that `ours` does not have at all is not skipped but reported.
pub fn compare(expected: &Value, ours: &Value) -> Verdict {
    match (expected, ours) {
        (Value::Object(expected), Value::Object(ours)) => {
            for (name, value) in expected {
                let found = ours.get(name).unwrap_or(&Value::Null);
                compare(value, found).map_err(|failure| match failure {
                    Failure::Wrong(why) => Failure::Wrong(format!("{name}: {why}")),
                    other => other,
                })?;
            }
            Ok(())
        }
        (Value::Array(expected), Value::Array(ours)) if expected.len() == ours.len() => {
            expected.iter().zip(ours).try_for_each(|(expected, ours)| compare(expected, ours))
        }
        _ if expected == ours => Ok(()),
        // Numbers above 2^53 may stand as text.
        (Value::String(text), Value::Number(number)) if *text == number.to_string() => Ok(()),
        _ => Err(Failure::Wrong(format!("expected {expected}, found {ours}"))),
    }
}

pub struct VectorFile {
    json: Value,
    /// The announced cases, and those that stand as `rows`.
    cases: Vec<Map<String, Value>>,
    read: RefCell<BTreeSet<String>>,
}

impl VectorFile {
    pub fn read(path: &Path) -> VectorFile {
        let bytes = std::fs::read(path).unwrap();
        VectorFile::new(
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    }

    pub fn new(json: Value) -> VectorFile {
        let as_object = |case: &Value| case.as_object().expect("a case is an object").clone();
        let mut cases: Vec<_> =
            json.get("cases").and_then(Value::as_array).into_iter().flatten().map(as_object).collect();
        for (at, row) in json.get("rows").and_then(Value::as_array).into_iter().flatten().enumerate() {
            cases.push(row_case(at, row));
        }
        VectorFile { json, cases, read: RefCell::default() }
    }

    pub fn kind(&self) -> &str {
        self.json.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn count(&self, expect: &str) -> u64 {
        self.json.get("counts").and_then(|counts| counts.get(expect)).and_then(Value::as_u64).unwrap_or(0)
    }

    pub fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        self.cases.iter().map(|members| Case { file: self, members })
    }

    pub fn fields_never_read(&self) -> Vec<&str> {
        let read = self.read.borrow();
        let mut names: BTreeSet<&str> = self.cases.iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !ABOUT.contains(name) && !read.contains(*name));
        names.into_iter().collect()
    }
}

/// `rows` of number vectors: the double in hex without leading zeros, and its text.
fn row_case(at: usize, row: &Value) -> Map<String, Value> {
    let cell = |i: usize| row.get(i).and_then(Value::as_str).expect("a row is two texts");
    let mut case = Map::new();
    for (name, value) in [
        ("id", format!("row-{at}")),
        ("expect", "accept".to_owned()),
        ("why", "row".to_owned()),
        ("source", "rows".to_owned()),
        ("ieee754", format!("{:0>16}", cell(0))),
        ("output", cell(1).to_owned()),
    ] {
        case.insert(name.to_owned(), Value::String(value));
    }
    case
}

#[derive(Clone, Copy)]
pub struct Case<'a> {
    file: &'a VectorFile,
    members: &'a Map<String, Value>,
}

impl<'a> Case<'a> {
    /// The field; `None` where it is absent or `null`.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.file.read.borrow_mut().insert(name.to_owned());
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn need(&self, name: &str) -> Result<&'a Value, Failure> {
        self.get(name).ok_or_else(|| Failure::NoSuchField(name.to_owned()))
    }

    /// Another case of the same file.
    pub fn other(&self, id: &str) -> Result<Case<'a>, Failure> {
        let missing = || Failure::Broken(format!("there is no case {id:?} in the file"));
        self.file.cases().find(|case| case.id() == id).ok_or_else(missing)
    }

    fn about(&self, name: &str) -> &'a str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("a case without {name}"))
    }

    pub fn id(&self) -> &'a str {
        self.about("id")
    }

    pub fn why(&self) -> &'a str {
        self.about("why")
    }

    pub fn accept(&self) -> bool {
        match self.about("expect") {
            "accept" => true,
            "reject" => false,
            other => panic!("{}: expect is {other:?}", self.id()),
        }
    }

    /// Whether this mark of the case is set.
    pub fn is(&self, name: &str) -> bool {
        self.members.get(name) == Some(&Value::Bool(true))
    }

    /// A verifier need not have this feature, and may refuse it.
    pub fn may_refuse(&self) -> bool {
        // A reader of COSE keys may refuse whatever is not in CTAP2 form (the field's own rule).
        self.get("ctap2") == Some(&Value::Bool(false)) || self.is("optional")
    }

    pub fn text(&self, name: &str) -> Result<&'a str, Failure> {
        let broken = || Failure::Broken(format!("{name} is no text"));
        self.need(name)?.as_str().ok_or_else(broken)
    }

    pub fn hex(&self, name: &str) -> Result<Vec<u8>, Failure> {
        hex_of(self.text(name)?)
    }

    /// The bytes of a text, which stand as hex under `<name>_hex` where they are no UTF-8.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let hex = format!("{name}_hex");
        if self.get(&hex).is_some() { self.hex(&hex) } else { Ok(self.text(name)?.as_bytes().to_vec()) }
    }

    pub fn hash(&self, name: &str) -> Result<Hash, Failure> {
        hash(&self.hex(name)?)
    }

    /// A number up to 2^64 − 1, or its decimal text; anything else is refused.
    pub fn number(&self, name: &str) -> Result<u64, Failure> {
        let value = self.need(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.ok_or_else(|| refused(format!("{name} is no 64-bit number")))
    }

    pub fn list(&self, name: &str) -> Result<&'a [Value], Failure> {
        let broken = || Failure::Broken(format!("{name} is no list"));
        self.need(name)?.as_array().map(Vec::as_slice).ok_or_else(broken)
    }

    /// A list of texts; a missing one is empty.
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>, Failure> {
        if self.get(name).is_none() {
            return Ok(Vec::new());
        }
        let broken = || Failure::Broken(format!("{name} has a member that is no text"));
        self.list(name)?.iter().map(|item| item.as_str().ok_or_else(broken)).collect()
    }

    pub fn hexes(&self, name: &str) -> Result<Vec<Vec<u8>>, Failure> {
        self.need(name)?;
        self.texts(name)?.into_iter().map(hex_of).collect()
    }

    pub fn hashes(&self, name: &str) -> Result<Vec<Hash>, Failure> {
        self.hexes(name)?.iter().map(|bytes| hash(bytes)).collect()
    }

    /// Compares what was read with the field, where the case has it.
    pub fn compare(&self, name: &str, ours: &Value) -> Verdict {
        self.get(name).map_or(Ok(()), |expected| compare(expected, ours))
    }
}
