//! `tallymark delete`: forgets series for every process and host, after showing which.
//!
//! Programs that go on counting in them start from zero, as a new series does. Groups that were pushed are deleted as the
//! gateway's API does it.

use std::fmt::Write;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tallymark::{Groups, HeldLabels, Store};
use tallymark_transport::gateway::{self, Gateway, Request};
use ureq::http::{HeaderMap, Method};

use crate::error::Error;
use crate::selector::Selector;
use crate::units::printable;
use crate::{output, store};

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Delete series by name and labels, or a pushed group
///
/// Without --yes it only shows what would be deleted. Ends with 1 if nothing fits.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark delete file:/run/app/metrics.tally --match 'jobs{queue=\"old\"}'
  tallymark delete file:/run/app/metrics.tally --match 'jobs{queue=\"old\"}' --yes
  tallymark delete redis://metrics.internal/0 --match '{__name__=~\"test_.*\"}' --yes
  tallymark delete file:/run/app/metrics.tally --group job=backup --group instance=db1 --yes")]
pub(crate) struct Delete {
    /// The store's URL, as the programs have it
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// Series that fit name{label="x"}, with =, !=, =~ or !~; may be given again
    #[arg(long = "match", value_name = "SELECTOR", value_parser = bounded, required_unless_present = "group")]
    matches: Vec<Selector>,

    /// The pushed group with these labels and no others; once for each label, the job among them
    #[arg(long, value_name = "LABEL=VALUE", value_parser = pair, conflicts_with = "matches")]
    group: Vec<(String, String)>,

    /// Delete it
    #[arg(long)]
    yes: bool,
}

impl Delete {
    pub(crate) fn run(self) -> Result<(), Error> {
        let store = store::open_existing(&self.store)?;
        if !self.group.is_empty() {
            return self.delete_group(&store);
        }
        let held = store.series(PATIENCE)?;
        let meant: Vec<HeldLabels> = held.into_iter().filter(|held| self.fits(held)).collect();
        if meant.is_empty() {
            return Err(Error::NothingFits(store.url()));
        }
        if self.yes {
            for HeldLabels { family, labels } in &meant {
                let wanted: Vec<(usize, &str)> = labels.values().iter().map(|value| &**value).enumerate().collect();
                store.remove(family, &wanted);
            }
            // Other hosts hear of it only so.
            store.flush(PATIENCE)?;
        }
        output::print(listed(&meant).as_bytes())?;
        self.say(&format!("{} series", meant.len()));
        Ok(())
    }

    fn fits(&self, HeldLabels { family, labels }: &HeldLabels) -> bool {
        let value = |name: &str| {
            let place = family.label_names().iter().position(|known| &**known == name)?;
            labels.values().get(place).map(|value| &**value)
        };
        self.matches.iter().any(|selector| selector.matches(family, value))
    }

    fn delete_group(&self, store: &Store) -> Result<(), Error> {
        let nothing = || Error::NothingFits(store.url());
        let groups = Groups::open(store)?;
        let gateway = Gateway::open(groups, gateway::Options { utf8_names: true, ..gateway::Options::default() });
        let trouble = |problem: String| Error::Source { source_name: store.url(), problem };
        let snapshot = gateway.snapshot().map_err(|error| trouble(error.to_string()))?;
        let is_there = snapshot.families.iter().filter(|family| family.family.name() == "push_time_seconds");
        let mut samples = is_there.flat_map(|family| family.samples());
        let wanted = self.group.iter().filter(|(_, value)| !value.is_empty()).count();
        let is_this = |labels: &[(String, String)]| {
            let given = labels.iter().filter(|(_, value)| !value.is_empty()).count();
            given == wanted && self.group.iter().all(|pair| pair.1.is_empty() || labels.contains(pair))
        };
        if !samples.any(|sample| is_this(&sample.labels)) {
            return Err(nothing());
        }
        let labels: Vec<String> = self.group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        if self.yes {
            let path = path(&self.group);
            let (method, headers) = (Method::DELETE, HeaderMap::new());
            let answer =
                gateway.handle(&Request { method: &method, path: &path, query: None, headers: &headers, body: &[] });
            if !answer.status.is_success() {
                return Err(trouble(String::from_utf8_lossy(&answer.body).trim().to_owned()));
            }
        }
        output::print(format!("{{{}}}\n", printable(&labels.join(","))).as_bytes())?;
        self.say("1 group");
        Ok(())
    }

    fn say(&self, what: &str) {
        if self.yes {
            eprintln!("{what} deleted");
        } else {
            eprintln!("{what} would be deleted; say --yes to do it");
        }
    }
}

/// The path under which a gateway knows the group: the job first, then the others, in whatever order.
pub(crate) fn path(group: &[(String, String)]) -> String {
    let encode = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let mut path = "/metrics".to_owned();
    let job = group.iter().filter(|(name, _)| name == "job");
    for (name, value) in job.chain(group.iter().filter(|(name, _)| name != "job")) {
        if value.is_empty() {
            let _ = write!(path, "/{}@base64/=", encode(name));
        } else if value.contains('/') {
            let _ = write!(path, "/{}@base64/{}", encode(name), base64(value));
        } else {
            let _ = write!(path, "/{}/{}", encode(name), encode(value));
        }
    }
    path
}

fn base64(value: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value)
}

/// A line for each series.
fn listed(series: &[HeldLabels]) -> String {
    let mut text = String::new();
    for HeldLabels { family, labels } in series {
        let pairs = family.label_names().iter().zip(labels.values());
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value:?}")).collect();
        let braces = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let _ = writeln!(text, "{}{braces}", printable(&family.text_name()));
    }
    text
}

/// A selector that says what a series must have.
fn bounded(text: &str) -> Result<Selector, String> {
    let selector = Selector::parse(text)?;
    let problem = "fits all series that lack its labels; name a family, or what one of the labels must be";
    if selector.is_bounded() { Ok(selector) } else { Err(problem.to_owned()) }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not LABEL=VALUE, such as job=backup")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_s_path_starts_with_its_job_and_takes_any_value() {
        let group = [("instance", "a/b"), ("job", "nightly backup"), ("empty", "")];
        let group = group.map(|(name, value)| (name.to_owned(), value.to_owned()));

        assert_eq!("/metrics/job/nightly%20backup/instance@base64/YS9i/empty@base64/=", path(&group));
    }
}
