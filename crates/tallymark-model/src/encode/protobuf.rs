//! Delimited protobuf: a stream of `io.prometheus.client.MetricFamily`, each with its length before it.
//!
//! Families are called as in the text format; an info and a state set are gauges, whose labels say what they have to say.
//! Each series is one message: what other formats have as samples of their own (buckets, the sum, since when it counts) is
//! in it. A custom collector's samples are put together again; those that are no whole series of their family's type (one
//! bucket that somebody asked for by name, a sample with another name) become families without a type. Families without
//! series are left out. Names are written as the scheme has them, never in quotes.

use std::{borrow::Cow, collections::BTreeMap};

use prost::Message;

use super::{
    EncodeError, all_or_nothing, ends_in_unit,
    whole::{groups, whole},
};
use crate::{
    Body, Escaping, Exemplar, Family, FamilySnapshot, Kind, SeriesSnapshot, Snapshot, Value,
    line::{Added, for_each_line},
    name::{escape_label, escape_metric},
    protobuf::{
        self, Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType, Moment, Single, Summary,
    },
};

/// The field of a family that each of its metrics is.
const METRIC: [u8; 1] = [4 << 3 | 2];

/// Appends the snapshot as delimited protobuf.
///
/// ```
/// use tallymark_model::{Escaping, Snapshot, encode, parse};
/// let families = parse::strict_text("# HELP up Whether it is.\n# TYPE up gauge\nup 1\n", 1)?;
/// let mut out = Vec::new();
/// encode::protobuf(&Snapshot { families }, Escaping::AllowUtf8, &mut out)?;
/// assert!(out[1..].starts_with(b"\x0a\x02up\x12\x0eWhether it is."));
/// assert_eq!(parse::protobuf(&out, 1)?[0].samples()[0].value, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn protobuf(snapshot: &Snapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    all_or_nothing(snapshot, escaping, out, |out| {
        snapshot.families.iter().try_for_each(|snapshot| family(snapshot, escaping, out))
    })
}

fn family(snapshot: &FamilySnapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let family = &*snapshot.family;
    let mut writer = Writer { escaping, metrics: Vec::new() };
    let mut strays: BTreeMap<&str, Vec<Metric>> = BTreeMap::new();
    match &snapshot.body {
        Body::Series(series) => series.iter().for_each(|series| writer.series(family, series)),
        Body::Samples(samples) => {
            for (timestamp_ms, group) in groups(family, samples)? {
                if let Some(metric) = whole(family, &group, escaping) {
                    writer.add(&Metric { timestamp_ms, ..metric });
                    continue;
                }
                for sample in group.into_iter().filter(|sample| sample.native_histogram.is_none()) {
                    let labels = labels(pairs(&sample.labels), escaping);
                    let untyped = Some(Single { value: sample.value });
                    let metric = Metric { labels, untyped, timestamp_ms, ..Metric::default() };
                    strays.entry(&sample.name).or_default().push(metric);
                }
            }
        }
    }
    writer.end(&family.text_name(), family, type_of(family.kind()), out);
    for (name, metrics) in strays {
        metrics.iter().for_each(|metric| writer.add(metric));
        writer.end(name, family, MetricType::Untyped, out);
    }
    Ok(())
}

fn type_of(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge | Kind::Info | Kind::StateSet => MetricType::Gauge,
        Kind::Summary => MetricType::Summary,
        Kind::Histogram => MetricType::Histogram,
        Kind::GaugeHistogram => MetricType::GaugeHistogram,
        Kind::Unknown => MetricType::Untyped,
    }
}

/// The metrics of one family, as its fields.
struct Writer {
    escaping: Escaping,
    metrics: Vec<u8>,
}

impl Writer {
    fn add(&mut self, metric: &Metric) {
        self.metrics.extend(METRIC);
        push(metric.encoded_len(), &mut self.metrics);
        metric.encode_raw(&mut self.metrics);
    }

    /// Appends the family that these metrics are of, if there are any, and forgets them.
    fn end(&mut self, name: &str, family: &Family, kind: MetricType, out: &mut Vec<u8>) {
        if self.metrics.is_empty() {
            return;
        }
        let name = metric_name(name, self.escaping).into_owned();
        let stem = if kind == MetricType::Counter { name.strip_suffix("_total").unwrap_or(&name) } else { &name };
        let unit = if ends_in_unit(stem, family.unit()) { family.unit() } else { "" };
        let head = MetricFamily {
            unit: unit.to_owned(),
            name,
            help: Some(family.help().to_owned()).filter(|help| !help.is_empty()),
            kind: Some(kind.into()),
            metrics: Vec::new(),
        };
        push(head.encoded_len() + self.metrics.len(), out);
        head.encode_raw(out);
        out.append(&mut self.metrics);
    }

