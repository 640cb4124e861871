//! Which panels show a family, and which rows they stand in. Nothing here knows how Grafana writes a panel.

use std::collections::BTreeMap;

use tallymark::model::Kind;

use crate::overview::{FEW, Outline, Overview};
use crate::promql::{aggregate, quote, rate, select};
use crate::relations::{self, Failures};

/// Grafana puts the range in which there are enough scrapes for a rate.
const RANGE: &str = "$__rate_interval";
/// The dashboard's two variables; of all series if nothing is chosen.
const CHOSEN: &str = "job=~\"$job\",instance=~\"$instance\"";

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: String,
    /// What the names of its metrics begin with, up to an underscore, a colon or the end.
    pub(super) beginnings: Vec<String>,
    pub(super) closed: bool,
    pub(super) panels: Vec<Panel>,
}

/// One picture.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) help: String,
    pub(super) form: Form,
    pub(super) unit: Unit,
    /// Of 24 columns.
    pub(super) width: u32,
    pub(super) queries: Vec<Query>,
}

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines; from zero on, if the numbers cannot be below.
    Lines { from_zero: bool },
    /// Lines from 0 to 1, with a warning near the top.
    Share,
    /// A colour per bucket, of counts that a query gives by bucket.
    Heatmap,
    /// A bar per series, of the last value.
    Bars,
    /// Label values.
    Table,
    /// Which state held when.
    States,
}

/// What the numbers are counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// As the family's.
    Of(String),
    /// That, in a second.
    PerSecond(String),
    /// From 0 to 1.
    Share,
    /// A duration in seconds.
    Age,
}

/// A query, and what its lines are called.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) promql: String,
    pub(super) legend: String,
}

/// The rows, by the first word of the names: the application's, then what has a word to itself, then the insides.
pub(super) fn rows(held: &Overview) -> Vec<Row> {
    let mut by_subject: BTreeMap<&str, Vec<&Outline>> = BTreeMap::new();
    for family in held.families() {
        by_subject.entry(family.subject()).or_default().push(family);
    }
    let failures = Failures::in_all(held);
    let panels = |families: &[&Outline]| families.iter().flat_map(|family| panels(held, &failures, family)).collect();
    let (mut rows, mut insides) = (Vec::new(), Vec::new());
    let mut single: Vec<&Outline> = Vec::new();
    for (subject, families) in by_subject {
        let closed = families.iter().all(|family| family.is_inside());
        let row = || {
            let title = subject.to_owned();
            Row { title: title.clone(), beginnings: vec![title], closed, panels: panels(&families) }
        };
        match () {
            () if closed => insides.push(row()),
            // Families that begin with an underscore have no subject in common.
            () if families.len() == 1 || subject.is_empty() => single.extend(families),
            () => rows.push(row()),
        }
    }
    if !single.is_empty() {
        let title = if rows.is_empty() { "Metrics" } else { "Others" };
        let beginnings = single.iter().map(|family| family.name.clone()).collect();
        rows.push(Row { title: title.to_owned(), beginnings, closed: false, panels: panels(&single) });
    }
    rows.into_iter().chain(insides).filter(|row| !row.panels.is_empty()).collect()
}

