//! `tallymark import pushgateway`: the groups of a Pushgateway, by its API.
//!
//! Each group is pushed to the gateway over the store as its job would have pushed it, so doing it twice changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use tallymark::Store;
use tallymark::model::encode::Format;
use tallymark::model::{Body, Escaping, Family, FamilySnapshot, Kind, Sample, Snapshot};
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderMap, HeaderValue, Method};

use crate::error::Error;
use crate::groups::{Labels, PushedGroups};
use crate::{output, source, store};

/// Take over the groups of a Pushgateway
///
/// Each becomes a group of the store, as if its job had pushed now.
#[derive(clap::Args)]
#[command(after_help = "\
Groups that the store has already are left as they are.

Examples:
  tallymark import pushgateway http://pushgateway:9091 file:/var/lib/tallymark/metrics.tally
  tallymark import pushgateway https://me:secret@push.example.org/gate redis://metrics.internal/0")]
pub(super) struct Pushgateway {
    /// Where it is, without /api or /metrics
    #[arg(value_name = "URL")]
    url: String,

    /// The store's URL; made if it is not there
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Replace groups that the store has already
    #[arg(long)]
    force: bool,
}

/// The answer of the API.
#[derive(Deserialize)]
struct Answer {
    data: Vec<Map<String, Value>>,
}

/// A family as the API has it.
#[derive(Deserialize)]
struct Pushed {
    r#type: String,
    #[serde(default)]
    help: String,
    metrics: Vec<Metric>,
}

/// A series of it. Numbers are texts.
#[derive(Deserialize)]
struct Metric {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    value: Option<String>,
    count: Option<String>,
    sum: Option<String>,
    #[serde(default)]
    buckets: BTreeMap<String, String>,
    #[serde(default)]
    quantiles: BTreeMap<String, String>,
}

impl Pushgateway {
    pub(super) fn run(self) -> Result<(), Error> {
        let url = format!("{}/api/v1/metrics", self.url.trim_end_matches('/'));
        let (name, body) = source::fetch(&url, "application/json")?;
        let trouble = |problem: String| Error::Source { source_name: name.clone(), problem };
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| trouble(format!("not the answer of a Pushgateway: {error}")))?;
        let groups: Vec<(Labels, Vec<u8>)> =
            answer.data.iter().map(group).collect::<Result<_, _>>().map_err(trouble)?;
        let store = store::open(&self.store)?;
        let (taken, left) = self.push(&store, groups)?;
        if left > 0 {
            eprintln!("note: {left} groups are in the store already, and were left as they are; --force replaces them");
        }
        output::print(format!("{taken} groups imported into {}\n", store.url()).as_bytes())
    }

    /// Pushes the groups; gives how many were taken, and how many were there before.
    fn push(&self, store: &Store, groups: Vec<(Labels, Vec<u8>)>) -> Result<(usize, usize), Error> {
        let pushed = PushedGroups::open(store)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=1.0.0; escaping=allow-utf-8"));
        let (mut taken, mut left) = (0, 0);
        for (labels, body) in groups {
            if !self.force && pushed.find(&labels).is_some() {
                left += 1;
                continue;
            }
            pushed.ask(&Method::PUT, &labels, &headers, &body).inspect_err(|_| {
                eprintln!("note: {taken} groups were imported before the one that follows");
            })?;
            taken += 1;
        }
        Ok((taken, left))
    }
}

/// A group's labels, and what its job would push.
fn group(group: &Map<String, Value>) -> Result<(Labels, Vec<u8>), String> {
    let labels: BTreeMap<String, String> = group
        .get("labels")
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .ok_or("a group without labels")?;
    let mut families = Vec::new();
    for (name, pushed) in group {
        // What the gateway adds itself, as ours does.
        if matches!(&**name, "labels" | "last_push_successful" | "push_time_seconds" | "push_failure_time_seconds") {
            continue;
        }
        let pushed: Pushed = serde_json::from_value(pushed.clone()).map_err(|error| format!("{name}: {error}"))?;
        families.push(family(name, &pushed)?);
    }
    let mut body = Vec::new();
    let encoded = Format::Text1_0_0(Escaping::AllowUtf8).encode(&Snapshot { families }, &mut body);
    encoded.map_err(|error| error.to_string())?;
    Ok((labels.into_iter().collect(), body))
}

fn family(name: &str, pushed: &Pushed) -> Result<FamilySnapshot, String> {
    let kind =
        Kind::parse(&pushed.r#type.to_lowercase()).ok_or_else(|| format!("{name}: unknown type {}", pushed.r#type))?;
    let mut samples = Vec::new();
    let mut add = |suffix: &str, labels: Labels, text: &str| {
        let value = text.parse().map_err(|_| format!("{name}: {text:?} is no number"))?;
        let name = format!("{name}{suffix}");
        samples.push(Sample { name, labels, value, timestamp: None, exemplar: None, native_histogram: None });
        Ok::<_, String>(())
    };
    for metric in &pushed.metrics {
        let labels: Labels = metric.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let with = |label: &str, value: &str| [&labels[..], &[(label.to_owned(), value.to_owned())]].concat();
        for (bound, below) in in_order(&metric.buckets) {
            add("_bucket", with("le", bound), below)?;
        }
        if kind == Kind::Histogram && !metric.buckets.keys().any(|bound| bound.ends_with("Inf")) {
            add("_bucket", with("le", "+Inf"), metric.count.as_deref().unwrap_or("0"))?;
        }
        for (quantile, value) in in_order(&metric.quantiles) {
            add("", with("quantile", quantile), value)?;
        }
        for (suffix, value) in [("", &metric.value), ("_sum", &metric.sum), ("_count", &metric.count)] {
            value.iter().try_for_each(|value| add(suffix, labels.clone(), value))?;
        }
    }
    Ok(FamilySnapshot { family: Arc::new(Family::named(kind, name, &pushed.help)), body: Body::Samples(samples) })
}

/// Buckets and quantiles as numbers are ordered, not as texts are.
fn in_order(parts: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    let mut parts: Vec<_> = parts.iter().collect();
    let number = |text: &str| text.parse().unwrap_or(f64::INFINITY);
    parts.sort_by(|one, other| number(one.0).total_cmp(&number(other.0)));
    parts
}
