//! What is worth waking somebody up for, or at least a line in the morning.
//!
//! Only what is plain from the names: a job that has not succeeded lately, requests that fail, pushes that fail, a store
//! that is not well, metrics that have gone.

use std::collections::BTreeMap;

use tallymark::model::Kind;
use tallymark::model::{Escaping, name};

use super::recording::RANGE;
use super::{Duration, Rule};
use crate::overview::{Outline, Overview};
use crate::promql::{quote, select};
use crate::relations::{Failures, Job, LAST_SUCCESS};

/// The share of failures that is too large.
const TOO_MANY: &str = "0.05";

/// What our stores say of themselves: the family, the name, the condition, how long, how bad, and what it means.
const STORE: [(&str, &str, &str, &str, Severity, &str); 7] = [
    (
        "tallymark_store_up",
        "TallymarkStoreDown",
        "{} == 0",
        "5m",
        Severity::Critical,
        "The store cannot be read. Programs go on and keep what they count; nobody sees it until the store is back.",
    ),
    (
        "tallymark_backlog_series",
        "TallymarkBacklog",
        "{} > 0",
        "10m",
        Severity::Warning,
        "What this host has counted could not be sent to the store for ten minutes. It is kept and sent later.",
    ),
    (
        "tallymark_lost_batches",
        "TallymarkLostBatches",
        "increase({}[1h]) > 0",
        "0m",
        Severity::Warning,
        "Batches were given up, as it could not be known whether the store had counted them: totals may be too low.",
    ),
    (
        "tallymark_damaged_records",
        "TallymarkDamagedRecords",
        "{} > 0",
        "0m",
        Severity::Warning,
        "Records of the store's file cannot be read, and are passed over. Something else has written into the file.",
    ),
    (
        "tallymark_conflicting_series",
        "TallymarkConflictingSeries",
        "{} > 0",
        "30m",
        Severity::Warning,
        "Programs use one name for different types. The type that most of them use is shown, the others are not.",
    ),
    (
        "tallymark_overflowing_families",
        "TallymarkOverflowingFamilies",
        "{} > 0",
        "30m",
        Severity::Warning,
        "A family has more series than max_series allows. The rest is counted in the series whose labels say overflow.",
    ),
    (
        "tallymark_unshared_series",
        "TallymarkUnsharedSeries",
        "{} > 0",
        "10m",
        Severity::Warning,
        "The store's file has no room for more series; new ones are lost when their process is killed. See the disk.",
    ),
];

#[derive(Clone, Copy)]
enum Severity {
    Critical,
    Warning,
}

/// The alerting rules. `job` is what Prometheus calls the scrapes of the source.
pub(super) fn rules(held: &Overview, job: Option<&str>, job_age: &Duration) -> Vec<Rule> {
    let mut rules = vec![];
    rules.extend(gone(held, job));
    Job::in_all(held).for_each(|job| rules.extend(of_job(&job, job_age)));
    rules.extend(Failures::in_all(held).iter().map(failing));
    rules.extend(failing_push(held));
    rules.extend(STORE.into_iter().filter_map(|(family, alert, condition, lasting, severity, meaning)| {
        let metric = select(&held.family(family)?.metric, &[]);
        Some(alerting(alert, condition.replacen("{}", &metric, 1), lasting, severity, meaning))
    }));
    rules
}

/// Nobody answers, or what answers has not the application's metrics.
fn gone(held: &Overview, job: Option<&str>) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(job) = job {
        let up = select("up", &[&format!("job={}", quote(job))]);
        let what = format!("Prometheus cannot scrape {}, or has no such target.", untouched(job));
        rules.push(alerting("TargetDown", format!("{up} == 0 or absent({up})"), "5m", Severity::Critical, &what));
    }
    let is_insides = |family: &&Outline| family.is_inside() || family.name.starts_with("push_");
    let any = held.families().find(|family| !is_insides(family) && family.series > 0);
    if let Some(family) = any {
        let absent = format!("absent({})", select(&sampled(family), &[]));
        let name = untouched(&family.name);
        let what = format!("{name} is not there any more: its store is empty, another one, or is not scraped.");
        rules.push(alerting("MetricsAbsent", absent, "15m", Severity::Warning, &what));
    }
    rules
}

/// A metric of the family that every series has.
fn sampled(family: &Outline) -> String {
    match family.kind {
        Kind::Histogram if family.native => family.name.clone(),
        Kind::Histogram | Kind::Summary => format!("{}_count", family.name),
        Kind::GaugeHistogram => format!("{}_gcount", family.name),
        _ => family.metric.clone(),
    }
}

