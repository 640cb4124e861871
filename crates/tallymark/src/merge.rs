//! Adding up: what several processes hold for a series, as one value.
//!
//! The rules are the table "Semantics every store shares": counters, summaries and histograms add; gauges go by their
//! mode; infos, states and exemplars are the newest.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tallymark_cells::Block;
use tallymark_cells::file::{self, GaugeTotal, ProcessValue, Reading, Status, Total};
use tallymark_model::{Body, Exemplar, Family, FamilySnapshot, GaugeMode, Kind, Labels, SeriesSnapshot, Value};

use crate::series::Note;
use crate::{AnyFamily, record};

/// A family as a store holds it, over every definition of its name and type.
pub(crate) struct StoreFamily {
    /// Its place among the store's families.
    pub(crate) ordinal: u32,
    /// Series by the definition that first brought their label names; histograms have the bounds that all share.
    variants: Vec<(Arc<Family>, Vec<SeriesSnapshot>)>,
    /// Whether two series can have the same labels.
    has_twins: bool,
}

/// The file's descriptors, decoded: they never change, so a scrape decodes only the new ones.
#[derive(Default)]
pub(crate) struct Known {
    file: u64,
    families: Vec<Option<Arc<Family>>>,
    series: Vec<Option<(u32, Arc<Labels>)>>,
}

/// The series that this process has on its own heap, after those that a shared store had no room for were offered to it
/// again.
pub(crate) fn local(family: &AnyFamily) -> FamilySnapshot {
    let definition = family.definition();
    let mut series = Vec::new();
    family.share();
    for one in family.list().iter() {
        let value = one.on_heap(|block, notes| heap_value(definition, block, notes));
        let Some(value) = value else { continue };
        let created = has_created(definition).then(|| one.created());
        series.push(SeriesSnapshot { labels: Arc::clone(one.labels()), pid: None, value, created });
    }
    FamilySnapshot { family: Arc::clone(definition), body: Body::Series(series) }
}

fn has_created(family: &Family) -> bool {
    matches!(family.kind(), Kind::Counter | Kind::Summary | Kind::Histogram)
}

fn heap_value(family: &Family, block: Block<'_>, notes: &[Note]) -> Value {
    let exemplars = || notes.iter().filter_map(|note| Some((note.part, record::decode_exemplar(&note.bytes)?)));
    match family.kind() {
        Kind::Info => info(notes.first().map(|note| &*note.bytes)),
        Kind::StateSet => Value::StateSet(state(family, block.gauge().0)),
        Kind::Gauge => Value::Gauge(block.gauge().0),
        Kind::Summary => {
            let reading = block.tally();
            Value::Summary { count: reading.counts[0], sum: reading.sum }
        }
        Kind::Histogram | Kind::GaugeHistogram => {
            let reading = block.tally();
            Value::Histogram { counts: reading.counts, sum: reading.sum, exemplars: in_order(exemplars()) }
        }
        Kind::Counter | Kind::Unknown => {
            let (whole, rest) = block.number();
            Value::Counter { total: whole as f64 + rest, exemplar: exemplars().next().map(|(_, e)| Box::new(e)) }
        }
    }
}

fn info(bytes: Option<&[u8]>) -> Value {
    Value::Info(bytes.and_then(record::decode_pairs).unwrap_or_default())
}

fn state(family: &Family, value: f64) -> usize {
    // CAST: `as` saturates; a value that is no index of a state, from a damaged file, shows the last state.
    (value as usize).min(family.states().len().saturating_sub(1))
}

fn in_order(exemplars: impl Iterator<Item = (u16, Exemplar)>) -> Vec<(usize, Exemplar)> {
    let mut exemplars: Vec<_> = exemplars.map(|(part, exemplar)| (usize::from(part), exemplar)).collect();
    exemplars.sort_by_key(|(part, _)| *part);
    exemplars
}

