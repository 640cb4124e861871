//! A custom collector's samples, put together as the series that they are.
//!
//! In protobuf a series is one message, and samples are its parts. What is missing or too much for the family's type makes
//! no series of it, and no message: whoever asked must find another way to write the samples.

use std::collections::HashMap;

use super::{
    EncodeError,
    protobuf::{labels, write_exemplar},
};
use crate::{
    Escaping, Family, Kind, NativeHistogram, Sample, Span, Timestamp,
    number::Number,
    protobuf::{Bucket, BucketSpan, Counter, Histogram, Metric, Moment, Quantile, Single, Summary},
};

/// The samples of one series at one time, with that time in milliseconds.
pub(super) type Group<'a> = (Option<i64>, Vec<&'a Sample>);

/// A family's samples by series, in order of appearance.
pub(super) fn groups<'a>(family: &Family, samples: &'a [Sample]) -> Result<Vec<Group<'a>>, EncodeError> {
    let own = family.kind().reserved_label();
    let (mut groups, mut places) = (Vec::<Group<'a>>::new(), HashMap::new());
    for sample in samples {
        let timestamp = match sample.timestamp {
            None => None,
            Some(timestamp) => Some(milliseconds(timestamp).ok_or_else(|| EncodeError::TimestampOutOfRange {
                family: family.name().to_owned(),
                sample: sample.name.clone(),
            })?),
        };
        let mut key: Vec<&(String, String)> = sample.labels.iter().filter(|(name, _)| Some(&**name) != own).collect();
        key.sort_unstable();
        let place = *places.entry((key, timestamp)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(sample),
            None => groups.push((timestamp, vec![sample])),
        }
    }
    Ok(groups)
}

/// The nearest millisecond; the text format cuts the rest off instead, as the official client does.
fn milliseconds(timestamp: Timestamp) -> Option<i64> {
    let milliseconds = (timestamp.seconds() * 1000.0).round();
    // CAST: whole, and in range.
    (milliseconds.abs() < i64::MAX as f64).then_some(milliseconds as i64)
}

/// The metric that these samples of one series are; `None` if they are no whole one.
pub(super) fn whole(family: &Family, group: &[&Sample], escaping: Escaping) -> Option<Metric> {
    let own = family.kind().reserved_label();
    let first = group.first()?;
    let pairs = first.labels.iter().filter(|(name, _)| Some(&**name) != own);
    let labels = labels(pairs.map(|(name, value)| (&**name, &**value)), escaping);
    let metric = Metric { labels, ..Metric::default() };
    match family.kind() {
        Kind::Counter => Some(Metric { counter: Some(counter(family, group)?), ..metric }),
        Kind::Summary => Some(Metric { summary: Some(Box::new(summary(family, group)?)), ..metric }),
        Kind::Histogram | Kind::GaugeHistogram => {
            Some(Metric { histogram: Some(Box::new(histogram(family, group)?)), ..metric })
        }
        Kind::Gauge | Kind::Info | Kind::StateSet | Kind::Unknown => {
            let [sample] = group else { return None };
            let single = (suffix(family, sample)? == family.own_suffix()).then_some(Single { value: sample.value })?;
            Some(match family.kind() {
                Kind::Unknown => Metric { untyped: Some(single), ..metric },
                _ => Metric { gauge: Some(single), ..metric },
            })
        }
    }
}

fn suffix<'a>(family: &Family, sample: &'a Sample) -> Option<&'a str> {
    sample.name.strip_prefix(family.name())
}

fn counter(family: &Family, group: &[&Sample]) -> Option<Counter> {
    let (mut found, mut created) = (None, None);
    for sample in group {
        match suffix(family, sample)? {
            "_created" if created.is_none() => created = Some(Moment::of_seconds(sample.value)?),
            suffix if suffix == family.own_suffix() && found.is_none() => {
                let exemplar = sample.exemplar.as_ref().map(|exemplar| Box::new(write_exemplar(exemplar)));
                found = Some(Counter { value: sample.value, exemplar, created: None });
            }
            _ => return None,
        }
    }
    found.map(|counter| Counter { created, ..counter })
}

fn summary(family: &Family, group: &[&Sample]) -> Option<Summary> {
    let (mut count, mut sum, mut summary) = (None, None, Summary::default());
    for sample in group {
        match suffix(family, sample)? {
            "" => summary.quantiles.push(Quantile { quantile: bound(sample, "quantile")?, value: sample.value }),
            "_count" if count.is_none() => count = Some(whole_number(sample.value)?),
            "_sum" if sum.is_none() => sum = Some(sample.value),
            "_created" => summary.created = Some(Moment::of_seconds(sample.value)?),
            _ => return None,
        }
    }
    Some(Summary { count: count?, sum: sum?, ..summary })
}

