//! Families as groups keep them: a sample is put to the series it belongs to, and is written from there again.
//!
//! A family is called here as the text format calls it, a counter with its `_total` if it has one: by this name families
//! of different groups must agree on a type. A series' labels are those that its group does not have already; the
//! group's take the place of a body's. What a group does with families is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymark::ExactSum;
use tallymark_model as model;
use tallymark_model::{Exemplar, FamilySnapshot, Kind, NativeHistogram, Sample, name::check_label, number};

use super::{aggregate::Writer, path::Key, refusal::Refusal};

/// Label names and values, sorted by name, without those of the group.
pub(super) type Labels = Vec<(String, String)>;

/// Families by their names.
pub(super) type Families = BTreeMap<String, Arc<Family>>;

/// What a group holds of one family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    /// The type.
    pub(super) kind: Kind,
    /// The help text, or nothing.
    pub(super) help: String,
    /// The unit, or nothing.
    pub(super) unit: String,
    /// When it was last pushed, in seconds since the Unix epoch.
    pub(super) pushed: f64,
    /// The series.
    pub(super) series: BTreeMap<Labels, Series>,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// The value.
    pub(super) value: Value,
    /// When it began to count, in seconds since the Unix epoch.
    pub(super) created: Option<f64>,
    /// Who has pushed running totals of it, where pushes add up.
    pub(super) writers: Vec<Writer>,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Of all types but these.
    Single { total: ExactSum, exemplar: Option<Box<Exemplar>> },
    /// Of summaries; quantiles with their values, ascending.
    Summary { count: f64, sum: ExactSum, quantiles: Vec<(f64, f64)> },
    /// Of histograms, also those of gauges.
    Histogram(Box<Histogram>),
}

/// The value of a histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Histogram {
    /// Ascending, `+Inf` last; empty where all there is is `native`.
    pub(super) buckets: Vec<Bucket>,
    /// How many observations.
    pub(super) count: f64,
    /// Their sum.
    pub(super) sum: ExactSum,
    /// A native histogram, beside the buckets or in their place.
    pub(super) native: Option<NativeHistogram>,
}

/// How many observations are not above a bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bucket {
    /// The bound.
    pub(super) bound: f64,
    /// How many, as pushed: those of the lower buckets among them.
    pub(super) count: f64,
    /// One of them.
    pub(super) exemplar: Option<Box<Exemplar>>,
}

/// A sum of one term.
pub(super) fn exact(value: f64) -> ExactSum {
    let mut sum = ExactSum::default();
    sum.add(value);
    sum
}

/// The families that a body has, as a group of the key keeps them.
pub(super) fn families(body: Vec<FamilySnapshot>, key: &Key, now: f64) -> Result<BTreeMap<String, Family>, Refusal> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for snapshot in body {
        let model::Body::Samples(samples) = snapshot.body else { continue };
        let described = &*snapshot.family;
        let kind = described.kind();
        if let Some(label) = kind.reserved_label().filter(|label| key.contains_key(*label)) {
            let reason = format!("a group with a label {label:?} can have no {kind}, which writes that label itself");
            return Err(Refusal::content(reason));
        }
        if samples.is_empty() {
            continue;
        }
        let name = described.text_name().into_owned();
        let family = families.entry(name.clone()).or_insert_with(|| Family {
            kind,
            help: described.help().to_owned(),
            unit: described.unit().to_owned(),
            pushed: now,
            series: BTreeMap::new(),
        });
        if family.kind != kind {
            let reason = format!("{name} is pushed as {} and as {kind}; push it as one of them", family.kind);
            return Err(Refusal::content(reason));
        }
        let mut series = Builder { name: &name, stem: described.name(), kind, series: BTreeMap::new() };
        for sample in samples {
            series.put(sample, key)?;
        }
        for (labels, series) in series.finished()? {
            if family.series.contains_key(&labels) {
                return Err(duplicate(&name, &labels));
            }
            family.series.insert(labels, series);
        }
    }
    Ok(families)
}

fn duplicate(name: &str, labels: &Labels) -> Refusal {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let labels = labels.join(",");
    Refusal::content(format!(
        "{name}{{{labels}}} is there more than once; give each series labels of its own besides the group's"
    ))
}

/// Puts samples together to series.
struct Builder<'a> {
    name: &'a str,
    stem: &'a str,
    kind: Kind,
    series: BTreeMap<Labels, Draft>,
}

/// What has been read of a series.
#[derive(Default)]
struct Draft {
    single: Option<(f64, Option<Box<Exemplar>>)>,
    buckets: Vec<Bucket>,
    quantiles: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
    created: Option<f64>,
    native: Option<NativeHistogram>,
}

