//! `tallymark show`: what a store holds, once, on stdout.
//!
//! It reads as a scrape does, and like one it adds up what ended processes have left. It makes no store, takes no
//! process's place in one and changes no number.

use std::io::{self, ErrorKind, Write};

use tallymark::model::Escaping;
use tallymark::model::encode::Format;

use crate::error::Error;
use crate::source::Source;

/// Print what a store holds
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark show file:/run/app/metrics.tally
  tallymark show file:/run/app/metrics.tally --format openmetrics
  tallymark show file:/run/app/metrics.tally | grep ^http_requests_total")]
pub(crate) struct Show {
    /// A store's URL, http://HOST:PORT/metrics, a file with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true)]
    source: String,

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
        let source = Source::open(&self.source)?;
        let snapshot = source.snapshot()?;
        let mut text = Vec::new();
        let encoded = self.format.format().encode(&snapshot, &mut text);
        encoded.map_err(|error| Error::Encode { url: source.name().to_owned(), source: error })?;

        let mut stdout = io::stdout().lock();
        match stdout.write_all(&text).and_then(|()| stdout.flush()) {
            // The reader has heard enough, as `head` has after some lines.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Error::Stdout),
        }
    }
}
