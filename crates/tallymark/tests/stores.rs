//! What every store promises: the same program shows the same exposition, whichever store it counts into.

use tallymark::model::{Exemplar, GaugeMode};
use tallymark::{Registry, Store};

/// A store to run a case on, and the directory it lives in.
fn stores() -> Vec<(&'static str, Registry, tempfile::TempDir)> {
    let directory = || tempfile::tempdir().unwrap();
    let file = directory();
    let url = format!("file:{}", file.path().join("metrics.tally").display());
    vec![("memory", Registry::new(), directory()), ("file", Registry::open(&url).unwrap(), file)]
}

/// The lines of an exposition that are about the case: without the store's own metrics and times of creation.
fn lines(registry: &Registry) -> Vec<String> {
    let text = registry.text();
    let own = |line: &str| line.contains("tallymark_") || line.contains("_created");
    text.lines().filter(|line| !own(line)).map(str::to_owned).collect()
}

fn check(program: impl Fn(&Registry), expected: &[&str]) {
    for (name, registry, _directory) in stores() {
        program(&registry);
        assert_eq!(lines(&registry), expected, "in the {name} store");
    }
}

#[test]
fn counters_add_whole_and_broken_amounts() {
    check(
        |registry| {
            let hits = registry.counter("hits", "Hits.").label_names(["path"]).register().unwrap();
            let root = hits.with(&["/"]).unwrap();
            root.inc();
            root.inc_by(2.0).unwrap();
            root.inc_by(0.5).unwrap();
            assert!(root.inc_by(-1.0).is_err());
            hits.with(&["/b\"\\\n"]).unwrap().inc();
        },
        &[
            "# HELP hits_total Hits.",
            "# TYPE hits_total counter",
            r#"hits_total{path="/"} 3.5"#,
            r#"hits_total{path="/b\"\\\n"} 1.0"#,
        ],
    );
}

#[test]
fn histograms_and_summaries_count_and_sum() {
    check(
        |registry| {
            let seconds = registry.histogram("seconds", "").bounds(&[0.5, 1.0]).register().unwrap();
            let seconds = seconds.with::<&str>(&[]).unwrap();
            [0.25, 0.5, 0.75, 4.0].into_iter().for_each(|amount| seconds.observe(amount));
            let size = registry.summary("size", "").register_one().unwrap();
            size.observe(3.0);
            size.observe(4.5);
        },
        &[
            "# HELP seconds ",
            "# TYPE seconds histogram",
            r#"seconds_bucket{le="0.5"} 2.0"#,
            r#"seconds_bucket{le="1.0"} 3.0"#,
            r#"seconds_bucket{le="+Inf"} 4.0"#,
            "seconds_count 4.0",
            "seconds_sum 5.5",
            "# HELP size ",
            "# TYPE size summary",
            "size_count 2.0",
            "size_sum 7.5",
        ],
    );
}

#[test]
fn gauges_infos_and_states_show_their_value() {
    check(
        |registry| {
            let queue = registry.gauge("queue", "").register_one().unwrap();
            queue.set(5.0);
            queue.dec();
            let low = registry.gauge("low", "").mode(GaugeMode::Min).register_one().unwrap();
            low.set(-2.5);
            let build = registry.info("build", "").register_one().unwrap();
            build.set(&[("version", "1"), ("host", "a")]).unwrap();
            build.set(&[("version", "2")]).unwrap();
            let state = registry.state_set("state", "", &["up", "down"]).register().unwrap();
            state.with::<&str>(&[]).unwrap().set("down").unwrap();
        },
        &[
            "# HELP queue ",
            "# TYPE queue gauge",
            "queue 4.0",
            "# HELP low ",
            "# TYPE low gauge",
            "low -2.5",
            "# HELP build_info ",
            "# TYPE build_info gauge",
            r#"build_info{version="2"} 1.0"#,
            "# HELP state ",
            "# TYPE state gauge",
            r#"state{state="up"} 0.0"#,
            r#"state{state="down"} 1.0"#,
        ],
    );
}

