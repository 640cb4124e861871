//! Adding up: what becomes of a group when a push does not take the place of the last one but comes on top.
//!
//! A number comes in one of two ways. A *delta* is what has been counted since the last push, and is added whole. A
//! *running total* is all that its writer has counted since it started; what is added is its growth since that writer's
//! last push. The writer is known by the time at which its counting started, by a name it gives, or by both. The last
//! totals of writers are kept beside the sum, and a writer that has not pushed for a day is forgotten.
//!
//! A running total with a start time that is lower than the last one came late: a writer that starts again says a later
//! time. So it adds nothing, and pushes of one writer may be repeated and may overtake each other. Without a start time a
//! lower total can only be that of a new beginning, and counts whole.
//!
//! What cannot be added up is refused: buckets that are not cumulative, counts below zero, sums that are no numbers. Sums
//! are exact: in whatever order and however often small numbers are added, none is lost to rounding.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymark::ExactSum;
use tallymark_model::{Exemplar, Kind};

use super::Options;
use super::ask::{Adding, Ask, GaugeMode};
use super::group::Group;
use super::metric::{Bucket, Family, Histogram, Labels, Series, Value, exact};
use super::refusal::Refusal;

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
}

/// The group with a push added.
pub(super) fn added(
    group: &Group,
    mut families: BTreeMap<String, Family>,
    adding: Adding,
    ask: &Ask,
    options: &Options,
    now: f64,
) -> Result<Group, Refusal> {
    take_start_times(&mut families);
    let mut group = group.clone();
    for (name, family) in families {
        let kept = group.families.entry(name.clone()).or_insert_with(|| {
            let (help, unit) = (family.help.clone(), family.unit.clone());
            Arc::new(Family { kind: family.kind, help, unit, pushed: now, series: BTreeMap::new() })
        });
        if kept.kind != family.kind {
            let reason = format!(
                "{name} is pushed as {} and was pushed as {}; push it as that, or delete the group first",
                family.kind, kept.kind
            );
            return Err(Refusal::content(reason));
        }
        let kept = Arc::make_mut(kept);
        kept.pushed = now;
        if !family.help.is_empty() {
            kept.help = family.help;
        }
        let is_sum = adds_up(&name, family.kind);
        for (labels, series) in family.series {
            if !is_sum {
                put(kept, labels, series, ask.gauge);
                continue;
            }
            let named = |problem: Problem| problem.refusal(&name, &labels, options);
            let series = addable(series).map_err(named)?;
            let writer = writer(&series, adding, ask).map_err(named)?;
            let sum = kept.series.entry(labels.clone()).or_insert_with(|| nothing_like(&series));
            add(sum, series, writer, options, now).map_err(named)?;
        }
    }
    Ok(group)
}

