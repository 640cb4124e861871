//! `tallymark observe`: counts an observation in a histogram or a summary, from a shell.

use tallymark::metric::Handle;
use tallymark::model::Kind;
use tallymark::{Histogram, Summary};

use super::update::{Update, check_bounds};
use crate::error::Error;

/// Count an observation in a histogram or a summary
#[derive(clap::Args)]
#[command(after_help = "\
A name that the store does not know becomes a histogram, with the buckets of --buckets or, without it, those for
request times (0.005 to 10); with --summary it becomes a summary, which has a count and a sum alone. If a store of many
hosts is away, this host's spool keeps the observation, stderr says so, and the exit code is 0.

Examples:
  export TALLYMARK_STORE=file:/var/lib/tallymark/jobs.tally
  tallymark observe upload_seconds target=s3 0.73
  tallymark observe mail_bytes --buckets 1e3,1e4,1e5,1e6 \"$(wc -c < mail)\"
  tallymark observe batch_rows --summary 512")]
pub(crate) struct Observe {
    #[command(flatten)]
    update: Update,

    /// The histogram's upper bounds, ascending
    #[arg(long, value_name = "BOUNDS", value_delimiter = ',', conflicts_with = "summary")]
    buckets: Vec<f64>,

    /// Make a summary, not a histogram, if the store does not know the name
    #[arg(long)]
    summary: bool,
}

impl Observe {
    pub(crate) fn run(self) -> Result<(), Error> {
        let buckets = self.buckets;
        let kinds: &[Kind] = match (self.summary, buckets.is_empty()) {
            (true, _) => &[Kind::Summary],
            (false, false) => &[Kind::Histogram],
            (false, true) => &[Kind::Histogram, Kind::Summary],
        };
        let asked = buckets.clone();
        let define =
            |builder: tallymark::model::FamilyBuilder| if asked.is_empty() { builder } else { builder.bounds(asked) };
        let updating = self.update.begin(kinds, define)?;
        let amount = updating.finite(None)?;
        if !buckets.is_empty() {
            check_bounds(&updating.definition, &buckets)?;
        }
        let is_summary = updating.definition.kind() == Kind::Summary;
        updating.finish(|series| {
            if is_summary {
                Summary::new(series).observe(amount);
            } else {
                Histogram::new(series).observe(amount);
            }
        })
    }
}
