//! Pushes that add up.

use tallymark_transport::gateway::Options;

use super::Pushes;

/// A counter with its start time, as the official Python client pushes it.
fn total(value: u32, start: u32) -> String {
    format!("# TYPE x_total counter\nx_total {value}\n# TYPE x_created gauge\nx_created {start}\n")
}

fn x(pushes: &Pushes) -> String {
    let lines = pushes.lines();
    lines.iter().find_map(|line| line.strip_prefix("x_total{job=\"a\"} ")).unwrap_or("none").to_owned()
}

#[test]
fn running_totals_of_many_writers_add_up() {
    let pushes = Pushes::adding();
    for writer in 1..=50 {
        assert_eq!(pushes.put("/metrics/job/a", &total(1, writer)), 200);
    }
    assert_eq!(x(&pushes), "50.0");

    assert_eq!(pushes.post("/metrics/job/a", &total(4, 50)), 200);
    assert_eq!(pushes.post("/metrics/job/a", &total(4, 50)), 200);
    assert_eq!(x(&pushes), "53.0");
}

#[test]
fn the_earliest_start_is_shown() {
    let pushes = Pushes::adding();
    for start in [30, 10, 20] {
        pushes.put("/metrics/job/a", &total(1, start));
    }
    assert_eq!(pushes.lines(), ["x_total{job=\"a\"} 3.0", "x_created{job=\"a\"} 10.0"]);
}

#[test]
fn deltas_are_added_whole() {
    let pushes = Pushes::adding();
    for _ in 0..3 {
        assert_eq!(pushes.post("/metrics/job/a", "# TYPE x_total counter\nx_total 2\n"), 200);
    }
    assert_eq!(x(&pushes), "6.0");
}

#[test]
fn a_push_can_say_what_it_is() {
    let pushes = Pushes::new(Options::default());
    pushes.put("/metrics/job/a?push=delta", &total(2, 1));
    pushes.put("/metrics/job/a?push=delta", &total(2, 1));
    assert_eq!(x(&pushes), "4.0");

    pushes.put("/metrics/job/a?push=aggregate", &total(2, 1));
    pushes.put("/metrics/job/a?push=aggregate", &total(3, 1));
    assert_eq!(x(&pushes), "7.0");

    let bare = "# TYPE x_total counter\nx_total 5\n";
    let refused = pushes.refusal("/metrics/job/a?push=total", bare);
    assert!(
        refused.starts_with("x_total{instance=\"\"} is pushed as a running total and does not say whose"),
        "{refused}"
    );
    assert_eq!(pushes.put("/metrics/job/a?push=total&writer=w", bare), 200);
    assert_eq!(pushes.put("/metrics/job/a?push=total&writer=w", bare), 200);
    assert_eq!(x(&pushes), "12.0");

    assert_eq!(pushes.put("/metrics/job/a?push=replace", bare), 200);
    assert_eq!(x(&pushes), "5.0");
}

#[test]
fn a_writer_that_starts_again_counts_on() {
    let pushes = Pushes::adding();
    pushes.put("/metrics/job/a", &total(5, 1));
    pushes.put("/metrics/job/a", &total(2, 2));
    assert_eq!(x(&pushes), "7.0");

    let bare = |value: u32| format!("# TYPE x_total counter\nx_total {value}\n");
    pushes.put("/metrics/job/a?push=total&writer=w", &bare(5));
    pushes.put("/metrics/job/a?push=total&writer=w", &bare(2));
    assert_eq!(x(&pushes), "14.0");
}

#[test]
fn a_total_that_comes_late_counts_nothing() {
    let pushes = Pushes::adding();
    for value in [1, 5, 3, 5, 6] {
        pushes.put("/metrics/job/a", &total(value, 1));
    }
    assert_eq!(x(&pushes), "6.0");
}

#[test]
fn writers_of_one_start_are_told_apart_by_name() {
    let pushes = Pushes::adding();
    pushes.put("/metrics/job/a?writer=1", &total(5, 1));
    pushes.put("/metrics/job/a?writer=2", &total(5, 1));
    pushes.put("/metrics/job/a?writer=1", &total(6, 1));

    assert_eq!(x(&pushes), "11.0");
}

