//! What a source holds, without its numbers: each family's type, labels and unit, as a Prometheus will know them.
//!
//! Dashboards and rules are made of this. The text format has fewer types than we do, and writes the times of creation as
//! families of their own; what they stand for is found again here. Nothing here knows Grafana or rules.

use std::collections::{BTreeMap, BTreeSet};

use tallymark::model::{FamilySnapshot, Kind, Sample, Snapshot};

/// A chart of more lines than these is read by nobody; more label values than these are not remembered.
pub(crate) const FEW: usize = 20;

/// The families, sorted by name.
#[derive(Debug)]
pub(crate) struct Overview {
    families: BTreeMap<String, Outline>,
}

/// One family, as queries see it.
#[derive(Debug)]
pub(crate) struct Outline {
    /// The name; a counter's without `_total`, an info's with `_info`.
    pub(crate) name: String,
    /// What the samples are called that have the value: `hits_total`. Of a histogram or summary, the name.
    pub(crate) metric: String,
    /// The type, also where the text format has none for it.
    pub(crate) kind: Kind,
    /// The help text, or nothing.
    pub(crate) help: String,
    /// What the numbers are counted in, as the name ends: `seconds`, `bytes`, or nothing.
    pub(crate) unit: String,
    /// The labels, sorted by name, but for those that a type writes itself.
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
    /// How many series there are.
    pub(crate) series: usize,
    /// Whether a histogram is a native one.
    pub(crate) native: bool,
    /// Whether a summary has quantiles, which ours have not.
    pub(crate) quantiles: bool,
}

impl Overview {
    /// What the snapshot holds. Of two families of one name the first counts.
    pub(crate) fn of(snapshot: &Snapshot) -> Overview {
        let mut families = BTreeMap::new();
        for family in &snapshot.families {
            let outline = Outline::of(family);
            families.entry(outline.name.clone()).or_insert(outline);
        }
        let with_times: BTreeSet<String> =
            families.values().filter(|family| family.is_counted()).map(|family| family.name.clone()).collect();
        families.retain(|name, _| name.strip_suffix("_created").is_none_or(|name| !with_times.contains(name)));
        Overview { families }
    }

    /// All families, sorted by name.
    pub(crate) fn families(&self) -> impl Iterator<Item = &Outline> {
        self.families.values()
    }

    /// The family of a name.
    pub(crate) fn family(&self, name: &str) -> Option<&Outline> {
        self.families.get(name)
    }

    /// The family of a name, if it has the type.
    pub(crate) fn of_kind(&self, kind: Kind, name: &str) -> Option<&Outline> {
        self.family(name).filter(|family| family.kind == kind)
    }
}

impl Outline {
    fn of(snapshot: &FamilySnapshot) -> Outline {
        let (family, samples) = (&snapshot.family, snapshot.samples());
        let declared = family.label_names().iter().map(|label| (label.to_string(), BTreeSet::new()));
        let mut outline = Outline {
            name: family.name().to_owned(),
            metric: family.name().to_owned(),
            kind: kind(family.kind(), family.name(), &samples),
            help: family.help().to_owned(),
            unit: family.unit().to_owned(),
            labels: declared.collect(),
            series: 0,
            native: samples.iter().any(|sample| sample.native_histogram.is_some()),
            quantiles: false,
        };
        outline.name_metric(&samples);
        samples.iter().for_each(|sample| outline.add(sample));
        if outline.unit.is_empty() {
            outline.unit = unit(&outline.name).to_owned();
        }
        outline
    }

    /// Whether the numbers grow until the process ends: what has a rate.
    fn is_counted(&self) -> bool {
        matches!(self.kind, Kind::Counter | Kind::Histogram | Kind::Summary)
    }

    fn name_metric(&mut self, samples: &[Sample]) {
        match self.kind {
            Kind::Counter => {
                // Of an unknown type, it has the suffix in its name; somebody's counter lacks it.
                if let Some(stem) = self.name.strip_suffix("_total") {
                    self.name = stem.to_owned();
                } else if samples.is_empty() || samples.iter().all(|sample| sample.name != self.name) {
                    self.metric.push_str("_total");
                }
            }
            Kind::Info if !self.name.ends_with("_info") => {
                self.name.push_str("_info");
                self.metric.push_str("_info");
            }
            _ => {}
        }
    }

    /// Counts the sample's series and labels, if it is the one that every series has one of.
    fn add(&mut self, sample: &Sample) {
        let part = sample.name.strip_prefix(&*self.name).unwrap_or_default();
        if self.kind == Kind::Summary && sample.labels.iter().any(|(label, _)| label == "quantile") {
            self.quantiles = true;
        }
        let counts = match self.kind {
            Kind::Summary => part == "_count",
            Kind::Histogram | Kind::GaugeHistogram if sample.native_histogram.is_none() => {
                matches!(part, "_count" | "_gcount")
            }
            _ => part != "_created",
        };
        if !counts {
            return;
        }
        self.series += 1;
        for (label, value) in &sample.labels {
            if self.kind == Kind::StateSet && *label == self.name {
                continue;
            }
            let values = self.labels.entry(label.clone()).or_default();
            if values.len() <= FEW {
                values.insert(value.clone());
            }
        }
    }

