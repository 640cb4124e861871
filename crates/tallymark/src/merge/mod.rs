//! Adding up: what several processes hold for a series, as one value.
//!
//! The rules are the table "Semantics every store shares": counters, summaries and histograms add; gauges go by their
//! mode; infos, states and exemplars are the newest. `family.rs` makes one of several definitions of a name.

mod family;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tallymark_cells::Block;
use tallymark_cells::file::{self, Reading, SeriesTotal, Total};
use tallymark_model::{Body, Exemplar, Family, FamilySnapshot, Kind, Labels, SeriesSnapshot, Value};

pub(crate) use self::family::StoreFamily;

use crate::gauge::{self, GaugeValue};
use crate::limits::{self, Limits};
use crate::series::Note;
use crate::{AnyFamily, record};

/// A definition in a store.
pub(crate) struct Defined {
    pub(crate) family: Arc<Family>,
    /// How many live processes count in it.
    pub(crate) users: u32,
}

/// A series in a store, over all its processes.
pub(crate) struct HeldSeries {
    pub(crate) family: Arc<Family>,
    pub(crate) labels: Arc<Labels>,
    /// Seconds since the Unix epoch, 0 if none was said.
    pub(crate) created: f64,
    pub(crate) value: StoredValue,
    pub(crate) notes: Vec<Note>,
    /// Whether a process is known to have it now. In a store of many hosts none is: those that use it mention it in time.
    pub(crate) in_use: bool,
    /// When a process last had it, if none is known to, or a batch of a host was last about it: nanoseconds since the Unix
    /// epoch by the store's clock, 0 where that is not known.
    pub(crate) idle_since: u64,
}

/// The numbers of a series in a store.
pub(crate) enum StoredValue {
    /// A number or a tally, of all processes together.
    Total(Total),
    /// A gauge, process by process.
    Gauge(Vec<GaugeValue>),
}

/// What a store holds.
#[derive(Default)]
pub(crate) struct Merged {
    pub(crate) families: HashMap<String, StoreFamily>,
    pub(crate) conflicts: Vec<Conflict>,
    /// How many families have an overflow series.
    pub(crate) overflowing: usize,
}

/// Series that are not shown, because most processes use their name for another type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) name: String,
    pub(crate) shown: Kind,
    pub(crate) hidden: Kind,
    pub(crate) series: usize,
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
pub(crate) fn by_name(known: &mut Known, file: &file::Store, reading: Reading, limits: Limits, now: u64) -> Merged {
    if !known.learn(file, reading.file) {
        return Merged::default();
    }
    let mut notes: HashMap<u32, Vec<Note>> = HashMap::new();
    for image in reading.images {
        let note = Note { part: image.part, stamp: image.stamp, bytes: image.bytes };
        notes.entry(image.series).or_default().push(note);
    }
    let users = reading.users.iter().copied().chain(std::iter::repeat(0));
    let defined = known.families.iter().zip(users);
    let defined = defined.filter_map(|(family, users)| Some(Defined { family: Arc::clone(family.as_ref()?), users }));
    let series = reading.series.into_iter().filter_map(|total| held(known, &mut notes, total));
    add_up(defined.collect(), series, limits, now)
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
        in_use: total.in_use,
        idle_since: total.folded,
    })
}

/// What a store holds, by family name: its definitions in the order in which they came into it, and its series, as
/// `limits` has them shown at the time `now`, in nanoseconds since the Unix epoch. Families of one name and type are one:
/// their series stand together, and different bucket layouts are merged on the bounds they share. Of several types of one
/// name the one is shown that most live processes use, else the one that was there first.
pub(crate) fn add_up(
    defined: Vec<Defined>,
    series: impl Iterator<Item = HeldSeries>,
    limits: Limits,
    now: u64,
) -> Merged {
    let mut definitions = Definitions::new(defined);
    let mut values: Vec<Vec<SeriesSnapshot>> = Vec::new();
    let mut overflowing = HashSet::new();
    let series = series.map(|one| (definitions.number(&one.family), one));
    let take = |(number, one): (usize, HeldSeries)| {
        if limits.hides(now, one.in_use, one.idle_since) {
            return;
        }
        if limits.max_series.is_some() && !one.labels.values().is_empty() && limits::is_overflow(one.labels.values()) {
            overflowing.insert(number);
        }
        if values.len() <= number {
            values.resize_with(number + 1, Vec::new);
        }
        show(one, &mut values[number]);
    };
    match limits.max_series {
        Some(most) => limits::fold(series.collect(), most).into_iter().for_each(take),
        None => series.for_each(take),
    }
    let defined = definitions.defined;
    let mut merged = Merged { families: families(&defined), conflicts: Vec::new(), overflowing: overflowing.len() };
    for (definition, series) in defined.iter().zip(values) {
        merged.take(&definition.family, series);
    }
    merged
}

