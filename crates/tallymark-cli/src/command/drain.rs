//! `tallymark drain`: sends what this host has counted to its store of many hosts, once.
//!
//! For hosts whose programs have all ended, or whose store was away when they did: a job of cron, a step before a machine
//! is taken down.

use std::time::Duration;

use crate::error::Error;
use crate::store;

/// Send what this host has counted to SQLite or Redis
#[derive(clap::Args)]
#[command(after_help = "\
Programs drain their host themselves. This is for what they have left when they ended: when they were killed, or the
store was away.

Examples:
  tallymark drain redis://metrics.internal/0?prefix=shop
  TALLYMARK_STORE=redis://:secret@metrics.internal/0 tallymark drain --timeout 60")]
pub(crate) struct Drain {
    /// The store's URL, as the programs have it
    #[arg(value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// How long it may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
}

impl Drain {
    pub(crate) fn run(self) -> Result<(), Error> {
        Ok(store::open(&self.store)?.flush(self.timeout)?)
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    number.ok_or("not a number of seconds such as 10 or 0.5")
}
