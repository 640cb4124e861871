//! Connections: to one server, or to the members of a cluster, each opened when it is needed.
//!
//! Many questions go out together, and each comes back with its own answer or error. One that went over an older
//! connection which turns out to be cut is asked once more on a new one: every question here may be repeated. An
//! exchange ends at its deadline; only the look-up of a host name is the system's business and may take longer. A
//! connection that gave an error is not used again.

use std::collections::{BTreeMap, HashMap};
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

use redis::{
    Client, Cmd, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value, cmd,
};

use super::super::Reason;
use super::line::Line;
use super::target::{Address, Place, Target};
use super::trouble::{late, reason};

/// How often a question follows a cluster's directions. Two are enough unless slots move meanwhile.
const DIRECTIONS: usize = 5;

/// What is waited at least for an answer: it may already be there when another server has used up the time.
const GRACE: Duration = Duration::from_millis(10);

/// A command, and where to.
pub(super) struct Question {
    pub(super) to: To,
    pub(super) command: Cmd,
}

#[derive(Clone)]
pub(super) enum To {
    /// The server that has this key.
    Key(String),
    Member(Address),
    /// The one that a key is being moved to.
    Asking(Address),
}

pub(super) struct Wire {
    pub(super) target: Target,
    timeout: Duration,
    connections: HashMap<Address, Line>,
    /// Which member of a cluster has which slots, from first to last; empty if that is not known.
    slots: Vec<(u16, u16, Address)>,
}

impl Wire {
    pub(super) fn new(target: Target, timeout: Duration) -> Wire {
        Wire { target, timeout, connections: HashMap::new(), slots: Vec::new() }
    }

    /// Asks everything at once; an answer for each, in their order. An exchange ends at `limit`, or after the timeout.
    pub(super) fn exchange(&mut self, questions: &[Question], limit: Instant) -> Vec<RedisResult<Value>> {
        let deadline = limit.min(Instant::now() + self.timeout);
        let mut answers: Vec<RedisResult<Value>> = questions.iter().map(|_| Err(late())).collect();
        let mut open: Vec<(usize, To)> = questions.iter().map(|question| question.to.clone()).enumerate().collect();
        // A connection may have been cut since it was used: once, what it does not answer is asked on a new one.
        let mut may_be_cut = !self.connections.is_empty();
        for _ in 0..DIRECTIONS {
            for (index, answer) in self.round(questions, &open, deadline) {
                answers[index] = answer;
            }
            let again = |(index, to): (usize, To)| {
                let error = answers[index].as_ref().err()?;
                let cut = may_be_cut && error.is_connection_dropped();
                Some((index, if cut { to } else { self.directed(error)? }))
            };
            open = open.into_iter().filter_map(again).collect();
            may_be_cut = false;
            if open.is_empty() {
                break;
            }
            if open.iter().any(|(_, to)| matches!(to, To::Member(_))) {
                self.slots.clear();
            }
        }
        answers
    }

    /// One command, with its answer.
    pub(super) fn ask(&mut self, to: To, command: Cmd, limit: Instant) -> RedisResult<Value> {
        self.exchange(&[Question { to, command }], limit).pop().unwrap_or_else(|| Err(late()))
    }

    /// The servers that take changes.
    pub(super) fn members(&mut self, limit: Instant) -> RedisResult<Vec<Address>> {
        if !matches!(self.target.place, Place::Cluster(_)) {
            return Ok(vec![self.only()]);
        }
        self.learn_slots(limit.min(Instant::now() + self.timeout))?;
        let mut members: Vec<Address> = self.slots.iter().map(|(.., address)| address.clone()).collect();
        members.sort();
        members.dedup();
        Ok(members)
    }

    fn only(&self) -> Address {
        match &self.target.place {
            Place::Server(address) => address.clone(),
            // A socket is the same wherever it is asked for.
            _ => Address { host: String::new(), port: 0 },
        }
    }

    /// Sends each question that is open to its server, and reads the answers.
    fn round(
        &mut self,
        questions: &[Question],
        open: &[(usize, To)],
        deadline: Instant,
    ) -> Vec<(usize, RedisResult<Value>)> {
        let mut answers = Vec::new();
        let mut by_server: BTreeMap<Address, Vec<(usize, bool)>> = BTreeMap::new();
        for (index, to) in open {
            match self.server_of(to, deadline) {
                Ok(server) => by_server.entry(server).or_default().push((*index, matches!(to, To::Asking(_)))),
                Err(error) => answers.push((*index, Err(error))),
            }
        }
        // Each has its share of the time: one that hangs leaves some for the others.
        let count = by_server.len();
        let mut sent = Vec::new();
        for (place, (server, asked)) in by_server.into_iter().enumerate() {
            match self.send(&server, questions, &asked, share(deadline, count - place)) {
                Ok(()) => sent.push((server, asked)),
                Err(error) => {
                    self.distrust(&server);
                    answers.extend(asked.into_iter().map(|(index, _)| (index, Err(error.clone()))));
                }
            }
        }
        for (server, asked) in sent {
            answers.extend(self.receive(&server, &asked, deadline));
        }
        answers
    }

