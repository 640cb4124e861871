//! `tallymark show`: what a store holds, or anybody's metrics, once, on stdout.
//!
//! It reads as a scrape does, and like one it adds up what ended processes have left. It makes no store, takes no
//! process's place in one and changes no number.

use std::io::{IsTerminal, stdout};

use tallymark::model::encode::Format;
use tallymark::model::{Escaping, Snapshot};
use tallymark_transport::page::families_json;

use crate::clock::since_1970;
use crate::error::Error;
use crate::selector::{Selector, select};
use crate::source::Source;
use crate::{output, table};

/// Print what a store holds
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark show file:/run/app/metrics.tally
  tallymark show file:/run/app/metrics.tally --format table
  tallymark show file:/run/app/metrics.tally --match 'http_requests{method=\"GET\",path=~\"/api/.*\"}'
  tallymark show http://127.0.0.1:9099 --name 'http_*' --format openmetrics
  curl -s http://127.0.0.1:9100/metrics | tallymark show - --json | jq '.families[].name'")]
pub(crate) struct Show {
    /// A store's URL, http://HOST:PORT/metrics, a file with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true)]
    source: String,

    /// The format to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Print::Text)]
    format: Print,

    /// As --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Only families of this name, in which * is any text; may be given again
    #[arg(long = "name", value_name = "GLOB", value_parser = Selector::names)]
    names: Vec<Selector>,

    /// Only series that fit name{label="x"}, with =, !=, =~ or !~; may be given again
    #[arg(long = "match", value_name = "SELECTOR", value_parser = Selector::parse)]
    matches: Vec<Selector>,
}

/// How to print it. Names are printed as they are, not escaped, so that nothing is shown that is not in the store.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Print {
    /// The Prometheus text format
    Text,
    /// OpenMetrics 1.0
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// OpenMetrics 2.0
    #[value(name = "openmetrics2")]
    OpenMetrics2,
    /// Delimited protobuf messages, as Prometheus scrapes them
    Protobuf,
    /// For people: a table for each family, with units, means and quantiles
    Table,
    /// For scripts: one object for each series
    Json,
}

impl Show {
    pub(crate) fn run(self) -> Result<(), Error> {
        let source = Source::open(&self.source)?;
        // Names first, then series: both are to fit.
        let snapshot = select(select(source.snapshot()?, &self.names), &self.matches);
        let encode = |format: Format| encoded(format, &snapshot, &source);
        match self.format {
            _ if self.json => print_json(&snapshot),
            Print::Json => print_json(&snapshot),
            Print::Table => output::print(table::families(&snapshot, since_1970().as_secs_f64()).as_bytes()),
            Print::Text => encode(Format::Text1_0_0(Escaping::AllowUtf8)),
            Print::OpenMetrics => encode(Format::OpenMetrics1_0_0 { escaping: Escaping::AllowUtf8, tagged: true }),
            Print::OpenMetrics2 => encode(Format::OpenMetrics2_0_0(Escaping::AllowUtf8)),
            Print::Protobuf => encode(Format::Protobuf(Escaping::AllowUtf8)),
        }
    }
}

fn encoded(format: Format, snapshot: &Snapshot, source: &Source) -> Result<(), Error> {
    let mut text = Vec::new();
    let encoded = format.encode(snapshot, &mut text);
    encoded.map_err(|error| Error::Encode { url: source.name().to_owned(), source: error })?;
    output::print(&text)
}

/// The same JSON as the server's, and on a terminal in lines.
fn print_json(snapshot: &Snapshot) -> Result<(), Error> {
    let mut json = families_json(snapshot, since_1970().as_secs_f64());
    if stdout().is_terminal() {
        let value: serde_json::Value = serde_json::from_slice(&json).map_err(|error| Error::Stdout(error.into()))?;
        return output::print_json(&value);
    }
    json.push(b'\n');
    output::print(&json)
}
