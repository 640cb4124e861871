//! `tallymark show`: what a store holds, once, on stdout.
//!
//! It reads as a scrape does, and like one it adds up what ended processes have left. It makes no store, takes no
//! process's place in one and changes no number.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use tallymark::Registry;
use tallymark::model::Escaping;
use tallymark::model::encode::Format;

use crate::error::Error;
use crate::store;

/// How long a store of many hosts may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Print what a store holds
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark show file:/run/app/metrics.tally
  tallymark show file:/run/app/metrics.tally --format openmetrics
  tallymark show file:/run/app/metrics.tally | grep ^http_requests_total")]
pub(crate) struct Show {
    /// The store's URL, such as file:/run/app/metrics.tally; it must be there already
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// The format to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Print::Text)]
    format: Print,
}

/// How to print it. Names are printed as they are, not escaped, so that nothing is shown that is not in the store.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Print {
    /// The Prometheus text format
    Text,
    /// OpenMetrics 1.0
    #[value(name = "openmetrics")]
    OpenMetrics,
}

impl Print {
    fn format(self) -> Format {
        match self {
            Print::Text => Format::Text1_0_0(Escaping::AllowUtf8),
            Print::OpenMetrics => Format::OpenMetrics1_0_0 { escaping: Escaping::AllowUtf8, tagged: true },
        }
    }
}

impl Show {
    pub(crate) fn run(self) -> Result<(), Error> {
        let store = store::open_existing(&self.store)?;
        store.flush(PATIENCE)?;
        let registry = Registry::with_store(store);
        let mut text = Vec::new();
        let encoded = self.format.format().encode(&registry.snapshot(), &mut text);
        encoded.map_err(|source| Error::Encode { url: self.store, source })?;

        let mut stdout = io::stdout().lock();
        match stdout.write_all(&text).and_then(|()| stdout.flush()) {
            // The reader has heard enough, as `head` has after some lines.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Error::Stdout),
        }
    }
}
