//! A group as bytes: what the store keeps under a group's key.
//!
//! The bytes are one protocol buffer, described for other languages in `docs/gateway.md`, "The document". A document of a
//! later version is not read, since what it says besides could change what the rest means; fields that are not known are
//! left out. Any bytes give a group or a reason, never a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use tallymark::ExactSum;
use tallymark_model::number::Number;
use tallymark_model::{self as model, Kind, NativeHistogram, Timestamp};

use super::aggregate::Writer;
use super::group::Group;
use super::metric::{Bucket, Family, Histogram, Labels, Series, Value};
use super::path::Key;

/// The version that is written, and the latest that is read.
const VERSION: u32 = 1;

/// The key under which a store keeps the group: its labels' names and values, each ended by a byte that no text has.
pub(super) fn store_key(key: &Key) -> Vec<u8> {
    let parts = key.iter().flat_map(|(name, value)| [name, value]);
    parts.flat_map(|part| part.bytes().chain([0xff])).collect()
}

/// The group as bytes.
pub(super) fn write(group: &Group) -> Vec<u8> {
    let families = group.families.iter().map(|(name, family)| FamilyMessage {
        name: name.clone(),
        help: family.help.clone(),
        unit: family.unit.clone(),
        kind: family.kind.as_str().to_owned(),
        pushed: family.pushed,
        series: family.series.iter().map(|(labels, series)| series_message(labels, series)).collect(),
    });
    let pushes = group.pushes.iter().map(|(id, seen)| PushMessage { id: id.clone(), seen: *seen });
    let message = GroupMessage {
        version: VERSION,
        labels: group.key.iter().map(|(name, value)| LabelMessage::new(name, value)).collect(),
        pushed: group.pushed,
        failed: group.failed,
        expires: group.expires,
        families: families.collect(),
        pushes: pushes.collect(),
    };
    message.encode_to_vec()
}

/// The group that the bytes are, or why they are none.
pub(super) fn read(bytes: &[u8]) -> Result<Group, String> {
    let message = GroupMessage::decode(bytes).map_err(|error| format!("it is no group: {error}"))?;
    if message.version != VERSION {
        return Err(format!("it is of version {}, and this build reads version {VERSION}", message.version));
    }
    let mut families = BTreeMap::new();
    for family in message.families {
        let kind =
            Kind::parse(&family.kind).ok_or_else(|| format!("{} has the type {:?}", family.name, family.kind))?;
        let series = family.series.into_iter().map(series).collect();
        let (help, unit, pushed) = (family.help, family.unit, family.pushed);
        families.insert(family.name, Arc::new(Family { kind, help, unit, pushed, series }));
    }
    Ok(Group {
        key: pairs(message.labels).into_iter().collect(),
        families,
        pushed: message.pushed,
        failed: message.failed,
        expires: message.expires,
        pushes: message.pushes.into_iter().map(|push| (push.id, push.seen)).collect(),
    })
}

fn pairs(labels: Vec<LabelMessage>) -> Labels {
    labels.into_iter().map(|label| (label.name, label.value)).collect()
}

fn series_message(labels: &Labels, series: &Series) -> SeriesMessage {
    let mut message = SeriesMessage {
        labels: labels.iter().map(|(name, value)| LabelMessage::new(name, value)).collect(),
        created: series.created,
        writers: series.writers.iter().map(writer_message).collect(),
        ..SeriesMessage::default()
    };
    match &series.value {
        Value::Single { total, exemplar } => {
            message.sum = parts(total);
            message.exemplar = exemplar.as_deref().map(exemplar_message);
        }
        Value::Summary { count, sum, quantiles } => {
            message.sum = parts(sum);
            let quantiles = quantiles.iter().map(|(quantile, value)| BucketMessage::new(*quantile, *value));
            message.summary = Some(SummaryMessage { count: *count, quantiles: quantiles.collect() });
        }
        Value::Histogram(histogram) => {
            message.sum = parts(&histogram.sum);
            let buckets = histogram.buckets.iter().map(|bucket| BucketMessage {
                exemplar: bucket.exemplar.as_deref().map(exemplar_message),
                ..BucketMessage::new(bucket.bound, bucket.count)
            });
            let native = histogram.native.as_ref().map(native_message);
            message.histogram = Some(HistogramMessage { count: histogram.count, buckets: buckets.collect(), native });
        }
    }
    message
}

