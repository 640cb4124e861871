//! What the encoders promise: the official client's bytes, whatever the store or collector gives them.
//!
//! The expositions in the tables are what prometheus_client 0.26.0 prints from the same content, but for those that say
//! otherwise.

mod escaping;
mod properties;
mod protobuf;
mod tables;

use std::sync::Arc;

use tallymark_model::{
    Body, Escaping, Exemplar, Family, FamilyBuilder, FamilySnapshot, Sample, SeriesSnapshot, Snapshot, Timestamp,
    Value, encode,
};

fn native(family: FamilyBuilder, series: &[(&[&str], Value, Option<f64>)]) -> FamilySnapshot {
    let family = Arc::new(family.build().unwrap());
    let series = series.iter().map(|(labels, value, created)| SeriesSnapshot {
        labels: Arc::new(family.labels(labels).unwrap()),
        process: None,
        value: value.clone(),
        created: *created,
    });
    FamilySnapshot { body: Body::Series(series.collect()), family }
}

fn collected(family: Family, samples: &[Sample]) -> FamilySnapshot {
    FamilySnapshot { family: Arc::new(family), body: Body::Samples(samples.to_vec()) }
}

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    Sample { name: name.into(), labels: owned(labels), value, timestamp: None, exemplar: None, native_histogram: None }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn counter(total: f64) -> Value {
    Value::Counter { total, exemplar: None }
}

fn trace(id: &str, value: f64, timestamp: Option<f64>) -> Exemplar {
    Exemplar { labels: owned(&[("trace_id", id), ("a", "b")]), value, timestamp: timestamp.map(Timestamp::Seconds) }
}

fn text(families: &[FamilySnapshot], escaping: Escaping) -> String {
    let mut out = Vec::new();
    encode::text(&Snapshot { families: families.to_vec() }, escaping, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn openmetrics(families: &[FamilySnapshot], escaping: Escaping) -> String {
    let mut out = Vec::new();
    encode::openmetrics(&Snapshot { families: families.to_vec() }, escaping, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Compares an exposition with lines, the last of which ends in a line feed too.
#[track_caller]
fn assert_lines(exposition: &str, lines: &[&str]) {
    let expected: String = lines.iter().map(|line| format!("{line}\n")).collect();

    assert_eq!(exposition, expected);
}
