//! All groups, read: what the store held when it was last asked.
//!
//! Beside the groups are the names of their families and the owners of their series. So whether a push goes together with
//! all other groups is found out by looking at the push, not at the groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tallymark::{Changes, Revision};
use tallymark_model::Kind;

use super::Options;
use super::document;
use super::group::Group;
use super::metric::{Family, Labels, all_labels};
use super::path::Key;
use super::refusal::Refusal;

/// How many bytes a group's document may have: it is read and written whole, and a store must take it whole.
const LARGEST_DOCUMENT: usize = 64 << 20;

/// A group's key in the store.
pub(super) type StoreKey = Arc<[u8]>;

/// The groups, and what is asked of all of them.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Up to which change of the store this goes.
    pub(super) revision: Revision,
    groups: BTreeMap<StoreKey, Kept>,
    /// Documents that are no groups, and why.
    unreadable: BTreeMap<StoreKey, String>,
    names: HashMap<String, Name>,
    /// Which group has the series of a hash. A hash has 64 bits and a key of this process's own: that any two of a million
    /// series share one has a chance of 3 in 10⁸, and the second would then be refused as a double.
    owners: HashMap<u64, StoreKey>,
    /// When groups end, in bits of the time, which are ordered as times are.
    ends: BTreeSet<(u64, StoreKey)>,
    lines: usize,
    /// The bytes of all groups, as they are shown.
    shown: usize,
    hashes: RandomState,
}

/// A group that may be kept.
#[derive(Debug)]
pub(super) struct Kept {
    group: Arc<Group>,
    /// How many bytes its document has.
    document: usize,
    /// How many it has as it is shown, where each series has the group's labels, too.
    shown: usize,
}

impl Kept {
    fn new(group: Group, document: usize) -> Kept {
        let labels: usize = group.key.iter().map(|(name, value)| name.len() + value.len()).sum();
        Kept { shown: document + group.lines() * labels, group: Arc::new(group), document }
    }
}

/// A group and the document that the store is to keep of it.
pub(super) struct Written {
    kept: Kept,
    document: Vec<u8>,
}

impl Written {
    pub(super) fn new(group: Group) -> Written {
        let document = document::write(&group);
        Written { kept: Kept::new(group, document.len()), document }
    }

    /// What the cache keeps, and what the store does.
    pub(super) fn parts(self) -> (Kept, Vec<u8>) {
        (self.kept, self.document)
    }
}

/// What is known of a family's name.
#[derive(Debug)]
struct Name {
    kind: Kind,
    /// How many groups have it.
    groups: usize,
}

