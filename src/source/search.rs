//! Finds secrets in a text whose characters may each be spelled in their own way, and have things between them that
//! nobody sees.
//!
//! All forms are looked for at once, from the beginning of the text to its end: at each place stands how much of which
//! form ends there, once, however many ways lead there. The work is therefore linear in the text, but for forms that
//! repeat themselves (`aaaa…b`), of which much may end at each place. That is what the budget is for.

use super::escapes::{DecodedChar, MAX_ESCAPE_LEN, is_escape_start, read};
use super::normaliser::NormalisedChar;
use std::ops::Range;

/// A secret in one of its codings.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SecretForm {
    /// Its [letters](super::normaliser), folded if `is_folded`.
    pub(super) letters: Vec<char>,
    pub(super) coding: SecretEncoding,
    pub(super) is_folded: bool,
    /// Looked for in answers too, and not in messages alone.
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

/// Steps for a text of any length: enough for every ordinary message.
const BASE_STEPS: usize = 1 << 20;

/// Steps for each byte. Text at random takes about two, as each of its characters
/// begins few of the forms, and goes on with fewer.
const STEPS_PER_BYTE: usize = 16;

/// So many forms are worth one step more.
const FORMS_PER_STEP: usize = 4;

/// It would take more work than the text is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SearchBudgetExceeded;

/// The beginning of a form, read up to where the thread stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PartialMatch {
    form: usize,
    /// So many of its characters.
    read: usize,
    /// Where the reading began. Of several, the first counts.
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

    /// The first form that begins at `from` or later, and of those that begin there the longest.
    pub(super) fn next(&mut self, from: usize) -> Result<Option<Range<usize>>, SearchBudgetExceeded> {
        let mut best: Option<Range<usize>> = None;
        let (mut now, mut readings, mut letters) = (Vec::new(), Vec::new(), NormalisedChar::default());
        let mut at = from;
        self.pending.clear();
        while !self.forms.is_empty() {
            if self.pending.waiting == 0 {
                let rest = self.text.get(at..).filter(|_| best.is_none()).unwrap_or_default();
                let Some(passed) = rest.iter().position(|byte| self.first_letters.may(*byte)) else { break };
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
                best.is_none() && self.text.get(at).is_some_and(|byte| self.first_letters.may(*byte));
            self.spend(1)?;
            if begins || !now.is_empty() {
                read(self.text, at, &mut readings);
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

    /// Steps that are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// A form may begin with any of the letters of a character that has several.
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

    /// Goes on with the letters of a reading, those before `from` left out.
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

/// Which forms a letter may be the first of.
struct FirstLetters {
    /// For exact letters and for folded ones: one list for each ASCII letter, and the last for all others, which are
    /// looked at later.
    lists: [Vec<Vec<usize>>; 2],
    /// The bytes that one may begin with: a text of many megabytes is looked at closely only there.
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
            // Any letter may be the first byte of a character: of one that is wider, or has a mark.
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

    fn may(&self, byte: u8) -> bool {
        self.bytes.get(usize::from(byte)).copied().unwrap_or(true)
    }
}

/// The threads that stand at this place or at one of the next, none of which is further away than a spelling is long.
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

    /// Those that stand at this place, each once.
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
