//! One command, started, waited for, and passed on: its signals to it, its end to whoever started this process.
//!
//! All signals are blocked and read one by one, so that none is missed and none does to this process what was meant for
//! the command, which starts with the signals as they were. One that another process has sent is sent on. One that a
//! terminal sends goes to every process of its foreground group, the command among them, and is not sent twice. When the
//! command stops because of the terminal, so does this process: a shell's `fg` and `bg` then work on both. Any other stop
//! is the command's alone: who lets it go on may not know of this process.
//!
//! Nothing is known here of metrics.

use std::ffi::{CString, OsString};
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn, posix_spawnp};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdin, dup2_stdout, getpid, getsid};

use crate::clock::since_1970;

/// The signals that a terminal sends to all processes of a group; with them the kernel is the sender.
const BY_TERMINAL: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGWINCH,
];
/// Those of them that stop.
const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
/// What a process is told by these is about itself, at once.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGSYS];
/// The kernel is the sender: `SI_KERNEL` of `sigaction(2)`.
const KERNEL: i32 = 0x80;

/// How long counting may go on when it is told to end.
const MOMENT: Duration = Duration::from_millis(500);

/// A command's run.
pub(super) struct Run {
    /// When it was started, in seconds since the Unix epoch.
    pub(super) started: f64,
    pub(super) took: Duration,
    pub(super) ending: Ending,
    /// CPU time, with that of the processes it has waited for.
    pub(super) user: Duration,
    pub(super) system: Duration,
    /// In bytes, of its largest process; none if a larger one had ended before, in what became this process.
    pub(super) max_memory: Option<u64>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Exit(u8),
    Signal(Signal),
    NotStarted(Errno),
    /// The kernel has not told: a signal without a name, or somebody else has asked before.
    Unknown,
}

/// Runs the command to its end.
pub(super) fn run(command: &[OsString]) -> Run {
    // A shell that becomes this process leaves it what its children have used.
    let before = used();
    let (started, begin) = (since_1970().as_secs_f64(), Instant::now());
    let ending = start_and_wait(command).unwrap_or_else(Ending::NotStarted);
    let took = begin.elapsed();
    let after = used();
    Run {
        started,
        took,
        ending,
        user: after.user.saturating_sub(before.user),
        system: after.system.saturating_sub(before.system),
        max_memory: Some(after.max_memory).filter(|memory| *memory > before.max_memory),
    }
}

/// What the children that have ended have used.
#[derive(Default)]
struct Used {
    user: Duration,
    system: Duration,
    max_memory: u64,
}

fn used() -> Used {
    let time = |microseconds: i64| Duration::from_micros(microseconds.unsigned_abs());
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Used::default(), |usage| Used {
        user: time(usage.user_time().num_microseconds()),
        system: time(usage.system_time().num_microseconds()),
        max_memory: usage.max_rss().unsigned_abs() * 1024,
    })
}

/// Ends this process as the command has ended if SIGINT, SIGTERM or SIGHUP come from now on, so that nobody has to wait
/// for a store that hangs. What was sent to the command and this process alike may come late: counting has a moment more.
pub(super) fn end_on_signal(ending: Ending) {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    if signals.thread_block().is_ok() {
        let wait = move || {
            if signals.wait().is_ok() {
                std::thread::sleep(MOMENT);
                log::warn!("ended by a signal; the run may not be counted");
                std::process::exit(i32::from(ending.pass_on()));
            }
        };
        // Without a thread a signal waits until the run is counted.
        let _ = std::thread::Builder::new().spawn(wait);
    }
}

fn start_and_wait(command: &[OsString]) -> Result<Ending, Errno> {
    let signals: SigSet = Signal::iterator().filter(|signal| !FAULTS.contains(signal)).collect();
    let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // If the ends of children were ignored, as some programs bequeath it, nobody would be told of them.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGCHLD, Arc::new(AtomicBool::new(false)));
    let arriving = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
    let mut child = Child { pid: start(command, &before)?, stopped: None, is_to_stop: false };
    let_go();
    loop {
        match arriving.read_signal() {
            Ok(Some(signal)) if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGCHLD as i32) => {
                if let Some(ending) = child.look() {
                    return Ok(ending);
                }
            }
            Ok(Some(signal)) => child.send_on(&signal),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(ending(waitpid(child.pid, None))),
        }
        child.stop_with_it();
    }
}

/// Starts the command with the signals as they were.
fn start(command: &[OsString], mask: &SigSet) -> Result<Pid, Errno> {
    let words = command.iter().map(|word| c_string(word.clone())).collect::<Result<Vec<_>, _>>()?;
    let name = words.first().ok_or(Errno::ENOENT)?;
    let environment = std::env::vars_os().map(|(mut variable, value)| {
        variable.push("=");
        variable.push(value);
        c_string(variable)
    });
    let environment = environment.collect::<Result<Vec<_>, _>>()?;
    let (actions, mut attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
    attributes.set_sigmask(mask)?;
    // Rust programs ignore it from their start on.
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    match posix_spawnp(name, &actions, &attributes, &words, &environment) {
        // A script that does not say what it is for is one for sh, as shells have it.
        Err(Errno::ENOEXEC) => {
            let script = command.first().map(|name| c_string(found(name).into_os_string())).ok_or(Errno::ENOENT)??;
            let shell = [c"sh".to_owned(), script];
            let words: Vec<CString> = shell.into_iter().chain(words.into_iter().skip(1)).collect();
            posix_spawn(c"/bin/sh", &actions, &attributes, &words, &environment)
        }
        started => started,
    }
}

fn c_string(text: OsString) -> Result<CString, Errno> {
    CString::new(text.into_vec()).map_err(|_| Errno::EINVAL)
}

/// Where the command is.
fn found(name: &OsString) -> PathBuf {
    let path = std::env::var_os("PATH").filter(|_| !name.as_bytes().contains(&b'/')).unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|place| place.is_file());
    found.unwrap_or_else(|| name.into())
}

