//! Protobuf to families: a stream of `io.prometheus.client.MetricFamily`, each with its length before it.
//!
//! Families have the samples that an exposition in text would have (`_bucket`, `_sum`, `_count`, quantiles), and
//! `_created` where a metric has its start time. Any bytes end in families or an error, never in a panic. Native histograms
//! that count in floats are refused: no sample can carry them.
//!
//! A field of two bytes can become fifty in memory, and a bucket brings all labels of its metric along. So fields are
//! counted before a message is decoded, samples before they are made, and metrics are read one by one.

use std::{collections::HashSet, sync::Arc};

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use super::{ParseError, label::repeated, scan::shown};
use crate::{
    Body, Exemplar, Family, FamilySnapshot, Kind, NativeHistogram, Sample, Span,
    name::{check_label, check_metric},
    number::{self, Number},
    protobuf::{self, BucketSpan, Histogram, LabelPair, Metric, MetricFamily, MetricType, Moment, Summary},
};

/// How many bytes of name and labels a sample counts once for: what few have more of.
const ROOM: usize = 512;
/// How many labels, exemplars or native buckets count as a sample: they take a tenth of its room, or less.
const PARTS: usize = 10;

/// Reads delimited protobuf. A counter that is called without `_total` is a [bare](Family::is_bare) one.
///
/// # Errors
/// [`ParseError`] with the number of the message; also if there are more than `most` samples. Of what takes more room than
/// a sample commonly does, less may be: a sample counts once more for every 512 bytes of its labels, and ten labels,
/// exemplars or native buckets of a metric count as a sample, as does a family that has none. Whether samples of a
/// family have the same labels is not looked at.
///
/// ```
/// use tallymark_model::{Kind, parse};
/// // A gauge "up" with one metric, whose value is 1.
/// let bytes = b"\x13\x0a\x02up\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f";
/// let families = parse::protobuf(bytes, 1000)?;
/// assert_eq!((families[0].family.name(), families[0].family.kind()), ("up", Kind::Gauge));
/// assert_eq!(families[0].samples()[0].value, 1.0);
/// assert!(parse::protobuf(bytes, 0).is_err());
/// # Ok::<(), parse::ParseError>(())
/// ```
pub fn protobuf(mut bytes: &[u8], most: usize) -> Result<Vec<FamilySnapshot>, ParseError> {
    let (mut families, mut names, mut left) = (Vec::new(), HashSet::new(), most);
    while !bytes.is_empty() {
        let number = families.len() + 1;
        let family = cut_off(&mut bytes).and_then(|message| {
            let (name, family) = family(message, &mut left)?;
            if names.insert(name) { Ok(family) } else { Err(format!("{} came before", family.family.text_name())) }
        });
        families.push(family.map_err(|reason| ParseError::in_message(number, reason))?);
    }
    Ok(families)
}

/// Cuts off the next message.
fn cut_off<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = prost::decode_length_delimiter(&mut *bytes).map_err(|_| "its length is no number".to_owned())?;
    let Some((message, rest)) = bytes.split_at_checked(length) else {
        return Err(format!("it is {length} bytes long, and {} follow", bytes.len()));
    };
    *bytes = rest;
    Ok(message)
}