#[test]
fn a_series_begins_when_it_is_first_pushed_and_stays() {
    let pushes = Pushes::adding();
    let series = |label: u32, value: u32| {
        format!(
            "# TYPE x_total counter\nx_total{{l=\"{label}\"}} {value}\n# TYPE x_created gauge\nx_created{{l=\"{label}\"}} 1\n"
        )
    };
    pushes.put("/metrics/job/a", &series(1, 3));
    pushes.put("/metrics/job/a", &series(2, 4));
    pushes.put("/metrics/job/a", "");

    assert_eq!(pushes.lines()[..2], ["x_total{job=\"a\",l=\"1\"} 3.0", "x_total{job=\"a\",l=\"2\"} 4.0"]);
}

#[test]
fn histograms_add_up_by_bucket_and_summaries_without_quantiles() {
    let pushes = Pushes::adding();
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 7.5\nh_count 4\n\
                # TYPE s summary\ns{quantile=\"0.5\"} 3\ns_sum 6\ns_count 2\n";
    for _ in 0..2 {
        assert_eq!(pushes.put("/metrics/job/a", body), 200);
    }
    assert_eq!(
        pushes.lines(),
        [
            "h_bucket{job=\"a\",le=\"1.0\"} 2.0",
            "h_bucket{job=\"a\",le=\"2.0\"} 6.0",
            "h_bucket{job=\"a\",le=\"+Inf\"} 8.0",
            "h_count{job=\"a\"} 8.0",
            "h_sum{job=\"a\"} 15.0",
            "s_count{job=\"a\"} 4.0",
            "s_sum{job=\"a\"} 12.0",
        ]
    );
}

#[test]
fn histograms_of_different_bounds_keep_those_they_share() {
    let pushes = Pushes::adding();
    let push = |buckets: &[(&str, u32)], created: u32| {
        let count = buckets.last().unwrap().1;
        let lines: String = buckets.iter().map(|(le, count)| format!("h_bucket{{le=\"{le}\"}} {count}\n")).collect();
        let body = format!(
            "# TYPE h histogram\n{lines}h_sum 1\nh_count {count}\n# TYPE h_created gauge\nh_created {created}\n"
        );
        assert_eq!(pushes.put("/metrics/job/a", &body), 200);
    };
    let lines = || pushes.lines().into_iter().filter(|line| line.contains("_bucket")).collect::<Vec<_>>();
    push(&[("1", 1), ("2", 2), ("3", 4), ("+Inf", 5)], 1);
    push(&[("1", 1), ("3", 1), ("4", 1), ("+Inf", 1)], 2);
    assert_eq!(
        lines(),
        [
            "h_bucket{job=\"a\",le=\"1.0\"} 2.0",
            "h_bucket{job=\"a\",le=\"3.0\"} 5.0",
            "h_bucket{job=\"a\",le=\"+Inf\"} 6.0"
        ]
    );

    push(&[("1", 2), ("2", 4), ("3", 6), ("+Inf", 8)], 1);
    assert_eq!(
        lines(),
        [
            "h_bucket{job=\"a\",le=\"1.0\"} 3.0",
            "h_bucket{job=\"a\",le=\"3.0\"} 7.0",
            "h_bucket{job=\"a\",le=\"+Inf\"} 9.0"
        ]
    );

    push(&[("7", 1), ("+Inf", 1)], 3);
    assert_eq!(lines(), ["h_bucket{job=\"a\",le=\"+Inf\"} 10.0"]);
}

#[test]
fn gauges_do_as_the_push_says() {
    for (mode, expected) in [("last", "2.0"), ("sum", "10.0"), ("min", "2.0"), ("max", "5.0")] {
        let pushes = Pushes::adding();
        for value in [5, 3, 2] {
            let body = format!("# TYPE g gauge\ng {value}\n");
            assert_eq!(pushes.put(&format!("/metrics/job/a?gauge={mode}"), &body), 200);
        }
        assert_eq!(pushes.lines(), [format!("g{{job=\"a\"}} {expected}")], "{mode}");
    }
}

