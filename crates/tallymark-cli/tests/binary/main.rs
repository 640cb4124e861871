//! The promise of the binary, kept by real processes: what it prints where, what it leaves alone, and how it ends.

mod process;
mod serve;
mod show;
mod usage;
