//! Finds secrets in a text whose characters may each be escaped, and may be separated by invisible characters.
//!
//! All forms are searched in one pass. At each position, each partial match (a form, and how much of it was
//! read) is kept once, however many ways of decoding lead there. The work is therefore linear in the text,
//! except for repetitive forms (`aaaa…b`), of which many partial matches may end at each position. A budget
//! bounds the work for those.
//!
//! Positions and lengths are added with saturation: they are bounded by the length of the text, and every use
//! of one is a checked access.

use super::escapes::{DecodedChar, MAX_ESCAPE_LEN, decode_at, is_escape_start};
use super::normaliser::NormalisedChar;
use std::ops::Range;

/// A secret in one encoding.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SecretForm {
    /// Its normalised [letters](super::normaliser), folded if `is_folded`.
    pub(super) letters: Vec<char>,
    pub(super) coding: SecretEncoding,
    pub(super) is_folded: bool,
    /// Whether it is searched for in answers too, and not only in messages.
    pub(super) in_answers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretEncoding {
    Plain,
    /// Either alphabet, without padding.
    Base64,
    Hex,
}

impl SecretForm {
    fn is_same(&self, found: char, wanted: char) -> bool {
        found == wanted
            || self.coding == SecretEncoding::Base64 && matches!((found, wanted), ('-', '+') | ('_', '/'))
    }
}

/// The steps allowed for a text of any length: enough for every ordinary message.
const BASE_STEPS: usize = 1 << 20;

/// The steps allowed for each byte. Random text takes about two, because each of its characters begins few of
/// the forms and continues fewer.
const STEPS_PER_BYTE: usize = 16;

/// One more step per byte is allowed for this many forms.
const FORMS_PER_STEP: usize = 4;

/// The search would take more steps than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SearchBudgetExceeded;

/// A form whose beginning was read up to some position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PartialMatch {
    form: usize,
    /// The number of its letters read so far.
    read: usize,
    /// Where the match began. Of several starts, the first is kept.
    start: usize,
}

/// A search of one text.
pub(super) struct Search<'a> {
    text: &'a [u8],
    forms: Vec<&'a SecretForm>,
    first_letters: FirstLetters,
    pending: PendingMatches,
    left: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a [u8], forms: Vec<&'a SecretForm>) -> Search<'a> {
        let for_a_byte = STEPS_PER_BYTE.saturating_add(forms.len() / FORMS_PER_STEP);
        let left = text.len().saturating_mul(for_a_byte).saturating_add(BASE_STEPS);
        let first_letters = FirstLetters::of(&forms);
        Search { text, forms, first_letters, pending: PendingMatches::new(), left }
    }

    /// The first match that begins at `from` or later; of several at that position, the longest.
    pub(super) fn next(&mut self, from: usize) -> Result<Option<Range<usize>>, SearchBudgetExceeded> {
        let mut best: Option<Range<usize>> = None;
        let (mut now, mut readings, mut letters) = (Vec::new(), Vec::new(), NormalisedChar::default());
        let mut at = from;
        self.pending.clear();
        while !self.forms.is_empty() {
            if self.pending.waiting == 0 {
                let rest = self.text.get(at..).filter(|_| best.is_none()).unwrap_or_default();
                let Some(passed) = rest.iter().position(|byte| self.first_letters.may_begin(*byte)) else {
                    break;
                };
                at = at.saturating_add(passed);
            }
            if at >= self.text.len() {
                break;
            }
            self.pending.take(at, &mut now);
            if let Some(best) = &best {
                now.retain(|partial| partial.start <= best.start);
            }
            let begins =
                best.is_none() && self.text.get(at).is_some_and(|byte| self.first_letters.may_begin(*byte));
            self.spend(1)?;
            if begins || !now.is_empty() {
                decode_at(self.text, at, &mut readings);
            } else {
                readings.clear();
            }
            for reading in &readings {
                self.spend(now.len().saturating_add(1))?;
                letters.set(reading.character);
                for partial in &now {
                    self.advance(*partial, reading, &letters, 0, &mut best)?;
                }
                if begins {
                    self.begin(at, reading, &letters, &mut best)?;
                }
            }
            at = at.saturating_add(1);
        }
        Ok(best)
    }

    /// The remaining steps.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Begins matches. A form may begin with any letter of a character that has several.
    fn begin(
        &mut self,
        start: usize,
        reading: &DecodedChar,
        letters: &NormalisedChar,
        best: &mut Option<Range<usize>>,
    ) -> Result<(), SearchBudgetExceeded> {
        for is_folded in [false, true] {
            for (from, letter) in letters.of(is_folded).iter().enumerate() {
                for place in 0.. {
                    let begun = self.first_letters.of_letter(*letter, is_folded).get(place);
                    let Some(form) = begun else { break };
                    let partial = PartialMatch { form: *form, read: 0, start };
                    self.spend(1)?;
                    self.advance(partial, reading, letters, from, best)?;
                }
            }
        }
        Ok(())
    }

    /// Continues a match with the letters of a decoded character, without those before `from`.
    fn advance(
        &mut self,
        mut partial: PartialMatch,
        reading: &DecodedChar,
        letters: &NormalisedChar,
        from: usize,
        best: &mut Option<Range<usize>>,
    ) -> Result<(), SearchBudgetExceeded> {
        let Some(form) = self.forms.get(partial.form) else { return Ok(()) };
        for letter in letters.of(form.is_folded).get(from..).unwrap_or_default() {
            let wanted = form.letters.get(partial.read);
            if !wanted.is_some_and(|wanted| form.is_same(*letter, *wanted)) {
                return Ok(());
            }
            partial.read = partial.read.saturating_add(1);
            if partial.read == form.letters.len() {
                let found = partial.start..reading.last;
                let is_better = |best: &Range<usize>| {
                    found.start < best.start || found.start == best.start && found.end > best.end
                };
                if best.as_ref().is_none_or(is_better) {
                    *best = Some(found);
                }
                return Ok(());
            }
        }
        for place in reading.first..=reading.last {
            self.spend(1)?;
            self.pending.push(place, partial);
        }
        Ok(())
    }

    fn spend(&mut self, steps: usize) -> Result<(), SearchBudgetExceeded> {
        self.left = self.left.checked_sub(steps).ok_or(SearchBudgetExceeded)?;
        Ok(())
    }
}