/// What is wrong with a series.
enum Problem {
    Shape(&'static str),
    NoWriter,
    TooManyWriters,
}

impl Problem {
    fn refusal(self, name: &str, labels: &Labels, options: &Options) -> Refusal {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let series = format!("{name}{{{}}}", labels.join(","));
        match self {
            Problem::Shape(problem) => Refusal::content(format!("{series} {problem}, and cannot be added up")),
            Problem::NoWriter => Refusal::content(format!(
                "{series} is pushed as a running total and does not say whose; name the writer (Tallymark-Writer: NAME) or \
                 push its start time ({name} without _total, and _created)"
            )),
            Problem::TooManyWriters => Refusal::too_much(format!(
                "{series} has running totals of {} writers already, who all pushed in the last {} hours; give writers a \
                 group each, or push what was counted since the last push (Tallymark-Push: delta)",
                options.max_writers,
                options.writers.as_secs_f64() / 3600.0
            )),
        }
    }
}

/// Whether the numbers of a family are added. An untyped one is taken at its name: `curl` and a line need no type.
fn adds_up(name: &str, kind: Kind) -> bool {
    match kind {
        Kind::Counter | Kind::Histogram | Kind::Summary => true,
        Kind::Unknown => untyped_stem(name).is_some(),
        _ => false,
    }
}

/// The name without the suffix that says that an untyped sample counts.
fn untyped_stem(name: &str) -> Option<&str> {
    ["_total", "_count", "_sum", "_bucket"].into_iter().find_map(|suffix| name.strip_suffix(suffix))
}

/// Gives the values of families `…_created`, which the text format has as gauges, to the series whose start they are.
fn take_start_times(families: &mut BTreeMap<String, Family>) {
    let stems: Vec<(String, String)> = families
        .iter()
        .filter(|(name, family)| adds_up(name, family.kind))
        .map(|(name, family)| {
            let stem = match family.kind {
                Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
                Kind::Unknown => untyped_stem(name).unwrap_or(name),
                _ => name,
            };
            (name.clone(), format!("{stem}_created"))
        })
        .collect();
    let mut used = Vec::new();
    for (name, created) in stems {
        let Some(starts) = families.get(&created).filter(|it| matches!(it.kind, Kind::Gauge | Kind::Unknown)) else {
            continue;
        };
        let starts: BTreeMap<Labels, f64> = starts
            .series
            .iter()
            .filter_map(|(labels, series)| match &series.value {
                Value::Single { total, .. } => Some((labels.clone(), total.value())),
                _ => None,
            })
            .collect();
        if let Some(family) = families.get_mut(&name) {
            for (labels, series) in &mut family.series {
                series.created = series.created.or_else(|| starts.get(labels).copied());
            }
        }
        used.push(created);
    }
    families.retain(|name, _| !used.contains(name));
}

/// Puts a series whose numbers are not added to the others.
fn put(family: &mut Family, labels: Labels, new: Series, gauge: GaugeMode) {
    let Some(kept) = family.series.get_mut(&labels) else {
        family.series.insert(labels, new);
        return;
    };
    match (family.kind, &mut kept.value, &new.value) {
        (Kind::Gauge, Value::Single { total: kept, .. }, Value::Single { total: new, .. }) => match gauge {
            GaugeMode::Last => kept.clone_from(new),
            GaugeMode::Sum => kept.merge(new),
            GaugeMode::Min => *kept = exact(kept.value().min(new.value())),
            GaugeMode::Max => *kept = exact(kept.value().max(new.value())),
        },
        _ => *kept = new,
    }
}

/// The series without what cannot be added up, if the rest can.
fn addable(mut series: Series) -> Result<Series, Problem> {
    let is_count = |count: f64| count.is_finite() && count >= 0.0;
    match &mut series.value {
        Value::Single { total, .. } if !is_count(total.value()) => {
            return Err(Problem::Shape("is below zero or no number"));
        }
        Value::Single { .. } => {}
        Value::Summary { count, sum, quantiles } => {
            if !is_count(*count) || !sum.value().is_finite() {
                return Err(Problem::Shape("has a count or a sum that is no number"));
            }
            quantiles.clear();
        }
        Value::Histogram(histogram) => {
            if histogram.buckets.is_empty() {
                return Err(Problem::Shape("is a native histogram without buckets of its own"));
            }
            histogram.native = None;
            if !histogram.buckets.iter().all(|bucket| is_count(bucket.count)) || !histogram.sum.value().is_finite() {
                return Err(Problem::Shape("has a bucket or a sum that is no number"));
            }
            if !histogram.buckets.is_sorted_by(|one, other| one.count <= other.count) {
                return Err(Problem::Shape("has buckets that are not cumulative"));
            }
            if histogram.buckets.last().is_some_and(|last| last.count != histogram.count) {
                return Err(Problem::Shape("has a count that is not that of the bucket +Inf"));
            }
        }
    }
    if series.created.is_some_and(|created| !created.is_finite()) {
        return Err(Problem::Shape("has a start time that is no number"));
    }
    Ok(series)
}

/// Whose running total the series is; `None` if it is a delta.
fn writer(series: &Series, adding: Adding, ask: &Ask) -> Result<Option<(String, Option<f64>)>, Problem> {
    let name = ask.writer.clone().unwrap_or_default();
    match adding {
        Adding::Deltas => Ok(None),
        Adding::AsTold if series.created.is_none() => Ok(None),
        Adding::Totals if series.created.is_none() && name.is_empty() => Err(Problem::NoWriter),
        Adding::AsTold | Adding::Totals => Ok(Some((name, series.created))),
    }
}

/// A series like this one that has counted nothing.
fn nothing_like(series: &Series) -> Series {
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
fn add(
    sum: &mut Series,
    mut new: Series,
    writer: Option<(String, Option<f64>)>,
    options: &Options,
    now: f64,
) -> Result<(), Problem> {
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
) -> Result<Last, Problem> {
    let keep = options.writers.as_secs_f64();
    writers.retain(|writer| writer.seen + keep > now);
    let Some(writer) = writers.iter_mut().find(|writer| writer.name == name && writer.start == start) else {
        if writers.len() >= options.max_writers {
            return Err(Problem::TooManyWriters);
        }
        writers.push(Writer { name, start, seen: now, total: numbers.to_vec() });
        return Ok(Last::Nothing);
    };
    writer.seen = now;
    let has_fallen = fallen(&writer.total, numbers);
    if has_fallen && start.is_some() {
        return Ok(Last::Later);
    }
    let before = std::mem::replace(&mut writer.total, numbers.to_vec());
    Ok(if has_fallen { Last::Nothing } else { Last::Total(before) })
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
