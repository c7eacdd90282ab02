//! The letters of a character, for telling a secret again that was written another way.
//!
//! Two texts that differ in what cannot be seen, in accents, in width or in how they were composed have the same exact
//! letters; two that differ in case too have the same folded ones. Servers, libraries and URL parsers change all of these,
//! and who reads a message puts them back without noticing.

use crate::core::text::is_invisible;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// What is left of one character. Most have one letter, some have several, and what is not seen has none.
#[derive(Default)]
pub(super) struct Letters {
    exact: Vec<char>,
    folded: Vec<char>,
}

impl Letters {
    /// Takes the place of the letters that were here.
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

/// All letters of a text.
pub(super) fn letters(text: &str, is_folded: bool) -> Vec<char> {
    let mut into = Vec::new();
    let of_one = if is_folded { folded } else { exact };
    text.chars().for_each(|character| of_one(character, &mut into));
    into
}

/// Letters in the case that they have.
fn exact(character: char, into: &mut Vec<char>) {
    if character.is_ascii() {
        if !character.is_ascii_control() {
            into.push(character);
        }
        return;
    }
    decompose_compatible(character, |part| match part {
        _ if is_invisible(part) || is_combining_mark(part) => {}
        // The other full stops that are one in the name of a host (UTS #46).
        '\u{3002}' => into.push('.'),
        _ => into.push(part),
    });
}

/// Letters without their case. Marks come apart before, as the capitals have a letter for one of them.
fn folded(character: char, into: &mut Vec<char>) {
    if character.is_ascii() {
        if !character.is_ascii_control() {
            into.push(character.to_ascii_lowercase());
        }
        return;
    }
    decompose_compatible(character, |part| without_case(part).for_each(|part| exact(part, into)));
}

/// By way of the capitals, in which some letters are the same or several: `ß` and `ẞ` are `ss`, `ſ` is `s`.
fn without_case(character: char) -> impl Iterator<Item = char> {
    character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization as _;

    #[test]
    fn letters_outlive_every_change_of_form() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            for is_folded in [false, true] {
                let known = letters(&text, is_folded);
                let again: String = known.iter().collect();
                assert_eq!(letters(&again, is_folded), known, "{character:?}");
                let forms: [String; 4] = [
                    text.nfc().collect(),
                    text.nfd().collect(),
                    text.nfkc().collect(),
                    text.nfkd().collect(),
                ];
                for form in forms {
                    assert_eq!(letters(&form, is_folded), known, "{character:?} as {form:?}");
                }
            }
            for form in [text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(letters(&form, true), letters(&text, true), "{character:?} as {form:?}");
            }
        }
    }

    #[test]
    fn letters_of_some_texts() {
        for (text, folded) in [
            ("Pä ß", "pa ss"),
            ("PA\u{308} ẞ", "pa ss"),
            ("Ｓ３ｃ", "s3c"),
            ("S\u{200b}3\u{ad}c\u{feff}\t", "s3c"),
            ("ﬁ ſ K İ", "fi s k i"),
            ("a。b．c｡d", "a.b.c.d"),
            ("\u{301}\u{200d}", ""),
        ] {
            assert_eq!(String::from_iter(letters(text, true)), folded, "{text:?}");
        }
        assert_eq!(String::from_iter(letters("Ä\u{200b}Ｓß", false)), "ASß");
    }
}
