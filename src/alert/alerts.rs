//! The alerts that are raised: told once, in order, and told again when it is well.
//!
//! What is in memory counts; the store has a copy for the next start, and takes it as soon as it can be written. A
//! message to the operators enters the outbox together with the memory that they have it. While WeCom does not take
//! messages none is put there: the webhook and the log say it at once, and the operators get what is left to be said
//! when WeCom works again.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use tracing::{error, info, warn};

use super::{
    condition::Condition,
    judge::{Finding, Verdict, judge, judge_other},
    observation::{Database, Observation, Wecom},
    texts,
    webhook::{Hook, Notice, State},
};
use crate::{
    clock::Timestamp,
    config::{self, chat::Language},
    model::reply::{Format, PART_LIMIT, ReplyPart},
    store::{
        self, Store,
        alerts::{AlertMessage, AlertRow, AlertState, KeptAlerts, Operators, Withheld},
    },
};

/// The span in which `alerts.max_per_hour` counts.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Who is told.
#[derive(Debug)]
pub struct Audience {
    /// By a WeCom message.
    pub operators: Operators,
    /// By the webhook.
    pub hook: Option<Hook>,
    /// In which language.
    pub language: Language,
}

/// The alerts of this instance.
#[derive(Debug)]
pub struct Alerts {
    store: Store,
    settings: config::Alerts,
    audience: Audience,
    open: Vec<Alert>,
    /// When those were raised that count against the limit.
    sent_at: Vec<Timestamp>,
    /// How many were withheld since one last said so.
    withheld: u32,
    /// Addresses of [`Condition::WecomAddress`] that were named while it is raised, with the application's name.
    addresses: HashSet<(Option<Arc<str>>, String)>,
    /// What the application is called that tells the operators, where there are several.
    speaker: Option<Arc<str>>,
    /// Whether the store knows less than we do.
    unsaved: bool,
    /// Whether the store has yet to learn that those withheld were summed up.
    sums_up: bool,
    /// Whether it was logged that the store does not take them.
    complained: bool,
}

#[derive(Clone, Debug)]
struct Alert {
    subject: Subject,
    row: AlertRow,
}

/// What is wrong: a condition and, where it is of an application other than the one that tells the operators, which.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    condition: Condition,
    app: Option<Arc<str>>,
}

impl Subject {
    /// As the store has it: `wecom_refused`, `wecom_refused:hr`.
    fn stored(&self) -> String {
        match &self.app {
            None => self.condition.name().to_owned(),
            Some(app) => format!("{}:{app}", self.condition.name()),
        }
    }

    fn find(stored: &str) -> Option<Self> {
        let (condition, app) = stored.split_once(':').map_or((stored, None), |(name, app)| (name, Some(app.into())));
        Some(Self { condition: Condition::find(condition)?, app })
    }

    /// Whether the operators hear of it only when it is over. Of another application they can be told at once.
    fn is_told_afterwards(&self) -> bool {
        self.condition.is_told_afterwards() && !(self.app.is_some() && self.condition.concerns_wecom())
    }
}

impl Alerts {
    /// Goes on from what the process before left in `store`.
    ///
    /// # Errors
    /// [`store::Error`] when it cannot be read.
    pub async fn open(
        store: Store,
        settings: config::Alerts,
        audience: Audience,
        now: Timestamp,
    ) -> Result<Self, store::Error> {
        let KeptAlerts { open, sent_at, withheld } = store.alerts(now - HOUR).await?;
        // What a newer version raised is its business, should it come back.
        let known = |row: AlertRow| Subject::find(&row.condition).map(|subject| Alert { subject, row });
        Ok(Self {
            store,
            settings,
            audience,
            open: open.into_iter().filter_map(known).collect(),
            sent_at,
            withheld,
            addresses: HashSet::new(),
            speaker: None,
            unsaved: false,
            sums_up: false,
            complained: false,
        })
    }

    /// The conditions that are wrong so far, of other applications than the one that tells the operators left out.
    pub fn raised(&self) -> BTreeSet<Condition> {
        let raised = self.open.iter().filter(|alert| alert.is_raised() && alert.subject.app.is_none());
        raised.map(|alert| alert.subject.condition).collect()
    }

    fn is_raised(&self, subject: &Subject) -> bool {
        self.open.iter().any(|alert| alert.is_raised() && alert.subject == *subject)
    }

