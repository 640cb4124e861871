//! Which samples of OpenMetrics belong together: to one metric of a family, and to one histogram.
//!
//! Samples of one metric stand side by side and have times all or none, which do not go back. Labels in whatever order are
//! the same labels: they are compared as one key, sorted.

use std::collections::HashSet;

use super::{Label, Sample};
use crate::{Timestamp, number::Number};

/// The groups of a family.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The group of the last sample, if there was one, and its time.
    last: Option<(Key, Option<Timestamp>)>,
    seen: HashSet<Key>,
    /// The series of this group that have come.
    series: HashSet<Key>,
}

/// Names and values of labels, sorted; `0xff`, which is in no text, ends each.
pub(super) type Key = Box<[u8]>;

/// The key of the labels, without the one of the name `without`.
pub(super) fn key(labels: &[Label<'_>], without: Option<&str>) -> Key {
    let mut key = Vec::with_capacity(labels.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    let mut push = |(name, value): &Label<'_>| {
        if Some(&**name) != without {
            for part in [name, value] {
                key.extend_from_slice(part.as_bytes());
                key.push(0xff);
            }
        }
    };
    if labels.is_sorted() {
        labels.iter().for_each(&mut push);
    } else {
        let mut sorted: Vec<&Label<'_>> = labels.iter().collect();
        sorted.sort();
        sorted.into_iter().for_each(&mut push);
    }
    key.into()
}

impl Groups {
    /// Puts the sample into its group; tells whether it is one that is kept. Of two samples of one series at one time the
    /// first is. `within` is the key of the labels by which series of one group differ.
    ///
    /// # Errors
    /// What is wrong with its place. `times_may_fall` leaves out that one check.
    pub(super) fn put(
        &mut self,
        sample: &Sample<'_>,
        group: &Key,
        within: &[u8],
        times_may_fall: bool,
    ) -> Result<bool, String> {
        let time_before = self.last.as_ref().and_then(|(_, timestamp)| *timestamp);
        match &mut self.last {
            Some((last, timestamp)) if last == group => {
                check_times(*timestamp, sample.timestamp, times_may_fall)?;
                *timestamp = sample.timestamp;
            }
            _ => {
                if !self.seen.insert(group.clone()) {
                    return Err(format!("samples of one metric of {} stand apart", sample.name));
                }
                self.series.clear();
                self.last = Some((group.clone(), sample.timestamp));
            }
        }
        let series = [sample.name.as_bytes(), &[0xff], within].concat();
        let is_new = self.series.insert(series.into());
        Ok(is_new || sample.timestamp != time_before)
    }
}

fn check_times(before: Option<Timestamp>, now: Option<Timestamp>, may_fall: bool) -> Result<(), String> {
    match (before, now) {
        (None, None) => Ok(()),
        (Some(before), Some(now)) => match before.compare(now) {
            Some(order) if order.is_gt() && !may_fall => Err("the timestamps of a metric go back".to_owned()),
            None if std::mem::discriminant(&before) != std::mem::discriminant(&now) => {
                Err("the timestamps of a metric are written in two ways".to_owned())
            }
            _ => Ok(()),
        },
        _ => Err("only some samples of a metric have a timestamp".to_owned()),
    }
}

/// What the buckets, the count and the sum of a histogram say of each other.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The labels that they share; `None` where nothing has come.
    group: Option<Key>,
    timestamp: Option<Timestamp>,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    bound: Option<f64>,
    value: Option<Number>,
    count: Option<Number>,
    has_negative_bound: bool,
    has_sum: bool,
    has_gsum: bool,
    has_negative_gsum: bool,
}

impl Buckets {
    /// Takes the sample with its suffix, its bound if it is a bucket, and its group; a native histogram may have none.
    pub(super) fn put(
        &mut self,
        sample: &Sample<'_>,
        suffix: &str,
        bound: Option<f64>,
        group: Option<&Key>,
    ) -> Result<(), String> {
        if suffix.is_empty() {
            return Ok(());
        }
        if group != self.group.as_ref() || sample.timestamp != self.timestamp {
            self.end()?;
            self.state = State::default();
            (self.group, self.timestamp) = (group.cloned(), sample.timestamp);
        }
        let state = &mut self.state;
        match suffix {
            "_bucket" => {
                let bound = bound.unwrap_or(f64::NAN);
                if state.bound.is_some_and(|before| bound <= before) {
                    return Err("the buckets are out of order".to_owned());
                }
                let before = state.value.unwrap_or(Number::Integer(0));
                if sample.value.compare(before).is_some_and(|order| order.is_lt()) {
                    return Err("the values of the buckets fall".to_owned());
                }
                state.has_negative_bound |= bound < 0.0;
                (state.bound, state.value) = (Some(bound), Some(sample.value));
            }
            "_count" | "_gcount" => state.count = Some(sample.value),
            "_sum" => state.has_sum = true,
            "_gsum" => {
                state.has_gsum = true;
                state.has_negative_gsum |= sample.value.as_f64() < 0.0;
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the histogram that has come, if there is one.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.group.is_none() {
            return Ok(());
        }
        let it = &self.state;
        let total = it.value.unwrap_or(Number::Integer(0));
        let wrong = [
            (it.bound != Some(f64::INFINITY), "the bucket +Inf is missing"),
            (
                it.count.is_some_and(|count| !count.compare(total).is_some_and(|order| order.is_eq())),
                "the count is not that of the bucket +Inf",
            ),
            (it.has_sum && it.count.is_none(), "there is a sum without a count"),
            (it.has_gsum && it.count.is_none(), "there is a gsum without a gcount"),
            (it.count.is_some() && !it.has_sum && !it.has_gsum, "there is a count without a sum"),
            (it.has_negative_bound && it.has_sum, "there is a sum beside a negative bucket"),
            (!it.has_negative_bound && it.has_negative_gsum, "the gsum is negative, and no bucket is"),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, reason)) => Err(reason.to_owned()),
            None => Ok(()),
        }
    }
}
