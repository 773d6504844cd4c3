//! A member asks for more than a limit allows, and an operator gives it: by a card or, where none is shown, in writing.
//!
//! A decision is saved with its grant before it is felt and told, under the row in which it was made: done again after a
//! crash, it grants nothing twice and is told all the same.

use std::sync::Arc;

use serde_json::json;
use tracing::info;

use super::{
    cards::{PREFIX, mark},
    operator::ended_or_lost,
    words::Words,
};
use crate::{
    chat::{
        cause::chain,
        persist::persist,
        render::plain,
        texts::{more::can_be_asked_for, quota::Wording},
        turn::Turns,
    },
    clock::zone::Zone,
    config,
    model::{
        command::Command,
        id::Lane,
        language::Language,
        person::{Power, Reach},
        preferences::{Client, Preferences},
        quota::book::Standing,
        reply::{Card, ReplyPart},
    },
    store::{
        inbox::{Ending, Inbound},
        quota_requests::{self, Decided, QuotaRequest, Telling, Verdict, Wanted},
    },
};

/// What stands behind the prefix in the tasks of these cards.
pub(super) const WORD: &str = "more";
/// The keys of the buttons.
const REST: &str = "qimate:rest";
const WEEK: &str = "qimate:week";
const NO: &str = "qimate:no";
/// For how many days the second button gives more.
const DAYS: u32 = 7;
/// The longest that somebody can be given more for, in days.
const MOST_DAYS: u32 = 3650;
/// The longest reason, in characters: what a card shows of one (page 90236).
const REASON: usize = 150;
/// The longest value of a line of a card, in characters (page 90236).
const VALUE: usize = 30;

/// What sentences about allowances need, to be kept until they are said.
#[derive(Clone)]
pub(super) struct Phrases {
    team: config::Team,
    zone: Zone,
    /// Of those who chose none.
    usual: Language,
    /// Whether cards can be shown at all.
    cards: bool,
}

impl Phrases {
    pub(super) fn wording(&self, language: Language) -> Wording<'_> {
        let (currency, contact) = (&*self.team.currency, self.team.contact.as_deref());
        Wording { language, zone: &self.zone, currency, contact, asks: false }
    }

    /// A request as an operator gets it.
    fn request(&self, request: &QuotaRequest, lane: &Lane, preferences: &Preferences) -> Option<ReplyPart> {
        let wording = self.wording(preferences.language(self.usual));
        let shown = self.cards && preferences.client == Client::WeCom;
        let card = shown.then(|| card(&wording, request, lane)).flatten();
        card.map(|card| ReplyPart::Card(Box::new(card))).or_else(|| plain(&wording.request(request)).into_iter().next())
    }
}

impl Turns {
    pub(super) async fn ask_for_more(&self, claim: &Inbound, reason: &str) {
        let (phrases, language) = (self.phrases(), self.language(claim).await);
        let standing = self.answerer.standing(claim).await;
        let Some(most) = most_used(&standing) else {
            let text = phrases.wording(language).enough_left(&standing);
            return self.finish(claim, Ending::Says(plain(&text))).await;
        };
        let Standing { limit, allowed, used, .. } = most.clone();
        let wanted = Wanted { limit, allowed, used, reason: cut(reason, REASON) };
        let (to_member, to_operators, in_writing, of) = (phrases.clone(), phrases.clone(), phrases, wanted.clone());
        let words = Arc::new(quota_requests::Words {
            member: Box::new(move |asked| plain(&to_member.wording(language).asked(asked, &of))),
            operator: Box::new(move |request, lane, preferences| to_operators.request(request, lane, preferences)),
            plain: Box::new(move |request| in_writing.wording(in_writing.usual).request(request)),
        });
        let ask = || {
            let (wanted, words) = (wanted.clone(), Arc::clone(&words));
            self.store.ask_for_more(claim, wanted, self.operators.clone(), words, self.clock.now())
        };
        ended_or_lost(claim, persist(&self.clock, ask).await);
    }

