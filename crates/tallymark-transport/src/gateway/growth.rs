//! What a push adds to one series.
//!
//! Of a running total it is the growth since its writer's last push. A writer is known by the time at which its counting
//! started, by a name it gives, or by both. The last totals of writers are kept beside the sum, and a writer that has not
//! pushed for a day is forgotten. Of those that pushed one total, as jobs do that have ended, only the last thousand are kept and
//! those of the last hour: what a push costs does not grow with all the jobs of a day.
//!
//! A running total with a start time that is lower than the last one came late: a writer that starts again says a later
//! time. So it adds nothing, and pushes of one writer may be repeated and may overtake each other. Without a start time a
//! lower total can only be that of a new beginning, and counts whole.
//!
//! Sums are exact: in whatever order and however often small numbers are added, none is lost to rounding.

use tallymark::ExactSum;
use tallymark_model::Exemplar;

use super::Options;
use super::metric::{Bucket, Histogram, Series, Value};

/// How many writers of a series that pushed one total are kept, however old they are.
const KEPT_ONCE: usize = 1000;
/// For how many seconds all of them are.
const SURELY_KEPT: f64 = 3600.0;

/// There are as many writers of a series as may be, all of whom may push again.
pub(super) struct TooManyWriters;

/// One that pushes running totals of a series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Writer {
    /// The name it gives, or nothing.
    pub(super) name: String,
    /// When its counting started, in seconds since the Unix epoch, if it says so.
    pub(super) start: Option<f64>,
    /// When it last pushed.
    pub(super) seen: f64,
    /// What it pushed: the total; of a summary count and sum; of a histogram count, sum, and the series' buckets.
    pub(super) total: Vec<f64>,
    /// Whether it has pushed more than one total.
    pub(super) again: bool,
}

/// A series like this one that has counted nothing.
pub(super) fn nothing_like(series: &Series) -> Series {
    let value = match &series.value {
        Value::Single { .. } => Value::Single { total: ExactSum::default(), exemplar: None },
        Value::Summary { .. } => Value::Summary { count: 0.0, sum: ExactSum::default(), quantiles: Vec::new() },
        Value::Histogram(histogram) => {
            let bounds = histogram.buckets.iter().map(|bucket| bucket.bound);
            let buckets = bounds.map(|bound| Bucket { bound, count: 0.0, exemplar: None }).collect();
            Value::Histogram(Box::new(Histogram { buckets, ..Histogram::default() }))
        }
    };
    Series { value, created: None, writers: Vec::new() }
}

/// Adds a series to the sum.
pub(super) fn add(
    sum: &mut Series,
    mut new: Series,
    writer: Option<(String, Option<f64>)>,
    options: &Options,
    now: f64,
) -> Result<(), TooManyWriters> {
    if let (Value::Histogram(kept), Value::Histogram(new)) = (&mut sum.value, &mut new.value) {
        share_bounds(kept, &mut sum.writers, new);
    }
    let numbers = numbers(&new.value);
    let before = match writer {
        Some((name, start)) => last_total(&mut sum.writers, name, start, &numbers, options, now)?,
        None => Last::Nothing,
    };
    match before {
        Last::Later => {}
        Last::Nothing => grow(sum, &numbers, &[]),
        Last::Total(before) => grow(sum, &numbers, &before),
    }
    take_exemplars(&mut sum.value, new.value);
    sum.created = match (sum.created, new.created) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(())
}

/// Leaves both histograms, and what writers have told of the first, with the bounds that both have: there cumulative counts
/// can be added. `+Inf` is one of them.
fn share_bounds(kept: &mut Histogram, writers: &mut [Writer], new: &mut Histogram) {
    let bounds = |histogram: &Histogram| histogram.buckets.iter().map(|bucket| bucket.bound).collect::<Vec<_>>();
    let (kept_bounds, new_bounds) = (bounds(kept), bounds(new));
    if kept_bounds == new_bounds {
        return;
    }
    // Bounds ascend in both.
    let is_in = |bounds: &[f64], bound: f64| bounds.binary_search_by(|known| known.total_cmp(&bound)).is_ok();
    for writer in writers {
        let (head, buckets) = writer.total.split_at(writer.total.len().min(2));
        let shared = kept_bounds.iter().zip(buckets).filter(|(bound, _)| is_in(&new_bounds, **bound));
        writer.total = head.iter().copied().chain(shared.map(|(_, count)| *count)).collect();
    }
    kept.buckets.retain(|bucket| is_in(&new_bounds, bucket.bound));
    new.buckets.retain(|bucket| is_in(&kept_bounds, bucket.bound));
}

