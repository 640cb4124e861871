//! The bucket layout of a histogram: its upper bounds.

use crate::Error;

/// The official Python client's default bounds, in seconds, without `+Inf`.
pub const DEFAULT_BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Upper bounds as a family keeps them: ascending (equal neighbours are accepted, as the official client does), with
/// `+Inf` appended where it is missing.
///
/// ```
/// # use tallymark_model::checked_bounds;
/// assert_eq!(checked_bounds(&[1.0, 2.0]).unwrap(), [1.0, 2.0, f64::INFINITY]);
/// assert!(checked_bounds(&[2.0, 1.0]).is_err());
/// assert!(checked_bounds(&[f64::INFINITY]).is_err());
/// ```
pub fn checked_bounds(bounds: &[f64]) -> Result<Vec<f64>, Error> {
    if !bounds.is_sorted() || bounds.iter().any(|bound| bound.is_nan()) {
        return Err(Error::BoundsNotSorted);
    }
    let mut bounds = bounds.to_vec();
    if bounds.last().is_some_and(|last| *last != f64::INFINITY) {
        bounds.push(f64::INFINITY);
    }
    if bounds.len() < 2 { Err(Error::TooFewBounds) } else { Ok(bounds) }
}
