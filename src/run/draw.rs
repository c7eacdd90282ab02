//! Random numbers that no log can foresee: they decide which of its answers a run asks for.
//!
//! A log that knew the sample could answer rightly for the sample alone. So the numbers are SHA-256 over a seed of the
//! operating system and a counter: the next one cannot be computed from those that were seen.

use super::fault::Fault;
use crate::core::hash::sha256;

/// A source of numbers, with a seed of its own.
pub(super) struct Draw {
    seed: [u8; 32],
    drawn: u64,
}

impl Draw {
    /// With a new seed.
    ///
    /// # Errors
    /// [`Fault::Random`]: the operating system gives no random numbers.
    pub(super) fn new() -> Result<Draw, Fault> {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| Fault::Random)?;
        Ok(Draw { seed, drawn: 0 })
    }

    /// A number below `end`, each as likely as any other but for 1 in 2^64. It is 0 if there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let digest = sha256(&[self.seed.as_slice(), &self.drawn.to_be_bytes()].concat());
        let word = digest.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        // The upper half of the product: at most `end` − 1.
        u64::try_from(u128::from(word).wrapping_mul(u128::from(end)) >> 64).unwrap_or(0)
    }

    /// `most` of the items, in any order.
    pub(super) fn some<T>(&mut self, mut items: Vec<T>, most: usize) -> Vec<T> {
        let mut drawn = Vec::with_capacity(most.min(items.len()));
        while drawn.len() < most && !items.is_empty() {
            let place = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
            drawn.push(items.swap_remove(place));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_are_below_the_end_and_every_one_is_drawn() {
        let mut draw = Draw::new().unwrap();
        for end in [0, 1, 2, 3, 10, u64::MAX] {
            let drawn: BTreeSet<u64> = (0..1000).map(|_| draw.below(end)).collect();
            assert!(drawn.iter().all(|number| *number < end.max(1)), "{end}: {drawn:?}");
            assert!(drawn.len() as u64 >= end.min(990), "{end}: {}", drawn.len());
        }
    }

    #[test]
    fn two_runs_draw_differently() {
        let numbers = |mut draw: Draw| (0..4).map(|_| draw.below(u64::MAX)).collect::<Vec<_>>();
        assert_ne!(numbers(Draw::new().unwrap()), numbers(Draw::new().unwrap()));
        let again = || Draw { seed: [7; 32], drawn: 0 };
        assert_eq!(numbers(again()), numbers(again()));
    }

    #[test]
    fn samples_are_distinct() {
        let mut draw = Draw::new().unwrap();
        for most in 0..12 {
            let drawn = draw.some((0..10).collect(), most);
            assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), most.min(10));
        }
    }
}
