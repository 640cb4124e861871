//! The lines of one native series, before any format has a say: suffix, the label the type adds, value.
//!
//! Which lines a series has, and in which order, is told here once: [`crate::FamilySnapshot::samples`] and every
//! encoder follow it. How a line looks is not known here.

use crate::{Exemplar, Family, SeriesSnapshot, Value};

/// One line of a native series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// What follows the family's name.
    pub(crate) suffix: &'static str,
    /// What the type adds to the series' labels.
    pub(crate) added: Added<'a>,
    /// The value.
    pub(crate) value: f64,
    /// The exemplar, of a counter or a bucket.
    pub(crate) exemplar: Option<&'a Exemplar>,
}

/// The labels that a type adds to those of the series.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Added<'a> {
    /// None.
    Nothing,
    /// A bucket's bound, as `le`.
    Le(&'a str),
    /// A state, as a label named like the family.
    State(&'a str),
    /// An info's names and values.
    Pairs(&'a [(String, String)]),
}

impl Line<'_> {
    fn plain(suffix: &'static str, value: f64) -> Line<'static> {
        Line { suffix, added: Added::Nothing, value, exemplar: None }
    }
}

/// Hands each line of `series` but [`created`] to `emit`, in the official client's order.
///
/// Buckets are cumulated on the way, so `_count` is the `+Inf` bucket. A histogram that counts below zero has no `_sum`,
/// which could fall.
pub(crate) fn for_each_line<'a>(family: &'a Family, series: &'a SeriesSnapshot, mut emit: impl FnMut(Line<'a>)) {
    match &series.value {
        Value::Counter { total, exemplar } => {
            emit(Line { exemplar: exemplar.as_deref(), ..Line::plain("_total", *total) });
        }
        Value::Gauge(value) => emit(Line::plain("", *value)),
        Value::Summary { count, sum } => {
            emit(Line::plain("_count", *count as f64));
            emit(Line::plain("_sum", *sum));
        }
        Value::Histogram { counts, sum, exemplars } => {
            let mut cumulated: u64 = 0;
            let has_sum = family.bounds().first().is_some_and(|lowest| *lowest >= 0.0);
            if has_sum && family.has_sum_first() {
                emit(Line::plain("_sum", *sum));
            }
            let mut exemplars = exemplars.iter().peekable();
            for (index, (count, le)) in counts.iter().zip(family.le()).enumerate() {
                cumulated = cumulated.saturating_add(*count);
                let exemplar = exemplars.next_if(|(bucket, _)| *bucket == index).map(|(_, exemplar)| exemplar);
                emit(Line { added: Added::Le(le), exemplar, ..Line::plain("_bucket", cumulated as f64) });
            }
            emit(Line::plain("_count", cumulated as f64));
            if has_sum && !family.has_sum_first() {
                emit(Line::plain("_sum", *sum));
            }
        }
        Value::Info(pairs) => emit(Line { added: Added::Pairs(pairs), ..Line::plain("_info", 1.0) }),
        Value::StateSet(current) => {
            for (index, state) in family.states().iter().enumerate() {
                let value = if index == *current { 1.0 } else { 0.0 };
                emit(Line { added: Added::State(state), ..Line::plain("", value) });
            }
        }
    }
}

/// The line that says since when a series counts, if it is of a type that has one and the store knows.
pub(crate) fn created(series: &SeriesSnapshot) -> Option<Line<'static>> {
    match series.value {
        Value::Counter { .. } | Value::Summary { .. } | Value::Histogram { .. } => {
            series.created.map(|created| Line::plain("_created", created))
        }
        Value::Gauge(_) | Value::Info(_) | Value::StateSet(_) => None,
    }
}
