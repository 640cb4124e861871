//! `tallymark push`: sends metrics to where nobody scrapes, once or again and again.
//!
//! Where the metrics come from is `source.rs`'s business, how they are sent that of `tallymark_transport::push`.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tallymark::model::Snapshot;
use tallymark_transport::push::{
    Client, ClientOptions, Graphite, GraphiteFormat, Method, Pushgateway, RemoteWrite, group_path,
};

use crate::clock::since_1970;
use crate::error::Error;
use crate::source::Source;

/// Send metrics to a Pushgateway, to Graphite or by remote write
#[derive(clap::Args)]
#[command(after_help = "\
A gateway's group is --job and the labels of --label. What is sent to Graphite or by remote write gets them as labels,
where it has none of these names. A user and a password may stand in a URL: https://user:password@host.

Remote write sends the time of sending with every sample that brings none; native histograms are left out. Graphite
keeps no NaN and nothing infinite.

Examples:
  tallymark push file:/run/app/metrics.tally --gateway http://localhost:9091 --job app
  backup-stats | tallymark push - --gateway http://localhost:9091 --job backup --label instance=db1
  tallymark push --gateway http://localhost:9091 --job backup --method delete
  tallymark push metrics.txt --graphite localhost:2003 --prefix shop
  tallymark push http://localhost:9099/metrics --remote-write http://localhost:9090/api/v1/write --every 15")]
#[command(group = clap::ArgGroup::new("target").required(true).args(["gateway", "graphite", "remote_write"]))]
pub(crate) struct Push {
    /// A store's URL, http://HOST:PORT/metrics, a file with metrics, or - for stdin
    #[arg(value_name = "SOURCE", env = "TALLYMARK_STORE", hide_env_values = true, required_unless_present = "method")]
    source: Option<String>,

    /// A Pushgateway, or tallymark serve
    #[arg(long, value_name = "URL", requires = "job")]
    gateway: Option<String>,

    /// A carbon daemon
    #[arg(long, value_name = "HOST:PORT")]
    graphite: Option<String>,

    /// A receiver of remote write, 2.0 or 1.0
    #[arg(long, value_name = "URL")]
    remote_write: Option<String>,

    /// The job: of the gateway's group, or a label
    #[arg(long, value_name = "NAME")]
    job: Option<String>,

    /// A label of the gateway's group, or of every sample; may be given more than once
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,

    /// put: in place of the group; post: in place of its families of these names; delete: remove the group
    #[arg(long, value_enum, requires = "gateway", default_value_t = How::Put)]
    method: How,

    /// What Graphite's paths begin with
    #[arg(long, value_name = "PATH", requires = "graphite", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Send labels to Graphite as tags, not as parts of the path
    #[arg(long, requires = "graphite")]
    tags: bool,

    /// Send pickles to Graphite, which it takes at another port: 2004
    #[arg(long, requires = "graphite")]
    pickle: bool,

    /// A header for every request, such as 'X-Scope-OrgID: shop'; may be given more than once
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// A file with a token, sent as Authorization: Bearer; it is read for each push
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// A file with the authorities that the server's certificate is checked by, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// How long a push may take
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,

    /// Push again and again, so many seconds apart, until a signal ends it; what fails is said on stderr
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    every: Option<Duration>,
}

/// What a gateway is told of a push, unless --header tells it something else: one that adds up would add the totals again.
const REPLACE: (&str, &str) = ("Tallymark-Push", "replace");

/// What happens to a gateway's group.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum How {
    Put,
    Post,
    Delete,
}

/// Where the metrics go.
enum Target {
    Gateway(Pushgateway, Method),
    Graphite(Graphite),
    RemoteWrite(RemoteWrite),
}

impl Push {
    pub(crate) fn run(self) -> Result<(), Error> {
        let labels = self.all_labels();
        let mut target = self.target()?;
        let source = match self.source.as_deref() {
            _ if self.method == How::Delete => None,
            Some("-") if self.every.is_some() => {
                return Err(Error::Usage("stdin can be read once, not with --every".to_owned()));
            }
            Some(source) => Some(Source::open(source)?),
            None => return Err(Error::Usage("no source; give a store's URL, a file, or - for stdin".to_owned())),
        };
        let Some(every) = self.every else { return self.push(source.as_ref(), &mut target, &labels) };
        loop {
            let begin = Instant::now();
            if let Err(error) = self.push(source.as_ref(), &mut target, &labels) {
                log::warn!("{error}");
            }
            sleep(every.saturating_sub(begin.elapsed()));
        }
    }

    fn push(&self, source: Option<&Source>, target: &mut Target, labels: &[(String, String)]) -> Result<(), Error> {
        let snapshot = source.map_or_else(|| Ok(Snapshot::default()), Source::snapshot)?;
        let now = since_1970();
        match target {
            Target::Gateway(gateway, method) => gateway.push(*method, &snapshot, self.way())?,
            Target::Graphite(graphite) => {
                graphite.push(&snapshot, labels, now.as_secs(), self.timeout)?;
            }
            Target::RemoteWrite(receiver) => {
                let milliseconds = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
                receiver.push(&snapshot, labels, milliseconds, self.timeout)?;
            }
        }
        Ok(())
    }
}

impl Push {
    /// The job and the labels, for samples.
    fn all_labels(&self) -> Vec<(String, String)> {
        let job = self.job.iter().map(|job| ("job".to_owned(), job.clone()));
        job.chain(self.labels.iter().cloned()).collect()
    }

    fn target(&self) -> Result<Target, Error> {
        if let Some(address) = &self.graphite {
            let format = if self.pickle { GraphiteFormat::Pickle } else { GraphiteFormat::Lines };
            return Ok(Target::Graphite(Graphite::new(address, &self.prefix, self.tags, format)?));
        }
        if let Some(url) = &self.remote_write {
            return Ok(Target::RemoteWrite(RemoteWrite::new(self.client(url)?)));
        }
        let method = match self.method {
            How::Put => Method::Put,
            How::Post => Method::Post,
            How::Delete => Method::Delete,
        };
        let client = self.client(self.gateway.as_deref().unwrap_or_default())?;
        let path = group_path(self.job.as_deref().unwrap_or_default(), &self.labels)?;
        Ok(Target::Gateway(Pushgateway::new(client, path), method))
    }

    /// How a gateway is to take it, where nobody has said.
    fn way(&self) -> &[(&str, &str)] {
        let is_said = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(REPLACE.0));
        if is_said || self.method == How::Delete { &[] } else { &[REPLACE] }
    }

    fn client(&self, url: &str) -> Result<Client, Error> {
        let (ca, headers, token) = (self.ca.clone(), self.headers.clone(), self.token_file.clone());
        Ok(Client::new(url, ClientOptions { timeout: self.timeout, ca, headers, token })?)
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("not NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    /// A year: clocks can add that to any time.
    const LONGEST: f64 = 365.0 * 86_400.0;
    let number = text.parse().ok().filter(|seconds| *seconds <= LONGEST);
    let number = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    number.filter(|seconds| !seconds.is_zero()).ok_or("not a number of seconds such as 15 or 0.5, of a year at most")
}
