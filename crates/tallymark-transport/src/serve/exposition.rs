//! One answer to a scrape: a snapshot, written and compressed as the asker can read it.
//!
//! This is the part that every way of answering shares: the native server, and the endpoints of frameworks that have a
//! server of their own. It is a function of a snapshot and two headers: it opens nothing, waits for nothing and knows no
//! HTTP library. Which formats and codings exist, and which of them a header asks for, the model's `encode` knows.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use tallymark_model::Snapshot;
use tallymark_model::encode::{Coding, Format};

use super::ServeError;

/// The level for gzip.
const GZIP_LEVEL: u32 = 1;

/// The level for zstd.
const ZSTD_LEVEL: i32 = 1;

/// A body with the headers that describe it.
///
/// ```
/// use tallymark_model::Snapshot;
/// use tallymark_transport::Exposition;
///
/// let exposition = Exposition::new(&Snapshot::default(), Some("text/plain"), Some("gzip"), true)?;
/// assert!(exposition.content_type.starts_with("text/plain; version=0.0.4"));
/// assert_eq!(exposition.content_encoding, Some("gzip"));
/// # Ok::<(), tallymark_transport::ServeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposition {
    /// The value of `Content-Type`.
    pub content_type: String,
    /// The value of `Content-Encoding`; `None` if the body is not compressed.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Exposition {
    /// Writes `snapshot` in the format that `accept` prefers, compressed as `accept_encoding` allows.
    ///
    /// Both are the values of the headers of that name, `None` where a header is absent. What they ask for and we do not
    /// have is no error: then the answer is Prometheus text 0.0.4, uncompressed. With `compression` off it never is
    /// compressed, for servers that do so themselves.
    ///
    /// # Errors
    /// [`ServeError::Encode`] if a sample cannot be written in that format, [`ServeError::Compress`] if there is no
    /// memory to compress with.
    pub fn new(
        snapshot: &Snapshot,
        accept: Option<&str>,
        accept_encoding: Option<&str>,
        compression: bool,
    ) -> Result<Exposition, ServeError> {
        let format = Format::negotiate(accept);
        let content_type = format.content_type().to_string();
        let mut text = Vec::new();
        if let Err(source) = format.encode(snapshot, &mut text) {
            return Err(ServeError::Encode { content_type, source });
        }
        let coding = if compression { Coding::negotiate(accept_encoding) } else { Coding::Identity };
        let (content_encoding, compressed) = match coding {
            Coding::Identity => return Ok(Exposition { content_type, content_encoding: None, body: text }),
            Coding::Gzip => ("gzip", gzip(&text)),
            Coding::Zstd => ("zstd", zstd::bulk::compress(&text, ZSTD_LEVEL)),
        };
        let body = compressed.map_err(|source| ServeError::Compress { coding: content_encoding, source })?;
        Ok(Exposition { content_type, content_encoding: Some(content_encoding), body })
    }
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    // Expositions shrink to a tenth or less: with this much room the body rarely moves while it grows.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8 + 64), Compression::new(GZIP_LEVEL));
    encoder.write_all(text)?;
    encoder.finish()
}
