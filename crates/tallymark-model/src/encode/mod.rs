//! Snapshot to bytes.
