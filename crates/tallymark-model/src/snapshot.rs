//! A consistent read of families and their series: what stores and collectors make, and all that encoders see.
//!
//! A snapshot is values and nothing else: it knows neither the store it was read from nor the format it will have.

use std::{borrow::Borrow, collections::HashSet, hash::BuildHasher, hash::Hash, sync::Arc};

use crate::{
    Exemplar, Family, Labels, Sample,
    line::{Added, Line, created, for_each_line},
};

/// Families with their values, in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The families.
    pub families: Vec<FamilySnapshot>,
}

impl Snapshot {
    /// Keeps only the samples of these full names (`hits_total`, not `hits`), as `name[]` in a scrape's query asks.
    ///
    /// Families left without samples are dropped, the others lose their unit, as the official client does.
    ///
    /// ```
    /// # use std::{collections::HashSet, sync::Arc};
    /// # use tallymark_model::{Body, Family, FamilySnapshot, Kind, SeriesSnapshot, Snapshot, Value};
    /// let family = Family::builder(Kind::Summary, "latency", "Seconds.").unit("seconds").build()?;
    /// let value = Value::Summary { count: 2, sum: 0.5 };
    /// let series = SeriesSnapshot { labels: Arc::new(family.labels::<&str>(&[])?), process: None, value, created: None };
    /// let family = FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) };
    /// let left = Snapshot { families: vec![family] }.restrict(&HashSet::from(["latency_seconds_sum"]));
    /// assert_eq!(left.families[0].samples().len(), 1);
    /// # Ok::<(), tallymark_model::Error>(())
    /// ```
    pub fn restrict<S, H>(self, names: &HashSet<S, H>) -> Snapshot
    where
        S: Borrow<str> + Eq + Hash,
        H: BuildHasher,
    {
        let families = self.families.into_iter().filter_map(|snapshot| {
            let mut samples = match snapshot.body {
                Body::Samples(samples) => samples,
                Body::Series(_) => snapshot.samples(),
            };
            samples.retain(|sample| names.contains(&*sample.name));
            let (family, body) = (snapshot.family.with_unit(""), Body::Samples(samples));
            (!body.is_empty()).then(|| FamilySnapshot { family: Arc::new(family), body })
        });
        Snapshot { families: families.collect() }
    }
}

/// One family with the values of its series.
#[derive(Debug, Clone)]
pub struct FamilySnapshot {
    /// What the family is.
    pub family: Arc<Family>,
    /// The values.
    pub body: Body,
}

impl FamilySnapshot {
    /// The family's samples with their full names, in the order in which the official client gives them.
    ///
    /// This is for those who look at single values: tests, bridges, `collect()`. Encoders write native series without
    /// making samples of them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tallymark_model::{Body, Family, FamilySnapshot, Kind, SeriesSnapshot, Value};
    /// let family = Family::builder(Kind::Counter, "hits", "Hits.").label_names(["path"]).build()?;
    /// let series = SeriesSnapshot {
    ///     labels: Arc::new(family.labels(&["/"])?),
    ///     process: None,
    ///     value: Value::Counter { total: 3.0, exemplar: None },
    ///     created: None,
    /// };
    /// let snapshot = FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) };
    /// let samples = snapshot.samples();
    /// assert_eq!((&*samples[0].name, samples[0].value), ("hits_total", 3.0));
    /// assert_eq!(samples[0].labels, [("path".to_owned(), "/".to_owned())]);
    /// # Ok::<(), tallymark_model::Error>(())
    /// ```
    pub fn samples(&self) -> Vec<Sample> {
        match &self.body {
            Body::Samples(samples) => samples.clone(),
            Body::Series(series) => {
                let mut samples = Vec::new();
                for series in series {
                    for_each_line(&self.family, series, |line| samples.push(self.sample(series, line)));
                    samples.extend(created(series).map(|line| self.sample(series, line)));
                }
                samples
            }
        }
    }

