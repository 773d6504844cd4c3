//! Who may use how much, as it stands at this moment: the rules that operators set, and what was used of them.
//!
//! Deciding about a call is one step under one lock, over all levels at once. What was used is stored with what it
//! bought, by whoever saves that; here it counts as soon as the call has ended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use super::{Payer, people::People};
use crate::{
    clock::{Clock, Timestamp, zone::Zone},
    model::{
        conversation::Usage,
        id::{CorpId, MemberId},
        person::Denied,
        quota::{
            amounts::Amounts,
            book::{Ask, Book, Decision, Exceeded, Hold, Level, Standing, is_nearly_used},
            plan::{AtLimit, Limit, Plan, Right},
            prices::{Prices, Rate},
            subject::Subject,
            window::QuotaWindow,
        },
    },
    store::{self, Store, plans::Rules, used::Use},
};

/// What somebody used is forgotten here when they have asked nothing for so long; it is read again.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Why a call may not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A limit has no room for it.
    #[error("{} of {}: {} of {} used", .0.limit, .0.subject.level(), .0.used, .0.allowed)]
    Limit(Box<Exceeded>),
    /// As many answers as somebody may have at once are under way.
    #[error("{concurrent} answers of the {} at once are under way", subject.level())]
    Busy {
        /// Who.
        subject: Subject,
        /// How many.
        concurrent: u32,
    },
    /// They are not answered at all at this moment, or not by this model.
    #[error("the member {why}")]
    Denied {
        /// Why.
        why: Denied,
        /// The model that was to answer; `None`: what is not words.
        alias: Option<Arc<str>>,
    },
    /// The plan does not have the model.
    #[error("the plan of the {} does not have the model {alias}", subject.level())]
    Model {
        /// Whose plan.
        subject: Subject,
        /// The model.
        alias: Arc<str>,
    },
    /// The plan does not have this.
    #[error("the plan of the {} is without {}", subject.level(), right.as_str())]
    Right {
        /// Whose plan.
        subject: Subject,
        /// What.
        right: Right,
    },
}

impl Refusal {
    /// A word that never changes, for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Limit(_) => "quota",
            Self::Busy { .. } => "busy",
            Self::Model { .. } => "model",
            Self::Right { .. } => "right",
            Self::Denied { .. } => "denied",
        }
    }
}

/// Shared by all applications.
#[derive(Debug)]
pub struct Allowances {
    store: Store,
    clock: Clock,
    zone: Zone,
    book: Mutex<Book>,
    rules: RwLock<Arc<Rules>>,
    people: People,
}

/// A call may be made. Dropped unsettled, nothing was used.
#[derive(Debug)]
pub struct Held {
    allowances: Arc<Allowances>,
    hold: Option<Hold>,
    /// The member's own limits, of which they are told when little is left.
    own: Vec<(Subject, Limit, u64)>,
    requests: u64,
    /// What it costs beside its tokens.
    beside: u64,
    /// The model to ask instead, because the limits of the one that was wished for are reached.
    pub instead: Option<Arc<str>>,
}

/// A limit of which little is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearlyUsed {
    /// Which.
    pub limit: Limit,
    /// What may be used, with what was granted.
    pub allowed: u64,
    /// What has been used of it.
    pub used: u64,
}

impl Allowances {
    /// Reads the rules from `store`; windows are those of `zone`.
    ///
    /// # Errors
    /// [`store::Error`] when they cannot be read.
    pub async fn open(store: Store, clock: Clock, zone: Zone) -> Result<Self, store::Error> {
        let rules = Arc::new(store.rules(clock.now()).await?);
        let people = People::new(store.clone(), clock.clone(), zone.clone());
        Ok(Self { store, clock, book: Mutex::new(Book::new(zone.clone())), zone, rules: RwLock::new(rules), people })
    }

    /// Reads the rules again, because somebody may have changed them.
    ///
    /// # Errors
    /// [`store::Error`]: those of before hold.
    pub async fn reload(&self) -> Result<(), store::Error> {
        self.people.changed();
        let now = self.clock.now();
        let rules = Arc::new(self.store.rules(now).await?);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.book().forget_idle(now - IDLE);
        Ok(())
    }

    /// The address book has changed: who may ask is read again at once, the rules soon ([`People::take_changed`]).
    /// `renamed`: one member's userids of before and from now on; what was used under both is learnt again.
    pub fn directory_changed(&self, corp: &CorpId, renamed: Option<[&MemberId; 2]>) {
        self.people.directory_changed();
        for member in renamed.into_iter().flatten() {
            self.book().forget(&Subject::member(corp, member));
        }
    }

