//! What the model writes, on its way to the member: originals put back, rules held to.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    llm::{
        self,
        stream::{Delta, Finish, FinishReason},
    },
    safety::{
        guard::{Guard, Hit, Hits},
        masks::Masks,
        restore::Restorer,
        screen::Screen,
    },
};

/// What comes next of an answer.
pub(super) type Next = Option<Result<Delta, llm::error::Error>>;

/// On the way of one answer. There is none where nothing was masked and there are no rules.
#[derive(Debug)]
pub(super) struct Filter {
    text: Way,
    /// What the model thinks comes beside the text, and has its own way.
    thought: Way,
    masks: Arc<Masks>,
    /// What comes next before the model is read again.
    kept: VecDeque<Next>,
}

/// The way of one text of an answer.
#[derive(Debug)]
pub(super) struct Way {
    restorer: Restorer,
    screen: Option<Screen>,
}

impl Filter {
    /// Puts back what `masks` has, and holds to the rules of `guard`.
    pub(super) fn new(masks: Masks, guard: &Guard) -> Option<Box<Self>> {
        let screen = guard.screen();
        if masks.is_empty() && screen.is_none() {
            return None;
        }
        let masks = Arc::new(masks);
        let way = |screen| Way { restorer: Restorer::new(Arc::clone(&masks)), screen };
        let (text, thought) = (way(screen), way(guard.screen()));
        Some(Box::new(Self { text, thought, masks, kept: VecDeque::new() }))
    }

    /// The answer goes on behind `before`, which was shown.
    pub(super) fn continues(&mut self, before: &str) {
        let screen = self.text.screen.take();
        self.text.screen = screen.map(|screen| screen.behind(before));
    }

    /// What comes next before the model is read again.
    pub(super) fn kept(&mut self) -> Option<Next> {
        self.kept.pop_front()
    }

    /// Takes what the model gives; what comes of it, if anything yet, is [`Filter::kept`].
    pub(super) fn take(&mut self, next: Next) {
        let end = match next {
            Some(Ok(Delta::Thought(thought))) => {
                let thought = self.thought.push(&thought);
                return self.keep(thought, Delta::Thought);
            }
            Some(Ok(Delta::Text(text))) => {
                let thought = self.thought.finish();
                self.keep(thought, Delta::Thought);
                let text = self.text.push(&text);
                self.keep(text, Delta::Text);
                None
            }
            end => {
                let (thought, text) = (self.thought.finish(), self.text.finish());
                self.keep(thought, Delta::Thought);
                self.keep(text, Delta::Text);
                Some(end)
            }
        };
        let end = match end {
            end if self.text.is_refused() => {
                let usage = if let Some(Some(Ok(Delta::Finish(finish)))) = &end { finish.usage } else { None };
                let finish = Finish { reason: FinishReason::Withheld, usage, calls: None };
                Some(Some(Ok(Delta::Finish(finish))))
            }
            Some(Some(Ok(Delta::Finish(finish)))) => Some(Some(Ok(Delta::Finish(self.with_originals(finish))))),
            end => end,
        };
        self.kept.extend(end);
    }

    /// What the rules found.
    pub(super) fn hits(&self) -> Hits {
        let of = |way: &Way| way.screen.as_ref().map(Screen::hits).unwrap_or_default();
        let (text, thought) = (of(&self.text), of(&self.thought));
        text.iter().chain(thought.iter()).collect::<Vec<Hit>>().into_iter().collect()
    }

    fn keep(&mut self, text: String, delta: impl Fn(String) -> Delta) {
        if !text.is_empty() {
            self.kept.push_back(Some(Ok(delta(text))));
        }
    }

    fn with_originals(&self, mut finish: Finish) -> Finish {
        if let (Some(calls), false) = (&mut finish.calls, self.masks.is_empty()) {
            calls.thought = self.masks.restore(&calls.thought);
            for call in &mut calls.calls {
                call.arguments = self.masks.restore_json(&call.arguments);
            }
        }
        finish
    }
}

impl Way {
    /// Puts back what `masks` has, and holds to the rules of `guard`.
    pub(super) fn new(masks: &Arc<Masks>, guard: &Guard) -> Self {
        Self { restorer: Restorer::new(Arc::clone(masks)), screen: guard.screen() }
    }

    /// For arguments of tools, which are JSON: what is put back is escaped, and nothing else is done.
    pub(super) fn of_json(masks: &Arc<Masks>) -> Self {
        Self { restorer: Restorer::new(Arc::clone(masks)).in_json(), screen: None }
    }

    /// What the rules found.
    pub(super) fn hits(&self) -> Hits {
        self.screen.as_ref().map(Screen::hits).unwrap_or_default()
    }

    /// Takes the next piece; gives what may be shown by now.
    pub(super) fn push(&mut self, text: &str) -> String {
        let restored = self.restorer.push(text);
        match &mut self.screen {
            Some(screen) => screen.push(&restored),
            None => restored,
        }
    }

    /// The rest; nothing follows.
    pub(super) fn finish(&mut self) -> String {
        let rest = self.restorer.finish();
        match &mut self.screen {
            Some(screen) => screen.push(&rest) + &screen.finish(),
            None => rest,
        }
    }

    /// Whether a rule that refuses has fitted: nothing is shown any more.
    pub(super) fn is_refused(&self) -> bool {
        self.screen.as_ref().is_some_and(Screen::is_refused)
    }
}
