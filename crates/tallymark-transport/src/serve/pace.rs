//! The pace of one connection: which phase it is in, and until when it may stay there.
//!
//! A client is given time to send a head, time to take its answer, and time between requests; a scrape itself is not
//! timed here. The phases follow from what passes through the socket, so they hold whatever HTTP is spoken over it, and
//! whatever the stream is. Nobody here closes anything: `connection.rs` asks for the deadline and acts on it. The
//! HTTP library's own header timer is not used because it has one duration for a silent newcomer and for a scraper
//! that comes back every minute.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Options;

/// What a connection is doing, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client sends a head, or has not begun to.
    Head(Instant),
    /// A request is being answered.
    Running,
    /// The client takes its answer.
    Sending(Instant),
    /// The answer is out; the next request has not begun.
    Idle(Instant),
}

/// The phase of one connection, seen by its stream, its service and its timer.
#[derive(Debug)]
pub(super) struct Pace {
    // A lock, not a cell, because tasks must be `Send`; all three parties are polled by one task, so nobody ever waits.
    phase: Mutex<Phase>,
}

impl Pace {
    /// The pace of a connection that was just made.
    pub(super) fn new(now: Instant) -> Self {
        Pace { phase: Mutex::new(Phase::Head(now)) }
    }

    /// A whole head has arrived.
    pub(super) fn requested(&self) {
        self.step(|_| Phase::Running);
    }

    /// The answer is known.
    pub(super) fn answered(&self, now: Instant) {
        self.step(|_| Phase::Sending(now));
    }

    /// Whether there is a request that is not fully answered.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Running | Phase::Sending(_))
    }

    /// When the phase must have ended; `None` if it may last.
    pub(super) fn deadline(&self, options: &Options) -> Option<Instant> {
        // A duration too long to add is as good as none.
        match self.phase() {
            Phase::Head(since) => since.checked_add(options.header_timeout),
            Phase::Running => None,
            Phase::Sending(since) => since.checked_add(options.write_timeout),
            Phase::Idle(since) => since.checked_add(options.idle_timeout),
        }
    }

    fn received(&self, now: Instant) {
        self.step(|phase| if matches!(phase, Phase::Idle(_)) { Phase::Head(now) } else { phase });
    }

    /// Also for what the HTTP library answers by itself, such as 431: then nobody told `answered`.
    fn sent(&self, now: Instant) {
        self.step(|phase| if matches!(phase, Phase::Head(_) | Phase::Idle(_)) { Phase::Sending(now) } else { phase });
    }

    /// Everything that was to be sent has been sent.
    fn flushed(&self, now: Instant) {
        self.step(|phase| if matches!(phase, Phase::Sending(_)) { Phase::Idle(now) } else { phase });
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, next: impl FnOnce(Phase) -> Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = next(*phase);
    }
}

/// A stream that tells a [`Pace`] what passes through it.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Paced { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pace.received(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.pace.sent(Instant::now());
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pace.sent(Instant::now());
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    // Without this the HTTP library would copy every body behind its head.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.pace.flushed(Instant::now());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> Options {
        Options {
            header_timeout: 10 * SECOND,
            idle_timeout: 100 * SECOND,
            write_timeout: 50 * SECOND,
            ..Options::default()
        }
    }

    #[test]
    fn a_request_is_timed_in_every_phase_but_its_scrape() {
        let (options, start) = (options(), Instant::now());
        let pace = Pace::new(start);
        assert_eq!(Some(start + 10 * SECOND), pace.deadline(&options));

        pace.received(start + SECOND);
        assert_eq!(Some(start + 10 * SECOND), pace.deadline(&options), "bytes of the first head buy no time");

        pace.requested();
        assert_eq!((None, true), (pace.deadline(&options), pace.is_running()));

        pace.answered(start + 20 * SECOND);
        pace.sent(start + 21 * SECOND);
        assert_eq!(Some(start + 70 * SECOND), pace.deadline(&options), "progress buys no time either");
        assert!(pace.is_running());

        pace.flushed(start + 22 * SECOND);
        assert_eq!((Some(start + 122 * SECOND), false), (pace.deadline(&options), pace.is_running()));

        pace.received(start + 60 * SECOND);
        assert_eq!(Some(start + 70 * SECOND), pace.deadline(&options), "the next head has begun");
    }

    #[test]
    fn flushing_nothing_changes_nothing() {
        let (options, start) = (options(), Instant::now());
        let pace = Pace::new(start);

        pace.flushed(start + SECOND);
        assert_eq!(Some(start + 10 * SECOND), pace.deadline(&options));

        pace.requested();
        pace.flushed(start + SECOND);
        assert!(pace.is_running());
    }

    #[test]
    fn an_answer_nobody_asked_for_is_timed_as_well() {
        let (options, start) = (options(), Instant::now());
        let pace = Pace::new(start);

        pace.sent(start + SECOND);

        assert_eq!(Some(start + 51 * SECOND), pace.deadline(&options));
    }

    #[test]
    fn an_endless_timeout_is_none() {
        let options = Options { header_timeout: Duration::MAX, ..Options::default() };

        assert_eq!(None, Pace::new(Instant::now()).deadline(&options));
    }
}
