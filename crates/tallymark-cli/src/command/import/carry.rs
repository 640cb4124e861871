//! Adds numbers that were counted elsewhere to a store.
//!
//! A family that the store holds already is continued under its definition; where the two do not go together nothing is
//! added. Where a store has no more room the adding ends, and how far it came is told. It knows no source.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tallymark::metric::Handle;
use tallymark::model::{Family, Kind};
use tallymark::{AnyFamily, Counter, Gauge, HeldLabels, Histogram, Series, Store, Summary};

use crate::command::counting::is_kept;
use crate::error::Error;

/// A family that was counted elsewhere.
pub(super) struct Carried {
    pub(super) definition: Family,
    pub(super) series: Vec<CarriedSeries>,
}

/// One of its series.
pub(super) struct CarriedSeries {
    /// Label values, in the order of the definition's label names.
    pub(super) values: Vec<String>,
    /// The process whose value it is, where each has its own.
    pub(super) process: Option<u32>,
    pub(super) amount: Amount,
}

/// What it comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Amount {
    /// To be added.
    Total(f64),
    /// To be set.
    Value(f64),
    /// To be added to a gauge.
    Growth(f64),
    /// Of a summary.
    Observed { count: u64, sum: f64 },
    /// Observations in each bucket, not cumulative.
    Buckets { counts: Vec<u64>, sum: f64 },
}

/// Gives each family the definition that the store has for it; gauges that the store shows in another mode are left out,
/// and the remarks say so: what an ended process has added is not seen in every mode.
///
/// # Errors
/// Why one of them and the store's do not go together.
pub(super) fn reconcile(carried: &mut [Carried], held: &[HeldLabels]) -> Result<Vec<String>, String> {
    let mut remarks = Vec::new();
    let mut known: HashMap<&str, Vec<&Arc<Family>>> = HashMap::new();
    for HeldLabels { family, .. } in held {
        let definitions = known.entry(family.name()).or_default();
        if !definitions.contains(&family) {
            definitions.push(family);
        }
    }
    for Carried { definition, series } in carried {
        let mut continued: Option<(&Arc<Family>, Vec<usize>)> = None;
        for other in known.get(definition.name()).into_iter().flatten() {
            let name = definition.name();
            if other.kind() != definition.kind() {
                return Err(format!("{name} is a {} in the store and a {} there", other.kind(), definition.kind()));
            }
            if other.bounds() != definition.bounds() {
                let shown = |family: &Family| family.le().join(", ");
                return Err(format!(
                    "{name} has the buckets {} in the store and {} there",
                    shown(other),
                    shown(definition)
                ));
            }
            let is_better = continued.as_ref().is_none_or(|(known, _)| known.mode() != definition.mode());
            if let Some(order) = other.label_permutation(definition).filter(|_| is_better) {
                continued = Some((other, order));
            }
        }
        // What is empty was left out before, and said to be.
        let Some((other, order)) = continued.filter(|_| !series.is_empty()) else { continue };
        if other.mode() != definition.mode() {
            let (name, there, here) = (definition.name(), definition.mode().as_str(), other.mode().as_str());
            remarks.push(format!(
                "{name}: left out, as it is a gauge of mode {here} in the store and of mode {there} there"
            ));
            series.clear();
            continue;
        }
        for one in series.iter_mut() {
            one.values = order.iter().filter_map(|place| one.values.get(*place).cloned()).collect();
        }
        *definition = Family::clone(other);
    }
    Ok(remarks)
}

/// Adds one series after the other, and counts those that were added in `added`.
///
/// # Errors
/// [`Error::NoRoom`] if the store keeps no more, [`Error::Store`] for label values that cannot be, or if what it keeps
/// would end with this process and cannot be sent within `patience`.
pub(super) fn add(store: &Store, carried: &[Carried], patience: Duration, added: &mut usize) -> Result<(), Error> {
    let result = carried.iter().try_for_each(|family| add_family(store, family, added));
    store.leave();
    if *added > 0 && !store.outlives_process() {
        store.flush(patience)?;
    }
    result
}

fn add_family(store: &Store, Carried { definition, series }: &Carried, added: &mut usize) -> Result<(), Error> {
    let family = Arc::new(AnyFamily::new(definition.clone(), store.clone()));
    for one in series {
        let process = as_process(store, one.process)?;
        let own = process.as_ref().map(|store| Arc::new(AnyFamily::new(definition.clone(), store.clone())));
        let family = own.as_ref().unwrap_or(&family);
        let held = family.series(&one.values, || 0.0)?;
        put(Arc::clone(&held), &one.amount);
        if !is_kept(&[Arc::clone(family)], &[held]) {
            return Err(Error::NoRoom(store.url()));
        }
        *added += 1;
        process.iter().for_each(Store::fold);
    }
    Ok(())
}

/// The store as the process of this number uses it, which has ended when it is folded.
fn as_process(store: &Store, process: Option<u32>) -> Result<Option<Store>, tallymark::Error> {
    match (store, process) {
        (Store::File(file), Some(process)) => Ok(Some(Store::File(Arc::new(file.as_process(Some(process))?)))),
        _ => Ok(None),
    }
}

fn put(series: Arc<Series>, amount: &Amount) {
    match amount {
        // Negative totals were refused when they were read.
        Amount::Total(total) => drop(Counter::new(series).inc_by(*total)),
        Amount::Value(value) => Gauge::new(series).set(*value),
        Amount::Growth(growth) => Gauge::new(series).inc_by(*growth),
        Amount::Observed { count, sum } => Summary::new(series).observe_many(*count, *sum),
        Amount::Buckets { counts, sum } => {
            let histogram = Histogram::new(series);
            for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                histogram.observe_many(Some(bucket), *count, 0.0);
            }
            histogram.observe_many(None, 0, *sum);
        }
    }
}

/// Whether one of the family's series has a value already, which is newer than what was counted elsewhere.
pub(super) fn is_set(held: &[HeldLabels], definition: &Family, values: &[String]) -> bool {
    let same = |one: &HeldLabels| {
        one.family.kind() == Kind::Gauge
            && one.family.name() == definition.name()
            && one.family.label_names() == definition.label_names()
            && one.labels.values().iter().map(|value| &**value).eq(values.iter().map(String::as_str))
    };
    held.iter().any(same)
}