    /// Whose questions are answered at all.
    pub const fn people(&self) -> &People {
        &self.people
    }

    /// The rules as they hold now.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every level has this.
    ///
    /// # Errors
    /// [`Refusal::Right`]: that one does not.
    pub async fn permit(&self, payer: Payer<'_>, right: Right) -> Result<(), Refusal> {
        let rules = self.rules();
        if rules.is_empty() {
            return Ok(());
        }
        let lacks = |subject: &Subject| rules.plan_of(subject).is_some_and(|plan| plan.without.contains(&right));
        match self.subjects_of(payer).await.into_iter().find(lacks) {
            Some(subject) => Err(Refusal::Right { subject, right }),
            None => Ok(()),
        }
    }

    /// Holds what a call that brings no words costs, at every level that it concerns.
    ///
    /// # Errors
    /// [`Refusal`]: it must not be made.
    pub async fn reserve_media(self: &Arc<Self>, payer: Payer<'_>, right: Right, ask: Ask) -> Result<Held, Refusal> {
        self.permit(payer, right).await?;
        let rules = self.rules();
        let subjects = self.subjects_of(payer).await;
        let plans: Vec<Option<&Plan>> = subjects.iter().map(|subject| rules.plan_of(subject)).collect();
        self.reserve_under(&subjects, &plans, &rules, None, ask).await
    }

    /// Holds what a call to the model `alias` will probably take, at every level that it concerns.
    ///
    /// # Errors
    /// [`Refusal`]: it must not be made.
    pub async fn reserve(
        self: &Arc<Self>,
        payer: Payer<'_>,
        alias: &Arc<str>,
        ask: Ask,
        prices: &Prices,
    ) -> Result<Held, Refusal> {
        self.reserve_at(self.subjects_of(payer).await, |_| true, alias, ask, prices).await
    }

    /// `may_have` says whether a model may answer in the place of another.
    pub(super) async fn reserve_at(
        self: &Arc<Self>,
        subjects: Vec<Subject>,
        may_have: impl Fn(&str) -> bool,
        alias: &Arc<str>,
        ask: Ask,
        prices: &Prices,
    ) -> Result<Held, Refusal> {
        let rules = self.rules();
        let plans: Vec<Option<&Plan>> = subjects.iter().map(|subject| rules.plan_of(subject)).collect();
        let priced = |alias: &Arc<str>| Ask { price: prices.highest(alias, self.clock.now()), ..ask };
        let is_reached = match self.reserve_under(&subjects, &plans, &rules, Some(alias), priced(alias)).await {
            Err(refusal @ Refusal::Limit(_)) => refusal,
            decided => return decided,
        };
        let Refusal::Limit(exceeded) = &is_reached else { return Err(is_reached) };
        // The plan whose limit is reached may name a model that is for this; of that plan's limits it is free, of the
        // others not.
        let Some(place) = subjects.iter().position(|subject| *subject == exceeded.subject) else {
            return Err(is_reached);
        };
        let instead: Arc<str> = match plans[place].map(|plan| &plan.at_limit) {
            Some(AtLimit::Model(instead)) if may_have(instead) => instead.as_str().into(),
            _ => return Err(is_reached),
        };
        let mut others = plans;
        others[place] = None;
        let ask = priced(&instead);
        let mut held =
            self.reserve_under(&subjects, &others, &rules, Some(&instead), ask).await.map_err(|_| is_reached)?;
        held.instead = Some(instead);
        Ok(held)
    }

