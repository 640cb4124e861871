//! One client from its first byte to its last: HTTP/1.1 over a stream, at the pace that the options allow.
//!
//! A connection ends when the client leaves, when it is too slow, or when the server stops. It never waits for another
//! connection, and is generic over the stream, so that whatever is put around a socket needs no second copy of it.
//! What is answered is not known here: see `service.rs`.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Options;
use super::pace::{Pace, Paced};
use super::service::Service;

/// The smallest buffer that the HTTP library takes. It holds a head, whose size has its own limit.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// Answers the requests of one client until the connection ends, or until `stop` and the end of a running request.
pub(super) async fn serve<S, A>(stream: S, service: Arc<A>, options: Arc<Options>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Service,
{
    let pace = Arc::new(Pace::new(Instant::now()));
    let answering = service_fn(|request: Request<Incoming>| {
        pace.requested();
        let (service, pace) = (service.clone(), pace.clone());
        async move {
            let answer = service.call(request).await;
            pace.answered(Instant::now());
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(options.max_header_bytes)
        .max_buf_size(options.max_header_bytes.max(SMALLEST_BUFFER))
        .serve_connection(TokioIo::new(Paced::new(stream, pace.clone())), answering);

    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            // In this order: the connection moves the pace, the timer follows it.
            biased;
            // An error is the client's: a broken head was answered by the library, a lost connection needs no answer.
            _ = &mut connection => break true,
            () = too_slow(&pace, &options) => break false,
            _ = &mut stopped, if !stopping => stopping = true,
        }
        if !pace.is_running() {
            break false;
        }
        Pin::new(&mut connection).graceful_shutdown();
    };

    let mut stream = connection.into_parts().io.into_inner();
    // Said aloud, since a forked child may hold a copy of the socket, and then closing ours tells the client nothing.
    // An error means that the client has gone already. Not for long: TLS sends what it holds first, which a client that
    // does not read never takes.
    let _ = timeout(A::LINGER.0, stream.shutdown()).await;
    if ended && !stopping {
        tokio::select! {
            () = linger(&mut stream, A::LINGER) => {}
            _ = &mut stopped => {}
        }
    }
}

/// Ends when the connection has been in its phase for too long.
async fn too_slow(pace: &Pace, options: &Options) {
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| match pace.deadline(options) {
        // Polled again whenever the connection was, so a deadline that moves is seen when it does.
        None => Poll::Pending,
        Some(deadline) => {
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx)
        }
    })
    .await;
}

