//! What is wrong with a configuration file, or with a file that it names.

use std::path::{Path, PathBuf};

/// A file that a server was told to follow, and why it cannot.
///
/// Its text never has the file's own in it, where keys and passwords are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    problem: String,
}

impl ConfigError {
    pub(super) fn new(path: &Path, problem: impl ToString) -> ConfigError {
        ConfigError { path: path.to_owned(), problem: problem.to_string() }
    }
}