fn of_job(job: &Job<'_>, age: &Duration) -> Vec<Rule> {
    let success = select(&job.last_success.metric, &[]);
    let name = camel(&job.last_success.name, LAST_SUCCESS);
    let stem = job.last_success.name.trim_end_matches(LAST_SUCCESS);
    let which = told(job.last_success).unwrap_or_else(|| untouched(stem));
    let late = format!("{which} has not succeeded for {{{{ $value | humanizeDuration }}}}.");
    let old = format!("time() - {success} > {}", age.seconds);
    let mut rules = vec![alerting(&format!("{name}NotSucceeding"), old, "0m", Severity::Critical, &late)];
    if let Some(run) = job.last_run {
        let run = select(&run.metric, &[]);
        let failed = format!("{run} > {success} or {run} unless {success}");
        let what = format!("The last run of {which} did not succeed.");
        rules.push(alerting(&format!("{name}LastRunFailed"), failed, "5m", Severity::Warning, &what));
    }
    rules
}

fn failing(failures: &Failures<'_>) -> Rule {
    let expr = format!("{} > {TOO_MANY}", failures.share(&["job"], &[], RANGE));
    let what = format!("{{{{ $value | humanizePercentage }}}} of {} fail.", untouched(failures.name));
    alerting(&format!("{}Failing", camel(failures.name, "")), expr, "10m", Severity::Warning, &what)
}

fn failing_push(held: &Overview) -> Option<Rule> {
    let (pushed, failed) = (held.family("push_time_seconds")?, held.family("push_failure_time_seconds")?);
    let expr = format!("{} > {}", select(&failed.metric, &[]), select(&pushed.metric, &[]));
    let what = format!(
        "The last push of {} was refused; the gateway's log says why.",
        told(pushed).unwrap_or_else(|| "a group".to_owned())
    );
    Some(alerting("PushFailing", expr, "5m", Severity::Warning, &what))
}

/// Text for a message that is not to be taken for a part of its template.
fn untouched(text: &str) -> String {
    text.replace("{{", r#"{{"{{"}}"#)
}

/// The values of the labels, for a message, if there are labels.
fn told(family: &Outline) -> Option<String> {
    let legacy = family.labels.keys().filter(|label| name::is_legacy_label(label));
    let values: Vec<String> = legacy.map(|label| format!("{label} {{{{ $labels.{label} }}}}")).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// `NightlyBackup` of `nightly_backup_last_run`, without the end.
fn camel(text: &str, end: &str) -> String {
    let text = name::escape_metric(text.strip_suffix(end).unwrap_or(text), Escaping::Underscores).into_owned();
    let words = text.split(['_', ':']).map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

fn alerting(alert: &str, expr: String, lasting: &'static str, severity: Severity, meaning: &str) -> Rule {
    let severity = match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
    };
    Rule::Alerting {
        alert: alert.to_owned(),
        expr,
        lasting,
        labels: BTreeMap::from([("severity", severity.to_owned())]),
        annotations: BTreeMap::from([("summary", meaning.to_owned())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::tests::overview;

    fn alerts(text: &str, job: Option<&str>) -> Vec<(String, String)> {
        let age = Duration { text: "1h".to_owned(), seconds: 3600 };
        let rules = rules(&overview(text), job, &age).into_iter();
        rules
            .map(|rule| match rule {
                Rule::Alerting { alert, expr, .. } => (alert, expr),
                Rule::Recording { record, expr, .. } => (record, expr),
            })
            .collect()
    }

    fn names(text: &str) -> Vec<String> {
        alerts(text, None).into_iter().map(|(alert, _)| alert).collect()
    }

    #[test]
    fn there_is_an_alert_for_what_is_there_and_for_nothing_else() {
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names("# TYPE process_open_fds gauge\nprocess_open_fds 1\n"), [""; 0]);
        assert_eq!(names("# TYPE hits_total counter\nhits_total 1\n"), ["MetricsAbsent"]);
        assert_eq!(names("# TYPE tallymark_store_up gauge\ntallymark_store_up 1\n"), ["TallymarkStoreDown"]);
    }

    #[test]
    fn a_name_with_braces_is_no_template() {
        let held = overview("# TYPE \"a{{b\" gauge\n{\"a{{b\"} 1\n");
        let job_age = Duration { text: "1h".to_owned(), seconds: 3600 };
        for rule in rules(&held, Some("{{job"), &job_age) {
            let Rule::Alerting { annotations, .. } = rule else { panic!("{rule:?} is no alert") };

            assert!(annotations["summary"].contains(r#"{{"{{"}}"#), "{annotations:?}");
        }
    }

    #[test]
    fn a_job_s_last_success_may_not_be_too_old() {
        let text = "# TYPE nightly_job_last_success_timestamp_seconds gauge\n\
                    nightly_job_last_success_timestamp_seconds{name=\"a\"} 1\n";

        let rules = alerts(text, None);
        let expr = "time() - nightly_job_last_success_timestamp_seconds > 3600";
        assert_eq!(rules[1], ("NightlyJobNotSucceeding".to_owned(), expr.to_owned()));
    }

    #[test]
    fn a_job_of_prometheus_is_watched_by_name() {
        let expr = "up{job=\"my \\\"app\\\"\"} == 0 or absent(up{job=\"my \\\"app\\\"\"})";

        assert_eq!(alerts("", Some("my \"app\"")), [("TargetDown".to_owned(), expr.to_owned())]);
    }
}
