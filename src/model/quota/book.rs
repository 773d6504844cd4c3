//! The allowances in use: what was used, what is held, and whether a call still fits.
//!
//! A plain value without I/O: whoever holds it under a lock decides about all levels of a call at once, so that nothing
//! can slip in between looking and taking. It keeps only what some limit asks for; what it does not have it names
//! ([`Decision::Unknown`]), and takes it from the caller, who knows where use is stored ([`Book::learn`]). What is held
//! is here alone: a crash lets go of it.

use std::collections::HashMap;

use super::{
    amounts::{Amounts, Measure, Price},
    count::Count,
    plan::{Limit, Plan},
    subject::Subject,
    window::QuotaWindow,
};
use crate::clock::{Timestamp, zone::Zone};

/// One level that a call concerns.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// Who.
    pub subject: &'a Subject,
    /// What they may use.
    pub plan: &'a Plan,
    /// What they may use beyond it for now.
    pub extra: Amounts,
}

/// What a call will probably take.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// 1 for a question; 0 for a further call to answer it.
    pub requests: u64,
    /// Model tokens of the prompt.
    pub input: u64,
    /// Model tokens that the answer may have.
    pub output: u64,
    /// An answer that must be shorter than this is not worth beginning; at most `output`.
    pub least_output: u64,
    /// What the model costs.
    pub price: Price,
    /// What the call costs beside its tokens, in micro-units: a picture, a minute of sound.
    pub beside: u64,
}

/// What is held for a call until it is settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is held stays held until it is settled or released"]
pub struct Hold {
    subjects: Vec<Subject>,
    amounts: Amounts,
    output: u64,
    is_bound: bool,
}

/// A limit that has no room for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub subject: Subject,
    /// Which.
    pub limit: Limit,
    /// What may be used, with what was granted.
    pub allowed: u64,
    /// What has been used of it.
    pub used: u64,
    /// What calls that are under way hold of it.
    pub held: u64,
    /// When time brings room again. `None` where it never does: the limit ends with the account, is smaller than the
    /// question, or has room as soon as the calls under way end.
    pub resets_at: Option<Timestamp>,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub limit: Limit,
    /// What may be used, with what was granted.
    pub allowed: u64,
    /// What has been used of it.
    pub used: u64,
    /// When the count begins anew or, in a rolling window that is used up, when something falls out of it.
    pub resets_at: Option<Timestamp>,
}

/// The part of a limit from whose use on little is left, in hundredths.
const NEARLY: u64 = 80;

/// Whether little is left of what may be used, or nothing.
pub fn is_nearly_used(used: u64, allowed: u64) -> bool {
    u128::from(used) * 100 >= u128::from(allowed) * u128::from(NEARLY)
}

/// What becomes of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It fits at every level.
    Held(Hold),
    /// It does not fit.
    Exceeded(Box<Exceeded>),
    /// As many answers as somebody may have at once are under way.
    Busy {
        /// Who.
        subject: Subject,
        /// How many.
        concurrent: u32,
    },
    /// What these used is not known yet: [`Book::learn`] it, and ask again.
    Unknown(Vec<(Subject, QuotaWindow)>),
}

/// See the module.
#[derive(Debug)]
pub struct Book {
    zone: Zone,
    accounts: HashMap<Subject, Account>,
}

#[derive(Debug, Default)]
struct Account {
    counts: Vec<Count>,
    held: Amounts,
    calls: u32,
    last_at: Timestamp,
}

impl Ask {
    /// With an answer of so many tokens.
    fn amounts(&self, output: u64) -> Amounts {
        Amounts {
            requests: self.requests,
            tokens: self.input.saturating_add(output),
            money: self.price.of(self.input, output).saturating_add(self.beside),
        }
    }

