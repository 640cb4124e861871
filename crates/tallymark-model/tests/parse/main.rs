//! What the parsers promise: any input ends in families or an error, and what an encoder wrote is read back.
//!
//! What they accept is compared with the official client's parsers in the Python package's tests.

mod any_input;
mod round_trip;
mod strict;