/// The panels of a family.
fn panels(held: &Overview, failures: &[Failures<'_>], family: &Outline) -> Vec<Panel> {
    let mut panels = match family.kind {
        Kind::Counter => counter(family),
        Kind::Histogram => histogram(family),
        Kind::GaugeHistogram => gauge_histogram(family),
        Kind::Summary => summary(family),
        Kind::Info => info(family),
        Kind::StateSet => states(family),
        Kind::Gauge | Kind::Unknown if family.is_moment() => moment(family),
        Kind::Gauge | Kind::Unknown => gauge(held, family),
    };
    for failures in failures.iter().filter(|failures| failures.name == family.name) {
        let share = Query { promql: failures.share(&[], &[CHOSEN], RANGE), legend: "failed".to_owned() };
        panels.push(panel(family, "share that failed", Form::Share, Unit::Share, vec![share]));
    }
    panels
}

fn counter(family: &Outline) -> Vec<Panel> {
    let unit = Unit::PerSecond(family.unit.clone());
    vec![panel(family, "per second", FROM_ZERO, unit, vec![rate_of(family, &family.metric)])]
}

fn histogram(family: &Outline) -> Vec<Panel> {
    let unit = || Unit::Of(family.unit.clone());
    let (count, buckets) = if family.native {
        (format!("histogram_count({})", rate(&chosen(&family.name), RANGE)), chosen(&family.name))
    } else {
        (rate(&chosen(&suffixed(family, "count")), RANGE), chosen(&suffixed(family, "bucket")))
    };
    let labels = family.telling_labels();
    let often = Query { promql: aggregate("sum", &labels, &count), legend: legend(family, &labels) };
    let by: &[&str] = if family.native { &[] } else { &["le"] };
    let increase = format!("increase({buckets}[{RANGE}])");
    let heat = Query { promql: aggregate("sum", by, &increase), legend: "{{le}}".to_owned() };
    let quantiles = quantiles(&aggregate("sum", by, &rate(&buckets, RANGE)));
    [
        panel(family, "per second", FROM_ZERO, Unit::PerSecond(String::new()), vec![often]),
        panel(family, "quantiles", FROM_ZERO, unit(), quantiles),
        panel(family, "heatmap", Form::Heatmap, unit(), vec![heat]),
    ]
    .map(|panel| Panel { width: 8, ..panel })
    .into()
}

fn gauge_histogram(family: &Outline) -> Vec<Panel> {
    let unit = || Unit::Of(family.unit.clone());
    let buckets = aggregate("sum", &["le"], &chosen(&suffixed(family, "bucket")));
    let quantiles = quantiles(&buckets);
    let heat = Query { promql: buckets, legend: "{{le}}".to_owned() };
    vec![
        panel(family, "quantiles", FROM_ZERO, unit(), quantiles),
        panel(family, "heatmap", Form::Heatmap, unit(), vec![heat]),
    ]
}

fn summary(family: &Outline) -> Vec<Panel> {
    let labels = family.telling_labels();
    let sum = |part: &str| aggregate("sum", &labels, &rate(&chosen(&suffixed(family, part)), RANGE));
    let mean = Query { promql: format!("{} / {}", sum("sum"), sum("count")), legend: legend(family, &labels) };
    let unit = || Unit::Of(family.unit.clone());
    let often = rate_of(family, &suffixed(family, "count"));
    let mut panels = vec![
        panel(family, "per second", FROM_ZERO, Unit::PerSecond(String::new()), vec![often]),
        panel(family, "mean", LINES, unit(), vec![mean]),
    ];
    if family.quantiles {
        let query = Query { promql: chosen(&family.name), legend: legend(family, &with(&labels, "quantile")) };
        panels.push(panel(family, "quantiles", LINES, unit(), vec![query]));
    }
    panels
}

fn info(family: &Outline) -> Vec<Panel> {
    let query = Query { promql: chosen(&family.metric), legend: String::new() };
    vec![panel(family, "", Form::Table, Unit::Of(String::new()), vec![query])]
}

fn states(family: &Outline) -> Vec<Panel> {
    let labels: Vec<&str> = family.labels.keys().map(String::as_str).collect();
    let query = Query { promql: chosen(&family.name), legend: legend(family, &with(&labels, &family.name)) };
    vec![panel(family, "", Form::States, Unit::Of(String::new()), vec![query])]
}

fn moment(family: &Outline) -> Vec<Panel> {
    let labels = family.telling_labels();
    let labels = if labels.is_empty() { vec!["instance"] } else { labels };
    // Zero is how a moment is written that never was.
    let newest = aggregate("max", &labels, &format!("{} > 0", chosen(&family.metric)));
    let query = Query { promql: format!("time() - {newest}"), legend: legend(family, &labels) };
    vec![panel(family, "how long ago", Form::Bars, Unit::Age, vec![query])]
}

fn gauge(held: &Overview, family: &Outline) -> Vec<Panel> {
    if relations::is_limit(held, family) {
        return Vec::new();
    }
    let labels: Vec<&str> = family.labels.keys().map(String::as_str).collect();
    let (what, all) = (with(&labels, "instance"), chosen(&family.metric));
    let many = family.series > FEW;
    let promql = if many { format!("topk({FEW}, {all})") } else { all };
    let aspect = if many { "the highest" } else { "" };
    let query = Query { promql, legend: legend(family, &what) };
    let mut panels = vec![panel(family, aspect, LINES, Unit::Of(family.unit.clone()), vec![query])];
    if let Some(limit) = relations::limit(held, family) {
        let labels: Vec<&str> = limit.labels.keys().map(String::as_str).collect();
        let by = with(&labels, "instance");
        let sum = |metric: &str| aggregate("sum", &by, &chosen(metric));
        let promql = format!("{} / {}", sum(&family.metric), sum(&limit.metric));
        let query = Query { promql, legend: legend(family, &by) };
        let help = format!("{} Its limit is {}.", family.help, limit.name).trim_start().to_owned();
        panels.push(Panel { help, ..panel(family, "share of its limit", Form::Share, Unit::Share, vec![query]) });
    }
    panels
}

const LINES: Form = Form::Lines { from_zero: false };
const FROM_ZERO: Form = Form::Lines { from_zero: true };

fn panel(family: &Outline, aspect: &str, form: Form, unit: Unit, queries: Vec<Query>) -> Panel {
    let colon = if aspect.is_empty() { "" } else { ": " };
    let title = format!("{}{colon}{aspect}", family.name);
    Panel { title, help: family.help.clone(), form, unit, width: 12, queries }
}

fn chosen(metric: &str) -> String {
    select(metric, &[CHOSEN])
}

fn suffixed(family: &Outline, part: &str) -> String {
    format!("{}_{part}", family.name)
}

/// How fast a metric of the family grows, by the labels that leave few lines.
fn rate_of(family: &Outline, metric: &str) -> Query {
    let labels = family.telling_labels();
    let promql = aggregate("sum", &labels, &rate(&chosen(metric), RANGE));
    Query { promql, legend: legend(family, &labels) }
}

fn quantiles(buckets: &str) -> Vec<Query> {
    let query = |percent: u32| Query {
        promql: format!("histogram_quantile(0.{percent}, {buckets})"),
        legend: format!("p{percent}"),
    };
    [50, 90, 99].map(query).into()
}

fn with<'a>(labels: &[&'a str], another: &'a str) -> Vec<&'a str> {
    let rest = labels.iter().copied().filter(|label| *label != another);
    rest.chain([another]).collect()
}