impl Builder<'_> {
    fn put(&mut self, sample: Sample, key: &Key) -> Result<(), Refusal> {
        if sample.timestamp.is_some() {
            let reason = format!("{} has a timestamp; leave timestamps out of what is pushed", sample.name);
            return Err(Refusal::content(reason));
        }
        let suffix = sample.name.strip_prefix(self.stem).unwrap_or(&sample.name).to_owned();
        let mut labels = sample.labels;
        let bound = match self.kind.reserved_label() {
            Some(reserved) => taken(&mut labels, reserved, &sample.name)?,
            None => None,
        };
        let labels = own_labels(labels, key, &sample.name)?;
        let is_new = !self.series.contains_key(&labels);
        let draft = self.series.entry(labels.clone()).or_default();
        let twice = || Err(duplicate(&sample.name, &labels));
        let exemplar = sample.exemplar.map(Box::new);
        let put = |place: &mut Option<f64>| place.replace(sample.value).is_some();
        let is_twice = match (self.kind, &*suffix, bound) {
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket", Some(bound)) => {
                draft.buckets.push(Bucket { bound, count: sample.value, exemplar });
                false
            }
            (Kind::Histogram | Kind::GaugeHistogram, "", None) if sample.native_histogram.is_some() => {
                std::mem::replace(&mut draft.native, sample.native_histogram.map(|native| *native)).is_some()
            }
            (Kind::Histogram | Kind::Summary, "_count", None) | (Kind::GaugeHistogram, "_gcount", None) => {
                put(&mut draft.count)
            }
            (Kind::Histogram | Kind::Summary, "_sum", None) | (Kind::GaugeHistogram, "_gsum", None) => {
                put(&mut draft.sum)
            }
            (Kind::Histogram | Kind::Summary | Kind::Counter, "_created", None) => put(&mut draft.created),
            (Kind::Summary, "", Some(quantile)) => {
                draft.quantiles.push((quantile, sample.value));
                false
            }
            // As the Pushgateway, which takes the series for one without observations.
            (Kind::Histogram | Kind::Summary, "", None) => !is_new,
            (Kind::Histogram | Kind::Summary | Kind::GaugeHistogram, ..) => {
                let reason = format!("{} is no sample of the {} {}", sample.name, self.kind, self.name);
                return Err(Refusal::content(reason));
            }
            _ => draft.single.replace((sample.value, exemplar)).is_some(),
        };
        if is_twice { twice() } else { Ok(()) }
    }

    fn finished(self) -> Result<Vec<(Labels, Series)>, Refusal> {
        let (name, kind) = (self.name, self.kind);
        let finished = self.series.into_iter().map(|(labels, draft)| {
            let created = draft.created;
            let value = draft.finished(kind).ok_or_else(|| duplicate(name, &labels))?;
            Ok((labels, Series { value, created, writers: Vec::new() }))
        });
        finished.collect()
    }
}

impl Draft {
    /// `None` if a bucket or a quantile is there twice.
    fn finished(mut self, kind: Kind) -> Option<Value> {
        match kind {
            Kind::Histogram | Kind::GaugeHistogram => {
                self.buckets.sort_by(|one, other| one.bound.total_cmp(&other.bound));
                let is_classic = self.native.is_none() || !self.buckets.is_empty();
                let is_whole = self.buckets.last().is_some_and(|last| last.bound == f64::INFINITY);
                let total = self.buckets.last().map_or(0.0, |last| last.count);
                let count = self.count.unwrap_or(total);
                if is_classic && !is_whole {
                    self.buckets.push(Bucket { bound: f64::INFINITY, count, exemplar: None });
                }
                let is_clear = self.buckets.is_sorted_by(|one, other| one.bound < other.bound);
                let sum = exact(self.sum.unwrap_or(0.0));
                is_clear.then(|| {
                    Value::Histogram(Box::new(Histogram { buckets: self.buckets, count, sum, native: self.native }))
                })
            }
            Kind::Summary => {
                self.quantiles.sort_by(|one, other| one.0.total_cmp(&other.0));
                let is_clear = self.quantiles.is_sorted_by(|one, other| one.0 < other.0);
                let (count, sum) = (self.count.unwrap_or(0.0), exact(self.sum.unwrap_or(0.0)));
                is_clear.then_some(Value::Summary { count, sum, quantiles: self.quantiles })
            }
            _ => {
                let (value, exemplar) = self.single.unwrap_or((0.0, None));
                Some(Value::Single { total: exact(value), exemplar })
            }
        }
    }
}

/// The number in a label that a type writes itself, which is taken off the labels.
fn taken(labels: &mut Vec<(String, String)>, reserved: &str, sample: &str) -> Result<Option<f64>, Refusal> {
    let Some(at) = labels.iter().position(|(name, _)| name == reserved) else { return Ok(None) };
    let (_, text) = labels.remove(at);
    let number = text.parse::<f64>().ok().filter(|number| !number.is_nan());
    number.map(Some).ok_or_else(|| Refusal::content(format!("the label {reserved} of {sample} is {text:?}, no number")))
}

