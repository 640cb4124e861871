//! `tallymark completions`: what a shell needs to complete our commands and options, on stdout.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::error::Error;
use crate::output;

/// Print what a shell needs to complete commands and options
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  source <(tallymark completions bash)
  tallymark completions bash > ~/.local/share/bash-completion/completions/tallymark
  tallymark completions zsh > ~/.zfunc/_tallymark
  tallymark completions fish > ~/.config/fish/completions/tallymark.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tallymark", &mut script);
        output::print(&script)
    }
}