/// A family with the name it has in the message. `left` is how many samples there may still be.
fn family(message: &[u8], left: &mut usize) -> Result<(String, FamilySnapshot), String> {
    let metrics = fields(message).filter(|(number, _)| *number == 4).count();
    if metrics > *left {
        return Err(TOO_MANY.to_owned());
    }
    if metrics == 0 {
        take(left, 1)?;
    }
    let message = MetricFamily::decode(message).map_err(|error| format!("it is no MetricFamily: {error}"))?;
    let MetricFamily { name, help, kind, metrics, unit } = message;
    check_metric(&name, false).map_err(|error| error.to_string())?;
    let kind = kind.unwrap_or_default();
    let kind = MetricType::try_from(kind).map_err(|_| format!("{name} is of a type with the number {kind}"))?;
    let kind = match kind {
        MetricType::Counter => Kind::Counter,
        MetricType::Gauge => Kind::Gauge,
        MetricType::Summary => Kind::Summary,
        MetricType::Untyped => Kind::Unknown,
        MetricType::Histogram => Kind::Histogram,
        MetricType::GaugeHistogram => Kind::GaugeHistogram,
    };
    let family = Family::named(kind, &name, help.as_deref().unwrap_or_default()).with_unit(&unit);
    let mut samples = Vec::new();
    for (index, metric) in metrics.into_iter().enumerate() {
        read_metric(&family, &metric, &mut samples, left)
            .map_err(|reason| format!("metric {} of {}: {reason}", index + 1, shown(&name)))?;
    }
    Ok((name, FamilySnapshot { family: Arc::new(family), body: Body::Samples(samples) }))
}

const TOO_MANY: &str = "there are more samples than may be";

fn take(left: &mut usize, samples: usize) -> Result<(), String> {
    *left = left.checked_sub(samples).ok_or(TOO_MANY)?;
    Ok(())
}

/// The fields of a message: their numbers, and the bytes of those that have a length. Ends where decoding would fail.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (number, kind) = decode_key(&mut rest).ok()?;
        if kind == WireType::LengthDelimited {
            return cut_off(&mut rest).ok().map(|content| (number, content));
        }
        skip_field(kind, number, &mut rest, DecodeContext::default()).ok()?;
        Some((number, &[][..]))
    })
}

/// What of a message becomes larger than it is.
#[derive(Default)]
struct Size {
    /// Buckets and quantiles.
    samples: usize,
    /// Labels, exemplars, and what native buckets are made of.
    parts: usize,
}

impl Size {
    fn of_metric(bytes: &[u8]) -> Size {
        let mut size = Size::default();
        for (number, content) in fields(bytes) {
            match number {
                1 => size.parts += 1,
                3 => fields(content).filter(|(number, _)| *number == 2).for_each(|(_, it)| size.add_exemplar(it)),
                4 => size.samples += fields(content).filter(|(number, _)| *number == 3).count(),
                7 => size.add_histogram(content),
                _ => {}
            }
        }
        size
    }

    fn add_histogram(&mut self, bytes: &[u8]) {
        for (number, content) in fields(bytes) {
            match number {
                3 => {
                    self.samples += 1;
                    fields(content).filter(|(number, _)| *number == 3).for_each(|(_, it)| self.add_exemplar(it));
                }
                9 | 12 => self.parts += 1,
                // One by one, or packed, each in a byte or more.
                10 | 11 | 13 | 14 => self.parts += content.len().max(1),
                16 => self.add_exemplar(content),
                _ => {}
            }
        }
    }

    fn add_exemplar(&mut self, bytes: &[u8]) {
        self.parts += 1 + fields(bytes).filter(|(number, _)| *number == 1).count();
    }
}

fn read_metric(family: &Family, bytes: &[u8], samples: &mut Vec<Sample>, left: &mut usize) -> Result<(), String> {
    let before = samples.len();
    let size = Size::of_metric(bytes);
    take(left, size.parts / PARTS)?;
    if size.samples > *left {
        return Err(TOO_MANY.to_owned());
    }
    let metric = Metric::decode(bytes).map_err(|error| format!("it is no Metric: {error}"))?;
    let mut made = Made::new(family, labels(metric.labels, family.kind())?, samples, left);
    match family.kind() {
        Kind::Counter => {
            let counter = metric.counter.ok_or("it has no counter")?;
            let exemplar = counter.exemplar.map(|exemplar| read_exemplar(*exemplar)).transpose()?;
            let sample = made.sample(family.own_suffix(), None, counter.value)?;
            made.samples.push(Sample { exemplar, ..sample });
            made.add_created(counter.created)?;
        }
        Kind::Gauge => made.add("", None, metric.gauge.ok_or("it has no gauge")?.value)?,
        Kind::Summary => made.add_summary(*metric.summary.ok_or("it has no summary")?)?,
        Kind::Histogram | Kind::GaugeHistogram => {
            made.add_histogram(*metric.histogram.ok_or("it has no histogram")?)?;
        }
        Kind::Unknown | Kind::Info | Kind::StateSet => {
            made.add("", None, metric.untyped.ok_or("it has no untyped value")?.value)?;
        }
    }
    let new = samples.get_mut(before..).unwrap_or_default();
    // As the text format's times, which are the same milliseconds.
    let timestamp = metric.timestamp_ms.map(|milliseconds| (milliseconds as f64 / 1000.0).into());
    new.iter_mut().for_each(|sample| sample.timestamp = timestamp);
    Ok(())
}

