//! Several snapshots as one: what a server shows that reads more than one store.
//!
//! Families of one name become one, and what they count is added up where their type adds. Everything is looked at once.
//! Where snapshots come from, and how values of one store's processes are added, is not known here.

use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

use crate::{
    Body, Exemplar, Family, FamilySnapshot, Kind, Labels, Process, Sample, SeriesSnapshot, Snapshot, Timestamp, Value,
    number::{self, Number},
};

/// A family that was left out, because another one has its name and is of another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeConflict {
    /// The name, as the text format has it.
    pub name: String,
    /// The type of the family that came first.
    pub kept: Kind,
    /// The type of the one that was left out.
    pub left_out: Kind,
}

impl fmt::Display for TypeConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TypeConflict { name, kept, left_out } = self;
        write!(f, "{name} is of type {kept} and of type {left_out}; the {left_out} is left out")
    }
}

impl Snapshot {
    /// All of these as one: a family for each name of the text format, in order of appearance.
    ///
    /// Series of the same labels are added up if they are counters, summaries (without their quantiles, which cannot be
    /// added) or histograms with equal bounds: the new one began when the first of them did. Of other series, and of those with
    /// a timestamp or a native histogram, the first stays. A family has the first help text that is not empty, and its unit if
    /// none has another. Of families of one name and different types the first stays; the others are told.
    ///
    /// ```
    /// use tallymark_model::{Snapshot, parse};
    /// let read = |text| parse::strict_text(text, 1000).map(|families| Snapshot { families });
    /// let web = read("# TYPE hits_total counter\nhits_total{path=\"/\"} 1\n# TYPE load gauge\nload 2\n")?;
    /// let jobs = read("# TYPE hits_total counter\nhits_total{path=\"/\"} 5\n# TYPE load counter\nload 7\n")?;
    /// let (all, conflicts) = Snapshot::union([web, jobs]);
    /// assert_eq!(all.families[0].samples()[0].value, 6.0);
    /// assert_eq!(all.families[1].samples()[0].value, 2.0);
    /// assert_eq!(conflicts[0].to_string(), "load is of type gauge and of type counter; the counter is left out");
    /// # Ok::<(), parse::ParseError>(())
    /// ```
    pub fn union(snapshots: impl IntoIterator<Item = Snapshot>) -> (Snapshot, Vec<TypeConflict>) {
        let (mut unions, mut conflicts) = (Vec::<Union>::new(), Vec::new());
        let mut places: HashMap<String, usize> = HashMap::new();
        for snapshot in snapshots.into_iter().flat_map(|snapshot| snapshot.families) {
            let family = &snapshot.family;
            match places.entry(family.text_name().into_owned()) {
                Entry::Vacant(entry) => {
                    entry.insert(unions.len());
                    unions.push(Union::One(snapshot));
                }
                Entry::Occupied(entry) => {
                    let Some(union) = unions.get_mut(*entry.get()) else { continue };
                    let kept = union.family().kind();
                    if kept == family.kind() {
                        union.add(snapshot);
                    } else {
                        conflicts.push(TypeConflict { name: entry.key().clone(), kept, left_out: family.kind() });
                    }
                }
            }
        }
        (Snapshot { families: unions.into_iter().map(Union::snapshot).collect() }, conflicts)
    }
}

/// What has come of one name.
enum Union {
    /// One family, as it came.
    One(FamilySnapshot),
    /// Several, whose series are of one shape.
    Series(Arc<Family>, SeriesUnion),
    /// Several that are not.
    Samples(Arc<Family>, SampleUnion),
}

impl Union {
    fn family(&self) -> &Arc<Family> {
        match self {
            Union::One(snapshot) => &snapshot.family,
            Union::Series(family, _) | Union::Samples(family, _) => family,
        }
    }

    fn add(&mut self, other: FamilySnapshot) {
        let before = std::mem::replace(self, Union::Series(other.family.clone(), SeriesUnion::default()));
        let family = described_by_both(before.family(), &other.family);
        *self = match (before, other.body) {
            (Union::Series(_, mut union), Body::Series(series)) if is_of_shape(&family, &other.family) => {
                union.add(series);
                Union::Series(family, union)
            }
            (Union::One(FamilySnapshot { body: Body::Series(first), .. }), Body::Series(series))
                if is_of_shape(&family, &other.family) =>
            {
                let mut union = SeriesUnion::default();
                union.add(first);
                union.add(series);
                Union::Series(family, union)
            }
            (Union::Samples(_, mut union), body) => {
                union.add(FamilySnapshot { family: other.family, body });
                Union::Samples(family, union)
            }
            (before, body) => {
                let mut union = SampleUnion::default();
                union.add(before.snapshot());
                union.add(FamilySnapshot { family: other.family, body });
                Union::Samples(family, union)
            }
        };
    }

