//! The commands, one file each.

mod check;
mod delete;
mod doctor;
mod drain;
mod gc;
mod import;
mod serve;
mod show;
mod top;

use crate::error::Error;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Delete(delete::Delete),
    Doctor(doctor::Doctor),
    Drain(drain::Drain),
    Gc(gc::Gc),
    Import(import::Import),
    Serve(serve::Serve),
    Show(show::Show),
    Top(top::Top),
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Command::Check(check) => check.run(),
            Command::Delete(delete) => delete.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Drain(drain) => drain.run(),
            Command::Gc(gc) => gc.run(),
            Command::Import(import) => import.run(),
            Command::Serve(serve) => serve.run(),
            Command::Show(show) => show.run(),
            Command::Top(top) => top.run(),
        }
    }
}
