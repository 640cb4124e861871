//! `tallymark import`: what others have counted, taken over once.
//!
//! Where it comes from is one file each; how it gets into a store that may hold some of it already is `carry.rs`. The
//! source is only read, but for a note that it was imported.

mod carry;
mod distributed;
mod multiprocess;
mod pushgateway;

use crate::error::Error;

/// Take over what others have counted
#[derive(clap::Args)]
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
