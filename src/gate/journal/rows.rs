//! How a [`Row`] is stored in columns, and read from them. Pure but for the types of SQLite.

use crate::core::entry::Decision;
use crate::core::hash::Hash;
use crate::core::limits::MAX_RECEIPT;
use crate::core::time::UnixMillis;
use crate::gate::reason::{Reason, Refusal};
use crate::gate::row::{Accepted, Asked, Consumption, Decided, Ended, Ending, NewRow, Row};
use rusqlite::types::Value;

/// The word for an action that did what it should.
const OK: &str = "ok";

/// The word for one that failed.
const FAILED: &str = "failed";

/// The columns of a row, in the order of the table, without number and seal. An error says which value no column takes.
pub(super) fn columns(row: &Row) -> Result<Vec<Value>, String> {
    let Row { request, asked, decided, refusal, consumed, ended } = row;
    let failure = ended.as_ref().and_then(|ended| match &ended.ending {
        Ending::Ok => None,
        Ending::Failed(text) => Some(text.as_str()),
    });
    let ending = ended.as_ref().map(|ended| match ended.ending {
        Ending::Ok => OK,
        Ending::Failed(_) => FAILED,
    });
    let (asked, consumed) = (asked.as_ref(), consumed.as_ref());
    Ok(vec![
        text(&request.key)?,
        text(&request.service)?,
        text(&request.origin)?,
        text(&request.username)?,
        text(&request.action)?,
        text(&request.payload_hash.to_string())?,
        time(request.asked_at)?,
        time(request.post_until)?,
        or_null(asked, |asked| text(&asked.id))?,
        or_null(asked, |asked| text(&asked.url))?,
        or_null(asked, |asked| text(asked.encoding.as_str()))?,
        or_null(asked, |asked| time(asked.expires_at))?,
        or_null(*decided, |decided| text(decided.decision.as_str()))?,
        or_null(*decided, |decided| time(decided.at))?,
        or_null(refusal.as_ref(), |refusal| text(refusal.reason.as_str()))?,
        or_null(refusal.as_ref(), |refusal| text(&refusal.message))?,
        or_null(consumed, |consumed| text(&consumed.nonce))?,
        or_null(consumed, |consumed| text(&consumed.credential))?,
        or_null(consumed, |consumed| Ok(Value::Integer(consumed.key_pinned.into())))?,
        or_null(consumed, |consumed| Ok(Value::Integer(consumed.action_signed.into())))?,
        or_null(consumed, |consumed| bounded(&consumed.receipt).map(|bytes| Value::Blob(bytes.to_vec())))?,
        or_null(consumed, |consumed| time(consumed.at))?,
        or_null(ended.as_ref(), |ended| time(ended.at))?,
        or_null(ending, text)?,
        or_null(failure, text)?,
    ])
}

/// The row in these columns; `None` if no row is stored so.
pub(super) fn parse(values: &[Value]) -> Option<Row> {
    let mut columns = Columns(values.iter());
    let columns = &mut columns;
    let row = Row {
        request: NewRow {
            key: columns.text()??,
            service: columns.text()??,
            origin: columns.text()??,
            username: columns.text()??,
            action: columns.text()??,
            payload_hash: Hash::from_hex(&columns.text()??)?,
            asked_at: columns.time()??,
            post_until: columns.time()??,
        },
        asked: match (columns.text()?, columns.text()?, columns.text()?, columns.time()?) {
            (Some(id), Some(url), Some(encoding), Some(expires_at)) => {
                Some(Asked { id, url, encoding: Accepted::from_word(&encoding)?, expires_at })
            }
            (None, None, None, None) => None,
            _ => return None,
        },
        decided: match (columns.text()?, columns.time()?) {
            (Some(decision), Some(at)) => Some(Decided { decision: Decision::from_text(&decision)?, at }),
            (None, None) => None,
            _ => return None,
        },
        refusal: match (columns.text()?, columns.text()?) {
            (Some(reason), Some(message)) => Some(Refusal { reason: Reason::from_word(&reason)?, message }),
            (None, None) => None,
            _ => return None,
        },
        consumed: columns.consumed()?,
        ended: match (columns.time()?, columns.text()?.as_deref(), columns.text()?) {
            (Some(at), Some(OK), None) => Some(Ended { ending: Ending::Ok, at }),
            (Some(at), Some(FAILED), Some(text)) => Some(Ended { ending: Ending::Failed(text), at }),
            (None, None, None) => None,
            _ => return None,
        },
    };
    columns.0.next().is_none().then_some(row)
}

/// A text in a column.
pub(super) fn text(text: &str) -> Result<Value, String> {
    bounded(text.as_bytes())?;
    Ok(Value::Text(text.to_owned()))
}

/// A time in a column.
pub(super) fn time(time: UnixMillis) -> Result<Value, String> {
    // Refused where the mirror would store the nearest number: a row is read back exactly as it was given.
    i64::try_from(time.get()).map(Value::Integer).map_err(|_| format!("the time {time} is too large"))
}

