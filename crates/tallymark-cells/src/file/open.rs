//! How a file is opened, and on which file systems. What is in it is not known here.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::OpenError;

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Permissions of a file that is made.
    pub mode: u32,
    /// Whether a network file system is accepted.
    pub allow_network: bool,
    /// Whether a file that is not there is made.
    pub create: bool,
    /// What this process is called in the file, instead of by its process id.
    pub process: Option<u32>,
    /// Whether the words are kept in memory only, for this process alone: no file is made, the path is a name.
    pub in_memory: bool,
}

impl Default for Options {
    /// Made if need be, readable and writable by its owner alone; no network file systems.
    fn default() -> Options {
        Options { mode: 0o600, allow_network: false, create: true, process: None, in_memory: false }
    }
}

pub(super) fn open_file(path: &Path, options: Options) -> Result<File, OpenError> {
    let io = |action| move |source| OpenError::Io { path: path.to_owned(), action, source };
    if options.in_memory {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        return Ok(nix::sys::memfd::memfd_create(c"tallymark", flags)
            .map_err(|e| io("make words in memory")(e.into()))?
            .into());
    }
    let mut open = OpenOptions::new();
    open.read(true).write(true);
    let file = match open.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && options.create => {
            let file = open.create(true).truncate(false).mode(options.mode).open(path).map_err(io("make the file"))?;
            // What the umask took away was asked for.
            file.set_permissions(Permissions::from_mode(options.mode)).map_err(io("set the mode of the file"))?;
            file
        }
        file => file.map_err(io("open the file"))?,
    };
    match network(&file).filter(|_| !options.allow_network) {
        Some(kind) => Err(OpenError::Network { path: path.to_owned(), kind }),
        None => Ok(file),
    }
}

/// The file systems on which processes of several hosts would map the same file without sharing memory.
fn network(file: &File) -> Option<&'static str> {
    let kind = nix::sys::statfs::fstatfs(file).ok()?.filesystem_type();
    [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x6165_676c, "a file system of Plan 9"),
    ]
    .into_iter()
    .find(|(magic, _)| kind.0 & 0xffff_ffff == *magic)
    .map(|(_, name)| name)
}
