//! To Graphite: every sample as a path, a value and a time, in lines or in pickles.
//!
//! Paths are those of the official Python client's bridge: what Graphite's paths cannot have becomes `_`, labels follow
//! the name in the order of their names, or stand behind it as tags. Graphite keeps no NaN and nothing infinite: such
//! samples are left out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use tallymark_model::{Sample, Snapshot};

use super::PushError;

/// How many samples go into one pickle: carbon takes up to a megabyte, and a path is some hundred bytes.
const IN_A_PICKLE: usize = 500;

/// How the samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphiteFormat {
    /// A line each; carbon's port 2003.
    Lines,
    /// Pickles of some hundred; carbon's port 2004.
    Pickle,
}

/// A carbon daemon, and how it is spoken to.
///
/// ```no_run
/// use tallymark_transport::push::{Graphite, GraphiteFormat};
/// let graphite = Graphite::new("localhost:2003", "shop.eu", false, GraphiteFormat::Lines)?;
/// let sent = graphite.push(&Default::default(), &[], 1_700_000_000, std::time::Duration::from_secs(5))?;
/// assert_eq!(sent, 0);
/// # Ok::<(), tallymark_transport::push::PushError>(())
/// ```
pub struct Graphite {
    address: String,
    prefix: String,
    tags: bool,
    format: GraphiteFormat,
}

impl Graphite {
    /// The carbon at `HOST:PORT`. Paths begin with `prefix.`, unless that is empty; `tags` makes labels tags.
    ///
    /// # Errors
    /// [`PushError::Address`] if there is no port, or the prefix is none.
    pub fn new(address: &str, prefix: &str, tags: bool, format: GraphiteFormat) -> Result<Graphite, PushError> {
        let refuse = |problem: String| PushError::Address { url: address.to_owned(), problem };
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(refuse("not HOST:PORT, such as localhost:2003".to_owned()));
        }
        if !prefix.chars().all(|c| c.is_ascii_graphic() && c != ';') {
            return Err(refuse(format!("the prefix {prefix:?} is no path; letters, digits, _, - and . make one")));
        }
        Ok(Graphite { address: address.to_owned(), prefix: prefix.to_owned(), tags, format })
    }

    /// Sends all samples with this time, in seconds since the Unix epoch, and with these labels where they have none of
    /// their names; gives how many. Carbon answers nothing: what it has read is on its way, and no more is known.
    ///
    /// # Errors
    /// [`PushError::Connection`] if nobody is there, or takes longer than `timeout` between two writes.
    pub fn push(
        &self,
        snapshot: &Snapshot,
        labels: &[(String, String)],
        seconds: u64,
        timeout: Duration,
    ) -> Result<usize, PushError> {
        let values = self.values(snapshot, labels);
        let mut bytes = Vec::new();
        match self.format {
            GraphiteFormat::Lines => {
                for (path, value) in &values {
                    bytes.extend_from_slice(format!("{path} {value:?} {seconds}\n").as_bytes());
                }
            }
            GraphiteFormat::Pickle => values.chunks(IN_A_PICKLE).for_each(|some| pickle(&mut bytes, some, seconds)),
        }
        let failed = |source| PushError::Connection { address: self.address.clone(), source };
        self.send(&bytes, timeout).map_err(failed)?;
        Ok(values.len())
    }

    fn send(&self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        let mut problem = io::Error::new(io::ErrorKind::NotFound, "this name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(mut carbon) => {
                    carbon.set_write_timeout(Some(timeout))?;
                    return carbon.write_all(bytes);
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// Path and value of every sample that Graphite can keep.
    fn values(&self, snapshot: &Snapshot, labels: &[(String, String)]) -> Vec<(String, f64)> {
        let samples = snapshot.families.iter().flat_map(|family| family.samples());
        samples
            .filter(|sample| sample.native_histogram.is_none() && sample.value.is_finite())
            .map(|sample| (self.path(&sample, labels), sample.value))
            .collect()
    }

    fn path(&self, sample: &Sample, more: &[(String, String)]) -> String {
        let mut path = self.prefix.clone();
        if !path.is_empty() {
            path.push('.');
        }
        push_sanitised(&mut path, &sample.name);
        let mut labels: BTreeMap<&str, &str> = more.iter().map(|(name, value)| (&**name, &**value)).collect();
        labels.extend(sample.labels.iter().map(|(name, value)| (&**name, &**value)));
        // A tag without a value is none; neither is a part of a path.
        for (name, value) in labels.into_iter().filter(|(_, value)| !value.is_empty()) {
            path.push(if self.tags { ';' } else { '.' });
            push_sanitised(&mut path, name);
            path.push(if self.tags { '=' } else { '.' });
            push_sanitised(&mut path, value);
        }
        path
    }
}

fn push_sanitised(path: &mut String, text: &str) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    path.extend(text.chars().map(|c| if allowed(c) { c } else { '_' }));
}

/// Appends a frame: its length, then a list of `(path, (time, value))` in protocol 2.
fn pickle(out: &mut Vec<u8>, values: &[(String, f64)], seconds: u64) {
    // Protocol, an empty list, a mark.
    let mut frame = b"\x80\x02](".to_vec();
    for (path, value) in values {
        frame.push(b'X');
        // CAST: a path is made of labels that a process has in memory; one of 4 GiB carbon refuses anyway.
        frame.extend_from_slice(&(path.len() as u32).to_le_bytes());
        frame.extend_from_slice(path.as_bytes());
        // An integer of eight bytes, a float, a pair of them, a pair of path and pair.
        frame.extend_from_slice(b"\x8a\x08");
        frame.extend_from_slice(&seconds.to_le_bytes());
        frame.push(b'G');
        frame.extend_from_slice(&value.to_be_bytes());
        frame.extend_from_slice(b"\x86\x86");
    }
    // All of it into the list, and the end.
    frame.extend_from_slice(b"e.");
    // CAST: at most five hundred samples.
    out.extend_from_slice(&(frame.len() as u32).to_be_bytes());
    out.extend_from_slice(&frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallymark_model::{FamilySnapshot, parse};

    fn values(tags: bool, prefix: &str, text: &str) -> Vec<(String, f64)> {
        let families = parse::text(text).map(|family| FamilySnapshot::from(family.unwrap())).collect();
        let graphite = Graphite::new("localhost:2003", prefix, tags, GraphiteFormat::Lines).unwrap();
        graphite.values(&Snapshot { families }, &[("code".to_owned(), "404".to_owned())])
    }

    #[test]
    fn labels_follow_in_the_order_of_their_names() {
        let text = "hits{path=\"/a b\",code=\"200\"} 2\n";

        assert_eq!(values(false, "shop.eu", text), [("shop.eu.hits.code.200.path._a_b".to_owned(), 2.0)]);
        assert_eq!(values(true, "", text), [("hits;code=200;path=_a_b".to_owned(), 2.0)]);
    }

    #[test]
    fn what_graphite_cannot_keep_is_left_out() {
        let text = "a NaN\nb +Inf\nc{x=\"\"} 1\n";

        assert_eq!(values(false, "", text), [("c.code.404".to_owned(), 1.0)]);
    }

    #[test]
    fn an_address_without_a_port_is_refused() {
        for address in ["localhost", ":2003", "localhost:http"] {
            assert!(Graphite::new(address, "", false, GraphiteFormat::Lines).is_err(), "{address}");
        }
        assert!(Graphite::new("localhost:2003", "a b", false, GraphiteFormat::Lines).is_err());
    }
}