/// A receipt is the longest that is stored; nothing else comes near.
fn bounded(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.len() <= MAX_RECEIPT {
        true => Ok(bytes),
        false => Err(format!("a value of {} bytes is longer than {MAX_RECEIPT} bytes", bytes.len())),
    }
}

fn or_null<T>(value: Option<T>, column: impl FnOnce(T) -> Result<Value, String>) -> Result<Value, String> {
    value.map_or(Ok(Value::Null), column)
}

/// Columns that are read one after another. The outer `None` is a column that is missing or of another type.
pub(super) struct Columns<'a>(pub(super) std::slice::Iter<'a, Value>);

impl Columns<'_> {
    pub(super) fn text(&mut self) -> Option<Option<String>> {
        match self.0.next()? {
            Value::Text(text) => Some(Some(text.clone())),
            Value::Null => Some(None),
            _ => None,
        }
    }

    pub(super) fn time(&mut self) -> Option<Option<UnixMillis>> {
        match self.0.next()? {
            Value::Integer(value) => u64::try_from(*value).ok().map(|ms| Some(UnixMillis::new(ms))),
            Value::Null => Some(None),
            _ => None,
        }
    }

    fn flag(&mut self) -> Option<Option<bool>> {
        match self.0.next()? {
            Value::Integer(0) => Some(Some(false)),
            Value::Integer(1) => Some(Some(true)),
            Value::Null => Some(None),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Option<Vec<u8>>> {
        match self.0.next()? {
            Value::Blob(bytes) => Some(Some(bytes.clone())),
            Value::Null => Some(None),
            _ => None,
        }
    }

    fn consumed(&mut self) -> Option<Option<Consumption>> {
        let columns = (self.text()?, self.text()?, self.flag()?, self.flag()?, self.bytes()?, self.time()?);
        match columns {
            (
                Some(nonce),
                Some(credential),
                Some(key_pinned),
                Some(action_signed),
                Some(receipt),
                Some(at),
            ) => Some(Some(Consumption { nonce, credential, key_pinned, action_signed, receipt, at })),
            (None, None, None, None, None, None) => Some(None),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    fn filled() -> Row {
        let word = |word: &str| word.to_owned();
        Row {
            request: NewRow {
                key: word("k"),
                service: word("https://s.example"),
                origin: word("log.example"),
                username: word("alex"),
                action: word("Deploy\0\u{202e}"),
                payload_hash: sha256(b"{}"),
                asked_at: UnixMillis::new(1),
                post_until: UnixMillis::new(2),
            },
            asked: Some(Asked {
                id: word("id"),
                url: word("https://s.example/id"),
                encoding: Accepted::JcsActionPayload,
                expires_at: UnixMillis::new(3),
            }),
            decided: Some(Decided { decision: Decision::Approved, at: UnixMillis::new(4) }),
            refusal: Some(Refusal::new(Reason::Mismatch, "no")),
            consumed: Some(Consumption {
                nonce: word("n"),
                credential: word("00ff"),
                key_pinned: false,
                action_signed: true,
                receipt: vec![0, 255],
                at: UnixMillis::new(5),
            }),
            ended: Some(Ended { ending: Ending::Failed(word("why")), at: UnixMillis::new(6) }),
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_stored() {
        let all = filled();
        let ok = Row { ended: Some(Ended { ending: Ending::Ok, at: UnixMillis::new(6) }), ..all.clone() };
        let only_refused = Row { refusal: all.refusal.clone(), ..Row::new(all.request.clone()) };
        for row in [all.clone(), ok, only_refused, Row::new(all.request.clone())] {
            let columns = columns(&row).unwrap();
            assert_eq!(
                columns.len(),
                crate::gate::journal::seal::Table::Confirmations.columns().split(',').count()
            );
            assert_eq!(parse(&columns), Some(row));
        }
    }

    #[test]
    fn half_a_part_or_another_type_or_word_is_no_row() {
        let whole = columns(&filled()).unwrap();
        for at in 0..whole.len() {
            for other in
                [Value::Null, Value::Text("?".to_owned()), Value::Integer(-1), Value::Blob(Vec::new())]
            {
                let mut changed = whole.clone();
                changed[at] = other;
                if let Some(row) = parse(&changed) {
                    // A free text or blob may be any, and nothing else.
                    assert_eq!(columns(&row).unwrap(), changed, "column {at}");
                }
            }
            assert_eq!(parse(&whole[..at]), None);
        }
        assert_eq!(parse(&[whole, vec![Value::Null]].concat()), None);
    }

    #[test]
    fn what_is_too_large_is_not_stored() {
        let mut row = filled();
        row.request.asked_at = UnixMillis::MAX;
        assert!(columns(&row).unwrap_err().contains("18446744073709551615"));
        let mut row = filled();
        row.request.action = "x".repeat(MAX_RECEIPT + 1);
        assert!(columns(&row).unwrap_err().contains("2097152"));
    }
}
