//! The commands, one file each.

mod check;
mod counting;
mod drain;
mod inc;
mod observe;
mod push;
mod run;
mod serve;
mod set;
mod show;
mod update;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Drain(drain::Drain),
    Inc(inc::Inc),
    Observe(observe::Observe),
    Push(push::Push),
    Run(run::Run),
    Serve(Box<serve::Serve>),
    Set(set::Set),
    Show(show::Show),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Check(check) => check.run(),
            Command::Drain(drain) => drain.run(),
            Command::Inc(inc) => inc.run(),
            Command::Observe(observe) => observe.run(),
            Command::Push(push) => push.run(),
            Command::Run(run) => run.run(),
            Command::Serve(serve) => serve.run(),
            Command::Set(set) => set.run(),
            Command::Show(show) => show.run(),
        }
    }
}