fn series(message: SeriesMessage) -> (Labels, Series) {
    let sum = ExactSum::from_words(&message.sum.iter().map(|part| part.to_bits()).collect::<Vec<_>>());
    let value = match (message.summary, message.histogram) {
        (None, None) => Value::Single { total: sum, exemplar: message.exemplar.map(|it| Box::new(exemplar(it))) },
        (Some(summary), _) => {
            let quantiles = summary.quantiles.into_iter().map(|quantile| (quantile.bound, quantile.value));
            Value::Summary { count: summary.count, sum, quantiles: quantiles.collect() }
        }
        (None, Some(histogram)) => {
            let buckets = histogram.buckets.into_iter().map(|bucket| Bucket {
                bound: bucket.bound,
                count: bucket.value,
                exemplar: bucket.exemplar.map(|it| Box::new(exemplar(it))),
            });
            let native = histogram.native.map(native);
            Value::Histogram(Box::new(Histogram { buckets: buckets.collect(), count: histogram.count, sum, native }))
        }
    };
    let writers = message.writers.into_iter().map(writer).collect();
    (pairs(message.labels), Series { value, created: message.created, writers })
}

/// The floats whose sum is the sum.
fn parts(sum: &ExactSum) -> Vec<f64> {
    sum.to_words().into_iter().map(f64::from_bits).filter(|part| *part != 0.0).collect()
}

fn writer_message(writer: &Writer) -> WriterMessage {
    let Writer { name, start, seen, total } = writer.clone();
    WriterMessage { name, start, seen, total }
}

fn writer(message: WriterMessage) -> Writer {
    let WriterMessage { name, start, seen, total } = message;
    Writer { name, start, seen, total }
}

fn exemplar_message(exemplar: &model::Exemplar) -> ExemplarMessage {
    let labels = exemplar.labels.iter().map(|(name, value)| LabelMessage::new(name, value)).collect();
    let seconds = exemplar.timestamp.map(Timestamp::seconds);
    ExemplarMessage { labels, value: exemplar.value, seconds }
}

fn exemplar(message: ExemplarMessage) -> model::Exemplar {
    let timestamp = message.seconds.map(Timestamp::Seconds);
    model::Exemplar { labels: pairs(message.labels), value: message.value, timestamp }
}

fn native_message(native: &NativeHistogram) -> NativeMessage {
    let spans = |spans: &[model::Span]| spans.iter().flat_map(|span| [span.offset, length(span)]).collect();
    NativeMessage {
        count: native.count.as_f64(),
        sum: native.sum.as_f64(),
        schema: native.schema,
        zero_threshold: native.zero_threshold.as_f64(),
        zero_count: native.zero_count.as_f64(),
        positive_spans: spans(&native.positive_spans),
        positive_deltas: native.positive_deltas.clone(),
        negative_spans: spans(&native.negative_spans),
        negative_deltas: native.negative_deltas.clone(),
        exemplars: native.exemplars.iter().map(exemplar_message).collect(),
    }
}

fn length(span: &model::Span) -> i64 {
    i64::try_from(span.length).unwrap_or(i64::MAX)
}

