//! The binary; everything is in the library, where tests and other ways to start it can reach it.

fn main() -> std::process::ExitCode {
    tallymark_cli::run(std::env::args_os()).into()
}
