//! How bodies may come: compressed, as text, OpenMetrics or protobuf.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use hyper::Method;
use proptest::prelude::*;
use tallymark_transport::gateway::Options;

use super::Pushes;

const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// A gauge `up` with one metric, whose value is 1.
const UP: &[u8] = b"\x13\x0a\x02up\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(body).unwrap();
    encoder.into_inner().unwrap()
}

fn block(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

/// The status of a push, and what is shown after it.
fn pushed(headers: &[(&'static str, &str)], body: &[u8]) -> (u16, Vec<String>) {
    let pushes = Pushes::new(Options::default());
    let status = pushes.ask(Method::PUT, "/metrics/job/a", headers, body).status.as_u16();
    (status, pushes.lines())
}

#[test]
fn a_body_may_be_compressed() {
    let up = vec!["up{job=\"a\"} 1.0".to_owned()];
    let twice = [gzip(b"up"), gzip(b" 1\n")].concat();
    for (coding, body) in [
        ("identity", b"up 1\n".to_vec()),
        ("gzip", gzip(b"up 1\n")),
        ("GZIP", twice),
        ("snappy", framed(b"up 1\n")),
        ("snappy", block(b"up 1\n")),
    ] {
        assert_eq!(pushed(&[("content-encoding", coding)], &body), (200, up.clone()), "{coding}");
    }
    assert_eq!(pushed(&[("content-encoding", "gzip"), ("content-type", PROTOBUF)], &gzip(UP)), (200, up));
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    for (coding, body) in [
        ("gzip", &b"up 1\n"[..]),
        ("gzip", &gzip(b"up 1\n")[..20]),
        ("snappy", b"up 1\n"),
        ("br", b"up 1\n"),
        ("", b"\xff 1\n"),
    ] {
        assert_eq!(pushed(&[("content-encoding", coding)], body), (400, Vec::new()), "{coding}");
    }
}

#[test]
fn a_body_may_be_protobuf_or_openmetrics() {
    assert_eq!(pushed(&[("content-type", PROTOBUF)], UP), (200, vec!["up{job=\"a\"} 1.0".to_owned()]));
    assert_eq!(pushed(&[("content-type", PROTOBUF)], b"up 1\n").0, 400);

    let openmetrics = [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let (status, lines) =
        pushed(&openmetrics, b"# TYPE x counter\nx_total 1\nx_created 5\n# TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n");
    assert_eq!(
        (status, &lines[..]),
        (
            200,
            &["i_info{job=\"a\",v=\"1\"} 1.0", "x_total{job=\"a\"} 1.0", "x_created{job=\"a\"} 5.0"].map(str::to_owned)
                [..]
        )
    );
    assert_eq!(pushed(&openmetrics, b"# TYPE x counter\nx_total 1\n").0, 400, "its end is missing");
}

#[test]
fn a_body_of_another_type_is_read_as_text() {
    for content_type in ["text/plain", "application/x-www-form-urlencoded", &PROTOBUF.replace("delimited", "text")] {
        assert_eq!(pushed(&[("content-type", content_type)], b"up 1\n").0, 200, "{content_type}");
    }
}

#[test]
fn what_a_body_grows_to_is_bounded() {
    let most: usize = 1 << 20;
    let comment = [b"#".repeat(most - 6), b"\nup 1\n".to_vec()].concat();
    let pushes = Pushes::new(Options { max_decoded_bytes: comment.len(), ..Options::default() });
    let bomb = vec![b'#'; 4 * most];
    for (coding, fits, bomb) in [
        ("gzip", gzip(&comment), gzip(&bomb)),
        ("snappy", framed(&comment), framed(&bomb)),
        ("snappy", block(&comment), block(&bomb)),
    ] {
        let push = |body: &[u8]| pushes.ask(Method::PUT, "/metrics/job/a", &[("content-encoding", coding)], body);
        assert_eq!(push(&fits).status, 200, "{coding}");
        let answer = push(&bomb);
        assert_eq!(answer.status, 413, "{coding}");
        assert_eq!(answer.body, b"the body has more than 1048576 bytes when it is unpacked; push it in parts\n");
    }
}

#[test]
fn a_body_of_too_many_families_is_refused_before_it_is_read() {
    let pushes = Pushes::new(Options { max_series: 5, ..Options::default() });
    let push = |content_type: &str, body: &[u8]| {
        let answer = pushes.ask(Method::PUT, "/metrics/job/a", &[("content-type", content_type)], body);
        (answer.status.as_u16(), String::from_utf8(answer.body).unwrap())
    };
    for (content_type, keyword, text, end) in [
        ("text/plain", "TYPE", "gauge", ""),
        ("text/plain", "HELP", "Help.", ""),
        ("application/openmetrics-text", "TYPE", "gauge", "# EOF\n"),
        ("application/openmetrics-text", "HELP", "Help.", "# EOF\n"),
        ("application/openmetrics-text", "UNIT", "s", "# EOF\n"),
    ] {
        let body = |families: u32| -> String {
            (0..families).map(|at| format!("# {keyword} x{at}_s {text}\n")).chain([end.to_owned()]).collect()
        };
        assert_eq!(push(content_type, body(5).as_bytes()).0, 200, "{content_type} {keyword}");
        let (status, reason) = push(content_type, body(6).as_bytes());
        assert_eq!(status, 413, "{content_type} {keyword}");
        assert!(reason.starts_with("the body has more than 5 samples or families"), "{reason}");
    }
    let empty = |families: u8| (0..families).flat_map(|at| [3, 0x0a, 1, b'a' + at]).collect::<Vec<u8>>();
    assert_eq!(push(PROTOBUF, &empty(5)).0, 200);
    assert_eq!(push(PROTOBUF, &empty(6)).1, "message 6: there are more samples than may be\n");
}

#[test]
fn a_body_of_too_many_samples_is_refused_before_it_is_read() {
    let pushes = Pushes::new(Options { max_series: 5, ..Options::default() });
    for (content_type, end) in [("text/plain", ""), ("application/openmetrics-text", "# EOF\n")] {
        let body = |samples: usize| format!("# TYPE x gauge\n{}{end}", "x 1\n".repeat(samples));
        let push =
            |body: &str| pushes.ask(Method::PUT, "/metrics/job/a", &[("content-type", content_type)], body.as_bytes());

        assert_eq!(push(&body(1)).status, 200);
        assert_eq!(push(&body(6)).status, 413);
        assert!(push(&body(6)).body.starts_with(b"the body has more than 5 samples"));
    }
}

proptest! {
    #[test]
    fn any_request_is_answered(
        path in "(/metrics/job(@base64)?/)?\\PC{0,20}",
        query in "((push|gauge|ttl|id|writer)=\\PC{0,8}&){0,3}",
        coding in prop::sample::select(vec!["", "gzip", "snappy", "zstd"]),
        media_type in prop::sample::select(vec!["text/plain", PROTOBUF, "application/openmetrics-text"]),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let pushes = Pushes::new(Options { utf8_names: true, ..Options::default() });
        let headers = [("content-encoding", coding), ("content-type", media_type)];
        pushes.ask(Method::PUT, &format!("{path}?{query}"), &headers, &body);
        pushes.text();
    }

    #[test]
    fn any_text_is_pushed_or_refused(
        lines in prop::collection::vec(prop::sample::select(vec![
            "# TYPE x counter", "# TYPE x histogram", "# TYPE x summary", "# TYPE y gauge", "x 1", "x{le=\"1\"} 2", "x_bucket{le=\"1\"} 2",
            "x_bucket{le=\"+Inf\"} 1", "x_sum NaN", "x_count -1", "x{quantile=\"0.5\"} 1", "x_created 1", "x_total 1", "{\"é\"} 1",
            "y{a=\"1\",b=\"\"} +Inf", "x_bucket{le=\"NaN\"} 1",
        ]), 0..12),
        adding: bool,
    ) {
        let pushes = Pushes::new(Options { aggregate: adding, ..Options::default() });
        let body = lines.join("\n") + "\n";
        let status = pushes.put("/metrics/job/a", &body);
        prop_assert!(matches!(status, 200 | 400), "{status}");
        pushes.text();
        prop_assert_eq!(pushes.put("/metrics/job/a?push=replace", ""), 200);
    }
}

#[test]
fn more_labels_than_few_samples_have_are_refused() {
    let pushes = Pushes::new(Options { max_series: 10, ..Options::default() });
    let body = |labels: usize| {
        let labels: Vec<String> = (0..labels).map(|label| format!("l{label}= \"\"")).collect();
        format!("x{{{}}} 1\n", labels.join(","))
    };
    assert_eq!(pushes.put("/metrics/job/a", &body(44)), 413);
    assert_eq!(pushes.put("/metrics/job/a", &body(40)), 200);
}