    /// How long an answer fits into so much room; `None` where not even the shortest does.
    fn output_within(&self, measure: Measure, room: u64) -> Option<u64> {
        if self.amounts(self.least_output).get(measure) > room {
            return None;
        }
        let longest = match measure {
            Measure::Requests => None,
            Measure::Tokens => Some(room.saturating_sub(self.input)),
            Measure::Money => self.price.affordable_output(room.saturating_sub(self.beside), self.input),
        };
        Some(longest.map_or(self.output, |longest| longest.min(self.output)))
    }
}

impl Hold {
    /// How long the answer may be, in model tokens; at most what was asked for.
    pub const fn output(&self) -> u64 {
        self.output
    }

    /// Whether the answer must not be longer than that, because some limit counts its tokens or their money.
    pub const fn is_bound(&self) -> bool {
        self.is_bound
    }
}

impl Book {
    /// An empty one; windows are those of `zone`.
    pub fn new(zone: Zone) -> Self {
        Self { zone, accounts: HashMap::new() }
    }

    /// When the window that it is at `now` began: since then use is to be learnt.
    pub fn begins(&self, window: QuotaWindow, now: Timestamp) -> Timestamp {
        window.span(now, &self.zone).from
    }

    /// Takes in what `subject` used since the window began: how much, and when. Where only the sum over some time is
    /// known, its end is to be given: what is later counts longer. Changes nothing where it is known already: somebody
    /// else was faster, and calls may have ended since.
    pub fn learn(
        &mut self,
        subject: Subject,
        window: QuotaWindow,
        history: impl IntoIterator<Item = (Timestamp, Amounts)>,
        now: Timestamp,
    ) {
        let zone = &self.zone;
        let account = self.accounts.entry(subject).or_default();
        account.last_at = now;
        if account.counts.iter_mut().any(|count| count.window() == window && count.come_to(now, zone)) {
            return;
        }
        let mut count = Count::new(window, now, zone);
        for (at, used) in history {
            count.add(used, at);
        }
        account.counts.retain(|known| known.window() != window);
        account.counts.push(count);
    }

