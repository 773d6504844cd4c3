//! Figures that are not counted as things happen but asked for when somebody looks: how much waits, and since when.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Unit,
};

/// How much waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// How many messages.
    pub messages: u64,
    /// How long the oldest of them has waited; zero when none does.
    pub oldest: Duration,
}

/// What was asked for. `None`: it could not be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Messages that are not handled yet, those under way included.
    pub inbox: Option<Depth>,
    /// Parts that are not delivered yet, those under way included.
    pub outbox: Option<Depth>,
    /// Messages that were given up.
    pub dead_letters: Option<u64>,
    /// Bytes that are free for us on the disk with the database.
    pub disk_free: Option<u64>,
}

/// Shows the last sample.
#[derive(Debug)]
pub(super) struct Sampler {
    started: Duration,
    sample: Mutex<Sample>,
}

impl Sampler {
    /// `started`: since the epoch.
    pub(super) fn new(started: Duration) -> Self {
        Self { started, sample: Mutex::default() }
    }

    pub(super) const fn started(&self) -> Duration {
        self.started
    }

    pub(super) fn set(&self, sample: Sample) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = sample;
    }
}

impl Collector for Sampler {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let uptime = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(self.started);
        let mut gauge = Gauges(&mut encoder);
        gauge.show("uptime", "How long this process runs", Some(Unit::Seconds), uptime.as_secs_f64())?;
        if let Some(Depth { messages, oldest }) = sample.inbox {
            gauge.show("inbox_messages", "Messages that are not handled yet", None, messages)?;
            let help = "How long the oldest of them has waited; 0 when there is none";
            gauge.show("inbox_oldest_age", help, Some(Unit::Seconds), oldest.as_secs_f64())?;
        }
        if let Some(Depth { messages, oldest }) = sample.outbox {
            gauge.show("outbox_messages", "Parts of answers that are not delivered yet", None, messages)?;
            let help = "How long the oldest of them has waited; 0 when there is none";
            gauge.show("outbox_oldest_age", help, Some(Unit::Seconds), oldest.as_secs_f64())?;
        }
        if let Some(letters) = sample.dead_letters {
            gauge.show(
                "dead_letters",
                "Parts of answers that were given up and wait for an operator",
                None,
                letters,
            )?;
        }
        if let Some(bytes) = sample.disk_free {
            gauge.show("disk_free", "What is free on the disk with the database", Some(Unit::Bytes), bytes)?;
        }
        Ok(())
    }
}

/// Writes gauges whose values are known.
pub(super) struct Gauges<'a, 'b>(pub(super) &'a mut DescriptorEncoder<'b>);

impl Gauges<'_, '_> {
    pub(super) fn show(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl EncodeGaugeValue,
    ) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(value);
        let metric = self.0.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?;
        gauge.encode(metric)
    }
}
