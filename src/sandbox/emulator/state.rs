//! What WeCom remembers between requests: access tokens, what it delivered, how often, and to whom.
//!
//! No HTTP and no waiting here: times are given, answers are returned.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use super::{
    Counters, Delivered, Line,
    card::Cards,
    console::Console,
    contacts::Contacts,
    media::SentFile,
    menu::Menus,
    message::{Refusal, SendRequest},
    upload::{ShownFile, UploadedFile},
};
use crate::{
    clock::Timestamp,
    sandbox::{
        random,
        trouble::{TokenFate, Trouble},
    },
};

/// How long an access token is valid (page 91039).
pub(super) const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(7200);
/// Messages that a member is shown in any 60 seconds (page 90312); more are swallowed.
const PER_MINUTE: usize = 30;
/// Messages that a member is shown in any hour (page 90312); more are swallowed.
const PER_HOUR: usize = 1000;
/// How many lines of chat are kept; a load test writes many.
const LINES_KEPT: usize = 20_000;
/// Where the ids of messages begin: as long as WeCom's are, beyond what a float or 32 bits hold.
const FIRST_MSG_ID: u64 = 7_437_000_000_000_000_001;

/// Everything behind the emulator's lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) callback_url: Option<String>,
    pub(super) retry_pause: Duration,
    pub(super) delivered: Vec<Delivered>,
    pub(super) lines: VecDeque<Line>,
    pub(super) last_seq: u64,
    pub(super) counters: Counters,
    pub(super) trouble: Trouble,
    /// `None`: everything was set up from the start.
    pub(super) console: Option<Console>,
    /// What members sent, by the id that `media/get` takes.
    pub(super) media: HashMap<String, SentFile>,
    /// What the daemon uploaded, by the id that it got.
    pub(super) uploads: HashMap<String, UploadedFile>,
    /// Cards by the code that updates them.
    pub(super) cards: Cards,
    /// Who is in the address book.
    pub(super) contacts: Contacts,
    /// The application's menu.
    pub(super) menus: Menus,
    /// Errcodes for the next calls of `media/get`.
    pub(super) media_refusals: VecDeque<i64>,
    /// How many of the next calls of `media/get` are not ended.
    pub(super) media_stalls: u32,
    /// Calls of `media/get`.
    pub(super) media_asked: u64,
    messages: u64,
    access_token: Option<AccessToken>,
    retired: HashSet<String>,
    shown_at: HashMap<String, VecDeque<Timestamp>>,
    shown: HashMap<Fingerprint, (Timestamp, String)>,
}

#[derive(Debug)]
struct AccessToken {
    value: String,
    expires_at: Timestamp,
}

/// What the duplicate check compares: recipients, type and content.
type Fingerprint = (String, String, String);

/// What became of a request that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) msgid: String,
    /// Recipients that do not exist, in lower case.
    pub(super) invalid: Vec<String>,
    pub(super) fate: Fate,
}

/// Whether the members see it. WeCom says the same in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Shown,
    Cut,
    Duplicate,
    OverRate,
}

impl State {
    /// The access token that is valid now, a new one if there is none, with its rest of life.
    pub(super) fn access_token(&mut self, now: Timestamp) -> (String, Duration) {
        self.meet_fate();
        if let Some(valid) = self.access_token.as_ref().filter(|token| token.expires_at > now) {
            return (valid.value.clone(), valid.expires_at.since(now));
        }
        self.retire();
        // As long as WeCom's; the documentation asks to keep room for 512 bytes.
        let value = hex::encode(random::<107>());
        self.access_token = Some(AccessToken { value: value.clone(), expires_at: now + ACCESS_TOKEN_LIFE });
        (value, ACCESS_TOKEN_LIFE)
    }

    /// Whether a call with this access token, from this address, may go on.
    pub(super) fn authorise(&mut self, given: Option<&str>, from: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        self.meet_fate();
        let given = given.filter(|given| !given.is_empty()).ok_or(Refusal(41001))?;
        match &self.access_token {
            Some(token) if token.value == given && token.expires_at > now => {}
            Some(token) if token.value == given => return Err(Refusal(42001)),
            _ if self.retired.contains(given) => return Err(Refusal(42001)),
            _ => return Err(Refusal(40014)),
        }
        if self.trouble.refuse_ip || !self.trusts(from) { Err(Refusal(60020)) } else { Ok(()) }
    }