    /// The labels to show series by: all of them if the lines are few, else those that leave them few.
    pub(crate) fn telling_labels(&self) -> Vec<&str> {
        if self.series <= FEW {
            return self.labels.keys().map(String::as_str).collect();
        }
        let mut by_values: Vec<(usize, &str)> =
            self.labels.iter().map(|(label, values)| (values.len().max(1), label.as_str())).collect();
        by_values.sort_unstable();
        let mut lines = 1;
        let mut told: Vec<&str> = by_values
            .into_iter()
            .take_while(|(values, _)| {
                lines *= values;
                lines <= FEW
            })
            .map(|(_, label)| label)
            .collect();
        told.sort_unstable();
        told
    }

    /// The first word of the name, which families of one subject have in common.
    pub(crate) fn subject(&self) -> &str {
        self.name.split(['_', '.', ':']).next().unwrap_or_default()
    }

    /// Whether it is about a program's insides, or ours, and not about what the program is for.
    pub(crate) fn is_inside(&self) -> bool {
        ["process", "python", "tallymark"].contains(&self.subject())
    }

    /// What the gauge's name says it is: a moment, in seconds since 1970.
    pub(crate) fn is_moment(&self) -> bool {
        const MOMENTS: [&str; 4] = ["_timestamp_seconds", "_start_time_seconds", "_created", "_timestamp"];
        const PUSHES: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];
        matches!(self.kind, Kind::Gauge | Kind::Unknown)
            && (MOMENTS.iter().any(|end| self.name.ends_with(end)) || PUSHES.contains(&&*self.name))
    }
}

/// The type, where the text format or nobody says it.
fn kind(told: Kind, name: &str, samples: &[Sample]) -> Kind {
    let all = |true_of: &dyn Fn(&Sample) -> bool| !samples.is_empty() && samples.iter().all(true_of);
    match told {
        Kind::Unknown if name.ends_with("_total") => Kind::Counter,
        Kind::Gauge if name.ends_with("_info") && all(&|sample| sample.value == 1.0) => Kind::Info,
        Kind::Gauge if all(&|sample| sample.labels.iter().any(|(label, _)| label == name)) => Kind::StateSet,
        _ => told,
    }
}

/// The unit that a name ends in.
fn unit(name: &str) -> &str {
    const UNITS: [&str; 11] =
        ["seconds", "bytes", "ratio", "percent", "celsius", "volts", "amperes", "watts", "joules", "meters", "hertz"];
    let last = name.rsplit('_').next().unwrap_or_default();
    if UNITS.contains(&last) { last } else { "" }
}

#[cfg(test)]
pub(crate) mod tests {
    use tallymark::model::parse;

    use super::*;

    /// What the text holds.
    pub(crate) fn overview(text: &str) -> Overview {
        let families = parse::text(text).map(|family| family.expect("the text is well-formed").into());
        Overview::of(&Snapshot { families: families.collect() })
    }

    #[test]
    fn families_have_the_names_that_queries_need() {
        let held = overview(
            "# TYPE hits_total counter\nhits_total{path=\"/\"} 1\n# TYPE hits_created gauge\nhits_created{path=\"/\"} 1\n\
             # TYPE build_info gauge\nbuild_info{version=\"2\"} 1\n# TYPE idle counter\n\
             # TYPE mode gauge\nmode{mode=\"on\"} 0\nmode{mode=\"off\"} 1\nloose_total 3\n",
        );

        let found: Vec<_> = held.families().map(|one| (&*one.name, &*one.metric, one.kind)).collect();
        assert_eq!(
            found,
            [
                ("build_info", "build_info", Kind::Info),
                ("hits", "hits_total", Kind::Counter),
                ("idle", "idle_total", Kind::Counter),
                ("loose", "loose_total", Kind::Counter),
                ("mode", "mode", Kind::StateSet),
            ]
        );
    }

    #[test]
    fn a_histogram_s_series_are_counted_once_and_its_own_label_is_none_of_them() {
        let held = overview(
            "# TYPE wait_seconds histogram\nwait_seconds_bucket{zone=\"a\",le=\"1\"} 1\n\
             wait_seconds_bucket{zone=\"a\",le=\"+Inf\"} 1\nwait_seconds_count{zone=\"a\"} 1\nwait_seconds_sum{zone=\"a\"} 1\n",
        );

        let wait = held.family("wait_seconds").unwrap();
        assert_eq!((wait.series, &*wait.unit), (1, "seconds"));
        assert_eq!(wait.labels.keys().collect::<Vec<_>>(), ["zone"]);
    }

    #[test]
    fn many_series_are_told_apart_by_the_labels_that_leave_few_lines() {
        let mut text = "# TYPE hits_total counter\n".to_owned();
        for number in 0..60 {
            let (code, zone, shard) = (number % 3, number % 2, number % 5);
            let few = format!("code=\"{code}\",zone=\"{zone}\",shard=\"{shard}\"");
            text += &format!("hits_total{{user=\"{number}\",{few}}} 1\n");
        }

        let held = overview(&text);
        let hits = held.family("hits").unwrap();
        assert_eq!((hits.series, hits.telling_labels()), (60, vec!["code", "zone"]));
        assert_eq!(hits.labels["user"].len(), FEW + 1);
    }

    #[test]
    fn a_gauge_that_ends_in_a_time_of_day_is_a_moment() {
        let held = overview(
            "# TYPE job_last_success_timestamp_seconds gauge\n# TYPE push_time_seconds gauge\n# TYPE wait_time_seconds gauge\n",
        );

        let moments: Vec<_> = held.families().filter(|one| one.is_moment()).map(|one| &*one.name).collect();
        assert_eq!(moments, ["job_last_success_timestamp_seconds", "push_time_seconds"]);
    }
}