impl Cache {
    /// The group of a key in the store.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Arc<Group>> {
        self.groups.get(key).map(|kept| &kept.group)
    }

    /// All groups, in the order of their keys.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values().map(|kept| &kept.group)
    }

    /// Whether there is a document under this key.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.groups.contains_key(key) || self.unreadable.contains_key(key)
    }

    /// The keys of all documents.
    pub(super) fn keys(&self) -> impl Iterator<Item = &StoreKey> {
        self.groups.keys().chain(self.unreadable.keys())
    }

    /// A document that is no group, and why.
    pub(super) fn unreadable(&self) -> Option<(&StoreKey, &String)> {
        self.unreadable.first_key_value()
    }

    /// The groups whose time is over.
    pub(super) fn ended(&self, now: f64) -> Vec<StoreKey> {
        let ended = self.ends.iter().take_while(|(end, _)| *end <= now.max(0.0).to_bits());
        ended.map(|(_, key)| key.clone()).collect()
    }

    /// Takes in what has changed.
    pub(super) fn follow(&mut self, changes: Changes) {
        if changes.complete {
            *self = Cache::default();
        }
        // They come in any order. What a name was in one group is forgotten before it is learnt from another.
        for (key, _) in &changes.groups {
            self.put(key.as_slice().into(), None);
        }
        for (key, document) in changes.groups {
            let Some(document) = document else { continue };
            let key = StoreKey::from(key);
            match document::read(&document) {
                Ok(group) => self.put(key, Some(Kept::new(group, document.len()))),
                Err(reason) => drop(self.unreadable.insert(key, reason)),
            }
        }
        self.revision = changes.revision;
    }

    /// Puts a group in the place of the one of this key.
    pub(super) fn put(&mut self, key: StoreKey, new: Option<Kept>) {
        self.unreadable.remove(&key);
        let old = self.groups.remove(&key);
        let [before, after] = [&old, &new].map(|kept| kept.as_ref().map(|kept| &*kept.group));
        for (name, family) in changed(before, after) {
            self.forget(&key, before, name, family);
        }
        for (name, family) in changed(after, before) {
            self.learn(&key, after, name, family);
        }
        if let Some(old) = &old {
            self.lines -= old.group.lines();
            self.shown -= old.shown;
            self.ends.remove(&(end(&old.group), key.clone()));
        }
        if let Some(new) = new {
            self.lines += new.group.lines();
            self.shown += new.shown;
            if new.group.expires.is_some() {
                self.ends.insert((end(&new.group), key.clone()));
            }
            self.groups.insert(key, new);
        }
    }

    fn learn(&mut self, key: &StoreKey, group: Option<&Group>, name: &str, family: &Family) {
        let Some(group) = group else { return };
        let known = self.names.entry(name.to_owned()).or_insert(Name { kind: family.kind, groups: 0 });
        known.groups += 1;
        for hash in self.hashes_of(&group.key, name, family.series.keys()) {
            self.owners.insert(hash, key.clone());
        }
    }

    fn forget(&mut self, key: &StoreKey, group: Option<&Group>, name: &str, family: &Family) {
        let Some(group) = group else { return };
        if let Some(known) = self.names.get_mut(name) {
            known.groups -= 1;
            if known.groups == 0 {
                self.names.remove(name);
            }
        }
        for hash in self.hashes_of(&group.key, name, family.series.keys()) {
            if self.owners.get(&hash) == Some(key) {
                self.owners.remove(&hash);
            }
        }
    }

    fn hashes_of<'a>(&self, key: &Key, name: &str, series: impl Iterator<Item = &'a Labels>) -> Vec<u64> {
        series.map(|labels| self.hashes.hash_one((name, all_labels(key, labels)))).collect()
    }

    /// Checks that a group in the place of the one of this key goes together with all others. What costs time is what the
    /// group has new.
    pub(super) fn check(&self, key: &StoreKey, group: &Group, own: &[(String, Kind)]) -> Result<(), Refusal> {
        let old = self.get(key).map(|group| &**group);
        for (name, family) in changed(Some(group), old) {
            let elsewhere = |name: &str| {
                let here = old.is_some_and(|old| old.families.contains_key(name));
                let others = self.names.get(name).filter(|known| known.groups > usize::from(here));
                let own = || own.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
                others.map(|known| known.kind).or_else(own)
            };
            let anywhere = |name: &str| group.families.get(name).map(|family| family.kind).or_else(|| elsewhere(name));
            if let Some(kind) = elsewhere(name).filter(|kind| *kind != family.kind) {
                let reason =
                    format!("{name} is pushed as {}; in other groups it is {}", family.kind, with_article(kind));
                return Err(Refusal::content(reason));
            }
            check_suffixes(name, family.kind, anywhere)?;
            let hashes = self.hashes_of(&group.key, name, family.series.keys());
            self.check_owner(key, name, &hashes)?;
        }
        Ok(())
    }

    /// Checks that no other group has the stamps of this one: two sets of labels that differ in an empty `instance` are one
    /// to Prometheus.
    pub(super) fn check_key(&self, key: &StoreKey, group: &Group) -> Result<(), Refusal> {
        let mut twin = group.key.clone();
        match twin.get("instance").map(String::as_str) {
            Some("") => drop(twin.remove("instance")),
            None => drop(twin.insert("instance".to_owned(), String::new())),
            Some(_) => return Ok(()),
        }
        let twin = document::store_key(&twin);
        if **key != *twin && self.groups.contains_key(&*twin) {
            let reason = "there is a group that differs from this one in an empty instance only; push to that one";
            return Err(Refusal::malformed(reason));
        }
        Ok(())
    }

    fn check_owner(&self, key: &StoreKey, name: &str, hashes: &[u64]) -> Result<(), Refusal> {
        let Some(owner) = hashes.iter().filter_map(|hash| self.owners.get(hash)).find(|owner| *owner != key) else {
            return Ok(());
        };
        let labels = self.get(owner).map(|group| shown(&group.key)).unwrap_or_default();
        Err(Refusal::content(format!("{name} has a series that the group {labels} has, too, with the same labels")))
    }

    /// Checks that all groups together keep within their bounds with this group in the place of the one of this key.
    pub(super) fn check_room(&self, key: &StoreKey, new: &Written, options: &Options) -> Result<(), Refusal> {
        let (new, old) = (&new.kept, self.groups.get(key));
        let (before, after) = (old.map_or(0, |old| old.group.lines()), new.group.lines());
        let most = options.max_series;
        if after > before && self.lines - before + after > most {
            return Err(Refusal::too_much(format!(
                "with this push there would be more than {most} series in all groups, which is the limit; delete groups \
                 that are no longer needed, or raise the limit"
            )));
        }
        let (before, after) = (old.map_or(0, |old| old.document), new.document);
        if after > before && after > LARGEST_DOCUMENT {
            return Err(Refusal::too_much(format!(
                "with this push the group would have more than {LARGEST_DOCUMENT} bytes, which is the limit; push to \
                 several groups"
            )));
        }
        let (before, after) = (old.map_or(0, |old| old.shown), new.shown);
        let most = options.max_bytes;
        if after > before && self.shown - before + after > most {
            return Err(Refusal::too_much(format!(
                "with this push all groups would have more than {most} bytes, each series with its group's labels, which is \
                 the limit; delete groups that are no longer needed, or raise the limit"
            )));
        }
        Ok(())
    }
}