    /// Takes a request, and shows it to those whom WeCom would show it to.
    pub(super) fn take(&mut self, request: SendRequest, now: Timestamp) -> Result<Taken, Refusal> {
        let (invalid, valid): (Vec<_>, Vec<_>) = request.to.iter().cloned().partition(|to| !self.sees(to));
        if valid.is_empty() {
            return Err(Refusal(81013));
        }
        let invalid = invalid.iter().map(|to| to.to_lowercase()).collect();
        let file = self.file_of(&request, now)?;
        let fingerprint = (request.to.join("|").to_lowercase(), request.msgtype.clone(), request.content.clone());
        if let (Some(interval), Some((at, msgid))) = (request.duplicate_check, self.shown.get(&fingerprint))
            && now.since(*at) < Duration::from_secs(interval)
        {
            self.counters.duplicates += 1;
            return Ok(Taken { msgid: msgid.clone(), invalid, fate: Fate::Duplicate });
        }
        self.cards.take(&request)?;

        let msgid = hex::encode(random::<20>());
        let mut fate = if request.cut { Fate::Cut } else { Fate::Shown };
        for member in valid {
            if self.over_rate(&member, now) {
                self.counters.over_rate += 1;
                fate = Fate::OverRate;
                continue;
            }
            self.counters.cut += u64::from(request.cut);
            let words = file.as_ref().map_or(request.content.as_str(), |file| file.name.as_str());
            let seq = self.line_with(member.clone(), false, &request.msgtype, words, now, file.clone());
            let (msgtype, content) = (request.msgtype.clone(), request.content.clone());
            self.delivered.push(Delivered { member, msgtype, content, at: now, msgid: msgid.clone(), seq });
        }
        if fate != Fate::OverRate {
            self.shown.insert(fingerprint, (now, msgid.clone()));
        }
        Ok(Taken { msgid, invalid, fate })
    }

    /// The file that a message shows; refuses one that WeCom has not, or not as this.
    fn file_of(&self, request: &SendRequest, now: Timestamp) -> Result<Option<ShownFile>, Refusal> {
        if !request.is_file() {
            return Ok(None);
        }
        let media_id = request.content.clone();
        let file = self.uploads.get(&media_id).filter(|file| file.can_be_sent(&request.msgtype, now));
        let UploadedFile { name, bytes, .. } = file.ok_or(Refusal(40007))?;
        Ok(Some(ShownFile { media_id, name: name.clone(), bytes: bytes.len() }))
    }

    /// Adds a line of words to a member's chat.
    pub(super) fn line(
        &mut self,
        member: String,
        from_member: bool,
        msgtype: &str,
        content: &str,
        at: Timestamp,
    ) -> u64 {
        self.line_with(member, from_member, msgtype, content, at, None)
    }

    /// Adds a line to a member's chat, with the file that it shows.
    pub(super) fn line_with(
        &mut self,
        member: String,
        from_member: bool,
        msgtype: &str,
        content: &str,
        at: Timestamp,
        file: Option<ShownFile>,
    ) -> u64 {
        self.last_seq += 1;
        let (msgtype, content) = (msgtype.to_owned(), content.to_owned());
        self.lines.push_back(Line { seq: self.last_seq, at, member, from_member, msgtype, content, file });
        if self.lines.len() > LINES_KEPT {
            self.lines.pop_front();
        }
        self.last_seq
    }

    /// The id of the next message that a member writes.
    pub(super) const fn next_msg_id(&mut self) -> u64 {
        self.messages += 1;
        FIRST_MSG_ID + self.messages
    }

