//! What every store promises: the same program shows the same exposition, whichever store it counts into.

use std::path::Path;
use std::sync::Arc;

use tallymark::model::{Exemplar, Family, GaugeMode, Kind};
use tallymark::{AnyFamily, Registry, Store};

#[cfg(feature = "redis")]
#[path = "../src/store/ledger/redis/server.rs"]
#[expect(dead_code, reason = "the ledger's own tests need more of it")]
mod server;

/// A store to run a case on, with what it needs.
struct Place {
    name: &'static str,
    /// Its URL, which takes further options behind it.
    url: String,
    directory: tempfile::TempDir,
    #[cfg(feature = "redis")]
    _servers: Box<dyn std::any::Any>,
}

impl Place {
    fn new(name: &'static str, url: impl FnOnce(&Path) -> String) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let url = url(directory.path());
        #[cfg(feature = "redis")]
        let _servers = Box::new(());
        Place {
            name,
            url,
            directory,
            #[cfg(feature = "redis")]
            _servers,
        }
    }

    /// The store as this host has it: all processes of a host have one file.
    fn registry(&self) -> Registry {
        self.registry_with("")
    }

    fn registry_with(&self, options: &str) -> Registry {
        Registry::open(&self.host("spool", options)).unwrap()
    }

    /// The URL that a host of this name has.
    fn host(&self, name: &str, options: &str) -> String {
        let spool = match self.name {
            "memory" | "file" => String::new(),
            _ => format!("&spool={}", self.directory.path().join(name).display()),
        };
        format!("{}{spool}{options}", self.url)
    }

    /// Whether hosts count in it that share no file.
    fn is_of_many_hosts(&self) -> bool {
        !matches!(self.name, "memory" | "file")
    }
}

/// Every store.
fn stores() -> Vec<Place> {
    let memory = Place::new("memory", |_| "memory:?".to_owned());
    [memory].into_iter().chain(shared()).collect()
}

/// Every store that processes share.
fn shared() -> Vec<Place> {
    let file = Place::new("file", |directory| format!("file:{}?", directory.join("metrics.tally").display()));
    #[cfg_attr(not(feature = "sqlite"), expect(unused_mut, reason = "there is nothing to add"))]
    let mut places = vec![file];
    #[cfg(feature = "sqlite")]
    places.push(Place::new("sqlite", |directory| format!("sqlite:{}?", directory.join("metrics.db").display())));
    #[cfg(feature = "redis")]
    {
        let server = server::Server::start(&[]);
        let redis = Place::new("redis", |_| format!("{}?", server.url()));
        places.push(Place { _servers: Box::new(server), ..redis });
        let cluster = server::Cluster::start();
        let redis = Place::new("cluster", |_| format!("{}?", cluster.url()));
        places.push(Place { _servers: Box::new(cluster), ..redis });
    }
    places
}

/// The lines of an exposition that are about the case: without the store's own metrics and times of creation.
fn lines(registry: &Registry) -> Vec<String> {
    let text = registry.text();
    let own = |line: &str| line.contains("tallymark_") || line.contains("_created");
    text.lines().filter(|line| !own(line)).map(str::to_owned).collect()
}

fn sorted<T: AsRef<str>>(lines: &[T]) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.iter().map(AsRef::as_ref).filter(|line| !line.starts_with('#')).collect();
    lines.sort_unstable();
    lines
}

