//! The buckets of a native histogram as the page shows those of any histogram: upper bounds with cumulative counts.
//!
//! Which buckets hold anything comes with the numbers, so whatever they say, no more are made than were sent, and for each
//! at most one of none, where there is a gap below it.

use tallymark_model::{NativeHistogram, Span};

/// Upper bounds, ascending, with how many observations were not above them; `+Inf` last.
///
/// A bucket of negative observations ends where its absolute values begin. Empty for a schema that is not exponential:
/// its bounds are not in the numbers.
pub(super) fn buckets(histogram: &NativeHistogram) -> Vec<(f64, f64)> {
    if !(-4..=8).contains(&histogram.schema) {
        return Vec::new();
    }
    let upper = |index: i64| (index as f64 * (-f64::from(histogram.schema)).exp2()).exp2();
    let negative = counts(&histogram.negative_spans, &histogram.negative_deltas);
    let positive = counts(&histogram.positive_spans, &histogram.positive_deltas);

    let mut buckets = Vec::with_capacity(2 * (negative.len() + positive.len()) + 3);
    let mut cumulated = 0.0;
    let mut put = |lower: f64, upper: f64, count: f64| {
        // Without it the bucket would begin where the one below the gap ends.
        if buckets.last().map_or(lower < 0.0, |(end, _)| *end < lower) {
            buckets.push((lower, cumulated));
        }
        cumulated += count;
        buckets.push((upper, cumulated));
    };
    for (index, count) in negative.iter().rev() {
        put(-upper(*index), -upper(index.saturating_sub(1)), *count);
    }
    let zero = histogram.zero_threshold.as_f64();
    // With nothing below it, it begins at zero, as everybody's first bucket does.
    put(if negative.is_empty() { 0.0 } else { -zero }, zero, histogram.zero_count.as_f64());
    for (index, count) in &positive {
        put(upper(index.saturating_sub(1)), upper(*index), *count);
    }
    buckets.push((f64::INFINITY, histogram.count.as_f64()));
    buckets
}

/// The indexes of buckets with their counts, of which the deltas are the differences.
fn counts(spans: &[Span], deltas: &[i64]) -> Vec<(i64, f64)> {
    let mut deltas = deltas.iter();
    let (mut index, mut count) = (0_i64, 0_i64);
    let mut counts = Vec::with_capacity(deltas.len());
    for span in spans {
        index = index.saturating_add(span.offset);
        for _ in 0..span.length {
            let Some(delta) = deltas.next() else { return counts };
            count = count.saturating_add(*delta);
            counts.push((index, count as f64));
            index = index.saturating_add(1);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallymark_model::number::Number::{Float, Integer};

    #[test]
    fn bounds_are_powers_of_the_schemas_base_around_zero_and_gaps_have_none() {
        let histogram = NativeHistogram {
            zero_threshold: Float(0.001),
            zero_count: Integer(1),
            positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
            positive_deltas: vec![2, 1, -2],
            negative_spans: vec![Span { offset: 1, length: 2 }],
            negative_deltas: vec![1, 3],
            ..NativeHistogram::new(Integer(12), Float(0.5), 0)
        };

        let expected = [
            (-4.0, 0.0),
            (-2.0, 4.0),
            (-1.0, 5.0),
            (-0.001, 5.0),
            (0.001, 6.0),
            (0.5, 6.0),
            (1.0, 8.0),
            (2.0, 11.0),
            (4.0, 11.0),
            (8.0, 12.0),
            (f64::INFINITY, 12.0),
        ];
        assert_eq!(expected, buckets(&histogram)[..]);
    }

    #[test]
    fn more_buckets_than_were_sent_are_not_made() {
        let histogram = NativeHistogram {
            positive_spans: vec![Span { offset: i64::MAX, length: u64::MAX }],
            positive_deltas: vec![i64::MAX, i64::MAX],
            ..NativeHistogram::new(Integer(1), Float(1.0), 3)
        };

        assert_eq!(5, buckets(&histogram).len());
    }

    #[test]
    fn a_schema_without_a_base_has_no_buckets() {
        assert!(buckets(&NativeHistogram::new(Integer(1), Float(1.0), -53)).is_empty());
    }
}
