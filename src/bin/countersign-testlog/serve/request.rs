//! What is asked for: a path below `/log`, read strictly (specification sections 4 and 5).

use countersign::core::limits::MAX_INTEGER;
use countersign::core::tile::TilePath;

/// A resource of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    Checkpoint,
    Sth,
    Bundle {
        index: u64,
        width: u16,
    },
    Tile {
        level: u8,
        index: u64,
        width: u16,
    },
    Head,
    Entries {
        start: u64,
        count: u64,
    },
    Consistency {
        first: u64,
        second: u64,
    },
    Inclusion {
        index: u64,
        tree_size: u64,
    },
    Verification {
        id: String,
    },
    Heads {
        after: u64,
        limit: u64,
    },
    /// Nothing that a log has.
    Unknown,
    /// A resource of the JSON API, asked for wrongly.
    Bad(String),
}

/// What lies and disturbances are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Head,
    Entries,
    Proofs,
    History,
    Bundle,
}

/// Which of the two ways of serving a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    Tiles,
    Api,
}

/// A request as far as an answer depends on it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path and query, as sent.
    pub target: String,
    pub ask: Ask,
    /// `User-Agent`, or nothing.
    pub agent: String,
}

impl Request {
    /// Reads a target that begins with `/log/`; `None` for another one.
    pub fn read(target: &str, agent: &str) -> Option<Request> {
        let below = target.strip_prefix("/log/")?;
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        // Redirect loops count their hops in the query, which says nothing of what is asked for.
        let query = query.trim_end_matches("&hop=1").trim_end_matches("hop=1");
        Some(Request {
            target: target.to_owned(),
            ask: read_ask(path, query).unwrap_or_else(Ask::Bad),
            agent: agent.to_owned(),
        })
    }

    pub fn kind(&self) -> Option<Kind> {
        match self.ask {
            Ask::Checkpoint | Ask::Sth | Ask::Head => Some(Kind::Head),
            Ask::Bundle { .. } | Ask::Entries { .. } => Some(Kind::Entries),
            Ask::Tile { .. } | Ask::Consistency { .. } | Ask::Inclusion { .. } => Some(Kind::Proofs),
            Ask::Heads { .. } => Some(Kind::History),
            Ask::Verification { .. } => Some(Kind::Bundle),
            Ask::Unknown | Ask::Bad(_) => None,
        }
    }

    pub fn interface(&self) -> Interface {
        match self.ask {
            Ask::Checkpoint | Ask::Sth | Ask::Bundle { .. } | Ask::Tile { .. } => Interface::Tiles,
            _ => Interface::Api,
        }
    }

    /// Whether it begins a new phase: one audit reads one of these once.
    pub fn begins_a_phase(&self) -> bool {
        matches!(self.ask, Ask::Checkpoint | Ask::Head)
    }

    /// The name under which it is counted.
    pub fn counted_as(&self) -> &'static str {
        match self.ask {
            Ask::Checkpoint => "checkpoint",
            Ask::Sth => "sth",
            Ask::Bundle { .. } => "tile/entries",
            Ask::Tile { .. } => "tile",
            Ask::Head => "head",
            Ask::Entries { .. } => "entries",
            Ask::Consistency { .. } => "consistency",
            Ask::Inclusion { .. } => "inclusion",
            Ask::Verification { .. } => "verification",
            Ask::Heads { .. } => "heads",
            Ask::Unknown | Ask::Bad(_) => "other",
        }
    }
}

fn read_ask(path: &str, query: &str) -> Result<Ask, String> {
    match path {
        "checkpoint" => return Ok(Ask::Checkpoint),
        "sth" => return Ok(Ask::Sth),
        "head" => return Ok(Ask::Head),
        "entries" => {
            return numbers(query, ["start", "count"]).and_then(|[start, count]| {
                if count == 0 {
                    Err("count is at least 1".to_owned())
                } else {
                    Ok(Ask::Entries { start, count })
                }
            });
        }
        "consistency" => {
            return numbers(query, ["first", "second"]).and_then(|[first, second]| match first <= second {
                true => Ok(Ask::Consistency { first, second }),
                false => Err("first is at most second".to_owned()),
            });
        }
        "inclusion" => {
            return numbers(query, ["index", "treeSize"]).and_then(|[index, tree_size]| {
                match index < tree_size {
                    true => Ok(Ask::Inclusion { index, tree_size }),
                    false => Err("index is below treeSize".to_owned()),
                }
            });
        }
        "heads" => {
            return numbers(query, ["after", "limit"]).and_then(|[after, limit]| {
                if limit == 0 {
                    Err("limit is at least 1".to_owned())
                } else {
                    Ok(Ask::Heads { after, limit })
                }
            });
        }
        _ => {}
    }
    match TilePath::parse(path) {
        Ok(TilePath::Entries { index, width }) => return Ok(Ask::Bundle { index, width }),
        Ok(TilePath::Hash { level, index, width }) => return Ok(Ask::Tile { level, index, width }),
        _ => {}
    }
    let id = path.strip_prefix("entries/").and_then(|rest| rest.strip_suffix("/verification"));
    Ok(id.filter(|id| !id.contains('/')).map_or(Ask::Unknown, |id| Ask::Verification { id: id.to_owned() }))
}

/// Both parameters of a query, each there once and nothing else.
fn numbers(query: &str, names: [&str; 2]) -> Result<[u64; 2], String> {
    let mut found = [None, None];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let at = names.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| format!("the parameters are {} and {}", names[0], names[1]))?;
        if found[at].replace(number(&name, &value)?).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    match found {
        [Some(first), Some(second)] => Ok([first, second]),
        _ => Err(format!("{} and {} are needed", names[0], names[1])),
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = if canonical { text.parse().ok() } else { None };
    value
        .filter(|value| *value <= MAX_INTEGER)
        .ok_or_else(|| format!("{name} is an integer from 0 to 2^53 - 1"))
}