    /// Raises what is wrong and ends what is well, says so in the log and at the webhook, and brings to the operators
    /// what they have not heard.
    pub async fn look(&mut self, seen: &Observation) {
        self.speaker.clone_from(&seen.app);
        self.forget_other_apps(seen);
        let of_all = judge(seen, &self.settings, &self.raised()).into_iter().map(|judged| (None, judged));
        let of_others = seen.others.iter().flat_map(|(app, wecom)| {
            judge_other(wecom, seen.now).into_iter().map(|judged| (Some(Arc::clone(app)), judged))
        });
        for (app, (condition, verdict)) in of_all.chain(of_others) {
            let subject = Subject { condition, app };
            match verdict {
                Verdict::Wrong { since, finding } if !self.is_raised(&subject) => {
                    self.raise(subject, &finding, since, seen.now);
                }
                Verdict::Wrong { finding, .. } => self.name_new_address(&subject, &finding, seen.now),
                Verdict::Well if self.is_raised(&subject) => self.resolve(&subject, seen.now),
                Verdict::Well | Verdict::Unclear => {}
            }
        }
        // Where it cannot be written, asking again would only make this wait.
        if matches!(seen.database, Database::Writable { .. }) {
            self.keep(seen).await;
        }
    }

    /// Closes what was raised of an application that is not served any more: nothing will ever be seen of it.
    fn forget_other_apps(&mut self, seen: &Observation) {
        for alert in &mut self.open {
            let is_gone = |app: &Arc<str>| seen.others.iter().all(|(other, _)| other != app);
            if alert.subject.app.as_ref().is_some_and(is_gone) && alert.row.state != AlertState::Closed {
                alert.row.state = AlertState::Closed;
                self.unsaved = true;
            }
        }
    }

    fn raise(&mut self, subject: Subject, finding: &Finding, since: Timestamp, now: Timestamp) {
        self.addresses.extend(address_of(finding).map(|address| (subject.app.clone(), address.to_owned())));
        let (detail, mut remedy, withheld) = self.announce(&subject, finding, now);
        if withheld == Withheld::No && self.withheld > 0 {
            remedy.push_str(&texts::withheld(self.withheld, self.audience.language));
            self.sum_up();
        }
        let row = AlertRow {
            id: None,
            condition: subject.stored(),
            state: AlertState::Raised,
            withheld,
            since: since.min(now),
            raised_at: now,
            resolved_at: None,
            detail,
            remedy,
        };
        if withheld == Withheld::No {
            self.post(State::Raised, &subject, &row, now);
        }
        self.open.push(Alert { subject, row });
        self.unsaved = true;
    }

    /// The address changes with each restart on some platforms: whoever has just entered one must learn of the next.
    fn name_new_address(&mut self, subject: &Subject, finding: &Finding, now: Timestamp) {
        let Some(address) = address_of(finding) else { return };
        let is_first_after_start = self.addresses.iter().all(|(app, _)| *app != subject.app);
        if !self.addresses.insert((subject.app.clone(), address.to_owned())) {
            return;
        }
        let language = self.audience.language;
        let detail = self.of_app(subject, texts::detail(finding, language), language);
        let Some(at) = self.open.iter().position(|one| one.subject == *subject && one.is_raised()) else { return };
        if is_first_after_start && self.open[at].row.detail == detail {
            return;
        }
        let (detail, remedy, withheld) = self.announce(subject, finding, now);
        let mut row = AlertRow { detail, remedy, ..self.open[at].row.clone() };
        if withheld == Withheld::No {
            // Whoever hears of it now is to hear that it ends, too.
            row.withheld = Withheld::No;
            self.post(State::Raised, subject, &row, now);
        }
        self.open[at].row = row;
        self.unsaved = true;
    }

    /// Logs that something is wrong and decides whether others are told.
    fn announce(&mut self, subject: &Subject, finding: &Finding, now: Timestamp) -> (String, String, Withheld) {
        // Those of a far future are of a clock that was set back since, and must not count until it is there again.
        self.sent_at.retain(|at| now.since(*at) < HOUR && at.since(now) < HOUR);
        let withheld = if self.sent_at.len() < self.settings.max_per_hour as usize {
            self.sent_at.push(now);
            Withheld::No
        } else {
            self.withheld = self.withheld.saturating_add(1);
            Withheld::Yes
        };
        error!(
            condition = subject.condition.name(),
            withheld = withheld != Withheld::No,
            "alert: {} {}",
            self.of_app(subject, texts::detail(finding, Language::English), Language::English),
            texts::remedy(finding, Language::English)
        );
        let language = self.audience.language;
        let detail = self.of_app(subject, texts::detail(finding, language), language);
        (detail, texts::remedy(finding, language), withheld)
    }

    /// Says of which application it is, where that is not clear.
    fn of_app(&self, subject: &Subject, text: String, language: Language) -> String {
        let of_speaker = self.speaker.as_ref().filter(|_| subject.condition.concerns_wecom());
        texts::of_app(subject.app.as_ref().or(of_speaker).map(|app| &**app), text, language)
    }

