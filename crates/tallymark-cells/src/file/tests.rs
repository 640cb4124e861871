//! A process that dies at any step leaves a file that the next one opens, reads and extends.

pub(super) fn die_at(_name: &'static str) {}
