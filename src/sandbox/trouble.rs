//! What can go wrong at WeCom's side, as switches: for a test to set and for the page to show.
//!
//! Holds only the settings; [`super::emulator`] acts on them. Every switch stays until it is turned off, those with a
//! count until they are used up.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

/// What is wrong at the moment. The default is: nothing.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    pub(super) repeat_callbacks: bool,
    pub(super) refuse_ip: bool,
    pub(super) broken_calls: Option<Breakage>,
    pub(super) answer_delay: Duration,
    lost_answers: u32,
    lost_by: Breakage,
    pub(super) unknown_members: BTreeSet<String>,
    pub(super) agent_disabled: bool,
    pub(super) agent_unseen: bool,
    access_token: Option<TokenFate>,
    failing_sends: Option<FailingSends>,
    failing_uploads: VecDeque<i64>,
    lost_uploads: VecDeque<Breakage>,
    failing_files: VecDeque<i64>,
    lost_files: VecDeque<Breakage>,
}

/// What comes of a call instead of WeCom's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breakage {
    /// The connection breaks.
    #[default]
    Cut,
    /// Nothing, for ever.
    Hang,
    /// An HTML page with this status, as from a gateway or a login page on the way.
    Page(u16),
}

/// What becomes of the access token that the daemon holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenFate {
    /// It is answered with 42001.
    Expired,
    /// It is answered with 40014.
    Forgotten,
}

#[derive(Clone, Copy, Debug)]
struct FailingSends {
    errcode: i64,
    /// `None`: until it is switched off.
    left: Option<u32>,
}

impl Trouble {
    /// Sends every callback three times, although the first was answered in time.
    pub const fn repeat_callbacks(&mut self, on: bool) {
        self.repeat_callbacks = on;
    }

    /// Ends the access token before its time: calls with it get 42001 until a new one is fetched.
    pub const fn expire_access_token(&mut self) {
        self.access_token = Some(TokenFate::Expired);
    }

    /// Ends the access token as WeCom does for operational reasons: calls with it get 40014.
    pub const fn forget_access_token(&mut self) {
        self.access_token = Some(TokenFate::Forgotten);
    }

    /// Refuses the daemon's address with 60020. `gettoken` goes on working, as it does at WeCom.
    pub const fn refuse_ip(&mut self, on: bool) {
        self.refuse_ip = on;
    }

    /// Answers the next `count` sends with `errcode` and delivers none of them.
    pub const fn fail_next_sends(&mut self, count: u32, errcode: i64) {
        self.failing_sends = Some(FailingSends { errcode, left: Some(count) });
    }

    /// Answers every send with `errcode` until `None` is set.
    pub fn fail_sends(&mut self, errcode: Option<i64>) {
        self.failing_sends = errcode.map(|errcode| FailingSends { errcode, left: None });
    }

    /// Whether sends are answered with `errcode` now.
    pub fn fails_sends_with(&self, errcode: i64) -> bool {
        self.failing_sends.is_some_and(|failing| failing.errcode == errcode)
    }

    /// Whether the daemon's address is refused.
    pub const fn refuses_ip(&self) -> bool {
        self.refuse_ip
    }

    /// Whether every callback is sent three times.
    pub const fn repeats_callbacks(&self) -> bool {
        self.repeat_callbacks
    }

    /// Switches the application off, as an administrator does.
    pub const fn disable_agent(&mut self, on: bool) {
        self.agent_disabled = on;
    }

    /// Empties the application's visible range.
    pub const fn hide_agent(&mut self, on: bool) {
        self.agent_unseen = on;
    }

    /// Lets every API answer wait this long; [`Duration::ZERO`] for none.
    pub const fn delay_answers(&mut self, by: Duration) {
        self.answer_delay = by;
    }

    /// Ends every API call so, before anything was done for it, until `None` is set.
    pub const fn break_calls(&mut self, by: Option<Breakage>) {
        self.broken_calls = by;
    }

    /// Accepts every API call and never answers it.
    pub fn hang(&mut self, on: bool) {
        self.break_calls(on.then_some(Breakage::Hang));
    }