#[test]
fn a_removed_series_starts_again_at_zero() {
    check(
        |registry| {
            let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
            hits.with(&["/kept"]).unwrap().inc();
            let old = hits.with(&["/"]).unwrap();
            old.inc();
            hits.remove(&["/"]).unwrap();
            // Who removed it keeps a handle that counts nowhere.
            old.inc();
            hits.with(&["/"]).unwrap().inc_by(7.0).unwrap();
        },
        &[
            "# HELP hits_total ",
            "# TYPE hits_total counter",
            r#"hits_total{path="/kept"} 1.0"#,
            r#"hits_total{path="/"} 7.0"#,
        ],
    );
}

#[test]
fn cleared_families_are_empty_and_reset_counters_zero() {
    check(
        |registry| {
            let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
            hits.with(&["/a"]).unwrap().inc();
            hits.with(&["/b"]).unwrap().inc();
            hits.clear();
            let total = registry.counter("total", "").register_one().unwrap();
            total.inc_by(9.5).unwrap();
            total.reset_at(1.0);
            total.inc();
        },
        &[
            "# HELP hits_total ",
            "# TYPE hits_total counter",
            "# HELP total_total ",
            "# TYPE total_total counter",
            "total_total 1.0",
        ],
    );
}

#[test]
fn the_last_exemplar_is_shown_with_its_bucket() {
    for (name, registry, _directory) in stores() {
        let seconds = registry.histogram("seconds", "").bounds(&[1.0]).register_one().unwrap();
        for trace in ["first", "second", &"a much longer one ".repeat(6)] {
            let labels = vec![("trace_id".to_owned(), trace.to_owned())];
            seconds.observe_with_exemplar(0.5, Exemplar { labels, value: 0.0, timestamp: Some(1.5.into()) }).unwrap();
        }
        let too_long = vec![("trace_id".to_owned(), "x".repeat(200))];
        assert!(
            seconds.observe_with_exemplar(0.5, Exemplar { labels: too_long, value: 0.0, timestamp: None }).is_err()
        );
        let mut text = Vec::new();
        let snapshot = registry.snapshot();
        tallymark::model::encode::openmetrics(&snapshot, tallymark::model::Escaping::Underscores, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected =
            format!("seconds_bucket{{le=\"1.0\"}} 3.0 # {{trace_id=\"{}\"}} 0.5 1.5\n", "a much longer one ".repeat(6));
        assert!(text.contains(&expected), "in the {name} store:\n{text}");
    }
}

#[test]
fn what_was_counted_moves_along_to_another_store() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let registry = Registry::new();
    let hits = registry.counter("hits", "").register_one().unwrap();
    let seconds = registry.histogram("seconds", "").bounds(&[1.0]).register_one().unwrap();
    let facts = registry.info("facts", "").register_one().unwrap();
    hits.inc_by(2.5).unwrap();
    seconds.observe(0.5);
    facts.set(&[("a", "b")]).unwrap();

    registry.use_store(Store::open(&url).unwrap());
    hits.inc();
    seconds.observe(3.0);

    let other = Registry::open(&url).unwrap();
    let expected = [
        "# HELP hits_total ",
        "# TYPE hits_total counter",
        "hits_total 3.5",
        "# HELP seconds ",
        "# TYPE seconds histogram",
        r#"seconds_bucket{le="1.0"} 1.0"#,
        r#"seconds_bucket{le="+Inf"} 2.0"#,
        "seconds_count 2.0",
        "seconds_sum 3.5",
        "# HELP facts_info ",
        "# TYPE facts_info gauge",
        r#"facts_info{a="b"} 1.0"#,
    ];
    assert_eq!(lines(&registry), expected);
    assert_eq!(lines(&other), expected, "read by one that declares nothing");
}

