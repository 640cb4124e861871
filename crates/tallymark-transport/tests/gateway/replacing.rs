//! A push takes the place of the last one: the Pushgateway's way.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tallymark_transport::gateway::Options;

use super::Pushes;

fn pushes() -> Pushes {
    Pushes::new(Options::default())
}

#[test]
fn a_put_replaces_the_group_and_a_post_families_of_the_same_names() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "x 1\ny{l=\"1\"} 2\n"), 200);
    assert_eq!(pushes.post("/metrics/job/a", "y{l=\"2\"} 3\nz 4\n"), 200);
    assert_eq!(pushes.lines(), ["x{job=\"a\"} 1.0", "y{job=\"a\",l=\"2\"} 3.0", "z{job=\"a\"} 4.0"]);

    assert_eq!(pushes.put("/metrics/job/a", "z 5\n"), 200);
    assert_eq!(pushes.lines(), ["z{job=\"a\"} 5.0"]);
}

#[test]
fn groups_are_told_apart_by_all_of_their_labels() {
    let pushes = pushes();
    for path in ["/metrics/job/a", "/metrics/job/a/host/1", "/metrics/job/a/host/2", "/metrics/job/a/zone/1"] {
        assert_eq!(pushes.put(path, "x 1\n"), 200);
    }
    assert_eq!(pushes.put("/metrics/job/a/zone/1/host/2", "x 2\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a/host/2/zone/1", "x 3\n"), 200);
    assert_eq!(pushes.delete("/metrics/job/a/host/1"), 202);

    assert_eq!(
        pushes.lines(),
        [
            "x{host=\"2\",job=\"a\"} 1.0",
            "x{host=\"2\",job=\"a\",zone=\"1\"} 3.0",
            "x{job=\"a\"} 1.0",
            "x{job=\"a\",zone=\"1\"} 1.0",
        ]
    );
}

#[test]
fn labels_of_the_path_take_the_place_of_the_bodys() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a/host/h", "x{host=\"z\",job=\"b\",instance=\"i\"} 1\n"), 200);

    assert_eq!(pushes.lines(), ["x{host=\"h\",instance=\"i\",job=\"a\"} 1.0"]);
}

#[test]
fn every_series_has_an_instance_so_that_the_scraper_gives_it_none() {
    let pushes = pushes();
    pushes.put("/metrics/job/a", "x 1\n");

    assert!(pushes.text().contains("\nx{instance=\"\",job=\"a\"} 1.0\n"), "{}", pushes.text());
    assert!(pushes.text().contains("\npush_time_seconds{instance=\"\",job=\"a\"} 1.7e+09\n"), "{}", pushes.text());
}

#[test]
fn an_empty_put_empties_the_group_and_an_empty_post_only_stamps_it() {
    let pushes = pushes();
    pushes.put("/metrics/job/a", "x 1\n");
    pushes.wait(5.0);
    assert_eq!(pushes.post("/metrics/job/a", ""), 200);
    assert_eq!(pushes.lines(), ["x{job=\"a\"} 1.0"]);
    assert_eq!(pushes.stamps(), ["failure_time{job=\"a\"} never", "time{job=\"a\"} 5"]);

    pushes.wait(5.0);
    assert_eq!(pushes.put("/metrics/job/a", ""), 200);
    assert!(pushes.lines().is_empty());
    assert_eq!(pushes.stamps(), ["failure_time{job=\"a\"} never", "time{job=\"a\"} 10"]);
}

#[test]
fn what_is_deleted_or_was_never_there_is_answered_alike() {
    let pushes = pushes();
    pushes.put("/metrics/job/a", "x 1\n");

    assert_eq!(pushes.delete("/metrics/job/a"), 202);
    assert_eq!(pushes.delete("/metrics/job/a"), 202);
    assert_eq!(pushes.text(), "");
}

