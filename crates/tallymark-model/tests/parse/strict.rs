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
        (
            b"\x12\x0a\x01a\x18\x02\x22\x0b\x22\x09\x1a\x07\x09\x00\x00\x00\x00\x00\x00",
            "message 1: metric 1 of \"a\": it is no Metric: failed",
        ),
        (
            b"\x14\x0a\x01a\x18\x02\x22\x0d\x22\x0b\x1a\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x7f",
            "message 1: metric 1 of \"a\": a quantile is no number",
        ),
        (
            b"\x0d\x0a\x01a\x18\x04\x22\x06\x3a\x04\x1a\x00\x1a\x00",
            "message 1: metric 1 of \"a\": the bound of a bucket 0.0 stands twice",
        ),
        (
            b"\x0f\x0a\x01a\x18\x04\x22\x08\x3a\x06\x62\x02\x10\x02\x68\x02",
            "message 1: metric 1 of \"a\": the spans of a native histogram have 2 buckets, and it has 1 counts",
        ),
    ] {
        let found = parse::protobuf(bytes, 1000).map(|_| String::new()).unwrap_or_else(|error| error.to_string());

        assert!(found.starts_with(error) && found.is_empty() == error.is_empty(), "{found} of {bytes:?}");
    }
}

/// A field with a length, as protobuf has it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        bytes.push((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

/// A family "a" of a type, with one metric.
fn family(kind: u8, metric: &[u8]) -> Vec<u8> {
    let message = [&field(1, b"a")[..], &[3 << 3, kind], &field(4, metric)].concat();
    field(0, &message)[1..].to_vec()
}

#[test]
fn protobuf_that_would_grow_is_refused_before_it_has_grown() {
    let bucket = |at: u32| field(3, &[&[2 << 3 | 1][..], &f64::from(at).to_le_bytes()].concat());
    let buckets: Vec<u8> = (0..500).flat_map(bucket).collect();
    let long = field(1, &[field(1, b"b"), field(2, &[b'x'; 10_000])].concat());
    let metrics: Vec<u8> = [field(1, b"a"), field(4, b"").repeat(1001)].concat();
    for (what, bytes, is_read) in [
        ("buckets", family(4, &field(7, &buckets)), true),
        ("buckets", family(4, &field(7, &[&buckets[..], &field(3, b"").repeat(501)].concat())), false),
        ("quantiles", family(2, &field(4, &field(3, b"").repeat(1001))), false),
        ("metrics", field(0, &metrics)[1..].to_vec(), false),
        ("labels", family(0, &field(1, b"").repeat(10_010)), false),
        ("labels of buckets", family(4, &[&long[..], &field(7, &buckets)].concat()), false),
        ("labels of exemplars", family(0, &field(3, &field(2, &field(1, b"").repeat(10_010)))), false),
        ("packed deltas", family(4, &field(7, &field(13, &[0; 10_010]))), false),
        (
            "families",
            (0..1001).flat_map(|at| field(0, &field(1, format!("a{at}").as_bytes()))[1..].to_vec()).collect(),
            false,
        ),
    ] {
        let found = parse::protobuf(&bytes, 1000).map(|_| ()).map_err(|error| error.to_string());

        assert_eq!(found.is_ok(), is_read, "{what}: {found:?}");
        assert!(is_read || found.unwrap_err().ends_with("there are more samples than may be"), "{what}");
    }
}
