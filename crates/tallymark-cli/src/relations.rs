//! Families that belong together: a gauge and its limit, all requests and those that failed, a job's runs and successes.
//!
//! They are recognised by name and labels. What is not plainly so is left alone: an alert about something else than it
//! says is worse than none.

use tallymark::model::Kind;

use crate::overview::{Outline, Overview};
use crate::promql::{aggregate, label_name, rate, select};

/// What a job's families are called, behind the name that they have in common.
pub(crate) const LAST_SUCCESS: &str = "_last_success_timestamp_seconds";
const LAST_RUN: &str = "_last_run_timestamp_seconds";

/// The gauge that says how far this one can go: `queue_items_limit`, `queue_max_items` of `queue_items`.
pub(crate) fn limit<'a>(held: &'a Overview, gauge: &Outline) -> Option<&'a Outline> {
    if !matches!(gauge.kind, Kind::Gauge | Kind::Unknown) || gauge.is_moment() {
        return None;
    }
    let mut candidates = Vec::new();
    for word in ["limit", "max", "capacity"] {
        candidates.push(format!("{}_{word}", gauge.name));
        if let Some(stem) = gauge.name.strip_suffix(&*gauge.unit).filter(|_| !gauge.unit.is_empty()) {
            candidates.push(format!("{stem}{word}_{}", gauge.unit));
        }
        if gauge.name.contains("_open_") {
            candidates.push(gauge.name.replacen("_open_", &format!("_{word}_"), 1));
        }
    }
    let limit = candidates.iter().find_map(|name| held.of_kind(Kind::Gauge, name))?;
    limit.labels.keys().all(|label| gauge.labels.contains_key(label)).then_some(limit)
}

/// Whether the gauge is the limit of another one.
pub(crate) fn is_limit(held: &Overview, gauge: &Outline) -> bool {
    held.families().any(|other| limit(held, other).is_some_and(|limit| limit.name == gauge.name))
}

/// What share of something failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failures<'a> {
    /// What is counted, without what failed: `http_requests`.
    pub(crate) name: &'a str,
    /// The counter of failures, and the matcher that picks them out.
    failed: (&'a str, String),
    /// The counter of all.
    all: &'a str,
}

impl<'a> Failures<'a> {
    /// Every such pair that can be recognised; of what fails in several ways the first.
    pub(crate) fn in_all(held: &'a Overview) -> Vec<Failures<'a>> {
        let mut all: Vec<Failures<'a>> = Vec::new();
        for counter in held.families() {
            let found = by_status(counter).or_else(|| by_name(held, counter));
            all.extend(found.filter(|found| all.iter().all(|known| known.name != found.name)));
        }
        all
    }

    /// The share, by the labels, from 0 to 1. Where nothing failed it is 0.
    pub(crate) fn share(&self, labels: &[&str], matchers: &[&str], range: &str) -> String {
        let all = self.sum(self.all, "", labels, matchers, range);
        let failed = self.sum(self.failed.0, &self.failed.1, labels, matchers, range);
        format!("({failed} or 0 * {all}) / {all}")
    }

    fn sum(&self, metric: &str, which: &str, labels: &[&str], matchers: &[&str], range: &str) -> String {
        let matchers: Vec<&str> = matchers.iter().copied().chain([which]).collect();
        aggregate("sum", labels, &rate(&select(metric, &matchers), range))
    }
}

/// A counter of HTTP's requests, which has their status in a label.
fn by_status(counter: &Outline) -> Option<Failures<'_>> {
    const LABELS: [&str; 5] = ["code", "status", "status_code", "http_status", "http_status_code"];
    let is_status = |value: &String| value.len() == 3 && value.starts_with(['1', '2', '3', '4', '5']);
    let mut labels = counter.labels.iter().filter(|(label, _)| LABELS.contains(&label.as_str()));
    let (label, values) = labels.next()?;
    let statuses = !values.is_empty() && values.iter().all(is_status);
    (counter.kind == Kind::Counter && statuses).then(|| Failures {
        name: &counter.name,
        failed: (&counter.metric, format!("{}=~\"5..\"", label_name(label))),
        all: &counter.metric,
    })
}

/// A counter of failures, and the one counter beside it that counts all.
fn by_name<'a>(held: &'a Overview, failed: &'a Outline) -> Option<Failures<'a>> {
    const FAILED: [&str; 4] = ["_errors", "_failures", "_failed", "_exceptions"];
    const ALL: [&str; 8] = ["", "_requests", "_runs", "_calls", "_attempts", "_operations", "_tasks", "_handled"];
    let stem = FAILED.iter().find_map(|end| failed.name.strip_suffix(end))?;
    if failed.kind != Kind::Counter || Job::of(held, stem).is_some() {
        return None;
    }
    let mut all = ALL.iter().filter_map(|end| held.of_kind(Kind::Counter, &format!("{stem}{end}")));
    let first = all.next()?;
    all.next().is_none().then(|| Failures {
        name: &first.name,
        failed: (&failed.metric, String::new()),
        all: &first.metric,
    })
}