/// The label values; the family's name if there is no label.
fn legend(family: &Outline, labels: &[&str]) -> String {
    let values: Vec<String> = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    if values.is_empty() { family.name.clone() } else { values.join(" ") }
}

/// A selector of what the open rows show, or the closed ones if all are: whose jobs and instances can be chosen.
pub(super) fn selector(rows: &[Row]) -> String {
    let all_closed = rows.iter().all(|row| row.closed);
    let open = rows.iter().filter(|row| all_closed || !row.closed);
    let names: Vec<String> = open.flat_map(|row| &row.beginnings).map(|name| regex::escape(name)).collect();
    if names.is_empty() {
        return "up".to_owned();
    }
    format!("{{__name__=~{}}}", quote(&format!("({})([_:.].*)?", names.join("|"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::tests::overview;

    #[test]
    fn what_begins_with_an_underscore_is_asked_for_by_its_whole_name() {
        let text = "# TYPE _a gauge\n_a 1\n# TYPE _b gauge\n_b 1\n# TYPE shop_a gauge\nshop_a 1\n\
                    # TYPE shop_b gauge\nshop_b 1\n";

        let rows = rows(&overview(text));
        assert_eq!(rows.iter().map(|row| &*row.title).collect::<Vec<_>>(), ["shop", "Others"]);
        assert_eq!(selector(&rows), "{__name__=~\"(shop|_a|_b)([_:.].*)?\"}");
    }
}
