//! Requests: paths below `/log`, parsed strictly (specification sections 4 and 5).

use crate::error::TestlogError;
use countersign::core::limits::MAX_INTEGER;
use countersign::core::tile::TilePath;

/// A resource of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resource {
    Checkpoint,
    Sth,
    EntryBundle {
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
    /// Not a resource of a log.
    Unknown,
    /// A malformed request to the JSON API.
    Bad(String),
}

/// The kinds of resources that lies and disturbances select.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceKind {
    Head,
    Entries,
    Proofs,
    History,
    Bundle,
}

/// The two interfaces of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    Tiles,
    Api,
}

/// The parts of a request that determine the response.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path and query, as sent.
    pub target: String,
    pub resource: Resource,
    /// `User-Agent`, or empty.
    pub agent: String,
}

impl Request {
    /// Parses a target that begins with `/log/`; `None` for others.
    pub fn read(target: &str, agent: &str) -> Option<Request> {
        let below = target.strip_prefix("/log/")?;
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        // Redirect loops count their hops in the query, which does not select a resource.
        let query = query.trim_end_matches("&hop=1").trim_end_matches("hop=1");
        Some(Request {
            target: target.to_owned(),
            resource: parse_resource(path, query).unwrap_or_else(|why| Resource::Bad(why.to_string())),
            agent: agent.to_owned(),
        })
    }

    /// A request that is not for the log, as the disturbances see it.
    pub fn of_service(method: &str, target: &str) -> Request {
        Request { target: format!("{method} {target}"), resource: Resource::Unknown, agent: String::new() }
    }

    pub fn kind(&self) -> Option<ResourceKind> {
        match self.resource {
            Resource::Checkpoint | Resource::Sth | Resource::Head => Some(ResourceKind::Head),
            Resource::EntryBundle { .. } | Resource::Entries { .. } => Some(ResourceKind::Entries),
            Resource::Tile { .. } | Resource::Consistency { .. } | Resource::Inclusion { .. } => {
                Some(ResourceKind::Proofs)
            }
            Resource::Heads { .. } => Some(ResourceKind::History),
            Resource::Verification { .. } => Some(ResourceKind::Bundle),
            Resource::Unknown | Resource::Bad(_) => None,
        }
    }

    pub fn interface(&self) -> Interface {
        match self.resource {
            Resource::Checkpoint | Resource::Sth | Resource::EntryBundle { .. } | Resource::Tile { .. } => {
                Interface::Tiles
            }
            _ => Interface::Api,
        }
    }

    /// Whether it begins a new phase: each audit requests one of these once.
    pub fn begins_a_phase(&self) -> bool {
        matches!(self.resource, Resource::Checkpoint | Resource::Head)
    }

    /// The name for statistics.
    pub fn counted_as(&self) -> &'static str {
        match self.resource {
            Resource::Checkpoint => "checkpoint",
            Resource::Sth => "sth",
            Resource::EntryBundle { .. } => "tile/entries",
            Resource::Tile { .. } => "tile",
            Resource::Head => "head",
            Resource::Entries { .. } => "entries",
            Resource::Consistency { .. } => "consistency",
            Resource::Inclusion { .. } => "inclusion",
            Resource::Verification { .. } => "verification",
            Resource::Heads { .. } => "heads",
            Resource::Unknown | Resource::Bad(_) => "other",
        }
    }
}

fn parse_resource(path: &str, query: &str) -> Result<Resource, TestlogError> {
    match path {
        "checkpoint" => return Ok(Resource::Checkpoint),
        "sth" => return Ok(Resource::Sth),
        "head" => return Ok(Resource::Head),
        "entries" => {
            return numbers(query, ["start", "count"]).and_then(|[start, count]| {
                if count == 0 {
                    Err("count is at least 1".into())
                } else {
                    Ok(Resource::Entries { start, count })
                }
            });
        }
        "consistency" => {
            return numbers(query, ["first", "second"]).and_then(|[first, second]| match first <= second {
                true => Ok(Resource::Consistency { first, second }),
                false => Err("first is at most second".into()),
            });
        }
        "inclusion" => {
            return numbers(query, ["index", "treeSize"]).and_then(|[index, tree_size]| {
                match index < tree_size {
                    true => Ok(Resource::Inclusion { index, tree_size }),
                    false => Err("index is below treeSize".into()),
                }
            });
        }
        "heads" => {
            return numbers(query, ["after", "limit"]).and_then(|[after, limit]| {
                if limit == 0 {
                    Err("limit is at least 1".into())
                } else {
                    Ok(Resource::Heads { after, limit })
                }
            });
        }
        _ => {}
    }
    match TilePath::parse(path) {
        Ok(TilePath::Entries { index, width }) => return Ok(Resource::EntryBundle { index, width }),
        Ok(TilePath::Hash { level, index, width }) => return Ok(Resource::Tile { level, index, width }),
        _ => {}
    }
    let id = path.strip_prefix("entries/").and_then(|rest| rest.strip_suffix("/verification"));
    Ok(id
        .filter(|id| !id.contains('/'))
        .map_or(Resource::Unknown, |id| Resource::Verification { id: id.to_owned() }))
}

/// The two parameters of a query. Each must occur once, and there must be no others.
fn numbers(query: &str, names: [&str; 2]) -> Result<[u64; 2], TestlogError> {
    let mut found = [None, None];
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let at = names.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| format!("the parameters are {} and {}", names[0], names[1]))?;
        if found[at].replace(number(&name, &value)?).is_some() {
            return Err(format!("{name} is there twice").into());
        }
    }
    match found {
        [Some(first), Some(second)] => Ok([first, second]),
        _ => Err(format!("{} and {} are needed", names[0], names[1]).into()),
    }
}

fn number(name: &str, text: &str) -> Result<u64, TestlogError> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = if canonical { text.parse().ok() } else { None };
    value
        .filter(|value| *value <= MAX_INTEGER)
        .ok_or_else(|| format!("{name} is an integer from 0 to 2^53 - 1").into())
}