/// The definitions of a store, by number.
struct Definitions {
    defined: Vec<Defined>,
    /// Numbers by address. What the address is of is kept, so that nothing else gets it.
    numbers: HashMap<*const Family, (Arc<Family>, usize), foldhash::fast::RandomState>,
    /// The one asked for last: series of a definition mostly come in a row.
    last: (*const Family, usize),
}

impl Definitions {
    fn new(defined: Vec<Defined>) -> Definitions {
        let known = defined.iter().enumerate();
        let numbers = known.map(|(number, one)| (Arc::as_ptr(&one.family), (Arc::clone(&one.family), number)));
        Definitions { numbers: numbers.collect(), defined, last: (std::ptr::null(), 0) }
    }

    /// The number of a definition, which gets one if it is new.
    fn number(&mut self, family: &Arc<Family>) -> usize {
        let Definitions { defined, numbers, last } = self;
        if last.0 == Arc::as_ptr(family) {
            return last.1;
        }
        let (_, number) = numbers.entry(Arc::as_ptr(family)).or_insert_with(|| {
            let known = defined.iter().position(|known| known.family == *family);
            let number = known.unwrap_or_else(|| {
                defined.push(Defined { family: Arc::clone(family), users: 0 });
                defined.len() - 1
            });
            (Arc::clone(family), number)
        });
        *last = (Arc::as_ptr(family), *number);
        *number
    }
}

/// The families by name, each of the type that is shown, still without series.
fn families(defined: &[Defined]) -> HashMap<String, StoreFamily> {
    let mut families: HashMap<String, StoreFamily> = HashMap::new();
    let kinds = kinds(defined);
    for (ordinal, definition) in defined.iter().enumerate() {
        let name = definition.family.name();
        // CAST: stores number families in 32 bits.
        let family = families.entry(name.to_owned()).or_insert_with(|| StoreFamily::new(ordinal as u32));
        if kinds.get(name) == Some(&definition.family.kind()) {
            family.admit(&definition.family);
        }
    }
    families
}

/// The type of each name that most live processes use; of equals, the first in the store.
fn kinds(defined: &[Defined]) -> HashMap<&str, Kind> {
    let mut users: HashMap<&str, Vec<(Kind, u64)>> = HashMap::new();
    for Defined { family, users: more } in defined {
        let kinds = users.entry(family.name()).or_default();
        match kinds.iter_mut().find(|(kind, _)| *kind == family.kind()) {
            Some((_, users)) => *users += u64::from(*more),
            None => kinds.push((family.kind(), u64::from(*more))),
        }
    }
    let most = |kinds: Vec<(Kind, u64)>| kinds.into_iter().rev().max_by_key(|(_, users)| *users);
    users.into_iter().filter_map(|(name, kinds)| Some((name, most(kinds)?.0))).collect()
}

impl Merged {
    /// Gives a family its series, or counts them where their type is not shown.
    fn take(&mut self, definition: &Arc<Family>, series: Vec<SeriesSnapshot>) {
        let Some(family) = self.families.get_mut(definition.name()) else { return };
        let shown = family.kind();
        if shown == Some(definition.kind()) {
            return family.take(definition, series);
        }
        let Some(shown) = shown.filter(|_| !series.is_empty()) else { return };
        let (name, hidden) = (definition.name(), definition.kind());
        match self.conflicts.iter_mut().find(|known| known.name == name && known.hidden == hidden) {
            Some(known) => known.series += series.len(),
            None => self.conflicts.push(Conflict { name: name.to_owned(), shown, hidden, series: series.len() }),
        }
    }
}

impl Conflict {
    /// What is logged of it.
    fn notice(&self) -> String {
        let Conflict { name, shown, hidden, .. } = self;
        format!(
            "{name} is a {hidden} and a {shown}, which most live processes use; what the {hidden} counts is not shown: \
             give one of them another name"
        )
    }

    /// What is to be logged, because it was not so `before`, which becomes what is now.
    pub(crate) fn news(merged: &Merged, before: &mut Vec<Conflict>) -> Vec<String> {
        let before = std::mem::replace(before, merged.conflicts.clone());
        let is_news = |now: &&Conflict| {
            !before.iter().any(|known| (&known.name, known.shown, known.hidden) == (&now.name, now.shown, now.hidden))
        };
        merged.conflicts.iter().filter(is_news).map(Conflict::notice).collect()
    }
}

impl HeldSeries {
    /// Which of two is shown first: as a file has them, in the order of their creation.
    #[cfg(feature = "sqlite")]
    pub(crate) fn order(&self, other: &HeldSeries) -> std::cmp::Ordering {
        let names = || self.family.name().cmp(other.family.name());
        let labels = || self.labels.values().cmp(other.labels.values());
        self.created.total_cmp(&other.created).then_with(names).then_with(labels)
    }

