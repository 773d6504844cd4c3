//! What was used within one window.

use std::{collections::VecDeque, time::Duration};

use super::{
    amounts::{Amounts, Measure},
    window::{QuotaWindow, Span},
};
use crate::clock::{Timestamp, zone::Zone};

/// A rolling window is counted in so many pieces: what was used leaves it by at most this part of its length late.
const PIECES: u32 = 60;

/// What somebody used within a window.
#[derive(Debug)]
pub(super) struct Count {
    window: QuotaWindow,
    state: State,
}

#[derive(Debug)]
enum State {
    Calendar { span: Span, used: Amounts },
    Rolling { length: Duration, pieces: VecDeque<Piece> },
}

/// What was used in a short time.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: Timestamp,
    last: Timestamp,
    used: Amounts,
}

impl Count {
    /// Of nothing, in the window that it is at `now`.
    pub(super) fn new(window: QuotaWindow, now: Timestamp, zone: &Zone) -> Self {
        let state = match window {
            QuotaWindow::Rolling(seconds) => {
                State::Rolling { length: Duration::from_secs(seconds.into()), pieces: VecDeque::new() }
            }
            calendar => State::Calendar { span: calendar.span(now, zone), used: Amounts::ZERO },
        };
        Self { window, state }
    }

    pub(super) const fn window(&self) -> QuotaWindow {
        self.window
    }

    /// Moves on to `now`: what is over counts no more. False when the clock was set back before the window that is
    /// counted here: what was used in that earlier one is not known.
    pub(super) fn come_to(&mut self, now: Timestamp, zone: &Zone) -> bool {
        match &mut self.state {
            State::Calendar { span, used } => {
                let is_over = span.until.is_some_and(|until| now >= until);
                if is_over {
                    (*span, *used) = (self.window.span(now, zone), Amounts::ZERO);
                }
                now >= span.from
            }
            State::Rolling { length, pieces } => {
                while pieces.front().is_some_and(|piece| piece.last + *length <= now) {
                    pieces.pop_front();
                }
                true
            }
        }
    }

    /// Counts what was used at `at`, which is not before what was counted already.
    pub(super) fn add(&mut self, amounts: Amounts, at: Timestamp) {
        match &mut self.state {
            State::Calendar { used, .. } => *used = used.plus(amounts),
            State::Rolling { length, pieces } => match pieces.back_mut() {
                Some(piece) if at.since(piece.from) < *length / PIECES => {
                    piece.used = piece.used.plus(amounts);
                    piece.last = piece.last.max(at);
                }
                _ => pieces.push_back(Piece { from: at, last: at, used: amounts }),
            },
        }
    }

    /// All that counts.
    pub(super) fn used(&self) -> Amounts {
        match &self.state {
            State::Calendar { used, .. } => *used,
            State::Rolling { pieces, .. } => pieces.iter().fold(Amounts::ZERO, |sum, piece| sum.plus(piece.used)),
        }
    }

    /// When no more than `most` of a measure counts, if nothing more is used; `None` for never.
    pub(super) fn falls_to(&self, measure: Measure, most: u64) -> Option<Timestamp> {
        match &self.state {
            State::Calendar { span, .. } => span.until,
            State::Rolling { length, pieces } => {
                let mut left = self.used().get(measure);
                pieces.iter().find_map(|piece| {
                    left = left.saturating_sub(piece.used.get(measure));
                    (left <= most).then(|| piece.last + *length)
                })
            }
        }
    }
}
