//! What a push must not do: keep Prometheus from scraping the others.

use std::sync::Arc;

use hyper::Method;
use tallymark_model::{
    Body, Escaping, Exemplar, Family, FamilySnapshot, Kind, NativeHistogram, Sample, Snapshot, Span,
};
use tallymark_model::{encode, number::Number};
use tallymark_transport::gateway::Options;

use super::Pushes;

const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn push(pushes: &Pushes, content_type: &str, body: &[u8]) -> u16 {
    pushes.ask(Method::PUT, "/metrics/job/a", &[("content-type", content_type)], body).status.as_u16()
}

/// What is shown, as OpenMetrics 2.0 without quotes; it can be written in every other way, too.
fn scraped(pushes: &Pushes) -> String {
    let snapshot = pushes.gateway.snapshot().unwrap();
    let formats = [encode::text, encode::openmetrics, encode::protobuf, encode::openmetrics_2_0];
    let mut out = Vec::new();
    for escaping in Escaping::ALL {
        for format in formats {
            format(&snapshot, escaping, &mut Vec::new()).unwrap();
        }
    }
    encode::openmetrics_2_0(&snapshot, Escaping::Underscores, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A gauge as protobuf, with any unit.
fn gauge(name: &str, unit: &str) -> Vec<u8> {
    let text = |field: u8, text: &str| [&[field << 3 | 2, text.len().try_into().unwrap()], text.as_bytes()].concat();
    let metric = b"\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f";
    let family = [&text(1, name)[..], b"\x18\x01", metric, &text(5, unit)].concat();
    [&[family.len().try_into().unwrap()], &family[..]].concat()
}

/// A histogram of two observations as protobuf, with an exemplar.
fn histogram(kind: Kind, deltas: Vec<i64>) -> Vec<u8> {
    let labels = vec![("trace_id".to_owned(), "4bf".to_owned())];
    let native = NativeHistogram {
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_deltas: deltas,
        exemplars: vec![Exemplar { labels, value: 1.0, timestamp: Some(1.5.into()) }],
        ..NativeHistogram::new(Number::Integer(2), Number::Float(3.0), 3)
    };
    let native_histogram = Some(Box::new(native));
    let (name, labels) = ("h".to_owned(), Vec::new());
    let sample = Sample { name, labels, value: f64::NAN, timestamp: None, exemplar: None, native_histogram };
    let family = Arc::new(Family::described(kind, "h", "", ""));
    let mut out = Vec::new();
    let families = vec![FamilySnapshot { family, body: Body::Samples(vec![sample]) }];
    encode::protobuf(&Snapshot { families }, Escaping::AllowUtf8, &mut out).unwrap();
    out
}

#[test]
fn a_unit_that_is_none_of_the_names_is_not_kept() {
    for (name, unit, line) in [
        ("x_seconds", "seconds", "\n# UNIT x_seconds seconds\n"),
        ("x", "seconds", ""),
        ("x", "s\nup{job=\"prod\"} 0", ""),
        ("x_s\nup 0", "s\nup 0", ""),
    ] {
        let pushes = Pushes::new(Options::default());
        assert_eq!(push(&pushes, PROTOBUF, &gauge(name, unit)), 200);
        let text = scraped(&pushes);

        assert_eq!(text.contains("# UNIT"), !line.is_empty(), "{text}");
        assert!(text.contains(line) && !text.contains("\nup"), "{text}");
        assert!(
            pushes.gateway.snapshot().unwrap().families.iter().all(|it| ["seconds", ""].contains(&it.family.unit()))
        );
    }
}

#[test]
fn labels_that_are_one_without_quotes_are_refused() {
    let pushes = Pushes::new(Options { utf8_names: true, ..Options::default() });
    for (path, body) in [
        ("/metrics/job/a", "x{\"a.b\"=\"1\",a_b=\"2\"} 1\n"),
        ("/metrics/job/a", "x{\"a b\"=\"1\",\"a-b\"=\"2\"} 1\n"),
        ("/metrics/job/a", "x{\"..name..\"=\"1\"} 1\n"),
        ("/metrics/job/a/a_b/1", "x{\"a.b\"=\"1\"} 1\n"),
        ("/metrics/job/a/U__a_2e_b/1/a_b/1", ""),
    ] {
        let reason = pushes.refusal(path, body);
        assert!(reason.contains(" are one to whoever asks for names without quotes"), "{reason}");
    }
    assert_eq!(pushes.put("/metrics/job/a", "x{\"a.b\"=\"1\",c=\"2\"} 1\n"), 200);
    assert!(scraped(&pushes).contains("\nx{a_b=\"1\",c=\"2\","));
}

#[test]
fn a_native_histogram_that_contradicts_itself_is_refused() {
    let body = |deltas: &str, count: u32| {
        format!(
            "# TYPE h histogram\nh {{count:{count},sum:3.0,schema:3,zero_threshold:0.0,zero_count:0,\
             positive_spans:[0:2],positive_deltas:[{deltas}]}}\n# EOF\n"
        )
    };
    let pushes = Pushes::new(Options::default());
    for (deltas, count, status) in
        [("1,0", 2, 200), ("1", 2, 400), ("1,0,0", 2, 400), ("1,-2", 2, 400), ("1,0", 3, 400)]
    {
        let body = body(deltas, count);
        assert_eq!(push(&pushes, "application/openmetrics-text", body.as_bytes()), status, "{body}");
    }
    assert_eq!(push(&pushes, PROTOBUF, &histogram(Kind::Histogram, vec![1])), 400);
    assert_eq!(push(&pushes, PROTOBUF, &histogram(Kind::Histogram, vec![1, 0])), 200);
    assert!(scraped(&pushes).contains(" # {trace_id=\"4bf\"} 1.0 1.5"));
}

#[test]
fn an_exemplar_that_a_format_cannot_carry_is_not_kept() {
    let pushes = Pushes::new(Options::default());
    assert_eq!(push(&pushes, PROTOBUF, &histogram(Kind::GaugeHistogram, vec![1, 0])), 200);
    let text = scraped(&pushes);
    assert!(text.contains("positive_deltas:[1,0]") && !text.contains("trace_id"), "{text}");

    let body =
        "# TYPE x counter\nx_total 1 # {\"trace.id\"=\"4bf\"} 1\n# TYPE y counter\ny_total 1 # {t=\"4bf\"} 1\n# EOF\n";
    assert_eq!(push(&pushes, "application/openmetrics-text", body.as_bytes()), 200);
    let text = scraped(&pushes);
    assert!(text.contains("y_total{instance=\"\",job=\"a\"} 1.0 # {t=\"4bf\"} 1.0"), "{text}");
    assert!(!text.contains("trace"), "{text}");
}