/// The numbers of a value, in the order in which writers' totals have them.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Single { total, .. } => vec![total.value()],
        Value::Summary { count, sum, .. } => vec![*count, sum.value()],
        Value::Histogram(histogram) => {
            let head = [histogram.count, histogram.sum.value()];
            head.into_iter().chain(histogram.buckets.iter().map(|bucket| bucket.count)).collect()
        }
    }
}

/// What is known of a writer's last total.
enum Last {
    /// That it counted nothing before.
    Nothing,
    /// What it was.
    Total(Vec<f64>),
    /// That it was greater, and this one came late.
    Later,
}

/// The last total of a writer, which is made this one.
fn last_total(
    writers: &mut Vec<Writer>,
    name: String,
    start: Option<f64>,
    numbers: &[f64],
    options: &Options,
    now: f64,
) -> Result<Last, TooManyWriters> {
    let keep = options.writers.as_secs_f64();
    writers.retain(|writer| writer.seen + keep > now);
    let Some(writer) = writers.iter_mut().find(|writer| writer.name == name && writer.start == start) else {
        forget_one(writers, now);
        if writers.len() >= options.max_writers {
            return Err(TooManyWriters);
        }
        writers.push(Writer { name, start, seen: now, total: numbers.to_vec(), again: false });
        return Ok(Last::Nothing);
    };
    writer.seen = now;
    // A job that has ended may have had to push its one total twice.
    writer.again |= writer.total != numbers;
    let has_fallen = fallen(&writer.total, numbers);
    if has_fallen && start.is_some() {
        return Ok(Last::Later);
    }
    let before = std::mem::replace(&mut writer.total, numbers.to_vec());
    Ok(if has_fallen { Last::Nothing } else { Last::Total(before) })
}

/// Makes room for a new writer: the one that pushed one total, longest ago, is taken for a job that has ended.
fn forget_one(writers: &mut Vec<Writer>, now: f64) {
    let once = || writers.iter().enumerate().filter(|(_, writer)| !writer.again);
    if once().count() < KEPT_ONCE {
        return;
    }
    let oldest = once().min_by(|(_, one), (_, other)| one.seen.total_cmp(&other.seen));
    if let Some((place, _)) = oldest.filter(|(_, writer)| writer.seen + SURELY_KEPT <= now) {
        writers.remove(place);
    }
}

/// Whether any count is below what it was. A sum of observations, which stands second where there are several numbers, may
/// fall.
fn fallen(before: &[f64], now: &[f64]) -> bool {
    before.iter().zip(now).enumerate().any(|(at, (before, now))| at != 1 && now < before)
}

/// Adds numbers, less those that were added before.
fn grow(sum: &mut Series, numbers: &[f64], before: &[f64]) {
    let growth = |at: usize| [numbers.get(at), before.get(at)].map(|number| number.copied().unwrap_or(0.0));
    let count = |kept: &mut f64, at: usize| {
        let [now, before] = growth(at);
        *kept += now - before;
    };
    let exactly = |kept: &mut ExactSum, at: usize| {
        let [now, before] = growth(at);
        kept.add(now);
        kept.add(-before);
    };
    match &mut sum.value {
        Value::Single { total, .. } => exactly(total, 0),
        Value::Summary { count: kept, sum, .. } => {
            count(kept, 0);
            exactly(sum, 1);
        }
        Value::Histogram(histogram) => {
            count(&mut histogram.count, 0);
            exactly(&mut histogram.sum, 1);
            for (at, bucket) in histogram.buckets.iter_mut().enumerate() {
                count(&mut bucket.count, at + 2);
            }
        }
    }
}

/// Keeps the newest exemplars.
fn take_exemplars(kept: &mut Value, new: Value) {
    match (kept, new) {
        (Value::Single { exemplar: kept, .. }, Value::Single { exemplar: new, .. }) => newest(kept, new),
        (Value::Histogram(kept), Value::Histogram(new)) => {
            for (kept, new) in kept.buckets.iter_mut().zip(new.buckets) {
                newest(&mut kept.exemplar, new.exemplar);
            }
        }
        _ => {}
    }
}

/// One without a time is as new as the push it comes with.
fn newest(kept: &mut Option<Box<Exemplar>>, new: Option<Box<Exemplar>>) {
    let seconds = |it: &Option<Box<Exemplar>>| it.as_ref()?.timestamp.map(|timestamp| timestamp.seconds());
    let is_older = match (seconds(kept), seconds(&new)) {
        (Some(kept), Some(new)) => new < kept,
        _ => false,
    };
    if new.is_some() && !is_older {
        *kept = new;
    }
}