    /// Answers every API call with an HTML page and status 502, as a gateway on the way does.
    pub fn bad_gateway(&mut self, on: bool) {
        self.break_calls(on.then_some(Breakage::Page(502)));
    }

    /// Does what the next `count` sends ask for, and cuts the connection instead of saying so.
    pub const fn lose_answers(&mut self, count: u32) {
        self.lose_answers_by(count, Breakage::Cut);
    }

    /// Does what the next `count` sends ask for, and ends so instead of saying it.
    pub const fn lose_answers_by(&mut self, count: u32, by: Breakage) {
        self.lost_answers = count;
        self.lost_by = by;
    }

    /// Answers the next upload that has no errcode yet with this one, and takes nothing.
    pub fn fail_next_upload(&mut self, errcode: i64) {
        self.failing_uploads.push_back(errcode);
    }

    /// Takes the next upload whose answer is not lost yet, and ends so instead of saying it.
    pub fn lose_next_upload_by(&mut self, by: Breakage) {
        self.lost_uploads.push_back(by);
    }

    /// Answers the next message with a file that has no errcode yet with this one, and delivers nothing.
    pub fn fail_next_file(&mut self, errcode: i64) {
        self.failing_files.push_back(errcode);
    }

    /// Delivers the next message with a file whose answer is not lost yet, and ends so instead of saying it.
    pub fn lose_next_file_by(&mut self, by: Breakage) {
        self.lost_files.push_back(by);
    }

    /// From now on `member` is not in the application's visible range (or is again).
    pub fn unknown_member(&mut self, member: &str, unknown: bool) {
        let key = member.to_lowercase();
        if unknown {
            self.unknown_members.insert(key);
        } else {
            self.unknown_members.remove(&key);
        }
    }

    /// Everything works again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// What the access token has met since this was last asked.
    pub(super) const fn take_access_token_fate(&mut self) -> Option<TokenFate> {
        self.access_token.take()
    }

    /// The errcode for this send, if it is to fail.
    pub(super) fn take_send_failure(&mut self) -> Option<i64> {
        let failing = self.failing_sends.as_mut()?;
        let errcode = failing.errcode;
        match &mut failing.left {
            Some(0) => {
                self.failing_sends = None;
                return None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.failing_sends.is_some_and(|failing| failing.left == Some(0)) {
            self.failing_sends = None;
        }
        Some(errcode)
    }

    /// The errcode for this upload, if it is to fail.
    pub(super) fn take_upload_failure(&mut self) -> Option<i64> {
        self.failing_uploads.pop_front()
    }

    /// What comes instead of the answer to this upload, if it is to be lost.
    pub(super) fn take_lost_upload(&mut self) -> Option<Breakage> {
        self.lost_uploads.pop_front()
    }

    /// The errcode for this message with a file, if it is to fail.
    pub(super) fn take_file_failure(&mut self) -> Option<i64> {
        self.failing_files.pop_front()
    }

    /// What comes instead of the answer to this message with a file, if it is to be lost.
    pub(super) fn take_lost_file(&mut self) -> Option<Breakage> {
        self.lost_files.pop_front()
    }

    /// What comes instead of the answer to this send, if it is to be lost.
    pub(super) fn take_lost_answer(&mut self) -> Option<Breakage> {
        let lost = self.lost_answers > 0;
        self.lost_answers = self.lost_answers.saturating_sub(1);
        lost.then_some(self.lost_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_troubles_are_used_up_and_switches_stay() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.take_send_failure(), None);
        trouble.fail_next_sends(2, -1);
        assert_eq!([0; 3].map(|_| trouble.take_send_failure()), [Some(-1), Some(-1), None]);
        trouble.fail_next_sends(0, -1);
        assert_eq!(trouble.take_send_failure(), None);
        trouble.fail_sends(Some(45009));
        assert_eq!([0; 3].map(|_| trouble.take_send_failure()), [Some(45009); 3]);
        trouble.fail_sends(None);
        assert_eq!(trouble.take_send_failure(), None);
        trouble.lose_answers_by(1, Breakage::Page(200));
        assert_eq!([0; 2].map(|_| trouble.take_lost_answer()), [Some(Breakage::Page(200)), None]);
    }
}
