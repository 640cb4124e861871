//! Sums of floats that are the same in whatever order they are added, and never fall while their terms do not.
//!
//! Which processes live, and when the ended are folded, changes the order of the additions. Re-adding eight positive
//! floats in another order gives a smaller result in a quarter of all cases, and Prometheus takes every fall for a
//! reset. So sums over shards are kept as expansions: floats that do not overlap, whose exact sum is the exact sum of
//! all terms (J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997; Python's `math.fsum` does the same).

/// How many floats of an expansion the file keeps: 4 × 53 bits. What lies below 2⁻²¹² of the total is cut off.
pub(crate) const KEPT: usize = 4;

/// The exact sum of any number of floats.
///
/// ```
/// use tallymark_cells::ExactSum;
/// let mut sum = ExactSum::default();
/// for term in [1e16, 1.0, -1e16, 1e-3] {
///     sum.add(term);
/// }
/// assert_eq!(sum.value(), 1.001);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExactSum {
    /// Not overlapping, ascending in magnitude, none zero.
    partials: Vec<f64>,
    /// Infinities and NaN, which no expansion can hold, are added up plainly.
    special: f64,
}

impl ExactSum {
    /// Adds one term. Infinities and NaN make the sum what plain addition would make it.
    pub fn add(&mut self, term: f64) {
        if term == 0.0 {
            return;
        }
        if !term.is_finite() {
            self.special += term;
            return;
        }
        let mut high = term;
        let mut kept = 0;
        for index in 0..self.partials.len() {
            let (sum, error) = two_sum(high, self.partials[index]);
            if error != 0.0 {
                self.partials[kept] = error;
                kept += 1;
            }
            high = sum;
        }
        self.partials.truncate(kept);
        if !high.is_finite() {
            // The terms are finite, the sum is not: overflow, as plain addition has it.
            self.partials.clear();
            self.special += high;
        } else if high != 0.0 {
            self.partials.push(high);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        other.partials.iter().for_each(|partial| self.add(*partial));
        self.special += other.special;
    }

    /// What is missing from `other` to this sum, rounded once; 0 where both are the same infinity or not a number.
    pub fn minus(&self, other: &ExactSum) -> f64 {
        if self.special != 0.0 || other.special != 0.0 {
            let same = self.value() == other.value() || self.value().is_nan() && other.value().is_nan();
            return if same { 0.0 } else { self.value() - other.value() };
        }
        let mut difference = self.clone();
        other.partials.iter().for_each(|partial| difference.add(-partial));
        difference.value()
    }

    /// The sum, rounded once, to the nearest float (ties to even).
    pub fn value(&self) -> f64 {
        if self.special != 0.0 {
            return self.special;
        }
        let Some((&last, lower)) = self.partials.split_last() else { return 0.0 };
        let (mut high, mut rest) = (last, 0.0);
        let mut remaining = lower.iter().rev();
        for &partial in remaining.by_ref() {
            (high, rest) = two_sum(high, partial);
            if rest != 0.0 {
                break;
            }
        }
        // `high` is rounded to even by `rest` alone; if that was a tie, the sign of what lies below decides.
        if let Some(&below) = remaining.next()
            && (rest > 0.0) == (below > 0.0)
        {
            let doubled = rest * 2.0;
            let moved = high + doubled;
            if doubled == moved - high {
                return moved;
            }
        }
        high
    }

    /// The sum as words, to be kept.
    pub fn to_words(&self) -> [u64; KEPT] {
        let mut words = [0; KEPT];
        if self.special != 0.0 {
            words[0] = self.special.to_bits();
            return words;
        }
        for (word, partial) in words.iter_mut().zip(self.partials.iter().rev()) {
            *word = partial.to_bits();
        }
        words
    }

    /// The sum that [`to_words`](Self::to_words) wrote; any bits give some sum.
    pub fn from_words(words: &[u64]) -> ExactSum {
        let mut sum = ExactSum::default();
        words.iter().for_each(|word| sum.add(f64::from_bits(*word)));
        sum
    }
}

/// The rounded sum and its exact error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tie_is_decided_by_what_lies_below() {
        let mut sum = ExactSum::default();
        for term in [1.0, f64::EPSILON / 2.0, 1e-300] {
            sum.add(term);
        }
        assert_eq!(sum.value(), 1.0 + f64::EPSILON);
    }

    #[test]
    fn infinities_and_nan_are_as_in_plain_addition() {
        let mut sum = ExactSum::default();
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.value(), f64::INFINITY);
        sum.add(f64::NEG_INFINITY);
        assert!(sum.value().is_nan());
        assert!(ExactSum::from_words(&sum.to_words()).value().is_nan());
    }

    #[test]
    fn a_difference_is_what_was_added_since() {
        let mut sent = ExactSum::default();
        sent.add(1e16);
        let mut total = sent.clone();
        total.add(0.25);
        assert_eq!(total.minus(&sent), 0.25);
        assert_eq!(sent.minus(&total), -0.25);
        total.add(f64::INFINITY);
        assert_eq!((total.minus(&sent), total.minus(&total)), (f64::INFINITY, 0.0));
        total.add(f64::NEG_INFINITY);
        assert!(total.minus(&sent).is_nan());
        assert_eq!(total.minus(&total), 0.0);
    }

    proptest! {
        #[test]
        fn the_order_of_the_terms_does_not_matter(mut terms in prop::collection::vec(-1e12f64..1e12, 0..24), seed in any::<u64>()) {
            let forward = { let mut sum = ExactSum::default(); terms.iter().for_each(|t| sum.add(*t)); sum.value() };
            let mut state = seed | 1;
            for i in (1..terms.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                terms.swap(i, (state >> 33) as usize % (i + 1));
            }
            let shuffled = { let mut sum = ExactSum::default(); terms.iter().for_each(|t| sum.add(*t)); sum.value() };
            prop_assert_eq!(forward.to_bits(), shuffled.to_bits());
        }

        #[test]
        fn folding_in_any_grouping_never_lowers_the_sum(terms in prop::collection::vec(1e-9f64..1e9, 1..40), cut in 0usize..40) {
            let cut = cut.min(terms.len());
            let mut whole = ExactSum::default();
            terms.iter().for_each(|t| whole.add(*t));
            let mut base = ExactSum::default();
            terms[..cut].iter().for_each(|t| base.add(*t));
            let mut folded = ExactSum::from_words(&base.to_words());
            terms[cut..].iter().for_each(|t| folded.add(*t));
            prop_assert_eq!(folded.value().to_bits(), whole.value().to_bits());
        }
    }
}
