//! What an observation says about each condition. No memory and no clock: the same observation, the same judgement.
//!
//! Between "wrong" and "well" there is for each condition a span in which neither is said and what was stays: that is
//! what keeps an alert from coming and going.

use std::{collections::BTreeSet, time::Duration};

use super::{
    condition::Condition,
    observation::{Answer, Block, Certificate, Database, End, Observation, SetAside, Size, Wecom},
};
use crate::{clock::Timestamp, config};

/// How long WeCom may be out of reach: shorter than an administrator needs to notice, longer than a restart of a proxy.
const UNREACHABLE: Duration = Duration::from_secs(2 * 60);
/// How long WeCom may want fewer calls. Its shortest block is a minute (page 90312), and one or two are no news.
const SLOW_DOWN: Duration = Duration::from_secs(5 * 60);
/// How long messages must have got through to call it well: some gateways change their address with every call.
const CALM: Duration = Duration::from_secs(60);
/// How many answers in a row the model must fail for an alert: each was tried again `llm.max_retries` times before.
const FAILURES_IN_A_ROW: usize = 3;
/// How long the model must not have failed, beside having answered, to call it well.
const MODEL_CALM: Duration = Duration::from_secs(5 * 60);
/// The share of failed answers is that among the last so many, ...
const SHARE_OF: usize = 50;
/// ... no older than this, ...
const SHARE_WITHIN: Duration = Duration::from_secs(30 * 60);
/// ... and says nothing among fewer than these: one failure at night is one of one.
const SHARE_LEAST: usize = 10;
/// The database is nearly full from this percentage of its limit on, and well again below the other.
const FULL_PERCENT: u64 = 90;
const ROOM_PERCENT: u64 = 85;
/// How long the database must have failed: a backup may hold it for the two seconds that a write waits.
const UNWRITABLE: Duration = Duration::from_secs(10);
/// How long a message that was given up is news.
pub const DEAD_LETTER_NEWS: Duration = Duration::from_secs(60 * 60);
/// So long before a certificate's end it is an alert: ACME renews a month before, and people need a week.
const CERTIFICATE_SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long a process must have run after a crash to be called well: one that crashes again and again is one alert.
const STEADY: Duration = Duration::from_secs(10 * 60);

/// What is wrong, with what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// See [`Condition::WecomRefused`].
    WecomRefused {
        /// WeCom's number for it.
        errcode: i64,
        /// What mends it, in a few English words.
        remedy: Option<&'static str>,
    },
    /// See [`Condition::WecomAddress`].
    WecomAddress {
        /// The address that WeCom saw.
        address: Option<String>,
    },
    /// See [`Condition::WecomUnreachable`].
    WecomUnreachable,
    /// See [`Condition::WecomSlowDown`].
    WecomSlowDown,
    /// See [`Condition::ModelKey`].
    ModelKey {
        /// The keys that are set aside for it while others may answer.
        aside: Vec<SetAside>,
    },
    /// See [`Condition::ModelCredit`].
    ModelCredit {
        /// As of [`Finding::ModelKey`].
        aside: Vec<SetAside>,
    },
    /// See [`Condition::ModelSettings`].
    ModelSettings {
        /// As of [`Finding::ModelKey`].
        aside: Vec<SetAside>,
    },
    /// See [`Condition::ModelFailing`].
    ModelFailing {
        /// How many answers in a row failed.
        in_a_row: usize,
    },
    /// See [`Condition::AnswersFailing`].
    AnswersFailing {
        /// How many failed.
        failed: usize,
        /// Of how many.
        of: usize,
    },
    /// See [`Condition::InboxWaiting`].
    InboxWaiting,
    /// See [`Condition::OutboxWaiting`].
    OutboxWaiting,
    /// See [`Condition::DiskSpace`].
    DiskSpace {
        /// What is left.
        free_mib: u64,
    },
    /// See [`Condition::DatabaseSize`].
    DatabaseSize {
        /// What is in use.
        used_mib: u64,
        /// What may be.
        limit_mib: u64,
    },
    /// See [`Condition::DatabaseUnwritable`].
    DatabaseUnwritable {
        /// What the store says.
        error: String,
    },
    /// See [`Condition::DeadLetters`].
    DeadLetters {
        /// How many within [`DEAD_LETTER_NEWS`].
        count: u64,
    },
    /// See [`Condition::CertificateEnding`].
    CertificateEnding {
        /// Whole days until then; `None`: it has ended.
        days: Option<u64>,
        /// Whether it should renew itself.
        renews_itself: bool,
    },
    /// See [`Condition::SafetyRules`].
    SafetyRules {
        /// How often within an hour.
        count: u64,
    },
    /// See [`Condition::Crashed`].
    Crashed,
}

/// What an observation says about one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is wrong.
    Wrong {
        /// Since when, as far as is known.
        since: Timestamp,
        /// What.
        finding: Finding,
    },
    /// It is well.
    Well,
    /// Neither; what was stays.
    Unclear,
}

