//! What an encoder wrote is read back as the same samples.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*};
use tallymark_model::{
    Body, Escaping, Exemplar, Family, FamilySnapshot, Kind, NativeHistogram, Sample, SeriesSnapshot, Snapshot, Span,
    Timestamp, Value, encode, number::Number, parse,
};

/// Any text that is a name in quotes, with what might end them.
fn name() -> impl Strategy<Value = String> {
    r#"[a-z"\\ \n\t.,=#{}é]{1,8}|[a-z_]{1,8}"#
}

fn value() -> impl Strategy<Value = String> {
    r#"(\PC|["\\\n\r\t,={}#]){0,12}"#
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = name().prop_filter("Prometheus' own", |name| !name.starts_with("__"));
    prop::collection::btree_map(name, value(), 0..4).prop_map(|labels: BTreeMap<_, _>| labels.into_iter().collect())
}

fn finite() -> impl Strategy<Value = f64> {
    prop::num::f64::POSITIVE | prop::num::f64::NEGATIVE | prop::num::f64::ZERO | prop::num::f64::NORMAL
}

/// A time of OpenMetrics, in the precision in which it is read back.
fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000i64..1_000_000_000_000, 0u32..1_000_000_000)
        .prop_map(|(seconds, nanoseconds)| Timestamp::Exact { seconds: seconds.into(), nanoseconds })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    // The official parser, and so ours, takes an escaped quote in an exemplar for the end of the value.
    let has_quote = |(name, value): &(String, String)| name.contains('"') || value.contains('"');
    let labels = labels().prop_filter("refused", move |labels| {
        Exemplar::check(pairs(labels), false).is_ok() && !labels.iter().any(has_quote)
    });
    (labels, finite(), option::of(timestamp())).prop_map(|(labels, value, timestamp)| Exemplar {
        labels,
        value,
        timestamp,
    })
}

fn pairs(labels: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value))
}

fn native_histogram() -> impl Strategy<Value = NativeHistogram> {
    let buckets = || {
        let spans = vec((0i64..100, 1u64..4).prop_map(|(offset, length)| Span { offset, length }), 0..4);
        spans.prop_flat_map(|spans: Vec<Span>| {
            let counts: u64 = spans.iter().map(|span| span.length).sum();
            (Just(spans), vec(any::<i64>(), counts as usize))
        })
    };
    (any::<u64>(), finite(), -4i32..9, buckets(), buckets()).prop_map(|(count, sum, schema, positive, negative)| {
        NativeHistogram {
            positive_spans: positive.0,
            positive_deltas: positive.1,
            negative_spans: negative.0,
            negative_deltas: negative.1,
            ..NativeHistogram::new(Number::Integer(count.into()), Number::Float(sum), schema)
        }
    })
}

fn family(kind: Kind, name: &str, help: &str, samples: Vec<Sample>) -> FamilySnapshot {
    FamilySnapshot { family: Arc::new(Family::described(kind, name, help, "")), body: Body::Samples(samples) }
}

fn sample(name: &str, labels: &[(String, String)], value: f64) -> Sample {
    let (name, labels) = (name.to_owned(), labels.to_vec());
    Sample { name, labels, value, timestamp: None, exemplar: None, native_histogram: None }
}

/// Name, help and samples of each family, as they were given to the encoder and as they were read.
type Content = Vec<(String, String, Vec<Sample>)>;

fn content(families: impl IntoIterator<Item = FamilySnapshot>) -> Content {
    let content = |snapshot: FamilySnapshot| {
        let mut samples = snapshot.samples();
        samples.iter_mut().for_each(|sample| sample.labels.sort());
        (snapshot.family.name().to_owned(), snapshot.family.help().to_owned(), samples)
    };
    families.into_iter().map(content).collect()
}

fn read(families: parse::Families<'_>) -> Content {
    content(families.map(|family| FamilySnapshot::from(family.unwrap())))
}

