//! What is remembered of a call, from the moment that somebody wants it. It is written when it is dropped: also a call
//! that nobody waits for any more has one.

use std::{sync::Arc, time::Duration};

use super::{Meter, Payer};
use crate::{
    clock::{Clock, Timestamp},
    llm::{
        error::Error,
        router::{Attempts, Next},
        stream::{Delta, Finish, FinishReason},
    },
    model::{
        call::{Call, Ended, Kind},
        conversation::Usage,
        id::CorpId,
        key::ApiKey,
    },
    store::ledger::Ledger,
};

/// Has calls remembered. Clones share where.
#[derive(Clone, Debug)]
pub struct Recorder {
    ledger: Ledger,
    clock: Clock,
}

impl Recorder {
    /// In `ledger`, by `clock`.
    pub const fn new(ledger: Ledger, clock: Clock) -> Self {
        Self { ledger, clock }
    }
}

impl Meter {
    /// Has every call remembered by `recorder`.
    pub fn with_recorder(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }
}

/// A call that will be remembered. In a box: it is part of every turn's future.
pub(super) struct Record {
    /// `None`: nothing is remembered.
    draft: Option<Box<Draft>>,
    attempts: Attempts,
}

struct Draft {
    recorder: Recorder,
    call: Call,
    /// By the clock's uptime; `None`: nothing to remember, nobody was asked.
    began: Option<Duration>,
    /// Nothing but what was tried.
    only_attempts: bool,
}

impl Record {
    /// Of a call that a member wants. `None` for a recorder: nothing is remembered.
    pub(super) fn new(recorder: Option<&Recorder>, payer: Payer<'_>, kind: Kind, model: &Arc<str>) -> Self {
        Self::draft(recorder, |at| Call {
            member: Some(payer.member.clone()),
            agent: Some(payer.agent),
            ..blank(at, payer.corp, kind, model)
        })
    }

    /// The same of a program.
    pub(super) fn by_key(recorder: Option<&Recorder>, key: &ApiKey, kind: Kind, model: &Arc<str>) -> Self {
        Self::draft(recorder, |at| Call {
            member: key.owner.member().cloned(),
            api_key: Some(key.number),
            ..blank(at, &key.corp, kind, model)
        })
    }

    fn draft(recorder: Option<&Recorder>, call: impl FnOnce(Timestamp) -> Call) -> Self {
        let draft = recorder.map(|recorder| {
            let call = call(recorder.clock.now());
            Box::new(Draft { recorder: recorder.clone(), call, began: None, only_attempts: false })
        });
        Self { draft, attempts: Attempts::default() }
    }

    fn change(&mut self, change: impl FnOnce(&mut Draft)) {
        if let Some(draft) = &mut self.draft {
            change(draft);
        }
    }

    /// It is another model's.
    pub(super) fn is_of(&mut self, model: &Arc<str>) {
        self.change(|draft| draft.call.model = Arc::clone(model));
    }

    /// It may not be made.
    pub(super) fn refused(&mut self, why: &'static str) {
        self.begins();
        self.ends(Ended::Refused(why));
    }

    /// It is made now.
    pub(super) fn begins(&mut self) {
        self.change(|draft| draft.began = Some(draft.recorder.clock.uptime()));
    }

    /// Where is put down what is tried.
    pub(super) const fn attempts(&mut self) -> &mut Attempts {
        &mut self.attempts
    }

    /// An answer begins: the time counts from when this upstream was asked.
    pub(super) fn answers(&mut self, upstream: &Arc<str>) {
        let began = self.attempts.last_began;
        self.change(|draft| {
            draft.call.upstream = Some(Arc::clone(upstream));
            draft.began = began.or(draft.began);
        });
    }

    /// This comes next from the model.
    pub(super) fn comes(&mut self, next: Option<&Result<Delta, Error>>) {
        match next {
            Some(Ok(Delta::Text(_) | Delta::Thought(_))) => self.has_come(),
            Some(Ok(Delta::Finish(finish))) => self.ends(match finish.reason {
                FinishReason::ContentFilter => Ended::Cut("content_filtered"),
                _ => Ended::Ok,
            }),
            Some(Err(error)) => self.ends(Ended::Cut(error.kind())),
            None => {}
        }
    }

    /// This comes next for a program.
    pub(super) fn relays(&mut self, next: Option<&Result<Next, Error>>) {
        match next {
            Some(Ok(Next::Events(_) | Next::Bytes(_))) => self.has_come(),
            Some(Ok(Next::Whole(_))) | None => self.ends(Ended::Ok),
            Some(Err(error)) => self.ends(Ended::Cut(error.kind())),
        }
    }

    /// A piece has come.
    pub(super) fn has_come(&mut self) {
        self.change(|draft| {
            if draft.call.first_ms.is_none() {
                draft.call.first_ms = Some(draft.so_far());
            }
        });
    }

    /// This is what is shown of it: the rules of the house may hold back what the model said to its end.
    pub(super) fn shows(&mut self, next: Option<&Result<Delta, Error>>) {
        if let Some(Ok(Delta::Finish(Finish { reason: FinishReason::Withheld, .. }))) = next {
            self.ends(Ended::Refused("withheld"));
        }
    }

    /// There is no answer.
    pub(super) fn failed(&mut self, error: &Error) {
        let tried = !self.attempts.failed.is_empty();
        self.change(|draft| draft.only_attempts = tried);
        self.ends(match error {
            Error::Withheld => Ended::Refused("withheld"),
            error => Ended::Failed(error.kind()),
        });
    }

    /// It ends so.
    pub(super) fn ends(&mut self, ended: Ended) {
        self.change(|draft| draft.call.ended = ended);
    }

    /// It cost this.
    pub(super) fn costs(&mut self, usage: Usage, money: u64) {
        self.change(|draft| (draft.call.usage, draft.call.money) = (usage, money));
    }
}

impl Draft {
    /// Milliseconds since it began.
    fn so_far(&self) -> u64 {
        let began = self.began.unwrap_or_default();
        millis(self.recorder.clock.uptime().saturating_sub(began))
    }

    /// Has it remembered, and before it each attempt that failed, as a call of its own that cost nothing.
    fn write(mut self, attempts: &Attempts) {
        if self.began.is_none() {
            return;
        }
        self.call.at = self.recorder.clock.now();
        for failed in &attempts.failed {
            self.recorder.ledger.record(Call {
                upstream: Some(Arc::clone(&failed.upstream)),
                ended: Ended::Failed(failed.kind),
                usage: Usage::default(),
                money: 0,
                first_ms: None,
                total_ms: millis(failed.took),
                ..self.call.clone()
            });
        }
        if !self.only_attempts {
            self.call.total_ms = self.so_far();
            self.recorder.ledger.record(self.call);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            draft.write(&self.attempts);
        }
    }
}

/// A call of which nothing is known yet but what it is for.
fn blank(at: Timestamp, corp: &CorpId, kind: Kind, model: &Arc<str>) -> Call {
    Call {
        at,
        corp: corp.clone(),
        member: None,
        department: None,
        agent: None,
        api_key: None,
        model: Arc::clone(model),
        upstream: None,
        kind,
        ended: Ended::Stopped,
        usage: Usage::default(),
        money: 0,
        first_ms: None,
        total_ms: 0,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
