//! Inputs of any kind: text that is no exposition, pieces of one in any order, and expositions with a mistake.

use proptest::{prelude::*, sample::select};
use tallymark_model::parse::{self, Families, OpenMetricsReader, Reader, TextReader};

/// What lines are made of.
const PIECES: [&str; 48] = [
    "# HELP ",
    "# TYPE ",
    "# UNIT ",
    "# EOF",
    "#",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\u{a0}",
    "\u{1c}",
    "a",
    "a_total",
    "a_bucket",
    "a_count",
    "a_sum",
    "a_created",
    "{",
    "}",
    "{}",
    "\"",
    "\\",
    "\\n",
    ",",
    "=",
    "le=\"1\"",
    "le=\"+Inf\"",
    "quantile=\"0.5\"",
    "\"b c\"",
    "é",
    " 1",
    " -1.5",
    " NaN",
    " +Inf",
    " 1e400",
    " 170141183460469231731687303715884105728",
    " 1.",
    " # {x=\"y\"} 1 2",
    " counter",
    " gauge",
    " histogram",
    " gaugehistogram",
    " summary",
    " info",
    " stateset",
    " {count:1,sum:2,schema:3,zero_threshold:0,zero_count:0",
    ",positive_spans:[0:2,1:1]",
    ",positive_deltas:[1,-2]",
];

/// One family of each type, whole.
const WHOLE: &str = "# TYPE c counter\n# HELP c \\\"Help\\\"\nc_total{a=\"b\"} 1 # {t=\"é\"} 0.5 2\nc_created{a=\"b\"} 1\n\
    # TYPE g_s gauge\n# UNIT g_s s\ng_s -1 1.5\n# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n\
    # TYPE n histogram\nn{a=\"b\"} {count:3,sum:2,schema:0,zero_threshold:0.1,zero_count:1,positive_spans:[0:2],positive_deltas:[1,0]}\n\
    # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\ns_sum 1\n# TYPE i info\ni_info{v=\"1\"} 1\n\
    # TYPE e stateset\ne{e=\"on\"} 1\ne{e=\"off\"} 0\n# TYPE \"é.x\" unknown\n{\"é.x\",\"a b\"=\"\\\\\\n\"} 1\n# EOF\n";

/// Reads it in every way; all families come before an error, and nothing after it.
fn read(input: &str) {
    for families in [parse::text(input), parse::openmetrics(input), parse::text(input).legacy()] {
        let mut found = families.collect::<Vec<_>>().into_iter();
        let lines = input.split_inclusive('\n').count();
        if let Some(Err(error)) = found.find(|family| family.is_err()) {
            assert!(error.line() <= lines.max(1), "{error} of {lines} lines");
            assert_eq!(found.next(), None);
        }
    }
    for strict in [false, true] {
        let _ = parse::labels(input, strict, false);
    }
}

/// Reads it line by line, as those do who have no whole text.
fn families_by_line(input: &str, mut reader: Reader) -> usize {
    let mut families = 0;
    for line in input.split_inclusive('\n') {
        let step = reader.line(line);
        families += usize::from(step.ended.is_some());
        match step.content {
            Ok(parse::Content::Single(_)) => families += 1,
            Ok(_) => {}
            Err(_) => return families,
        }
    }
    families + usize::from(matches!(reader.end(), Ok(Some(_))))
}

fn whole(families: Families<'_>) -> usize {
    families.filter(|family| family.is_ok()).count()
}

proptest! {
    #[test]
    fn any_text_ends_in_families_or_an_error(input in "(?s).{0,200}") {
        read(&input);
    }

    #[test]
    fn any_pieces_end_in_families_or_an_error(pieces in prop::collection::vec(select(&PIECES[..]), 0..60)) {
        let input = pieces.concat();
        read(&input);

        prop_assert_eq!(families_by_line(&input, Reader::Text(TextReader::new())), whole(parse::text(&input)));
        let reader = Reader::OpenMetrics(OpenMetricsReader::new());
        prop_assert_eq!(families_by_line(&input, reader), whole(parse::openmetrics(&input)));
    }

    #[test]
    fn a_mistake_ends_in_families_or_an_error(at: prop::sample::Index, piece in select(&PIECES[..]), gone in 0usize..4) {
        let starts: Vec<usize> = WHOLE.char_indices().map(|(start, _)| start).chain([WHOLE.len()]).collect();
        let at = at.index(starts.len());
        let end = starts[(at + gone).min(starts.len() - 1)];
        read(&format!("{}{piece}{}", &WHOLE[..starts[at]], &WHOLE[end..]));
    }
}

#[test]
fn the_exposition_without_a_mistake_is_read() {
    let families: Result<Vec<_>, _> = parse::openmetrics(WHOLE).collect();

    assert_eq!(families.map(|families| families.len()), Ok(8));
}

#[test]
fn long_lines_take_no_longer_than_they_are_long() {
    // Each of these took the square of its length if a byte was looked at once more for every other one.
    let many = 50_000;
    let labels: Vec<String> = (0..many).map(|at| format!("l{at}=\"\"")).collect();
    for line in [
        "\\".repeat(many),
        "\"".repeat(many),
        "\\\"".repeat(many),
        "{".repeat(many),
        ",".repeat(many),
        " ".repeat(many),
        format!("a{{{}}} 1", labels.join(",")),
        format!("a{{{}", "b=\"c\",".repeat(many)),
        format!("a 1 # {{{}}} 1", "b=\"\\\\\",".repeat(many)),
        format!("# TYPE a histogram\na {{{}", "positive_spans:[1:2],".repeat(many)),
        "a 1\n".repeat(many),
        "# TYPE a gauge\n".repeat(many),
    ] {
        read(&line);
    }
}
