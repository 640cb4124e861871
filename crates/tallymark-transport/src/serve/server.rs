//! A server and its thread: started, asked to stop, waited for.
//!
//! All sockets are served by one thread named `tallymark-http`, which owns the listening socket, the runtime and every
//! connection; a [`Server`] is only the string that leads there. So nothing that outlives the thread can keep the port,
//! and in a forked child, where the thread does not exist, dropping a `Server` does nothing at all. What a request is
//! answered with is not known here: see `service.rs`.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::task::Poll;
use std::time::Duration;
use std::{process, thread};

use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handler::Handler;
use super::service::Service;
use super::{Options, ServeError, Source, connection, listen};

/// How long to wait when no connection can be accepted because files or memory are short: long enough not to spin,
/// short enough that a scraper which is waiting does not notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening socket has been closed.
const CLOSED: RawFd = -1;

/// An HTTP server for metrics, on a thread of its own.
///
/// It answers `GET` and `HEAD` on every path until [`shutdown`](Self::shutdown) is called or it is dropped; neither
/// waits, [`join`](Self::join) does.
///
/// ```
/// use std::io::{Read, Write};
/// use std::sync::Arc;
/// use tallymark_model::Snapshot;
/// use tallymark_transport::{Options, Server};
///
/// let source = |_names: &[String]| Ok(Snapshot::default());
/// let server = Server::bind("127.0.0.1:0", Options::default(), Arc::new(source))?;
///
/// let mut client = std::net::TcpStream::connect(server.local_addr())?;
/// client.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
///
/// server.shutdown();
/// server.join();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Fork
///
/// A forked child has a copy of the listening socket but not the thread that serves it: as long as the child lives,
/// connections may be left waiting for nobody, and the port stays taken. The child should close
/// [`listener_fd`](Self::listener_fd), and start a server of its own if it wants one, with
/// [`Options::reuse_port`]. Programs started with `exec` inherit nothing.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    owner: u32,
    link: Arc<Link>,
}

