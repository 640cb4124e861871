//! `tallymark rules`: recording and alerting rules for Prometheus of what a source holds, as YAML on stdout.
//!
//! Every rule is about a family that is there. What is recorded is decided in `recording.rs`, what is worth an alert in
//! `alerting.rs`.

mod alerting;
mod recording;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Error;
use crate::output;
use crate::overview::Overview;
use crate::source::Source;

/// Make Prometheus rules of what a store, a URL or a file holds
///
/// Recording rules have the rates of counters and the quantiles of histograms ready. Alerts are about jobs that did not
/// succeed lately, requests that fail, pushes that fail, the store's health, and metrics that are not there any more.
#[derive(clap::Args)]
#[command(after_help = "\
Thresholds are a start: read the rules and make them yours. A range is 5 minutes: scrape at least every 2.

Examples:
  tallymark rules file:/run/app/metrics.tally > app.rules.yml && promtool check rules app.rules.yml
  tallymark rules http://127.0.0.1:9099/metrics --job tallymark --job-age 2h
  curl -s http://app:8000/metrics | tallymark rules - --json")]
pub(crate) struct Rules {
    /// A store's URL, http://HOST:PORT/metrics, a file with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true)]
    source: String,

    /// The job_name by which Prometheus scrapes the source: alerts when no scrape succeeds
    #[arg(long, value_name = "NAME")]
    job: Option<String>,

    /// How old the last success of a job may be, as Prometheus writes durations: 90m, 26h, 8d
    #[arg(long, value_name = "DURATION", default_value = "26h", value_parser = duration)]
    job_age: Duration,

    /// How often the rules are evaluated; else as often as Prometheus' configuration says
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    interval: Option<Duration>,

    /// Write JSON, which Prometheus reads, too
    #[arg(long)]
    json: bool,
}

impl Rules {
    pub(crate) fn run(self) -> Result<(), Error> {
        let held = Overview::of(&Source::open(&self.source)?.snapshot()?);
        let alerts = alerting::rules(&held, self.job.as_deref(), &self.job_age);
        let groups = [("tallymark-recording", recording::rules(&held)), ("tallymark-alerts", alerts)];
        let interval = self.interval.map(|interval| interval.text);
        let group = |(name, rules)| Group { name, interval: interval.clone(), rules };
        let groups = groups.into_iter().filter(|(_, rules)| !rules.is_empty()).map(group).collect();
        let file = File { groups };
        if self.json {
            return output::print_json(&file);
        }
        // UNWRAP: lists and maps of text have a YAML, whatever the text is.
        output::print(serde_saphyr::to_string(&file).expect("text can be written as YAML").as_bytes())
    }
}

/// A file of rules.
#[derive(Serialize)]
struct File {
    groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Serialize)]
struct Group {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Rule {
    /// Keeps what an expression gives as a series of a name.
    Recording {
        record: String,
        expr: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<&'static str, String>,
    },
    /// Tells when an expression gives something.
    Alerting {
        alert: String,
        expr: String,
        #[serde(rename = "for")]
        lasting: &'static str,
        labels: BTreeMap<&'static str, String>,
        annotations: BTreeMap<&'static str, String>,
    },
}

/// A duration as Prometheus writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Duration {
    text: String,
    seconds: u64,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "not a duration such as 30s, 90m, 26h or 8d";
    let number = text.trim_end_matches(|one: char| !one.is_ascii_digit());
    let unit = match text.get(number.len()..) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86400,
        Some("w") => 7 * 86400,
        _ => return Err(WRONG),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| *seconds > 0).ok_or(WRONG)?;
    Ok(Duration { text: text.to_owned(), seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(duration("26h"), Ok(Duration { text: "26h".to_owned(), seconds: 93_600 }));
        for text in ["", "26", "h", "0s", "-1s", "1.5h", "1h30m", "1y", "99999999999999999w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
