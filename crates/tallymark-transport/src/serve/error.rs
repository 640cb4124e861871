//! Why metrics cannot be served: no socket, no thread, or no bytes to answer with.
//!
//! Everything here is told to the operator who starts a server, or to the scraper as the text of a 500. What a client
//! does wrong is no error of ours: it gets its status and is forgotten.

use std::io;
use std::net::SocketAddr;

use tallymark_model::encode::EncodeError;

/// What kept metrics from being served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The name to listen on has no address.
    #[error("no address to listen on: {source}; give one that this host has, such as 0.0.0.0:9090 or [::]:9090")]
    Resolve {
        /// What the resolver said.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; {}", advice(source, *reuse_port))]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Whether the port was to be shared.
        reuse_port: bool,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address is free, but the server's thread did not start.
    #[error(
        "cannot start the thread that serves {addr}: {source}; see this process's limits on threads and open files"
    )]
    Start {
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The metrics cannot be written in the format that was asked for.
    #[error("cannot write the metrics as {content_type}: {source}")]
    Encode {
        /// The format, as `Content-Type`.
        content_type: &'static str,
        /// What is wrong, and with which family.
        source: EncodeError,
    },
    /// The metrics are written, but the compressor failed, for which only a lack of memory is known.
    #[error("cannot compress the metrics with {coding}: {source}; ask for them without Accept-Encoding")]
    Compress {
        /// The coding, as `Content-Encoding`.
        coding: &'static str,
        /// What the compressor said.
        source: io::Error,
    },
}

/// What to do about an address that cannot be listened on.
fn advice(error: &io::Error, reuse_port: bool) -> &'static str {
    match (error.kind(), reuse_port) {
        (io::ErrorKind::AddrInUse, false) => {
            "choose another port, or let every process share this one (reuse_port in each of them)"
        }
        (io::ErrorKind::AddrInUse, true) => {
            "the process that has the port does not share it (reuse_port), or runs as another user"
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            "choose an address of this host, or 0.0.0.0 (all of IPv4) or [::] (all of IPv6)"
        }
        (io::ErrorKind::PermissionDenied, _) => "choose a port from 1024 up, lower ones need privileges",
        _ => "choose another address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_is_named_with_a_way_out() {
        let addr = "192.0.2.1:80".parse().unwrap();
        let text =
            |kind: io::ErrorKind| ServeError::Listen { addr, reuse_port: false, source: kind.into() }.to_string();

        for (kind, way_out) in [
            (io::ErrorKind::AddrInUse, "reuse_port"),
            (io::ErrorKind::AddrNotAvailable, "0.0.0.0"),
            (io::ErrorKind::PermissionDenied, "1024"),
            (io::ErrorKind::OutOfMemory, "another address"),
        ] {
            let text = text(kind);

            assert!(text.starts_with("cannot listen on 192.0.2.1:80: ") && text.contains(way_out), "{text}");
        }
    }
}
