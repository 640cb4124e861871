//! Stub while the branch is written.
use super::*;
pub(crate) struct Sqlite;
impl Sqlite {
    pub(crate) fn new(_: std::path::PathBuf, _: Duration) -> Sqlite {
        Sqlite
    }
}
impl Ledger for Sqlite {
    fn greet(&mut self, _: &Hello<'_>, _: Instant) -> Result<Greeting, Trouble> {
        unimplemented!()
    }
    fn shard_of(&self, _: &Family, _: &[Box<str>]) -> usize {
        0
    }
    fn apply(&mut self, _: &[Batch], _: Instant) -> Vec<Result<Answer, Trouble>> {
        Vec::new()
    }
    fn remove(&mut self, _: &Removal, _: Instant) -> Result<(), Trouble> {
        Ok(())
    }
    fn read(&mut self, _: Instant) -> Result<Stored, Trouble> {
        unimplemented!()
    }
}
