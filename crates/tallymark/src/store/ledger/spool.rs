//! Where a host's spool is: one file for all processes of one user and one store, found without being told.
//!
//! What `?spool=` says; else beside a SQLite file; else in the first of these directories that can be used:
//! `/var/lib/tallymark`, `$XDG_STATE_HOME/tallymark`, `$HOME/.local/state/tallymark`, `$XDG_RUNTIME_DIR/tallymark`,
//! `/tmp/tallymark-UID`; else in memory, where every process has a spool of its own.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tallymark_cells::file::Options;

use crate::{Error, FileStore, record};

/// What `?spool=` says for a spool in memory.
const MEMORY: &str = "memory";

/// Opens the spool of the store at `url`, which is without password and options that do not name the store. Gives its
/// path, too; none for one in memory, which is also what there is where none is and none may be made (`create`).
///
/// # Errors
/// [`Error::File`] if a spool was asked for by its path, and cannot be used.
pub(crate) fn open(
    asked: Option<&str>,
    beside: Option<&Path>,
    url: &str,
    create: bool,
) -> Result<(FileStore, Option<PathBuf>), Error> {
    let options = Options { create, ..Options::default() };
    match asked {
        Some(MEMORY) => return in_memory(),
        Some(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            return Ok((FileStore::open_spool(&path, options)?, Some(path)));
        }
        None => {}
    }
    let name = format!("{}-{:016x}.tally", url.split(':').next().unwrap_or_default(), record::fnv(url.as_bytes()));
    let beside = beside.map(|path| {
        let mut name = path.to_owned().into_os_string();
        name.push(".tally");
        PathBuf::from(name)
    });
    let candidates = beside.into_iter().chain(directories().filter(|path| is_ours(path)).map(|path| path.join(&name)));
    for path in candidates {
        match FileStore::open_spool(&path, options) {
            Ok(spool) => return Ok((spool, Some(path))),
            Err(error) => log::debug!("no spool at {}: {error}", path.display()),
        }
    }
    if create {
        log::info!(
            "{url}: no directory for a spool can be written to; each process keeps its own in memory (?spool=PATH names a place)"
        );
    }
    in_memory()
}

fn in_memory() -> Result<(FileStore, Option<PathBuf>), Error> {
    let options = Options { in_memory: true, ..Options::default() };
    Ok((FileStore::open_spool(Path::new("/memory"), options)?, None))
}

fn directories() -> impl Iterator<Item = PathBuf> {
    let from = |name: &str, rest: &str| {
        let base = env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        base.map(|base| base.join(rest))
    };
    let shared = PathBuf::from(format!("/tmp/tallymark-{}", nix::unistd::geteuid()));
    [
        Some(PathBuf::from("/var/lib/tallymark")).filter(|path| path.is_dir()),
        from("XDG_STATE_HOME", "tallymark"),
        from("HOME", ".local/state/tallymark"),
        from("XDG_RUNTIME_DIR", "tallymark"),
        Some(shared),
    ]
    .into_iter()
    .flatten()
}

/// Whether the directory is there, made if need be, and nobody else can put files into it.
fn is_ours(directory: &Path) -> bool {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let user = nix::unistd::geteuid().as_raw();
    std::fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.permissions().mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let (own, shared) = (directory.path().join("own/deep"), directory.path().join("shared"));
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(is_ours(&own));
        assert!(!is_ours(&shared));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(!is_ours(&link));
    }

    #[test]
    fn a_spool_in_memory_has_no_path_and_counts() {
        let (spool, path) = open(Some("memory"), None, "redis://localhost", true).unwrap();
        assert_eq!(path, None);
        assert!(spool.status().bytes > 0);
    }
}