/// What the file holds, by family name. Families of one name and type are one: their series stand together, and
/// different bucket layouts are merged on the bounds they share.
pub(crate) fn by_name(known: &mut Known, file: &file::Store, reading: Reading) -> HashMap<String, StoreFamily> {
    if !learn(known, file, reading.file) {
        return HashMap::new();
    }
    let mut notes: HashMap<u32, Vec<Note>> = HashMap::new();
    for image in reading.images {
        let note = Note { part: image.part, stamp: image.stamp, bytes: image.bytes };
        notes.entry(image.series).or_default().push(note);
    }
    let mut by_definition: Vec<Vec<SeriesSnapshot>> = known.families.iter().map(|_| Vec::new()).collect();
    for total in reading.series {
        let Some(Some((family, labels))) = known.series.get(total.series as usize) else { continue };
        let Some(Some(definition)) = known.families.get(*family as usize) else { continue };
        let notes = if notes.is_empty() { Vec::new() } else { notes.remove(&total.series).unwrap_or_default() };
        let created = has_created(definition).then_some(total.created);
        let series = &mut by_definition[*family as usize];
        let mut push = |pid, value| series.push(SeriesSnapshot { labels: Arc::clone(labels), pid, value, created });
        match total.total {
            Total::Gauge(gauge) if definition.kind() == Kind::Gauge => gauge_values(definition.mode(), gauge, push),
            total => push(None, total_value(definition, total, &notes)),
        }
    }
    let mut families = definitions(known);
    for (definition, series) in known.families.iter().zip(by_definition) {
        let Some(definition) = definition else { continue };
        if let Some(family) = families.get_mut(definition.name()) {
            family.take(definition, series);
        }
    }
    families
}

/// The families by name, still without series.
fn definitions(known: &Known) -> HashMap<String, StoreFamily> {
    let mut families: HashMap<String, StoreFamily> = HashMap::new();
    for (ordinal, definition) in known.families.iter().enumerate() {
        let Some(definition) = definition else { continue };
        let family = families.entry(definition.name().to_owned()).or_insert_with(|| StoreFamily {
            // CAST: the file numbers families in 32 bits.
            ordinal: ordinal as u32,
            variants: Vec::new(),
            has_twins: false,
        });
        family.admit(definition);
    }
    families
}

