//! `tallymark set`: gives a gauge a value, from a shell.

use tallymark::Gauge;
use tallymark::metric::Handle;
use tallymark::model::{GaugeMode, Kind};

use super::update::Update;
use crate::error::Error;

/// Set a gauge
#[derive(clap::Args)]
#[command(after_help = "\
The value that was set last is shown, by whichever process, until another one sets it. If a store of many hosts is
away, this host's spool keeps the value, stderr says so, and the exit code is 0.

Examples:
  export TALLYMARK_STORE=file:/var/lib/tallymark/jobs.tally
  tallymark set disk_used_bytes mount=/srv \"$(df --output=used -B1 /srv | tail -1)\"
  tallymark set last_restore_timestamp_seconds \"$(date +%s)\"
  tallymark set temperature_celsius -- -3.5")]
pub(crate) struct Set {
    #[command(flatten)]
    update: Update,
}

impl Set {
    pub(crate) fn run(self) -> Result<(), Error> {
        let updating = self.update.begin(&[Kind::Gauge], |builder| builder)?;
        let value = updating.required(None)?;
        updating.refuse(
            &[GaugeMode::Sum],
            "what is set would be added to what others have set; add to it with tallymark inc --gauge",
        )?;
        updating.refuse(&LIVE, "the value would end with this process; take another name")?;
        updating.finish(|series| Gauge::new(series).set(value))
    }
}

/// The modes that leave out processes that have ended.
const LIVE: [GaugeMode; 5] =
    [GaugeMode::LiveAll, GaugeMode::LiveMin, GaugeMode::LiveMax, GaugeMode::LiveSum, GaugeMode::LiveMostRecent];