#[test]
fn names_and_types_come_out_as_they_came_in() {
    let pushes = pushes();
    let families = "\
# HELP c_total A \"counter\".
# TYPE c_total counter
c_total{instance=\"\",job=\"a\"} 2.0
# HELP h Waiting.
# TYPE h histogram
h_bucket{instance=\"\",job=\"a\",le=\"1.0\"} 2.0
h_bucket{instance=\"\",job=\"a\",le=\"+Inf\"} 3.0
h_count{instance=\"\",job=\"a\"} 3.0
h_sum{instance=\"\",job=\"a\"} 4.5
# HELP jobs Counted without a suffix.
# TYPE jobs counter
jobs{instance=\"\",job=\"a\"} 1.0
";
    let summary = "\
# HELP s Sizes.
# TYPE s summary
s{instance=\"\",job=\"a\",quantile=\"0.5\"} 1.0
s_count{instance=\"\",job=\"a\"} 7.0
s_sum{instance=\"\",job=\"a\"} 9.0
# HELP temperature 
# TYPE temperature gauge
temperature{instance=\"\",job=\"a\"} NaN
# HELP u 
# TYPE u untyped
u{instance=\"\",job=\"a\"} -1.0
";
    assert_eq!(pushes.put("/metrics/job/a", &format!("{families}{summary}")), 200);

    let stamps = pushes.text().replace(families, "").replace(summary, "");
    assert!(stamps.starts_with("# HELP push_failure_time_seconds") && stamps.lines().count() == 6, "{stamps}");
}

#[test]
fn a_histogram_and_a_summary_get_what_they_lack() {
    let pushes = pushes();
    pushes.put("/metrics/job/a", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 3\n# TYPE s summary\ns_sum 1\n");

    assert_eq!(
        pushes.lines(),
        [
            "h_bucket{job=\"a\",le=\"1.0\"} 2.0",
            "h_bucket{job=\"a\",le=\"+Inf\"} 3.0",
            "h_count{job=\"a\"} 3.0",
            "h_sum{job=\"a\"} 0.0",
            "s_count{job=\"a\"} 0.0",
            "s_sum{job=\"a\"} 1.0",
        ]
    );
}

#[test]
fn stamps_that_are_pushed_are_passed_over() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a", "# TYPE push_time_seconds counter\npush_time_seconds{l=\"1\"} 1\n"), 200);

    assert_eq!(pushes.stamps(), ["failure_time{job=\"a\"} never", "time{job=\"a\"} 0"]);
}

#[test]
fn a_repeated_push_of_one_id_changes_nothing() {
    let pushes = pushes();
    assert_eq!(pushes.put("/metrics/job/a?id=1", "x 1\n"), 200);
    assert_eq!(pushes.put("/metrics/job/a?id=2", "x 2\n"), 200);
    pushes.wait(60.0);
    assert_eq!(pushes.put("/metrics/job/a?id=1", "x 1\n"), 200);
    assert_eq!(pushes.lines(), ["x{job=\"a\"} 2.0"]);
    assert_eq!(pushes.stamps()[1], "time{job=\"a\"} 0");

    pushes.wait(24.0 * 3600.0);
    assert_eq!(pushes.put("/metrics/job/a?id=1", "x 1\n"), 200);
    assert_eq!(pushes.lines(), ["x{job=\"a\"} 1.0"]);
}

/// What the gateway should be: groups of families of values.
type Model = BTreeMap<String, BTreeMap<String, BTreeMap<String, u32>>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pushes_leave_what_a_simple_model_holds(
        requests in prop::collection::vec((0..3u8, 0..3u8, prop::collection::btree_map(("[xyz]", "[12]"), 0..9u32, 0..5)), 0..20),
    ) {
        let pushes = pushes();
        let mut model = Model::new();
        for (method, group, samples) in requests {
            let group = ["a", "b", "c"][usize::from(group)].to_owned();
            let path = format!("/metrics/job/{group}");
            let body: String = samples.iter().map(|((name, label), value)| format!("{name}{{l=\"{label}\"}} {value}\n")).collect();
            let mut families = BTreeMap::<String, BTreeMap<String, u32>>::new();
            for ((name, label), value) in samples {
                families.entry(name).or_default().insert(label, value);
            }
            match method {
                0 => {
                    prop_assert_eq!(pushes.put(&path, &body), 200);
                    model.insert(group, families);
                }
                1 => {
                    prop_assert_eq!(pushes.post(&path, &body), 200);
                    model.entry(group).or_default().extend(families);
                }
                _ => {
                    prop_assert_eq!(pushes.delete(&path), 202);
                    model.remove(&group);
                }
            }
        }
        let mut expected = Vec::new();
        for (group, families) in &model {
            for (name, series) in families {
                expected.extend(series.iter().map(|(label, value)| format!("{name}{{job=\"{group}\",l=\"{label}\"}} {value}.0")));
            }
        }
        expected.sort();
        prop_assert_eq!(pushes.lines(), expected);
        prop_assert_eq!(pushes.stamps().len(), 2 * model.len());
    }
}
