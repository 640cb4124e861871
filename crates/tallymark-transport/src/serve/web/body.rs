//! Bodies of requests: read whole, within a size, a time, and the room that all of them share.
//!
//! A body is bytes here; nobody decodes it. What a client announces costs nothing: room is taken for what has come. A
//! body that is too large is refused before more of it is read, and one that finds no room does not wait for any, or a
//! few slow clients could hold each other for ever.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::Refusal;

/// How many bytes a permit is for. The semaphore takes up to 2^32 at a time, as bytes only 4 GiB.
const UNIT: usize = 1024;

/// The room that bodies share.
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    units: usize,
    most: usize,
    time: Duration,
}

/// A body that has come, and its part of the room until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// The body. Not a field that is seen outside, or a closure would take it and leave the room behind.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// Room for bodies of at most `most` bytes each and `all` together, each of which may take `time`.
    pub(super) fn new(most: usize, all: usize, time: Duration) -> Bodies {
        let units = all.max(most).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Bodies { room: Arc::new(Semaphore::new(units)), units, most, time }
    }

    /// How many bytes are held now, in whole units.
    pub(super) fn held(&self) -> usize {
        self.units.saturating_sub(self.room.available_permits()).saturating_mul(UNIT)
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// [`Refusal::BodySize`], [`Refusal::BodyTime`], [`Refusal::BodyRoom`], or [`Refusal::BodyBroken`] if the client
    /// left or sent what is no body.
    pub(super) async fn read<B>(&self, body: B) -> Result<Held, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.size_hint().lower() > self.most as u64 {
            return Err(Refusal::BodySize { most: self.most });
        }
        timeout(self.time, self.collect(body)).await.unwrap_or(Err(Refusal::BodyTime(self.time)))
    }

    async fn collect<B>(&self, mut body: B) -> Result<Held, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut held = Held::default();
        while let Some(frame) = body.frame().await {
            // What is not data is trailers, which say nothing here.
            let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
            let length = held.bytes.len().saturating_add(data.len());
            if length > self.most {
                return Err(Refusal::BodySize { most: self.most });
            }
            self.make_room(&mut held, length)?;
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }

    fn make_room(&self, held: &mut Held, length: usize) -> Result<(), Refusal> {
        let missing = length.div_ceil(UNIT).saturating_sub(held.room.as_ref().map_or(0, |room| room.num_permits()));
        let missing = u32::try_from(missing).map_err(|_| Refusal::BodyRoom)?;
        let more = self.room.clone().try_acquire_many_owned(missing).map_err(|_| Refusal::BodyRoom)?;
        match &mut held.room {
            Some(room) => room.merge(more),
            room => *room = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::ready;
    use std::task::{Context, Poll};
    use tokio::time::{Instant, Interval, interval};

    const SECOND: Duration = Duration::from_secs(1);

    /// A body that never says how long it is.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 100])))))
        }
    }

    /// A body of which a byte comes every second.
    struct Drip(Interval);

    impl Body for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.0.poll_tick(cx));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test]
    async fn a_body_is_as_large_as_it_may_be_and_no_larger() {
        let bodies = Bodies::new(1000, 1000, SECOND);

        assert_eq!(1000, bodies.read(Full::from(vec![b'x'; 1000])).await.unwrap().bytes.len());
        assert_eq!(0, bodies.read(Full::from("")).await.unwrap().bytes.len());
        for refused in [bodies.read(Full::from(vec![b'x'; 1001])).await, bodies.read(Endless).await] {
            assert_eq!(Refusal::BodySize { most: 1000 }, refused.unwrap_err());
        }
    }

    #[tokio::test]
    async fn bodies_that_are_held_leave_no_room_until_they_are_done() {
        let bodies = Bodies::new(4 * UNIT, 6 * UNIT, SECOND);
        let body = || Full::from(vec![b'x'; 3 * UNIT]);
        let (first, second) = (bodies.read(body()).await.unwrap(), bodies.read(body()).await.unwrap());

        assert_eq!(Refusal::BodyRoom, bodies.read(body()).await.unwrap_err());
        assert_eq!(6 * UNIT, bodies.held());

        drop((first, second));
        assert_eq!(0, bodies.held());
        assert!(bodies.read(body()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_its_time_as_a_whole() {
        let bodies = Bodies::new(1000, 1000, 10 * SECOND);
        let start = Instant::now();

        let read = bodies.read(Drip(interval(SECOND))).await;

        assert_eq!(Refusal::BodyTime(10 * SECOND), read.unwrap_err());
        assert_eq!(10, start.elapsed().as_secs());
    }
}
