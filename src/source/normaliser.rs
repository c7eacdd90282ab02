//! Normalises characters to letters, to recognise a secret in another form.
//!
//! Two texts that differ only in invisible characters, accents, width or composition have the same exact
//! letters. Two that also differ in case have the same folded letters. Servers, libraries and URL parsers
//! change all of these, and a reader of a message restores them without noticing.

use crate::core::text::is_invisible;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The letters of one character. Most have one letter, some have several, and invisible characters have none.
#[derive(Default)]
pub(super) struct NormalisedChar {
    exact: Vec<char>,
    folded: Vec<char>,
}

impl NormalisedChar {
    /// Replaces the letters with those of `character`.
    pub(super) fn set(&mut self, character: char) {
        self.exact.clear();
        self.folded.clear();
        exact(character, &mut self.exact);
        folded(character, &mut self.folded);
    }

    pub(super) fn of(&self, is_folded: bool) -> &[char] {
        if is_folded { &self.folded } else { &self.exact }
    }
}

/// All letters of a text, folded or exact.
pub(super) fn normalise(text: &str, is_folded: bool) -> Vec<char> {
    let mut into = Vec::new();
    let of_one = if is_folded { folded } else { exact };
    text.chars().for_each(|character| of_one(character, &mut into));
    into
}

/// The letters in their own case.
fn exact(character: char, into: &mut Vec<char>) {
    if character.is_ascii() {
        if !character.is_ascii_control() {
            into.push(character);
        }
        return;
    }
    decompose_compatible(character, |part| match part {
        _ if is_invisible(part) || is_combining_mark(part) => {}
        // An ideographic full stop, which is a dot in a host name (UTS #46). Its other forms decompose to it.
        '\u{3002}' => into.push('.'),
        _ => into.push(part),
    });
}

/// The letters without their case. Marks are decomposed first, because one of them has a capital that is a
/// letter.
fn folded(character: char, into: &mut Vec<char>) {
    if character.is_ascii() {
        if !character.is_ascii_control() {
            into.push(character.to_ascii_lowercase());
        }
        return;
    }
    decompose_compatible(character, |part| without_case(part).for_each(|part| exact(part, into)));
}

/// Folds by way of capitals, where some letters are equal or become several: `ß` and `ẞ` are `ss`, `ſ` is `s`.
fn without_case(character: char) -> impl Iterator<Item = char> {
    character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization as _;

    #[test]
    fn normalisation_is_stable_under_unicode_forms_and_case() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            for is_folded in [false, true] {
                let known = normalise(&text, is_folded);
                let again: String = known.iter().collect();
                assert_eq!(normalise(&again, is_folded), known, "{character:?}");
                let forms: [String; 4] = [
                    text.nfc().collect(),
                    text.nfd().collect(),
                    text.nfkc().collect(),
                    text.nfkd().collect(),
                ];
                for form in forms {
                    assert_eq!(normalise(&form, is_folded), known, "{character:?} as {form:?}");
                }
            }
            for form in [text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(normalise(&form, true), normalise(&text, true), "{character:?} as {form:?}");
            }
        }
    }

    #[test]
    fn known_texts_are_normalised() {
        for (text, folded) in [
            ("Pä ß", "pa ss"),
            ("PA\u{308} ẞ", "pa ss"),
            ("Ｓ３ｃ", "s3c"),
            ("S\u{200b}3\u{ad}c\u{feff}\t", "s3c"),
            ("ﬁ ſ K İ", "fi s k i"),
            ("a。b．c｡d", "a.b.c.d"),
            ("\u{301}\u{200d}", ""),
        ] {
            assert_eq!(String::from_iter(normalise(text, true)), folded, "{text:?}");
        }
        assert_eq!(String::from_iter(normalise("Ä\u{200b}Ｓß", false)), "ASß");
    }
}
