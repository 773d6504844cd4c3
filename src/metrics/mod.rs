//! What is counted and measured, for `/metrics` (Prometheus).
//!
//! Knows the names, labels and buckets, and not who counts. To add a figure: a field with its line in [`Metrics::new`],
//! a method that says in the house's words what happened, and its line in `docs/operations.md` (a test compares the
//! two). A label has few values, all ours: never a member, a text or an id.
//!
//! Counting is an atomic addition, observing a duration a few nanoseconds under a lock that is held for no longer; so
//! both are allowed before the callback's 200.

mod buckets;
mod labels;
pub mod machine;
mod sampled;
mod sending;

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use self::{
    buckets::{ACK, DELIVERY, FIRST_BYTE, FIRST_DELTA, FIRST_PART, TURN},
    labels::{
        ASKED, ByApp, ByDirection, ByErrcode, ByKind, ByPath, ByResult, ByRule, CallbackLabels, MODEL_ERRORS, PAUSES,
        PauseLabels, ProgramLabels, REFUSALS, RefreshLabels, SENDS, path_of,
    },
    sampled::Sampler,
};
pub use self::{
    labels::TurnResult,
    sampled::{Depth, Sample},
};

/// The figures of this process. Clones are the same; one that is [of an application](Metrics::of_app) gives those figures
/// its name that are of one application.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    app: ByApp,
    sampler: Arc<Sampler>,
    callbacks: Family<CallbackLabels, Counter>,
    ack: Histogram,
    turns: Family<ByResult, Counter>,
    running_turns: Gauge,
    turn: Histogram,
    first_delta: Histogram,
    first_part: Histogram,
    model_calls: Counter,
    model_errors: Family<ByKind, Counter>,
    tokens: Family<ByDirection, Counter>,
    safety_hits: Family<ByRule, Counter>,
    program_requests: Family<ProgramLabels, Counter>,
    program_calls: Gauge,
    program_first_byte: Family<ByPath, Histogram, fn() -> Histogram>,
    sends: Family<ByErrcode, Counter>,
    deliveries: Family<ByResult, Counter>,
    delivery: Histogram,
    pauses: Family<PauseLabels, Gauge>,
    refreshes: Family<RefreshLabels, Counter>,
    access_token_fetched: Family<ByApp, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero. Every series whose labels are known is there from the start, so that its first event is a rise
    /// from zero and not the appearance of a one, which `rate` and `increase` do not see.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sampler = Arc::new(Sampler::new(started));
        registry.register_collector(Box::new(machine::Machine::new(started)));

        let ours = registry.sub_registry_with_prefix("qimate");
        ours.register_collector(Box::new(Arc::clone(&sampler)));
        ours.register("build", "Which Qimate this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        macro_rules! register {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                ours.register($name, $help, metric.clone());
                metric
            }};
            ($name:literal, $unit:expr, $help:literal, $metric:expr) => {{
                let metric = $metric;
                ours.register_with_unit($name, $help, $unit, metric.clone());
                metric
            }};
        }
        let metrics = Self {
            callbacks: register!("callbacks", "Callbacks by what became of them", Family::default()),
            ack: register!(
                "callback_ack",
                Unit::Seconds,
                "From the last byte of a callback to its 200",
                Histogram::new(ACK)
            ),
            turns: register!("turns", "Questions by how they ended", Family::default()),
            running_turns: register!("running_turns", "Answers that are being written", Gauge::default()),
            turn: register!(
                "turn",
                Unit::Seconds,
                "From the acceptance of a question to the end of its answer",
                Histogram::new(TURN)
            ),
            first_delta: register!(
                "first_delta",
                Unit::Seconds,
                "From asking the model, retries included, to the first word of its answer",
                Histogram::new(FIRST_DELTA)
            ),
            first_part: register!(
                "first_part",
                Unit::Seconds,
                "From the acceptance of a question to the commit of the first part of its answer to the outbox",
                Histogram::new(FIRST_PART)
            ),
            model_calls: register!("model_calls", "Calls of the model, each try counted", Counter::default()),
            model_errors: register!("model_errors", "Calls of the model that failed, by kind", Family::default()),
            tokens: register!("tokens", "Model tokens", Family::default()),
            safety_hits: register!(
                "safety_hits",
                "What the rules of [safety] found, by rule, direction and what was done",
                Family::default()
            ),
            program_requests: register!(
                "v1_requests",
                "Requests of programs by path and HTTP status",
                Family::default()
            ),
            program_calls: register!("v1_in_flight", "Calls of programs that are under way", Gauge::default()),
            program_first_byte: register!(
                "v1_first_byte",
                Unit::Seconds,
                "From a program's request to the head of an answer that is none of refusal",
                Family::new_with_constructor((|| Histogram::new(FIRST_BYTE)) as fn() -> Histogram)
            ),
            sends: register!("sends", "Calls of message/send by WeCom's errcode", Family::default()),
            deliveries: register!("deliveries", "What became of attempts to deliver a message", Family::default()),
            delivery: register!(
                "delivery",
                Unit::Seconds,
                "From a message's place in the outbox to WeCom's yes",
                Histogram::new(DELIVERY)
            ),
            pauses: register!("sending_paused", "1: nothing can be sent, for this reason", Family::default()),
            refreshes: register!("access_token_refreshes", "Calls of gettoken", Family::default()),
            access_token_fetched: register!(
                "access_token_fetched_timestamp",
                Unit::Seconds,
                "When the access token was fetched, in seconds since the epoch; 0: never",
                Family::default()
            ),
            sampler,
            registry: Arc::new(registry),
            app: ByApp(None),
        };
        metrics.show_what_is_known();
        metrics
    }

    /// The same figures, for the parts of one application; `None`: that of `[wecom]`. From now on those are shown that
    /// are of it alone.
    pub fn of_app(&self, name: Option<&Arc<str>>) -> Self {
        let metrics = Self { app: ByApp(name.cloned()), ..self.clone() };
        for reason in PAUSES {
            drop(metrics.pause(reason));
        }
        drop(metrics.access_token_fetched.get_or_create(&metrics.app));
        metrics
    }

    fn pause(&self, reason: &'static str) -> impl Deref<Target = Gauge> {
        self.pauses.get_or_create(&PauseLabels { reason, app: self.app.clone() })
    }

    fn show_what_is_known(&self) {
        for result in ["accepted", "duplicate", "verified"] {
            drop(self.callbacks.get_or_create(&CallbackLabels { result, reason: "" }));
        }
        for reason in REFUSALS {
            drop(self.callbacks.get_or_create(&CallbackLabels { result: "refused", reason }));
        }
        for result in TurnResult::ALL {
            drop(self.turns.get_or_create(&ByResult { result: result.word() }));
        }
        for kind in MODEL_ERRORS {
            drop(self.model_errors.get_or_create(&ByKind { kind }));
        }
        for direction in ["input", "output"] {
            for estimated in ["false", "true"] {
                drop(self.tokens.get_or_create(&ByDirection { direction, estimated }));
            }
        }
        for path in ASKED {
            drop(self.program_requests.get_or_create(&ProgramLabels { path, status: "200".into() }));
            drop(self.program_first_byte.get_or_create(&ByPath { path }));
        }
        for (rule, direction, action) in labels::safety_hits() {
            drop(self.safety_hits.get_or_create(&ByRule { rule, direction, action }));
        }
        for errcode in SENDS {
            drop(self.sends.get_or_create(&ByErrcode { errcode: errcode.into() }));
        }
        for result in ["delivered", "again", "given_up"] {
            drop(self.deliveries.get_or_create(&ByResult { result }));
        }
        for (result, errcode) in [("fetched", "0"), ("unreachable", "")] {
            drop(self.refreshes.get_or_create(&RefreshLabels { result, errcode: errcode.into() }));
        }
    }

    /// A callback is on the disk and answered with 200, `after` its last byte came.
    pub fn callback_accepted(&self, after: Duration) {
        self.callbacks.get_or_create(&CallbackLabels { result: "accepted", reason: "" }).inc();
        self.ack.observe(after.as_secs_f64());
    }

    /// A callback that was here before is answered with 200, `after` its last byte came.
    pub fn callback_repeated(&self, after: Duration) {
        self.callbacks.get_or_create(&CallbackLabels { result: "duplicate", reason: "" }).inc();
        self.ack.observe(after.as_secs_f64());
    }

    /// WeCom verified the callback's URL.
    pub fn callback_verified(&self) {
        self.callbacks.get_or_create(&CallbackLabels { result: "verified", reason: "" }).inc();
    }

    /// A callback was refused. `reason` is one of a fixed set of words.
    pub fn callback_refused(&self, reason: &'static str) {
        debug_assert!(REFUSALS.contains(&reason), "{reason} is to be among the known");
        self.callbacks.get_or_create(&CallbackLabels { result: "refused", reason }).inc();
    }

    /// How many callbacks there were, by result and reason (empty where none): for the status, without those at zero.
    pub fn callbacks(&self) -> Vec<(&'static str, &'static str, u64)> {
        let known = ["accepted", "duplicate", "verified"].map(|result| (result, ""));
        let all = known.into_iter().chain(REFUSALS.map(|reason| ("refused", reason)));
        let counted = all.map(|(result, reason)| {
            (result, reason, self.callbacks.get_or_create(&CallbackLabels { result, reason }).get())
        });
        counted.filter(|(_, _, count)| *count > 0).collect()
    }

    /// A turn begins; it runs until the guard is dropped.
    pub fn turn_begins(&self) -> RunningTurn<'_> {
        self.running_turns.inc();
        RunningTurn(&self.running_turns)
    }

    /// A turn ended, `after` its question was accepted.
    pub fn turn_ended(&self, result: TurnResult, after: Duration) {
        self.turns.get_or_create(&ByResult { result: result.word() }).inc();
        self.turn.observe(after.as_secs_f64());
    }

    /// How many turns run now.
    pub fn running_turns(&self) -> i64 {
        self.running_turns.get()
    }

    /// The first word of an answer came, `after` the model was asked.
    pub fn first_delta(&self, after: Duration) {
        self.first_delta.observe(after.as_secs_f64());
    }

    /// The first part of an answer was committed to the outbox, `after` its question was accepted.
    pub fn first_part(&self, after: Duration) {
        self.first_part.observe(after.as_secs_f64());
    }

    /// The model is asked; each try counts.
    pub fn model_called(&self) {
        self.model_calls.inc();
    }

    /// A call of the model failed, or broke off. `kind` is one of a fixed set of words.
    pub fn model_failed(&self, kind: &'static str) {
        debug_assert!(MODEL_ERRORS.contains(&kind), "{kind} is to be among the known");
        self.model_errors.get_or_create(&ByKind { kind }).inc();
    }

    /// A model call cost these tokens; `estimated` where the upstream did not say.
    pub fn tokens_used(&self, input: u64, output: u64, estimated: bool) {
        let estimated = if estimated { "true" } else { "false" };
        self.tokens.get_or_create(&ByDirection { direction: "input", estimated }).inc_by(input);
        self.tokens.get_or_create(&ByDirection { direction: "output", estimated }).inc_by(output);
    }

    /// A rule of `[safety]` fitted so many times: `direction` is `in` or `out`, seen from the model. All three are of
    /// fixed sets of words.
    pub fn safety_hit(&self, rule: &'static str, direction: &'static str, action: &'static str, times: u32) {
        self.safety_hits.get_or_create(&ByRule { rule, direction, action }).inc_by(u64::from(times));
    }

    /// A program's request to `path` is answered with this HTTP status, `after` it came.
    pub fn program_answered(&self, path: &str, status: u16, after: Duration) {
        let path = path_of(path);
        self.program_requests.get_or_create(&ProgramLabels { path, status: status.to_string().into() }).inc();
        if ASKED.contains(&path) && (200..300).contains(&status) {
            self.program_first_byte.get_or_create(&ByPath { path }).observe(after.as_secs_f64());
        }
    }

    /// A program's call begins; it is under way until the guard is dropped.
    pub fn program_calls(&self) -> ProgramCall {
        self.program_calls.inc();
        ProgramCall(self.program_calls.clone())
    }

    /// When this process began, since the epoch.
    pub fn started(&self) -> Duration {
        self.sampler.started()
    }

    /// Everything, with `sample` of what had to be asked for, in the OpenMetrics text format. Figures that `sample`
    /// does not have are left out: an absent figure is the truth, a stale one is not.
    ///
    /// # Errors
    /// Formatting into a `String` does not fail; the signature is the encoder's.
    pub fn render(&self, sample: Sample) -> Result<String, fmt::Error> {
        let mut text = String::new();
        self.sampler.set(sample);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A program's call that is under way.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub struct ProgramCall(Gauge);

impl Drop for ProgramCall {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A turn that runs.
#[must_use = "the turn ends when this is dropped"]
pub struct RunningTurn<'a>(&'a Gauge);

impl Drop for RunningTurn<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
