//! The body of a push: from bytes to families.
//!
//! `Content-Encoding` says how it is compressed, `Content-Type` what it is. Bodies that are no protobuf and no OpenMetrics are
//! taken for the text format, as the Pushgateway does. What a body grows to is bounded, and a bomb is refused before it
//! has grown beyond that.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use tallymark_model::{FamilySnapshot, parse};

use super::Options;
use super::refusal::Refusal;

/// What the framed form of Snappy begins with; its other form, a single block, cannot.
const FRAMED: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// How many labels take the room of a sample.
const LABELS: usize = 4;

/// The families that a body holds.
pub(super) fn read(headers: &HeaderMap, body: &[u8], options: &Options) -> Result<Vec<FamilySnapshot>, Refusal> {
    let (most, samples) = (options.max_decoded_bytes, options.max_series);
    match &*word(headers, &CONTENT_ENCODING) {
        "" | "identity" => families(headers, body, samples),
        "gzip" | "x-gzip" => families(headers, &bounded(MultiGzDecoder::new(body), most, "gzip")?, samples),
        "snappy" if body.starts_with(FRAMED) => {
            families(headers, &bounded(snap::read::FrameDecoder::new(body), most, "snappy")?, samples)
        }
        "snappy" => families(headers, &block(body, most)?, samples),
        other => {
            let reason = format!("the Content-Encoding {other:?} is not known here; use gzip, snappy or none");
            Err(Refusal::malformed(reason))
        }
    }
}

/// A header's value in lower case, or nothing.
fn word(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.trim().to_ascii_lowercase()
}

fn bounded(packed: impl Read, most: usize, coding: &str) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    // One byte more tells a body that fills the bound from one that goes beyond it.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    packed.take(limit).read_to_end(&mut body).map_err(|error| not_packed(coding, &error))?;
    if body.len() > most { Err(too_large(most)) } else { Ok(body) }
}

fn block(packed: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let length = snap::raw::decompress_len(packed).map_err(|error| not_packed("snappy", &error))?;
    if length > most {
        return Err(too_large(most));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| not_packed("snappy", &error))
}

fn not_packed(coding: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::malformed(format!("the body is not {coding}, as Content-Encoding says: {error}"))
}

fn too_large(most: usize) -> Refusal {
    Refusal::too_much(format!("the body has more than {most} bytes when it is unpacked; push it in parts"))
}

/// The families of a body of at most so many samples.
fn families(headers: &HeaderMap, body: &[u8], most: usize) -> Result<Vec<FamilySnapshot>, Refusal> {
    let content_type = word(headers, &CONTENT_TYPE);
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if media_type == "application/vnd.google.protobuf" && parts.any(|part| part == "encoding=delimited") {
        return parse::protobuf(body, most).map_err(Refusal::malformed);
    }
    let text = parse::utf8(body).map_err(Refusal::malformed)?;
    // Counted before they are read: a sample takes many times the room of its line.
    let (lines, labels) = count(text);
    if lines.into_iter().any(|lines| lines > most) || labels / LABELS > most {
        return Err(Refusal::too_much(format!(
            "the body has more than {most} samples or families, or {LABELS} times as many labels, which is the limit; \
             push fewer"
        )));
    }
    if media_type != "application/openmetrics-text" {
        return parse::strict_text(text, most).map_err(Refusal::malformed);
    }
    let families = parse::openmetrics(text).map(|family| family.map(FamilySnapshot::from));
    families.collect::<Result<_, _>>().map_err(Refusal::malformed)
}

/// How many lines are samples, and how many of each keyword: each keyword may begin a family. And how many labels there
/// may be, two quotes each.
fn count(text: &str) -> ([usize; 4], usize) {
    let (mut counts, mut quotes) = ([0; 4], 0);
    let [samples, types, helps, units] = &mut counts;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let Some(comment) = line.strip_prefix('#').map(str::trim_start) else {
            *samples += 1;
            quotes += line.bytes().filter(|byte| *byte == b'"').count();
            continue;
        };
        for (keyword, count) in [("TYPE", &mut *types), ("HELP", &mut *helps), ("UNIT", &mut *units)] {
            *count += usize::from(comment.starts_with(keyword));
        }
    }
    (counts, quotes / 2)
}
