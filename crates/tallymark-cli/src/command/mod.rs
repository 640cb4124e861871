//! The commands, one file each.

mod serve;
mod show;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
        }
    }
}
