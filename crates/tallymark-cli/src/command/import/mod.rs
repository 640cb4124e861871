//! `tallymark import`: what others have counted, taken over once.
//!
//! Where it comes from is one file each; how it gets into a store that may hold some of it already is `carry.rs`. The
//! source is only read, but for a note that it was imported.

mod carry;
mod db;
mod distributed;
mod multiprocess;
mod pushgateway;

use crate::error::Error;

/// Take over what others have counted
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark import multiprocess /run/app/prometheus file:/run/app/metrics.tally
  tallymark import pushgateway http://pushgateway:9091 redis://metrics.internal/0
  tallymark import distributed /var/lib/shop/metrics.db file:/run/shop/metrics.tally")]
pub(crate) struct Import {
    #[command(subcommand)]
    from: From,
}

/// Whose numbers they are.
#[derive(clap::Subcommand)]
enum From {
    Distributed(distributed::Distributed),
    Multiprocess(multiprocess::Multiprocess),
    Pushgateway(pushgateway::Pushgateway),
}

impl Import {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self.from {
            From::Distributed(distributed) => distributed.run(),
            From::Multiprocess(multiprocess) => multiprocess.run(),
            From::Pushgateway(pushgateway) => pushgateway.run(),
        }
    }
}