/// Reads what the client still sends, and forgets it.
async fn linger(stream: &mut (impl AsyncRead + Unpin), (time, bytes): (Duration, u64)) {
    let mut rest = stream.take(bytes);
    // Whatever ends it ends it well: the client left, went on for too long, or broke the connection.
    let _ = timeout(time, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

#[cfg(test)]
mod tests {
    use super::super::handler::Handler;
    use super::super::{Source, SourceError};
    use super::*;
    use std::io;
    use std::task::Context;
    use tallymark_model::Snapshot;
    use tokio::io::{DuplexStream, ReadBuf, duplex};
    use tokio::task::JoinHandle;

    const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";

    /// A connection whose clock only moves when everybody waits: durations are exact, and no test takes any time.
    fn connect(
        buffer: usize,
        options: Options,
        source: impl Source,
    ) -> (DuplexStream, watch::Sender<bool>, JoinHandle<()>) {
        let (client, server) = duplex(buffer);
        let handler = Arc::new(Handler::new(Arc::new(source), &options));
        let (stop, stopped) = watch::channel(false);
        (client, stop, tokio::spawn(serve(server, handler, Arc::new(options), stopped)))
    }

    fn nothing(_: &[String]) -> Result<Snapshot, SourceError> {
        Ok(Snapshot::default())
    }

    /// Far more than any buffer here holds.
    fn a_lot(_: &[String]) -> Result<Snapshot, SourceError> {
        Err("x".repeat(1 << 20).into())
    }

    async fn answer(client: &mut DuplexStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_closed_after_the_header_timeout() {
        let (mut client, _stop, _) = connect(1024, Options::default(), nothing);
        let start = Instant::now();

        assert_eq!(0, client.read(&mut [0; 1]).await.unwrap());
        assert_eq!(10, start.elapsed().as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_in_drops_is_cut_off_as_a_whole() {
        let (mut client, _stop, connection) = connect(1024, Options::default(), nothing);
        let start = Instant::now();

        for byte in REQUEST {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        connection.await.unwrap();

        assert_eq!(0, client.read(&mut [0; 1]).await.unwrap(), "no answer");
        assert!((10..=11).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_for_its_next_request_but_not_forever() {
        let (mut client, _stop, _) = connect(1024, Options::default(), nothing);
        for _ in 0..3 {
            client.write_all(REQUEST).await.unwrap();
            assert!(answer(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
            tokio::time::sleep(Duration::from_secs(119)).await;
        }
        let waited = Instant::now();

        assert_eq!(0, client.read(&mut [0; 1]).await.unwrap());
        assert_eq!(1, waited.elapsed().as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_its_answer_in_drops_is_cut_off() {
        let (mut client, _stop, connection) = connect(1024, Options::default(), a_lot);
        let start = Instant::now();
        client.write_all(REQUEST).await.unwrap();

        let drip = async {
            loop {
                client.read_u8().await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            never = drip => never,
            ended = connection => ended.unwrap(),
        }

        assert_eq!(60, start.elapsed().as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_hangs_up_is_not_waited_for_much_longer_than_its_answer() {
        let (mut client, _stop, connection) = connect(1024, Options::default(), nothing);
        client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        answer(&mut client).await;
        let start = Instant::now();

        connection.await.unwrap();

        assert_eq!(Handler::LINGER.0.as_secs(), start.elapsed().as_secs());
    }

    /// A stream that has something to send before it ends, as TLS may, to somebody who does not take it.
    struct Stuck(DuplexStream);

    impl AsyncRead for Stuck {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_cannot_be_ended_in_order_is_cut_off() {
        let (mut client, server) = duplex(1024);
        let options = Options::default();
        let handler = Arc::new(Handler::new(Arc::new(a_lot), &options));
        let (_stop, stopped) = watch::channel(false);
        client.write_all(REQUEST).await.unwrap();
        let start = Instant::now();

        let longest = Duration::from_secs(3600);
        timeout(longest, serve(Stuck(server), handler, Arc::new(options), stopped)).await.expect("it ends");

        assert_eq!(60 + Handler::LINGER.0.as_secs(), start.elapsed().as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_still_sending_can_read_why_it_was_refused() {
        let (mut client, _stop, _) = connect(1024, Options::default(), nothing);
        let large = format!("GET / HTTP/1.1\r\nX-Large: {}\r\n\r\n", "x".repeat(100_000));

        client.write_all(large.as_bytes()).await.unwrap();

        assert!(answer(&mut client).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_closes_at_once_what_runs_no_request() {
        let start = Instant::now();
        for (sent, answers) in [(&b""[..], 0), (&REQUEST[..20], 0), (REQUEST, 1)] {
            let (mut client, stop, connection) = connect(1024, Options::default(), nothing);
            client.write_all(sent).await.unwrap();
            for _ in 0..answers {
                answer(&mut client).await;
            }
            stop.send_replace(true);
            connection.await.unwrap();

            assert_eq!(0, client.read(&mut [0; 1]).await.unwrap());
        }

        assert_eq!(0, start.elapsed().as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_a_running_answer_out() {
        let start = Instant::now();
        let (mut client, stop, connection) = connect(64, Options::default(), a_lot);
        client.write_all(REQUEST).await.unwrap();
        client.read_u8().await.unwrap();
        stop.send_replace(true);

        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        connection.await.unwrap();

        assert!(rest.len() > 1 << 20);
        assert_eq!(0, start.elapsed().as_millis(), "and then the connection is not kept");
    }
}