/// Which forms begin with which letter.
struct FirstLetters {
    /// For exact and for folded letters: one list for each ASCII letter, and a last one for all other letters,
    /// which are compared later.
    lists: [Vec<Vec<usize>>; 2],
    /// The bytes that a match may begin with. A text of many megabytes is examined closely only there.
    bytes: [bool; 256],
}

impl FirstLetters {
    fn of(forms: &[&SecretForm]) -> FirstLetters {
        let mut lists = [vec![Vec::new(); 129], vec![Vec::new(); 129]];
        for (number, form) in forms.iter().enumerate() {
            let Some(first) = form.letters.first() else { continue };
            let [exact, folded] = &mut lists;
            let lists = if form.is_folded { folded } else { exact };
            for (byte, list) in (0..=128).zip(lists) {
                let is_first = match byte {
                    128 => !first.is_ascii(),
                    byte => form.is_same(char::from(byte), *first),
                };
                if is_first {
                    list.push(number);
                }
            }
        }
        let mut first_letters = FirstLetters { lists, bytes: [true; 256] };
        let mut letters = NormalisedChar::default();
        let mut begins = |byte: u8| {
            // Any letter may begin a multi-byte character: one that is wider, or has a mark.
            if is_escape_start(byte) || byte >= 0xc0 {
                return true;
            }
            letters.set(char::from(byte));
            [false, true].into_iter().any(|is_folded| {
                let mut letters = letters.of(is_folded).iter();
                letters.any(|letter| !first_letters.of_letter(*letter, is_folded).is_empty())
            })
        };
        let bytes: Vec<bool> = (0..=u8::MAX).map(&mut begins).collect();
        first_letters.bytes.iter_mut().zip(bytes).for_each(|(place, may)| *place = may);
        first_letters
    }

    fn of_letter(&self, letter: char, is_folded: bool) -> &[usize] {
        let place = usize::try_from(u32::from(letter)).map_or(128, |place| place.min(128));
        let [exact, folded] = &self.lists;
        let lists = if is_folded { folded } else { exact };
        lists.get(place).map_or(&[], Vec::as_slice)
    }

    fn may_begin(&self, byte: u8) -> bool {
        self.bytes.get(usize::from(byte)).copied().unwrap_or(true)
    }
}

/// The partial matches at this position and the next ones, none of which is further away than an escape is
/// long.
struct PendingMatches {
    slots: Vec<Vec<PartialMatch>>,
    waiting: usize,
}

impl PendingMatches {
    fn new() -> PendingMatches {
        PendingMatches { slots: vec![Vec::new(); MAX_ESCAPE_LEN], waiting: 0 }
    }

    fn clear(&mut self) {
        if self.waiting > 0 {
            self.slots.iter_mut().for_each(Vec::clear);
            self.waiting = 0;
        }
    }

    fn push(&mut self, at: usize, partial: PartialMatch) {
        if let Some(slot) = self.slots.get_mut(at % MAX_ESCAPE_LEN) {
            slot.push(partial);
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    /// Takes those at this position, each once.
    fn take(&mut self, at: usize, into: &mut Vec<PartialMatch>) {
        into.clear();
        if let Some(slot) = self.slots.get_mut(at % MAX_ESCAPE_LEN) {
            std::mem::swap(slot, into);
        }
        self.waiting = self.waiting.saturating_sub(into.len());
        into.sort_unstable();
        into.dedup_by_key(|partial| (partial.form, partial.read));
    }
}
