//! A family as a person looks at it: one row for each series, with what its many samples come to.
//!
//! Buckets, sums and counts of a histogram are one row here, whether they came from a store or from somebody's text. Tables,
//! JSON and the live view are made of rows; expositions are not.

use std::collections::HashMap;

use tallymark::model::{FamilySnapshot, Kind, Sample};

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Names and values of the labels, without those that the type adds.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: Value,
    /// When the series was created, in seconds since the Unix epoch.
    pub(crate) created: Option<f64>,
}

/// What a series says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Of counters, gauges and whatever is one number.
    Number(f64),
    /// Of histograms and summaries.
    Distribution(Distribution),
    /// The states of a state set that hold.
    States(Vec<String>),
}

/// What was observed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    /// Upper bounds with how many observations lie below, ascending.
    pub(crate) buckets: Vec<(f64, f64)>,
    /// What a summary says of quantiles.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

/// The rows of a family, in the order of its samples.
pub(crate) fn rows(family: &FamilySnapshot) -> Vec<Row> {
    let (kind, name) = (family.family.kind(), family.family.name());
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<Vec<(String, String)>, usize> = HashMap::new();
    for mut sample in family.samples() {
        let suffix = sample.name.strip_prefix(name).unwrap_or_default().to_owned();
        let added = added_label(kind, name).and_then(|label| take(&mut sample.labels, label));
        let mut key = sample.labels.clone();
        key.sort();
        let place = *places.entry(key).or_insert_with(|| {
            let value = empty(kind);
            rows.push(Row { labels: std::mem::take(&mut sample.labels), value, created: None });
            rows.len() - 1
        });
        let Some(row) = rows.get_mut(place) else { continue };
        if suffix == "_created" {
            row.created = Some(sample.value);
        } else {
            row.value.add(&sample, &suffix, added);
        }
    }
    for row in &mut rows {
        if let Value::Distribution(distribution) = &mut row.value {
            distribution.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
    }
    rows
}

/// The label by which samples of one series differ.
fn added_label(kind: Kind, name: &str) -> Option<&str> {
    match kind {
        Kind::StateSet => Some(name),
        kind => kind.reserved_label(),
    }
}

fn take(labels: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let place = labels.iter().position(|(known, _)| known == name)?;
    Some(labels.remove(place).1)
}

fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => Value::Distribution(Distribution::default()),
        Kind::StateSet => Value::States(Vec::new()),
        _ => Value::Number(f64::NAN),
    }
}

impl Value {
    fn add(&mut self, sample: &Sample, suffix: &str, added: Option<String>) {
        match self {
            Value::Number(number) => *number = sample.value,
            Value::States(states) => states.extend(added.filter(|_| sample.value == 1.0)),
            Value::Distribution(distribution) => distribution.add(sample, suffix, added),
        }
    }
}

impl Distribution {
    fn add(&mut self, sample: &Sample, suffix: &str, added: Option<String>) {
        if let Some(native) = &sample.native_histogram {
            self.count = Some(native.count.as_f64());
            self.sum = Some(native.sum.as_f64());
            return;
        }
        let added = added.and_then(|text| text.parse().ok());
        match (suffix, added) {
            ("_count" | "_gcount", _) => self.count = Some(sample.value),
            ("_sum" | "_gsum", _) => self.sum = Some(sample.value),
            ("_bucket", Some(bound)) => self.buckets.push((bound, sample.value)),
            (_, Some(quantile)) => self.quantiles.push((quantile, sample.value)),
            _ => {}
        }
    }

    /// The mean of the observations.
    pub(crate) fn mean(&self) -> Option<f64> {
        Some(self.sum? / self.count.filter(|count| *count > 0.0)?)
    }

    /// The value below which this part of the observations lies: as a summary says it, or estimated from the buckets as
    /// Prometheus' `histogram_quantile` does, evenly within a bucket.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        if let Some((_, value)) = self.quantiles.iter().find(|(quantile, _)| *quantile == part) {
            return Some(*value);
        }
        let total = self.buckets.last().filter(|(bound, total)| bound.is_infinite() && *total > 0.0)?.1;
        let rank = part * total;
        let place = self.buckets.iter().position(|(_, below)| *below >= rank)?;
        let before = place.checked_sub(1).and_then(|before| self.buckets.get(before)).copied();
        let (bound, below) = *self.buckets.get(place)?;
        if bound.is_infinite() {
            return before.map(|(bound, _)| bound);
        }
        let (start, fewer) = match before {
            Some(before) => before,
            None if bound <= 0.0 => return Some(bound),
            None => (0.0, 0.0),
        };
        let inside = below - fewer;
        Some(if inside > 0.0 { start + (bound - start) * (rank - fewer) / inside } else { bound })
    }
}

#[cfg(test)]
mod tests {
    use tallymark::model::parse;

    use super::*;

    fn read(text: &str) -> Vec<Row> {
        let family = parse::openmetrics(text).next().unwrap().unwrap();
        rows(&FamilySnapshot::from(family))
    }

    #[test]
    fn the_samples_of_a_histogram_are_one_row() {
        let found = read(
            "# TYPE h histogram\nh_bucket{a=\"x\",le=\"1\"} 1\nh_bucket{a=\"x\",le=\"+Inf\"} 3\nh_count{a=\"x\"} 3\nh_sum{a=\"x\"} 9\nh_created{a=\"x\"} 7\n# EOF\n",
        );

        let distribution = Distribution {
            count: Some(3.0),
            sum: Some(9.0),
            buckets: vec![(1.0, 1.0), (f64::INFINITY, 3.0)],
            quantiles: Vec::new(),
        };
        let labels = vec![("a".to_owned(), "x".to_owned())];
        assert_eq!(found, [Row { labels, value: Value::Distribution(distribution), created: Some(7.0) }]);
    }

    #[test]
    fn the_order_of_labels_makes_no_other_series() {
        let found = read("# TYPE s summary\ns_count{a=\"1\",b=\"2\"} 1\ns_sum{b=\"2\",a=\"1\"} 3\n# EOF\n");

        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn of_a_state_set_the_states_that_hold_are_shown() {
        let found = read("# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# EOF\n");

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value, Value::States(vec!["on".to_owned()]));
    }

    #[test]
    fn quantiles_are_those_that_prometheus_estimates() {
        let of = |buckets: &[(f64, f64)]| Distribution { buckets: buckets.to_vec(), ..Distribution::default() };
        let common = of(&[(1.0, 10.0), (2.0, 20.0), (4.0, 20.0), (f64::INFINITY, 40.0)]);

        for (distribution, part, expected) in [
            (&common, 0.25, Some(1.0)),
            (&common, 0.125, Some(0.5)),
            (&common, 0.375, Some(1.5)),
            (&common, 0.5, Some(2.0)),
            (&common, 0.9, Some(4.0)),
            (&of(&[(-1.0, 5.0), (f64::INFINITY, 5.0)]), 0.5, Some(-1.0)),
            (&of(&[(f64::INFINITY, 5.0)]), 0.5, None),
            (&of(&[(1.0, 0.0), (f64::INFINITY, 0.0)]), 0.5, None),
            (&of(&[]), 0.5, None),
        ] {
            assert_eq!(distribution.quantile(part), expected, "{distribution:?} {part}");
        }
    }
}