#[test]
fn untyped_samples_add_up_where_their_name_says_that_they_count() {
    let pushes = Pushes::adding();
    for _ in 0..2 {
        assert_eq!(
            pushes.put("/metrics/job/a", "x_total 1\ny_count 2\ny_sum 0.5\ny_bucket{le=\"1\"} 2\nsize 7\n"),
            200
        );
    }
    assert_eq!(
        pushes.lines(),
        [
            "size{job=\"a\"} 7.0",
            "x_total{job=\"a\"} 2.0",
            "y_bucket{job=\"a\",le=\"1\"} 4.0",
            "y_count{job=\"a\"} 4.0",
            "y_sum{job=\"a\"} 1.0",
        ]
    );
}

#[test]
fn a_line_without_a_type_adds_to_a_counter_that_has_one() {
    let pushes = Pushes::adding();
    assert_eq!(pushes.put("/metrics/job/a", &total(2, 1)), 200);
    assert_eq!(pushes.put("/metrics/job/a", "x_total 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/b", "x_total 1\n"), 200);

    assert_eq!(x(&pushes), "3.0");
    assert!(pushes.text().contains("# TYPE x_total counter\n"));
}

#[test]
fn a_sum_without_a_type_may_be_pushed_below_zero() {
    let pushes = Pushes::adding();
    assert_eq!(pushes.post("/metrics/job/a", "delta_sum 5\ndelta_count 1\n"), 200);
    assert_eq!(pushes.post("/metrics/job/a", "delta_sum -8\ndelta_count 1\n"), 200);

    assert_eq!(pushes.lines(), ["delta_count{job=\"a\"} 2.0", "delta_sum{job=\"a\"} -3.0"]);
    assert_eq!(pushes.post("/metrics/job/a", "delta_sum NaN\n"), 400);
    assert_eq!(pushes.post("/metrics/job/a", "delta_count -1\n"), 400);
}

#[test]
fn a_sum_falls_where_what_is_observed_is_negative() {
    let pushes = Pushes::adding();
    for (count, sum) in [(1, 5.0), (2, 2.0), (3, 1.0)] {
        let body = format!("# TYPE s summary\ns_count {count}\ns_sum {sum}\n# TYPE s_created gauge\ns_created 1\n");
        assert_eq!(pushes.put("/metrics/job/a", &body), 200);
    }
    assert_eq!(pushes.lines()[..2], ["s_count{job=\"a\"} 3.0", "s_sum{job=\"a\"} 1.0"]);
}

#[test]
fn what_cannot_be_added_up_is_refused_whole() {
    let pushes = Pushes::adding();
    pushes.put("/metrics/job/a", "# TYPE x_total counter\nx_total 1\n");
    for (body, reason) in [
        ("# TYPE y counter\ny -5\n", "is below zero or no number"),
        ("# TYPE y counter\ny NaN\n", "is below zero or no number"),
        ("# TYPE y counter\ny +Inf\n", "is below zero or no number"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 3\n", "has buckets that are not cumulative"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_count 4\n", "has a count that is not that of the bucket +Inf"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} -1\n", "has a bucket or a sum that is no number"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum NaN\n", "has a bucket or a sum that is no number"),
        ("# TYPE s summary\ns_sum +Inf\ns_count 1\n", "has a count or a sum that is no number"),
        ("# TYPE x_total gauge\nx_total 1\n", "x_total is pushed as gauge and was pushed as counter"),
    ] {
        let body = if body.contains("x_total") { body.to_owned() } else { format!("x_total 1\n{body}") };
        let body = body.replace("x_total 1\n#", "# TYPE x_total counter\nx_total 1\n#");
        let found = pushes.refusal("/metrics/job/a", &body);
        assert!(found.contains(reason), "{body}: {found}");
    }
    assert_eq!(x(&pushes), "1.0");
}

