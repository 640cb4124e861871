//! The commands, one file each.

mod check;
mod drain;
mod serve;
mod show;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Drain(drain::Drain),
    Serve(serve::Serve),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Check(check) => check.run(),
            Command::Drain(drain) => drain.run(),
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
        }
    }
}