/// What one metric's samples are made of, and where they go.
struct Made<'a> {
    family: &'a Family,
    labels: Vec<(String, String)>,
    samples: &'a mut Vec<Sample>,
    left: &'a mut usize,
    /// What a sample counts for.
    each: usize,
}

impl<'a> Made<'a> {
    fn new(
        family: &'a Family,
        labels: Vec<(String, String)>,
        samples: &'a mut Vec<Sample>,
        left: &'a mut usize,
    ) -> Made<'a> {
        let room = |(name, value): &(String, String)| size_of::<(String, String)>() + name.len() + value.len();
        let each = 1 + (family.name().len() + labels.iter().map(room).sum::<usize>()) / ROOM;
        Made { family, labels, samples, left, each }
    }

    fn sample(&mut self, suffix: &str, label: Option<(&str, f64)>, value: f64) -> Result<Sample, String> {
        take(self.left, self.each)?;
        let mut labels = self.labels.clone();
        labels.extend(label.map(|(name, value)| (name.to_owned(), number::format(value))));
        let name = format!("{}{suffix}", self.family.name());
        Ok(Sample { name, labels, value, timestamp: None, exemplar: None, native_histogram: None })
    }

    fn add(&mut self, suffix: &str, label: Option<(&str, f64)>, value: f64) -> Result<(), String> {
        let sample = self.sample(suffix, label, value)?;
        self.samples.push(sample);
        Ok(())
    }

    fn add_created(&mut self, created: Option<Moment>) -> Result<(), String> {
        if let Some(created) = created {
            let seconds = created.seconds().ok_or("its created timestamp has nanoseconds beyond a second")?;
            self.add("_created", None, seconds)?;
        }
        Ok(())
    }

    fn add_summary(&mut self, summary: Summary) -> Result<(), String> {
        check_each_once("quantile", summary.quantiles.iter().map(|quantile| quantile.quantile))?;
        for quantile in summary.quantiles {
            self.add("", Some(("quantile", quantile.quantile)), quantile.value)?;
        }
        self.add("_count", None, summary.count as f64)?;
        self.add("_sum", None, summary.sum)?;
        self.add_created(summary.created)
    }

    fn add_histogram(&mut self, histogram: Histogram) -> Result<(), String> {
        let count = instead(histogram.count_float, histogram.count);
        let (sum, created) = (histogram.sum, histogram.created);
        let native = read_native(&histogram)?;
        check_each_once("bound of a bucket", histogram.buckets.iter().map(|bucket| bucket.upper_bound))?;
        let mut has_infinity = false;
        for bucket in histogram.buckets {
            has_infinity |= bucket.upper_bound == f64::INFINITY;
            let value = instead(bucket.cumulative_count_float, bucket.cumulative_count);
            let exemplar = bucket.exemplar.map(|exemplar| read_exemplar(*exemplar)).transpose()?;
            let sample = self.sample("_bucket", Some(("le", bucket.upper_bound)), value)?;
            self.samples.push(Sample { exemplar, ..sample });
        }
        if !has_infinity {
            self.add("_bucket", Some(("le", f64::INFINITY)), count)?;
        }
        let gauge = self.family.kind() == Kind::GaugeHistogram;
        self.add(if gauge { "_gcount" } else { "_count" }, None, count)?;
        self.add(if gauge { "_gsum" } else { "_sum" }, None, sum)?;
        self.add_created(created)?;
        if let Some(mut native) = native {
            let exemplars: Result<Vec<_>, _> = histogram.exemplars.into_iter().map(read_exemplar).collect();
            native.exemplars = exemplars?;
            let native_histogram = Some(Box::new(native));
            let sample = self.sample("", None, f64::NAN)?;
            self.samples.push(Sample { native_histogram, ..sample });
        }
        Ok(())
    }
}