    fn sum_up(&mut self) {
        self.withheld = 0;
        self.sums_up = true;
        for alert in self.open.iter_mut().filter(|alert| alert.row.withheld == Withheld::Yes) {
            alert.row.withheld = Withheld::SummedUp;
        }
    }

    fn resolve(&mut self, subject: &Subject, now: Timestamp) {
        let condition = subject.condition;
        if condition == Condition::WecomAddress {
            self.addresses.retain(|(app, _)| *app != subject.app);
        }
        let Some(alert) = self.open.iter_mut().find(|one| one.subject == *subject && one.is_raised()) else {
            return;
        };
        alert.row.resolved_at = Some(now);
        // Whoever did not hear that it began need not hear that it ended.
        alert.row.state = if alert.row.withheld == Withheld::No { AlertState::Resolved } else { AlertState::Closed };
        let lasted = now.since(alert.row.since);
        info!(
            condition = condition.name(),
            lasted_s = lasted.as_secs(),
            "alert is over: {}",
            texts::well(condition, Language::English)
        );
        if alert.row.withheld == Withheld::No {
            let (row, language) = (alert.row.clone(), self.audience.language);
            let detail = self.of_app(subject, texts::ending(condition, lasted, language, false), language);
            let row = AlertRow { detail, remedy: String::new(), ..row };
            self.post(State::Resolved, subject, &row, now);
        }
        self.unsaved = true;
    }

    fn post(&self, state: State, subject: &Subject, row: &AlertRow, at: Timestamp) {
        if let Some(hook) = &self.audience.hook {
            let (detail, remedy) = (row.detail.clone(), row.remedy.clone());
            let of_speaker = self.speaker.as_ref().filter(|_| subject.condition.concerns_wecom());
            let app = subject.app.as_ref().or(of_speaker).cloned();
            hook.post(Notice { condition: subject.condition.name(), app, state, at, detail, remedy });
        }
    }

    /// Brings store and operators up to date.
    async fn keep(&mut self, seen: &Observation) {
        let mut next = self.open.clone();
        let mut messages = Vec::new();
        let wecom_fails = self.raised().into_iter().any(Condition::concerns_wecom);
        if !wecom_fails && matches!(seen.wecom, Wecom::Works { .. }) {
            for (place, alert) in next.iter_mut().enumerate() {
                messages.extend(self.message(place, alert, seen.now));
                alert.row.state = match alert.row.state {
                    AlertState::Raised => AlertState::Told,
                    AlertState::Resolved => AlertState::Closed,
                    other => other,
                };
            }
        }
        let moved = next.iter().zip(&self.open).any(|(next, now)| next.row.state != now.row.state);
        if !self.unsaved && !moved {
            return;
        }
        let rows = next.iter().map(|alert| alert.row.clone()).collect();
        let to = self.audience.operators.clone();
        match self.store.save_alerts(rows, messages, to, self.sums_up, seen.now).await {
            Ok(ids) => {
                for (alert, id) in next.iter_mut().zip(ids) {
                    alert.row.id = Some(id);
                }
                next.retain(|alert| alert.row.state != AlertState::Closed);
                self.open = next;
                (self.unsaved, self.sums_up, self.complained) = (false, false, false);
            }
            Err(error) => {
                if !self.complained {
                    warn!(%error, "the alerts could not be saved; the operators are told when they can be");
                }
                self.complained = true;
            }
        }
    }

    /// What the operators have not heard of an alert.
    fn message(&self, place: usize, alert: &Alert, now: Timestamp) -> Option<AlertMessage> {
        let (row, language) = (&alert.row, self.audience.language);
        let (text, ends) = match row.state {
            AlertState::Raised if row.withheld == Withheld::No && !alert.subject.is_told_afterwards() => {
                (texts::raised(&row.detail, &row.remedy, now.since(row.since), language), false)
            }
            AlertState::Resolved => {
                let lasted = row.resolved_at.unwrap_or(now).since(row.since);
                (texts::resolved(alert.subject.condition, &row.detail, lasted, language), true)
            }
            _ => return None,
        };
        let fitting = &text[..text.floor_char_boundary(PART_LIMIT)];
        ReplyPart::new(Format::Text, fitting).ok().map(|part| AlertMessage { alert: place, ends, part })
    }
}

impl Alert {
    const fn is_raised(&self) -> bool {
        matches!(self.row.state, AlertState::Raised | AlertState::Told)
    }
}

fn address_of(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::WecomAddress { address } => Some(address.as_deref().unwrap_or_default()),
        _ => None,
    }
}
