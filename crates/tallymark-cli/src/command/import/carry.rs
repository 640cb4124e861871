//! Adds numbers that were counted elsewhere to a store: each family wholly, or nothing of all.
//!
//! A family that the store holds already is continued under its definition; where the two do not go together nothing is
//! added. It knows no source.

use std::collections::HashMap;
use std::sync::Arc;

use tallymark::metric::Handle;
use tallymark::model::{Family, Kind};
use tallymark::{AnyFamily, Counter, Gauge, HeldLabels, Histogram, Series, Store, Summary};

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

/// Gives each family the definition that the store has for it.
///
/// # Errors
/// Why one of them and the store's do not go together.
pub(super) fn reconcile(carried: &mut [Carried], held: &[HeldLabels]) -> Result<(), String> {
    let mut known: HashMap<&str, Vec<&Arc<Family>>> = HashMap::new();
    for HeldLabels { family, .. } in held {
        let definitions = known.entry(family.name()).or_default();
        if !definitions.contains(&family) {
            definitions.push(family);
        }
    }
    for Carried { definition, series } in carried {
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
            if let Some(order) = other.label_permutation(definition) {
                for one in series.iter_mut() {
                    one.values = order.iter().filter_map(|place| one.values.get(*place).cloned()).collect();
                }
                *definition = Family::clone(other);
                break;
            }
        }
    }
    Ok(())
}

/// Adds it all.
///
/// # Errors
/// [`tallymark::Error`] for label values that cannot be, before anything of their family was added.
pub(super) fn add(store: &Store, carried: Vec<Carried>) -> Result<usize, tallymark::Error> {
    let mut count = 0;
    for Carried { definition, series } in carried {
        let family = AnyFamily::new(definition.clone(), store.clone());
        for one in &series {
            let store = as_process(store, one.process)?;
            let own = store.as_ref().map(|store| AnyFamily::new(definition.clone(), store.clone()));
            let held = own.as_ref().unwrap_or(&family).series(&one.values, || 0.0)?;
            put(held, &one.amount);
            count += 1;
            store.iter().for_each(Store::fold);
        }
    }
    store.leave();
    Ok(count)
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