    /// `/grant NUMBER [days]` and `/deny NUMBER`.
    pub(super) async fn decide_in_writing(&self, claim: &Inbound, command: Command, argument: &str) {
        let mut words = argument.split_whitespace();
        let id = words.next().and_then(|word| word.parse().ok());
        let days = words.next().map(|word| word.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days)));
        let verdict = match (command, days) {
            (Command::Deny, None) => Some(Verdict::No),
            (Command::Grant, None) => Some(Verdict::Rest(self.settings.time_zone.clone())),
            (Command::Grant, Some(Some(days))) => Some(Verdict::Days(days)),
            _ => None,
        };
        let (Some(id), Some(verdict), None) = (id, verdict, words.next()) else {
            return self.reply(claim, Words::Lacks(command)).await;
        };
        self.decide(claim, id, None, verdict).await;
    }

    /// A button on the card of a request was pressed: of this id, which was asked then. The card is changed after what it
    /// does, so one that could not be changed can be pressed again, and then says what was decided.
    pub(super) async fn decide_by_card(&self, claim: &Inbound, (id, at): (i64, i64), key: &str, response_code: &str) {
        let verdict = match key {
            REST => Verdict::Rest(self.settings.time_zone.clone()),
            WEEK => Verdict::Days(DAYS),
            NO => Verdict::No,
            _ => return self.finish(claim, Ending::Silent).await,
        };
        let role = Box::pin(self.role_of(claim, &claim.event.from)).await;
        if role.reach(Power::Grant) == Reach::Nobody {
            return self.reply(claim, Words::ForOperators).await;
        }
        let decided = self.decide(claim, id, Some(at), verdict).await;
        let done = match (decided, self.language(claim).await) {
            (Decided::Now(_, Some(_)), Language::Chinese) => "已同意",
            (Decided::Now(_, Some(_)), Language::English) => "Granted",
            (Decided::Now(_, None), Language::Chinese) => "未同意",
            (Decided::Now(_, None), Language::English) => "Denied",
            (Decided::Before { .. } | Decided::Nothing, Language::Chinese) => "已处理",
            (Decided::Before { .. } | Decided::Nothing, Language::English) => "Done",
        };
        let Some(wecom) = &self.wecom else { return };
        if let Err(error) = wecom.update_card(&claim.event.from, response_code, done).await {
            info!(inbox.seq = claim.seq, error = %chain(&error), "the card of a request for more was not changed");
        }
    }

    /// Whoever sends this decides about requests.
    async fn decide(&self, claim: &Inbound, id: i64, at: Option<i64>, verdict: Verdict) -> Decided {
        let decide = || self.store.decide_request(claim, id, at, verdict.clone(), self.clock.now());
        let decided = persist(&self.clock, decide).await;
        if matches!(decided, Decided::Now(_, Some(_))) {
            // Before anybody is told: a question that follows has room.
            persist(&self.clock, || self.allowances().reload()).await;
        }
        let (phrases, language) = (self.phrases(), self.language(claim).await);
        let parts = plain(&phrases.wording(language).decided(&decided));
        let member = match &decided {
            Decided::Now(request, granted) => {
                let (limit, granted) = (request.wanted.limit, *granted);
                let telling: Telling = Arc::new(move |preferences: &Preferences| {
                    plain(&phrases.wording(preferences.language(phrases.usual)).decision(&limit, granted.as_ref()))
                });
                Some((QuotaRequest::clone(request), telling))
            }
            Decided::Before { .. } | Decided::Nothing => None,
        };
        let tell = || self.store.tell_decision(claim, parts.clone(), member.clone(), self.clock.now());
        ended_or_lost(claim, persist(&self.clock, tell).await);
        decided
    }

    pub(super) fn phrases(&self) -> Phrases {
        let (team, zone) = (self.team.clone(), self.settings.time_zone.clone());
        Phrases { team, zone, usual: self.settings.language, cards: self.wecom.is_some() }
    }
}

/// The limit of which least is left, of those of which more can be asked for.
fn most_used(standing: &[Standing]) -> Option<&Standing> {
    let asked_for = standing.iter().filter(|one| can_be_asked_for(&one.limit, one.used, one.allowed));
    let part = |one: &Standing, of: &Standing| u128::from(one.used) * u128::from(of.allowed);
    asked_for.reduce(|most, one| if part(one, most) > part(most, one) { one } else { most })
}

/// The card of a request, for the operator of `lane`.
fn card(wording: &Wording<'_>, request: &QuotaRequest, lane: &Lane) -> Option<Card> {
    let wanted = &request.wanted;
    let (who, stands, rest) = (wording.who(request), wording.stands(wanted), wording.rest(wanted.limit.window));
    let (title, names, why, buttons) = match wording.language {
        Language::Chinese => (
            "申请更多额度",
            ["成员", "额度"],
            "没有写原因",
            [format!("{rest}再给一份"), format!("{DAYS} 天内再给一份"), "不同意".to_owned()],
        ),
        Language::English => (
            "Asks for more",
            ["Who", "Limit"],
            "No reason was given",
            [format!("Again: {rest}"), format!("Again: {DAYS} days"), "No".to_owned()],
        ),
    };
    let reason = if wanted.reason.is_empty() { why } else { &wanted.reason };
    let line = |name: &str, value: &str| json!({ "keyname": name, "value": cut(value, VALUE) });
    let button = |text: &str, key: &str, style: u8| json!({ "text": text, "key": key, "style": style });
    let [rest, week, no] = &buttons;
    let card = json!({
        "card_type": "button_interaction",
        "main_title": { "title": title, "desc": cut(&stands, VALUE) },
        "sub_title_text": reason,
        "horizontal_content_list": [line(names[0], &who), line(names[1], &wanted.limit.to_string())],
        "button_list": [button(rest, REST, 1), button(week, WEEK, 2), button(no, NO, 2)],
    });
    // One for each operator; ids may come again with another database, but not at that time.
    let task = format!("{PREFIX}-{WORD}-{}-{}-{}", mark(lane), request.id, request.asked_at.as_millis());
    Card::new(task, card).ok()
}

/// The text on one line, with at most so many characters.
fn cut(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => {
            let end = line[..end].char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}…", &line[..end])
        }
        None => line,
    }
}
