//! The characters that a text may spell at one of its places, in the customary escapes of URLs, JSON, HTML and programs.
//!
//! Each place is read in a bounded number of steps, and without memory of its own: whoever wrote the text may have filled
//! megabytes with escapes.

/// The most escapes of escapes that are seen through.
const MAX_NESTED: usize = 4;

/// Each level of escapes doubles the backslashes.
const MAX_BACKSLASHES: usize = 1 << MAX_NESTED;

/// The digits between braces.
const MAX_BRACED: usize = 6;

/// What an entity has between its signs.
const MAX_NAMED: usize = 12;

/// The entities that HTML has for punctuation, spaces, and letters that are no letter with a mark.
const NAMED: [(&str, char); 55] = [
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("shy", '\u{ad}'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("VerticalLine", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("szlig", 'ß'),
    ("aelig", 'æ'),
    ("eth", 'ð'),
    ("thorn", 'þ'),
    ("euro", '€'),
    ("pound", '£'),
    ("sect", '§'),
];

/// The marks that an entity may name behind a letter. Marks are none of a secret's letters.
const MARKS: [&str; 14] = [
    "uml", "acute", "grave", "circ", "tilde", "ring", "cedil", "caron", "macr", "breve", "ogon", "dot",
    "dblac", "strok",
];

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
        Some(b'%') => {
            (0..MAX_NESTED).filter_map(|nested| percent(text, nested)).for_each(&mut push);
            (0..MAX_NESTED).filter_map(|nested| percent_latin(text, nested)).for_each(&mut push);
            // As the `escape` of JavaScript writes it.
            text.strip_prefix(b"%u").and_then(four_digits).into_iter().for_each(push);
        }
        Some(b'&') => entity(text).into_iter().for_each(push),
        // In a query.
        Some(b'+') => text.get(1..).map(|rest| (' ', rest)).into_iter().for_each(push),
        Some(b'\\') => {
            // A backslash behind some of those that are there, or what is behind them all.
            let run = text.iter().take(MAX_BACKSLASHES.saturating_add(1));
            let run = run.take_while(|byte| **byte == b'\\').count();
            if run <= MAX_BACKSLASHES {
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
    let found = (2..=4).find_map(|length| {
        let (character, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(character).ok()?.chars().next()?, rest))
    });
    // A letter of Latin-1. The other half of its bytes is inside of characters of UTF-8.
    found.or((*first >= 0xc0).then_some((char::from(*first), rest)))
}

/// Bytes that are UTF-8, or else Latin-1.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// `%41`, or `%2541` where that was encoded once more.
fn percent(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
    let (mut bytes, mut rest) = ([0; 4], text);
    for length in 1..=bytes.len() {
        let (value, behind) = percent_byte(rest, nested)?;
        *bytes.get_mut(length.saturating_sub(1))? = value;
        rest = behind;
        let found = std::str::from_utf8(bytes.get(..length)?).ok();
        if let Some(found) = found.and_then(|text| text.chars().next()) {
            return Some((found, rest));
        }
    }
    None
}

fn percent_byte(text: &[u8], nested: usize) -> Option<(u8, &[u8])> {
    let mut rest = text.strip_prefix(b"%")?;
    for _ in 0..nested {
        rest = rest.strip_prefix(b"25")?;
    }
    let (value, rest) = hex(rest, 2)?;
    Some((u8::try_from(value).ok()?, rest))
}

/// `%e4`, where what was encoded is Latin-1.
fn percent_latin(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
    let (value, rest) = percent_byte(text, nested)?;
    (value >= 0xa0).then_some((char::from(value), rest))
}

/// What stands behind backslashes: `u0041`, `ud83d\ude00`, `u{41}`, `x41`, `n`, or a character itself.
fn escaped(text: &[u8]) -> [Option<(char, &[u8])>; 6] {
    let braced = text.strip_prefix(b"u{").and_then(|rest| {
        let length = rest.iter().take(MAX_BRACED.saturating_add(1)).position(|byte| *byte == b'}')?;
        let (value, rest) = hex(rest, length)?;
        Some((value, rest.strip_prefix(b"}")?))
    });
    let two = text.strip_prefix(b"x").and_then(|rest| hex(rest, 2));
    let [braced, two] =
        [braced, two].map(|coded| coded.and_then(|(value, rest)| Some((char::from_u32(value)?, rest))));
    let four = text.strip_prefix(b"u").and_then(four_digits);
    // A line end and its like, which are not seen.
    let control = text.split_first().filter(|(letter, _)| b"nrtbfv0a".contains(letter));
    [literal(text), braced, four, pair(text), two, control.map(|(_, rest)| ('\n', rest))]
}

fn four_digits(text: &[u8]) -> Option<(char, &[u8])> {
    let (value, rest) = hex(text, 4)?;
    Some((char::from_u32(value)?, rest))
}

/// `ud83d\ude00`: a character that UTF-16 has in two halves, each escaped.
fn pair(text: &[u8]) -> Option<(char, &[u8])> {
    let (high, rest) = hex(text.strip_prefix(b"u")?, 4)?;
    let run = rest.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    let (low, rest) = hex(rest.get(run..)?.strip_prefix(b"u")?, 4)?;
    let halves = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    let character = char::decode_utf16(halves).next()?.ok()?;
    (run > 0 && character.len_utf16() == halves.len()).then_some((character, rest))
}

/// `&#65;`, `&#x41;` or `&amp;`.
fn entity(text: &[u8]) -> Option<(char, &[u8])> {
    let text = text.strip_prefix(b"&")?;
    let length = text.iter().take(MAX_NAMED.saturating_add(1)).position(|byte| *byte == b';')?;
    let (name, rest) = text.split_at_checked(length)?;
    let rest = rest.strip_prefix(b";")?;
    let name = std::str::from_utf8(name).ok()?;
    let found = match name.strip_prefix('#') {
        Some(number) => char::from_u32(match number.strip_prefix(['x', 'X']) {
            Some(number) => u32::from_str_radix(number, 16).ok()?,
            None => number.parse().ok()?,
        })?,
        None => named(name)?,
    };
    Some((found, rest))
}

fn named(name: &str) -> Option<char> {
    if let Some((_, character)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some(*character);
    }
    let mut rest = name.chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    match rest.as_str() {
        "slash" => Some(if letter.is_ascii_uppercase() { 'Ø' } else { 'ø' }),
        "Elig" => Some('Æ'),
        mark => MARKS.contains(&mark).then_some(letter),
    }
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
            "ud83d\\\\ude00",
            "%u20ac",
            "%2525e4",
            "&VerticalLine;",
            "&#0000000065;",
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
