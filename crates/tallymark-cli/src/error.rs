//! Why a command could not be done: what is told on stderr, and the exit code that goes with it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tallymark::model::encode::EncodeError;
use tallymark_transport::ServeError;
use tallymark_transport::push::PushError;
use tallymark_transport::serve::ConfigError;

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
    /// What is in the store cannot be read.
    #[error("{0}: it could not be read, or not in time; tallymark doctor tells how it is")]
    Unreadable(String),
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
    /// The arguments contradict each other, or lack something.
    #[error("{0}")]
    Usage(String),
    /// The arguments contradict what is in the store.
    #[error("{0}")]
    Contradiction(String),
    /// The store has no room for a new series.
    #[error("{0}: no room for a new series, nothing was counted; make room on its file system")]
    NoRoom(String),
    /// Metrics could not be sent.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The command that was run ended with this exit status, of which there is nothing to tell.
    #[error("exit status {0}")]
    Ended(u8),
    /// A file or directory cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no Python to start.
    #[error("{}: {source}; the Python package tallymark is needed for this: pip install tallymark", python.display())]
    Python {
        /// What was to be started.
        python: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Stdout takes no more, and not because its reader has left.
    #[error("cannot write to stdout: {0}")]
    Stdout(io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose another address with --web.listen-address")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The server did not start for another reason.
    #[error(transparent)]
    Serve(ServeError),
    /// A file that the server is to follow cannot be.
    #[error(transparent)]
    Config(ConfigError),
    /// There are no sockets of systemd.
    #[error(
        "no sockets from systemd: {0}; start this from a service with a .socket unit, or give --web.listen-address"
    )]
    Systemd(io::Error),
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
            Error::Ended(status) => *status,
            Error::NotShared(_)
            | Error::Usage(_)
            | Error::Push(PushError::Address { .. } | PushError::Authorizations(_) | PushError::Group(_))
            | Error::Store(tallymark::Error::Url { .. } | tallymark::Error::Definition(_)) => Error::USAGE,
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
