//! `/metrics` over HTTP: a scrape is a request, an exposition is its answer.
//!
//! ```text
//! listen ──> server ──> connection ──> handler ──> source (a store's snapshot, a registry's collectors)
//!  socket     thread     one client     one         └──> exposition (negotiate, encode, compress)
//!                        and its pace   request
//! ```
//!
//! [`Exposition`] is the pure part, shared with every other way to answer a scrape (WSGI, ASGI, a framework's view).
//! [`Server`] is the native server: one thread for all sockets, a few more for the scrapes themselves, so that a
//! source that waits keeps nobody else waiting. Everything a client could make grow has a bound in [`Options`].
//!
//! [`Server::bind`] knows no paths other than `/favicon.ico`: as with the official client, any path serves metrics. With
//! the feature `gateway` there is a second thing that a server can do, `Web`: paths, pushes, users, TLS.

mod connection;
mod error;
mod exposition;
mod handler;
mod listen;
mod options;
mod pace;
mod server;
mod service;
#[cfg(feature = "gateway")]
mod web;

pub use error::ServeError;
pub use exposition::Exposition;
pub use handler::{Source, SourceError, requested_names};
pub use listen::listen;
pub use options::Options;
pub use server::Server;
#[cfg(feature = "gateway")]
pub use web::{ConfigError, Web, WebOptions};