/// The labels that a series has besides its group's, sorted; with an empty `instance` if neither has one, so that a scraper
/// that honors labels does not put its own there.
fn own_labels(mut labels: Vec<(String, String)>, key: &Key, sample: &str) -> Result<Labels, Refusal> {
    labels.retain(|(name, _)| !key.contains_key(name));
    for (name, _) in &labels {
        check_label(name, false).map_err(|error| Refusal::content(format!("a label of {sample}: {error}")))?;
    }
    if !key.contains_key("instance") && !labels.iter().any(|(name, _)| name == "instance") {
        labels.push(("instance".to_owned(), String::new()));
    }
    labels.sort();
    if labels.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0)) {
        return Err(Refusal::content(format!("{sample} has a label twice; leave one of them out")));
    }
    Ok(labels)
}

/// The labels of the group's own series.
pub(super) fn stamp_labels(key: &Key) -> Labels {
    own_labels(Vec::new(), key, "").unwrap_or_default()
}

/// All labels of a series, the group's and its own.
pub(super) fn all_labels(key: &Key, own: &Labels) -> Vec<(String, String)> {
    let group = key.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut labels: Vec<(String, String)> = group.chain(own.iter().cloned()).collect();
    labels.sort();
    labels
}

impl Family {
    /// What a snapshot says of the family called `name`.
    pub(super) fn described(&self, name: &str) -> model::Family {
        let stem = stem(self.kind, name);
        if self.kind == Kind::Counter && stem == name {
            return model::Family::named(self.kind, name, &self.help);
        }
        model::Family::described(self.kind, stem, &self.help, &self.unit)
    }

    /// How many samples its series are.
    pub(super) fn lines(&self) -> usize {
        self.series.values().map(Series::lines).sum()
    }

    /// Appends the samples of all series.
    pub(super) fn push_samples(&self, name: &str, key: &Key, out: &mut Vec<Sample>) {
        for (labels, series) in &self.series {
            series.push_samples(stem(self.kind, name), name, self.kind, &all_labels(key, labels), out);
        }
    }
}

/// A family's name without a type's suffix.
fn stem(kind: Kind, name: &str) -> &str {
    let suffix = match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        _ => return name,
    };
    name.strip_suffix(suffix).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

impl Series {
    fn lines(&self) -> usize {
        let value = match &self.value {
            Value::Single { .. } => 1,
            Value::Summary { quantiles, .. } => quantiles.len() + 2,
            Value::Histogram(histogram) => histogram.buckets.len() + 2,
        };
        value + usize::from(self.created.is_some())
    }

    fn push_samples(&self, stem: &str, name: &str, kind: Kind, labels: &[(String, String)], out: &mut Vec<Sample>) {
        let sample = |name: String, value: f64| Sample {
            name,
            labels: labels.to_vec(),
            value,
            timestamp: None,
            exemplar: None,
            native_histogram: None,
        };
        let with = |name: String, value: f64, label: &str, bound: f64| {
            let mut sample = sample(name, value);
            sample.labels.push((label.to_owned(), number::format(bound)));
            sample
        };
        match &self.value {
            Value::Single { total, exemplar } => {
                let exemplar = exemplar.as_deref().cloned();
                out.push(Sample { exemplar, ..sample(name.to_owned(), total.value()) });
            }
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    out.push(with(name.to_owned(), *value, "quantile", *quantile));
                }
                out.push(sample(format!("{stem}_count"), *count));
                out.push(sample(format!("{stem}_sum"), sum.value()));
            }
            Value::Histogram(histogram) => {
                if let Some(native) = &histogram.native {
                    let native_histogram = Some(Box::new(native.clone()));
                    out.push(Sample { native_histogram, ..sample(name.to_owned(), f64::NAN) });
                }
                for bucket in &histogram.buckets {
                    let exemplar = bucket.exemplar.as_deref().cloned();
                    out.push(Sample { exemplar, ..with(format!("{stem}_bucket"), bucket.count, "le", bucket.bound) });
                }
                if !histogram.buckets.is_empty() {
                    let (count, sum) =
                        if kind == Kind::GaugeHistogram { ("_gcount", "_gsum") } else { ("_count", "_sum") };
                    out.push(sample(format!("{stem}{count}"), histogram.count));
                    out.push(sample(format!("{stem}{sum}"), histogram.sum.value()));
                }
            }
        }
        if let Some(created) = self.created {
            out.push(sample(format!("{stem}_created"), created));
        }
    }
}
