//! Timings of Tallymark's core: what an update costs, and what a scrape.
//!
//! No framework: plain loops, all rows of a table interleaved round by round, medians. Without an argument it prints the
//! tables; see `USAGE` for the rest. It asserts nothing: a slow machine is not an error.

mod instructions;
mod rounds;
mod scrapes;
mod stores;
mod updates;

use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "usage: tallymark-bench [updates | scrapes | instructions | repeat STORE UPDATE TIMES]

updates        nanoseconds per update
scrapes        time of a scrape, by half
instructions   instructions per update, counted by valgrind, which must be installed
repeat         one update again and again, for a profiler to watch";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            updates::table()?;
            scrapes::table()?;
        }
        ["updates"] => updates::table()?,
        ["scrapes"] => scrapes::table()?,
        ["instructions"] => instructions::table()?,
        ["repeat", store, update, times] => updates::repeat(store, update, times.parse()?)?,
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}
