//! What time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long it is since the Unix epoch; a clock that stands before it stands at it.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