    fn series(&mut self, family: &Family, series: &SeriesSnapshot) {
        let created = series.created.and_then(Moment::of_seconds);
        let mut metric = Metric { labels: self.labels(family, series, Added::Nothing), ..Metric::default() };
        match &series.value {
            Value::Counter { total, exemplar } => {
                let exemplar = exemplar.as_deref().map(|exemplar| Box::new(write_exemplar(exemplar)));
                metric.counter = Some(Counter { value: *total, exemplar, created });
            }
            Value::Gauge(value) => metric.gauge = Some(Single { value: *value }),
            Value::Summary { count, sum } => {
                let (count, sum) = (*count, *sum);
                metric.summary = Some(Box::new(Summary { count, sum, quantiles: Vec::new(), created }));
            }
            Value::Histogram { counts, sum, exemplars } => {
                let histogram = Histogram { sum: *sum, created, ..buckets(family, counts, exemplars) };
                metric.histogram = Some(Box::new(histogram));
            }
            Value::Info(_) | Value::StateSet(_) => {
                for_each_line(family, series, |line| {
                    let (labels, gauge) = (self.labels(family, series, line.added), Some(Single { value: line.value }));
                    self.add(&Metric { labels, gauge, ..Metric::default() });
                });
                return;
            }
        }
        self.add(&metric);
    }

    fn labels(&self, family: &Family, series: &SeriesSnapshot, added: Added<'_>) -> Vec<LabelPair> {
        let values = series.labels.values().iter().map(|value| &**value);
        let mut pairs: Vec<(&str, &str)> = family.label_names().iter().map(|name| &**name).zip(values).collect();
        match added {
            Added::Nothing => {}
            Added::Le(bound) => pairs.push(("le", bound)),
            Added::State(state) => pairs.push((family.name(), state)),
            Added::Pairs(more) => pairs.extend(self::pairs(more)),
        }
        let pid = series.process.as_ref().map(|process| process.pid.to_string());
        let instance = series.process.as_ref().and_then(|process| process.instance.as_deref());
        pairs.extend(instance.map(|instance| ("instance", instance)));
        pairs.extend(pid.as_deref().map(|pid| ("pid", pid)));
        labels(pairs.into_iter(), self.escaping)
    }
}

/// Labels sorted by name, as readers expect them; of two of one name the later one stays.
pub(super) fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, escaping: Escaping) -> Vec<LabelPair> {
    let mut labels: Vec<LabelPair> = pairs
        .map(|(name, value)| {
            let name = if escaping == Escaping::AllowUtf8 { Cow::Borrowed(name) } else { escape_label(name, escaping) };
            LabelPair { name: name.into_owned(), value: value.to_owned() }
        })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    labels.dedup_by(|later, earlier| {
        let same = later.name == earlier.name;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    labels
}

fn pairs(labels: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value))
}

/// The name as the scheme has it. Quotes are the text formats' own.
fn metric_name(name: &str, escaping: Escaping) -> Cow<'_, str> {
    if escaping == Escaping::AllowUtf8 { Cow::Borrowed(name) } else { escape_metric(name, escaping) }
}

fn push(length: usize, out: &mut Vec<u8>) {
    // It has room: a vector grows.
    let _ = prost::encode_length_delimiter(length, out);
}

pub(super) fn write_exemplar(exemplar: &Exemplar) -> protobuf::Exemplar {
    // Names that point at traces are looked up as they are: no scheme changes them.
    protobuf::Exemplar {
        labels: labels(pairs(&exemplar.labels), Escaping::AllowUtf8),
        value: exemplar.value,
        timestamp: exemplar.timestamp.and_then(Moment::of),
    }
}

/// The buckets and the count of a native series.
fn buckets(family: &Family, counts: &[u64], exemplars: &[(usize, Exemplar)]) -> Histogram {
    let mut exemplars = exemplars.iter().peekable();
    let mut histogram = Histogram::default();
    for (index, (count, bound)) in counts.iter().zip(family.bounds()).enumerate() {
        histogram.count = histogram.count.saturating_add(*count);
        let exemplar = exemplars.next_if(|(bucket, _)| *bucket == index).map(|(_, it)| Box::new(write_exemplar(it)));
        let (cumulative_count, upper_bound) = (histogram.count, *bound);
        histogram.buckets.push(Bucket { cumulative_count, upper_bound, exemplar, cumulative_count_float: 0.0 });
    }
    histogram
}
