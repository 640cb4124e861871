//! What a server does for its clients, apart from keeping their connections: the seam between `server.rs` and whoever
//! answers.
//!
//! There are two: [`Handler`](super::handler::Handler), which answers any path with a scrape, and, with the feature
//! `gateway`, `web/`, which has paths, users and bodies. Sockets are accepted, timed and closed for both alike.

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The answer to a request; its body is known as a whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers the requests of every connection of a server.
pub(super) trait Service: Send + Sync + 'static {
    /// What HTTP is spoken over: the socket, or what is put around it.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// How long, and for how many bytes, a client that has its last answer may go on sending before it is cut off.
    ///
    /// Closing a socket with unread bytes makes the kernel reset the connection, and a reset may overtake the answer (a
    /// 431 above all, whose client is still busy sending). A second is many round trips; 256 KiB is far more than a head.
    const LINGER: (Duration, u64) = (Duration::from_secs(1), 256 * 1024);

    /// How many threads that may block it needs at most; at least 1.
    fn threads(&self) -> usize;

    /// Makes of a client's socket what HTTP is spoken over, within the time that a head may take.
    ///
    /// # Errors
    /// Whatever the client did wrong; its connection is closed.
    fn open(&self, socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Answers one request. A body that is not read is dropped, and the connection with it.
    fn call(&self, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;

    /// Ends if the service itself wants the server to stop.
    fn wants_to_stop(&self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Hears how many clients are connected whenever that changes.
    fn connected(&self, _clients: usize) {}

    /// Hears that a client was turned away, because there are as many as there may be.
    fn turned_away(&self) {}
}