impl StoreFamily {
    /// Makes room for series of `definition`, unless it is of another type than the first definition of the name.
    fn admit(&mut self, definition: &Arc<Family>) {
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
    fn take(&mut self, definition: &Arc<Family>, more: Vec<SeriesSnapshot>) {
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
    let mut seen: HashMap<(Vec<Box<str>>, Option<u32>), usize> = HashMap::new();
    let mut merged: Vec<SeriesSnapshot> = Vec::new();
    for one in series.drain(..) {
        match seen.entry((one.labels.values().to_vec(), one.pid)) {
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

/// Decodes what is new; `false` if the file at the path is another one already than the one that was read.
fn learn(known: &mut Known, file: &file::Store, read: u64) -> bool {
    if known.file != read {
        *known = Known { file: read, ..Known::default() };
    }
    // CAST: the file numbers families and series in 32 bits.
    let new = file.descriptors(known.families.len() as u32, known.series.len() as u32);
    if new.file != read {
        return false;
    }
    known.families.extend(
        new.families.into_iter().map(|family| record::decode_family(&family.key, &family.details).map(Arc::new)),
    );
    for series in new.series {
        let labels = known.families.get(series.family as usize).and_then(Option::as_ref).and_then(|family| {
            let values = record::decode_values(&series.key)?;
            family.labels(&values).ok()
        });
        known.series.push(labels.map(|labels| (series.family, Arc::new(labels))));
    }
    true
}

fn total_value(family: &Family, total: Total, notes: &[Note]) -> Value {
    let exemplars = || notes.iter().filter_map(|note| Some((note.part, record::decode_exemplar(&note.bytes)?)));
    match (family.kind(), total) {
        (Kind::Info, _) => info(notes.first().map(|note| &*note.bytes)),
        (Kind::StateSet, Total::Gauge(gauge)) => {
            Value::StateSet(state(family, newest(&gauge).map_or(0.0, |p| p.value)))
        }
        (Kind::Summary, Total::Tally { counts, sum }) => {
            Value::Summary { count: counts.first().copied().unwrap_or_default(), sum: sum.value() }
        }
        (_, Total::Tally { counts, sum }) => {
            Value::Histogram { counts, sum: sum.value(), exemplars: in_order(exemplars()) }
        }
        (_, Total::Number { whole, mut rest }) => {
            // 2⁵³ and more are split, so that the exact sum sees both halves exactly.
            rest.add((whole >> 32) as f64 * 4_294_967_296.0);
            rest.add((whole & 0xffff_ffff) as f64);
            Value::Counter { total: rest.value(), exemplar: exemplars().next().map(|(_, e)| Box::new(e)) }
        }
        (_, Total::Gauge(gauge)) => Value::Gauge(newest(&gauge).map_or(0.0, |process| process.value)),
    }
}

/// The value that was set last, of ended processes too.
fn newest(gauge: &GaugeTotal) -> Option<ProcessValue> {
    gauge.processes.iter().chain(&gauge.kept).max_by_key(|process| process.stamp).copied()
}

/// A gauge's values by mode: one, or one per process with its id.
fn gauge_values(mode: GaugeMode, gauge: GaugeTotal, mut push: impl FnMut(Option<u32>, Value)) {
    let live = || gauge.processes.iter().filter(|process| process.live).copied();
    let everyone = || gauge.processes.iter().chain(&gauge.kept).copied();
    let numbers =
        |values: &mut dyn Iterator<Item = ProcessValue>| values.map(|process| process.value).collect::<Vec<_>>();
    let (live_values, all_values) = (numbers(&mut live()), numbers(&mut everyone()));
    let one = match mode {
        GaugeMode::All | GaugeMode::LiveAll => {
            let mut seen = Vec::new();
            let mut kept = gauge.kept.clone();
            kept.sort_by_key(|process| std::cmp::Reverse(process.stamp));
            for process in gauge.processes.iter().filter(|p| p.live || mode == GaugeMode::All).chain(&kept) {
                if !seen.contains(&process.pid) {
                    seen.push(process.pid);
                    push(Some(process.pid), Value::Gauge(process.value));
                }
            }
            return;
        }
        GaugeMode::Min => least(&all_values),
        GaugeMode::LiveMin => least(&live_values),
        GaugeMode::Max => greatest(&all_values),
        GaugeMode::LiveMax => greatest(&live_values),
        GaugeMode::Sum => sum(&all_values),
        GaugeMode::LiveSum => sum(&live_values),
        GaugeMode::MostRecent => newest(&gauge).map(|process| process.value),
        GaugeMode::LiveMostRecent => live().max_by_key(|process| process.stamp).map(|process| process.value),
        GaugeMode::Auto => match newest(&gauge) {
            Some(process) if process.stamp != 0 => Some(process.value),
            _ => Some(sum(&live_values).unwrap_or(0.0)),
        },
    };
    // A live mode without a live process has no value to show.
    if let Some(value) = one {
        push(None, Value::Gauge(value));
    }
}

fn sum(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(|a, b| a + b)
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

fn greatest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
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

/// The store's metrics about itself.
pub(crate) fn own_metrics(status: &Status, unshared: usize) -> Vec<FamilySnapshot> {
    let one = |kind, name, help, value| {
        let family = Family::builder(kind, name, help).build().expect("a valid name");
        let labels = family.labels::<&str>(&[]).expect("no labels");
        let series = SeriesSnapshot { labels: Arc::new(labels), pid: None, value, created: None };
        FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) }
    };
    let counter =
        |name, help, total: u64| one(Kind::Counter, name, help, Value::Counter { total: total as f64, exemplar: None });
    let gauge = |name, help, value: u64| one(Kind::Gauge, name, help, Value::Gauge(value as f64));
    vec![
        gauge("tallymark_live_processes", "Processes that have the file store open and count in it.", status.live),
        counter("tallymark_folded_processes", "Ended processes whose numbers were added to the totals.", status.folded),
        gauge("tallymark_file_bytes", "Size of the file store.", status.bytes),
        gauge(
            "tallymark_unshared_series",
            "Series that this process keeps in its own memory because the file store had no room.",
            unshared as u64,
        ),
        gauge("tallymark_damaged_records", "Records of the file store that cannot be read.", status.damaged),
        gauge(
            "tallymark_file_replacements",
            "Times this process found the file deleted or replaced, and made it anew.",
            status.replaced,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(bounds: &[f64], counts: &[u64]) -> (Arc<Family>, SeriesSnapshot) {
        let family = Family::builder(Kind::Histogram, "seconds", "").bounds(bounds).build().unwrap();
        let value = Value::Histogram { counts: counts.into(), sum: 1.0, exemplars: Vec::new() };
        let labels = Arc::new(family.labels::<&str>(&[]).unwrap());
        (Arc::new(family), SeriesSnapshot { labels, pid: None, value, created: None })
    }

    #[test]
    fn a_heap_with_other_buckets_than_the_store_narrows_both() {
        let (stored, in_store) = histogram(&[0.5, 1.0, 2.0], &[1, 1, 1, 1]);
        let (local, on_heap) = histogram(&[1.0, 4.0], &[2, 1, 1]);
        let mut family = StoreFamily { ordinal: 0, variants: Vec::new(), has_twins: false };
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