    fn snapshot(self) -> FamilySnapshot {
        match self {
            Union::One(snapshot) => snapshot,
            Union::Series(family, union) => FamilySnapshot { family, body: Body::Series(union.series) },
            Union::Samples(family, union) => {
                let samples = union.in_order().flat_map(|(_, samples)| samples).collect();
                FamilySnapshot { family: Arc::new(family.with_unit(family.unit())), body: Body::Samples(samples) }
            }
        }
    }
}

/// The first family, with the help and unit of both.
fn described_by_both(first: &Arc<Family>, other: &Family) -> Arc<Family> {
    let help = if first.help().is_empty() { other.help() } else { first.help() };
    let unit = if first.unit() == other.unit() { first.unit() } else { "" };
    if (help, unit) == (first.help(), first.unit()) { first.clone() } else { Arc::new(first.with_texts(help, unit)) }
}

/// Whether series of both families mean the same by their place.
fn is_of_shape(first: &Family, other: &Family) -> bool {
    first.label_names() == other.label_names() && first.bounds() == other.bounds() && first.states() == other.states()
}

/// Native series of one shape.
#[derive(Default)]
struct SeriesUnion {
    series: Vec<SeriesSnapshot>,
    places: HashMap<(Arc<Labels>, Option<Process>), usize>,
}

impl SeriesUnion {
    fn add(&mut self, more: Vec<SeriesSnapshot>) {
        for series in more {
            match self.places.entry((series.labels.clone(), series.process.clone())) {
                Entry::Vacant(entry) => {
                    entry.insert(self.series.len());
                    self.series.push(series);
                }
                Entry::Occupied(entry) => {
                    if let Some(first) = self.series.get_mut(*entry.get()) {
                        add_series(first, series);
                    }
                }
            }
        }
    }
}

fn add_series(first: &mut SeriesSnapshot, other: SeriesSnapshot) {
    match (&mut first.value, other.value) {
        (Value::Counter { total, exemplar }, Value::Counter { total: more, exemplar: others }) => {
            *total += more;
            *exemplar = newest(exemplar.take(), others);
        }
        (Value::Summary { count, sum }, Value::Summary { count: more, sum: amount }) => {
            *count = count.saturating_add(more);
            *sum += amount;
        }
        (
            Value::Histogram { counts, sum, exemplars },
            Value::Histogram { counts: more, sum: amount, exemplars: others },
        ) => {
            for (count, more) in counts.iter_mut().zip(more) {
                *count = count.saturating_add(more);
            }
            *sum += amount;
            add_exemplars(exemplars, others);
        }
        _ => return,
    }
    first.created = match (first.created, other.created) {
        (Some(first), Some(other)) => Some(first.min(other)),
        (first, other) => first.or(other),
    };
}

/// The newest exemplar of each bucket, in the order of the buckets.
fn add_exemplars(exemplars: &mut Vec<(usize, Exemplar)>, others: Vec<(usize, Exemplar)>) {
    exemplars.extend(others);
    exemplars.sort_by_key(|(bucket, _)| *bucket);
    exemplars.dedup_by(|(bucket, later), (known, earlier)| {
        let same = bucket == known;
        if same && time(later) > time(earlier) {
            std::mem::swap(later, earlier);
        }
        same
    });
}

fn newest<E: Borrow<Exemplar>>(first: Option<E>, other: Option<E>) -> Option<E> {
    match (first, other) {
        (Some(first), Some(other)) if time(other.borrow()) > time(first.borrow()) => Some(other),
        (first, other) => first.or(other),
    }
}

/// When the exemplar was observed; one without a time is older than all.
fn time(exemplar: &Exemplar) -> f64 {
    exemplar.timestamp.map_or(f64::NEG_INFINITY, Timestamp::seconds)
}

/// The labels by which one series of a family differs from another, sorted.
type Key = Vec<(String, String)>;

