//! Several snapshots as one: what is added, what stays, and that it does not matter in how many steps.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*, sample::select};
use tallymark_model::{
    Body, Escaping, Exemplar, Family, FamilyBuilder, FamilySnapshot, Kind, Process, SeriesSnapshot, Snapshot,
    Timestamp, Value, encode, parse,
};

fn read(text: &str) -> Snapshot {
    Snapshot { families: parse::strict_text(text, 1000).unwrap() }
}

fn native(family: FamilyBuilder, series: &[(&[&str], Value, Option<f64>)]) -> Snapshot {
    let family = Arc::new(family.build().unwrap());
    let series = series.iter().map(|(labels, value, created)| SeriesSnapshot {
        labels: Arc::new(family.labels(labels).unwrap()),
        process: None,
        value: value.clone(),
        created: *created,
    });
    Snapshot { families: vec![FamilySnapshot { body: Body::Series(series.collect()), family }] }
}

/// `name{labels} value` of all samples, in their order.
fn shown(snapshot: &Snapshot) -> Vec<String> {
    let samples = snapshot.families.iter().flat_map(FamilySnapshot::samples).map(|mut sample| {
        sample.labels.sort();
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{{{}}} {}", sample.name, labels.join(","), sample.value)
    });
    samples.collect()
}

fn union(snapshots: impl IntoIterator<Item = Snapshot>) -> Vec<String> {
    let (union, conflicts) = Snapshot::union(snapshots);
    assert_eq!(conflicts, []);
    shown(&union)
}

fn counter(labels: &[&str]) -> FamilyBuilder {
    Family::builder(Kind::Counter, "c", "").label_names(labels.iter().copied())
}

fn total(total: f64) -> Value {
    Value::Counter { total, exemplar: None }
}

fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> Snapshot {
    let value = Value::Histogram { counts: counts.into(), sum, exemplars: Vec::new() };
    native(Family::builder(Kind::Histogram, "h", "").bounds(bounds), &[(&[], value, Some(3.0))])
}

#[test]
fn counters_of_the_same_labels_are_added_and_others_follow() {
    let one = native(counter(&["a", "b"]), &[(&["1", "2"], total(1.0), Some(5.0)), (&["x", "y"], total(2.0), None)]);
    let expected = ["c_total{a=1,b=2} 11", "c_created{a=1,b=2} 4", "c_total{a=x,b=y} 2", "c_total{a=n,b=n} 30"];
    for labels in [["a", "b"], ["b", "a"]] {
        let values = |first, second| if labels[0] == "a" { [first, second] } else { [second, first] };
        let other = native(
            counter(&labels),
            &[(&values("1", "2"), total(10.0), Some(4.0)), (&values("n", "n"), total(30.0), None)],
        );

        assert_eq!(union([one.clone(), other]), expected, "{labels:?}");
    }
    let text = "# TYPE c_total counter\nc_total{a=\"n\",b=\"n\"} 30\nc_total{b=\"2\",a=\"1\"} 10\n";
    assert_eq!(
        union([one.clone(), read(text)]),
        ["c_total{a=1,b=2} 11", "c_created{a=1,b=2} 5", "c_total{a=x,b=y} 2", "c_total{a=n,b=n} 30"]
    );
    assert_eq!(
        union([read(text), one]),
        ["c_total{a=n,b=n} 30", "c_total{a=1,b=2} 11", "c_created{a=1,b=2} 5", "c_total{a=x,b=y} 2"]
    );
}

#[test]
fn counters_without_total_are_added_to_their_like_only() {
    let (bare, total) = (read("# TYPE c counter\nc 1\n"), read("# TYPE c_total counter\nc_total 10\n"));

    assert_eq!(union([bare.clone(), total, bare]), ["c{} 2", "c_total{} 10"]);
}

#[test]
fn histograms_are_added_if_their_bounds_are_equal() {
    let one = histogram(&[1.0, 2.5], &[1, 2, 3], 9.0);
    let added = ["h_bucket{le=1.0} 2", "h_bucket{le=2.5} 5", "h_bucket{le=+Inf} 10", "h_count{} 10", "h_sum{} 11"];
    let created = ["h_created{} 3"];
    let text = "# TYPE h histogram\nh_sum 2\nh_count 4\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"25e-1\"} 2\nh_bucket{le=\"+Inf\"} 4\n";

    assert_eq!(union([one.clone(), histogram(&[1.0, 2.5], &[1, 1, 2], 2.0)]), [&added[..], &created].concat());
    assert_eq!(union([one.clone(), read(text)]), [&added[..], &created].concat());
    for other in [
        histogram(&[1.0, 2.0], &[1, 1, 2], 2.0),
        read(&text.replace("25e-1", "26e-1")),
        read(&text.replace("h_sum 2\n", "")),
        read(&text.replace("h_sum 2\n", "h_sum 2 1000\n")),
        read(&text.replace("h_sum 2\n", "h_sum 2\nh_sum 3\n")),
        read(&format!("{text}h_bucket{{le=\"9\"}} 4\n")),
    ] {
        assert_eq!(union([one.clone(), other]), shown(&one));
    }
}

