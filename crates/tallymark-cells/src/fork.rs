//! What `fork()` changes: the child must not count in its parent's cells, nor find a lock held by a thread it lacks.
//!
//! [`generation`] is one relaxed load, made by every update; an [`Attachment`](crate::Attachment) of an older
//! generation is renewed before it is used. [`gate`] is the one lock under which anything but a cell changes: it is
//! taken before a fork and given back after it on both sides, so a child never inherits a half-made change. Nothing
//! that can call back into the application runs under it.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

static GENERATION: AtomicU32 = AtomicU32::new(1);
static GATE: AtomicBool = AtomicBool::new(false);
static STILL: AtomicBool = AtomicBool::new(false);
/// Descriptors that a child closes: they carry locks, or listen, for this process only.
static CLOSE_IN_CHILD: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];

/// How many forks lie between the first process and this one, plus one.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Takes the process's structure lock: series, tables and slots change under it only.
///
/// Held for microseconds, or for as long as a bounded wait for the file's lock takes. Not re-entrant.
pub fn gate() -> Gate {
    register();
    take(&GATE);
    Gate(())
}

/// Has forks of this process wait, and others who ask for the same: around calls of a library that has locks of its own,
/// which a child would find held for ever. Asked for before the gate, never under it.
pub fn still() -> Still {
    register();
    take(&STILL);
    Still(())
}

fn take(lock: &AtomicBool) {
    let mut tries = 0u32;
    // Acquire: pairs with the release where it is given back.
    while lock.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        tries += 1;
        match tries {
            0..64 => std::hint::spin_loop(),
            64..256 => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// No fork happens.
pub struct Still(());

impl Drop for Still {
    fn drop(&mut self) {
        STILL.store(false, Ordering::Release);
    }
}

/// The structure lock, held.
pub struct Gate(());

impl Drop for Gate {
    fn drop(&mut self) {
        GATE.store(false, Ordering::Release);
    }
}

/// A mutex that a forked child never finds locked: it is held together with the gate only.
///
/// Whoever holds it must not need the gate again.
pub struct Gated<T>(Mutex<T>);

impl<T> Gated<T> {
    /// A mutex around `value`.
    pub const fn new(value: T) -> Gated<T> {
        Gated(Mutex::new(value))
    }

    /// Takes the gate and the mutex.
    pub fn lock(&self) -> Held<'_, T> {
        let gate = gate();
        Held { value: self.0.lock().unwrap_or_else(PoisonError::into_inner), _gate: gate }
    }

    /// The value, where nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Gated<T> {
    fn default() -> Gated<T> {
        Gated::new(T::default())
    }
}

/// A [`Gated`] mutex, held.
pub struct Held<'a, T> {
    // In this order they are given back.
    value: MutexGuard<'a, T>,
    _gate: Gate,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Has every child of this process close `descriptor` as its first act. Up to 64 at a time; more are left open, which
/// costs no more than a late notice that this process has ended.
pub fn close_in_child(descriptor: i32) {
    register();
    for slot in &CLOSE_IN_CHILD {
        if slot.compare_exchange(-1, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Takes back [`close_in_child`], before the descriptor is closed here.
pub fn keep_in_child(descriptor: i32) {
    for slot in &CLOSE_IN_CHILD {
        if slot.compare_exchange(descriptor, -1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// An open file that only the process that opened it uses: a forked child's copy of the descriptor is closed at once,
/// and there its number may already be somebody else's, so there it is neither used nor closed again.
pub(crate) struct OwnFile {
    file: Option<File>,
    generation: u32,
}

impl OwnFile {
    pub(crate) fn new(file: File) -> OwnFile {
        close_in_child(file.as_raw_fd());
        OwnFile { file: Some(file), generation: generation() }
    }

    /// Whether this is the process that opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == generation()
    }
}

impl Deref for OwnFile {
    type Target = File;

    fn deref(&self) -> &File {
        self.file.as_ref().expect("taken by drop only")
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        let file = self.file.take();
        if self.is_ours() {
            keep_in_child(file.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        } else {
            std::mem::forget(file);
        }
    }
}

fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: the three handlers are `extern "C"` functions without arguments that live as long as the program (a
        // Python extension module is never unloaded) and touch nothing but the atomics of this file; the child's calls
        // only `close`, which is async-signal-safe.
        let failed = unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
        assert_eq!(failed, 0, "pthread_atfork: out of memory while starting");
    });
}

extern "C" fn before() {
    // In the order in which everybody takes them.
    std::mem::forget((still(), gate()));
}

extern "C" fn after_in_parent() {
    drop((Gate(()), Still(())));
}

extern "C" fn after_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for slot in &CLOSE_IN_CHILD {
        let descriptor = slot.swap(-1, Ordering::Relaxed);
        if descriptor >= 0 {
            // SAFETY: the descriptor was inherited from the parent, where its owner registered it and still has it; in
            // this process nobody has used it yet, and its owner looks at the generation before it does.
            unsafe { libc::close(descriptor) };
        }
    }
    drop((Gate(()), Still(())));
}
