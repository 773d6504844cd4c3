//! The daemon's own examination: once at start, later when somebody asks, never more than once a minute.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Database, Doctor, SendTest,
    finding::{Check, Report, Status},
};
use crate::clock::Timestamp;

/// How old a report may become before somebody who asks causes a new one.
const FRESH: Duration = Duration::from_secs(60);

/// Keeps the last report.
pub struct Standing {
    doctor: Doctor,
    database: Database,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    /// With the time at which its examination began.
    last: Option<(Timestamp, Report)>,
    begun: Option<Timestamp>,
    /// By check, cause, application and upstream.
    logged: BTreeSet<(Check, String, Option<String>, Option<String>)>,
}

impl Standing {
    /// Examines nothing yet.
    pub fn new(doctor: Doctor, database: Database) -> Self {
        Self { doctor, database, state: Mutex::default(), asked: Notify::new() }
    }

    /// The last report and its age, and a new one in the background where it is old. Does not wait for that.
    pub fn ask(&self) -> Option<(Report, Duration)> {
        let now = self.doctor.clock.now();
        if self.is_due(now) {
            self.asked.notify_one();
        }
        self.state().last.as_ref().map(|(at, report)| (report.clone(), now.since(*at)))
    }

    /// Examines at start, where `at_start`, and when somebody asks, until `stop`.
    pub async fn run(&self, at_start: bool, stop: CancellationToken) {
        if at_start {
            self.asked.notify_one();
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
            }
            let now = self.doctor.clock.now();
            // Asked again while the last examination went on.
            if !self.is_due(now) {
                continue;
            }
            self.state().begun = Some(now);
            let report = tokio::select! {
                () = stop.cancelled() => return,
                report = self.doctor.examine(&self.database, &SendTest::Never) => report,
            };
            self.log(&report);
            self.state().last = Some((now, report));
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        // A clock that was set back makes nothing wait longer.
        self.state().begun.is_none_or(|begun| begun > now || now.since(begun) >= FRESH)
    }

    /// Each problem once, until it was gone and is back.
    fn log(&self, report: &Report) {
        let mut seen = BTreeSet::new();
        let mut state = self.state();
        for finding in &report.findings {
            let Some(cause) = finding.code else { continue };
            let (check, cause) = (finding.id, cause.code());
            if !state.logged.contains(&(check, cause.clone(), finding.app.clone(), finding.upstream.clone())) {
                let (label, id) = (check.label(report.language), check.id());
                let (found, why, remedy, place) = (&finding.found, &finding.cause, &finding.remedy, &finding.place);
                match finding.status {
                    Status::Problem => error!(check = id, cause, "{label}: {found}; {why}; {remedy}; {place}"),
                    _ => warn!(check = id, cause, "{label}: {found}; {why}; {remedy}; {place}"),
                }
            }
            seen.insert((check, cause, finding.app.clone(), finding.upstream.clone()));
        }
        info!("checked the set-up: {}", report.summary());
        state.logged = seen;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Standing")
    }
}