#[test]
fn totals_outlive_the_store_that_counted_them() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    for _ in 0..40 {
        let registry = Registry::open(&url).unwrap();
        let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
        hits.with(&["/"]).unwrap().inc_by(1.25).unwrap();
        let last = registry.gauge("last", "").register_one().unwrap();
        last.set(7.0);
        let busy = registry.gauge("busy", "").register_one().unwrap();
        busy.inc();
    }
    let lines = lines(&Registry::open(&url).unwrap());
    assert!(lines.contains(&r#"hits_total{path="/"} 50.0"#.to_owned()), "{lines:#?}");
    assert!(lines.contains(&"last 7.0".to_owned()), "the last value set, of a process that has ended");
    assert!(lines.contains(&"busy 0.0".to_owned()), "what only counts up and down is the live processes'");
}

#[test]
fn two_bucket_layouts_of_one_name_are_merged_on_the_bounds_they_share() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let mut registries = Vec::new();
    for bounds in [&[0.5, 1.0, 2.0][..], &[1.0, 4.0]] {
        let registry = Registry::open(&url).unwrap();
        let seconds = registry.histogram("seconds", "").bounds(bounds).register_one().unwrap();
        [0.25, 0.75, 1.5, 3.0].into_iter().for_each(|amount| seconds.observe(amount));
        registries.push(registry);
    }
    for registry in &registries {
        assert_eq!(
            lines(registry)[2..],
            [
                r#"seconds_bucket{le="1.0"} 4.0"#,
                r#"seconds_bucket{le="+Inf"} 8.0"#,
                "seconds_count 8.0",
                "seconds_sum 11.0"
            ]
        );
    }
}

#[test]
fn other_label_names_stand_under_the_same_family() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let (old, new) = (Registry::open(&url).unwrap(), Registry::open(&url).unwrap());
    old.counter("hits", "").label_names(["path"]).register().unwrap().with(&["/"]).unwrap().inc();
    new.counter("hits", "").label_names(["path", "code"]).register().unwrap().with(&["/", "200"]).unwrap().inc();
    let expected = [
        "# HELP hits_total ",
        "# TYPE hits_total counter",
        r#"hits_total{path="/"} 1.0"#,
        r#"hits_total{code="200",path="/"} 1.0"#,
    ];
    assert_eq!(lines(&old), expected);
    assert_eq!(lines(&new), expected);
}

