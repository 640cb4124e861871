//! The native HTTP server over a registry.
//!
//! Its threads need Python only for what [`RegistryCore::needs_python`] says, and then have Python's own threads ask. At
//! the end of the process [`stop_all`] keeps them from coming back to an interpreter that is going away. In a forked child
//! a server is nothing: its listener is closed there, and its methods do nothing.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tallymark::fork;
use tallymark::model::Snapshot;
use tallymark_transport::serve::SourceError;
use tallymark_transport::{Options, Server as Native, Source};

use crate::late::Cached;
use crate::registry::RegistryCore;
use crate::scrape::{Givers, Parts, Plan};
use crate::{error, log};

/// How long the end of the process waits for scrapes that are running: what servers give them anyway, and a little more.
const PATIENCE: Duration = Duration::from_secs(3);

/// The servers of this process, those whose object nobody keeps included.
static SERVERS: Mutex<Vec<Arc<Running>>> = Mutex::new(Vec::new());

/// The process is ending: no thread of ours may ask Python any more.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// Threads that are in the middle of such a question.
static ASKING: AtomicUsize = AtomicUsize::new(0);

const ENDING: &str = "the process is ending";

/// The Python of a question.
const ASK: &CStr = match CStr::from_bytes_with_nul(concat!(include_str!("ask.py"), "\0").as_bytes()) {
    Ok(code) => code,
    Err(_) => panic!("ask.py has no zero byte"),
};

/// An HTTP server for metrics, on a thread of its own; made by `serve`.
///
/// In a forked child it is stopped, and its methods do nothing.
#[pyclass(frozen, module = "tallymark._tallymark")]
pub(crate) struct Server {
    running: Arc<Running>,
}

struct Running {
    server: Native,
    listener: Option<RawFd>,
    generation: u32,
}

impl Running {
    fn stop(&self) {
        if self.generation != fork::generation() {
            return;
        }
        if let (Some(listener), Some(_)) = (self.listener, self.server.listener_fd()) {
            fork::keep_in_child(listener);
        }
        self.server.shutdown();
    }

    fn is_alive(&self) -> bool {
        self.generation == fork::generation() && !self.server.join_timeout(Duration::ZERO)
    }
}

/// Serve a registry at an address, at any path, until the server is shut down.
///
/// It goes on whether or not the result is kept.
///
/// Args:
///     port: The port; 0 for a free one.
///
///     addr: The address or a name that has one.
///
///     core: What to serve.
///
///     reuse_port: Whether other processes may serve the same port the same way: the kernel spreads connections over
///         them. Without it a port in use is an error.
///
/// Raises:
///     OSError: The address cannot be listened on.
#[pyfunction]
#[pyo3(signature = (port, addr, core, reuse_port=true))]
pub(crate) fn serve(
    py: Python<'_>,
    port: u16,
    addr: &str,
    core: Py<RegistryCore>,
    reuse_port: bool,
) -> PyResult<Server> {
    IS_ENDING.store(false, Ordering::SeqCst);
    // Asked once, so that scrapes without Python know.
    crate::late::use_created(py)?;
    crate::store::default_store(py);
    asker(py)?.call_method0("prepare")?;
    let source = Arc::new(RegistrySource { core });
    let addr = if addr.is_empty() { "0.0.0.0" } else { addr };
    let options = Options { reuse_port, ..Options::default() };
    let server = py.detach(|| Native::bind((addr, port), options, source)).map_err(error::serve)?;
    let listener = server.listener_fd();
    listener.into_iter().for_each(fork::close_in_child);
    let running = Arc::new(Running { server, listener, generation: fork::generation() });
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.retain(|server| server.is_alive());
    servers.push(Arc::clone(&running));
    Ok(Server { running })
}

#[pymethods]
impl Server {
    /// The address and the port that are listened on.
    #[getter]
    fn server_address(&self) -> (String, u16) {
        let address = self.running.server.local_addr();
        (address.ip().to_string(), address.port())
    }

    /// The port that is listened on.
    #[getter]
    fn server_port(&self) -> u16 {
        self.running.server.local_addr().port()
    }

    /// Stop accepting connections, without waiting: requests that are running are still answered.
    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.running.stop());
    }

    /// Stop, and wait until the port is free.
    fn server_close(&self, py: Python<'_>) {
        py.detach(|| {
            self.running.stop();
            self.running.server.join_timeout(PATIENCE);
        });
    }

    /// Wait until the server has stopped.
    ///
    /// Args:
    ///     timeout: How many seconds to wait at most; None for as long as it takes.
    ///
    /// Raises:
    ///     TypeError: *timeout* is no number of seconds.
    #[pyo3(signature = (timeout=None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = match timeout {
            None => None,
            Some(seconds) => {
                let wrong = |_| PyTypeError::new_err("timeout must be a number of seconds");
                Some(Duration::try_from_secs_f64(seconds.max(0.0)).map_err(wrong)?)
            }
        };
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            // In steps, so that a signal's handler runs meanwhile.
            let step = Duration::from_millis(100);
            let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
            if py.detach(|| self.running.server.join_timeout(left)) || left < step {
                return Ok(());
            }
            py.check_signals()?;
        }
    }

    /// Whether the server is still running.
    fn is_alive(&self) -> bool {
        self.running.is_alive()
    }
}

