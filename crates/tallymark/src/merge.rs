//! Adding up: what several processes hold for a series, as one value.
//!
//! The rules are the table "Semantics every store shares": counters, summaries and histograms add; gauges go by their
//! mode; infos, states and exemplars are the newest.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tallymark_cells::Block;
use tallymark_cells::file::{self, Reading, SeriesTotal, Status, Total};
use tallymark_model::{Body, Exemplar, Family, FamilySnapshot, Kind, Labels, Process, SeriesSnapshot, Value};

use crate::gauge::{self, GaugeValue};
use crate::series::Note;
use crate::{AnyFamily, record};

/// A definition in a store.
pub(crate) struct Defined {
    pub(crate) family: Arc<Family>,
}

/// A series in a store, over all its processes.
pub(crate) struct HeldSeries {
    pub(crate) family: Arc<Family>,
    pub(crate) labels: Arc<Labels>,
    /// Seconds since the Unix epoch.
    pub(crate) created: f64,
    pub(crate) value: StoredValue,
    pub(crate) notes: Vec<Note>,
}

/// The numbers of a series in a store.
pub(crate) enum StoredValue {
    /// A number or a tally, of all processes together.
    Total(Total),
    /// A gauge, process by process.
    Gauge(Vec<GaugeValue>),
}

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

impl Known {
    /// Decodes what is new; `false` if the file at the path is another one already than the one that was read.
    pub(crate) fn learn(&mut self, file: &file::Store, read: u64) -> bool {
        if self.file != read {
            *self = Known { file: read, ..Known::default() };
        }
        // CAST: the file numbers families and series in 32 bits.
        let new = file.descriptors(self.families.len() as u32, self.series.len() as u32);
        if new.file != read {
            return false;
        }
        self.families.extend(
            new.families.into_iter().map(|family| record::decode_family(&family.key, &family.details).map(Arc::new)),
        );
        for series in new.series {
            let labels = self.families.get(series.family as usize).and_then(Option::as_ref).and_then(|family| {
                let values = record::decode_values(&series.key)?;
                family.labels(&values).ok()
            });
            self.series.push(labels.map(|labels| (series.family, Arc::new(labels))));
        }
        true
    }

    /// A family, by its number in the file.
    #[cfg(feature = "sqlite")]
    pub(crate) fn family(&self, number: usize) -> Option<&Arc<Family>> {
        self.families.get(number)?.as_ref()
    }