/// Lets go of stdin and stdout: who writes to the one and reads from the other sees the command close them.
fn let_go() {
    if let Ok(nothing) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&nothing);
        let _ = dup2_stdout(&nothing);
    }
}

/// The command, while it runs.
struct Child {
    pid: Pid,
    /// By what it was stopped.
    stopped: Option<Signal>,
    /// Whether the terminal wants it to stop. It may do so by another signal, after tidying up.
    is_to_stop: bool,
}

impl Child {
    /// Looks what has become of the children: of the command, and in a container, where this may be the first process, of
    /// those that have nobody else.
    fn look(&mut self) -> Option<Ending> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::StillAlive) => return None,
                Ok(status) if status.pid() != Some(self.pid) => {}
                Ok(WaitStatus::Stopped(_, signal)) => {
                    self.stopped = Some(signal);
                    self.is_to_stop |= STOPS.contains(&signal) && has_terminal();
                }
                Ok(WaitStatus::Continued(_)) => self.stopped = None,
                Err(Errno::EINTR) => {}
                // Somebody was killed by a signal without a name: the command, if it is there no more.
                Err(Errno::EINVAL) => match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::StillAlive) => {}
                    status => return Some(ending(status)),
                },
                status => return Some(ending(status)),
            }
        }
    }

    /// Stops as the command did, if the terminal wants that, until somebody lets this process go on.
    fn stop_with_it(&mut self) {
        let Some(signal) = self.stopped.filter(|_| self.is_to_stop) else { return };
        (self.stopped, self.is_to_stop) = (None, false);
        // Unlike SIGSTOP, these do nothing where there is no shell to wake anybody.
        let signal = if STOPS.contains(&signal) { signal } else { Signal::SIGTSTP };
        let _ = raise(signal);
        let set = SigSet::from(signal);
        let _ = set.thread_unblock();
        let _ = set.thread_block();
    }

    /// Sends a signal on to the command, unless it has it already.
    fn send_on(&mut self, arrived: &siginfo) {
        let signal = i32::try_from(arrived.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
        let Some(signal) = signal else { return };
        // A hang-up is told to the first process of the session only, which is to tell the others.
        let for_this_alone = signal == Signal::SIGHUP && getsid(None) == Ok(getpid());
        let by_terminal = arrived.ssi_code == KERNEL && BY_TERMINAL.contains(&signal) && !for_this_alone;
        // What the command tells its parent is not meant for itself.
        let by_command = arrived.ssi_code <= 0 && i64::from(arrived.ssi_pid) == i64::from(self.pid.as_raw());
        if by_terminal || by_command {
            self.is_to_stop |= STOPS.contains(&signal);
        } else {
            let _ = kill(self.pid, signal);
        }
    }
}

/// Whether a terminal belongs to this session.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

fn ending(status: Result<WaitStatus, Errno>) -> Ending {
    match status {
        // CAST: an exit status has eight bits.
        Ok(WaitStatus::Exited(_, code)) => Ending::Exit(code as u8),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ending::Signal(signal),
        _ => Ending::Unknown,
    }
}

impl Ending {
    /// Why the run failed, if it did.
    pub(super) fn failure(self) -> Option<String> {
        match self {
            Ending::Exit(0) => None,
            Ending::Exit(code) => Some(format!("exit_{code}")),
            Ending::Signal(signal) => Some(format!("signal_{}", signal.as_str().trim_start_matches("SIG"))),
            Ending::NotStarted(_) => Some("not_started".to_owned()),
            Ending::Unknown => Some("unknown".to_owned()),
        }
    }

    /// Ends this process as the command has ended, or gives the exit status to end it with.
    pub(super) fn pass_on(self) -> u8 {
        match self {
            Ending::Exit(code) => code,
            Ending::Signal(signal) => {
                // The command has left a core file, if it was to; one of this process is nobody's interest.
                let _ = set_dumpable(false);
                // The first process of a container cannot be killed from inside.
                if std::process::id() != 1 {
                    let _ = signal_hook::low_level::emulate_default_handler(signal as i32);
                    // It does nothing for SIGIO, SIGPWR and SIGSTKFLT, and this process has done nothing with them.
                    let _ = SigSet::from(signal).thread_unblock();
                    let _ = raise(signal);
                }
                // CAST: signals' numbers are below 65.
                128 + signal as u8
            }
            Ending::NotStarted(Errno::ENOENT) => 127,
            Ending::NotStarted(_) => 126,
            Ending::Unknown => 255,
        }
    }
}
