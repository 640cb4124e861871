//! Content and its bytes in both formats.

use std::{collections::HashSet, sync::Arc};

use tallymark_model::{
    Body, Escaping, Exemplar, Family, FamilySnapshot, Kind, Process, Sample, Snapshot, Timestamp, Value,
    encode::{self, EncodeError},
    parse,
};

use super::{assert_lines, collected, counter, native, openmetrics, owned, sample, text, trace};

#[test]
fn a_counter_is_named_total_and_its_creation_comes_behind_the_family() {
    let family = Family::builder(Kind::Counter, "hits_total", "Say \"hi\",\nthen \\.").label_names(["path", "code"]);
    let family = native(
        family,
        &[(&["/a\"b\\c\nd", "200"], counter(1_234_567.0), Some(1.5)), (&["/", "500"], counter(0.0), Some(2.0))],
    );

    assert_lines(
        &text(std::slice::from_ref(&family), Escaping::Underscores),
        &[
            r#"# HELP hits_total Say "hi",\nthen \\."#,
            "# TYPE hits_total counter",
            r#"hits_total{code="200",path="/a\"b\\c\nd"} 1.234567e+06"#,
            r#"hits_total{code="500",path="/"} 0.0"#,
            r#"# HELP hits_created Say "hi",\nthen \\."#,
            "# TYPE hits_created gauge",
            r#"hits_created{code="200",path="/a\"b\\c\nd"} 1.5"#,
            r#"hits_created{code="500",path="/"} 2.0"#,
        ],
    );
    assert_lines(
        &openmetrics(&[family], Escaping::Underscores),
        &[
            r#"# HELP hits Say \"hi\",\nthen \\."#,
            "# TYPE hits counter",
            r#"hits_total{code="200",path="/a\"b\\c\nd"} 1.234567e+06"#,
            r#"hits_created{code="200",path="/a\"b\\c\nd"} 1.5"#,
            r#"hits_total{code="500",path="/"} 0.0"#,
            r#"hits_created{code="500",path="/"} 2.0"#,
            "# EOF",
        ],
    );
}