    /// The family and the labels of a series, by its number in the file.
    #[cfg(feature = "sqlite")]
    pub(crate) fn series(&self, number: u32) -> Option<(Arc<Family>, Arc<Labels>)> {
        let (family, labels) = self.series.get(number as usize)?.as_ref()?;
        Some((Arc::clone(self.family(*family as usize)?), Arc::clone(labels)))
    }
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
        series.push(SeriesSnapshot { labels: Arc::clone(one.labels()), process: None, value, created });
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

/// What the file holds, by family name.
pub(crate) fn by_name(known: &mut Known, file: &file::Store, reading: Reading) -> HashMap<String, StoreFamily> {
    if !known.learn(file, reading.file) {
        return HashMap::new();
    }
    let mut notes: HashMap<u32, Vec<Note>> = HashMap::new();
    for image in reading.images {
        let note = Note { part: image.part, stamp: image.stamp, bytes: image.bytes };
        notes.entry(image.series).or_default().push(note);
    }
    let defined = known.families.iter().flatten().map(|family| Defined { family: Arc::clone(family) }).collect();
    add_up(defined, reading.series.into_iter().filter_map(|total| held(known, &mut notes, total)))
}

/// A series of the file, unless its record or its family's is damaged.
fn held(known: &Known, notes: &mut HashMap<u32, Vec<Note>>, total: SeriesTotal) -> Option<HeldSeries> {
    let (family, labels) = known.series.get(total.series as usize)?.as_ref()?;
    let family = known.families.get(*family as usize)?.as_ref()?;
    let notes = if notes.is_empty() { None } else { notes.remove(&total.series) };
    let value = match total.total {
        Total::Gauge(values) => StoredValue::Gauge(gauge::of_host(&values)),
        total => StoredValue::Total(total),
    };
    Some(HeldSeries {
        family: Arc::clone(family),
        labels: Arc::clone(labels),
        created: total.created,
        value,
        notes: notes.unwrap_or_default(),
    })
}

/// What a store holds, by family name: its definitions in the order in which they came into it, and its series. Families
/// of one name and type are one: their series stand together, and different bucket layouts are merged on the bounds
/// they share.
pub(crate) fn add_up(
    mut defined: Vec<Defined>,
    series: impl IntoIterator<Item = HeldSeries>,
) -> HashMap<String, StoreFamily> {
    let mut places: HashMap<*const Family, usize, foldhash::fast::RandomState> =
        defined.iter().enumerate().map(|(place, one)| (Arc::as_ptr(&one.family), place)).collect();
    let mut by_definition: Vec<Vec<SeriesSnapshot>> = defined.iter().map(|_| Vec::new()).collect();
    for one in series {
        let place = *places.entry(Arc::as_ptr(&one.family)).or_insert_with(|| {
            defined.push(Defined { family: Arc::clone(&one.family) });
            by_definition.push(Vec::new());
            by_definition.len() - 1
        });
        show(one, &mut by_definition[place]);
    }
    let mut families = families(&defined);
    for (definition, series) in defined.iter().zip(by_definition) {
        if let Some(family) = families.get_mut(definition.family.name()) {
            family.take(&definition.family, series);
        }
    }
    families
}

/// The families by name, still without series.
fn families(defined: &[Defined]) -> HashMap<String, StoreFamily> {
    let mut families: HashMap<String, StoreFamily> = HashMap::new();
    for (ordinal, definition) in defined.iter().enumerate() {
        let family = families.entry(definition.family.name().to_owned()).or_insert_with(|| StoreFamily {
            // CAST: stores number families in 32 bits.
            ordinal: ordinal as u32,
            variants: Vec::new(),
            has_twins: false,
        });
        family.admit(&definition.family);
    }
    families
}

/// The values that a series shows: one, or one for each process.
fn show(series: HeldSeries, values: &mut Vec<SeriesSnapshot>) {
    let HeldSeries { family, labels, created, value, notes } = series;
    match value {
        StoredValue::Gauge(gauge) if family.kind() == Kind::Gauge => {
            gauge::merged(family.mode(), gauge, |process, value| {
                let (labels, value) = (Arc::clone(&labels), Value::Gauge(value));
                values.push(SeriesSnapshot { labels, process, value, created: None });
            });
        }
        value => {
            let created = has_created(&family).then_some(created);
            let value = total_value(&family, value, &notes);
            values.push(SeriesSnapshot { labels, process: None, value, created });
        }
    }
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

fn total_value(family: &Family, value: StoredValue, notes: &[Note]) -> Value {
    let exemplars = || notes.iter().filter_map(|note| Some((note.part, record::decode_exemplar(&note.bytes)?)));
    let newest = |values: &[GaugeValue]| gauge::newest(values).map_or(0.0, |value| value.value);
    match (family.kind(), value) {
        (Kind::Info, _) => info(notes.first().map(|note| &*note.bytes)),
        (Kind::StateSet, StoredValue::Gauge(values)) => Value::StateSet(state(family, newest(&values))),
        (Kind::Summary, StoredValue::Total(Total::Tally { counts, sum })) => {
            Value::Summary { count: counts.first().copied().unwrap_or_default(), sum: sum.value() }
        }
        (_, StoredValue::Total(Total::Tally { counts, sum })) => {
            Value::Histogram { counts, sum: sum.value(), exemplars: in_order(exemplars()) }
        }
        (_, StoredValue::Total(Total::Number { whole, mut rest })) => {
            // 2⁵³ and more are split, so that the exact sum sees both halves exactly.
            rest.add((whole >> 32) as f64 * 4_294_967_296.0);
            rest.add((whole & 0xffff_ffff) as f64);
            Value::Counter { total: rest.value(), exemplar: exemplars().next().map(|(_, e)| Box::new(e)) }
        }
        (_, StoredValue::Total(Total::Gauge(values))) => Value::Gauge(newest(&gauge::of_host(&values))),
        (_, StoredValue::Gauge(values)) => Value::Gauge(newest(&values)),
    }
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

/// A counter that says something about a store.
pub(crate) fn counter(name: &str, help: &str, total: u64) -> FamilySnapshot {
    about(Kind::Counter, name, help, &[], [(vec![], Value::Counter { total: total as f64, exemplar: None })])
}

/// A gauge that does.
pub(crate) fn gauge(name: &str, help: &str, value: f64) -> FamilySnapshot {
    about(Kind::Gauge, name, help, &[], [(vec![], Value::Gauge(value))])
}

/// A metric that does, with its series.
pub(crate) fn about<'a>(
    kind: Kind,
    name: &str,
    help: &str,
    label_names: &[&str],
    series: impl IntoIterator<Item = (Vec<&'a str>, Value)>,
) -> FamilySnapshot {
    let family = Family::builder(kind, name, help).label_names(label_names.iter().copied()).build();
    let family = Arc::new(family.expect("a valid definition"));
    let one = |(values, value): (Vec<&str>, Value)| SeriesSnapshot {
        labels: Arc::new(family.labels(&values).expect("as many values as label names")),
        process: None,
        value,
        created: None,
    };
    let series = series.into_iter().map(one).collect();
    FamilySnapshot { family: Arc::clone(&family), body: Body::Series(series) }
}

/// The metric about series that found no room in a store.
pub(crate) fn unshared_series(count: usize) -> FamilySnapshot {
    let help = "Series that this process keeps in its own memory because the file store had no room.";
    gauge("tallymark_unshared_series", help, count as f64)
}

/// A file store's metrics about itself.
pub(crate) fn own_metrics(status: &Status) -> Vec<FamilySnapshot> {
    vec![
        gauge(
            "tallymark_live_processes",
            "Processes that have the file store open and count in it.",
            status.live as f64,
        ),
        counter("tallymark_folded_processes", "Ended processes whose numbers were added to the totals.", status.folded),
        gauge("tallymark_file_bytes", "Size of the file store.", status.bytes as f64),
        gauge("tallymark_damaged_records", "Records of the file store that cannot be read.", status.damaged as f64),
        gauge(
            "tallymark_file_replacements",
            "Times this process found the file deleted or replaced, and made it anew.",
            status.replaced as f64,
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
        (Arc::new(family), SeriesSnapshot { labels, process: None, value, created: None })
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
