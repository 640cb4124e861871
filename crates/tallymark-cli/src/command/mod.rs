//! The commands, one file each.

mod drain;
mod serve;
mod show;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Drain(drain::Drain),
    Serve(Box<serve::Serve>),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Drain(drain) => drain.run(),
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
        }
    }
}
