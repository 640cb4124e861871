//! Measures how long something takes.

use std::time::Instant;

/// Hands the seconds since its start to a metric when it is dropped.
#[must_use]
pub struct Timer {
    start: Instant,
    observe: Box<dyn Fn(f64) + Send>,
}

impl Timer {
    pub(crate) fn new(observe: impl Fn(f64) + Send + 'static) -> Timer {
        Timer { start: Instant::now(), observe: Box::new(observe) }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        (self.observe)(self.start.elapsed().as_secs_f64());
    }
}