/// Whether each of the numbers is one, and there once: samples that differ in nothing else are one series.
fn check_each_once(what: &str, numbers: impl Iterator<Item = f64>) -> Result<(), String> {
    let mut known = HashSet::new();
    for number in numbers {
        if number.is_nan() {
            return Err(format!("a {what} is no number"));
        }
        if !known.insert(number.to_bits()) {
            return Err(format!("the {what} {} stands twice", number::format(number)));
        }
    }
    Ok(())
}

/// The count of a histogram: the float in its place, if it is positive.
fn instead(float: f64, count: u64) -> f64 {
    if float > 0.0 { float } else { count as f64 }
}

/// The native part of a histogram, without its exemplars; `None` if it has none.
fn read_native(histogram: &Histogram) -> Result<Option<NativeHistogram>, String> {
    let it = histogram;
    let floats = it.zero_count_float > 0.0 || !it.positive_counts.is_empty() || !it.negative_counts.is_empty();
    let integers =
        it.zero_threshold > 0.0 || it.zero_count > 0 || !(it.positive_spans.is_empty() && it.negative_spans.is_empty());
    if floats || (integers && it.count_float > 0.0) {
        return Err("a native histogram that counts in floats is not supported".to_owned());
    }
    check_spans(&it.positive_spans, it.positive_deltas.len())?;
    check_spans(&it.negative_spans, it.negative_deltas.len())?;
    let spans = |spans: &[BucketSpan]| {
        spans.iter().map(|span| Span { offset: span.offset.into(), length: span.length.into() }).collect()
    };
    Ok(integers.then(|| NativeHistogram {
        zero_threshold: Number::Float(it.zero_threshold),
        zero_count: Number::Integer(it.zero_count.into()),
        positive_spans: spans(&it.positive_spans),
        positive_deltas: it.positive_deltas.clone(),
        negative_spans: spans(&it.negative_spans),
        negative_deltas: it.negative_deltas.clone(),
        ..NativeHistogram::new(Number::Integer(it.count.into()), Number::Float(it.sum), it.schema)
    }))
}

/// Whether the spans have as many buckets as there are counts.
fn check_spans(spans: &[BucketSpan], counts: usize) -> Result<(), String> {
    let buckets: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if u64::try_from(counts) == Ok(buckets) {
        return Ok(());
    }
    Err(format!("the spans of a native histogram have {buckets} buckets, and it has {counts} counts"))
}

fn read_exemplar(exemplar: protobuf::Exemplar) -> Result<Exemplar, String> {
    let timestamp = match exemplar.timestamp {
        Some(moment) => Some(moment.timestamp().ok_or("an exemplar's time has nanoseconds beyond a second")?),
        None => None,
    };
    Ok(Exemplar { labels: labels(exemplar.labels, Kind::Unknown)?, value: exemplar.value, timestamp })
}

/// Labels that are valid, each once, and none that the type writes itself.
fn labels(pairs: Vec<LabelPair>, kind: Kind) -> Result<Vec<(String, String)>, String> {
    let labels: Vec<_> = pairs.into_iter().map(|LabelPair { name, value }| (name, value)).collect();
    for (name, _) in &labels {
        if name.is_empty() {
            return Err("a label has no name".to_owned());
        }
        check_label(name, false).map_err(|error| error.to_string())?;
        if Some(&**name) == kind.reserved_label() {
            return Err(format!("the label {name} belongs to the type"));
        }
    }
    match repeated(&labels) {
        Some(name) => Err(format!("the label {} stands twice", shown(name))),
        None => Ok(labels),
    }
}
