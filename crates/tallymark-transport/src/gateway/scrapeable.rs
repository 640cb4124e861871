//! What would keep Prometheus from scraping anything, once it is shown, and so must not get into a group.
//!
//! A scrape is refused whole for one unit that is no part of its name, for one label that stands twice, and for one native
//! histogram whose numbers contradict each other. What says something about the push alone is left out here (a unit, an
//! exemplar); what says something about its values makes the push one to refuse.

use std::collections::BTreeMap;

use tallymark_model::name::{escape_label, is_legacy_label};
use tallymark_model::{Escaping, Exemplar, NativeHistogram, Span, number::Number};

/// How fine the buckets of a native histogram may be: what Prometheus keeps.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// The unit, if it is one that a family of this name can have; else nothing.
pub(super) fn unit<'a>(name: &str, unit: &'a str) -> &'a str {
    let is_word = !unit.is_empty() && unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_end = name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
    if is_word && is_end { unit } else { "" }
}

/// Whether every format can carry the exemplar: its labels' names are written without quotes.
pub(super) fn can_carry(exemplar: &Exemplar) -> bool {
    exemplar.labels.iter().all(|(name, _)| is_legacy_label(name))
}

/// Two names of one series' labels that are one where a scrape asks for names without quotes.
pub(super) fn colliding<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<[&'a str; 2]> {
    // No two legacy names become one.
    if names.clone().all(is_legacy_label) {
        return None;
    }
    [Escaping::Underscores, Escaping::Dots, Escaping::Values].into_iter().find_map(|scheme| {
        // The metric's own name is a label, too.
        let mut seen = BTreeMap::from([("__name__".into(), "__name__")]);
        names.clone().find_map(|name| seen.insert(escape_label(name, scheme), name).map(|first| [first, name]))
    })
}

/// What is wrong with a native histogram, in Prometheus' eyes.
pub(super) fn problem(native: &NativeHistogram) -> Option<&'static str> {
    if !SCHEMAS.contains(&native.schema) {
        return Some("its schema is not between -4 and 8");
    }
    let whole = |number| match number {
        Number::Integer(number) => Some(number),
        Number::Float(_) => None,
    };
    let (Some(count), Some(zeros)) = (whole(native.count), whole(native.zero_count)) else {
        return Some("it counts in floats");
    };
    let positive = observations(&native.positive_spans, &native.positive_deltas);
    let negative = observations(&native.negative_spans, &native.negative_deltas);
    let (positive, negative) = match (positive, negative) {
        (Ok(positive), Ok(negative)) => (positive, negative),
        (Err(problem), _) | (_, Err(problem)) => return Some(problem),
    };
    let total = [positive, negative].into_iter().try_fold(zeros, i128::checked_add);
    // Observations that are no number are in the count and in no bucket.
    let is_count = total.is_some_and(|total| total == count || (native.sum.as_f64().is_nan() && total < count));
    (!is_count).then_some("its buckets do not add up to its count")
}

/// How many observations the buckets have.
fn observations(spans: &[Span], deltas: &[i64]) -> Result<i128, &'static str> {
    let buckets = spans.iter().try_fold(0_u64, |buckets, span| buckets.checked_add(span.length));
    if buckets != u64::try_from(deltas.len()).ok() {
        return Err("its spans have another number of buckets than its deltas");
    }
    if spans.iter().skip(1).any(|span| span.offset < 0) {
        return Err("a span begins before the last one ends");
    }
    let (mut bucket, mut all) = (0_i128, 0_i128);
    for delta in deltas {
        bucket += i128::from(*delta);
        if bucket < 0 {
            return Err("a bucket counts less than nothing");
        }
        all += bucket;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_word_at_the_end_of_the_name() {
        for (name, given, kept) in [
            ("x_seconds", "seconds", "seconds"),
            ("x_per_s", "per_s", "per_s"),
            ("x", "seconds", ""),
            ("xs", "s", ""),
            ("s", "s", ""),
            ("x_", "", ""),
            ("x_m²", "m²", ""),
            ("x_s\nup 0", "s\nup 0", ""),
        ] {
            assert_eq!(unit(name, given), kept, "{name}");
        }
    }

    #[test]
    fn names_collide_by_any_scheme() {
        for (names, collide) in [
            (&["a", "b_c", "a_dot_b"][..], false),
            (&["a.b", "c"], false),
            (&["a.b", "a_b"], true),
            (&["a b", "a_b"], true),
            (&["a.b", "U__a_2e_b"], true),
            (&["..name.."], true),
        ] {
            assert_eq!(colliding(names.iter().copied()).is_some(), collide, "{names:?}");
        }
    }

    /// Two observations in each of two buckets, one in the zero bucket.
    fn native() -> NativeHistogram {
        NativeHistogram {
            zero_count: Number::Integer(1),
            positive_spans: vec![Span { offset: -1, length: 1 }, Span { offset: 2, length: 1 }],
            positive_deltas: vec![2, 0],
            ..NativeHistogram::new(Number::Integer(5), Number::Float(7.5), 3)
        }
    }

    #[test]
    fn a_native_histogram_must_not_contradict_itself() {
        assert_eq!(problem(&native()), None);
        type Change = fn(&mut NativeHistogram);
        let changes: [(Change, &str); 8] = [
            (|it| it.schema = 9, "its schema is not"),
            (|it| it.positive_deltas.push(0), "its spans have another number"),
            (|it| it.positive_spans.clear(), "its spans have another number"),
            (|it| it.positive_spans[0].length = u64::MAX, "its spans have another number"),
            (|it| it.positive_spans[1].offset = -1, "a span begins before"),
            (|it| it.positive_deltas = vec![2, -3], "a bucket counts less"),
            (|it| it.count = Number::Integer(6), "its buckets do not add up"),
            (|it| it.count = Number::Float(5.0), "it counts in floats"),
        ];
        for (change, expected) in changes {
            let mut native = native();
            change(&mut native);
            assert!(problem(&native).is_some_and(|problem| problem.starts_with(expected)), "{expected}");
        }
        let without_number = Number::Float(f64::NAN);
        assert_eq!(problem(&NativeHistogram { count: Number::Integer(6), sum: without_number, ..native() }), None);
        assert!(problem(&NativeHistogram { count: Number::Integer(4), sum: without_number, ..native() }).is_some());
    }
}
