//! `tallymark check`: whether metrics are called and described as others expect, and whether a text of them can be read.
//!
//! A text is read as strictly as Prometheus' own library reads it, so what passes here passes everywhere.

use std::fmt::Write;

use serde::Serialize;

use crate::error::Error;
use crate::lint::{self, Finding, Rule};
use crate::output;
use crate::source::{Reading, Source};
use crate::units::printable;

/// Find what is wrong with metrics' names, types, labels and help
///
/// Ends with 0 if nothing is, with 1 if something is or a source cannot be read.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark check file:/run/app/metrics.tally
  tallymark check http://127.0.0.1:8000/metrics http://127.0.0.1:8001/metrics
  curl -s http://127.0.0.1:8000/metrics | tallymark check -
  tallymark check metrics.txt --ignore no-help --json | jq -r '.[].family'")]
pub(crate) struct Check {
    /// Stores' URLs, http://HOST:PORT/metrics, files with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true, required = true)]
    sources: Vec<String>,

    /// How many series of one family are not too many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_series: usize,

    /// A rule that is not to be looked at, such as no-help; may be given again
    #[arg(long, value_name = "RULE", hide_possible_values = true)]
    ignore: Vec<Rule>,

    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// A finding, and where.
#[derive(Serialize)]
struct Found {
    source: String,
    #[serde(flatten)]
    finding: Finding,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Error> {
        let mut found = Vec::new();
        let looked: Result<(), Error> = self.sources.iter().try_for_each(|source| {
            let source = Source::open(source)?;
            let findings = self.look_at(&source)?;
            let findings = findings.into_iter().filter(|finding| !self.ignore.contains(&finding.rule));
            found.extend(findings.map(|finding| Found { source: source.name().to_owned(), finding }));
            Ok(())
        });
        // What was found before a source that cannot be read is told all the same.
        if looked.is_ok() || !found.is_empty() {
            self.print(&found)?;
        }
        looked?;
        if found.is_empty() { Ok(()) } else { Err(Error::Findings(found.len())) }
    }

    fn print(&self, found: &[Found]) -> Result<(), Error> {
        if self.json {
            return output::print_json(&found);
        }
        output::print(as_text(found, self.sources.len() > 1).as_bytes())
    }

    fn look_at(&self, source: &Source) -> Result<Vec<Finding>, Error> {
        let (families, is_text) = match source.read()? {
            Reading::Snapshot(snapshot) => (Ok(snapshot.families), false),
            Reading::Text(text) => (text.strictly(), !text.is_openmetrics),
        };
        let unreadable = |error: tallymark::model::parse::ParseError| {
            let advice = "mend the line: Prometheus drops everything, or refuses it, for one".to_owned();
            vec![Finding { rule: Rule::Syntax, family: String::new(), problem: error.to_string(), advice }]
        };
        Ok(families.map_or_else(unreadable, |families| lint::findings(&families, self.max_series, is_text)))
    }
}

/// A line for each finding.
fn as_text(found: &[Found], with_source: bool) -> String {
    let mut text = String::new();
    for Found { source, finding } in found {
        if with_source {
            let _ = write!(text, "{source}: ");
        }
        let family = printable(&finding.family);
        let space = if family.is_empty() { "" } else { " " };
        let problem = printable(&finding.problem);
        let _ = writeln!(text, "{family}{space}{problem}; {} [{}]", printable(&finding.advice), finding.rule);
    }
    text
}