/// Samples by series, each with its place.
#[derive(Default)]
struct SampleUnion(HashMap<Key, (usize, Vec<Sample>)>);

impl SampleUnion {
    fn add(&mut self, snapshot: FamilySnapshot) {
        let samples = match snapshot.body {
            Body::Samples(samples) => samples,
            Body::Series(_) => snapshot.samples(),
        };
        // By themselves first: samples of one series may stand apart.
        let (family, mut theirs) = (&snapshot.family, SampleUnion::default());
        for sample in samples {
            theirs.samples(key(family, &sample)).push(sample);
        }
        for (key, more) in theirs.in_order() {
            let samples = self.samples(key);
            if samples.is_empty() {
                *samples = more;
            } else {
                add_samples(family, samples, more);
            }
        }
    }

    fn samples(&mut self, key: Key) -> &mut Vec<Sample> {
        let place = self.0.len();
        &mut self.0.entry(key).or_insert_with(|| (place, Vec::new())).1
    }

    fn in_order(self) -> impl Iterator<Item = (Key, Vec<Sample>)> {
        let mut series: Vec<_> = self.0.into_iter().collect();
        series.sort_unstable_by_key(|(_, (place, _))| *place);
        series.into_iter().map(|(key, (_, samples))| (key, samples))
    }
}

fn key(family: &Family, sample: &Sample) -> Key {
    let own = match family.kind() {
        Kind::StateSet => Some(family.name()),
        kind => kind.reserved_label(),
    };
    let mut key: Key = sample.labels.iter().filter(|(name, _)| Some(&**name) != own).cloned().collect();
    key.sort_unstable();
    key
}

/// What a sample says of its series.
#[derive(PartialEq, Eq, Hash)]
enum Part {
    /// Since when it counts.
    Created,
    Quantile,
    /// What is added up: the suffix, and a bucket's bound as every client writes it.
    Counted(String, Option<String>),
}

impl Part {
    fn of(family: &Family, sample: &Sample) -> Part {
        let suffix = sample.name.strip_prefix(family.name()).unwrap_or(&sample.name);
        if suffix == "_created" {
            return Part::Created;
        }
        if suffix.is_empty() && family.kind() == Kind::Summary {
            return Part::Quantile;
        }
        let bound = sample.labels.iter().find(|(name, _)| name == "le" && suffix == "_bucket").map(|(_, bound)| {
            Number::parse(bound).map_or_else(|| bound.clone(), |bound| number::format(bound.as_f64()))
        });
        Part::Counted(suffix.to_owned(), bound)
    }

    fn is_counted(&self) -> bool {
        matches!(self, Part::Counted(..))
    }
}

/// Adds samples of the same series, if they can be added and both have the same ones; else the first stay.
fn add_samples(family: &Family, first: &mut Vec<Sample>, other: Vec<Sample>) {
    if !matches!(family.kind(), Kind::Counter | Kind::Histogram | Kind::Summary) {
        return;
    }
    let is_plain = |sample: &Sample| sample.timestamp.is_none() && sample.native_histogram.is_none();
    if !first.iter().chain(&other).all(is_plain) {
        return;
    }
    let parts: Vec<Part> = first.iter().map(|sample| Part::of(family, sample)).collect();
    let mut theirs: HashMap<Part, Sample> = HashMap::new();
    for sample in other {
        let part = Part::of(family, &sample);
        if theirs.insert(part, sample).is_some_and(|twice| Part::of(family, &twice).is_counted()) {
            return;
        }
    }
    let mut ours = parts.iter().filter(|part| part.is_counted());
    let count = ours.clone().count();
    if count != theirs.keys().filter(|part| part.is_counted()).count() || !ours.all(|part| theirs.contains_key(part)) {
        return;
    }
    let pairs = std::mem::take(first).into_iter().zip(parts).filter(|(_, part)| *part != Part::Quantile);
    first.extend(pairs.map(|(mut sample, part)| {
        let Some(more) = theirs.remove(&part) else { return sample };
        if part == Part::Created {
            sample.value = sample.value.min(more.value);
        } else {
            sample.value += more.value;
            sample.exemplar = newest(sample.exemplar, more.exemplar);
        }
        sample
    }));
    // Where only the other one says since when it counts.
    first.extend(theirs.remove(&Part::Created));
}
