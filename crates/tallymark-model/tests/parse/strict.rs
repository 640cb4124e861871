//! What the readers promise that take bodies from others: any bytes end in families or an error, and what Tallymark writes
//! is taken.

use proptest::{prelude::*, sample::select};
use tallymark_model::{Escaping, FamilySnapshot, Snapshot, encode, parse};

/// What lines of the text format are made of.
const PIECES: [&str; 30] = [
    "# TYPE ",
    "# HELP ",
    "# ",
    "a",
    "a_total",
    "a_bucket",
    "a_count",
    "{",
    "}",
    "\"",
    "\\",
    "\\n",
    ",",
    "=",
    " ",
    "\t",
    "\n",
    "\r",
    "le=\"1\"",
    "quantile=\"0.5\"",
    "b=\"c\"",
    "\"a b\"",
    " 1\n",
    " 1 2\n",
    " NaN\n",
    " counter\n",
    " histogram\n",
    " summary\n",
    "é",
    "\u{2028}",
];

/// What is read is written and read again as the same.
fn check(input: &str) -> Result<(), TestCaseError> {
    let Ok(families) = parse::strict_text(input, 1000) else { return Ok(()) };
    // Times are cut to milliseconds on the way, which may cost one.
    if families.iter().flat_map(FamilySnapshot::samples).any(|sample| sample.timestamp.is_some()) {
        return Ok(());
    }
    let written = written(&families);
    let again = parse::strict_text(&written, 1000);
    prop_assert!(again.is_ok(), "{again:?} of {written:?}");
    prop_assert_eq!(self::written(&again.unwrap()), written);
    Ok(())
}

fn written(families: &[FamilySnapshot]) -> String {
    let mut out = Vec::new();
    encode::text(&Snapshot { families: families.to_vec() }, Escaping::AllowUtf8, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn any_text_ends_in_families_or_an_error(input in "(?s).{0,200}") {
        check(&input)?;
    }

    #[test]
    fn any_pieces_end_in_families_or_an_error(pieces in prop::collection::vec(select(&PIECES[..]), 0..40)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn any_bytes_are_protobuf_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse::protobuf(&bytes, 1000);
    }
}

#[test]
fn long_lines_take_no_longer_than_they_are_long() {
    let many = 50_000;
    let labels: Vec<String> = (0..many).map(|at| format!("l{at}=\"\"")).collect();
    for line in [
        "\\".repeat(many),
        "a{b=\"\\\\".repeat(many),
        format!("# HELP a {}", "\\\\".repeat(many)),
        format!("a{{{}}} 1", labels.join(",")),
        "a 1\n".repeat(many),
        "# TYPE a gauge\n".repeat(many),
    ] {
        let _ = parse::strict_text(&format!("{line}\n"), many);
    }
}

#[test]
fn what_the_reader_of_protobuf_refuses_it_names() {
    for (bytes, error) in [
        (&b"\x05\x0a\x03abc"[..], ""),
        (b"\x05\x0a\x03ab", "message 1: it is 5 bytes long, and 4 follow"),
        (b"\x03\x0a\x02a", "message 1: it is no MetricFamily: failed"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "message 1: its length is no number"),
        (b"\x02\x18\x01", "message 1: metric name cannot be empty"),
        (b"\x05\x0a\x01a\x18\x09", "message 1: a is of a type with the number 9"),
        (b"\x03\x0a\x01a\x03\x0a\x01a", "message 2: a came before"),
        (b"\x05\x0a\x01a\x22\x00", "message 1: metric 1 of \"a\": it has no counter"),
        (b"\x0b\x0a\x01a\x22\x06\x0a\x02\x12\x00\x1a\x00", "message 1: metric 1 of \"a\": a label has no name"),
        (b"\x0c\x0a\x01a\x22\x07\x0a\x03\x0a\x01b\x1a\x00", ""),
        (
            b"\x11\x0a\x01a\x22\x0c\x0a\x03\x0a\x01b\x0a\x03\x0a\x01b\x1a\x00",
            "message 1: metric 1 of \"a\": the label \"b\" stands twice",
        ),
        (
            b"\x0e\x0a\x01a\x18\x04\x22\x07\x0a\x03\x0a\x02le\x3a\x00",
            "message 1: metric 1 of \"a\": it is no Metric: failed",
        ),
        (
            b"\x0f\x0a\x01a\x18\x04\x22\x08\x0a\x04\x0a\x02le\x3a\x00",
            "message 1: metric 1 of \"a\": the label le belongs to the type",
        ),
        (
            b"\x12\x0a\x01a\x18\x04\x22\x0b\x3a\x09\x71\x00\x00\x00\x00\x00\x00\x00\x00",
            "message 1: metric 1 of \"a\": a native histogram that counts in floats is not supported",
        ),
        (
            b"\x11\x0a\x01a\x22\x0c\x1a\x0a\x1a\x08\x08\x01\x10\x80\xa8\xd6\xb9\x07",
            "message 1: metric 1 of \"a\": its created timestamp has nanoseconds beyond a second",
        ),
    ] {
        let found = parse::protobuf(bytes, 1000).map(|_| String::new()).unwrap_or_else(|error| error.to_string());

        assert!(found.starts_with(error) && found.is_empty() == error.is_empty(), "{found} of {bytes:?}");
    }
}
