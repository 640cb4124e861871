//! Content and what a reader of protobuf finds of it.
//!
//! That the reader reads what others write, too, a real Prometheus and a real Pushgateway say in the root's tests.

use std::collections::HashSet;

use tallymark_model::{
    Escaping, Family, FamilySnapshot, Kind, NativeHistogram, Process, Sample, Snapshot, Span, Timestamp, Value, encode,
    number::Number, parse,
};

use super::{collected, counter, native, owned, sample, text, trace};

fn bytes(families: &[FamilySnapshot], escaping: Escaping) -> Vec<u8> {
    let mut out = Vec::new();
    encode::protobuf(&Snapshot { families: families.to_vec() }, escaping, &mut out).unwrap();
    out
}

/// The families as they are read back.
fn read(families: &[FamilySnapshot]) -> Vec<FamilySnapshot> {
    parse::protobuf(&bytes(families, Escaping::AllowUtf8), 1000).unwrap()
}

/// They are read back as the lines that they are in the text format.
#[track_caller]
fn assert_same_lines(families: &[FamilySnapshot]) {
    assert_eq!(text(&read(families), Escaping::AllowUtf8), text(families, Escaping::AllowUtf8));
}

#[test]
fn a_family_is_its_length_its_head_and_its_metrics() {
    let family = native(
        Family::builder(Kind::Counter, "c", "H").label_names(["b", "a"]),
        &[(&["2", "1"], Value::Counter { total: 1.0, exemplar: None }, Some(1.5))],
    );
    let head = b"\x0a\x07c_total\x12\x01H\x18\x00";
    let labels = b"\x0a\x06\x0a\x01a\x12\x011\x0a\x06\x0a\x01b\x12\x012";
    let value = b"\x1a\x13\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
    let metric = [&labels[..], value].concat();
    let metric = [&[0x22, metric.len() as u8], &metric[..]].concat();
    let message = [&head[..], &metric].concat();

    assert_eq!(bytes(&[family], Escaping::AllowUtf8), [&[message.len() as u8], &message[..]].concat());
}

#[test]
fn every_type_is_read_back_as_the_lines_it_has_in_text() {
    let exemplars = vec![(1, trace("t", 2.0, Some(3.25)))];
    let histogram = Value::Histogram { counts: [1, 2, 0].into(), sum: 5.5, exemplars };
    let summary = Value::Summary { count: 2, sum: 3.5 };
    assert_same_lines(&[
        native(
            Family::builder(Kind::Counter, "c", "Help.\n\"x\"").label_names(["z y", "a"]),
            &[(&["1", "é"], counter(2.0), Some(1_700_000_000.123_456)), (&["2", ""], counter(3.0), None)],
        ),
        native(Family::builder(Kind::Gauge, "g", ""), &[(&[], Value::Gauge(f64::NEG_INFINITY), None)]),
        native(Family::builder(Kind::Summary, "s", ""), &[(&[], summary, Some(4.0))]),
        native(Family::builder(Kind::Histogram, "h", "").bounds([0.1, 2.0]), &[(&[], histogram, Some(1.0))]),
        native(Family::builder(Kind::Info, "i", ""), &[(&[], Value::Info(owned(&[("v", "1"), ("a", "2")])), None)]),
        native(Family::builder(Kind::StateSet, "e", "").states(["on", "off"]), &[(&[], Value::StateSet(1), None)]),
        collected(Family::named(Kind::Counter, "bare", ""), &[sample("bare", &[], 1.0)]),
        collected(
            Family::described(Kind::Unknown, "u", "", ""),
            &[Sample { timestamp: Some(Timestamp::Seconds(-1.5)), ..sample("u", &[("a", "b")], f64::NAN) }],
        ),
        collected(
            Family::described(Kind::Summary, "q", "", ""),
            &[sample("q", &[("quantile", "0.5")], 1.0), sample("q_count", &[], 2.0), sample("q_sum", &[], 2.5)],
        ),
    ]);
}

