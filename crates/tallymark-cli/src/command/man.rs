//! `tallymark man`: the manual, made of the same words as `--help`: a page for the program and one for each command.
//!
//! What stands behind the options in a command's help comes here to where a manual has it: exit codes and examples under
//! headings of their own, the rest into the description.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man as Manual;
use clap_mangen::roff::{Roff, bold, roman};

use crate::Cli;
use crate::error::Error;
use crate::output;

/// Print the manual page, or write the pages of all commands into a directory
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tallymark man | man -l -
  tallymark man ~/.local/share/man/man1 && man tallymark-serve")]
pub(crate) struct Man {
    /// Where to write tallymark.1, tallymark-serve.1 and the others; made if it is not there
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Error> {
        let written = |source| Error::Stdout(source);
        let program = Cli::command().disable_help_subcommand(true);
        let Some(directory) = self.directory else {
            return output::print(&page(&program, "tallymark").map_err(written)?);
        };
        let trouble = |path: &Path, source| Error::File { path: path.to_owned(), source };
        fs::create_dir_all(&directory).map_err(|error| trouble(&directory, error))?;
        for (name, command) in pages(program) {
            let path = directory.join(format!("{name}.1"));
            let page = page(&command, &name).map_err(written)?;
            fs::write(&path, page).map_err(|error| trouble(&path, error))?;
        }
        Ok(())
    }
}

/// Every command under the name of its page: `tallymark`, `tallymark-import-pushgateway`.
fn pages(mut program: Command) -> Vec<(String, Command)> {
    program.build();
    let mut pages = vec![("tallymark".to_owned(), program)];
    let mut next = 0;
    while let Some((name, command)) = pages.get(next) {
        let below: Vec<_> =
            command.get_subcommands().map(|one| (format!("{name}-{}", one.get_name()), one.clone())).collect();
        pages.extend(below);
        next += 1;
    }
    pages
}

/// A manual page.
fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let behind = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let manual = Manual::new(command.clone().after_help(""))
        .title(name)
        .manual("Tallymark")
        .source(format!("tallymark {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    manual.render_title(&mut page)?;
    manual.render_name_section(&mut page)?;
    manual.render_synopsis_section(&mut page)?;
    manual.render_description_section(&mut page)?;
    let (sections, paragraphs): (Vec<_>, Vec<_>) = behind.split("\n\n").partition(|one| heading(one).is_some());
    let mut description = Roff::new();
    for paragraph in paragraphs {
        description.control("PP", []);
        text(&mut description, paragraph);
    }
    description.to_writer(&mut page)?;
    manual.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    commands(&mut rest, command, name);
    for (heading, paragraph) in sections.into_iter().filter_map(heading) {
        rest.control("SH", [heading]);
        text(&mut rest, paragraph);
    }
    environment(&mut rest, command);
    if name != "tallymark" {
        rest.control("SH", ["SEE ALSO"]).text([bold("tallymark"), roman("(1), for the exit codes of all commands")]);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// What a manual calls a paragraph of the help, and what stands in it.
fn heading(paragraph: &str) -> Option<(&'static str, &str)> {
    const HEADINGS: [(&str, &str); 2] = [("Exit codes:", "EXIT STATUS"), ("Examples:", "EXAMPLES")];
    HEADINGS.iter().find_map(|(start, heading)| {
        let rest = paragraph.strip_prefix(start)?;
        // What follows on the same line is a sentence, not a line that is set in.
        Some((*heading, rest.strip_prefix('\n').unwrap_or(rest.trim_start())))
    })
}

/// A paragraph; lines that are set in stand as they are.
fn text(roff: &mut Roff, paragraph: &str) {
    let mut as_it_is = false;
    for line in paragraph.trim_end().lines() {
        if line.starts_with(' ') != as_it_is {
            as_it_is = !as_it_is;
            roff.control(if as_it_is { "nf" } else { "fi" }, []);
        }
        roff.text([roman(line.trim_start_matches(' '))]);
    }
    if as_it_is {
        roff.control("fi", []);
    }
}

fn commands(roff: &mut Roff, command: &Command, name: &str) {
    if command.has_subcommands() {
        roff.control("SH", ["COMMANDS"]);
    }
    for below in command.get_subcommands() {
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        let page = format!("{name}-{}", below.get_name());
        roff.control("TP", []).text([bold(page), roman("(1)")]).text([roman(about)]);
    }
}

/// The variables that options can be given by.
fn environment(roff: &mut Roff, command: &Command) {
    let variables: Vec<_> = command.get_arguments().filter_map(|one| Some((one.get_env()?, one.get_help()?))).collect();
    if !variables.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
    }
    for (variable, help) in variables {
        roff.control("TP", []).text([bold(variable.to_string_lossy())]).text([roman(help.to_string())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_options_comes_under_its_heading() {
        let command =
            Command::new("tallymark").about("It").after_help("More.\n\nExit codes:\n  3  odd\n\nExamples:\n  it -x");
        let page = String::from_utf8(page(&command, "tallymark-it").unwrap()).unwrap();

        assert!(page.contains(".SH \"EXIT STATUS\"\n.nf\n3  odd\n.fi\n.SH EXAMPLES\n.nf\nit \\-x\n"), "{page}");
        assert!(page.find("More.").unwrap() < page.find(".SH OPTIONS").unwrap());
    }

    #[test]
    fn every_command_has_a_page_and_every_page_an_example() {
        for (name, command) in pages(Cli::command().disable_help_subcommand(true)) {
            // The program's own examples are its commands', and a command that only has others below has theirs.
            if command.has_subcommands() {
                continue;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split_once("Examples:\n").map_or("", |(_, examples)| examples);
            assert!(examples.contains("tallymark"), "{name} --help has no example");
        }
    }
}
