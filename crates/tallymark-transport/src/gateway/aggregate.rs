//! Adding up: what becomes of a group when a push does not take the place of the last one but comes on top.
//!
//! A number comes in one of two ways. A *delta* is what has been counted since the last push, and is added whole. A
//! *running total* is all that its writer has counted since it started; what it has grown is added, which `growth.rs` knows.
//! Which of the two it is, the push says, or a start time that comes with it.
//!
//! What cannot be added up is refused: buckets that are not cumulative, counts below zero, sums that are no numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymark_model::Kind;

use super::Options;
use super::ask::{Adding, Ask, GaugeMode};
use super::group::Group;
use super::growth::{TooManyWriters, add, nothing_like};
use super::metric::{Family, Labels, Series, Value, exact};
use super::refusal::Refusal;

/// Families as they can be added to any group: untyped ones whose name is a counter's are counters, series have their start
/// times, and what cannot be added up is refused or left out.
pub(super) fn addable(
    mut families: BTreeMap<String, Family>,
    options: &Options,
) -> Result<Vec<(String, Family)>, Refusal> {
    for (name, family) in &mut families {
        if family.kind == Kind::Unknown && name.ends_with("_total") {
            family.kind = Kind::Counter;
        }
    }
    take_start_times(&mut families);
    for (name, family) in &mut families {
        if adds_up(name, family.kind) {
            // Of what is observed the sum may be below zero.
            let is_sum = family.kind == Kind::Unknown && name.ends_with("_sum");
            for (labels, series) in &mut family.series {
                check(series, is_sum).map_err(|problem| problem.refusal(name, labels, options))?;
            }
        }
    }
    Ok(families.into_iter().collect())
}

/// The group with a push added, whose families are [`addable`].
pub(super) fn added(
    group: &Group,
    families: &[(String, Family)],
    adding: Adding,
    ask: &Ask,
    options: &Options,
    now: f64,
) -> Result<Group, Refusal> {
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
            kept.help.clone_from(&family.help);
        }
        let is_sum = adds_up(name, family.kind);
        for (labels, series) in &family.series {
            if !is_sum {
                put(kept, labels, series, ask.gauge);
                continue;
            }
            let named = |problem: Problem| problem.refusal(name, labels, options);
            let writer = writer(series, adding, ask).map_err(named)?;
            let sum = kept.series.entry(labels.clone()).or_insert_with(|| nothing_like(series));
            add(sum, series.clone(), writer, options, now).map_err(|TooManyWriters| named(Problem::TooManyWriters))?;
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
    ["_count", "_sum", "_bucket"].into_iter().find_map(|suffix| name.strip_suffix(suffix))
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
fn put(family: &mut Family, labels: &Labels, new: &Series, gauge: GaugeMode) {
    let Some(kept) = family.series.get_mut(labels) else {
        family.series.insert(labels.clone(), new.clone());
        return;
    };
    match (family.kind, &mut kept.value, &new.value) {
        (Kind::Gauge, Value::Single { total: kept, .. }, Value::Single { total: new, .. }) => match gauge {
            GaugeMode::Last => kept.clone_from(new),
            GaugeMode::Sum => kept.merge(new),
            GaugeMode::Min => *kept = exact(kept.value().min(new.value())),
            GaugeMode::Max => *kept = exact(kept.value().max(new.value())),
        },
        _ => kept.clone_from(new),
    }
}

/// Checks that a series can be added up, and leaves out what cannot: quantiles and native histograms.
fn check(series: &mut Series, is_sum: bool) -> Result<(), Problem> {
    let is_count = |count: f64| count.is_finite() && count >= 0.0;
    match &mut series.value {
        Value::Single { total, .. } if !(is_count(total.value()) || is_sum && total.value().is_finite()) => {
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
    Ok(())
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
