//! Formats TOML errors as one line. They are also written to events, where a line break would be escaped.

/// Formats the line number and the error. The content of the line is not shown, because it may be a secret.
pub(super) fn describe(error: &toml::de::Error, text: &str) -> String {
    let lines: Vec<&str> = error.message().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = shortened(&lines.join(", "));
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {what}", before.split('\n').count()),
        None => what,
    }
}

/// Replaces the list of some forty known fields by the one that was probably meant.
fn shortened(message: &str) -> String {
    let Some((what, known)) = message.split_once(", expected one of ") else { return message.to_owned() };
    let Some(field) = what.strip_prefix("unknown field ") else { return message.to_owned() };
    let near = |known: &&str| distance(known.trim_matches('`'), field.trim_matches('`'));
    match known.split(", ").min_by_key(near).filter(|known| near(known) <= 2) {
        Some(known) => format!("{what}, did you mean {known}?"),
        None => what.to_owned(),
    }
}

/// The edit distance: the number of characters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (number, left) in (1..).zip(a.chars()) {
        let mut next = vec![number];
        for ((right, pair), last) in b.chars().zip(row.windows(2)).zip(1_usize..) {
            let [diagonal, above] = *pair else { continue };
            // Positions are from 1 on. A distance is at most the length of a key, or, where there is none, the largest number.
            let beside = next.get(last.saturating_sub(1)).copied().unwrap_or(usize::MAX);
            let changed = diagonal.saturating_add(usize::from(left != right));
            next.push(changed.min(above.saturating_add(1)).min(beside.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::log::LogTable;

    #[test]
    fn distances_count_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("rpid", "rp-id", 1),
            ("lgo", "log", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn an_error_is_one_line_with_its_number_and_no_value() {
        for (text, expected) in [
            ("quiet = true\nrpid = 's3cret'", "line 2: unknown field `rpid`, did you mean `rp-id`?"),
            ("[[alert]]\nsecret = 's3cret'", "line 2: unknown field `secret`"),
            ("\n\n  nonsense-of-mine = 's3cret'\n", "line 3: unknown field `nonsense-of-mine`"),
            ("quiet = tru", "line 1: "),
            ("\u{e4} = 1\nno toml s3cret", "line "),
            ("a = 1\na = 's3cret'", "line 2: duplicate key"),
            ("quiet = 1\n", "line 1: invalid type: integer `1`, expected a boolean"),
            ("[", "line 1: "),
        ] {
            let error = toml::from_str::<LogTable>(text).err().unwrap();
            let message = describe(&error, text);
            assert!(message.starts_with(expected) && message.len() < 120, "{text}: {message}");
            assert!(!message.contains('\n') && !message.contains("s3cret"), "{text}: {message}");
        }
    }
}
