//! What blocks mean when they are added up: the totals of a series, and their bytes in the base shard.

use super::shard::Found;
use crate::block::{Keep, Shape};
use crate::sum::{ExactSum, KEPT};

/// How many ended processes' values [`Keep::Each`] keeps: what a person can still make sense of. More of them would make
/// a scrape grow with every process that ever lived.
pub const EACH_KEPT: usize = 16;

/// What all processes together hold for a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Total {
    /// A number.
    Number {
        /// Whole increments.
        whole: u64,
        /// The others.
        rest: ExactSum,
    },
    /// Counts and their sum.
    Tally {
        /// The counts.
        counts: Box<[u64]>,
        /// The sum.
        sum: ExactSum,
    },
    /// A gauge's values; which of them count is for its mode to say.
    Gauge(GaugeTotal),
}

/// A gauge's values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GaugeTotal {
    /// Of processes whose shard has not been folded.
    pub processes: Vec<ProcessValue>,
    /// What is kept of those whose shard was folded: one value, or with [`Keep::Each`] up to [`EACH_KEPT`].
    pub kept: Vec<ProcessValue>,
}

/// One process's value of a gauge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessValue {
    /// The process's id, as it sees itself.
    pub pid: u32,
    /// The value.
    pub value: f64,
    /// When it was set last: nanoseconds since boot, 1 for an earlier boot, 0 for never.
    pub stamp: u64,
    /// Whether the process lives.
    pub live: bool,
}

impl Total {
    /// Nothing yet.
    pub(crate) fn empty(shape: Shape) -> Option<Total> {
        Some(match shape {
            Shape::Number => Total::Number { whole: 0, rest: ExactSum::default() },
            Shape::Tally { counts } => Total::Tally { counts: vec![0; counts].into(), sum: ExactSum::default() },
            Shape::Gauge(_) => Total::Gauge(GaugeTotal::default()),
            Shape::Image { .. } => return None,
        })
    }

    /// Adds a process's block. Blocks of another shape than the total's are passed over.
    pub(crate) fn add(&mut self, found: Found<'_>, pid: u32, live: bool) {
        match (self, found.shape()) {
            (Total::Number { whole, rest }, Some(Shape::Number)) => {
                let (more, more_rest) = found.block.number();
                *whole = whole.wrapping_add(more);
                rest.add(more_rest);
            }
            (Total::Tally { counts, sum }, Some(Shape::Tally { counts: length })) if counts.len() == length => {
                let reading = found.block.tally();
                add_counts(counts, &reading.counts);
                sum.add(reading.sum);
            }
            (Total::Gauge(gauge), Some(Shape::Gauge(_))) => {
                let (value, stamp) = found.block.gauge();
                gauge.processes.push(ProcessValue { pid, value, stamp, live });
            }
            _ => {}
        }
    }

    /// Adds another total. One of another shape is passed over.
    pub fn merge(&mut self, more: Total) {
        match (self, more) {
            (Total::Number { whole, rest }, Total::Number { whole: more, rest: more_rest }) => {
                *whole = whole.wrapping_add(more);
                rest.merge(&more_rest);
            }
            (Total::Tally { counts, sum }, Total::Tally { counts: more, sum: more_sum })
                if counts.len() == more.len() =>
            {
                add_counts(counts, &more);
                sum.merge(&more_sum);
            }
            (Total::Gauge(gauge), Total::Gauge(more)) => {
                gauge.processes.extend(more.processes);
                gauge.kept.extend(more.kept);
            }
            _ => {}
        }
    }

    /// Adds a total that [`to_words`](Self::to_words) gave.
    pub(crate) fn add_words(&mut self, words: &[u64]) {
        match self {
            Total::Number { whole, rest } if words.len() == 1 + KEPT => {
                *whole = whole.wrapping_add(words[0]);
                rest.merge(&ExactSum::from_words(&words[1..]));
            }
            Total::Tally { counts, sum } if words.len() == counts.len() + KEPT => {
                add_counts(counts, &words[..counts.len()]);
                sum.merge(&ExactSum::from_words(&words[counts.len()..]));
            }
            Total::Gauge(gauge) => gauge.kept.extend(words.chunks_exact(3).map(|kept| ProcessValue {
                // CAST: written from a 32-bit id.
                pid: kept[0] as u32,
                value: f64::from_bits(kept[1]),
                stamp: kept[2],
                live: false,
            })),
            _ => {}
        }
    }

    /// The total of ended processes, as the base shard keeps it.
    pub(crate) fn to_words(&self, keep: Option<Keep>) -> Vec<u64> {
        match self {
            Total::Number { whole, rest } => [&[*whole][..], &rest.to_words()].concat(),
            Total::Tally { counts, sum } => [&counts[..], &sum.to_words()].concat(),
            Total::Gauge(gauge) => {
                let mut values: Vec<ProcessValue> = gauge.kept.iter().chain(&gauge.processes).copied().collect();
                keep_of(keep.unwrap_or(Keep::Nothing), &mut values);
                values.iter().flat_map(|kept| [u64::from(kept.pid), kept.value.to_bits(), kept.stamp]).collect()
            }
        }
    }

    /// Words that [`to_words`](Self::to_words) gives at the most.
    pub(crate) fn base_words(shape: Shape) -> usize {
        match shape {
            Shape::Number => 1 + KEPT,
            Shape::Tally { counts } => counts + KEPT,
            Shape::Gauge(Keep::Each) => 3 * EACH_KEPT,
            Shape::Gauge(_) => 3,
            Shape::Image { capacity } => capacity.div_ceil(8),
        }
    }
}

fn add_counts(counts: &mut [u64], more: &[u64]) {
    counts.iter_mut().zip(more).for_each(|(count, more)| *count = count.wrapping_add(*more));
}

/// Leaves what is to be kept of ended processes' values, the oldest first.
pub fn keep_of(keep: Keep, values: &mut Vec<ProcessValue>) {
    let one = |value: Option<ProcessValue>| value.into_iter().collect::<Vec<_>>();
    let least = |a: ProcessValue, b: ProcessValue| if b.value < a.value || a.value.is_nan() { b } else { a };
    let greatest = |a: ProcessValue, b: ProcessValue| if b.value > a.value || a.value.is_nan() { b } else { a };
    let newest = |values: &[ProcessValue]| values.iter().copied().max_by_key(|value| value.stamp);
    *values = match keep {
        Keep::Nothing => Vec::new(),
        Keep::Each => values.split_off(values.len().saturating_sub(EACH_KEPT)),
        Keep::Min => one(values.drain(..).reduce(least)),
        Keep::Max => one(values.drain(..).reduce(greatest)),
        Keep::Sum => one(values.drain(..).reduce(|a, b| ProcessValue { value: a.value + b.value, ..b })),
        Keep::Last => one(newest(values)),
        Keep::LastSet => one(newest(values).filter(|value| value.stamp != 0)),
    };
}
