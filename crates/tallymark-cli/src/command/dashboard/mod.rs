//! `tallymark dashboard`: a Grafana dashboard of what a source holds, as JSON on stdout.
//!
//! The same families, labels and limits give the same bytes. What a family is shown by is decided in `panel.rs`, how
//! Grafana has that written in `grafana.rs`.

mod grafana;
mod panel;

use crate::error::Error;
use crate::output;
use crate::overview::Overview;
use crate::source::Source;

/// Make a Grafana dashboard of what a store, a URL or a file holds
///
/// Grafana 11 and 12 import it. It asks the Prometheus that scrapes the source: counters as rates, histograms as quantiles
/// and heatmaps, gauges as they are and as a share of their limits, moments as ages.
#[derive(clap::Args)]
#[command(after_help = "\
A dashboard knows the families and labels that are there when it is made: make it again when there are others. What has
the same name keeps its place in links.

Examples:
  tallymark dashboard file:/run/app/metrics.tally > app.json
  tallymark dashboard http://127.0.0.1:8000/metrics --title Shop > shop.json
  curl -s http://app:8000/metrics | tallymark dashboard - --datasource prometheus-eu > app.json")]
pub(crate) struct Dashboard {
    /// A store's URL, http://HOST:PORT/metrics, a file with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true)]
    source: String,

    /// The dashboard's title; its address in Grafana is made of it
    #[arg(long, value_name = "TITLE", default_value = "Tallymark", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    title: String,

    /// The uid of the data source that is chosen at first; else Grafana's default. It can be changed in the dashboard
    #[arg(long, value_name = "UID")]
    datasource: Option<String>,
}

impl Dashboard {
    pub(crate) fn run(self) -> Result<(), Error> {
        let held = Overview::of(&Source::open(&self.source)?.snapshot()?);
        let dashboard = grafana::dashboard(&panel::rows(&held), &self.title, self.datasource.as_deref());
        output::print_json(&dashboard)
    }
}
