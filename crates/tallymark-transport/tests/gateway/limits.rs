//! How much there may be, and for how long.

use std::time::Duration;

use tallymark_transport::gateway::Options;

use super::Pushes;

#[test]
fn more_series_than_may_be_are_refused() {
    let pushes = Pushes::new(Options { max_series: 7, ..Options::default() });
    assert_eq!(pushes.put("/metrics/job/a", "x 1\ny 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/b", "x 1\ny 1\n"), 413, "the stamps of a group are two");
    assert_eq!(pushes.put("/metrics/job/b", "x 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/c", ""), 413);
    assert_eq!(pushes.put("/metrics/job/a", "x 2\ny 2\n"), 200);
    assert_eq!(pushes.lines().len() + pushes.stamps().len(), 7);

    pushes.delete("/metrics/job/a");
    assert_eq!(pushes.put("/metrics/job/c", "x 1\n"), 200);
}

#[test]
fn more_bytes_than_may_be_are_refused() {
    let pushes = Pushes::new(Options { max_bytes: 3000, ..Options::default() });
    let long = |name: &str, length: usize| format!("{name}{{a=\"{}\"}} 1\n", "x".repeat(length));
    assert_eq!(pushes.put("/metrics/job/a", &long("x", 2000)), 200);
    assert_eq!(pushes.put("/metrics/job/b", &long("y", 2000)), 413);
    assert_eq!(pushes.post("/metrics/job/a", &long("y", 2000)), 413);
    assert_eq!(pushes.put("/metrics/job/a", &long("x", 1000)), 200, "what makes it less is taken");
    assert_eq!(pushes.put("/metrics/job/b", &long("y", 1000)), 200);
    assert_eq!(pushes.put("/metrics/job/b", &long("y", 2000)), 413);

    pushes.delete("/metrics/job/a");
    assert_eq!(pushes.put("/metrics/job/b", &long("y", 2000)), 200);
}

#[test]
fn the_labels_of_a_group_count_once_for_each_series() {
    let pushes = Pushes::new(Options { max_bytes: 20_000, ..Options::default() });
    let group = format!("/metrics/job/a/b/{}", "x".repeat(1000));
    let body = |lines: usize| (0..lines).map(|line| format!("x{line} 1\n")).collect::<String>();
    assert_eq!(pushes.put(&group, &body(20)), 413);
    assert_eq!(pushes.put("/metrics/job/a", &body(20)), 200);
    assert_eq!(pushes.put(&group, &body(10)), 200);
    assert!(pushes.text().len() < 20_000);
}

#[test]
fn a_refused_push_makes_no_group_where_there_is_no_room() {
    let pushes = Pushes::new(Options { max_series: 3, ..Options::default() });
    assert_eq!(pushes.put("/metrics/job/a", "x 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/b", "x 1 2\n"), 400);

    assert_eq!(pushes.stamps().len(), 2);
}

#[test]
fn a_group_ends_when_nobody_has_pushed_to_it_for_its_time() {
    let pushes = Pushes::new(Options { ttl: Some(Duration::from_secs(60)), ..Options::default() });
    pushes.put("/metrics/job/a", "x 1\n");
    pushes.put("/metrics/job/b?ttl=100", "x 1\n");
    pushes.wait(59.0);
    pushes.post("/metrics/job/a", "");
    pushes.wait(59.0);
    assert_eq!(pushes.lines().len(), 1, "only a push of its own prolongs it");
    pushes.wait(1.0);
    assert_eq!(pushes.lines(), Vec::<String>::new());
}

#[test]
fn a_refused_push_prolongs_nothing_and_what_it_leaves_ends_too() {
    let pushes = Pushes::new(Options::default());
    pushes.put("/metrics/job/a?ttl=10", "x 1\n");
    pushes.wait(9.0);
    assert_eq!(pushes.put("/metrics/job/a?ttl=10", "x 1 2\n"), 400);
    assert_eq!(pushes.put("/metrics/job/b?ttl=10", "x 1 2\n"), 400);
    pushes.wait(1.0);
    assert_eq!(pushes.stamps(), ["failure_time{job=\"b\"} 9", "time{job=\"b\"} never"]);

    pushes.wait(9.0);
    assert_eq!(pushes.text(), "");
}

#[test]
fn an_ended_group_is_in_nobodys_way() {
    let pushes = Pushes::new(Options { max_series: 3, ..Options::default() });
    pushes.put("/metrics/job/a?ttl=10", "# TYPE x counter\nx 1\n");
    pushes.wait(10.0);

    assert_eq!(pushes.put("/metrics/job/b", "# TYPE x gauge\nx 1\n"), 200);
    assert_eq!(pushes.lines(), ["x{job=\"b\"} 1.0"]);
}

#[test]
fn a_group_that_has_ended_counts_from_the_beginning() {
    let pushes = Pushes::adding();
    for _ in 0..2 {
        pushes.put("/metrics/job/a?ttl=10", "x_total 1\n");
    }
    assert_eq!(pushes.lines(), ["x_total{job=\"a\"} 2.0"]);

    pushes.wait(10.0);
    pushes.put("/metrics/job/a?ttl=10", "x_total 1\n");
    assert_eq!(pushes.lines(), ["x_total{job=\"a\"} 1.0"]);
}