    /// Whether one more message to `member` now would be too many; counts it if not.
    fn over_rate(&mut self, member: &str, now: Timestamp) -> bool {
        let shown = self.shown_at.entry(member.to_lowercase()).or_default();
        while shown.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(3600)) {
            shown.pop_front();
        }
        let last_minute = shown.iter().rev().take_while(|at| now.since(**at) < Duration::from_secs(60)).count();
        let over = last_minute >= PER_MINUTE || shown.len() >= PER_HOUR;
        if !over {
            shown.push_back(now);
        }
        over
    }

    fn meet_fate(&mut self) {
        match self.trouble.take_access_token_fate() {
            Some(TokenFate::Expired) => self.retire(),
            Some(TokenFate::Forgotten) => self.access_token = None,
            None => {}
        }
    }

    fn retire(&mut self) {
        self.retired.extend(self.access_token.take().map(|token| token.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn request(to: &str, content: &str, duplicate_check: Option<u64>) -> SendRequest {
        let to = to.split('|').map(str::to_owned).collect();
        SendRequest { to, msgtype: "text".to_owned(), content: content.to_owned(), cut: false, duplicate_check }
    }

    fn fate(state: &mut State, content: &str, check: Option<u64>, secs: i64) -> Fate {
        state.take(request("ann", content, check), at(secs)).expect("taken").fate
    }

    #[test]
    fn an_access_token_is_the_same_while_valid_and_each_end_has_its_errcode() {
        let mut state = State::default();
        let (first, life) = state.access_token(at(0));
        assert_eq!(
            (life, state.access_token(at(200))),
            (ACCESS_TOKEN_LIFE, (first.clone(), Duration::from_secs(7000)))
        );
        assert_eq!(state.authorise(None, HERE, at(0)), Err(Refusal(41001)));
        assert_eq!(state.authorise(Some("forged"), HERE, at(0)), Err(Refusal(40014)));
        assert_eq!(state.authorise(Some(&first), HERE, at(7199)), Ok(()));
        assert_eq!(state.authorise(Some(&first), HERE, at(7200)), Err(Refusal(42001)));

        let (second, _) = state.access_token(at(7200));
        assert_ne!(first, second);
        assert_eq!(state.authorise(Some(&first), HERE, at(7200)), Err(Refusal(42001)));
        state.trouble.expire_access_token();
        assert_eq!(state.authorise(Some(&second), HERE, at(7200)), Err(Refusal(42001)));
        let (third, _) = state.access_token(at(7200));
        state.trouble.forget_access_token();
        assert_eq!(state.authorise(Some(&third), HERE, at(7200)), Err(Refusal(40014)));
        let (fourth, _) = state.access_token(at(7200));
        state.trouble.refuse_ip(true);
        assert_eq!(state.authorise(Some(&fourth), HERE, at(7200)), Err(Refusal(60020)));
    }

    #[test]
    fn an_equal_message_is_shown_again_unless_the_check_is_asked_for_and_recent() {
        let mut state = State::default();
        assert_eq!(fate(&mut state, "hello", None, 0), Fate::Shown);
        assert_eq!(fate(&mut state, "hello", Some(60), 59), Fate::Duplicate);
        assert_eq!(fate(&mut state, "hello!", Some(60), 59), Fate::Shown);
        assert_eq!(fate(&mut state, "hello", Some(60), 60), Fate::Shown);
        assert_eq!(fate(&mut state, "hello", None, 60), Fate::Shown);
        assert_eq!(state.take(request("bob", "hello", Some(60)), at(60)).expect("taken").fate, Fate::Shown);
        assert_eq!((state.delivered.len(), state.counters.duplicates), (5, 1));
    }

    #[test]
    fn beyond_thirty_a_minute_or_a_thousand_an_hour_messages_vanish_silently() {
        let mut state = State::default();
        let shown = (0..40).filter(|n| fate(&mut state, &n.to_string(), None, 0) == Fate::Shown).count();
        assert_eq!((shown, state.counters.over_rate), (30, 10));
        assert_eq!(fate(&mut state, "swallowed before", Some(60), 59), Fate::OverRate);
        assert_eq!(fate(&mut state, "swallowed before", Some(60), 60), Fate::Shown);
        assert_eq!(state.take(request("BOB", "x", None), at(60)).expect("taken").fate, Fate::Shown);

        let mut state = State::default();
        let shown = (0..1100).filter(|n| fate(&mut state, "x", None, n * 3) == Fate::Shown).count();
        assert_eq!(shown, 1000);
        assert_eq!(fate(&mut state, "x", None, 3600), Fate::Shown);
    }

    #[test]
    fn unknown_members_are_named_in_lower_case_and_only_all_unknown_is_a_refusal() {
        let mut state = State::default();
        state.trouble.unknown_member("Gone", true);
        let taken = state.take(request("GONE|ann", "x", None), at(0)).expect("taken");
        assert_eq!((taken.invalid, state.delivered.len()), (vec!["gone".to_owned()], 1));
        assert_eq!(state.take(request("gone", "x", None), at(0)).err(), Some(Refusal(81013)));
        state.trouble.unknown_member("gone", false);
        assert!(state.take(request("gone", "x", None), at(0)).is_ok());
    }
}
