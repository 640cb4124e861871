//! One file of the official Python client's multiprocess mode, as it lies on the disk.
//!
//! A file `TYPE_PID.db`, of gauges `gauge_MODE_PID.db`, holds eight bytes, of which four say how many are in use, and then
//! entries: the length of a key, the key, spaces up to a multiple of eight, a value and the time it was set. Numbers are in
//! the machine's byte order. What a key says is not known here.

use tallymark::model::{GaugeMode, Kind};

/// Type, mode and process of a file.
pub(super) fn parse_name(name: &str) -> Option<(Kind, GaugeMode, &str)> {
    let (kind, rest) = name.split_once('_')?;
    match Kind::parse(kind)? {
        Kind::Gauge => {
            let (mode, pid) = rest.split_once('_')?;
            Some((Kind::Gauge, mode.parse().ok()?, pid))
        }
        kind @ (Kind::Counter | Kind::Histogram | Kind::Summary) => Some((kind, GaugeMode::default(), rest)),
        _ => None,
    }
}

/// Keys, values and times of a file.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<(String, f64, f64)>, String> {
    let length = |at: usize| {
        let word = bytes.get(at..)?.first_chunk()?;
        usize::try_from(i32::from_ne_bytes(*word)).ok()
    };
    let number = |at: usize| Some(f64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    // A process that has made its file, and ended before it began to fill it, leaves an empty one.
    let used = if bytes.len() < 8 { 0 } else { length(0).ok_or("its length makes no sense")? };
    let mut found = Vec::new();
    let mut at = 8;
    while at < used {
        let entry = || {
            let key = bytes.get(at + 4..at + 4 + length(at)?)?;
            // At least one space, so that the value is aligned.
            let value = (at + 4 + key.len() + 8) / 8 * 8;
            Some((std::str::from_utf8(key).ok()?.to_owned(), number(value)?, number(value + 8)?, value + 16))
        };
        let (key, value, time, next) =
            entry().filter(|entry| entry.3 <= used).ok_or(format!("is damaged at byte {at}"))?;
        found.push((key, value, time));
        at = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&str, f64)]) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        for (key, value) in entries {
            bytes.extend((key.len() as i32).to_ne_bytes());
            bytes.extend(key.as_bytes());
            bytes.resize((bytes.len() + 8) / 8 * 8, b' ');
            bytes.extend(value.to_ne_bytes());
            bytes.extend(0f64.to_ne_bytes());
        }
        let used = (bytes.len() as i32).to_ne_bytes();
        bytes[..4].copy_from_slice(&used);
        bytes.resize(bytes.len() + 100, 0);
        bytes
    }

    #[test]
    fn entries_are_read_wherever_a_key_ends() {
        let keys = ["", "a", "abc", "abcd", "abcdefgh", "é"];
        let expected: Vec<_> = keys.iter().map(|key| ((*key).to_owned(), 1.5, 0.0)).collect();

        assert_eq!(Ok(expected), entries(&file(&keys.map(|key| (key, 1.5)))));
    }

    #[test]
    fn any_bytes_are_entries_or_refused() {
        let whole = file(&[("[\"a\"]", 1.0), ("abc", 2.0)]);
        for length in 0..whole.len() {
            let _ = entries(&whole[..length]);
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = entries(&damaged);
            }
        }
        assert_eq!(Ok(Vec::new()), entries(&[]));
        assert!(entries(&whole[..40]).is_err());
    }

    #[test]
    fn a_file_s_name_says_type_mode_and_process() {
        assert_eq!(parse_name("counter_12"), Some((Kind::Counter, GaugeMode::Auto, "12")));
        assert_eq!(parse_name("gauge_livemostrecent_12"), Some((Kind::Gauge, GaugeMode::LiveMostRecent, "12")));
        for wrong in ["counter", "gauge_12", "gauge_some_12", "info_12", "backup"] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }
}
