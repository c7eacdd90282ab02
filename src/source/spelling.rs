//! The characters that a text may spell at one of its places, in the customary escapes of URLs, JSON, HTML and programs.
//!
//! Each place is read in a bounded number of steps, and without memory of its own: whoever wrote the text may have filled
//! megabytes with escapes.

/// The most escapes of escapes that are seen through.
const MOST_NESTED: usize = 4;

/// Each level of escapes doubles the backslashes.
const MOST_BACKSLASHES: usize = 1 << MOST_NESTED;

/// The digits between braces.
const MOST_BRACED: usize = 6;

/// What an entity has between its signs.
const MOST_NAMED: usize = 9;

/// More bytes than any spelling of one character has. The longest are four bytes that are percent-encoded four times
/// over, and all the backslashes with `u{10ffff}` behind them.
pub(super) const REACH: usize = 64;

/// One way to read a character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    /// As it is read.
    pub(super) character: char,
    /// The first place at which what is behind it may begin.
    pub(super) first: usize,
    /// The last: it may begin at all those between as well.
    pub(super) last: usize,
}

/// Whether a byte may be the first of more than a literal character.
pub(super) fn is_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'+')
}

/// Every way to read a character at `at`, into `readings`.
pub(super) fn read(text: &[u8], at: usize, readings: &mut Vec<Reading>) {
    readings.clear();
    let Some(text) = text.get(at..) else { return };
    let mut push = |(character, rest): (char, &[u8])| {
        let end = at.saturating_add(text.len().saturating_sub(rest.len()));
        readings.push(Reading { character, first: end, last: end });
    };
    literal(text).into_iter().for_each(&mut push);
    match text.first() {
        Some(b'%') => (0..MOST_NESTED).filter_map(|nested| percent(text, nested)).for_each(push),
        Some(b'&') => entity(text).into_iter().for_each(push),
        // In a query.
        Some(b'+') => text.get(1..).map(|rest| (' ', rest)).into_iter().for_each(push),
        Some(b'\\') => {
            // A backslash behind some of those that are there, or what is behind them all.
            let run = text.iter().take(MOST_BACKSLASHES.saturating_add(1));
            let run = run.take_while(|byte| **byte == b'\\').count();
            if run <= MOST_BACKSLASHES {
                escaped(text.get(run..).unwrap_or_default()).into_iter().flatten().for_each(push);
            }
            if run >= 2 {
                let (first, last) = (at.saturating_add(2), at.saturating_add(run));
                readings.push(Reading { character: '\\', first, last });
            }
        }
        _ => {}
    }
}

/// A character as it stands, and what is behind it.
fn literal(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = text.split_first()?;
    if first.is_ascii() {
        return Some((char::from(*first), rest));
    }
    (2..=4).find_map(|length| {
        let (character, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(character).ok()?.chars().next()?, rest))
    })
}

/// `%41`, or `%2541` where that was encoded once more.
fn percent(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
    let byte = |text: &'_ [u8]| -> Option<(u8, usize)> {
        let mut rest = text.strip_prefix(b"%")?;
        for _ in 0..nested {
            rest = rest.strip_prefix(b"25")?;
        }
        let (value, rest) = hex(rest, 2)?;
        Some((u8::try_from(value).ok()?, text.len().saturating_sub(rest.len())))
    };
    let (mut bytes, mut rest) = ([0; 4], text);
    for length in 1..=bytes.len() {
        let (value, read) = byte(rest)?;
        *bytes.get_mut(length.saturating_sub(1))? = value;
        rest = rest.get(read..)?;
        let found = std::str::from_utf8(bytes.get(..length)?).ok();
        if let Some(found) = found.and_then(|text| text.chars().next()) {
            return Some((found, rest));
        }
    }
    None
}

/// What stands behind backslashes: `u0041`, `u{41}`, `x41`, or a character itself.
fn escaped(text: &[u8]) -> [Option<(char, &[u8])>; 4] {
    let braced = text.strip_prefix(b"u{").and_then(|rest| {
        let length = rest.iter().take(MOST_BRACED.saturating_add(1)).position(|byte| *byte == b'}')?;
        let (value, rest) = hex(rest, length)?;
        Some((value, rest.strip_prefix(b"}")?))
    });
    let four = text.strip_prefix(b"u").and_then(|rest| hex(rest, 4));
    let two = text.strip_prefix(b"x").and_then(|rest| hex(rest, 2));
    let [braced, four, two] =
        [braced, four, two].map(|coded| coded.and_then(|(value, rest)| Some((char::from_u32(value)?, rest))));
    [literal(text), braced, four, two]
}

/// `&#65;`, `&#x41;` or `&amp;`.
fn entity(text: &[u8]) -> Option<(char, &[u8])> {
    let text = text.strip_prefix(b"&")?;
    let length = text.iter().take(MOST_NAMED.saturating_add(1)).position(|byte| *byte == b';')?;
    let (name, rest) = text.split_at_checked(length)?;
    let rest = rest.strip_prefix(b";")?;
    let name = std::str::from_utf8(name).ok()?;
    let found = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(number) => u32::from_str_radix(number, 16),
                None => number.parse(),
            };
            char::from_u32(value.ok()?)?
        }
    };
    Some((found, rest))
}

/// So many hexadecimal digits, in capitals or not.
pub(super) fn hex(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('+'))?;
    Some((u32::from_str_radix(number, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No reading ends where the one it began with does, or beyond reach, whatever is in the text.
    #[test]
    fn readings_end_within_reach() {
        let pieces = [
            "%25252541",
            "%252525e2%25252582%252525ac",
            "\\",
            "u{10ffff}",
            "u20ac",
            "&#x10fff;",
            "€",
            "+",
            "x41",
        ];
        let mut text: String = pieces.concat();
        text.push_str(&"\\".repeat(40));
        text.push_str(&pieces.concat());
        let mut readings = Vec::new();
        for at in 0..=text.len() {
            read(text.as_bytes(), at, &mut readings);
            for reading in &readings {
                assert!(at < reading.first && reading.first <= reading.last, "{at} {reading:?}");
                assert!(reading.last < at + REACH && reading.last <= text.len(), "{at} {reading:?}");
            }
        }
    }
}
