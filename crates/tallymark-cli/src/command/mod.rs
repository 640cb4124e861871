//! The commands, one file each.

mod dashboard;
mod drain;
mod rules;
mod serve;
mod show;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Dashboard(dashboard::Dashboard),
    Drain(drain::Drain),
    Rules(rules::Rules),
    Serve(serve::Serve),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Dashboard(dashboard) => dashboard.run(),
            Command::Drain(drain) => drain.run(),
            Command::Rules(rules) => rules.run(),
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
        }
    }
}