    fn send(
        &mut self,
        server: &Address,
        questions: &[Question],
        asked: &[(usize, bool)],
        deadline: Instant,
    ) -> RedisResult<()> {
        let mut bytes = Vec::new();
        for (index, asking) in asked {
            if *asking {
                cmd("ASKING").write_packed_command(&mut bytes);
            }
            questions[*index].command.write_packed_command(&mut bytes);
        }
        let connection = self.connection(server, deadline)?;
        connection.set_write_timeout(Some(left(deadline)?))?;
        connection.send_packed_command(&bytes)
    }

    fn receive(
        &mut self,
        server: &Address,
        asked: &[(usize, bool)],
        deadline: Instant,
    ) -> Vec<(usize, RedisResult<Value>)> {
        let mut broken: Option<RedisError> = None;
        let mut answers = Vec::new();
        for (index, asking) in asked {
            let answer = match (&broken, self.connections.get_mut(server).and_then(Line::connection)) {
                (None, Some(connection)) => {
                    let allowed = if *asking { hear(connection, deadline) } else { Ok(Value::Okay) };
                    allowed.and_then(|allowed| Ok((allowed, hear(connection, deadline)?)))
                }
                (error, _) => Err(error.clone().unwrap_or_else(late)),
            };
            // An error as a value is what the server said; one of the connection itself leaves nothing to read.
            if let Err(error) = &answer {
                broken = Some(error.clone());
            }
            let both = |(allowed, answer)| said(allowed).and_then(|_| said(answer));
            answers.push((*index, answer.and_then(both)));
        }
        let mut errors = answers.iter().filter_map(|(_, answer)| answer.as_ref().err());
        let moody = errors
            .any(|error| matches!(reason(error), Reason::ReadOnly | Reason::NotReady) && !is_direction(error.kind()));
        if broken.is_some() || moody {
            self.distrust(server);
        }
        answers
    }

    /// Looks anew, next time, who is there: after a failover a name may mean another server, a slot another member.
    fn distrust(&mut self, server: &Address) {
        self.connections.remove(server);
        self.slots.clear();
    }

    /// Where an error says that the answer is.
    fn directed(&self, error: &RedisError) -> Option<To> {
        let kind = error.kind();
        if !is_direction(kind) || !matches!(self.target.place, Place::Cluster(_)) {
            return None;
        }
        let (place, slot) = error.redirect_node()?;
        let (host, port) = place.rsplit_once(':')?;
        // Without a host: that of the member which said so.
        let host = if host.is_empty() { self.member(slot)?.host.clone() } else { host.to_owned() };
        let address = Address { host, port: port.parse().ok()? };
        Some(if kind == ErrorKind::Server(ServerErrorKind::Ask) { To::Asking(address) } else { To::Member(address) })
    }

