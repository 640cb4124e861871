//! The clocks: what people read, and what orders the values of a host's processes.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, for `_created` and exemplars.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())
}

/// Nanoseconds since the Unix epoch, the time from which series are idle.
pub(crate) fn unix_nanoseconds() -> u64 {
    // CAST: 2⁶⁴ ns after the epoch is the year 2554.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos() as u64)
}

/// Nanoseconds since the host booted, suspension included: the same clock in every process of the host, never set
/// back. It says which of two processes set a gauge last. Never 0.
pub(crate) fn stamp() -> u64 {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        // CAST: both parts are never negative, and 2⁶⁴ ns are 584 years.
        Ok(now) => (now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64).max(2),
        Err(_) => 2,
    }
}