#[test]
fn labels_of_a_process_come_last_and_are_sorted_in() {
    let mut family = native(
        Family::builder(Kind::Gauge, "g", "").label_names(["z", "pid"]),
        &[(&["1", "2"], Value::Gauge(1.0), None)],
    );
    if let tallymark_model::Body::Series(series) = &mut family.body {
        series[0].process = Some(Process { instance: Some("web".into()), pid: 42 });
    }

    assert_eq!(read(&[family])[0].samples()[0].labels, owned(&[("instance", "web"), ("pid", "42"), ("z", "1")]));
}

#[test]
fn exemplars_are_those_of_openmetrics() {
    let exemplar = Some(trace("t", 2.0, Some(3.25)));
    let families = [
        collected(
            Family::described(Kind::Counter, "c", "", ""),
            &[Sample { exemplar: exemplar.clone(), ..sample("c_total", &[], 1.0) }],
        ),
        collected(
            Family::described(Kind::GaugeHistogram, "g", "", ""),
            &[
                Sample { exemplar, ..sample("g_bucket", &[("le", "+Inf")], 4.0) },
                sample("g_gcount", &[], 4.0),
                sample("g_gsum", &[], -2.0),
            ],
        ),
    ];
    let found: Vec<_> = read(&families).iter().flat_map(FamilySnapshot::samples).collect();
    let shown = |sample: &Sample| {
        (
            sample.name.clone(),
            sample.value,
            sample.exemplar.clone().map(|it| (it.labels, it.value, it.timestamp.map(Timestamp::seconds))),
        )
    };
    let labels = owned(&[("a", "b"), ("trace_id", "t")]);

    assert_eq!(
        found.iter().map(shown).collect::<Vec<_>>(),
        [
            ("c_total".into(), 1.0, Some((labels.clone(), 2.0, Some(3.25)))),
            ("g_bucket".into(), 4.0, Some((labels, 2.0, Some(3.25)))),
            ("g_gcount".into(), 4.0, None),
            ("g_gsum".into(), -2.0, None),
        ]
    );
}

#[test]
fn samples_that_are_no_whole_series_become_families_without_a_type() {
    let histogram = || {
        let value = Value::Histogram { counts: [1, 2].into(), sum: 5.5, exemplars: Vec::new() };
        native(Family::builder(Kind::Histogram, "h", "H").bounds([1.0]), &[(&[], value, Some(1.0))])
    };
    for names in [&["h_sum"][..], &["h_bucket"], &["h_count", "h_created"]] {
        let names: HashSet<&str> = names.iter().copied().collect();
        let restricted = Snapshot { families: vec![histogram()] }.restrict(&names);
        let found = read(&restricted.families);

        assert!(
            found.iter().all(|family| family.family.kind() == Kind::Unknown && names.contains(family.family.name()))
        );
        let samples =
            |families: &[FamilySnapshot]| families.iter().flat_map(FamilySnapshot::samples).collect::<Vec<_>>();
        assert_eq!(samples(&found), samples(&restricted.families));
    }
    for (kind, name) in [
        (Kind::Gauge, "x_total"),
        (Kind::Counter, "x"),
        (Kind::Counter, "y"),
        (Kind::Summary, "x"),
        (Kind::Summary, "x_sum"),
        (Kind::Unknown, "other"),
    ] {
        let found = read(&[collected(Family::described(kind, "x", "", ""), &[sample(name, &[("a", "b")], 1.0)])]);

        assert_eq!(
            (found[0].family.name(), found[0].family.kind(), found.len()),
            (name, Kind::Unknown, 1),
            "{kind} {name}"
        );
    }
}

#[test]
fn a_family_without_series_is_left_out() {
    assert_eq!(bytes(&[native(Family::builder(Kind::Gauge, "g", ""), &[])], Escaping::AllowUtf8), b"");
}

