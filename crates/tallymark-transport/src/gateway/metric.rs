//! Families as groups keep them, and the samples they are shown as.
//!
//! A family is called here as the text format calls it, a counter with its `_total` if it has one: by this name families
//! of different groups must agree on a type. A series' labels are those that its group does not have already. What a
//! group does with families is not known here, nor how they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymark::ExactSum;
use tallymark_model as model;
use tallymark_model::{Exemplar, Kind, NativeHistogram, Sample, number};

use super::{growth::Writer, path::Key};

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

/// The labels of the group's own series.
pub(super) fn stamp_labels(key: &Key) -> Labels {
    if key.contains_key("instance") { Labels::new() } else { vec![("instance".to_owned(), String::new())] }
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
