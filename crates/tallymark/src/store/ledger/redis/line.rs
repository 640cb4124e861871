//! A connection that a forked child does not keep: its descriptor is closed there at once.
//!
//! The library gives no descriptors away, so it is looked for: the one socket to that port that was not there before.

use std::collections::HashSet;
use std::os::fd::RawFd;

use nix::sys::socket::{SockaddrIn, SockaddrIn6, getpeername};
use redis::{Connection, RedisResult};
use tallymark_cells::fork;

/// A connection, and its descriptor if that was found.
pub(super) struct Line {
    /// Taken by `drop` only.
    connection: Option<Connection>,
    descriptor: Option<RawFd>,
    generation: u32,
}

impl Line {
    /// Has `connect` make a connection to a port.
    pub(super) fn open(port: u16, connect: impl FnOnce() -> RedisResult<Connection>) -> RedisResult<Line> {
        let before = sockets(port);
        let connection = connect()?;
        let mut found = sockets(port);
        found.retain(|descriptor| !before.contains(descriptor));
        // Of several, one is the program's own: then the copy of ours stays open in children, unused.
        let descriptor = if found.len() == 1 { found.into_iter().next() } else { None };
        descriptor.into_iter().for_each(fork::close_in_child);
        Ok(Line { connection: Some(connection), descriptor, generation: fork::generation() })
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(descriptor) = self.descriptor else { return };
        if self.generation == fork::generation() {
            fork::keep_in_child(descriptor);
        } else {
            // Closed already; its number may be somebody else's by now.
            std::mem::forget(self.connection.take());
        }
    }
}

/// This process's sockets that are connected to a port.
fn sockets(port: u16) -> HashSet<RawFd> {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return HashSet::new() };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let is_to_port = |descriptor: &RawFd| {
        let v4 = getpeername::<SockaddrIn>(*descriptor).map(|peer| peer.port());
        v4.or_else(|_| getpeername::<SockaddrIn6>(*descriptor).map(|peer| peer.port())) == Ok(port)
    };
    descriptors.flatten().filter_map(number).filter(is_to_port).collect()
}