#[test]
fn a_file_that_is_deleted_is_made_anew_and_read_with_its_own_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let url = format!("file:{}", path.display());
    let registry = Registry::open(&url).unwrap();
    let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
    let (a, b) = (hits.with(&["/a"]).unwrap(), hits.with(&["/b"]).unwrap());
    a.inc();
    b.inc();
    assert_eq!(lines(&registry)[2..], [r#"hits_total{path="/a"} 1.0"#, r#"hits_total{path="/b"} 1.0"#]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lines(&registry), ["# HELP hits_total ", "# TYPE hits_total counter"]);
    b.inc_by(5.0).unwrap();
    a.inc_by(3.0).unwrap();
    let expected = [r#"hits_total{path="/b"} 5.0"#, r#"hits_total{path="/a"} 3.0"#];
    assert_eq!(lines(&registry)[2..], expected);
    assert_eq!(lines(&Registry::open(&url).unwrap())[2..], expected);
    assert!(registry.text().contains("tallymark_file_replacements 1.0"));
}

#[test]
fn definitions_that_differ_in_mode_label_order_or_states_give_one_series() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let (old, new) = (Registry::open(&url).unwrap(), Registry::open(&url).unwrap());
    old.gauge("queue", "").mode(GaugeMode::Sum).register_one().unwrap().set(3.0);
    new.gauge("queue", "").mode(GaugeMode::Max).register_one().unwrap().set(5.0);
    old.counter("hits", "").label_names(["a", "b"]).register().unwrap().with(&["1", "2"]).unwrap().inc();
    new.counter("hits", "").label_names(["b", "a"]).register().unwrap().with(&["2", "1"]).unwrap().inc();
    old.state_set("state", "", &["up"]).register_one().unwrap();
    new.state_set("state", "", &["down", "up"]).register_one().unwrap().set("down").unwrap();
    let values = |registry| lines(registry).into_iter().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    let expected =
        ["queue 5.0", r#"hits_total{a="1",b="2"} 2.0"#, r#"state{state="up"} 0.0"#, r#"state{state="down"} 1.0"#];
    assert_eq!(values(&old), expected);
    assert_eq!(values(&new), expected);
}

#[test]
fn a_file_has_the_mode_that_was_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for (query, mode) in [("", 0o600), ("?mode=0666", 0o666)] {
        let path = directory.path().join(format!("{mode}.tally"));
        Store::open(&format!("file:{}{query}", path.display())).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn what_is_updated_after_leaving_is_counted_in_blocks_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file:{}", directory.path().join("metrics.tally").display())).unwrap();
    let registry = Registry::with_store(store.clone());
    let hits = registry.counter("hits", "").register_one().unwrap();
    let live = registry.gauge("live", "").mode(GaugeMode::LiveSum).register_one().unwrap();
    let build = registry.info("build", "").register_one().unwrap();
    hits.inc();
    live.set(5.0);
    build.set(&[("version", "1")]).unwrap();
    store.leave();
    // Whatever takes the room that was left must not be written over.
    let other = registry.gauge("other", "").mode(GaugeMode::LiveSum).register_one().unwrap();
    other.set(1.0);
    hits.inc();
    live.set(6.0);
    build.set(&[("version", "2")]).unwrap();

    let lines = lines(&registry);
    let has = |line: &str| assert!(lines.iter().any(|known| known == line), "no {line} in {lines:#?}");
    has("hits_total 2.0");
    has("live 6.0");
    has("other 1.0");
    has("build_info{version=\"2\"} 1.0");
}

#[test]
fn a_handle_without_a_store_writes_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let registry = Registry::open(&url).unwrap();
    let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
    let removed = hits.with(&["/"]).unwrap();
    removed.inc();
    hits.remove(&["/"]).unwrap();
    // The last use of the file store, but for the handle.
    registry.use_store(Store::Memory);
    let other = Registry::open(&url).unwrap();
    let theirs = other.counter("theirs", "").register_one().unwrap();
    theirs.inc();
    removed.inc_by(41.0).unwrap();

    assert_eq!(theirs.local(), 1.0);
}

#[test]
fn a_reset_is_for_series_that_only_others_have_used_too() {
    for (name, registry, directory) in stores() {
        let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
        hits.with(&["/"]).unwrap().inc();
        if name == "file" {
            let url = format!("file:{}", directory.path().join("metrics.tally").display());
            let other = Registry::open(&url).unwrap();
            let theirs = other.counter("hits", "").label_names(["path"]).register().unwrap();
            theirs.with(&["/"]).unwrap().inc();
            theirs.with(&["/theirs"]).unwrap().inc();
        }
        let removed = hits.with(&["/gone"]).unwrap();
        hits.remove(&["/gone"]).unwrap();
        hits.with(&["/gone"]).unwrap().inc();
        // Of a series that is not there any more: its successor stays.
        removed.reset();
        assert!(lines(&registry).contains(&"hits_total{path=\"/gone\"} 1.0".to_owned()), "in the {name} store");
        hits.reset();

        let expected = ["# HELP hits_total ", "# TYPE hits_total counter"];
        let zero = ["hits_total{path=\"/\"} 0.0", "hits_total{path=\"/gone\"} 0.0"];
        assert_eq!(lines(&registry), [&expected[..], &zero[..]].concat(), "in the {name} store");
    }
}
