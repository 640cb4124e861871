//! `tallymark delete`: forgets series for every process and host, after showing which.
//!
//! Programs that go on counting in them start from zero, as a new series does. Groups that were pushed are deleted as the
//! gateway's API does it.

use std::fmt::Write;
use std::time::Duration;

use tallymark::{HeldLabels, Store};
use ureq::http::{HeaderMap, Method};

use crate::error::Error;
use crate::groups::PushedGroups;
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
        let groups = PushedGroups::open(store)?;
        let group = groups.find(&self.group).ok_or_else(|| Error::NothingFits(store.url()))?;
        if self.yes {
            groups.ask(&Method::DELETE, group, &HeaderMap::new(), &[])?;
        }
        let labels: Vec<String> = group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
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