#[test]
fn a_native_histogram_is_one_beside_its_buckets() {
    let spans = vec![Span { offset: -3, length: 2 }];
    let full = NativeHistogram {
        zero_count: Number::Integer(1),
        zero_threshold: Number::Float(0.5),
        positive_spans: spans.clone(),
        positive_deltas: vec![1, 1],
        negative_spans: spans,
        negative_deltas: vec![1, -1],
        exemplars: vec![trace("t", 1.0, Some(2.0))],
        ..NativeHistogram::new(Number::Integer(5), Number::Float(6.5), -2)
    };
    let empty = NativeHistogram::new(Number::Integer(0), Number::Float(0.0), 3);
    for (native, no_op) in [(full, false), (empty, true)] {
        let family = collected(
            Family::described(Kind::Histogram, "h", "", ""),
            &[Sample { native_histogram: Some(Box::new(native.clone())), ..sample("h", &[("a", "b")], f64::NAN) }],
        );
        let samples = read(&[family])[0].samples();
        let mut found = (**samples[3].native_histogram.as_ref().unwrap()).clone();
        if no_op {
            assert_eq!(std::mem::take(&mut found.positive_spans), [Span { offset: 0, length: 0 }]);
        }
        found
            .exemplars
            .iter_mut()
            .for_each(|it| it.timestamp = it.timestamp.map(|it| Timestamp::Seconds(it.seconds())));
        let mut native = native;
        native.exemplars.iter_mut().for_each(|it| it.labels.sort());

        assert_eq!(found, native);
        assert_eq!((&*samples[0].name, &*samples[1].name, &*samples[2].name), ("h_bucket", "h_count", "h_sum"));
    }
}

#[test]
fn names_are_escaped_and_never_quoted() {
    let family =
        || native(Family::builder(Kind::Counter, "a.b", "").label_names(["x.y"]), &[(&["v"], counter(1.0), None)]);
    for (escaping, name, label) in [
        (Escaping::AllowUtf8, "a.b", "x.y"),
        (Escaping::Underscores, "a_b", "x_y"),
        (Escaping::Dots, "a_dot_b_", "x_dot_y"),
        (Escaping::Values, "U__a_2e_b_", "U__x_2e_y"),
    ] {
        let found = parse::protobuf(&bytes(&[family()], escaping), 1).unwrap();

        assert_eq!((found[0].family.name(), &*found[0].samples()[0].labels[0].0), (name, label));
    }
}

#[test]
fn a_collectors_histogram_may_count_in_fractions_and_need_not_tell_its_count() {
    let samples = [
        sample("h_bucket", &[("le", "-1.0"), ("a", "1"), ("b", "2")], 0.5),
        sample("h_bucket", &[("b", "2"), ("le", "+Inf"), ("a", "1")], 2.5),
    ];
    let found = read(&[collected(Family::described(Kind::Histogram, "h", "", ""), &samples)])[0].samples();
    let shown: Vec<_> = found.iter().map(|it| (&*it.name, it.value.to_string())).collect();

    assert_eq!(
        shown,
        [
            ("h_bucket", "0.5".to_owned()),
            ("h_bucket", "2.5".to_owned()),
            ("h_count", "2.5".to_owned()),
            ("h_sum", "NaN".to_owned()),
        ]
    );
}

#[test]
fn there_are_no_more_samples_than_the_reader_is_told() {
    let gauge = collected(
        Family::described(Kind::Gauge, "g", "", ""),
        &[sample("g", &[], 1.0), sample("g", &[("a", "b")], 1.0)],
    );
    let bytes = bytes(&[gauge], Escaping::AllowUtf8);

    assert!(parse::protobuf(&bytes, 2).is_ok());
    assert_eq!(parse::protobuf(&bytes, 1).unwrap_err().to_string(), "message 1: there are more samples than may be");
}