#[test]
fn summaries_are_added_without_their_quantiles() {
    let one = read("# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\ns{quantile=\"0.5\",a=\"b\"} 7\n");
    let other = native(Family::builder(Kind::Summary, "s", ""), &[(&[], Value::Summary { count: 1, sum: 10.0 }, None)]);

    assert_eq!(union([one, other.clone()]), ["s_sum{} 12", "s_count{} 4", "s{a=b,quantile=0.5} 7"]);
    assert_eq!(union([other.clone(), other]), ["s_count{} 2", "s_sum{} 20"]);
}

#[test]
fn what_does_not_add_stays_as_it_was_first() {
    let states = |names: [&str; 2], state| {
        native(Family::builder(Kind::StateSet, "e", "").states(names), &[(&[], Value::StateSet(state), None)])
    };

    assert_eq!(
        union([read("# TYPE a gauge\na 1\n"), read("# TYPE a gauge\na 2\na{b=\"c\"} 3\n")]),
        ["a{} 1", "a{b=c} 3"]
    );
    assert_eq!(union([read("a 1\n"), read("a 2\n")]), ["a{} 1"]);
    assert_eq!(union([states(["x", "y"], 0), states(["x", "y"], 1)]), ["e{e=x} 1", "e{e=y} 0"]);
    assert_eq!(union([states(["x", "y"], 0), states(["y", "z"], 1)]), ["e{e=x} 1", "e{e=y} 0"]);
}

#[test]
fn state_sets_of_one_name_keep_their_own_states() {
    let states = |label: &str, names: [&str; 2]| {
        let family = Family::builder(Kind::StateSet, "e", "").states(names).label_names(["a"]);
        native(family, &[(&[label], Value::StateSet(0), None)])
    };

    assert_eq!(
        union([states("1", ["x", "y"]), states("2", ["y", "z"])]),
        ["e{a=1,e=x} 1", "e{a=1,e=y} 0", "e{a=2,e=y} 1", "e{a=2,e=z} 0"]
    );
}

#[test]
fn series_of_two_processes_stay_two() {
    let gauge = |pid| {
        let mut snapshot = native(Family::builder(Kind::Gauge, "g", ""), &[(&[], Value::Gauge(1.0), None)]);
        for family in &mut snapshot.families {
            if let Body::Series(series) = &mut family.body {
                series.iter_mut().for_each(|series| series.process = Some(Process { instance: None, pid }));
            }
        }
        snapshot
    };

    assert_eq!(union([gauge(1), gauge(2), gauge(1)]), ["g{pid=1} 1", "g{pid=2} 1"]);
}

#[test]
fn of_two_types_the_first_stays_and_the_others_are_told() {
    let one = read("# TYPE a gauge\na 1\n# TYPE b_info gauge\nb_info 1\n");
    let info = native(Family::builder(Kind::Info, "b", ""), &[(&[], Value::Info(Vec::new()), None)]);
    let (all, conflicts) = Snapshot::union([one.clone(), read("a 2\n"), read("# TYPE a counter\na 3\n"), info]);

    assert_eq!(shown(&all), shown(&one));
    assert_eq!(
        conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "a is of type gauge and of type unknown; the unknown is left out",
            "a is of type gauge and of type counter; the counter is left out",
            "b_info is of type gauge and of type info; the info is left out",
        ]
    );
}

#[test]
fn help_is_the_first_there_is_and_a_unit_must_be_that_of_all() {
    let gauge = |help: &str, unit: &str| {
        let family = Arc::new(Family::described(Kind::Gauge, "a_s", help, unit));
        Snapshot { families: vec![FamilySnapshot { family, body: Body::Samples(Vec::new()) }] }
    };
    for (families, help, unit) in [
        ([gauge("", "s"), gauge("x", "s"), gauge("y", "s")], "x", "s"),
        ([gauge("x", "s"), gauge("y", "s"), gauge("z", "")], "x", ""),
    ] {
        let (union, _) = Snapshot::union(families);

        assert_eq!((union.families[0].family.help(), union.families[0].family.unit()), (help, unit));
    }
}

