//! What the process takes of the machine: the names that every Prometheus client has (`process_...`), and the disk.
//!
//! What a system does not tell is left out.

use std::{path::Path, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
    registry::Unit,
};

use super::sampled::Gauges;

/// Shows the figures of this process.
#[derive(Debug)]
pub(super) struct Machine {
    started: Duration,
}

impl Machine {
    /// `started`: since the epoch.
    pub(super) const fn new(started: Duration) -> Self {
        Self { started }
    }
}

impl Collector for Machine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "When the process started, in seconds since the epoch";
        Gauges(&mut encoder).show("process_start_time", help, Some(Unit::Seconds), self.started.as_secs_f64())?;
        if let Some(bytes) = resident_memory() {
            let help = "Resident memory";
            Gauges(&mut encoder).show("process_resident_memory", help, Some(Unit::Bytes), bytes)?;
        }
        if let Some(files) = open_files() {
            Gauges(&mut encoder).show("process_open_fds", "Open file descriptors", None, files)?;
        }
        if let Some(cpu) = cpu_time() {
            let counter = ConstCounter::new(cpu.as_secs_f64());
            let help = "CPU time of the process, user and system";
            let metric = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

/// Bytes of memory that the process holds; `None` where the system has no `/proc`.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Files, sockets and the like that the process has open; `None` where the system has no `/proc`.
fn open_files() -> Option<u64> {
    // One of them is the directory that is being read.
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u64::try_from(open).ok()
}

#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(unix))]
const fn cpu_time() -> Option<Duration> {
    None
}

/// Bytes that are free for this process on the disk that holds `path`; `None` where the system does not say. May wait
/// for a disk on the network.
#[cfg(unix)]
pub fn disk_free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes that are free for this process on the disk that holds `path`: not known on this system.
#[cfg(not(unix))]
pub const fn disk_free(_path: &Path) -> Option<u64> {
    None
}
