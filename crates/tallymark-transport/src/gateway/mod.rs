//! What others push, and what a person sees of it.

pub mod page;
