//! The JSON below `/api/v1`.

use hyper::Method;
use serde_json::{Value, json};
use tallymark_transport::gateway::Options;

use super::Pushes;

fn data(pushes: &Pushes, path: &str) -> Value {
    let answer = pushes.ask(Method::GET, path, &[], b"");
    assert_eq!((answer.status.as_u16(), answer.content_type), (200, Some("application/json")));
    assert!(answer.headers.iter().any(|(name, value)| name == "access-control-allow-origin" && value == "*"));
    let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["status"], "success");
    answer["data"].take()
}

#[test]
fn groups_are_told_with_all_their_families() {
    let pushes = Pushes::new(Options::default());
    let body = "# HELP x_total Help.\n# TYPE x_total counter\nx_total{l=\"1\"} 1000000\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\n\
                h_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 1\ns_count 7\n";
    assert_eq!(pushes.put("/metrics/job/a/host/h", body), 200);
    let labels = json!({ "host": "h", "instance": "", "job": "a" });
    let time = "2023-11-14T22:13:20.000000000Z";
    let stamp = |help: &str, value: &str| {
        let metric = json!({ "labels": labels, "value": value });
        json!({ "time_stamp": time, "type": "GAUGE", "help": help, "metrics": [metric] })
    };

    assert_eq!(
        data(&pushes, "/api/v1/metrics"),
        json!([{
            "labels": { "host": "h", "job": "a" },
            "last_push_successful": true,
            "x_total": {
                "time_stamp": time, "type": "COUNTER", "help": "Help.",
                "metrics": [{ "labels": { "host": "h", "instance": "", "job": "a", "l": "1" }, "value": "1e+06" }],
            },
            "h": {
                "time_stamp": time, "type": "HISTOGRAM",
                "metrics": [{ "labels": labels, "buckets": { "1": "2", "+Inf": "3" }, "count": "3", "sum": "4.5" }],
            },
            "s": {
                "time_stamp": time, "type": "SUMMARY",
                "metrics": [{ "labels": labels, "quantiles": { "0.5": "NaN" }, "count": "7", "sum": "1" }],
            },
            "push_time_seconds": stamp("When this group was last pushed, in seconds since 1970; 0 is never.", "1.7e+09"),
            "push_failure_time_seconds":
                stamp("When a push to this group was last refused, in seconds since 1970; 0 is never.", "0"),
        }])
    );
}

#[test]
fn a_refused_push_is_told() {
    let pushes = Pushes::new(Options::default());
    pushes.put("/metrics/job/a", "x 1\n");
    pushes.wait(1.0);
    pushes.put("/metrics/job/a", "x 1 2\n");

    assert_eq!(data(&pushes, "/api/v1/metrics")[0]["last_push_successful"], false);
}

#[test]
fn the_status_tells_build_flags_and_start() {
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (build, flags) = (pair("version", "0.1.0"), pair("push.aggregate", "true"));
    let pushes = Pushes::new(Options { build, flags, ..Options::default() });

    assert_eq!(
        data(&pushes, "/api/v1/status"),
        json!({
            "build_information": { "version": "0.1.0" },
            "flags": { "push.aggregate": "true" },
            "start_time": "2023-11-14T22:13:20.000000000Z",
        })
    );
}

#[test]
fn everything_is_wiped_by_those_who_may() {
    for (admin, method, status, left) in
        [(false, Method::PUT, 404, 2), (true, Method::POST, 405, 2), (true, Method::PUT, 202, 0)]
    {
        let pushes = Pushes::new(Options { admin, ..Options::default() });
        pushes.put("/metrics/job/a", "x 1\n");
        pushes.put("/metrics/job/b", "x 1\n");

        assert_eq!(pushes.ask(method, "/api/v1/admin/wipe", &[], b"").status, status);
        assert_eq!(pushes.lines().len(), left);
    }
}

#[test]
fn other_paths_and_methods_are_told_so() {
    let pushes = Pushes::new(Options::default());

    assert_eq!(pushes.ask(Method::GET, "/api/v1/nothing", &[], b"").status, 404);
    assert_eq!(pushes.ask(Method::PUT, "/api/v1/metrics", &[], b"").status, 405);
    assert_eq!(pushes.ask(Method::OPTIONS, "/api/v1/metrics", &[], b"").status, 200);
}
