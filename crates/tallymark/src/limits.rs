//! What a store is asked to bound: how long idle series are shown, and how many series a family has.
//!
//! An idle series is only not shown: its numbers stay, so that it goes on from them when it comes back. A label set
//! beyond the bound counts in its family's one overflow series; nothing is kept of it. Where series are counted and
//! read is not known here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tallymark_model::{Family, Labels};

use crate::merge::HeldSeries;

/// The value of every label of the series that further label sets count in.
pub(crate) const OVERFLOW: &str = "overflow";

/// What a store is asked to bound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Limits {
    /// How long a series is shown that no process uses.
    pub(crate) ttl: Option<Duration>,
    /// How many series a family may have, beside its overflow series.
    pub(crate) max_series: Option<u32>,
}

impl Limits {
    /// Takes an option of a store's URL; `false` if it is not one of these.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool, &'static str> {
        match name {
            "ttl" => {
                let seconds = value.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
                let ttl = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let ttl = ttl.ok_or("ttl is not a number of seconds, such as 3600 or 0.5; 0 for never")?;
                self.ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
            }
            "max_series" => {
                let most: u32 =
                    value.parse().map_err(|_| "max_series is not a whole number, such as 1000; 0 for any")?;
                self.max_series = Some(most).filter(|most| *most > 0);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes these out of a URL's options.
    pub(crate) fn take(options: &mut Vec<(String, String)>) -> Result<Limits, String> {
        let mut limits = Limits::default();
        let mut others = Vec::new();
        for (name, value) in options.drain(..) {
            if !limits.set(&name, &value)? {
                others.push((name, value));
            }
        }
        *options = others;
        Ok(limits)
    }

    /// The end of a URL that sets these.
    pub(crate) fn query(&self) -> String {
        let most = self.max_series.map(|most| format!("max_series={most}"));
        let ttl = self.ttl.map(|ttl| format!("ttl={}", ttl.as_secs_f64()));
        let options: Vec<String> = most.into_iter().chain(ttl).collect();
        if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) }
    }

    /// Whether a series is not to be shown at the time `now`: no process uses it, and none has since `idle_since`. Both
    /// are nanoseconds since the Unix epoch; 0 for a time that is not known.
    pub(crate) fn hides(&self, now: u64, in_use: bool, idle_since: u64) -> bool {
        let Some(ttl) = self.ttl.filter(|_| !in_use && idle_since != 0) else { return false };
        // A clock that was set back makes nothing idle.
        u128::from(now.saturating_sub(idle_since)) > ttl.as_nanos()
    }
}

/// The labels of a family's overflow series.
pub(crate) fn overflow(family: &Family) -> Option<Labels> {
    family.labels(&vec![OVERFLOW; family.label_names().len()]).ok()
}

/// Whether these are the label values of an overflow series; also those of a family without label names, which has one
/// series at the most.
pub(crate) fn is_overflow(values: &[Box<str>]) -> bool {
    values.iter().all(|value| &**value == OVERFLOW)
}

/// What is logged once a family has an overflow series.
pub(crate) fn notice(family: &Family, most: u32) -> String {
    let name = family.name();
    format!(
        "{name} has {most} series, as many as the store's max_series allows; further label sets are counted together, in \
         the series whose label values are all \"{OVERFLOW}\": give {name} labels with fewer values, or raise max_series"
    )
}

/// Leaves the `most` series of each definition that were created first, and adds up the others in its overflow series:
/// several hosts may each have made as many. Each series comes with the number of its definition.
pub(crate) fn fold(series: Vec<(usize, HeldSeries)>, most: u32) -> Vec<(usize, HeldSeries)> {
    let beyond = beyond(&series, most);
    if beyond.is_empty() {
        return series;
    }
    let (mut left, mut rest) = (Vec::with_capacity(series.len() - beyond.len()), Vec::with_capacity(beyond.len()));
    for (index, one) in series.into_iter().enumerate() {
        if beyond.contains(&index) { rest.push(one) } else { left.push(one) }
    }
    let mut totals: HashMap<usize, usize> = HashMap::new();
    for (index, (definition, one)) in left.iter().enumerate() {
        if is_overflow(one.labels.values()) {
            totals.insert(*definition, index);
        }
    }
    for (definition, one) in rest {
        match totals.get(&definition) {
            Some(index) => left[*index].1.add(one),
            None => {
                let Some(labels) = overflow(&one.family) else { continue };
                totals.insert(definition, left.len());
                left.push((definition, HeldSeries { labels: Arc::new(labels), ..one }));
            }
        }
    }
    left
}

/// The places of the series that are too many.
fn beyond(series: &[(usize, HeldSeries)], most: u32) -> HashSet<usize> {
    let mut by_definition: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, (definition, one)) in series.iter().enumerate() {
        if !is_overflow(one.labels.values()) {
            by_definition.entry(*definition).or_default().push(index);
        }
    }
    let mut beyond = HashSet::new();
    for mut indexes in by_definition.into_values().filter(|indexes| indexes.len() > most as usize) {
        indexes.sort_by(|a, b| {
            let (a, b) = (&series[*a].1, &series[*b].1);
            a.created.total_cmp(&b.created).then_with(|| a.labels.values().cmp(b.labels.values()))
        });
        beyond.extend(indexes.drain(most as usize..));
    }
    beyond
}