#[test]
fn small_numbers_are_not_lost_to_rounding() {
    let pushes = Pushes::adding();
    for _ in 0..1000 {
        assert_eq!(pushes.put("/metrics/job/a", "# TYPE x_total counter\nx_total 0.1\n"), 200);
    }
    assert_eq!(x(&pushes), "100.0", "and not 99.9999999999986, as plain addition has it");
}

#[test]
fn a_writer_that_was_silent_for_a_day_is_forgotten() {
    let pushes = Pushes::adding();
    pushes.put("/metrics/job/a", &total(5, 1));
    pushes.wait(24.0 * 3600.0 - 1.0);
    pushes.put("/metrics/job/a", &total(6, 1));
    pushes.wait(24.0 * 3600.0 - 1.0);
    pushes.put("/metrics/job/a", &total(6, 1));
    assert_eq!(x(&pushes), "6.0");

    pushes.wait(24.0 * 3600.0);
    pushes.put("/metrics/job/a", &total(6, 1));
    assert_eq!(x(&pushes), "12.0");
}

#[test]
fn one_writer_too_many_is_refused_and_not_miscounted() {
    let pushes = Pushes::new(Options { aggregate: true, max_writers: 2, ..Options::default() });
    pushes.put("/metrics/job/a", &total(1, 1));
    pushes.put("/metrics/job/a", &total(1, 2));
    assert_eq!(pushes.put("/metrics/job/a", &total(1, 3)), 413);
    assert_eq!(pushes.put("/metrics/job/a", &total(2, 1)), 200);
    assert_eq!(x(&pushes), "3.0");
}

#[test]
fn jobs_that_have_ended_make_room_for_others() {
    let pushes = Pushes::new(Options { aggregate: true, max_writers: 1002, ..Options::default() });
    pushes.put("/metrics/job/a", &total(1, 1));
    pushes.put("/metrics/job/a", &total(2, 1));
    for job in 2..=1002 {
        assert_eq!(pushes.put("/metrics/job/a", &total(1, job)), 200);
    }
    assert_eq!(pushes.put("/metrics/job/a", &total(1, 2000)), 413, "one of the others may be repeated still");
    assert_eq!(pushes.put("/metrics/job/a", &total(1, 2)), 200, "as this one is");

    pushes.wait(3600.0);
    assert_eq!(pushes.put("/metrics/job/a", &total(1, 2000)), 200);
    assert_eq!(pushes.put("/metrics/job/a", &total(4, 1)), 200, "one that pushes again and again is known");
    assert_eq!(x(&pushes), "1006.0");
    assert_eq!(pushes.put("/metrics/job/a", &total(5, 2)), 200, "the one that was forgotten counts whole");
    assert_eq!(x(&pushes), "1011.0");
}

#[test]
fn a_repeated_push_with_an_id_counts_once() {
    let pushes = Pushes::adding();
    let delta = "# TYPE x_total counter\nx_total 2\n";
    for id in ["1", "2", "1", "2", "3"] {
        assert_eq!(pushes.post(&format!("/metrics/job/a?id={id}"), delta), 200);
    }
    assert_eq!(x(&pushes), "6.0");
}

#[test]
fn the_newest_exemplar_is_kept() {
    let pushes = Pushes::adding();
    let push = |value: u32, trace: &str, time: u32| {
        let body = format!("# TYPE x counter\nx_total {value} # {{trace_id=\"{trace}\"}} 1 {time}\n# EOF\n");
        let headers = [("content-type", "application/openmetrics-text; version=1.0.0")];
        assert_eq!(pushes.ask(hyper::Method::POST, "/metrics/job/a", &headers, body.as_bytes()).status, 200);
    };
    push(1, "first", 10);
    push(1, "newest", 30);
    push(1, "late", 20);
    let mut out = Vec::new();
    let snapshot = pushes.gateway.snapshot().unwrap();
    tallymark_model::encode::openmetrics(&snapshot, tallymark_model::Escaping::AllowUtf8, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();

    assert!(text.contains("x_total{instance=\"\",job=\"a\"} 3.0 # {trace_id=\"newest\"} 1.0 30"), "{text}");
}