    /// Adds another series of the same definition.
    pub(crate) fn add(&mut self, more: HeldSeries) {
        self.created = self.created.min(more.created);
        self.in_use |= more.in_use;
        let is_known = self.idle_since != 0 && more.idle_since != 0;
        self.idle_since = if is_known { self.idle_since.max(more.idle_since) } else { 0 };
        for note in more.notes {
            match self.notes.iter_mut().find(|known| known.part == note.part) {
                Some(known) if known.stamp >= note.stamp => {}
                Some(known) => *known = note,
                None => self.notes.push(note),
            }
        }
        match (&mut self.value, more.value) {
            (StoredValue::Total(total), StoredValue::Total(more)) => total.merge(more),
            (StoredValue::Gauge(values), StoredValue::Gauge(more)) => {
                values.extend(more);
                // Of two values of one process the newer one is shown where one is.
                values.sort_by_key(|value| std::cmp::Reverse(value.stamp));
            }
            _ => {}
        }
    }
}

/// The values that a series shows: one, or one for each process.
fn show(series: HeldSeries, values: &mut Vec<SeriesSnapshot>) {
    let HeldSeries { family, labels, created, value, notes, .. } = series;
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
            let mut total = whole as f64;
            // Mostly there are whole increments only.
            if rest.value() != 0.0 {
                // 2⁵³ and more are split, so that the exact sum sees both halves exactly.
                rest.add((whole >> 32) as f64 * 4_294_967_296.0);
                rest.add((whole & 0xffff_ffff) as f64);
                total = rest.value();
            }
            Value::Counter { total, exemplar: exemplars().next().map(|(_, e)| Box::new(e)) }
        }
        (_, StoredValue::Total(Total::Gauge(values))) => Value::Gauge(newest(&gauge::of_host(&values))),
        (_, StoredValue::Gauge(values)) => Value::Gauge(newest(&values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_and_the_series_of_a_type_are_those_of_all_its_definitions() {
        let family = |kind, names: &[&str]| {
            Arc::new(Family::builder(kind, "load", "").label_names(names.iter().copied()).build().unwrap())
        };
        let define = |family: &Arc<Family>, users| Defined { family: Arc::clone(family), users };
        let gauges = [family(Kind::Gauge, &["a"]), family(Kind::Gauge, &["b"])];
        let counters = [family(Kind::Counter, &["a"]), family(Kind::Counter, &["b"]), family(Kind::Counter, &["c"])];
        let value = GaugeValue { instance: None, pid: 7, value: 1.0, stamp: 1, live: true, kept: false };
        let merge = |last_users| {
            let users = [2, 1].into_iter().chain([1, 2, last_users]);
            let defined =
                gauges.iter().chain(&counters).zip(users).map(|(family, users)| define(family, users)).collect();
            let series = gauges.iter().chain(&counters).map(|family| HeldSeries {
                family: Arc::clone(family),
                labels: Arc::new(family.labels(&["v"]).unwrap()),
                created: 1.0,
                value: match family.kind() {
                    Kind::Gauge => StoredValue::Gauge(vec![value.clone()]),
                    _ => StoredValue::Total(Total::Number { whole: 1, rest: Default::default() }),
                },
                notes: Vec::new(),
                in_use: true,
                idle_since: 0,
            });
            add_up(defined, series, Limits::default(), 0)
        };
        let conflict = |shown, hidden, series| Conflict { name: "load".to_owned(), shown, hidden, series };
        assert_eq!(merge(0).conflicts, [conflict(Kind::Gauge, Kind::Counter, 3)]);
        assert_eq!(merge(1).conflicts, [conflict(Kind::Counter, Kind::Gauge, 2)]);
        assert_eq!(merge(1).families.remove("load").unwrap().into_snapshot().samples().len(), 6);
    }

    #[test]
    fn news_are_what_was_not_so_before() {
        let conflict = |name: &str, shown, series| {
            let (name, hidden) = (name.to_owned(), Kind::Gauge);
            Conflict { name, shown, hidden, series }
        };
        let mut before = vec![conflict("a", Kind::Counter, 1), conflict("b", Kind::Counter, 1)];
        let now = [conflict("a", Kind::Counter, 9), conflict("b", Kind::Summary, 1), conflict("c", Kind::Counter, 1)];
        let merged = Merged { conflicts: now.to_vec(), ..Merged::default() };
        assert_eq!(Conflict::news(&merged, &mut before), [now[1].notice(), now[2].notice()]);
        assert_eq!(before, now);
        assert!(Conflict::news(&merged, &mut before).is_empty());
    }
}
