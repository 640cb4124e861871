//! A family as a scrape shows it: several definitions of one name as one.
//!
//! Programs of two releases may declare a name with other help, labels in another order, other buckets or states. What
//! they have in common is shown, and nothing is guessed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tallymark_model::{Body, Family, FamilySnapshot, Kind, Process, SeriesSnapshot, Value};

/// A family as a store holds it, over every definition of its name and type.
pub(crate) struct StoreFamily {
    /// Its place among the store's families.
    pub(crate) ordinal: u32,
    /// Series by the definition that first brought their label names; histograms have the bounds that all share.
    variants: Vec<(Arc<Family>, Vec<SeriesSnapshot>)>,
    /// Whether two series can have the same labels.
    has_twins: bool,
}

impl StoreFamily {
    pub(super) fn new(ordinal: u32) -> StoreFamily {
        StoreFamily { ordinal, variants: Vec::new(), has_twins: false }
    }

    /// The type of its series.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.variants.first().map(|(family, _)| family.kind())
    }

    /// Makes room for series of `definition`, unless it is of another type than the first definition of the name.
    pub(super) fn admit(&mut self, definition: &Arc<Family>) {
        let Some((first, _)) = self.variants.first() else {
            self.variants.push((Arc::clone(definition), Vec::new()));
            return;
        };
        if first.kind() != definition.kind() {
            return;
        }
        let bounds: Vec<f64> =
            first.bounds().iter().copied().filter(|bound| definition.bounds().contains(bound)).collect();
        match self.variant(definition) {
            Some((known, _)) if **known == **definition => return,
            Some((known, _)) => {
                if let Some(more) = known.with_states_of(definition) {
                    *known = Arc::new(more);
                }
                self.has_twins = true;
            }
            None => self.variants.push((Arc::clone(definition), Vec::new())),
        }
        for (variant, series) in &mut self.variants {
            if variant.bounds() != bounds {
                let narrowed = Arc::new(variant.with_bounds(&bounds));
                *series = series.drain(..).map(|one| onto(&narrowed, variant, one)).collect();
                *variant = narrowed;
            }
        }
    }

    /// The variant with the same label names, in whatever order.
    fn variant(&mut self, definition: &Family) -> Option<(&mut Arc<Family>, &mut Vec<SeriesSnapshot>)> {
        self.variants
            .iter_mut()
            .find(|(known, _)| known.kind() == definition.kind() && known.label_permutation(definition).is_some())
            .map(|(known, series)| (known, series))
    }

    /// The family with its series; where the label names differ from series to series, as samples.
    pub(crate) fn into_snapshot(mut self) -> FamilySnapshot {
        if self.has_twins {
            self.variants.iter_mut().for_each(|(_, series)| merge_twins(series));
        }
        let (definition, series) = self.variants.remove(0);
        let first = FamilySnapshot { family: definition, body: Body::Series(series) };
        if self.variants.iter().all(|(_, series)| series.is_empty()) {
            return first;
        }
        let mut samples = first.samples();
        for (family, series) in self.variants {
            samples.extend(FamilySnapshot { family, body: Body::Series(series) }.samples());
        }
        FamilySnapshot { family: first.family, body: Body::Samples(samples) }
    }

    /// Adds what this process has on its own heap.
    pub(crate) fn add_local(&mut self, local: FamilySnapshot) {
        self.admit(&local.family);
        if let Body::Series(own) = local.body {
            self.has_twins |= !own.is_empty();
            self.take(&local.family, own);
        }
    }

    /// Takes series of an admitted definition, as ones of the variant that it belongs to.
    pub(super) fn take(&mut self, definition: &Arc<Family>, more: Vec<SeriesSnapshot>) {
        let Some((target, series)) = self.variant(definition) else { return };
        if target == definition && series.is_empty() {
            *series = more;
        } else {
            series.extend(more.into_iter().map(|one| onto(target, definition, one)));
        }
    }
}

