//! The promise of the server, kept on real sockets: what a scraper gets, and what a server endures.

mod answers;
mod client;
mod limits;
#[cfg(feature = "gateway")]
mod web;
