//! Names that are not legacy ones, under the four schemes.

use tallymark_model::{
    Escaping, Exemplar, Family, Kind, Snapshot, Value,
    encode::{self, EncodeError, Format},
};

use super::{assert_lines, collected, counter, native, openmetrics, owned, sample, text};

#[test]
fn names_that_are_not_legacy_are_quoted_inside_the_braces() {
    let families = [
        native(Family::builder(Kind::Counter, "a.b", "").label_names(["x y"]), &[(&["v"], counter(1.0), None)]),
        native(Family::builder(Kind::Gauge, "say\"hi", ""), &[(&[], Value::Gauge(1.0), None)]),
        native(
            Family::builder(Kind::Gauge, "g", "").label_names(["é", "z"]),
            &[(&["1", "2"], Value::Gauge(1.0), None)],
        ),
        collected(Family::described(Kind::Gauge, "f", "", ""), &[sample("o.ther", &[], 1.0), sample("f", &[], 2.0)]),
    ];

    assert_lines(
        &text(&families, Escaping::AllowUtf8),
        &[
            r#"# HELP "a.b_total" "#,
            r#"# TYPE "a.b_total" counter"#,
            r#"{"a.b_total","x y"="v"} 1.0"#,
            r#"# HELP "say\"hi" "#,
            r#"# TYPE "say\"hi" gauge"#,
            r#"{"say\"hi"} 1.0"#,
            "# HELP g ",
            "# TYPE g gauge",
            r#"g{z="2","é"="1"} 1.0"#,
            "# HELP f ",
            "# TYPE f gauge",
            r#"{"o.ther"} 1.0"#,
            "f 2.0",
        ],
    );
}

/// The official client escapes `http.latency_count` as a whole, and its family then has no such sample.
#[test]
fn a_suffix_is_appended_to_the_escaped_name_of_the_family() {
    let summary = Value::Summary { count: 1, sum: 2.0 };
    let families = [
        native(Family::builder(Kind::Summary, "http.latency_s", ""), &[(&[], summary.clone(), None)]),
        native(Family::builder(Kind::Counter, "a.b", ""), &[(&[], counter(1.0), Some(3.0))]),
        collected(Family::described(Kind::Summary, "s.t", "", ""), &[sample("s.t_sum", &[("q.r", "v")], 2.0)]),
        native(Family::builder(Kind::Info, "os", ""), &[(&[], Value::Info(Vec::new()), None)]),
        collected(Family::described(Kind::Counter, "odd.one", "", ""), &[sample("odd.one", &[], 1.0)]),
    ];
    let names = |exposition: String| -> Vec<String> {
        let lines = exposition.lines().filter(|line| !line.starts_with("# HELP") && *line != "# EOF");
        lines.map(|line| line.trim_start_matches("# TYPE ").to_owned()).collect()
    };

    assert_eq!(
        names(openmetrics(&families, Escaping::Dots)),
        [
            "http_dot_latency__s summary",
            "http_dot_latency__s_count 1.0",
            "http_dot_latency__s_sum 2.0",
            "a_dot_b_ counter",
            "a_dot_b__total 1.0",
            "a_dot_b__created 3.0",
            "s_dot_t summary",
            r#"s_dot_t_sum{q_dot_r="v"} 2.0"#,
            "os_ info",
            "os__info 1.0",
            "odd_dot_one_ counter",
            "odd_dot_one 1.0",
        ]
    );
    assert_eq!(
        names(text(&families, Escaping::Values)),
        [
            "U__http_2e_latency__s summary",
            "U__http_2e_latency__s_count 1.0",
            "U__http_2e_latency__s_sum 2.0",
            "U__a_2e_b__total counter",
            "U__a_2e_b__total 1.0",
            "U__a_2e_b__created gauge",
            "U__a_2e_b__created 3.0",
            "U__s_2e_t summary",
            r#"U__s_2e_t_sum{U__q_2e_r="v"} 2.0"#,
            "os_info gauge",
            "os_info 1.0",
            "U__odd_2e_one__total counter",
            "U__odd_2e_one 1.0",
        ]
    );
}

/// The official client writes `ns_x_total` under a family `ns:x` in OpenMetrics, and `U__x__total` under `x`.
#[test]
fn legacy_names_stay_as_they_are_but_under_dots() {
    let family = native(Family::builder(Kind::Counter, "ns:x", ""), &[(&[], counter(1.0), None)]);
    for escaping in [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Values] {
        assert_lines(
            &openmetrics(std::slice::from_ref(&family), escaping),
            &["# HELP ns:x ", "# TYPE ns:x counter", "ns:x_total 1.0", "# EOF"],
        );
    }
}

/// The official client writes the name bare, which no parser reads.
#[test]
fn an_exemplars_label_name_is_quoted_where_it_must_be() {
    let exemplar = Exemplar { labels: owned(&[("trace.id", "t"), ("span_id", "s")]), value: 1.0, timestamp: None };
    let value = Value::Counter { total: 1.0, exemplar: Some(Box::new(exemplar)) };
    let family = native(Family::builder(Kind::Counter, "c", ""), &[(&[], value, None)]);

    assert_eq!(
        openmetrics(&[family], Escaping::Dots).lines().nth(2),
        Some(r#"c__total 1.0 # {span_id="s","trace.id"="t"} 1.0"#)
    );
}

#[test]
fn label_names_that_collide_fail_the_encoding_that_makes_them_collide() {
    let gauge = native(Family::builder(Kind::Gauge, "queue", "").label_names(["a.b", "a_b"]), &[]);
    let snapshot = Snapshot { families: vec![gauge] };
    let mut out = Vec::new();

    assert!(matches!(
        encode::text(&snapshot, Escaping::Underscores, &mut out),
        Err(EncodeError::NamesCollide { escaped, .. }) if &*escaped == "a_b"
    ));
    assert!(out.is_empty());
    assert_eq!(encode::text(&snapshot, Escaping::AllowUtf8, &mut out), Ok(()));
}

#[test]
fn families_that_become_one_are_both_written() {
    let gauge = |name: &str| native(Family::builder(Kind::Gauge, name, ""), &[(&[], Value::Gauge(1.0), None)]);

    let written = openmetrics(&[gauge("a.b"), gauge("a_b")], Escaping::Underscores);

    assert_eq!(written.matches("a_b 1.0\n").count(), 2);
}

#[test]
fn a_format_encodes_what_its_content_type_says() {
    let family = native(Family::builder(Kind::Counter, "a.b", ""), &[(&[], counter(1.0), None)]);
    let snapshot = Snapshot { families: vec![family] };
    for (format, line) in [
        (Format::Text0_0_4, "# TYPE a_b_total counter"),
        (Format::Text1_0_0(Escaping::Dots), "# TYPE a_dot_b__total counter"),
        (Format::OpenMetrics1_0_0 { escaping: Escaping::AllowUtf8, tagged: true }, r#"# TYPE "a.b" counter"#),
        (Format::OpenMetrics1_0_0 { escaping: Escaping::Underscores, tagged: false }, "# TYPE a_b counter"),
    ] {
        let mut out = Vec::new();
        format.encode(&snapshot, &mut out).unwrap();

        assert_eq!(String::from_utf8(out).unwrap().lines().nth(1), Some(line));
    }
}
