//! The listening socket: bound, shared or not, and closed in programs that this one starts.
//!
//! Promises a socket that is ready for a reactor (non-blocking) and close-on-exec, or an error that names the address
//! and what to do. It does not know HTTP, threads or runtimes.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use super::ServeError;

/// How many connections the kernel keeps until they are accepted. They are accepted at once, so this only has to carry
/// a burst; 128 is what Linux cut every value to until 5.4, and what the standard library asks for.
const BACKLOG: i32 = 128;

/// Listens on the first of the addresses that can be listened on; says which, with the port that a 0 became.
///
/// ```
/// let (_socket, addr) = tallymark_transport::serve::listen("127.0.0.1:0", false)?;
/// assert_ne!(addr.port(), 0);
/// # Ok::<(), tallymark_transport::ServeError>(())
/// ```
///
/// # Errors
/// [`ServeError::Resolve`] if the name has no address, [`ServeError::Listen`] with the last address that was tried.
pub fn listen(addr: impl ToSocketAddrs, reuse_port: bool) -> Result<(TcpListener, SocketAddr), ServeError> {
    let mut refused = ServeError::Resolve { source: io::Error::other("the name has no address") };
    for addr in addr.to_socket_addrs().map_err(|source| ServeError::Resolve { source })? {
        match listen_on(addr, reuse_port) {
            Ok(listening) => return Ok(listening),
            Err(source) => refused = ServeError::Listen { addr, reuse_port, source },
        }
    }
    Err(refused)
}

/// `Socket::new` makes the socket close-on-exec. `IPV6_V6ONLY` stays as the host has it: on most, `[::]` takes IPv4 too.
fn listen_on(addr: SocketAddr, reuse_port: bool) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // Without this a restarted program waits for the connections of its predecessor to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_zero_is_a_free_one() {
        let (listener, addr) = listen("127.0.0.1:0", false).unwrap();

        assert_ne!(0, addr.port());
        assert_eq!(addr, listener.local_addr().unwrap());
    }

    #[test]
    fn the_address_decides_between_ipv4_and_ipv6() {
        assert!(listen("127.0.0.1:0", false).unwrap().1.is_ipv4());
        match listen("[::1]:0", false) {
            Ok((_, addr)) => assert!(addr.is_ipv6()),
            // A host without IPv6 must say so about that address.
            Err(error) => assert!(error.to_string().contains("[::1]:0"), "{error}"),
        }
    }

    #[test]
    fn the_first_address_that_works_is_taken() {
        let (_holder, taken) = listen("127.0.0.1:0", false).unwrap();
        let addresses = [taken, "127.0.0.1:0".parse().unwrap()];

        assert_ne!(taken, listen(&addresses[..], false).unwrap().1);
    }

    #[test]
    fn a_busy_port_is_named_with_a_way_out() {
        let (_holder, addr) = listen("127.0.0.1:0", false).unwrap();

        let alone = listen(addr, false).unwrap_err().to_string();
        let shared = listen(addr, true).unwrap_err().to_string();

        assert!(alone.contains(&addr.to_string()) && alone.contains("choose another port"), "{alone}");
        assert!(shared.contains(&addr.to_string()) && shared.contains("does not share it"), "{shared}");
    }

    #[test]
    fn a_name_without_an_address_is_no_listener() {
        let nobody: &[SocketAddr] = &[];

        assert!(matches!(listen(nobody, false), Err(ServeError::Resolve { .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn programs_started_by_this_one_do_not_inherit_the_socket() {
        use std::os::fd::AsRawFd;

        const O_CLOEXEC: u32 = 0o2_000_000;
        let (listener, _) = listen("127.0.0.1:0", false).unwrap();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", listener.as_raw_fd())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();

        assert_ne!(0, u32::from_str_radix(flags, 8).unwrap() & O_CLOEXEC);
    }
}