    /// Holds what the call asks for at every level, or at none.
    pub fn reserve(&mut self, levels: &[Level<'_>], ask: Ask, now: Timestamp) -> Decision {
        let unknown = self.unknown(levels, now);
        if !unknown.is_empty() {
            return Decision::Unknown(unknown);
        }
        let mut output = ask.output;
        for level in levels {
            let Some(account) = self.accounts.get(level.subject) else { continue };
            if let Some(concurrent) = level.plan.concurrent.filter(|limit| account.calls >= *limit) {
                return Decision::Busy { subject: level.subject.clone(), concurrent };
            }
            for limit in &level.plan.limits {
                match account.output_within(*level, limit, &ask) {
                    Ok(longest) => output = output.min(longest),
                    Err(exceeded) => return Decision::Exceeded(Box::new(exceeded)),
                }
            }
        }
        let amounts = ask.amounts(output);
        for level in levels {
            let account = self.accounts.entry(level.subject.clone()).or_default();
            account.held = account.held.plus(amounts);
            account.calls += 1;
        }
        let is_bound =
            levels.iter().flat_map(|level| &level.plan.limits).any(|limit| limit.measure != Measure::Requests);
        let subjects = levels.iter().map(|level| level.subject.clone()).collect();
        Decision::Held(Hold { subjects, amounts, output, is_bound })
    }

    /// Counts what the call took, and lets go of what was held for it. Returns whom it counts for, so that it can be
    /// stored.
    pub fn settle(&mut self, hold: Hold, cost: Amounts, now: Timestamp) -> Vec<Subject> {
        let zone = &self.zone;
        for subject in &hold.subjects {
            let Some(account) = self.accounts.get_mut(subject) else { continue };
            account.last_at = now;
            // A count of another time is learnt anew before it decides about anything.
            account.counts.retain_mut(|count| count.come_to(now, zone));
            account.counts.iter_mut().for_each(|count| count.add(cost, now));
        }
        self.release(hold)
    }

    /// Lets go of what was held: nothing was used. Returns for whom.
    pub fn release(&mut self, hold: Hold) -> Vec<Subject> {
        for subject in &hold.subjects {
            let Some(account) = self.accounts.get_mut(subject) else { continue };
            account.held = account.held.minus(hold.amounts);
            account.calls = account.calls.saturating_sub(1);
            if account.calls == 0 && account.counts.is_empty() {
                self.accounts.remove(subject);
            }
        }
        hold.subjects
    }

    /// How much of each limit of a level is used.
    ///
    /// # Errors
    /// What is not known yet: [`Book::learn`] it, and ask again.
    pub fn standing(&mut self, level: Level<'_>, now: Timestamp) -> Result<Vec<Standing>, Vec<(Subject, QuotaWindow)>> {
        let unknown = self.unknown(&[level], now);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let account = self.accounts.get(level.subject);
        let of = |limit: &Limit| {
            let count = account?.counts.iter().find(|count| count.window() == limit.window)?;
            let allowed = limit.amount.saturating_add(level.extra.get(limit.measure));
            let used = count.used().get(limit.measure);
            let next = limit.window.span(now, &self.zone).until;
            let below = allowed.checked_sub(1).filter(|_| used >= allowed);
            let resets_at = next.or_else(|| count.falls_to(limit.measure, below?));
            Some(Standing { limit: *limit, allowed, used, resets_at })
        };
        Ok(level.plan.limits.iter().filter_map(of).collect())
    }

    /// What `subject` used in a window, where that is known.
    pub fn used(&mut self, subject: &Subject, window: QuotaWindow, now: Timestamp) -> Option<Amounts> {
        let zone = &self.zone;
        let count = self.accounts.get_mut(subject)?.counts.iter_mut().find(|count| count.window() == window)?;
        count.come_to(now, zone).then(|| count.used())
    }

    /// Forgets whoever has used nothing since `before`; what they used is learnt again.
    pub fn forget_idle(&mut self, before: Timestamp) {
        self.accounts.retain(|_, account| account.calls > 0 || account.last_at >= before);
    }

    /// Forgets what somebody used: it is learnt again. What is held for them stays held.
    pub fn forget(&mut self, subject: &Subject) {
        if let Some(account) = self.accounts.get_mut(subject) {
            account.counts.clear();
        }
        self.accounts.retain(|known, account| account.calls > 0 || known != subject);
    }

    fn unknown(&mut self, levels: &[Level<'_>], now: Timestamp) -> Vec<(Subject, QuotaWindow)> {
        let mut unknown = Vec::new();
        for level in levels {
            let mut account = self.accounts.get_mut(level.subject);
            for Limit { window, .. } in &level.plan.limits {
                let counts = account.as_mut().map_or(&mut [][..], |account| &mut account.counts[..]);
                let count = counts.iter_mut().find(|count| count.window() == *window);
                let known = count.is_some_and(|count| count.come_to(now, &self.zone));
                let key = (level.subject.clone(), *window);
                if !known && !unknown.contains(&key) {
                    unknown.push(key);
                }
            }
        }
        unknown
    }
}

impl Account {
    /// How long an answer fits under `limit`.
    fn output_within(&self, level: Level<'_>, limit: &Limit, ask: &Ask) -> Result<u64, Exceeded> {
        let count = self.counts.iter().find(|count| count.window() == limit.window);
        let used = count.map_or(0, |count| count.used().get(limit.measure));
        let held = self.held.get(limit.measure);
        let allowed = limit.amount.saturating_add(level.extra.get(limit.measure));
        let room = allowed.saturating_sub(used).saturating_sub(held);
        ask.output_within(limit.measure, room).ok_or_else(|| {
            let least = ask.amounts(ask.least_output).get(limit.measure);
            let free = allowed.checked_sub(least).filter(|free| used > *free);
            let resets_at = free.and_then(|free| count?.falls_to(limit.measure, free));
            Exceeded { subject: level.subject.clone(), limit: *limit, allowed, used, held, resets_at }
        })
    }
}

#[cfg(test)]
mod tests;