/// Families about a job that runs now and then: `tallymark run` writes them, and others by the same names.
pub(crate) struct Job<'a> {
    /// When it last ended well.
    pub(crate) last_success: &'a Outline,
    /// When it last ran, if that is known and its series are told apart as those of the successes.
    pub(crate) last_run: Option<&'a Outline>,
}

impl<'a> Job<'a> {
    /// The job whose families begin with this.
    fn of(held: &'a Overview, stem: &str) -> Option<Job<'a>> {
        let last_success = held.of_kind(Kind::Gauge, &format!("{stem}{LAST_SUCCESS}"))?;
        let last_run = held.of_kind(Kind::Gauge, &format!("{stem}{LAST_RUN}"));
        let alike = |run: &&Outline| run.labels.keys().eq(last_success.labels.keys());
        Some(Job { last_success, last_run: last_run.filter(alike) })
    }

    /// All jobs.
    pub(crate) fn in_all(held: &'a Overview) -> impl Iterator<Item = Job<'a>> {
        held.families().filter_map(|family| Job::of(held, family.name.strip_suffix(LAST_SUCCESS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::tests::overview;

    #[test]
    fn a_limit_is_found_by_its_name_if_its_labels_fit() {
        let held = overview(
            "# TYPE process_open_fds gauge\nprocess_open_fds 3\n# TYPE process_max_fds gauge\nprocess_max_fds 9\n\
             # TYPE pool_bytes gauge\npool_bytes{pool=\"a\"} 1\n# TYPE pool_limit_bytes gauge\npool_limit_bytes 2\n\
             # TYPE queue_items gauge\nqueue_items 1\n# TYPE queue_items_max gauge\nqueue_items_max{queue=\"a\"} 2\n",
        );
        let limit = |name: &str| limit(&held, held.family(name).unwrap()).map(|limit| &*limit.name);

        assert_eq!(limit("process_open_fds"), Some("process_max_fds"));
        assert_eq!(limit("pool_bytes"), Some("pool_limit_bytes"));
        assert_eq!(limit("queue_items"), None);
        assert!(is_limit(&held, held.family("pool_limit_bytes").unwrap()));
        assert!(!is_limit(&held, held.family("pool_bytes").unwrap()));
    }

    #[test]
    fn what_is_no_gauge_has_no_limit() {
        let held = overview(
            "# TYPE served_seconds summary\nserved_seconds_count 1\nserved_seconds_sum 1\n\
             # TYPE served_seconds_max gauge\nserved_seconds_max 2\n\
             # TYPE run_timestamp_seconds gauge\nrun_timestamp_seconds 1\n\
             # TYPE run_timestamp_seconds_max gauge\nrun_timestamp_seconds_max 1\n",
        );

        assert!(held.families().all(|family| !is_limit(&held, family)));
    }

    #[test]
    fn failures_are_recognised_by_status_and_by_name_and_only_if_it_is_plain_of_what() {
        let held = overview(
            "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 1\n\
             # TYPE mail_errors_total counter\nmail_errors_total 1\n# TYPE mail_total counter\nmail_total 2\n\
             # TYPE door_errors_total counter\ndoor_errors_total 1\n# TYPE door_calls_total counter\ndoor_calls_total 2\n\
             # TYPE door_runs_total counter\ndoor_runs_total 2\n# TYPE app_errors_total counter\napp_errors_total 1\n\
             # TYPE mail_failures_total counter\nmail_failures_total 1\n\
             # TYPE trips_total counter\ntrips_total{code=\"LHR\"} 1\n",
        );

        let found = Failures::in_all(&held);
        assert_eq!(found.iter().map(|one| one.name).collect::<Vec<_>>(), ["http_requests", "mail"]);
        assert_eq!(
            found[0].share(&["job"], &[], "5m"),
            "(sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) or 0 * \
             sum by (job) (rate(http_requests_total[5m]))) / sum by (job) (rate(http_requests_total[5m]))"
        );
    }

    #[test]
    fn a_job_is_watched_by_its_last_success_and_not_by_a_share() {
        let held = overview(
            "# TYPE job_runs_total counter\njob_runs_total{job=\"a\"} 1\n# TYPE job_failures_total counter\n\
             # TYPE job_last_success_timestamp_seconds gauge\njob_last_success_timestamp_seconds{job=\"a\"} 1\n\
             # TYPE job_last_run_timestamp_seconds gauge\njob_last_run_timestamp_seconds{job=\"a\"} 1\n",
        );

        assert_eq!(Failures::in_all(&held), []);
        let jobs: Vec<_> = Job::in_all(&held).map(|job| job.last_run.is_some()).collect();
        assert_eq!(jobs, [true]);
    }
}