fn histogram(family: &Family, group: &[&Sample]) -> Option<Histogram> {
    let is_gauge = family.kind() == Kind::GaugeHistogram;
    let [count_suffix, sum_suffix] = if is_gauge { ["_gcount", "_gsum"] } else { ["_count", "_sum"] };
    let (mut count, mut sum, mut native) = (None, None, None);
    let mut histogram = Histogram::default();
    for sample in group {
        match (suffix(family, sample)?, &sample.native_histogram) {
            ("", Some(histogram)) if native.is_none() => native = Some(write_native(histogram)?),
            ("_bucket", None) => histogram.buckets.push(bucket(sample)?),
            (suffix, None) if suffix == count_suffix && count.is_none() => count = Some(sample.value),
            (suffix, None) if suffix == sum_suffix && sum.is_none() => sum = Some(sample.value),
            ("_created", None) => histogram.created = Some(Moment::of_seconds(sample.value)?),
            _ => return None,
        }
    }
    let last = histogram.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
    let last = last.map(|bucket| bucket.cumulative_count_float.max(bucket.cumulative_count as f64));
    // What counts below zero has no sum.
    let is_signed = histogram.buckets.iter().any(|bucket| bucket.upper_bound < 0.0);
    if let Some(native) = native {
        return Some(Histogram { buckets: histogram.buckets, created: histogram.created, ..native });
    }
    let (count, count_float) = whole_or_float(count.or(last)?);
    let sum = sum.or(is_signed.then_some(f64::NAN))?;
    Some(Histogram { count, count_float, sum, ..histogram })
}

fn bucket(sample: &Sample) -> Option<Bucket> {
    let (cumulative_count, cumulative_count_float) = whole_or_float(sample.value);
    let exemplar = sample.exemplar.as_ref().map(|exemplar| Box::new(write_exemplar(exemplar)));
    Some(Bucket { cumulative_count, upper_bound: bound(sample, "le")?, exemplar, cumulative_count_float })
}

/// The number that the label is.
fn bound(sample: &Sample, label: &str) -> Option<f64> {
    let (_, value) = sample.labels.iter().find(|(name, _)| name == label)?;
    Number::parse(value).map(Number::as_f64).filter(|bound| !bound.is_nan())
}

fn whole_number(value: f64) -> Option<u64> {
    // CAST: whole, and in range.
    (value.fract() == 0.0 && (0.0..u64::MAX as f64).contains(&value)).then_some(value as u64)
}

/// A count in the field for whole ones, or in the one for others.
fn whole_or_float(value: f64) -> (u64, f64) {
    whole_number(value).map_or((0, value), |count| (count, 0.0))
}

/// A native histogram without what the classic part has; `None` if its numbers are none that the format can carry.
fn write_native(it: &NativeHistogram) -> Option<Histogram> {
    let spans = |spans: &[Span]| -> Option<Vec<BucketSpan>> {
        let span = |span: &Span| {
            Some(BucketSpan { offset: span.offset.try_into().ok()?, length: span.length.try_into().ok()? })
        };
        spans.iter().map(span).collect()
    };
    let (mut positive_spans, negative_spans) = (spans(&it.positive_spans)?, spans(&it.negative_spans)?);
    let (zero_threshold, zero_count) = (it.zero_threshold.as_f64(), whole_number(it.zero_count.as_f64())?);
    if positive_spans.is_empty() && negative_spans.is_empty() && zero_threshold == 0.0 && zero_count == 0 {
        // Nothing else would tell an empty one from a histogram with buckets.
        positive_spans.push(BucketSpan { offset: 0, length: 0 });
    }
    Some(Histogram {
        count: match it.count {
            Number::Integer(count) => count.try_into().ok()?,
            Number::Float(count) => whole_number(count)?,
        },
        sum: it.sum.as_f64(),
        schema: it.schema,
        zero_threshold,
        zero_count,
        positive_spans,
        positive_deltas: it.positive_deltas.clone(),
        negative_spans,
        negative_deltas: it.negative_deltas.clone(),
        exemplars: it.exemplars.iter().map(write_exemplar).collect(),
        ..Histogram::default()
    })
}