    fn sample(&self, series: &SeriesSnapshot, line: Line<'_>) -> Sample {
        let mut labels = Vec::new();
        for (name, value) in self.family.label_names().iter().zip(series.labels.values()) {
            put(&mut labels, name, value);
        }
        match line.added {
            Added::Nothing => {}
            Added::Le(bound) => put(&mut labels, "le", bound),
            Added::State(state) => put(&mut labels, self.family.name(), state),
            Added::Pairs(pairs) => pairs.iter().for_each(|(name, value)| put(&mut labels, name, value)),
        }
        if let Some(process) = &series.process {
            process.instance.iter().for_each(|instance| put(&mut labels, "instance", instance));
            put(&mut labels, "pid", &process.pid.to_string());
        }
        Sample {
            name: format!("{}{}", self.family.name(), line.suffix),
            labels,
            value: line.value,
            timestamp: None,
            exemplar: line.exemplar.cloned(),
            native_histogram: None,
        }
    }
}

/// Adds a label, or replaces the value of the one that has the name, as a Python dict does.
fn put(labels: &mut Vec<(String, String)>, name: &str, value: &str) {
    match labels.iter_mut().find(|(known, _)| known == name) {
        Some(label) => label.1 = value.to_owned(),
        None => labels.push((name.to_owned(), value.to_owned())),
    }
}

/// The values of a family, as its series hold them or as a custom collector gave them.
#[derive(Debug, Clone)]
pub enum Body {
    /// Series of native metrics, in order of creation.
    Series(Vec<SeriesSnapshot>),
    /// Samples of a custom collector, in its order.
    Samples(Vec<Sample>),
}

impl Body {
    /// Whether there is nothing to write but the family's metadata.
    pub fn is_empty(&self) -> bool {
        match self {
            Body::Series(series) => series.is_empty(),
            Body::Samples(samples) => samples.is_empty(),
        }
    }
}

/// One series with its value.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The label values.
    pub labels: Arc<Labels>,
    /// Set where a gauge has one series per process.
    pub process: Option<Process>,
    /// The value.
    pub value: Value,
    /// When the series was first created in the store, in seconds since the Unix epoch; `None` leaves `_created` out.
    pub created: Option<f64>,
}

/// The process that a series is of: labels that come last, and take the place of labels of their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its host, the label `instance`, where there may be several.
    pub instance: Option<Arc<str>>,
    /// Its process id, the label `pid`.
    pub pid: u32,
}

