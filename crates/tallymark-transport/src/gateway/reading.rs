//! From a body's samples to families: each is put to the series it belongs to.
//!
//! The group's labels take the place of the body's, and what is left must tell its series apart. What is refused here does
//! not go with itself; whether it goes with what was pushed before is not known here.

use std::collections::BTreeMap;

use tallymark_model as model;
use tallymark_model::{Exemplar, FamilySnapshot, Kind, NativeHistogram, Sample, name::check_label};

use super::metric::{Bucket, Family, Histogram, Labels, Series, Value, exact};
use super::path::Key;
use super::refusal::Refusal;
use super::scrapeable;

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
            unit: scrapeable::unit(described.name(), described.unit()).to_owned(),
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
        let exemplar = sample.exemplar.filter(scrapeable::can_carry).map(Box::new);
        let native = sample.native_histogram.map(|native| showable(self.kind, *native, &sample.name)).transpose()?;
        let put = |place: &mut Option<f64>| place.replace(sample.value).is_some();
        let is_twice = match (self.kind, &*suffix, bound) {
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket", Some(bound)) => {
                draft.buckets.push(Bucket { bound, count: sample.value, exemplar });
                false
            }
            (Kind::Histogram | Kind::GaugeHistogram, "", None) if native.is_some() => {
                std::mem::replace(&mut draft.native, native).is_some()
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

/// A native histogram as it can be shown.
fn showable(kind: Kind, mut native: NativeHistogram, sample: &str) -> Result<NativeHistogram, Refusal> {
    if let Some(problem) = scrapeable::problem(&native) {
        return Err(Refusal::content(format!("the native histogram {sample} cannot be kept: {problem}")));
    }
    // OpenMetrics has none for those of gauges.
    native.exemplars.retain(|_| kind == Kind::Histogram);
    native.exemplars.retain(scrapeable::can_carry);
    Ok(native)
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
    let names = key.keys().chain(labels.iter().map(|(name, _)| name)).map(String::as_str);
    if let Some([one, other]) = scrapeable::colliding(names) {
        let reason = format!(
            "the labels {one:?} and {other:?} of {sample} are one to whoever asks for names without quotes; rename one"
        );
        return Err(Refusal::content(reason));
    }
    Ok(labels)
}
