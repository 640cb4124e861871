//! The file store.

use crate::{Attachment, ExactSum, Shape};
use std::path::{Path, PathBuf};

/// A mapped file.
pub struct Region;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not yet.
    #[error("{}: not yet", .0.display())]
    Unsupported(PathBuf),
}

/// A store.
pub struct Store {
    path: PathBuf,
}

/// What makes a family.
pub struct FamilyBytes<'a> {
    /// Identity.
    pub key: &'a [u8],
    /// The rest.
    pub details: &'a [u8],
}

/// Status.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Status {
    pub live: u64,
    pub folded: u64,
    pub bytes: u64,
    pub refused: u64,
    pub damaged: u64,
    pub replaced: u64,
}

/// Reading.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Reading {
    pub series: Vec<SeriesTotal>,
    pub images: Vec<ImageTotal>,
}
/// One.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct SeriesTotal {
    pub series: u32,
    pub created: f64,
    pub total: Total,
}
/// One.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ImageTotal {
    pub series: u32,
    pub part: u16,
    pub stamp: u64,
    pub bytes: Vec<u8>,
}
/// Total.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Total {
    Number { whole: u64, rest: ExactSum },
    Tally { counts: Box<[u64]>, sum: ExactSum },
    Gauge(GaugeTotal),
}
/// Gauge.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct GaugeTotal {
    pub processes: Vec<ProcessValue>,
    pub kept: Vec<ProcessValue>,
}
/// Value.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct ProcessValue {
    pub pid: u32,
    pub value: f64,
    pub stamp: u64,
    pub live: bool,
}
/// Descriptors.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Descriptors {
    pub families: Vec<FamilyRecord>,
    pub series: Vec<SeriesRecord>,
}
/// Family.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct FamilyRecord {
    pub key: Vec<u8>,
    pub details: Vec<u8>,
}
/// Series.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct SeriesRecord {
    pub family: u32,
    pub key: Vec<u8>,
}

#[allow(missing_docs, unused_variables)]
impl Store {
    pub fn open(path: &Path) -> Result<Store, OpenError> {
        Err(OpenError::Unsupported(path.into()))
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn leave(&self) {}
    pub fn attach(
        &self,
        cells: &Attachment,
        family: FamilyBytes<'_>,
        key: &[u8],
        shape: Shape,
        created: f64,
    ) -> Result<f64, Option<String>> {
        Err(None)
    }
    pub fn write_image(&self, cells: &Attachment, part: u16, stamp: u64, bytes: &[u8]) {}
    pub fn remove(&self, family_key: &[u8], matches: &dyn Fn(&[u8]) -> bool) {}
    pub fn read(&self) -> Reading {
        Reading::default()
    }
    pub fn descriptors(&self, families: u32, series: u32) -> Descriptors {
        Descriptors::default()
    }
    pub fn status(&self) -> Status {
        Status::default()
    }
}
