//! Pushes that are refused: what the answer says, and that nothing but a stamp changes.

use hyper::Method;
use tallymark_model::Kind;
use tallymark_transport::gateway::Options;

use super::Pushes;

fn pushes() -> Pushes {
    Pushes::new(Options::default())
}

/// Pushes something, then what is refused: the group is left as it was, with a stamp or without one.
fn refused(before: &[(&str, &str)], body: &str, is_stamped: bool) -> String {
    let pushes = pushes();
    for (path, body) in before {
        assert_eq!(pushes.put(path, body), 200, "{body}");
    }
    let lines = pushes.lines();
    pushes.wait(5.0);
    let reason = pushes.refusal("/metrics/job/a", body);

    assert_eq!(pushes.lines(), lines);
    let stamp = pushes.stamps().contains(&"failure_time{job=\"a\"} 5".to_owned());
    assert_eq!(stamp, is_stamped, "{body}");
    reason
}

#[test]
fn a_malformed_body_leaves_no_trace() {
    for (body, reason) in [
        ("x 1", "line 1: the line feed at its end is missing"),
        ("x 1\nx one\n", "line 2: \"one\""),
        ("# TYPE x counter\n# TYPE x counter\nx 1\n", "line 2: a second TYPE of x"),
        ("# TYPE x nonsense\nx 1\n", "line 1: "),
        ("\u{0}", "line 1: "),
        ("x{__y=\"1\"} 1\n", "line 1: "),
    ] {
        let found = refused(&[], body, false);
        assert!(found.starts_with(reason), "{found}");
    }
}

#[test]
fn what_does_not_go_with_itself_is_refused() {
    for (body, reason) in [
        ("x 1\nx 2\n", "x{instance=\"\"} is there more than once"),
        ("x{job=\"y\"} 1\nx{job=\"z\"} 2\n", "x{instance=\"\"} is there more than once"),
        ("x 1 1234\n", "x has a timestamp"),
        (
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\n",
            "h{instance=\"\"} is there more than once",
        ),
        ("# TYPE s summary\ns_sum 1\ns_sum 2\n", "s_sum{instance=\"\"} is there more than once"),
        ("k_count 1\n# TYPE k summary\nk_sum 1\n", "k_count is a family and a sample of the summary k"),
    ] {
        let found = refused(&[], body, true);
        assert!(found.contains(reason), "{body}: {found}");
    }
}

#[test]
fn what_does_not_go_with_other_groups_is_refused() {
    for (other, body, reason) in [
        ("# TYPE x counter\nx 1\n", "x 1\n", "x is pushed as unknown; in other groups it is a counter"),
        ("x 1\n", "# TYPE x summary\nx_sum 1\n", "x is pushed as summary; in other groups it is an unknown"),
        ("# TYPE x summary\nx_sum 1\n", "x_count 1\n", "x_count is a family and a sample of the summary x"),
        ("x_sum 1\n", "# TYPE x histogram\nx_sum 1\n", "x_sum is a family and a sample of the histogram x"),
        ("x_bucket 1\n", "# TYPE x histogram\nx_sum 1\n", "x_bucket is a family and a sample of the histogram x"),
    ] {
        let found = refused(&[("/metrics/job/b", other)], body, true);
        assert!(found.starts_with(reason), "{body}: {found}");
    }
}

#[test]
fn a_series_that_another_group_has_is_refused() {
    let found = refused(&[("/metrics/job/a/host/h", "x 1\n")], "y 1\nx{host=\"h\"} 2\n", true);
    assert_eq!(found, "x has a series that the group {host=\"h\",job=\"a\"} has, too, with the same labels");

    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "x{host=\"h\"} 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a/host/h", "x 1\n"), 400);
    assert_eq!(pushes.put("/metrics/job/a", "x{host=\"i\"} 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a/host/h", "x 1\n"), 200);
}

#[test]
fn a_group_may_change_a_type_that_is_its_own_alone() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "# TYPE x summary\nx_sum 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a", "# TYPE x_sum counter\nx_sum 1\n"), 200);
    assert_eq!(pushes.post("/metrics/job/a", "# TYPE x_sum gauge\nx_sum 2\n"), 200);
    assert_eq!(pushes.lines(), ["x_sum{job=\"a\"} 2.0"]);

    assert_eq!(pushes.put("/metrics/job/b", "# TYPE x_sum gauge\nx_sum 2\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a", "x_sum 1\n"), 400);
    assert_eq!(pushes.delete("/metrics/job/b"), 202);
    assert_eq!(pushes.put("/metrics/job/a", "x_sum 1\n"), 200);
}

#[test]
fn different_help_texts_are_no_conflict() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "# HELP x One.\nx 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/b", "# HELP x Another.\nx 1\n"), 200);

    assert!(pushes.text().contains("# HELP x One.\n"));
}

#[test]
fn groups_that_differ_in_an_empty_instance_only_would_be_one_to_prometheus() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "x 1\n"), 200);
    let reason = pushes.refusal("/metrics/job/a/instance@base64/=", "y 1\n");

    assert!(reason.starts_with("there is a group that differs from this one in an empty instance only"), "{reason}");
    assert_eq!(pushes.stamps().len(), 2);
}

#[test]
fn a_type_of_the_servers_own_families_is_kept() {
    let own = vec![("go_goroutines".to_owned(), Kind::Gauge)];
    let pushes = Pushes::new(Options { own, ..Options::default() });

    assert_eq!(pushes.put("/metrics/job/a", "go_goroutines 1\n"), 400);
    assert_eq!(pushes.put("/metrics/job/a", "# TYPE go_goroutines gauge\ngo_goroutines 1\n"), 200);
}

#[test]
fn a_group_that_was_only_ever_refused_shows_that() {
    let pushes = pushes();
    pushes.refusal("/metrics/job/a", "x 1 2\n");
    assert_eq!(pushes.stamps(), ["failure_time{job=\"a\"} 0", "time{job=\"a\"} never"]);

    pushes.wait(3.0);
    assert_eq!(pushes.put("/metrics/job/a", "x 1\n"), 200);
    assert_eq!(pushes.stamps(), ["failure_time{job=\"a\"} 0", "time{job=\"a\"} 3"]);
}

#[test]
fn a_label_that_a_type_writes_itself_cannot_be_a_groups() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a/le/1", "# TYPE h histogram\nh_sum 1\n"), 400);
    assert_eq!(pushes.put("/metrics/job/a/quantile/1", "# TYPE s summary\ns_sum 1\n"), 400);
    assert_eq!(pushes.put("/metrics/job/a/le/1", "# TYPE s summary\ns_sum 1\n"), 200);
}

#[test]
fn other_methods_and_paths_are_told_what_there_is() {
    let pushes = pushes();
    for (method, path, status, allow) in [
        (Method::GET, "/metrics/job/a", 405, Some("DELETE, OPTIONS, POST, PUT")),
        (Method::PATCH, "/metrics/job/a", 405, Some("DELETE, OPTIONS, POST, PUT")),
        (Method::OPTIONS, "/metrics/job/a", 200, Some("DELETE, OPTIONS, POST, PUT")),
        (Method::PUT, "/metrics/jobs/a", 404, None),
        (Method::PUT, "/metrics/job", 404, None),
        (Method::PUT, "/metrics/job/", 404, None),
        (Method::PUT, "/metrics/job/a/b", 400, None),
        (Method::DELETE, "/metrics/job/a/b", 400, None),
    ] {
        let answer = pushes.ask(method, path, &[], b"x 1\n");
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers.first().map(|(_, value)| value.to_str().unwrap()), allow);
    }
}
