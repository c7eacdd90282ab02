//! Decodes the characters that a text may contain at a position, in the common escapes of URLs, JSON, HTML and
//! programs.
//!
//! Each position is decoded in a bounded number of steps and without allocation, because the author of the text
//! may have filled megabytes with escapes. Positions are added with saturation: they are bounded by the length
//! of the text, and every use of one is a checked access.

/// The most levels of nested escapes that are decoded.
const MAX_NESTED: usize = 4;

/// Each level of escapes doubles the backslashes.
const MAX_BACKSLASHES: usize = 1 << MAX_NESTED;

/// The most digits between braces.
const MAX_BRACED: usize = 6;

/// The longest name or number of an entity.
const MAX_NAMED: usize = 12;

/// The HTML entities for punctuation, spaces, and letters that are not a letter with a mark.
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

/// The marks that an entity may name after a letter. Normalised letters have no marks.
const MARKS: [&str; 14] = [
    "uml", "acute", "grave", "circ", "tilde", "ring", "cedil", "caron", "macr", "breve", "ogon", "dot",
    "dblac", "strok",
];

/// More bytes than any escape of one character has. The longest are four bytes that are percent-encoded four
/// times over, and the longest run of backslashes followed by `u{10ffff}`.
pub(super) const MAX_ESCAPE_LEN: usize = 64;

/// One way to decode a character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DecodedChar {
    /// The character.
    pub(super) character: char,
    /// The first position at which the next character may begin.
    pub(super) first: usize,
    /// The last such position. All positions in between are possible as well.
    pub(super) last: usize,
}

/// Whether a byte may begin an escape.
pub(super) fn is_escape_start(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'+')
}

/// Puts every way to decode a character at `at` into `readings`.
pub(super) fn decode_at(text: &[u8], at: usize, readings: &mut Vec<DecodedChar>) {
    readings.clear();
    let Some(text) = text.get(at..) else { return };
    let mut push = |(character, rest): (char, &[u8])| {
        let end = at.saturating_add(text.len().saturating_sub(rest.len()));
        readings.push(DecodedChar { character, first: end, last: end });
    };
    literal(text).into_iter().for_each(&mut push);
    match text.first() {
        Some(b'%') => {
            (0..MAX_NESTED).filter_map(|nested| percent(text, nested)).for_each(&mut push);
            (0..MAX_NESTED).filter_map(|nested| percent_latin(text, nested)).for_each(&mut push);
            // As the `escape` function of JavaScript writes it.
            text.strip_prefix(b"%u").and_then(four_digits).into_iter().for_each(push);
        }
        Some(b'&') => entity(text).into_iter().for_each(push),
        // A space in a query.
        Some(b'+') => text.get(1..).map(|rest| (' ', rest)).into_iter().for_each(push),
        Some(b'\\') => {
            // Either a backslash, escaped by some of the others, or the character after all of them.
            let run = text.iter().take(MAX_BACKSLASHES.saturating_add(1));
            let run = run.take_while(|byte| **byte == b'\\').count();
            if run <= MAX_BACKSLASHES {
                escaped(text.get(run..).unwrap_or_default()).into_iter().flatten().for_each(push);
            }
            if run >= 2 {
                let (first, last) = (at.saturating_add(2), at.saturating_add(run));
                readings.push(DecodedChar { character: '\\', first, last });
            }
        }
        _ => {}
    }
}

/// An unescaped character, and the rest of the text.
fn literal(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = text.split_first()?;
    if first.is_ascii() {
        return Some((char::from(*first), rest));
    }
    let found = (2..=4).find_map(|length| {
        let (character, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(character).ok()?.chars().next()?, rest))
    });
    // A letter of Latin-1. The lower half of its bytes also occurs inside UTF-8 characters.
    found.or((*first >= 0xc0).then_some((char::from(*first), rest)))
}

/// Decodes bytes as UTF-8, or else as Latin-1.
pub(super) fn utf8_or_latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// `%41`, or `%2541` if it was encoded once more.
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

/// `%e4`, if the encoded text was Latin-1.
fn percent_latin(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
    let (value, rest) = percent_byte(text, nested)?;
    (value >= 0xa0).then_some((char::from(value), rest))
}

/// What may follow backslashes: `u0041`, `ud83d\ude00`, `u{41}`, `x41`, `n`, or a character itself.
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
    // A control character such as a line end, which is invisible.
    let control = text.split_first().filter(|(letter, _)| b"nrtbfv0a".contains(letter));
    [literal(text), braced, four, pair(text), two, control.map(|(_, rest)| ('\n', rest))]
}

fn four_digits(text: &[u8]) -> Option<(char, &[u8])> {
    let (value, rest) = hex(text, 4)?;
    Some((char::from_u32(value)?, rest))
}

/// `ud83d\ude00`: a surrogate pair of UTF-16, each half escaped.
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

/// Parses this many hexadecimal digits, in either case.
pub(super) fn hex(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('+'))?;
    Some((u32::from_str_radix(number, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every decoded character ends after its start and within reach, for any text.
    #[test]
    fn escapes_end_within_reach() {
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
            decode_at(text.as_bytes(), at, &mut readings);
            for reading in &readings {
                assert!(at < reading.first && reading.first <= reading.last, "{at} {reading:?}");
                assert!(reading.last < at + MAX_ESCAPE_LEN && reading.last <= text.len(), "{at} {reading:?}");
            }
        }
    }
}
