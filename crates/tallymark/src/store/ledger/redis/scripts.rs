//! What a server runs for us: each operation is one Lua file.
//!
//! Two roads lead there. A server of version 7 or later keeps them as *functions*, with its data: they survive its
//! restart and are on its replicas. Where there are none, or the user may not use them, they are *scripts*, called by
//! their hash, and given to the server again whenever it says that it has forgotten them. The Lua is the same.

use std::time::Instant;

use redis::{Cmd, RedisError, RedisResult, Value, cmd};

use super::trouble::{is_missing, is_refusal, late};
use super::wire::{Question, To, Wire};
use crate::record::fnv;

const NUMBERS: &str = include_str!("numbers.lua");

/// What a server can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    Greet,
    Apply,
    Swap,
    Note,
    GroupsSince,
    GroupsPut,
}

impl Operation {
    const ALL: [Operation; 7] = [
        Operation::Open,
        Operation::Greet,
        Operation::Apply,
        Operation::Swap,
        Operation::Note,
        Operation::GroupsSince,
        Operation::GroupsPut,
    ];

    fn name(self) -> &'static str {
        match self {
            Operation::Open => "open",
            Operation::Greet => "greet",
            Operation::Apply => "apply",
            Operation::Swap => "swap",
            Operation::Note => "note",
            Operation::GroupsSince => "groups_since",
            Operation::GroupsPut => "groups_put",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Operation::Open => include_str!("open.lua"),
            Operation::Greet => include_str!("greet.lua"),
            Operation::Apply => include_str!("apply.lua"),
            Operation::Swap => include_str!("swap.lua"),
            Operation::Note => include_str!("note.lua"),
            Operation::GroupsSince => concat!(include_str!("groups.lua"), include_str!("groups_since.lua")),
            Operation::GroupsPut => concat!(include_str!("groups.lua"), include_str!("groups_put.lua")),
        }
    }

    fn script(self) -> String {
        format!("{NUMBERS}{}return {}(KEYS, ARGV)\n", self.source(), self.name())
    }
}

/// How operations are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    Functions,
    Scripts,
}

/// A question: an operation on a key, or a plain command.
pub(super) enum Call {
    Run { operation: Operation, key: String, arguments: Vec<Vec<u8>> },
    Plain { key: String, command: Cmd },
}

impl Call {
    pub(super) fn run(operation: Operation, key: String, arguments: impl IntoIterator<Item: Into<Vec<u8>>>) -> Call {
        Call::Run { operation, key, arguments: arguments.into_iter().map(Into::into).collect() }
    }
}

pub(super) struct Scripts {
    pub(super) road: Road,
    /// Hashes of the scripts, by operation, as a server said them.
    hashes: Vec<String>,
    /// The name of the functions' library: another for every text of it, so that versions stand side by side.
    library: String,
}

impl Scripts {
    pub(super) fn new(road: Road) -> Scripts {
        let all: String = Operation::ALL.map(Operation::source).concat();
        let library = format!("tallymark_{:016x}", fnv(format!("{NUMBERS}{all}").as_bytes()));
        Scripts { road, hashes: Vec::new(), library }
    }

    /// Asks everything at once; an answer for each, in their order. Operations that a server does not know are given to
    /// it, and asked for once more: it has done nothing then.
    pub(super) fn call(&mut self, wire: &mut Wire, calls: &[Call], limit: Instant) -> Vec<RedisResult<Value>> {
        let mut answers: Vec<RedisResult<Value>> = calls.iter().map(|_| Err(late())).collect();
        let mut open: Vec<usize> = (0..calls.len()).collect();
        // Once as it is, once for what is missing, once for the other road, and once for what is missing there.
        for _ in 0..4 {
            if self.road == Road::Scripts
                && self.hashes.is_empty()
                && let Err(error) = self.load(wire, limit)
            {
                open.iter().for_each(|index| answers[*index] = Err(error.clone()));
                break;
            }
            let questions: Vec<Question> = open.iter().map(|index| self.question(&calls[*index])).collect();
            let given = wire.exchange(&questions, limit);
            open.iter().zip(given).for_each(|(index, answer)| answers[*index] = answer);
            let failed = |index: &usize, is: fn(&RedisError) -> bool| answers[*index].as_ref().is_err_and(is);
            open.retain(|index| matches!(calls[*index], Call::Run { .. }));
            let refused = self.road == Road::Functions && open.iter().any(|index| failed(index, is_refusal));
            open.retain(|index| failed(index, is_missing) || refused && failed(index, is_refusal));
            if open.is_empty() {
                break;
            }
            if refused {
                self.road = Road::Scripts;
            } else if let Err(error) = self.load(wire, limit) {
                open.iter().for_each(|index| answers[*index] = Err(error.clone()));
                break;
            }
        }
        answers
    }

    fn question(&self, call: &Call) -> Question {
        match call {
            Call::Plain { key, command } => Question { to: To::Key(key.clone()), command: command.clone() },
            Call::Run { operation, key, arguments } => {
                let mut command = match self.road {
                    Road::Functions => cmd("FCALL").arg(format!("{}_{}", self.library, operation.name())).take(),
                    Road::Scripts => cmd("EVALSHA").arg(self.hash(*operation)).take(),
                };
                command.arg(1).arg(key).arg(arguments);
                Question { to: To::Key(key.clone()), command }
            }
        }
    }

    /// The hash of an operation's script; a server that is asked for one without says that it has no such script.
    fn hash(&self, operation: Operation) -> &str {
        self.hashes.get(operation as usize).map_or("", String::as_str)
    }

    /// Gives the operations to every server that takes changes. One that cannot be reached gets them when it is back.
    fn load(&mut self, wire: &mut Wire, limit: Instant) -> RedisResult<()> {
        if self.road == Road::Functions {
            let result =
                self.give(wire, &[cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(self.source()).take()], limit);
            match result {
                Err(error) if is_refusal(&error) => self.road = Road::Scripts,
                other => return other.map(drop),
            }
        }
        let commands = Operation::ALL.map(|operation| cmd("SCRIPT").arg("LOAD").arg(operation.script()).take());
        let hashes = self.give(wire, &commands, limit)?;
        self.hashes = hashes.into_iter().map(redis::from_redis_value).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Has every member run commands; the answers of one that did.
    fn give(&mut self, wire: &mut Wire, commands: &[Cmd], limit: Instant) -> RedisResult<Vec<Value>> {
        let members = wire.members(limit)?;
        let questions: Vec<Question> = members
            .iter()
            .flat_map(|member| {
                commands.iter().map(|command| Question { to: To::Member(member.clone()), command: command.clone() })
            })
            .collect();
        let mut result = Ok(Vec::new());
        let answers = wire.exchange(&questions, limit);
        for answers in answers.chunks(commands.len()) {
            match answers.iter().cloned().collect::<RedisResult<Vec<Value>>>() {
                Ok(values) => result = Ok(values),
                Err(error) if !error.is_io_error() => return Err(error),
                Err(error) if matches!(&result, Ok(values) if values.is_empty()) => result = Err(error),
                Err(_) => {}
            }
        }
        result
    }

    /// The library of functions.
    fn source(&self) -> String {
        let library = &self.library;
        let mut source = format!("#!lua name={library}\n{NUMBERS}");
        Operation::ALL.into_iter().for_each(|operation| source.push_str(operation.source()));
        for operation in Operation::ALL {
            let name = operation.name();
            source.push_str(&format!("redis.register_function('{library}_{name}', {name})\n"));
        }
        source
    }
}