use Verdict::{Unclear, Well, Wrong};

/// Judges every condition. `raised` are those that are wrong so far: one that explains another keeps it quiet.
pub fn judge(seen: &Observation, settings: &config::Alerts, raised: &BTreeSet<Condition>) -> Vec<(Condition, Verdict)> {
    let mut verdicts: Vec<(Condition, Verdict)> = Vec::with_capacity(Condition::ALL.len());
    for condition in Condition::ALL {
        // The model's conditions come before this one in the list.
        let explained = |about: fn(Condition) -> bool| {
            raised.iter().any(|condition| about(*condition))
                || verdicts.iter().any(|(condition, verdict)| about(*condition) && matches!(verdict, Wrong { .. }))
        };
        let verdict = match condition {
            Condition::WecomRefused
            | Condition::WecomAddress
            | Condition::WecomUnreachable
            | Condition::WecomSlowDown => wecom(condition, &seen.wecom, seen.now),
            Condition::ModelKey => key(seen, End::KeyRefused, |aside| Finding::ModelKey { aside }),
            Condition::ModelCredit => key(seen, End::NoCredit, |aside| Finding::ModelCredit { aside }),
            Condition::ModelSettings => key(seen, End::Misconfigured, |aside| Finding::ModelSettings { aside }),
            Condition::ModelFailing => {
                model(seen, End::ModelFailed, FAILURES_IN_A_ROW, |in_a_row| Finding::ModelFailing { in_a_row })
            }
            Condition::AnswersFailing if explained(Condition::concerns_the_model) => Unclear,
            Condition::AnswersFailing => answers(seen, settings.failed_percent),
            Condition::InboxWaiting => {
                waiting(seen.inbox_waiting_since, seen.now, settings.queue_age, Finding::InboxWaiting)
            }
            // What keeps everything from leaving has its own alert.
            Condition::OutboxWaiting if seen.is_blocked() => Unclear,
            Condition::OutboxWaiting => {
                waiting(seen.outbox_waiting_since, seen.now, settings.queue_age, Finding::OutboxWaiting)
            }
            Condition::DiskSpace => disk(seen, settings.disk_free_mib),
            Condition::DatabaseSize => size(seen),
            Condition::DatabaseUnwritable => database(seen),
            Condition::DeadLetters => dead_letters(seen),
            Condition::CertificateEnding => certificate(seen),
            Condition::SafetyRules => match seen.safety {
                Some(hits) => Wrong { since: hits.newest_at, finding: Finding::SafetyRules { count: hits.count } },
                None => Well,
            },
            Condition::Crashed => crashed(seen),
        };
        verdicts.push((condition, verdict));
    }
    verdicts
}

/// Judges what concerns WeCom for one of the other applications.
pub(super) fn judge_other(seen: &Wecom, now: Timestamp) -> Vec<(Condition, Verdict)> {
    let of_wecom = Condition::ALL.into_iter().filter(|condition| condition.concerns_wecom());
    of_wecom.map(|condition| (condition, wecom(condition, seen, now))).collect()
}

/// Nothing about WeCom is well before something gets through.
fn wecom(condition: Condition, seen: &Wecom, now: Timestamp) -> Verdict {
    let (since, reason) = match seen {
        Wecom::Works { since } if now.since(*since) >= CALM => return Well,
        Wecom::Works { .. } => return Unclear,
        Wecom::Blocked { since, reason } => (*since, reason),
    };
    let (finding, patience) = match (condition, reason) {
        (Condition::WecomRefused, Block::Refused { errcode, remedy }) => {
            (Finding::WecomRefused { errcode: *errcode, remedy: *remedy }, Duration::ZERO)
        }
        (Condition::WecomAddress, Block::Address(address)) => {
            (Finding::WecomAddress { address: address.clone() }, Duration::ZERO)
        }
        (Condition::WecomUnreachable, Block::Unreachable) => (Finding::WecomUnreachable, UNREACHABLE),
        (Condition::WecomSlowDown, Block::SlowDown) => (Finding::WecomSlowDown, SLOW_DOWN),
        _ => return Unclear,
    };
    if now.since(since) >= patience { Wrong { since, finding } } else { Unclear }
}

/// Wrong while a key is set aside for it, also where others answer; otherwise as the answers say.
fn key(seen: &Observation, end: End, finding: impl Fn(Vec<SetAside>) -> Finding) -> Verdict {
    let aside: Vec<_> = seen.set_aside.iter().filter(|aside| aside.end == end).cloned().collect();
    match aside.iter().map(|aside| aside.since).min() {
        Some(since) => Wrong { since, finding: finding(aside) },
        None => model(seen, end, 1, |_| finding(Vec::new())),
    }
}

