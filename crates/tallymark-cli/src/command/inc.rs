//! `tallymark inc`: adds to a counter, from a shell.

use tallymark::metric::Handle;
use tallymark::model::{GaugeMode, Kind};
use tallymark::{Counter, Gauge};

use super::update::Update;
use crate::error::Error;

/// Add to a counter, or to a gauge that adds up
#[derive(clap::Args)]
#[command(after_help = "\
The amount is 1 if none is given. A name that the store does not know becomes a counter; with --gauge it becomes a gauge
of the mode sum, which may also be lowered: tallymark inc --gauge queue -1

Counted is counted: if a store of many hosts is away, this host's spool keeps the number, stderr says so, and the exit
code is 0.

Examples:
  export TALLYMARK_STORE=file:/var/lib/tallymark/jobs.tally
  tallymark inc backups_total
  tallymark inc backup_bytes_total host=\"$HOSTNAME\" 1048576 --help-text 'Bytes written by backups.'
  tallymark inc mails_total --store http://localhost:9091/metrics/job/mail")]
pub(crate) struct Inc {
    #[command(flatten)]
    update: Update,

    /// Make a gauge, not a counter, if the store does not know the name
    #[arg(long)]
    gauge: bool,
}

impl Inc {
    pub(crate) fn run(self) -> Result<(), Error> {
        let kinds: &[Kind] = if self.gauge { &[Kind::Gauge] } else { &[Kind::Counter, Kind::Gauge] };
        let updating = self.update.begin(kinds, |builder| builder.mode(mode(self.gauge)))?;
        let amount = updating.finite(Some(1.0))?;
        updating.refuse(&OTHERS, "what a process that ends has added would not stay; set it, or take another name")?;
        let is_gauge = updating.definition.kind() == Kind::Gauge;
        if !is_gauge && amount < 0.0 {
            return Err(Error::Usage(format!("{amount} would lower a counter; a gauge may be lowered: --gauge")));
        }
        updating.finish(|series| {
            if is_gauge {
                Gauge::new(series).inc_by(amount);
            } else {
                // Refuses what is below zero, which was refused already.
                let _ = Counter::new(series).inc_by(amount);
            }
        })
    }
}

fn mode(gauge: bool) -> GaugeMode {
    if gauge { GaugeMode::Sum } else { GaugeMode::default() }
}

/// The modes in which a gauge is not the sum of what all processes have added.
const OTHERS: [GaugeMode; 10] = [
    GaugeMode::Auto,
    GaugeMode::All,
    GaugeMode::LiveAll,
    GaugeMode::Min,
    GaugeMode::LiveMin,
    GaugeMode::Max,
    GaugeMode::LiveMax,
    GaugeMode::LiveSum,
    GaugeMode::MostRecent,
    GaugeMode::LiveMostRecent,
];
