//! By remote write: to Prometheus, and to whatever takes what Prometheus writes.
//!
//! Version 2.0 is tried, with types, help and start times; a receiver that knows only 1.0 gets that. A request that
//! failed on the way, or with 5xx or 429, is sent again with growing pauses; what a receiver refuses is not.
//! What the messages look like is `messages.rs`'s business; native histograms are left out.

mod messages;

use std::thread::sleep;
use std::time::{Duration, Instant};

use tallymark_model::Snapshot;

use super::client::Answer;
use super::{Client, PushError};
use messages::{Series, series};

/// How many series go into a request: what Prometheus sends at most.
const IN_A_REQUEST: usize = 2000;
/// The first pause, and the longest: Prometheus'.
const PAUSES: (Duration, Duration) = (Duration::from_millis(30), Duration::from_secs(5));
/// As good as for ever: a thousand years.
const FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 86400);
/// What a receiver of 2.0 answers with: how many it has written.
const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// A receiver of remote write.
///
/// ```no_run
/// use std::time::Duration;
/// use tallymark_transport::push::{Client, ClientOptions, RemoteWrite};
/// let client = Client::new("http://localhost:9090/api/v1/write", ClientOptions::default())?;
/// let labels = [("job".to_owned(), "nightly".to_owned())];
/// let snapshot = tallymark_model::Snapshot::default();
/// RemoteWrite::new(client).push(&snapshot, &labels, 1_700_000_000_000, Duration::from_secs(30))?;
/// # Ok::<(), tallymark_transport::push::PushError>(())
/// ```
pub struct RemoteWrite {
    client: Client,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn headers(self) -> [(&'static str, &'static str); 3] {
        let (content_type, version) = match self {
            Version::One => ("application/x-protobuf", "0.1.0"),
            Version::Two => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        [("Content-Type", content_type), ("Content-Encoding", "snappy"), ("X-Prometheus-Remote-Write-Version", version)]
    }
}

impl RemoteWrite {
    /// The receiver at the client's URL, such as `http://localhost:9090/api/v1/write`.
    pub fn new(client: Client) -> RemoteWrite {
        RemoteWrite { client, version: Version::Two }
    }

    /// Sends every sample, with these labels where it has none of their names, at this time, in milliseconds since the
    /// Unix epoch, unless it brings its own. Tries for as long as `patience`; gives how many samples were sent.
    ///
    /// # Errors
    /// [`PushError::Refused`] with what the receiver said, [`PushError::Unreachable`] if it said nothing. Of many series
    /// some may have been written then: to send them again is no harm.
    pub fn push(
        &mut self,
        snapshot: &Snapshot,
        labels: &[(String, String)],
        now: i64,
        patience: Duration,
    ) -> Result<usize, PushError> {
        let series = series(snapshot, labels, now);
        let begin = Instant::now();
        // A patience without an end has none.
        let end = begin.checked_add(patience).unwrap_or(begin + FOR_EVER);
        for some in series.chunks(IN_A_REQUEST) {
            self.send(some, end)?;
        }
        Ok(series.len())
    }

    fn send(&mut self, series: &[Series], end: Instant) -> Result<(), PushError> {
        let is_written = |answer: &Answer| (200..300).contains(&answer.status);
        if self.version == Version::Two {
            let answer = self.send_again(Version::Two, &compressed(&messages::two(series)), end)?;
            // Whoever does not count what it has written has not understood it.
            if is_written(&answer) && answer.headers.contains_key(WRITTEN) {
                return Ok(());
            }
            if !is_written(&answer) && !matches!(answer.status, 400 | 415) {
                return Err(self.refused(answer));
            }
        }
        let answer = self.send_again(Version::One, &compressed(&messages::one(series)), end)?;
        if !is_written(&answer) {
            return Err(self.refused(answer));
        }
        // It understands 1.0, so that is what it gets from now on; what it refused in both says nothing about it.
        self.version = Version::One;
        Ok(())
    }

    /// Sends the same until there is an answer that stays the same.
    fn send_again(&self, version: Version, body: &[u8], end: Instant) -> Result<Answer, PushError> {
        let (mut pause, longest) = PAUSES;
        loop {
            let result = self.client.send("POST", "", &version.headers(), body);
            let wait = match &result {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => retry_after(answer).unwrap_or(pause),
                Err(PushError::Unreachable { .. }) => pause,
                _ => return result,
            };
            if Instant::now().checked_add(wait).is_none_or(|then| then >= end) {
                return result;
            }
            sleep(wait);
            pause = (pause * 2).min(longest);
        }
    }

    fn refused(&self, answer: Answer) -> PushError {
        let message = match answer.status {
            404 => "nobody takes remote write there; Prometheus does at /api/v1/write, with \
                    --web.enable-remote-write-receiver"
                .to_owned(),
            _ => answer.body,
        };
        PushError::Refused { url: self.client.name(), status: answer.status, message }
    }
}

/// How long the receiver wants to be left alone, if it says so in seconds.
fn retry_after(answer: &Answer) -> Option<Duration> {
    answer.headers.get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn compressed(body: &[u8]) -> Vec<u8> {
    // Fails for more than 4 GiB, which two thousand series are not; a receiver refuses an empty body.
    snap::raw::Encoder::new().compress_vec(body).unwrap_or_default()
}
