//! Metrics sent to where nobody scrapes: to a Pushgateway, to Graphite, by remote write.
//!
//! A [`Snapshot`](tallymark_model::Snapshot) comes in and is sent once, in the thread that asks; when to do so, and
//! whether again, is the caller's business. Each way is one file: [`Pushgateway`] and [`RemoteWrite`] speak HTTP through
//! one [`Client`], [`Graphite`] lines or pickles over TCP.
//!
//! Nothing here knows where numbers are kept.

mod client;
mod error;
mod graphite;
mod pushgateway;
mod remote_write;

pub use client::{Body, Client, ClientOptions};
pub use error::PushError;
pub use graphite::{Graphite, GraphiteFormat};
pub use pushgateway::{Method, Pushgateway, group_path};
pub use remote_write::RemoteWrite;
