//! What is worth recording of an application: the rate of each counter, and of histograms and summaries how often something
//! was observed, the mean and the quantiles.
//!
//! Names are `level:metric:operation`: the labels that are left, what is measured, what was done to it.

use std::collections::BTreeMap;

use tallymark::model::Kind;
use tallymark::model::name::escape_label;
use tallymark::model::{Escaping, name};

use super::Rule;
use crate::overview::{Outline, Overview};
use crate::promql::{aggregate, rate, select};

/// Four scrapes at the usual intervals, so that one that fails leaves no gap.
pub(super) const RANGE: &str = "5m";

/// The recording rules.
pub(super) fn rules(held: &Overview) -> Vec<Rule> {
    held.families().filter(|family| !family.is_inside()).flat_map(of_family).collect()
}

fn of_family(family: &Outline) -> Vec<Rule> {
    match family.kind {
        Kind::Counter => vec![rate_of(family, &family.metric, &family.name)],
        Kind::Histogram if family.native => Vec::new(),
        Kind::Histogram => {
            let mut rules = vec![count(family), mean(family)];
            rules.extend(["0.5", "0.9", "0.99"].map(|quantile| quantile_of(family, quantile)));
            rules
        }
        Kind::Summary => vec![count(family), mean(family)],
        _ => Vec::new(),
    }
}

fn count(family: &Outline) -> Rule {
    let metric = format!("{}_count", family.name);
    rate_of(family, &metric, &metric)
}

fn rate_of(family: &Outline, metric: &str, name: &str) -> Rule {
    let labels = levels(family);
    let expr = aggregate("sum", &labels, &rate(&select(metric, &[]), RANGE));
    recording(&labels, name, "rate5m", expr, None)
}

fn mean(family: &Outline) -> Rule {
    let labels = levels(family);
    let sum = |part: &str| {
        let metric = format!("{}_{part}", family.name);
        aggregate("sum", &labels, &rate(&select(&metric, &[]), RANGE))
    };
    recording(&labels, &family.name, "mean5m", format!("{} / {}", sum("sum"), sum("count")), None)
}

/// Over all label values: the quantiles of parts cannot be put together, and by each label they are too many.
fn quantile_of(family: &Outline, quantile: &str) -> Rule {
    let buckets = select(&format!("{}_bucket", family.name), &[]);
    let buckets = aggregate("sum", &["job", "le"], &rate(&buckets, RANGE));
    let expr = format!("histogram_quantile({quantile}, {buckets})");
    recording(&["job", "quantile"], &family.name, "histogram_quantile5m", expr, Some(quantile))
}

/// The labels to keep: the job, and those that leave few series.
fn levels(family: &Outline) -> Vec<&str> {
    let told = family.telling_labels().into_iter().filter(|label| *label != "job");
    std::iter::once("job").chain(told).collect()
}

fn recording(levels: &[&str], metric: &str, operation: &str, expr: String, quantile: Option<&str>) -> Rule {
    let levels: Vec<_> = levels.iter().map(|label| escape_label(label, Escaping::Underscores)).collect();
    let metric = name::escape_metric(metric, Escaping::Underscores);
    let labels = quantile.map(|quantile| ("quantile", quantile.to_owned()));
    Rule::Recording {
        record: format!("{}:{metric}:{operation}", levels.join("_")),
        expr,
        labels: BTreeMap::from_iter(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::tests::overview;

    fn recorded(text: &str) -> Vec<String> {
        let rules = rules(&overview(text)).into_iter();
        rules.map(|rule| serde_json::to_value(rule).unwrap()["record"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn names_say_the_labels_the_metric_and_what_was_done() {
        let text = "# TYPE hits_total counter\nhits_total{path=\"/\",job=\"a\"} 1\n# TYPE wait_seconds histogram\n\
                    wait_seconds_bucket{le=\"+Inf\"} 1\nwait_seconds_count 1\nwait_seconds_sum 1\n# TYPE queue gauge\nqueue 1\n";
        let quantiles = "job_quantile:wait_seconds:histogram_quantile5m";

        assert_eq!(
            recorded(text),
            [
                "job_path:hits:rate5m",
                "job:wait_seconds_count:rate5m",
                "job:wait_seconds:mean5m",
                quantiles,
                quantiles,
                quantiles,
            ]
        );
    }

    #[test]
    fn names_that_only_prometheus_3_knows_are_recorded_under_older_ones() {
        assert_eq!(recorded("# TYPE \"hits.total\" counter\n{\"hits.total\"} 1\n"), ["job:hits_total:rate5m"]);
    }
}