#[test]
fn every_label_of_a_bucket_stands_in_its_place_around_le() {
    let value = |counts: [u64; 3]| Value::Histogram { counts: counts.into(), sum: 0.5, exemplars: Vec::new() };
    for (labels, bucket) in [
        (&[][..], r#"h_bucket{le="1e-05"} 1.0"#),
        (&["a"], r#"h_bucket{a="v",le="1e-05"} 1.0"#),
        (&["z"], r#"h_bucket{le="1e-05",z="v"} 1.0"#),
        (&["z", "a"], r#"h_bucket{a="v",le="1e-05",z="v"} 1.0"#),
        (&["l", "lf"], r#"h_bucket{l="v",le="1e-05",lf="v"} 1.0"#),
    ] {
        let family =
            Family::builder(Kind::Histogram, "h", "").bounds([0.00001, 1e6]).label_names(labels.iter().copied());
        let family = native(family, &[(&vec!["v"; labels.len()], value([1, 0, 3]), None)]);

        assert_eq!(text(&[family], Escaping::Underscores).lines().nth(2), Some(bucket));
    }
}

#[test]
fn buckets_are_cumulated_and_counts_are_floats() {
    let value = Value::Histogram { counts: [1, 0, 1_999_999].into(), sum: 0.25, exemplars: Vec::new() };
    let family = native(
        Family::builder(Kind::Histogram, "h", "H.").bounds([0.005, 1e6]).unit("seconds"),
        &[(&[], value, Some(7.0))],
    );
    let lines = [
        r#"h_seconds_bucket{le="0.005"} 1.0"#,
        r#"h_seconds_bucket{le="1e+06"} 1.0"#,
        r#"h_seconds_bucket{le="+Inf"} 2e+06"#,
        "h_seconds_count 2e+06",
        "h_seconds_sum 0.25",
    ];
    let head = ["# HELP h_seconds H.", "# TYPE h_seconds histogram"];
    let created = ["# HELP h_seconds_created H.", "# TYPE h_seconds_created gauge", "h_seconds_created 7.0"];

    assert_lines(&text(std::slice::from_ref(&family), Escaping::Underscores), &[&head[..], &lines, &created].concat());
    assert_lines(
        &openmetrics(&[family], Escaping::Underscores),
        &[&head[..], &["# UNIT h_seconds seconds"], &lines, &["h_seconds_created 7.0", "# EOF"]].concat(),
    );
}

#[test]
fn types_that_the_text_format_lacks_take_another_word() {
    let pairs = Value::Info(owned(&[("version", "1"), ("arch", "x\ny")]));
    let families = [
        native(Family::builder(Kind::Info, "build", "B."), &[(&[], pairs, None)]),
        native(
            Family::builder(Kind::StateSet, "led", "L.").states(["on", "off"]).label_names(["room", "a"]),
            &[(&["hall", "b"], Value::StateSet(1), None)],
        ),
        native(Family::builder(Kind::Summary, "s", "S."), &[(&[], Value::Summary { count: 2, sum: -0.0 }, None)]),
        collected(Family::described(Kind::Unknown, "u", "U.", ""), &[sample("u", &[], f64::NAN)]),
    ];
    let states = [r#"led{a="b",led="on",room="hall"} 0.0"#, r#"led{a="b",led="off",room="hall"} 1.0"#];
    let info = r#"build_info{arch="x\ny",version="1"} 1.0"#;

    assert_lines(
        &text(&families, Escaping::Underscores),
        &[
            &["# HELP build_info B.", "# TYPE build_info gauge", info, "# HELP led L.", "# TYPE led gauge"][..],
            &states,
            &["# HELP s S.", "# TYPE s summary", "s_count 2.0", "s_sum -0.0"],
            &["# HELP u U.", "# TYPE u untyped", "u NaN"],
        ]
        .concat(),
    );
    assert_lines(
        &openmetrics(&families, Escaping::Underscores),
        &[
            &["# HELP build B.", "# TYPE build info", info, "# HELP led L.", "# TYPE led stateset"][..],
            &states,
            &["# HELP s S.", "# TYPE s summary", "s_count 2.0", "s_sum -0.0"],
            &["# HELP u U.", "# TYPE u unknown", "u NaN", "# EOF"],
        ]
        .concat(),
    );
}

#[test]
fn samples_that_only_openmetrics_has_are_moved_behind_the_family_by_suffix() {
    let family = Family::described(Kind::GaugeHistogram, "g", "G.", "");
    let samples = [
        sample("g_bucket", &[("le", "+Inf"), ("a", "1")], 4.0),
        sample("g_gsum", &[("a", "1")], 2.0),
        sample("g_gcount", &[("a", "1")], 4.0),
        sample("g_created", &[], 5.0),
        sample("other_created", &[], 6.0),
    ];

    assert_lines(
        &text(&[collected(family, &samples)], Escaping::Underscores),
        &[
            "# HELP g G.",
            "# TYPE g histogram",
            r#"g_bucket{a="1",le="+Inf"} 4.0"#,
            "other_created 6.0",
            "# HELP g_created G.",
            "# TYPE g_created gauge",
            "g_created 5.0",
            "# HELP g_gcount G.",
            "# TYPE g_gcount gauge",
            r#"g_gcount{a="1"} 4.0"#,
            "# HELP g_gsum G.",
            "# TYPE g_gsum gauge",
            r#"g_gsum{a="1"} 2.0"#,
        ],
    );
}

#[test]
fn a_family_without_series_prints_its_metadata() {
    let family = native(Family::builder(Kind::Gauge, "temp", "T.").label_names(["a"]).unit("celsius"), &[]);

    assert_lines(
        &text(std::slice::from_ref(&family), Escaping::Underscores),
        &["# HELP temp_celsius T.", "# TYPE temp_celsius gauge"],
    );
    assert_lines(
        &openmetrics(&[family], Escaping::Underscores),
        &["# HELP temp_celsius T.", "# TYPE temp_celsius gauge", "# UNIT temp_celsius celsius", "# EOF"],
    );
}

#[test]
fn a_unit_that_the_written_name_does_not_end_in_is_left_out() {
    for (name, unit, escaping, has_unit) in [
        ("x_s", "s", Escaping::Underscores, true),
        ("x.y_per_s", "per_s", Escaping::AllowUtf8, true),
        ("x.y_per_s", "per_s", Escaping::Underscores, true),
        ("x.y_per_s", "per_s", Escaping::Dots, false),
        ("x_m²", "m²", Escaping::AllowUtf8, true),
        ("x_m²", "m²", Escaping::Underscores, false),
        ("x", "s", Escaping::Underscores, false),
        ("xs", "s", Escaping::Underscores, false),
        ("x_s\nup 0", "s\nup 0", Escaping::AllowUtf8, false),
        ("x", "s\nup 0", Escaping::Underscores, false),
    ] {
        let family = Arc::new(Family::described(Kind::Gauge, name, "", unit));
        let samples = vec![sample(name, &[], 1.0)];
        let families = [FamilySnapshot { family, body: Body::Samples(samples) }];
        let text = openmetrics(&families, escaping);
        assert_eq!(text.contains("# UNIT "), has_unit, "{text}");
        assert!(!text.contains("\nup 0"), "{text}");

        let mut out = Vec::new();
        encode::protobuf(&Snapshot { families: families.into() }, escaping, &mut out).unwrap();
        let read = parse::protobuf(&out, 1).unwrap();
        // Protobuf has names without escapes, and units as any text.
        let has_unit = has_unit || escaping == Escaping::AllowUtf8 && name.ends_with("_s\nup 0");
        assert_eq!(read[0].family.unit(), if has_unit { unit } else { "" }, "{name}");
    }
}

#[test]
fn a_process_is_labels_among_the_others() {
    for (labels, instance, line) in [
        (&[][..], None, r#"g{pid="42"} 1.0"#),
        (&["a", "z"], None, r#"g{a="v",pid="42",z="v"} 1.0"#),
        (&["pid"], None, r#"g{pid="42"} 1.0"#),
        (&["a", "z"], Some("w\"b"), r#"g{a="v",instance="w\"b",pid="42",z="v"} 1.0"#),
        (&["instance"], Some("web"), r#"g{instance="web",pid="42"} 1.0"#),
    ] {
        let family = Family::builder(Kind::Gauge, "g", "").label_names(labels.iter().copied());
        let mut family = native(family, &[(&vec!["v"; labels.len()], Value::Gauge(1.0), None)]);
        if let Body::Series(series) = &mut family.body {
            series[0].process = Some(Process { instance: instance.map(Arc::from), pid: 42 });
        }

        assert_eq!(text(&[family], Escaping::Underscores).lines().nth(2), Some(line));
    }
}

#[test]
fn exemplars_are_written_where_openmetrics_has_them_and_left_out_of_text() {
    let value = Value::Counter { total: 2.0, exemplar: Some(Box::new(trace("x\"y", 1.0, Some(1_700_000_000.5)))) };
    let buckets = Value::Histogram {
        counts: [1, 1].into(),
        sum: 1.0,
        exemplars: vec![(0, Exemplar { labels: Vec::new(), value: 0.5, timestamp: None }), (1, trace("t", 2e6, None))],
    };
    let families = [
        native(Family::builder(Kind::Counter, "c", ""), &[(&[], value, None)]),
        native(Family::builder(Kind::Histogram, "h", "").bounds([1.0]), &[(&[], buckets, None)]),
    ];
    let exposition = openmetrics(&families, Escaping::Underscores);

    for line in [
        r#"c_total 2.0 # {a="b",trace_id="x\"y"} 1.0 1700000000.5"#,
        r#"h_bucket{le="1.0"} 1.0 # {} 0.5"#,
        r#"h_bucket{le="+Inf"} 2.0 # {a="b",trace_id="t"} 2e+06"#,
    ] {
        assert!(exposition.lines().any(|printed| printed == line), "{line}\nis not in\n{exposition}");
    }
    assert!(!text(&families, Escaping::Underscores).contains(" # "));
}

#[test]
fn an_exemplar_where_none_may_be_is_an_error_that_names_family_and_sample() {
    for (kind, name, allowed) in [
        (Kind::Counter, "x_total", true),
        (Kind::Counter, "x_created", false),
        (Kind::Histogram, "x_bucket", true),
        (Kind::Histogram, "x", true),
        (Kind::Histogram, "x_count", false),
        (Kind::GaugeHistogram, "x_bucket", true),
        (Kind::GaugeHistogram, "x", false),
        (Kind::Gauge, "x", false),
        (Kind::Unknown, "x_total", false),
    ] {
        let exemplar = Some(trace("t", 1.0, None));
        let family = collected(Family::described(kind, "x", "", ""), &[Sample { exemplar, ..sample(name, &[], 1.0) }]);
        let mut out = b"before".to_vec();
        let result = encode::openmetrics(&Snapshot { families: vec![family] }, Escaping::Underscores, &mut out);

        if allowed {
            assert_eq!(result, Ok(()));
        } else {
            let error = result.unwrap_err();

            assert_eq!(error, EncodeError::ExemplarNotAllowed { family: "x".into(), sample: name.into() });
            assert_eq!(error.to_string(), "Metric x has exemplars, but is not a histogram bucket or counter");
            assert_eq!(out, b"before");
        }
    }
}

#[test]
fn text_has_times_in_milliseconds_and_openmetrics_as_they_came_in() {
    for (timestamp, milliseconds, given) in [
        (Timestamp::Seconds(123.4567), "123456", "123.4567"),
        (Timestamp::WholeSeconds(123), "123000", "123"),
        (Timestamp::Exact { seconds: 123, nanoseconds: 456_000_000 }, "123456", "123.456000000"),
    ] {
        let family = Family::described(Kind::Gauge, "g", "", "");
        let family = collected(family, &[Sample { timestamp: Some(timestamp), ..sample("g", &[], 1.0) }]);
        let (plain, open) = (format!("g 1.0 {milliseconds}"), format!("g 1.0 {given}"));

        assert_eq!(text(std::slice::from_ref(&family), Escaping::Underscores).lines().nth(2), Some(&*plain));
        assert_eq!(openmetrics(&[family], Escaping::Underscores).lines().nth(2), Some(&*open));
    }
}

#[test]
fn a_time_that_is_no_number_of_milliseconds_is_an_error_in_text() {
    let timestamp = Some(Timestamp::Seconds(f64::INFINITY));
    let family = Family::described(Kind::Gauge, "g", "", "");
    let snapshot = Snapshot { families: vec![collected(family, &[Sample { timestamp, ..sample("g", &[], 1.0) }])] };

    assert_eq!(
        encode::text(&snapshot, Escaping::Underscores, &mut Vec::new()).unwrap_err().to_string(),
        "g of g has a timestamp that is no number of milliseconds"
    );
}

#[test]
fn a_counter_without_total_keeps_its_name_but_in_openmetrics() {
    let bare = || {
        let exemplar = Some(trace("t", 1.0, None));
        let samples = [Sample { exemplar, ..sample("a.b", &[], 1.0) }, sample("a.b_created", &[], 2.0)];
        collected(Family::named(Kind::Counter, "a.b", ""), &samples)
    };
    let restricted = Snapshot { families: vec![bare()] }.restrict(&HashSet::from(["a.b"]));

    for family in [bare(), restricted.families[0].clone()] {
        assert!(text(&[family], Escaping::Dots).starts_with("# HELP a_dot_b \n# TYPE a_dot_b counter\na_dot_b 1.0\n"));
    }
    let total = native(Family::builder(Kind::Counter, "a.b_total", ""), &[(&[], counter(1.0), Some(2.0))]);
    let exemplar = r#" # {a="b",trace_id="t"} 1.0"#;
    for escaping in Escaping::ALL {
        let (bare, total) = (openmetrics(&[bare()], escaping), openmetrics(std::slice::from_ref(&total), escaping));

        assert_eq!(bare.replace(exemplar, ""), total);
    }
}