/// Stops every server of this process and waits, not for ever, until none of their threads uses Python.
pub(crate) fn stop_all(py: Python<'_>) {
    let servers: Vec<Arc<Running>> = {
        let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter(|it| it.generation == fork::generation()).cloned().collect()
    };
    py.detach(|| {
        let deadline = Instant::now() + PATIENCE;
        servers.iter().for_each(|server| server.stop());
        // Scrapes that are running are answered.
        for server in &servers {
            server.server.join_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        // SeqCst, here and where a scrape begins: either it sees that the process is ending, or we see that it is asking.
        IS_ENDING.store(true, Ordering::SeqCst);
        while ASKING.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    });
}

/// What is served.
struct RegistrySource {
    core: Py<RegistryCore>,
}

impl Source for RegistrySource {
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        let names: Option<HashSet<String>> = (!names.is_empty()).then(|| names.iter().cloned().collect());
        let core = self.core.get();
        let parts = if core.needs_python() { ask(core, names)? } else { core.without_python(names) };
        Ok(parts.read())
    }
}

/// The first half of a scrape, asked on a thread of Python's own.
///
/// Not on this one: a thread that waits for a collector when the interpreter ends is ended with it, which Rust's part of
/// a stack does not survive.
fn ask(core: &RegistryCore, names: Option<HashSet<String>>) -> Result<Parts, SourceError> {
    let (answer, answers) = mpsc::sync_channel(1);
    {
        let _asking = Asking::begin()?;
        let started = Python::try_attach(|py| -> PyResult<()> {
            let plan = core.plan(py, names)?;
            asker(py)?.call_method1("start", (Question { plan, answer },))?;
            Ok(())
        });
        started.ok_or(ENDING)?.map_err(|error| error.to_string())?;
    }
    loop {
        match answers.recv_timeout(Duration::from_millis(100)) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if !IS_ENDING.load(Ordering::SeqCst) => {}
            Err(_) => return Err(ENDING.into()),
        }
    }
}

/// The module `ask.py`.
fn asker(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: Cached<PyModule> = Cached::new();
    MODULE.get_or(py, || PyModule::from_code(py, ASK, c"tallymark/ask.py", c"tallymark._ask"))
}

/// What a scrape has to ask Python, and where the answer goes.
#[pyclass(frozen)]
pub(crate) struct Question {
    plan: Plan,
    answer: SyncSender<Result<Parts, SourceError>>,
}

#[pymethods]
impl Question {
    /// What is to be called for families.
    fn calls<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.plan.calls(py).cloned().collect()
    }

    /// What is to be called for the values of gauges.
    fn functions(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.plan.functions.iter().map(|(_, function)| function.clone_ref(py)).collect()
    }

    /// Takes what the calls gave.
    fn answer<'py>(&self, py: Python<'py>, families: Vec<Bound<'py, PyAny>>, values: Vec<f64>) {
        let Ok(_asking) = Asking::begin() else { return };
        match self.plan.finish(py, families, values, &mut Givers::default()) {
            // Whoever waited for it may have gone.
            Ok(parts) => drop(self.answer.try_send(Ok(parts))),
            Err(error) => self.failed(py, &error),
        }
    }

    /// Takes what one of them raised.
    fn fail(&self, error: Bound<'_, PyAny>) {
        let Ok(_asking) = Asking::begin() else { return };
        let py = error.py();
        self.failed(py, &PyErr::from_value(error));
    }
}

impl Question {
    fn failed(&self, py: Python<'_>, error: &PyErr) {
        log::exception(py, "a scrape failed", error);
        drop(self.answer.try_send(Err(error.to_string().into())));
    }
}

/// Rust that a thread is inside of while it needs Python: the end of the process waits for it.
struct Asking;

impl Asking {
    /// # Errors
    /// The process is ending already.
    fn begin() -> Result<Asking, SourceError> {
        ASKING.fetch_add(1, Ordering::SeqCst);
        let asking = Asking;
        // SeqCst: see `stop_all`.
        if IS_ENDING.load(Ordering::SeqCst) { Err(ENDING.into()) } else { Ok(asking) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.fetch_sub(1, Ordering::SeqCst);
    }
}
