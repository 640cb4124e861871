//! Stores for the binary to look into, and runs of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tallymark::{Counter, Registry};
use tempfile::TempDir;

/// A directory of its own, for one store.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("metrics.tally")
    }

    pub(crate) fn url(&self) -> String {
        format!("file:{}", self.path().display())
    }

    /// What is in the directory.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// A counter of this process in the store, as an application has one.
    pub(crate) fn hits(&self) -> Counter {
        let hits = Registry::open(&self.url()).unwrap().counter("hits", "Hits.").label_names(["path"]).register();
        hits.unwrap().with(&["/"]).unwrap()
    }
}

pub(crate) fn tallymark<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallymark"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a run ended: exit code, stdout, stderr.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    tallymark(arguments).output().unwrap().into()
}

impl Run {
    /// Asserts that it was refused with this exit code and these words on stderr, and printed no data.
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((Some(code), ""), (self.code, &*self.stdout), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
    }
}

pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