fn check(program: impl Fn(&Registry), expected: &[&str]) {
    for place in stores() {
        let registry = place.registry();
        program(&registry);
        assert_eq!(lines(&registry), expected, "in the {} store", place.name);
        if place.name != "memory" {
            // Help, type and buckets are in the store; the order is that of the series' creation.
            let other = lines(&place.registry());
            assert_eq!(sorted(&other), sorted(expected), "read from the {} store by who declares nothing", place.name);
        }
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
    for place in stores() {
        let (name, registry) = (place.name, place.registry());
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
    for place in shared() {
        for _ in 0..40 {
            let registry = place.registry();
            let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
            hits.with(&["/"]).unwrap().inc_by(1.25).unwrap();
            let last = registry.gauge("last", "").register_one().unwrap();
            last.set(7.0);
            let busy = registry.gauge("busy", "").register_one().unwrap();
            busy.inc();
        }
        let found = lines(&place.registry());
        assert!(found.contains(&r#"hits_total{path="/"} 50.0"#.to_owned()), "{found:#?}");
        assert!(found.contains(&"last 7.0".to_owned()), "the last value set, of a process that has ended");
        // A thread that is draining keeps its process in the file until it is done.
        until(|| lines(&place.registry()).contains(&"busy 0.0".to_owned()));
    }
}

#[test]
fn two_bucket_layouts_of_one_name_are_merged_on_the_bounds_they_share() {
    for place in shared() {
        let mut registries = Vec::new();
        for bounds in [&[0.5, 1.0, 2.0][..], &[1.0, 4.0]] {
            let registry = place.registry();
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
}

#[test]
fn other_label_names_stand_under_the_same_family() {
    for place in shared() {
        let (old, new) = (place.registry(), place.registry());
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
    for place in shared() {
        let (old, new) = (place.registry(), place.registry());
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
    for place in stores() {
        let (name, registry) = (place.name, place.registry());
        let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
        hits.with(&["/"]).unwrap().inc();
        if name != "memory" {
            let other = place.registry();
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

fn values(registry: &Registry) -> Vec<String> {
    lines(registry).into_iter().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn further_label_sets_count_in_one_overflow_series() {
    for place in stores() {
        let (name, registry) = (place.name, place.registry_with("&max_series=2"));
        let hits = registry.counter("hits", "").label_names(["path", "code"]).register().unwrap();
        for path in ["/a", "/b", "/c", "/d", "/a", "/c"] {
            hits.with(&[path, "200"]).unwrap().inc();
        }
        // Each family has its own.
        let seconds = registry.histogram("seconds", "").bounds(&[1.0]).label_names(["path"]).register().unwrap();
        ["/x", "/y", "/z"].into_iter().for_each(|path| seconds.with(&[path]).unwrap().observe(0.5));
        let bare = registry.counter("bare", "").register_one().unwrap();
        bare.inc();
        let expected = [
            r#"hits_total{code="200",path="/a"} 2.0"#,
            r#"hits_total{code="200",path="/b"} 1.0"#,
            r#"hits_total{code="overflow",path="overflow"} 3.0"#,
        ];
        let found = values(&registry);
        assert_eq!(found[..3], expected, "in the {name} store");
        assert!(found.contains(&r#"seconds_count{path="overflow"} 1.0"#.to_owned()), "in the {name} store");
        assert_eq!(found.last().unwrap(), "bare_total 1.0", "in the {name} store");
    }
}

#[test]
fn every_label_set_beyond_the_bound_gives_the_same_series() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file:{}?max_series=1", directory.path().join("metrics.tally").display());
    for name in ["memory:?max_series=1", &*file] {
        let store = Store::open(name).unwrap();
        let definition = Family::builder(Kind::Counter, "hits", "").label_names(["path"]).build().unwrap();
        let hits = AnyFamily::new(definition, store);
        let series = |path| hits.series(&[path], || 1.0).unwrap();
        let own = series("/a");
        let overflow = series("/b");
        assert_eq!(*overflow.labels().values(), [Box::from("overflow")], "in {name}");
        assert!(Arc::ptr_eq(&overflow, &series("/c")) && Arc::ptr_eq(&overflow, &series("overflow")));
        assert!(Arc::ptr_eq(&own, &series("/a")));
        assert_eq!(hits.list().len(), 2, "nothing is kept of the others, in {name}");
    }
}

#[test]
fn a_removed_series_makes_room_for_another() {
    for place in stores() {
        let (name, registry) = (place.name, place.registry_with("&max_series=2"));
        let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
        ["/a", "/b", "/c"].into_iter().for_each(|path| hits.with(&[path]).unwrap().inc());
        // It has none.
        hits.remove(&["/c"]).unwrap();
        hits.with(&["/c"]).unwrap().inc();
        hits.remove(&["/a"]).unwrap();
        hits.with(&["/d"]).unwrap().inc();
        hits.with(&["/a"]).unwrap().inc();
        let expected =
            [r#"hits_total{path="/b"} 1.0"#, r#"hits_total{path="overflow"} 3.0"#, r#"hits_total{path="/d"} 1.0"#];
        let mut found = values(&registry);
        found.sort();
        let mut sorted = expected;
        sorted.sort();
        assert_eq!(found, sorted, "in the {name} store");
        hits.clear();
        ["/1", "/2", "/3"].into_iter().for_each(|path| hits.with(&[path]).unwrap().inc());
        assert_eq!(values(&registry).len(), 3, "in the {name} store");
        hits.remove(&["overflow"]).unwrap();
        assert_eq!(values(&registry).len(), 2, "in the {name} store");
        hits.with(&["/3"]).unwrap().inc_by(5.0).unwrap();
        let overflow = r#"hits_total{path="overflow"} 5.0"#.to_owned();
        assert!(values(&registry).contains(&overflow), "in the {name} store");
    }
}

#[test]
fn the_bound_is_over_all_processes_and_what_is_known_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}?max_series=2", directory.path().join("metrics.tally").display());
    // Each opening is a process of its own in the file.
    let [one, other] = [(); 2].map(|()| Registry::open(&url).unwrap());
    let [ours, theirs] =
        [&one, &other].map(|registry| registry.counter("hits", "").label_names(["path"]).register().unwrap());
    let handle = ours.with(&["/a"]).unwrap();
    handle.inc();
    theirs.with(&["/b"]).unwrap().inc();
    theirs.with(&["/c"]).unwrap().inc();
    ours.with(&["/d"]).unwrap().inc();
    theirs.with(&["/a"]).unwrap().inc();
    let overflow = r#"hits_total{path="overflow"} 2.0"#;
    let expected = [r#"hits_total{path="/a"} 2.0"#, r#"hits_total{path="/b"} 1.0"#, overflow];
    assert_eq!(
        (values(&one), values(&other)),
        (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
    );
    assert!(one.text().contains("tallymark_overflowing_families 1.0"));

    // Removed by another, its place taken: who holds it counts in the overflow series.
    theirs.remove(&["/a"]).unwrap();
    theirs.with(&["/e"]).unwrap().inc();
    handle.inc();
    let expected =
        [r#"hits_total{path="/b"} 1.0"#, r#"hits_total{path="overflow"} 3.0"#, r#"hits_total{path="/e"} 1.0"#];
    assert_eq!(values(&one), expected);
}

#[test]
fn a_series_that_comes_back_takes_its_place_again() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}?max_series=3", directory.path().join("metrics.tally").display());
    let [ours, theirs] = [(); 2]
        .map(|()| Registry::open(&url).unwrap())
        .map(|registry| registry.counter("hits", "").label_names(["path"]).register().unwrap());
    ["/a", "/b", "/c"].into_iter().for_each(|path| ours.with(&[path]).unwrap().inc());
    theirs.remove(&["/a"]).unwrap();
    theirs.remove(&["/b"]).unwrap();
    ours.with(&["/d"]).unwrap().inc();
    theirs.with(&["/a"]).unwrap().inc_by(5.0).unwrap();
    ours.with(&["/e"]).unwrap().inc();
    // Read without a bound: none is folded at reading.
    let mut found = values(&Registry::open(url.split_once('?').unwrap().0).unwrap());
    found.sort();
    let expected = ["/a\"} 5.0", "/c\"} 1.0", "/d\"} 1.0", "overflow\"} 1.0"];
    assert_eq!(found, expected.map(|end| format!("hits_total{{path=\"{end}")));
}

#[test]
fn a_file_with_more_series_than_it_may_have_shows_those_created_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let open = |options: &str| Registry::open(&format!("file:{}{options}", path.display())).unwrap();
    let free = open("");
    let hits = free.counter("hits", "").label_names(["path"]).register().unwrap();
    for (path, amount) in [("/a", 1.0), ("/b", 2.0), ("/c", 4.0)] {
        let handle = hits.with(&[path]).unwrap();
        handle.inc_by(amount).unwrap();
    }
    let expected = [r#"hits_total{path="/a"} 1.0"#, r#"hits_total{path="overflow"} 6.0"#];
    assert_eq!(values(&open("?max_series=1")), expected);
    assert_eq!(values(&free).len(), 3);
}

#[test]
fn what_memory_had_moves_into_a_bounded_store_whole() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}?max_series=1", directory.path().join("metrics.tally").display());
    let registry = Registry::new();
    let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
    let handles = ["/a", "/b", "/c"].map(|path| hits.with(&[path]).unwrap());
    handles.iter().for_each(|handle| handle.inc());
    registry.use_store(Store::open(&url).unwrap());
    handles.iter().for_each(|handle| handle.inc());

    assert_eq!(values(&registry), [r#"hits_total{path="/a"} 2.0"#, r#"hits_total{path="overflow"} 4.0"#]);
}

#[test]
fn an_idle_series_is_not_shown_and_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.tally");
    let open = |options: &str| Registry::open(&format!("file:{}{options}", path.display())).unwrap();
    let live = open("");
    let mine = live.counter("hits", "").label_names(["path"]).register().unwrap().with(&["/mine"]).unwrap();
    mine.inc();
    {
        let ended = open("");
        let hits = ended.counter("hits", "").label_names(["path"]).register().unwrap();
        hits.with(&["/"]).unwrap().inc_by(3.0).unwrap();
        hits.with(&["/mine"]).unwrap().inc();
        ended.gauge("depth", "").register_one().unwrap().set(7.0);
    }
    let (patient, hasty) = (open("?ttl=3600"), open("?ttl=0.000000001"));
    assert_eq!(values(&patient), [r#"hits_total{path="/mine"} 2.0"#, r#"hits_total{path="/"} 3.0"#, "depth 7.0"]);
    assert_eq!(values(&hasty), [r#"hits_total{path="/mine"} 2.0"#]);
    let back = hasty.counter("hits", "").label_names(["path"]).register().unwrap().with(&["/"]).unwrap();
    back.inc();
    assert_eq!(values(&hasty), [r#"hits_total{path="/mine"} 2.0"#, r#"hits_total{path="/"} 4.0"#]);
}

#[test]
fn the_type_that_most_live_processes_use_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("metrics.tally").display());
    let reader = Registry::open(&url).unwrap();
    let conflicting = |registry: &Registry| {
        let text = registry.text();
        let line = text.lines().find(|line| line.starts_with("tallymark_conflicting_series ")).unwrap().to_owned();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    let gauge = || {
        let registry = Registry::open(&url).unwrap();
        registry.gauge("load", "").mode(GaugeMode::Sum).register_one().unwrap().set(1.0);
        registry
    };
    let first = Registry::open(&url).unwrap();
    let load = first.summary("load", "").label_names(["core"]).register().unwrap();
    ["0", "1"].into_iter().for_each(|core| load.with(&[core]).unwrap().observe(2.0));
    let second = gauge();
    assert!(values(&reader).contains(&r#"load_count{core="0"} 1.0"#.to_owned()), "as many: the first one");
    assert_eq!(conflicting(&reader), 1.0);
    let third = gauge();
    assert_eq!(values(&reader), ["load 2.0"], "most of them");
    assert_eq!(conflicting(&reader), 2.0);
    drop(third);
    drop(second);
    assert!(values(&reader).contains(&r#"load_count{core="0"} 1.0"#.to_owned()), "those that live");
    drop(load);
    drop(first);
    assert!(values(&reader).contains(&r#"load_count{core="0"} 1.0"#.to_owned()), "nobody: the first one");
    assert_eq!(conflicting(&reader), 1.0);
}

#[test]
fn gauges_of_several_hosts_show_what_their_mode_says() {
    for place in shared() {
        let url = |host| place.host(host, &format!("&instance={host}"));
        let urls = if place.is_of_many_hosts() { [url("a"), url("b")] } else { [(); 2].map(|()| place.url.clone()) };
        let registries = urls.map(|url| Registry::open(&url).unwrap());
        let mode = |mode: GaugeMode| format!("{mode:?}").to_lowercase();
        for (registry, value) in registries.iter().zip([2.0, 5.0]) {
            for one in GaugeMode::ALL {
                let gauge = registry.gauge(&mode(one), "").mode(one).register_one().unwrap();
                gauge.set(value);
            }
            let busy = registry.gauge("busy", "").register_one().unwrap();
            busy.inc_by(value);
            // Hosts agree on the time as far as a round trip is short.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let [first, second] = registries;
        let one_value = |name: &str, value: &str| format!("{name} {value}");
        let both = [
            ("auto", "5.0"),
            ("min", "2.0"),
            ("livemin", "2.0"),
            ("max", "5.0"),
            ("livemax", "5.0"),
            ("sum", "7.0"),
            ("livesum", "7.0"),
            ("mostrecent", "5.0"),
            ("livemostrecent", "5.0"),
            ("busy", "7.0"),
        ];
        // What one host has sent, the other shows.
        let _ = second.text();
        let found = lines(&first);
        for (name, value) in both {
            assert!(found.contains(&one_value(name, value)), "{name} in the {} store: {found:#?}", place.name);
        }
        let pid = std::process::id();
        let apart =
            |name: &str, host: &str, value: &str| format!("{name}{{instance=\"{host}\",pid=\"{pid}\"}} {value}");
        if place.is_of_many_hosts() {
            for name in ["all", "liveall"] {
                for (host, value) in [("a", "2.0"), ("b", "5.0")] {
                    assert!(found.contains(&apart(name, host, value)), "in the {} store: {found:#?}", place.name);
                }
            }
        }
        // The second host's process ends.
        drop(second);
        // A thread that is draining keeps its process in the file until it is done.
        until(|| {
            if place.is_of_many_hosts() {
                let _ = Registry::open(&place.host("b", "&instance=b")).unwrap().text();
            }
            lines(&first).contains(&"busy 2.0".to_owned())
        });
        let found = lines(&first);
        let left = [
            ("auto", "5.0"),
            ("min", "2.0"),
            ("livemin", "2.0"),
            ("max", "5.0"),
            ("livemax", "2.0"),
            ("sum", "7.0"),
            ("livesum", "2.0"),
            ("mostrecent", "5.0"),
            ("livemostrecent", "2.0"),
            ("busy", "2.0"),
        ];
        for (name, value) in left {
            assert!(found.contains(&one_value(name, value)), "{name} in the {} store: {found:#?}", place.name);
        }
    }
}

#[test]
fn what_one_host_removes_is_removed_everywhere() {
    for place in shared().into_iter().filter(Place::is_of_many_hosts) {
        let [first, second] = ["a", "b"].map(|host| Registry::open(&place.host(host, "")).unwrap());
        let [ours, theirs] =
            [&first, &second].map(|registry| registry.counter("hits", "").label_names(["path"]).register().unwrap());
        for path in ["/a", "/b"] {
            ours.with(&[path]).unwrap().inc();
            theirs.with(&[path]).unwrap().inc_by(2.0).unwrap();
        }
        let both = [r#"hits_total{path="/a"} 3.0"#, r#"hits_total{path="/b"} 3.0"#];
        let _ = first.text();
        assert_eq!(values(&second), both, "in the {} store", place.name);
        let handle = theirs.with(&["/a"]).unwrap();
        ours.remove(&["/a"]).unwrap();
        assert_eq!(values(&first), both[1..], "in the {} store", place.name);
        // The other host hears of it, and who holds the series there starts anew.
        let _ = second.text();
        handle.inc_by(9.0).unwrap();
        let expected = [r#"hits_total{path="/a"} 9.0"#, both[1]];
        assert_eq!(sorted(&values(&second)), expected, "in the {} store", place.name);
        ours.clear();
        assert_eq!(values(&first), [""; 0], "in the {} store", place.name);
    }
}

#[test]
fn of_two_types_of_one_name_the_one_that_most_processes_use_is_shown() {
    for place in shared() {
        let first = place.registry();
        first.counter("things", "").register_one().unwrap().inc();
        let others = [place.registry(), place.registry()];
        for registry in &others {
            // A counter's family is called without its suffix.
            let gauge = registry.gauge("things", "").register_one().unwrap();
            gauge.set(7.0);
        }
        let reader = place.registry();
        let text = reader.text();
        assert!(text.contains("things 7.0\n"), "in the {} store: {text}", place.name);
        assert!(text.contains("tallymark_conflicting_series 1.0\n"), "in the {} store: {text}", place.name);
    }
}

#[test]
fn an_idle_series_is_hidden_and_goes_on_from_its_total() {
    for place in shared() {
        let short_lived = || {
            let registry = place.registry_with("&ttl=0.2");
            let hits = registry.counter("hits", "").label_names(["path"]).register().unwrap();
            hits.with(&["/"]).unwrap().inc();
            registry.text()
        };
        short_lived();
        let reader = place.registry_with("&ttl=0.2");
        until(|| values(&reader).is_empty());
        let text = short_lived();
        assert!(text.contains("hits_total{path=\"/\"} 2.0\n"), "in the {} store: {text}", place.name);
    }
}

fn until(mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !so() {
        assert!(std::time::Instant::now() < end, "waited for half a minute");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