/// What a server and its thread know of each other.
#[derive(Debug)]
struct Link {
    stop: watch::Sender<bool>,
    listener: AtomicI32,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Server {
    /// Listens on `addr` and serves `source`; when this returns, clients are answered.
    ///
    /// Of several addresses that a name has, the first that works is taken. Port 0 is a free port:
    /// [`local_addr`](Self::local_addr) tells which.
    ///
    /// # Errors
    /// [`ServeError::Resolve`], [`ServeError::Listen`] or [`ServeError::Start`].
    pub fn bind(addr: impl ToSocketAddrs, options: Options, source: Arc<dyn Source>) -> Result<Server, ServeError> {
        let (listener, addr) = listen::listen(addr, options.reuse_port)?;
        let handler = Handler::new(source, &options);
        Server::start(addr, vec![listener], options, handler)
    }

    /// Serves `service` on sockets that listen already, `addr` being the first one's address.
    pub(super) fn start(
        addr: SocketAddr,
        listeners: Vec<TcpListener>,
        options: Options,
        service: impl Service,
    ) -> Result<Server, ServeError> {
        let link = Arc::new(Link {
            stop: watch::Sender::new(false),
            listener: AtomicI32::new(listeners.first().map_or(CLOSED, AsRawFd::as_raw_fd)),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let (started, start) = mpsc::sync_channel(1);
        let thread_link = link.clone();
        // Never joined by its handle, which would be a dangling one in a forked child; `Link::ended` says the same.
        thread::Builder::new()
            .name("tallymark-http".to_owned())
            .spawn(move || run(listeners, options, service, thread_link, started))
            .and_then(|_| start.recv().unwrap_or_else(|_| Err(io::Error::other("it ended at once"))))
            .map_err(|source| ServeError::Start { addr, source })?;
        Ok(Server { addr, owner: process::id(), link })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The listening socket, for a forked child to close; `None` once the server has closed it.
    ///
    /// Only a child may close it: in the process that called [`bind`](Self::bind) it belongs to the server.
    pub fn listener_fd(&self) -> Option<RawFd> {
        let fd = self.link.listener.load(Ordering::Relaxed);
        (fd != CLOSED).then_some(fd)
    }

    /// Asks the server to stop, without waiting: no connection is accepted any more, idle ones are closed, requests
    /// that are running get [`Options::shutdown_timeout`].
    ///
    /// A source that still runs after that is left alone: its thread ends when it does.
    pub fn shutdown(&self) {
        if self.is_owner() {
            self.link.stop.send_replace(true);
        }
    }

    /// Waits until the server has stopped. Returns at once in a forked child, where there is nothing to wait for.
    pub fn join(&self) {
        if self.is_owner() {
            let ended = self.link.ended.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.link.end.wait_while(ended, |ended| !*ended));
        }
    }

    /// Waits until the server has stopped, but not longer than `timeout`; says whether it has.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        if !self.is_owner() {
            return true;
        }
        let ended = self.link.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.link.end.wait_timeout_while(ended, timeout, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_owner(&self) -> bool {
        process::id() == self.owner
    }
}

impl Drop for Server {
    /// Asks the server to stop, as [`shutdown`](Server::shutdown) does.
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Tells everyone who waits that the thread has ended, however it ended.
struct Ended(Arc<Link>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.end.notify_all();
    }
}

/// The thread.
fn run(
    listeners: Vec<TcpListener>,
    options: Options,
    service: impl Service,
    link: Arc<Link>,
    started: mpsc::SyncSender<io::Result<()>>,
) {
    let _ended = Ended(link.clone());
    let (runtime, listeners) = match start(listeners, service.threads()) {
        Ok(parts) => parts,
        Err(error) => {
            // Whoever starts the server is waiting for it.
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    runtime.block_on(accept(listeners, Arc::new(service), Arc::new(options), &link));
    // Not by dropping it, which would wait for every source that is still running.
    runtime.shutdown_background();
}

/// The runtime, and the listeners in its care.
fn start(listeners: Vec<TcpListener>, threads: usize) -> io::Result<(Runtime, Vec<tokio::net::TcpListener>)> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(threads.max(1))
        // Linux keeps 15 characters of a name.
        .thread_name("tally-scrape")
        .build()?;
    let listeners = {
        let _inside = runtime.enter();
        listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<_>>()?
    };
    Ok((runtime, listeners))
}

/// Takes connections until the server is to stop, then sees off those that are busy.
async fn accept<A: Service>(
    listeners: Vec<tokio::net::TcpListener>,
    service: Arc<A>,
    options: Arc<Options>,
    link: &Link,
) {
    let mut stop = link.stop.subscribe();
    let mut connections = JoinSet::new();
    let mut trouble = Trouble::default();
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            // In this order: no connection is taken after the stop, and none is counted that has ended.
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = service.wants_to_stop() => {
                link.stop.send_replace(true);
                break;
            }
            Some(_) = connections.join_next() => {
                service.connected(connections.len());
                continue;
            }
            accepted = next(&listeners, turn) => accepted,
        };
        turn = (turn + 1) % listeners.len().max(1);
        match accepted {
            Ok((socket, _)) if connections.len() < options.max_connections => {
                trouble.is_over();
                // An answer is written in one piece, so waiting for more of it gains nothing. An error means that the
                // client has gone, which its connection will notice.
                let _ = socket.set_nodelay(true);
                connections.spawn(converse(socket, service.clone(), options.clone(), stop.clone()));
                service.connected(connections.len());
            }
            Ok((refused, client)) => {
                drop(refused);
                service.turned_away();
                trouble.is(format_args!("{client} was turned away: {} clients are connected", connections.len()));
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                trouble.is(format_args!("no connection can be accepted: {error}"));
                let _ = timeout(ACCEPT_PAUSE, stop.wait_for(|stop| *stop)).await;
            }
        }
    }
    link.listener.store(CLOSED, Ordering::Relaxed);
    drop(listeners);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Those that have not ended by then are cut off.
    let _ = timeout(options.shutdown_timeout, all_ended).await;
}

/// The next client of any of them. The one whose turn it is is asked first, so that a busy one keeps no other waiting.
async fn next(listeners: &[tokio::net::TcpListener], turn: usize) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        let in_turn = listeners.iter().cycle().skip(turn).take(listeners.len());
        let mut ready = in_turn.filter_map(|listener| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Some(accepted),
            Poll::Pending => None,
        });
        ready.next().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// One connection, from its socket to its end.
async fn converse<A: Service>(
    socket: TcpStream,
    service: Arc<A>,
    options: Arc<Options>,
    mut stop: watch::Receiver<bool>,
) {
    let opened = tokio::select! {
        opened = timeout(options.header_timeout, service.open(socket)) => opened,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    if let Ok(Ok(stream)) = opened {
        connection::serve(stream, service, options, stop).await;
    }
}

/// Whether the next connection may be fine.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Says when accepting begins to fail and when it works again, once each.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn is(&mut self, what: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.0, true) {
            log::warn!("metrics server: {what}; further ones are not reported");
        }
    }

    fn is_over(&mut self) {
        if std::mem::take(&mut self.0) {
            log::info!("metrics server: clients are accepted again");
        }
    }
}