/// The families of `group` that `other` does not have in the same state.
fn changed<'a>(group: Option<&'a Group>, other: Option<&Group>) -> Vec<(&'a str, &'a Family)> {
    let families = group.into_iter().flat_map(|group| &group.families);
    let is_new = |name: &str, family: &Arc<Family>| {
        let known = other.and_then(|other| other.families.get(name));
        known.is_none_or(|known| !Arc::ptr_eq(known, family))
    };
    families.filter(|(name, family)| is_new(name, family)).map(|(name, family)| (&**name, &**family)).collect()
}

/// Checks that no family has the name of another's samples.
fn check_suffixes(name: &str, kind: Kind, find: impl Fn(&str) -> Option<Kind>) -> Result<(), Refusal> {
    let suffixes = |kind: Kind| match kind {
        Kind::Summary => &["_count", "_sum"][..],
        Kind::Histogram => &["_count", "_sum", "_bucket"],
        _ => &[],
    };
    let clash = |samples: &str, family: &str, kind: Kind| {
        Err(Refusal::content(format!("{samples} is a family and a sample of the {kind} {family}; rename one of them")))
    };
    for suffix in suffixes(kind) {
        let samples = format!("{name}{suffix}");
        if find(&samples).is_some() {
            return clash(&samples, name, kind);
        }
    }
    for suffix in suffixes(Kind::Histogram) {
        if let Some(stem) = name.strip_suffix(suffix)
            && let Some(kind) = find(stem).filter(|kind| suffixes(*kind).contains(suffix))
        {
            return clash(name, stem, kind);
        }
    }
    Ok(())
}

fn with_article(kind: Kind) -> String {
    let article = if matches!(kind, Kind::Info | Kind::Unknown) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// A group's labels as people write them.
pub(super) fn shown(key: &Key) -> String {
    let labels: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", labels.join(","))
}

/// When a group ends, in bits that are ordered as times are.
fn end(group: &Group) -> u64 {
    group.expires.unwrap_or(0.0).max(0.0).to_bits()
}