/// Wrong when the last answers failed with `end` so many times; well when one was given since and it is long ago.
/// Without any news, as at night or after a restart, nothing changes.
fn model(seen: &Observation, end: End, in_a_row: usize, finding: impl Fn(usize) -> Finding) -> Verdict {
    let run = seen.answers.iter().rev().take_while(|answer| answer.end == end).count();
    if run >= in_a_row {
        let first = seen.answers[seen.answers.len() - run];
        return Wrong { since: first.at, finding: finding(run) };
    }
    let last_at = |end: End| seen.answers.iter().rev().find(|answer| answer.end == end).map(|answer| answer.at);
    match (last_at(End::Answered), last_at(end)) {
        (Some(_), None) => Well,
        (Some(answered), Some(failed)) if answered >= failed && seen.now.since(failed) >= MODEL_CALM => Well,
        _ => Unclear,
    }
}

fn answers(seen: &Observation, percent: u32) -> Verdict {
    let recent = share(&seen.answers, seen.now);
    let failed = recent.iter().filter(|answer| is_failed(answer.end)).count();
    let (of, percent) = (recent.len(), percent as usize);
    if of >= SHARE_LEAST && failed * 100 >= percent * of {
        let since = recent.iter().find(|answer| is_failed(answer.end)).map_or(seen.now, |answer| answer.at);
        return Wrong { since, finding: Finding::AnswersFailing { failed, of } };
    }
    // Well from three quarters of the limit on, and only where somebody was answered.
    if failed < of && failed * 400 < percent * of * 3 { Well } else { Unclear }
}

/// The answers among which the share is counted: without what an alert about the model has told already.
fn share(answers: &[Answer], now: Timestamp) -> Vec<Answer> {
    let told = answers
        .windows(FAILURES_IN_A_ROW)
        .rposition(|run| run.iter().all(|answer| answer.end == End::ModelFailed))
        .map_or(0, |first| first + FAILURES_IN_A_ROW);
    let counts = |answer: &&Answer| {
        now.since(answer.at) < SHARE_WITHIN
            && !matches!(answer.end, End::KeyRefused | End::NoCredit | End::Misconfigured)
    };
    let counted: Vec<_> = answers[told..].iter().filter(counts).copied().collect();
    counted[counted.len().saturating_sub(SHARE_OF)..].to_vec()
}

const fn is_failed(end: End) -> bool {
    !matches!(end, End::Answered)
}

fn waiting(since: Option<Timestamp>, now: Timestamp, limit: Duration, finding: Finding) -> Verdict {
    match since {
        Some(since) if now.since(since) > limit => Wrong { since, finding },
        Some(since) if now.since(since) > limit / 2 => Unclear,
        _ => Well,
    }
}

const MIB: u64 = 1024 * 1024;

/// Well again with a quarter more than the limit.
fn disk(seen: &Observation, limit_mib: u64) -> Verdict {
    let Some(free) = seen.disk_free else { return Unclear };
    let limit = limit_mib.saturating_mul(MIB);
    if free < limit {
        Wrong { since: seen.now, finding: Finding::DiskSpace { free_mib: free / MIB } }
    } else if free >= limit.saturating_add(limit / 4) {
        Well
    } else {
        Unclear
    }
}

fn size(seen: &Observation) -> Verdict {
    let Some(Size { used, limit }) = seen.size else { return Well };
    let percent = used.saturating_mul(100) / limit.max(1);
    if percent >= FULL_PERCENT {
        let finding = Finding::DatabaseSize { used_mib: used / MIB, limit_mib: limit / MIB };
        Wrong { since: seen.now, finding }
    } else if percent < ROOM_PERCENT {
        Well
    } else {
        Unclear
    }
}

fn database(seen: &Observation) -> Verdict {
    match &seen.database {
        Database::Failing { since, error } if seen.now.since(*since) >= UNWRITABLE => {
            Wrong { since: *since, finding: Finding::DatabaseUnwritable { error: error.clone() } }
        }
        Database::Writable { since } if seen.now.since(*since) >= CALM => Well,
        _ => Unclear,
    }
}

fn dead_letters(seen: &Observation) -> Verdict {
    match seen.dead_letters {
        Some(letters) => Wrong { since: letters.newest_at, finding: Finding::DeadLetters { count: letters.count } },
        None => Well,
    }
}

/// Whoever renews does so when a third of the time is left; a certificate for a few days has only that.
fn certificate(seen: &Observation) -> Verdict {
    let Some(Certificate { begins_at, ends_at, renews_itself }) = seen.certificate else { return Well };
    let soon = CERTIFICATE_SOON.min(ends_at.since(begins_at) / 4);
    let left = ends_at.since(seen.now);
    if left > soon {
        return Well;
    }
    let day = 24 * 3600;
    let days = (seen.now < ends_at).then(|| left.as_secs() / day);
    Wrong { since: seen.now, finding: Finding::CertificateEnding { days, renews_itself } }
}

fn crashed(seen: &Observation) -> Verdict {
    match (seen.crashed, seen.now.since(seen.started_at) >= STEADY) {
        (_, true) => Well,
        (true, false) => Wrong { since: seen.started_at, finding: Finding::Crashed },
        (false, false) => Unclear,
    }
}

#[cfg(test)]
mod tests;