fn native(message: NativeMessage) -> NativeHistogram {
    let spans = |pairs: Vec<i64>| {
        let (pairs, _) = pairs.as_chunks::<2>();
        let span =
            |[offset, length]: &[i64; 2]| model::Span { offset: *offset, length: (*length).try_into().unwrap_or(0) };
        pairs.iter().map(span).collect()
    };
    NativeHistogram {
        zero_threshold: Number::Float(message.zero_threshold),
        zero_count: whole(message.zero_count),
        positive_spans: spans(message.positive_spans),
        positive_deltas: message.positive_deltas,
        negative_spans: spans(message.negative_spans),
        negative_deltas: message.negative_deltas,
        exemplars: message.exemplars.into_iter().map(exemplar).collect(),
        ..NativeHistogram::new(whole(message.count), Number::Float(message.sum), message.schema)
    }
}

/// The number, as an integer if it is one.
fn whole(number: f64) -> Number {
    // CAST: whole and below 2⁵³.
    if number.trunc() == number && number.abs() < 9e15 {
        Number::Integer(number as i128)
    } else {
        Number::Float(number)
    }
}

#[derive(Clone, PartialEq, Message)]
struct GroupMessage {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, repeated, tag = "2")]
    labels: Vec<LabelMessage>,
    #[prost(double, tag = "3")]
    pushed: f64,
    #[prost(double, tag = "4")]
    failed: f64,
    #[prost(double, optional, tag = "5")]
    expires: Option<f64>,
    #[prost(message, repeated, tag = "6")]
    families: Vec<FamilyMessage>,
    #[prost(message, repeated, tag = "7")]
    pushes: Vec<PushMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl LabelMessage {
    fn new(name: &str, value: &str) -> LabelMessage {
        LabelMessage { name: name.to_owned(), value: value.to_owned() }
    }
}

#[derive(Clone, PartialEq, Message)]
struct PushMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(double, tag = "2")]
    seen: f64,
}

#[derive(Clone, PartialEq, Message)]
struct FamilyMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(string, tag = "4")]
    kind: String,
    #[prost(double, tag = "5")]
    pushed: f64,
    #[prost(message, repeated, tag = "6")]
    series: Vec<SeriesMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesMessage {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelMessage>,
    #[prost(double, repeated, tag = "2")]
    sum: Vec<f64>,
    #[prost(message, optional, tag = "3")]
    summary: Option<SummaryMessage>,
    #[prost(message, optional, tag = "4")]
    histogram: Option<HistogramMessage>,
    #[prost(message, optional, tag = "5")]
    exemplar: Option<ExemplarMessage>,
    #[prost(double, optional, tag = "6")]
    created: Option<f64>,
    #[prost(message, repeated, tag = "7")]
    writers: Vec<WriterMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryMessage {
    #[prost(double, tag = "1")]
    count: f64,
    #[prost(message, repeated, tag = "2")]
    quantiles: Vec<BucketMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramMessage {
    #[prost(double, tag = "1")]
    count: f64,
    #[prost(message, repeated, tag = "2")]
    buckets: Vec<BucketMessage>,
    #[prost(message, optional, tag = "3")]
    native: Option<NativeMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct BucketMessage {
    #[prost(double, tag = "1")]
    bound: f64,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<ExemplarMessage>,
}

impl BucketMessage {
    fn new(bound: f64, value: f64) -> BucketMessage {
        BucketMessage { bound, value, exemplar: None }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelMessage>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(double, optional, tag = "3")]
    seconds: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct WriterMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, optional, tag = "2")]
    start: Option<f64>,
    #[prost(double, tag = "3")]
    seen: f64,
    #[prost(double, repeated, tag = "4")]
    total: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct NativeMessage {
    #[prost(double, tag = "1")]
    count: f64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(sint32, tag = "3")]
    schema: i32,
    #[prost(double, tag = "4")]
    zero_threshold: f64,
    #[prost(double, tag = "5")]
    zero_count: f64,
    /// Offset and length in turn, here and below.
    #[prost(sint64, repeated, tag = "6")]
    positive_spans: Vec<i64>,
    #[prost(sint64, repeated, tag = "7")]
    positive_deltas: Vec<i64>,
    #[prost(sint64, repeated, tag = "8")]
    negative_spans: Vec<i64>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "10")]
    exemplars: Vec<ExemplarMessage>,
}