type Encode = fn(&Snapshot, Escaping, &mut Vec<u8>) -> Result<(), encode::EncodeError>;

fn written(encode: Encode, families: &[FamilySnapshot]) -> String {
    let mut out = Vec::new();
    encode(&Snapshot { families: families.to_vec() }, Escaping::AllowUtf8, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn read_protobuf(families: &[FamilySnapshot]) -> Vec<FamilySnapshot> {
    let mut out = Vec::new();
    encode::protobuf(&Snapshot { families: families.to_vec() }, Escaping::AllowUtf8, &mut out).unwrap();
    parse::protobuf(&out, 1000).unwrap()
}

/// A family of each type, with a series for each value.
fn native_metrics(values: &BTreeSet<String>, total: f64, count: u64, sum: f64, gauge: f64) -> [FamilySnapshot; 6] {
    let builders = [
        (Family::builder(Kind::Counter, "c", ""), Value::Counter { total, exemplar: None }),
        (Family::builder(Kind::Gauge, "g", ""), Value::Gauge(gauge)),
        (Family::builder(Kind::Summary, "s", ""), Value::Summary { count, sum }),
        (
            Family::builder(Kind::Histogram, "h", "").bounds([0.5, 1e6]),
            Value::Histogram { counts: [count, 0, 1].into(), sum, exemplars: Vec::new() },
        ),
        (Family::builder(Kind::Info, "i", ""), Value::Info(vec![("v".to_owned(), "1".to_owned())])),
        (Family::builder(Kind::StateSet, "e", "").states(["on", "off"]), Value::StateSet(1)),
    ];
    builders.map(|(builder, value)| {
        let family = Arc::new(builder.label_names(["x.y"]).build().unwrap());
        let series = values.iter().map(|label| SeriesSnapshot {
            labels: Arc::new(family.labels(&[label]).unwrap()),
            process: None,
            value: value.clone(),
            created: Some(1.5),
        });
        FamilySnapshot { body: Body::Series(series.collect()), family }
    })
}

proptest! {
    #[test]
    fn samples_of_a_collector_are_read_back_from_the_text_format(
        name in name(),
        help in r#"(\w(\PC|["\\\n]){0,12}\w)?"#,
        samples in vec((labels(), finite(), option::of(-1_000_000_000_000i64..1_000_000_000_000)), 0..4),
    ) {
        let samples = samples.into_iter().map(|(labels, value, time)| Sample {
            timestamp: time.map(|time| Timestamp::Seconds(time as f64)),
            ..sample(&name, &labels, value)
        });
        let families = [family(Kind::Gauge, &name, &help, samples.collect())];
        let text = written(encode::text, &families);

        prop_assert_eq!(read(parse::text(&text)), content(families), "{}", text);
    }

    #[test]
    fn samples_of_a_collector_are_read_back_from_openmetrics(
        name in name(),
        help in r#"(\w(\PC|["\\\n\r]){0,12})?"#,
        labels in prop::collection::btree_set(labels(), 0..4),
        value in 0.0..1e300,
        timestamp in option::of(timestamp()),
        exemplar in option::of(exemplar()),
    ) {
        let total = format!("{name}_total");
        let samples = labels.iter().map(|labels| Sample {
            timestamp,
            exemplar: exemplar.clone(),
            ..sample(&total, labels, value)
        });
        let families = [family(Kind::Counter, &name, &help, samples.collect())];
        let text = written(encode::openmetrics, &families);

        prop_assert_eq!(read(parse::openmetrics(&text)), content(families), "{}", text);
    }

    #[test]
    fn native_histograms_are_read_back_from_openmetrics_2_0(
        name in name(),
        labels in labels(),
        histogram in native_histogram(),
    ) {
        let histogram = Some(Box::new(histogram));
        let families = [family(Kind::Histogram, &name, "", vec![Sample {
            native_histogram: histogram.clone(),
            ..sample(&name, &labels, f64::NAN)
        }])];
        let text = written(encode::openmetrics_2_0, &families);
        let [(_, _, samples)] = &read(parse::openmetrics(&text))[..] else { panic!("not one family in {text}") };

        prop_assert_eq!(&samples[0].native_histogram, &histogram, "{}", text);
        prop_assert_eq!(&samples[0].labels, &labels);
        prop_assert!(!written(encode::openmetrics, &families).contains("count:"));
        prop_assert!(!written(encode::text, &families).contains("count:"));
    }

    #[test]
    fn native_metrics_are_read_back_from_openmetrics(
        values in prop::collection::btree_set(value(), 1..4),
        total in 0.0..1e300,
        count in 0u64..1 << 40,
        sum in 0.0..1e300,
        gauge in finite(),
    ) {
        let families = native_metrics(&values, total, count, sum, gauge);
        let text = written(encode::openmetrics, &families);

        prop_assert_eq!(read(parse::openmetrics(&text)), content(families), "{}", text);
    }

    #[test]
    fn samples_of_a_collector_are_read_back_from_protobuf(
        name in name(),
        help in value(),
        labels in prop::collection::btree_set(labels(), 0..4),
        value in finite(),
        time in option::of(-1_000_000_000_000i64..1_000_000_000_000),
        exemplar in option::of(exemplar()),
    ) {
        for kind in [Kind::Counter, Kind::Gauge, Kind::Unknown] {
            let described = Family::named(kind, &name, &help);
            let full = described.text_name().into_owned();
            let samples = labels.iter().map(|labels| Sample {
                timestamp: time.map(|time| Timestamp::Seconds(time as f64 / 1000.0)),
                exemplar: exemplar.clone().filter(|_| kind == Kind::Counter),
                ..sample(&full, labels, value)
            });
            let families = [FamilySnapshot { family: Arc::new(described), body: Body::Samples(samples.collect()) }];
            let expected = if labels.is_empty() { Vec::new() } else { content(families.clone()) };

            prop_assert_eq!(content(read_protobuf(&families)), expected);
        }
    }

    #[test]
    fn native_histograms_are_read_back_from_protobuf(
        labels in labels().prop_filter("the type's own", |labels| labels.iter().all(|(name, _)| name != "le")),
        histogram in native_histogram(),
        exemplars in vec(exemplar(), 0..3),
    ) {
        let expected = NativeHistogram { exemplars, ..histogram };
        let families = [family(Kind::Histogram, "h", "", vec![Sample {
            native_histogram: Some(Box::new(expected.clone())),
            ..sample("h", &labels, f64::NAN)
        }])];
        let samples = read_protobuf(&families)[0].samples();
        let found = samples.iter().find_map(|sample| sample.native_histogram.clone()).unwrap();

        prop_assert_eq!(&found.exemplars, &expected.exemplars);
        prop_assert_eq!((found.count, found.sum, found.schema), (expected.count, expected.sum, expected.schema));
        prop_assert_eq!((found.positive_deltas, found.negative_deltas), (expected.positive_deltas, expected.negative_deltas));
        // One without anything has a span that says that it is one.
        let spans: Vec<_> = found.positive_spans.into_iter().filter(|span| span.length > 0).collect();
        prop_assert_eq!((spans, found.negative_spans), (expected.positive_spans, expected.negative_spans));
    }

    #[test]
    fn native_metrics_are_read_back_from_protobuf(
        values in prop::collection::btree_set(value(), 1..4),
        total in 0.0..1e300,
        count in 0u64..1 << 40,
        sum in 0.0..1e300,
        gauge in finite(),
    ) {
        let families = native_metrics(&values, total, count, sum, gauge);
        // An info and a state set are gauges there, as in the text format.
        prop_assert_eq!(written(encode::text, &read_protobuf(&families)), written(encode::text, &families));
    }
}
