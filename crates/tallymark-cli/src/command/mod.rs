//! The commands, one file each.

mod check;
mod completions;
pub(crate) mod counting;
mod dashboard;
mod delete;
mod doctor;
mod drain;
mod exec;
mod gc;
mod import;
mod inc;
mod man;
mod observe;
mod push;
mod rules;
mod run;
mod serve;
mod set;
mod show;
mod top;
mod update;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Completions(completions::Completions),
    Dashboard(dashboard::Dashboard),
    Delete(delete::Delete),
    Doctor(doctor::Doctor),
    Drain(drain::Drain),
    Exec(exec::Exec),
    Gc(gc::Gc),
    Import(import::Import),
    Inc(inc::Inc),
    Man(man::Man),
    Observe(observe::Observe),
    Push(push::Push),
    Rules(rules::Rules),
    Run(run::Run),
    Serve(Box<serve::Serve>),
    Set(set::Set),
    Show(show::Show),
    Top(top::Top),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Check(check) => check.run(),
            Command::Completions(completions) => completions.run(),
            Command::Dashboard(dashboard) => dashboard.run(),
            Command::Delete(delete) => delete.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Drain(drain) => drain.run(),
            Command::Exec(exec) => exec.run(),
            Command::Gc(gc) => gc.run(),
            Command::Import(import) => import.run(),
            Command::Inc(inc) => inc.run(),
            Command::Man(man) => man.run(),
            Command::Observe(observe) => observe.run(),
            Command::Push(push) => push.run(),
            Command::Rules(rules) => rules.run(),
            Command::Run(run) => run.run(),
            Command::Serve(serve) => serve.run(),
            Command::Set(set) => set.run(),
            Command::Show(show) => show.run(),
            Command::Top(top) => top.run(),
        }
    }
}
