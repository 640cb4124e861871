//! Servers for tests: real ones, on loopback, gone when the test is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue};
use tempfile::TempDir;

/// A `redis-server` with an empty directory of its own.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) options: Vec<String>,
    process: Option<Child>,
    directory: TempDir,
}

impl Server {
    pub(super) fn start(options: &[&str]) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Server::start_at(port, options)
    }

    pub(super) fn start_at(port: u16, options: &[&str]) -> Server {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Server { port, options, process: None, directory: TempDir::new().unwrap() };
        server.run();
        server
    }

    /// A file in its directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the process, which must not be running, and waits until it says that it listens.
    pub(super) fn run(&mut self) {
        // The system ends the server if this test is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--dir"]).arg(self.directory.path()).args(&self.options);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("redis-server is installed");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("eady to accept connections")) {
            said.push(lines.next().unwrap_or_else(|| panic!("redis-server: {said:#?}")).unwrap());
        }
        // Goes on reading, so that the server's writing never waits.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops the process without ending it, or lets it go on.
    pub(super) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn connection(&self) -> Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// What the server says to a command, whose parts are separated by spaces.
    pub(super) fn ask<T: FromRedisValue>(&self, command: &str) -> T {
        said(&mut self.connection(), command)
    }

    /// The same, with the password of the server's own user.
    pub(super) fn ask_as<T: FromRedisValue>(&self, password: &str, command: &str) -> T {
        let url = self.url().replace("//", &format!("//:{password}@"));
        said(&mut redis::Client::open(url).unwrap().get_connection().unwrap(), command)
    }
}

fn said<T: FromRedisValue>(connection: &mut Connection, command: &str) -> T {
    let mut parts = command.split(' ');
    let mut command = redis::cmd(parts.next().unwrap());
    for part in parts {
        command.arg(part);
    }
    command.query(connection).unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three primaries that share the slots.
pub(super) struct Cluster {
    pub(super) servers: Vec<Server>,
}

impl Cluster {
    pub(super) fn start() -> Cluster {
        let cluster = Cluster { servers: (0..3).map(|_| member()).collect() };
        for (server, (first, last)) in cluster.servers.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            server.ask::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", first / 5461 + 1));
            let slots: Vec<String> = (first..=last).map(|slot| slot.to_string()).collect();
            server.ask::<()>(&format!("CLUSTER ADDSLOTS {}", slots.join(" ")));
            server.ask::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", cluster.servers[0].port));
        }
        for server in &cluster.servers {
            until(|| {
                let info: String = server.ask("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            });
        }
        cluster
    }

    /// Adds a server that is to take the place of another one if need be.
    pub(super) fn add_replica_of(&mut self, primary: usize) {
        let (replica, id) = (member(), self.id(primary));
        replica.ask::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", self.servers[primary].port));
        until(|| replica.ask::<String>("CLUSTER NODES").contains(&id));
        replica.ask::<()>(&format!("CLUSTER REPLICATE {id}"));
        self.servers.push(replica);
        // All of them must know it, to vote for it.
        until(|| {
            self.servers.iter().all(|server| server.ask::<String>("CLUSTER NODES").contains(&format!("slave {id}")))
        });
        until(|| self.servers[primary].ask::<String>("INFO replication").contains("state=online"));
    }

    /// Whether the replica has everything that its primary has.
    pub(super) fn is_replicated(&self, primary: usize) -> bool {
        let offset = |server: &Server, name: &str| {
            let info: String = server.ask("INFO replication");
            info.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        let replica = self.servers.last().unwrap();
        offset(&self.servers[primary], "master_repl_offset:") == offset(replica, "slave_repl_offset:")
    }

    pub(super) fn url(&self) -> String {
        // One that is not there comes first: the others are enough.
        let seeds: Vec<String> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis+cluster://127.0.0.1:1,{}", seeds.join(","))
    }

    pub(super) fn id(&self, server: usize) -> String {
        self.servers[server].ask("CLUSTER MYID")
    }
}

/// A server that is to be in a cluster.
fn member() -> Server {
    // The members talk on the port of their clients plus 10,000.
    let port = free_port_below(55_000);
    let options =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"];
    Server::start_at(port, &options)
}

fn free_port_below(limit: u16) -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < limit && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so.
pub(super) fn until(mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "waited for a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A certificate authority in a directory, and a certificate of it for 127.0.0.1 and localhost: `ca.crt`, `server.crt`,
/// `server.key`.
pub(super) fn certificates() -> TempDir {
    let directory = TempDir::new().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let output = command.current_dir(directory.path()).args(arguments).output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let ca = ["req", "-x509", "-subj", "/CN=authority of a test", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt"];
    openssl(&[&ca[..], &key].concat());
    let request = ["req", "-new", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&request[..], &key].concat());
    fs::write(directory.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
    openssl(&[&["x509", "-req", "-in", "server.csr", "-out", "server.crt"][..], &by].concat());
    directory
}