/// Makes one series of those with the same labels: two definitions of one name with different buckets, or a file and a
/// heap, may both have one.
fn merge_twins(series: &mut Vec<SeriesSnapshot>) {
    let mut seen: HashMap<(Vec<Box<str>>, Option<Process>), usize> = HashMap::new();
    let mut merged: Vec<SeriesSnapshot> = Vec::new();
    for one in series.drain(..) {
        match seen.entry((one.labels.values().to_vec(), one.process.clone())) {
            Entry::Occupied(twin) => {
                let twin = &mut merged[*twin.get()];
                add(&mut twin.value, one.value);
                twin.created = twin.created.into_iter().chain(one.created).reduce(f64::min);
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(one);
            }
        }
    }
    *series = merged;
}

/// A series of `source` as one of `target`, a definition of the same name and type.
///
/// Label values take the target's order. A histogram's counts go to the target's bounds, all of which the source has:
/// cumulative counts agree there, so nothing is guessed; what lies between is counted in the next shared bucket, `+Inf` at
/// the latest. A state keeps its name.
fn onto(target: &Family, source: &Family, mut one: SeriesSnapshot) -> SeriesSnapshot {
    if target == source {
        return one;
    }
    if target.label_names() != source.label_names()
        && let Some(order) = target.label_permutation(source)
    {
        let values: Vec<&str> = order.iter().map(|index| &*one.labels.values()[*index]).collect();
        if let Ok(labels) = target.labels(&values) {
            one.labels = Arc::new(labels);
        }
    }
    match &mut one.value {
        Value::Histogram { counts, exemplars, .. } if target.bounds() != source.bounds() => {
            let mut shared = vec![0; target.bounds().len()];
            for (bound, count) in source.bounds().iter().zip(counts.iter()) {
                // Every layout ends in +Inf, so the search ends at a bound.
                shared[target.bounds().partition_point(|known| known < bound)] += count;
            }
            *counts = shared.into();
            exemplars.clear();
        }
        Value::StateSet(index) => {
            let name = source.states().get(*index);
            *index = name.and_then(|name| target.state(name).ok()).unwrap_or_default();
        }
        _ => {}
    }
    one
}

fn add(total: &mut Value, more: Value) {
    match (total, more) {
        (Value::Counter { total, .. }, Value::Counter { total: more, .. }) => *total += more,
        (Value::Summary { count, sum }, Value::Summary { count: more, sum: more_sum }) => {
            *count += more;
            *sum += more_sum;
        }
        (Value::Histogram { counts, sum, .. }, Value::Histogram { counts: more, sum: more_sum, .. }) => {
            counts.iter_mut().zip(&more).for_each(|(count, more)| *count += more);
            *sum += more_sum;
        }
        (total, more) => *total = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(bounds: &[f64], counts: &[u64]) -> (Arc<Family>, SeriesSnapshot) {
        let family = Family::builder(Kind::Histogram, "seconds", "").bounds(bounds).build().unwrap();
        let value = Value::Histogram { counts: counts.into(), sum: 1.0, exemplars: Vec::new() };
        let labels = Arc::new(family.labels::<&str>(&[]).unwrap());
        (Arc::new(family), SeriesSnapshot { labels, process: None, value, created: None })
    }

    #[test]
    fn a_heap_with_other_buckets_than_the_store_narrows_both() {
        let (stored, in_store) = histogram(&[0.5, 1.0, 2.0], &[1, 1, 1, 1]);
        let (local, on_heap) = histogram(&[1.0, 4.0], &[2, 1, 1]);
        let mut family = StoreFamily::new(0);
        family.admit(&stored);
        family.take(&stored, vec![in_store]);
        family.add_local(FamilySnapshot { family: local, body: Body::Series(vec![on_heap]) });

        let snapshot = family.into_snapshot();
        let Body::Series(series) = &snapshot.body else { panic!("series") };
        let expected = Value::Histogram { counts: [4, 4].into(), sum: 2.0, exemplars: Vec::new() };
        assert_eq!(snapshot.family.bounds(), [1.0, f64::INFINITY]);
        assert_eq!(series.iter().map(|one| &one.value).collect::<Vec<_>>(), [&expected]);
    }
}