    pub(super) async fn reserve_under(
        self: &Arc<Self>,
        subjects: &[Subject],
        plans: &[Option<&Plan>],
        rules: &Rules,
        alias: Option<&Arc<str>>,
        ask: Ask,
    ) -> Result<Held, Refusal> {
        let unlimited = Plan::default();
        let now = self.clock.now();
        let levels: Vec<Level<'_>> = subjects
            .iter()
            .zip(plans)
            .map(|(subject, plan)| Level {
                subject,
                plan: plan.unwrap_or(&unlimited),
                extra: rules.extra(subject, now),
            })
            .collect();
        if let Some(alias) = alias
            && let Some(level) = levels.iter().find(|level| !level.plan.allows(alias))
        {
            return Err(Refusal::Model { subject: level.subject.clone(), alias: Arc::clone(alias) });
        }
        loop {
            let now = self.clock.now();
            let decision = self.book().reserve(&levels, ask, now);
            match decision {
                Decision::Held(hold) => {
                    let of_members = levels.iter().filter(|level| matches!(level.subject, Subject::Member(..)));
                    let own = of_members.flat_map(|level| {
                        let allowed = |limit: &Limit| limit.amount.saturating_add(level.extra.get(limit.measure));
                        level.plan.limits.iter().map(move |limit| (level.subject.clone(), *limit, allowed(limit)))
                    });
                    let own = own.collect();
                    let (allowances, Ask { requests, beside, .. }) = (Arc::clone(self), ask);
                    return Ok(Held { allowances, hold: Some(hold), own, requests, beside, instead: None });
                }
                Decision::Exceeded(exceeded) => return Err(Refusal::Limit(exceeded)),
                Decision::Busy { subject, concurrent } => return Err(Refusal::Busy { subject, concurrent }),
                Decision::Unknown(unknown) => self.learn(unknown, now).await,
            }
        }
    }

    /// How much is used of each limit of the member's own plan. Empty where nothing limits them.
    pub async fn standing(&self, payer: Payer<'_>) -> Vec<Standing> {
        self.standing_of(Subject::member(payer.corp, payer.member)).await
    }

    pub(super) async fn standing_of(&self, subject: Subject) -> Vec<Standing> {
        let rules = self.rules();
        let Some(plan) = rules.plan_of(&subject) else { return Vec::new() };
        loop {
            let now = self.clock.now();
            let level = Level { subject: &subject, plan, extra: rules.extra(&subject, now) };
            let standing = self.book().standing(level, now);
            match standing {
                Ok(standing) => return standing,
                Err(unknown) => self.learn(unknown, now).await,
            }
        }
    }

    async fn learn(&self, unknown: Vec<(Subject, QuotaWindow)>, now: Timestamp) {
        for (subject, window) in unknown {
            let from = self.book().begins(window, now);
            let history = self.used_since(&subject, from).await;
            self.book().learn(subject, window, history, now);
        }
    }

    /// The levels that a member's call counts for: the company, each department that they are in, with those above it,
    /// and they themselves.
    pub(super) async fn subjects_of(&self, payer: Payer<'_>) -> Vec<Subject> {
        let departments = self.people.departments_of(payer.corp, payer.member).await;
        let mut subjects = Vec::with_capacity(departments.len() + 2);
        subjects.push(Subject::company(payer.corp));
        subjects.extend(departments.iter().map(|id| Subject::department(payer.corp, *id)));
        subjects.push(Subject::member(payer.corp, payer.member));
        subjects
    }

    async fn used_since(&self, subject: &Subject, from: Timestamp) -> Vec<(Timestamp, Amounts)> {
        self.people.until_read("what was used", || self.store.used_since(subject, from)).await
    }

    /// The time zone whose days and months count.
    pub(super) const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The time by which is counted.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The most model tokens that the answer may have; `None` where no limit counts them.
    pub fn most_output(&self) -> Option<u32> {
        let hold = self.hold.as_ref().filter(|hold| hold.is_bound())?;
        Some(u32::try_from(hold.output()).unwrap_or(u32::MAX))
    }

    /// The same, where what is not words cost so much in the end.
    pub(super) fn costs_beside(self, beside: u64) -> Self {
        let mut held = self;
        held.beside = beside;
        held
    }

    /// Counts what the call took, at `rate`. Returns what is to be stored, and of which of the member's
    /// limits little is left now and was not before.
    pub fn settle(mut self, usage: Usage, rate: Rate) -> (Use, Vec<NearlyUsed>) {
        let Some(hold) = self.hold.take() else { return (Use::default(), Vec::new()) };
        let amounts = Amounts {
            requests: self.requests,
            tokens: usage.input.saturating_add(usage.output),
            money: rate.of(usage).saturating_add(self.beside),
        };
        let now = self.allowances.clock.now();
        let mut book = self.allowances.book();
        let subjects = book.settle(hold, amounts, now);
        let nearly = self.own.iter().filter_map(|(subject, limit, allowed)| {
            let used = book.used(subject, limit.window, now)?.get(limit.measure);
            let before = used.saturating_sub(amounts.get(limit.measure));
            let crossed = !is_nearly_used(before, *allowed) && is_nearly_used(used, *allowed);
            crossed.then_some(NearlyUsed { limit: *limit, allowed: *allowed, used })
        });
        let nearly = nearly.collect();
        (Use { subjects, amounts }, nearly)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.allowances.book().release(hold);
        }
    }
}
