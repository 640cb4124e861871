//! The commands, one file each.

mod check;
mod completions;
mod dashboard;
mod drain;
mod exec;
mod man;
mod rules;
mod serve;
mod show;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Completions(completions::Completions),
    Dashboard(dashboard::Dashboard),
    Drain(drain::Drain),
    Exec(exec::Exec),
    Man(man::Man),
    Rules(rules::Rules),
    Serve(serve::Serve),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Check(check) => check.run(),
            Command::Completions(completions) => completions.run(),
            Command::Dashboard(dashboard) => dashboard.run(),
            Command::Drain(drain) => drain.run(),
            Command::Exec(exec) => exec.run(),
            Command::Man(man) => man.run(),
            Command::Rules(rules) => rules.run(),
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
        }
    }
}