    fn member(&self, slot: u16) -> Option<&Address> {
        self.slots.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., address)| address)
    }

    fn server_of(&mut self, to: &To, deadline: Instant) -> RedisResult<Address> {
        match to {
            To::Member(address) | To::Asking(address) => Ok(address.clone()),
            To::Key(key) if matches!(self.target.place, Place::Cluster(_)) => {
                self.learn_slots(deadline)?;
                let nobody = || RedisError::from((ServerErrorKind::ClusterDown.into(), "nobody has this key's slot"));
                self.member(slot(key)).cloned().ok_or_else(nobody)
            }
            To::Key(_) => Ok(self.only()),
        }
    }

    /// Asks the members that are known, then those that the URL names, who has which slots, until one says it.
    fn learn_slots(&mut self, deadline: Instant) -> RedisResult<()> {
        let Place::Cluster(seeds) = &self.target.place else { return Ok(()) };
        if !self.slots.is_empty() {
            return Ok(());
        }
        let mut members: Vec<Address> = self.connections.keys().cloned().collect();
        members.extend(seeds.iter().filter(|seed| !self.connections.contains_key(seed)).cloned());
        let mut result = Err(late());
        for (asked, member) in members.iter().enumerate() {
            match self.slots_by(member, share(deadline, members.len() - asked)) {
                Ok(slots) => {
                    self.slots = slots;
                    return Ok(());
                }
                Err(error) => {
                    self.connections.remove(member);
                    result = Err(error);
                }
            }
        }
        result
    }

    fn slots_by(&mut self, member: &Address, deadline: Instant) -> RedisResult<Vec<(u16, u16, Address)>> {
        let question = Question { to: To::Member(member.clone()), command: cmd("CLUSTER").arg("SLOTS").take() };
        self.send(member, &[question], &[(0, false)], deadline)?;
        let connection = self.connections.get_mut(member).and_then(Line::connection).ok_or_else(late)?;
        let answer = said(hear(connection, deadline)?)?;
        let Value::Array(ranges) = answer else { return Ok(Vec::new()) };
        let slots: Vec<_> = ranges.iter().filter_map(|range| range_of(range, member)).collect();
        if slots.is_empty() {
            return Err((ServerErrorKind::ClusterDown.into(), "no member of the cluster has slots").into());
        }
        Ok(slots)
    }

    /// Closes all connections. None of them says good-bye, which would be heard as the parent's.
    pub(super) fn hang_up(&mut self) {
        self.connections.clear();
    }

    fn connection(&mut self, server: &Address, deadline: Instant) -> RedisResult<&mut Connection> {
        if !self.connections.contains_key(server) {
            let line = Line::open(server.port, || self.connect(server, deadline))?;
            self.connections.insert(server.clone(), line);
        }
        self.connections.get_mut(server).and_then(Line::connection).ok_or_else(late)
    }

    fn connect(&self, server: &Address, deadline: Instant) -> RedisResult<Connection> {
        let mut connection = match &self.target.place {
            Place::Socket(path) => self.open(ConnectionAddr::Unix(path.clone()), left(deadline)?)?,
            _ if self.target.tls => self.open_tls(server, deadline)?,
            _ => self.open_tcp(server, deadline)?,
        };
        connection.set_read_timeout(Some(left(deadline)?))?;
        connection.set_write_timeout(Some(left(deadline)?))?;
        connection.send_packed_command(&cmd("CLIENT").arg("SETNAME").arg("tallymark").get_packed_command())?;
        // Whoever may not have a name does without.
        connection.recv_response()?;
        Ok(connection)
    }

    /// Tries the addresses of a host one after the other.
    fn open_tcp(&self, server: &Address, deadline: Instant) -> RedisResult<Connection> {
        let addresses: Vec<_> = (server.host.as_str(), server.port).to_socket_addrs()?.collect();
        let mut result = Err((ErrorKind::Io, "the host has no address").into());
        for (tried, address) in addresses.iter().enumerate() {
            let share = left(share(deadline, addresses.len() - tried))?;
            result = self.open(ConnectionAddr::Tcp(address.ip().to_string(), address.port()), share);
            // Another address of the host does not know another password.
            if !result.as_ref().is_err_and(RedisError::is_io_error) {
                break;
            }
        }
        result
    }

    fn open_tls(&self, server: &Address, deadline: Instant) -> RedisResult<Connection> {
        // Where the program has chosen another provider already, that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root_cert = self.target.ca.as_ref().map(std::fs::read).transpose().map_err(|error| {
            let path = self.target.ca.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let what = format!("{path}: {error}; ca= names the file of the server's authority");
            RedisError::from((ErrorKind::InvalidClientConfig, "certificates", what))
        })?;
        let address =
            ConnectionAddr::TcpTls { host: server.host.clone(), port: server.port, insecure: false, tls_params: None };
        let certificates = TlsCertificates { client_tls: None, root_cert };
        let info = address.into_connection_info()?.set_redis_settings(self.settings());
        let client = match certificates.root_cert {
            Some(_) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        client.get_connection_with_timeout(left(deadline)?)
    }

    fn open(&self, address: ConnectionAddr, timeout: Duration) -> RedisResult<Connection> {
        let info: ConnectionInfo = address.into_connection_info()?.set_redis_settings(self.settings());
        Client::open(info)?.get_connection_with_timeout(timeout)
    }

    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(self.target.database.into());
        if let Some(user) = &self.target.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.target.password {
            settings = settings.set_password(password);
        }
        settings
    }
}

/// Whether an error of this kind says where a key is.
fn is_direction(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask))
}

fn left(deadline: Instant) -> RedisResult<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

/// When the first of so many has to be done, for all to have their part of the time.
fn share(deadline: Instant, among: usize) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / u32::try_from(among).unwrap_or(u32::MAX).max(1)
}

/// The next answer on a connection.
fn hear(connection: &mut Connection, deadline: Instant) -> RedisResult<Value> {
    connection.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now()).max(GRACE)))?;
    connection.recv_response()
}

/// An answer, unless it is an error. What is asked here has no errors within its answer.
fn said(answer: Value) -> RedisResult<Value> {
    match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}

/// A line of `CLUSTER SLOTS`: first and last slot, and who has them; a member that knows no name of its own means itself.
fn range_of(range: &Value, asked: &Address) -> Option<(u16, u16, Address)> {
    let Value::Array(parts) = range else { return None };
    let number = |value: Option<&Value>| match value {
        Some(Value::Int(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    let Some(Value::Array(primary)) = parts.get(2) else { return None };
    let host = match primary.first() {
        Some(Value::BulkString(host)) if !host.is_empty() && host != b"?" => String::from_utf8(host.clone()).ok()?,
        _ => asked.host.clone(),
    };
    let address = Address { host, port: number(primary.get(1))? };
    Some((number(parts.first())?, number(parts.get(1))?, address))
}

/// A key's slot in a cluster: CRC-16 (XMODEM) of it, or of what stands in its first braces.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_that_the_cluster_specification_gives() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo{hash_tag}"), slot("hash_tag"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"));
    }
}
