//! Open-file-description locks on bytes of the file: the kernel drops them when their holder dies.
//!
//! They belong to the open file, not to the process: two stores of one process do not share them, process ids do not
//! matter, and they work across containers. A forked child would keep its parent's alive, so it closes the descriptor
//! first (see [`crate::fork`]).

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};

fn range(kind: i32, byte: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: byte, l_len: 1, l_pid: 0 }
}

/// Takes the lock on `byte` if nobody has it.
pub(crate) fn try_lock(file: &File, byte: i64) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, byte))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock on `byte`, waiting for at most `limit`. Held until it is dropped.
pub(crate) fn lock(file: &File, byte: i64, limit: Duration) -> io::Result<Option<Held<'_>>> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(10);
    while !try_lock(file, byte)? {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    Ok(Some(Held { file, byte }))
}

/// Gives the lock on `byte` back.
pub(crate) fn unlock(file: &File, byte: i64) {
    // Fails only for a descriptor that is not a file's; then there is nothing to give back.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte)));
}

/// Whether somebody else has the lock on `byte`.
pub(crate) fn is_held_elsewhere(file: &File, byte: i64) -> bool {
    let mut found = range(libc::F_WRLCK, byte);
    // If the question cannot be asked, the owner is taken to live: folding a live shard would count it twice.
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).is_err() || found.l_type != libc::F_UNLCK as i16
}

/// A lock, given back when it is dropped.
pub(crate) struct Held<'a> {
    file: &'a File,
    byte: i64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        unlock(self.file, self.byte);
    }
}
