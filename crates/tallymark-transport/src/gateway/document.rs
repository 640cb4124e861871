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

use super::group::Group;
use super::growth::Writer;
use super::message::{
    BucketMessage, ExemplarMessage, FamilyMessage, GroupMessage, HistogramMessage, LabelMessage, NativeMessage,
    PushMessage, SeriesMessage, SummaryMessage, WriterMessage,
};
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
    let Writer { name, start, seen, total, again } = writer.clone();
    WriterMessage { name, start, seen, total, again }
}

fn writer(message: WriterMessage) -> Writer {
    let WriterMessage { name, start, seen, total, again } = message;
    Writer { name, start, seen, total, again }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tallymark_model::Span;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A group with something in every field.
    fn group() -> Group {
        let mut sum = ExactSum::default();
        [1e16, 1.0].into_iter().for_each(|term| sum.add(term));
        let exemplar = model::Exemplar {
            labels: labels(&[("trace_id", "4bf")]),
            value: 0.5,
            timestamp: Some(Timestamp::Seconds(1.5)),
        };
        let native = NativeHistogram {
            positive_spans: vec![Span { offset: -3, length: 2 }],
            positive_deltas: vec![5, -4],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            negative_deltas: vec![1],
            exemplars: vec![exemplar.clone()],
            zero_threshold: Number::Float(0.001),
            zero_count: Number::Integer(1),
            ..NativeHistogram::new(Number::Integer(8), Number::Float(2.5), -2)
        };
        let single = Value::Single { total: sum.clone(), exemplar: Some(Box::new(exemplar.clone())) };
        let summary = Value::Summary { count: 2.0, sum: sum.clone(), quantiles: vec![(0.5, f64::INFINITY)] };
        let bucket = Bucket { bound: f64::INFINITY, count: 3.0, exemplar: Some(Box::new(exemplar)) };
        let histogram = Histogram { buckets: vec![bucket], count: 3.0, sum, native: Some(native) };
        let writer = Writer { name: "w".to_owned(), start: Some(0.0), seen: 7.0, total: vec![1.0, -2.0], again: true };
        let family = |kind, value| {
            let series = Series { value, created: Some(0.0), writers: vec![writer.clone()] };
            let series = [(labels(&[("a", ""), ("instance", "i")]), series)].into();
            Arc::new(Family { kind, help: "Help.".to_owned(), unit: "seconds".to_owned(), pushed: 3.0, series })
        };
        let families = [
            ("c_total", family(Kind::Counter, single)),
            ("h", family(Kind::Histogram, Value::Histogram(Box::new(histogram)))),
            ("s", family(Kind::Summary, summary)),
        ];
        Group {
            key: labels(&[("job", "a/b"), ("x", "")]).into_iter().collect(),
            families: families.into_iter().map(|(name, family)| (name.to_owned(), family)).collect(),
            pushed: 4.0,
            failed: 5.0,
            expires: Some(6.0),
            pushes: [("1".to_owned(), 1.0), ("2".to_owned(), 2.0)].into(),
        }
    }

    #[test]
    fn a_group_comes_back_as_it_was() {
        assert_eq!(read(&write(&group())), Ok(group()));
        assert_eq!(read(&write(&Group::default())), Ok(Group::default()));
    }

    #[test]
    fn the_bytes_of_version_1_stay_what_they_are() {
        let group = Group { key: labels(&[("job", "a")]).into_iter().collect(), pushed: 1.0, ..Group::default() };
        let bytes = b"\x08\x01\x12\x08\x0a\x03job\x12\x01a\x19\x00\x00\x00\x00\x00\x00\xf0\x3f";

        assert_eq!(write(&group), bytes);
        assert_eq!(store_key(&group.key), b"job\xffa\xff");
    }

    #[test]
    fn a_later_version_is_not_read() {
        assert_eq!(read(b"\x08\x02").unwrap_err(), "it is of version 2, and this build reads version 1");
        assert!(read(b"SQLite format 3").unwrap_err().starts_with("it is no group: "));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_group_or_none(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            let mut document = write(&group());
            let at = at.index(document.len());
            document.splice(at..(at + bytes.len()).min(document.len()), bytes);
            if let Ok(group) = read(&document) {
                let groups = [Arc::new(group)];
                super::super::snapshot::of(&groups);
            }
        }
    }
}
