//! Bytes in and out: how metrics leave a process, and how others reach it.
//!
//! A [`Snapshot`](tallymark_model::Snapshot) comes in; what a scraper, a browser or a framework asked for goes out. This
//! crate does not know where numbers are kept, nor how a sample is written: stores make snapshots, the model's encoders
//! make text, and here both meet a socket.
//!
//! - [`serve`]: `/metrics` over HTTP. [`Server`] is a whole server on a thread of its own; [`Exposition`] is one answer,
//!   for programs that have an HTTP server already.
//! - `gateway`, with the feature of that name: what others push, kept in a store and shown again.
//! - `page`, with the same: what a person sees of all this in a browser.
//! - `push`, with the feature of that name: metrics sent to a Pushgateway, to Graphite, by remote write.
//!
//! No async runtime is asked of the caller: where one is used, it lives and ends inside this crate's own threads.

#[cfg(feature = "gateway")]
pub mod gateway;
#[cfg(feature = "gateway")]
pub mod page;
#[cfg(feature = "push")]
pub mod push;
pub mod serve;

pub use serve::{Exposition, Options, ServeError, Server, Source, SourceError};
