//! What holds for any content.

use std::sync::Arc;

use proptest::prelude::*;
use tallymark_model::{Body, Escaping, Family, FamilySnapshot, Kind, Labels, Value, number};

use super::{collected, native, openmetrics, sample, text};

/// Reads `name="value",…` back, as a parser does in one pass.
fn parsed_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (mut value, mut characters) = (String::new(), rest.char_indices());
        let end = loop {
            match characters.next().expect("no closing quote") {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next().expect("nothing behind a backslash").1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, character) => value.push(character),
            }
        };
        labels.push((name.trim_start_matches(',').to_owned(), value));
        text = &rest[end + 1..];
    }
    labels
}

proptest! {
    #[test]
    fn labels_are_read_back_sorted_and_whole(values in proptest::array::uniform3(r#"(\PC|["\\\n\r,={}]){0,12}"#)) {
        let family = Family::builder(Kind::Gauge, "g", "").label_names(["m", "z", "a"]).build().unwrap();
        let labels = Labels::new(&family, &values).unwrap();
        let [m, z, a] = values;

        prop_assert_eq!(parsed_labels(labels.text()), [("a".into(), a), ("m".into(), m), ("z".into(), z)]);
    }

    #[test]
    fn the_fast_and_the_slow_road_write_the_same_line(values in proptest::array::uniform3(r#"(\PC|["\\\n]){0,8}"#)) {
        let family = Family::builder(Kind::Histogram, "h", "").bounds([0.5]).label_names(["m", "k", "z"]);
        let value = Value::Histogram { counts: [3, 4].into(), sum: 1.5, exemplars: Vec::new() };
        let fast = native(family, &[(&values.each_ref().map(|value| &**value), value, Some(2.5))]);
        // A custom collector may say the same, one label after the other.
        let described = Family::described(Kind::Histogram, "h", "", "");
        let slow = FamilySnapshot { family: Arc::new(described), body: Body::Samples(fast.samples()) };

        for escaping in Escaping::ALL {
            let (fast, slow) = ([fast.clone()], [slow.clone()]);

            prop_assert_eq!(text(&fast, escaping), text(&slow, escaping));
            prop_assert_eq!(openmetrics(&fast, escaping), openmetrics(&slow, escaping));
        }
    }

    #[test]
    fn buckets_never_fall_and_the_last_is_the_count(counts in proptest::collection::vec(0u64..1 << 40, 1..20)) {
        let bounds: Vec<f64> = (1..counts.len().max(2)).map(|bound| bound as f64).collect();
        let mut counts = counts;
        counts.resize(bounds.len() + 1, 0);
        let total: u64 = counts.iter().sum();
        let value = Value::Histogram { counts: counts.into(), sum: 0.0, exemplars: Vec::new() };
        let family = native(Family::builder(Kind::Histogram, "h", "").bounds(bounds), &[(&[], value, None)]);
        let exposition = text(&[family], Escaping::Underscores);
        let value = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        let buckets: Vec<f64> = exposition.lines().filter(|line| line.starts_with("h_bucket")).map(value).collect();
        let count = exposition.lines().find(|line| line.starts_with("h_count")).map(value);

        prop_assert!(buckets.is_sorted(), "{exposition}");
        prop_assert_eq!(buckets.last().copied(), count);
        prop_assert_eq!(count, Some(total as f64));
    }

    #[test]
    fn every_line_is_whole_whatever_stands_in_it(
        name in r#"(\PC|["\\\n]){1,8}"#,
        label in r#"(\PC|["\\\n]){1,8}"#,
        value in r#"(\PC|["\\\n]){0,8}"#,
        help in r#"(\PC|["\\\n]){0,8}"#,
        number: f64,
    ) {
        let family = Family::described(Kind::Gauge, &name, &help, "");
        let family = collected(family, &[sample(&name, &[(&label, &value)], number)]);
        for escaping in Escaping::ALL {
            let (text, open) = (text(std::slice::from_ref(&family), escaping), openmetrics(std::slice::from_ref(&family), escaping));

            prop_assert_eq!(text.split('\n').count(), 4, "{}", text);
            prop_assert!(text.ends_with(&format!("\"}} {}\n", number::format(number))), "{}", text);
            prop_assert!(open.ends_with("\n# EOF\n"), "{}", open);
        }
    }
}