#[test]
fn of_two_exemplars_the_newest_stays() {
    let exemplar = |id: f64, time: Option<f64>| Exemplar {
        labels: Vec::new(),
        value: id,
        timestamp: time.map(Timestamp::Seconds),
    };
    let counter = |it: Exemplar| {
        let value = Value::Counter { total: 1.0, exemplar: Some(Box::new(it.clone())) };
        let series = native(counter(&[]), &[(&[], value, None)]);
        let samples = Body::Samples(series.families[0].samples());
        (series.clone(), FamilySnapshot { body: samples, family: series.families[0].family.clone() })
    };
    let buckets = |exemplars| {
        let value = Value::Histogram { counts: [1, 1].into(), sum: 1.0, exemplars };
        native(Family::builder(Kind::Histogram, "h", "").bounds([1.0]), &[(&[], value, None)])
    };
    for (one, other, newest) in
        [(Some(1.0), Some(2.0), 2.0), (Some(2.0), Some(1.0), 1.0), (None, Some(1.0), 2.0), (None, None, 1.0)]
    {
        let (one, other) = (exemplar(1.0, one), exemplar(2.0, other));
        let (series, samples) = (counter(one.clone()), counter(other.clone()));
        for (a, b) in
            [(series.0, samples.0), (Snapshot { families: vec![series.1] }, Snapshot { families: vec![samples.1] })]
        {
            let (union, _) = Snapshot::union([a, b]);

            assert_eq!(union.families[0].samples()[0].exemplar.as_ref().map(|it| it.value), Some(newest));
        }
        let (union, _) = Snapshot::union([buckets(vec![(0, one.clone()), (1, one)]), buckets(vec![(1, other)])]);
        let values =
            union.families[0].samples().iter().map(|it| it.exemplar.as_ref().map(|it| it.value)).collect::<Vec<_>>();

        assert_eq!(values[..2], [Some(1.0), Some(newest)]);
    }
}

/// A snapshot of counters, as series or as samples, with the labels in any order.
fn counters() -> impl Strategy<Value = Snapshot> {
    let family = (select(&["a", "b"][..]), select(&[["x", "y"], ["y", "x"]][..]), any::<bool>());
    let series = prop::collection::btree_map((0..3u8, 0..3u8), 0..1000u32, 0..6);
    vec((family, series), 0..3).prop_map(|families: Vec<(_, BTreeMap<(u8, u8), u32>)>| {
        let families = families.into_iter().flat_map(|((name, labels, is_native), series)| {
            let series: Vec<_> = series.iter().map(|((x, y), value)| (x.to_string(), y.to_string(), *value)).collect();
            let place = usize::from(labels[0] == "y");
            let values: Vec<[&str; 2]> =
                series.iter().map(|(x, y, _)| if place == 0 { [&**x, &**y] } else { [&**y, &**x] }).collect();
            let series: Vec<_> =
                values.iter().zip(&series).map(|(values, it)| (&values[..], total(f64::from(it.2)), None)).collect();
            let mut families = native(Family::builder(Kind::Counter, name, "").label_names(labels), &series).families;
            if !is_native {
                families.iter_mut().for_each(|family| family.body = Body::Samples(family.samples()));
            }
            families
        });
        Snapshot { families: families.collect() }
    })
}

fn sums(snapshots: &[Snapshot]) -> BTreeMap<(String, Vec<(String, String)>), f64> {
    let mut sums = BTreeMap::new();
    for mut sample in snapshots.iter().flat_map(|snapshot| &snapshot.families).flat_map(FamilySnapshot::samples) {
        sample.labels.sort();
        *sums.entry((sample.name, sample.labels)).or_default() += sample.value;
    }
    sums
}

proptest! {
    #[test]
    fn nothing_is_lost_and_no_series_stands_twice(snapshots in vec(counters(), 0..5)) {
        let (union, conflicts) = Snapshot::union(snapshots.clone());
        let lines = shown(&union).len();

        prop_assert_eq!(conflicts, []);
        prop_assert_eq!(sums(std::slice::from_ref(&union)), sums(&snapshots));
        prop_assert_eq!(sums(&[union]).len(), lines);
    }

    #[test]
    fn it_does_not_matter_in_how_many_steps(snapshots in vec(counters(), 0..5), at in 0usize..5) {
        let (first, rest) = snapshots.split_at(at.min(snapshots.len()));
        let (first, _) = Snapshot::union(first.to_vec());
        let (steps, _) = Snapshot::union([first].into_iter().chain(rest.to_vec()));
        let (once, _) = Snapshot::union(snapshots);

        prop_assert_eq!(shown(&steps), shown(&once));
    }
}

#[test]
fn one_snapshot_is_written_as_before() {
    let snapshot = histogram(&[1.0, 2.5], &[1, 2, 3], 9.0);
    let written = |snapshot: &Snapshot| {
        let mut out = Vec::new();
        encode::openmetrics(snapshot, Escaping::AllowUtf8, &mut out).unwrap();
        out
    };

    assert_eq!(written(&Snapshot::union([snapshot.clone()]).0), written(&snapshot));
}
