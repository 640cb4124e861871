//! Why a command could not be done: what is told on stderr, and the exit code that goes with it.

use std::io;
use std::net::SocketAddr;

use tallymark::model::encode::EncodeError;
use tallymark_transport::ServeError;

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store is one that other processes cannot look into.
    #[error(
        "{0} is inside each process, where no other can look; give a shared store, such as file:/path/metrics.tally"
    )]
    NotShared(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] tallymark::Error),
    /// A file, a server or stdin gives no metrics.
    #[error("{source_name}: {problem}")]
    Source {
        /// What was to be read, without its password.
        source_name: String,
        /// What is wrong with it, and what would help.
        problem: String,
    },
    /// Metrics are not as they should be; what is wrong with them was printed.
    #[error("{0} finding{plural}", plural = if *.0 == 1 { "" } else { "s" })]
    Findings(usize),
    /// Something about the store wants doing; what it is was printed.
    #[error("{0} thing{plural} to look after", plural = if *.0 == 1 { "" } else { "s" })]
    Warnings(usize),
    /// There is nothing that a command could do what it does with.
    #[error("{0}: nothing fits; see what is there with tallymark show")]
    NothingFits(String),
    /// There is no screen to draw on, or no source that can be read again.
    #[error("top needs a terminal, and a source that can be read again; tallymark show prints what there is, once")]
    NoTerminal,
    /// What is in the store cannot be written in the format that was asked for.
    #[error("{url}: {source}")]
    Encode {
        /// The store.
        url: String,
        /// What is wrong, and with which family.
        source: EncodeError,
    },
    /// Stdout takes no more, and not because its reader has left.
    #[error("cannot write to stdout: {0}")]
    Stdout(io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The server did not start for another reason.
    #[error(transparent)]
    Serve(ServeError),
    /// SIGINT and SIGTERM cannot be waited for.
    #[error("cannot wait for signals: {0}; see this process's limit on open files")]
    Signals(io::Error),
}

impl Error {
    /// The exit code for what could not be done.
    pub(crate) const FAILURE: u8 = 1;
    /// The exit code for what was not understood; clap's for arguments, too.
    pub(crate) const USAGE: u8 = 2;

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::NotShared(_) | Error::Store(tallymark::Error::Url { .. }) => Error::USAGE,
            _ => Error::FAILURE,
        }
    }
}

impl From<ServeError> for Error {
    /// What the server advises is for programmers (`reuse_port`); here an address is chosen by an option.
    fn from(error: ServeError) -> Error {
        match error {
            ServeError::Listen { addr, source, .. } => Error::Listen { addr, source },
            other => Error::Serve(other),
        }
    }
}