/// The value of a series, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter's total.
    Counter {
        /// The total.
        total: f64,
        /// The most recent exemplar.
        exemplar: Option<Box<Exemplar>>,
    },
    /// A gauge's value.
    Gauge(f64),
    /// A summary's count and sum; quantiles cannot be added up and are not kept.
    Summary {
        /// How many observations.
        count: u64,
        /// Their sum.
        sum: f64,
    },
    /// A histogram.
    Histogram {
        /// Observations per bucket, not cumulative, one for each bound of the family.
        counts: Box<[u64]>,
        /// Sum of the observations.
        sum: f64,
        /// The most recent exemplar of a bucket, with the bucket's index, ascending.
        exemplars: Vec<(usize, Exemplar)>,
    },
    /// An info's label names and values.
    Info(Vec<(String, String)>),
    /// The index of the state that holds, among the family's states.
    StateSet(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FamilyBuilder, Kind};

    /// One series of the family, with every label value `v`.
    fn one(family: FamilyBuilder, value: Value, created: Option<f64>, process: Option<Process>) -> FamilySnapshot {
        let family = family.build().unwrap();
        let labels = family.labels(&vec!["v"; family.label_names().len()]).unwrap();
        let series = SeriesSnapshot { labels: Arc::new(labels), process, value, created };
        FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) }
    }

    /// `name{labels} value`, labels in their order.
    fn shown(snapshot: &FamilySnapshot) -> Vec<String> {
        let labels = |sample: &Sample| {
            let pairs: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.join(",")
        };
        snapshot.samples().iter().map(|s| format!("{}{{{}}} {}", s.name, labels(s), s.value)).collect()
    }

    fn histogram(bounds: &[f64]) -> FamilySnapshot {
        let family = Family::builder(Kind::Histogram, "h", "").bounds(bounds).label_names(["z"]);
        let value = Value::Histogram { counts: [1, 0, 2].into(), sum: 9.0, exemplars: Vec::new() };
        one(family, value, Some(7.5), None)
    }

    #[test]
    fn a_histogram_counts_up_and_ends_with_count_sum_and_created() {
        assert_eq!(
            shown(&histogram(&[1.0, 2.0])),
            [
                "h_bucket{z=v,le=1.0} 1",
                "h_bucket{z=v,le=2.0} 1",
                "h_bucket{z=v,le=+Inf} 3",
                "h_count{z=v} 3",
                "h_sum{z=v} 9",
                "h_created{z=v} 7.5",
            ]
        );
    }

    #[test]
    fn a_histogram_with_a_negative_bound_has_no_sum() {
        let lines = shown(&histogram(&[-1.0, 2.0]));

        assert_eq!(lines[3..], ["h_count{z=v} 3", "h_created{z=v} 7.5"]);
        assert_eq!(shown(&histogram(&[0.0, 2.0]))[4], "h_sum{z=v} 9");
    }

    #[test]
    fn every_other_type_has_the_samples_of_the_official_client() {
        let states = || Family::builder(Kind::StateSet, "s", "").states(["on", "off"]).label_names(["z"]);
        let info = || Family::builder(Kind::Info, "i", "").label_names(["z"]);
        let pairs = vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())];
        for (snapshot, samples) in [
            (
                one(
                    Family::builder(Kind::Counter, "c_total", ""),
                    Value::Counter { total: 2.0, exemplar: None },
                    Some(1.0),
                    None,
                ),
                vec!["c_total{} 2", "c_created{} 1"],
            ),
            (one(Family::builder(Kind::Gauge, "g", ""), Value::Gauge(2.0), Some(1.0), None), vec!["g{} 2"]),
            (
                one(Family::builder(Kind::Summary, "s", ""), Value::Summary { count: 1, sum: 2.0 }, Some(3.0), None),
                vec!["s_count{} 1", "s_sum{} 2", "s_created{} 3"],
            ),
            (one(info(), Value::Info(pairs), Some(1.0), None), vec!["i_info{z=v,b=1,a=2} 1"]),
            (one(states(), Value::StateSet(1), Some(1.0), None), vec!["s{z=v,s=on} 0", "s{z=v,s=off} 1"]),
        ] {
            assert_eq!(shown(&snapshot), samples);
        }
    }

    #[test]
    fn a_process_takes_the_place_of_labels_of_its_names() {
        let shown = |labels: [&str; 2], instance: Option<&str>| {
            let process = Process { instance: instance.map(Arc::from), pid: 42 };
            let family = Family::builder(Kind::Gauge, "g", "").label_names(labels);
            shown(&one(family, Value::Gauge(1.0), None, Some(process)))
        };

        assert_eq!(shown(["a", "z"], None), ["g{a=v,z=v,pid=42} 1"]);
        assert_eq!(shown(["pid", "b"], None), ["g{pid=42,b=v} 1"]);
        assert_eq!(shown(["a", "z"], Some("web")), ["g{a=v,z=v,instance=web,pid=42} 1"]);
        assert_eq!(shown(["pid", "instance"], Some("web")), ["g{pid=42,instance=web} 1"]);
    }

    #[test]
    fn a_restricted_snapshot_keeps_full_names_and_drops_empty_families() {
        let gauge = Family::builder(Kind::Gauge, "g", "").unit("bytes");
        let snapshot = Snapshot { families: vec![one(gauge, Value::Gauge(1.0), None, None), histogram(&[1.0, 2.0])] };
        let both = snapshot.clone().restrict(&HashSet::from(["h_sum".to_owned(), "g_bytes".to_owned()]));
        let none = snapshot.restrict(&HashSet::from(["h"]));

        assert_eq!(both.families.iter().flat_map(shown).collect::<Vec<_>>(), ["g_bytes{} 1", "h_sum{z=v} 9"]);
        assert_eq!(both.families[0].family.unit(), "");
        assert!(none.families.is_empty());
    }
}
