//! What operators do: look how it is, block members, announce.

use super::{confirm::Confirmation, glance::Glance, words::Words};
use crate::{
    chat::{persist::persist, render::plain, turn::Turns},
    model::{
        id::MemberId,
        person::{Power, Reach, Role},
    },
    store::{
        LeaseLost,
        announcements::{Step, Stepped},
        inbox::Inbound,
    },
};

/// How many blocked members are listed.
const LISTED: usize = 50;

impl Turns {
    /// What somebody may do beyond asking: what is stored, and operators are also those of the configuration.
    pub(super) async fn role_of(&self, claim: &Inbound, member: &MemberId) -> Role {
        match self.people().role_of(&claim.event.corp, member, claim.epoch).await {
            Role::Owner => Role::Owner,
            _ if self.operators.contains(member) => Role::Operator,
            role => role,
        }
    }

    /// Whether somebody of this role, who wrote the message, may decide about `member`.
    async fn is_in_reach(&self, claim: &Inbound, role: Role, power: Power, member: &MemberId) -> bool {
        match role.reach(power) {
            Reach::Nobody => false,
            Reach::Everybody => true,
            Reach::OwnDepartments => {
                let (corp, from) = (&claim.event.corp, &claim.event.from);
                let own = persist(&self.clock, || self.store.chains_of(corp, from)).await;
                let theirs = self.people().departments_of(corp, member).await;
                own.iter().filter_map(|chain| chain.first()).any(|department| theirs.contains(department))
            }
        }
    }

    pub(super) async fn show_status(&self, claim: &Inbound) {
        let figures = persist(&self.clock, || self.store.figures()).await;
        let glance = self.lately.glance();
        let set_aside = self.models.set_aside();
        let zone = &self.settings.time_zone;
        let glance = Glance {
            uptime: self.clock.uptime().saturating_sub(self.began),
            waiting: figures.inbox.rows,
            sending: figures.outbox.rows,
            dead_letters: figures.dead_letters,
            turns: &glance.turns,
            model_error: glance.last_model_error.as_ref().map(|error| (zone.local(error.at), error.kind)),
            set_aside: &set_aside,
        };
        self.reply(claim, Words::Status(glance)).await;
    }

    pub(super) async fn block(&self, claim: &Inbound, role: Role, argument: &str) {
        let (user, reason) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
        let Ok(member) = MemberId::parse(user) else { return self.reply(claim, Words::NoUser).await };
        if !role.is_above(self.role_of(claim, &member).await) {
            return self.reply(claim, Words::BlocksOperator).await;
        }
        if !self.is_in_reach(claim, role, Power::Block, &member).await {
            return self.reply(claim, Words::NotYours).await;
        }
        let parts = plain(&Words::IsBlocked(user).render(self.language(claim).await));
        let reason = reason.trim();
        let ended =
            persist(&self.clock, || self.store.block(claim, &member, reason, parts.clone(), self.clock.now())).await;
        self.people().changed();
        ended_or_lost(claim, ended);
    }

    pub(super) async fn unblock(&self, claim: &Inbound, role: Role, argument: &str) {
        let Ok(member) = MemberId::parse(argument) else { return self.reply(claim, Words::NoUser).await };
        if !self.is_in_reach(claim, role, Power::Block, &member).await {
            return self.reply(claim, Words::NotYours).await;
        }
        let (language, user) = (self.language(claim).await, argument.to_owned());
        let words = move |was| {
            let words = if was { Words::IsUnblocked(&user) } else { Words::WasNotBlocked(&user) };
            plain(&words.render(language))
        };
        let ended = persist(&self.clock, || self.store.unblock(claim, &member, words.clone(), self.clock.now())).await;
        self.people().changed();
        ended_or_lost(claim, ended);
    }

    pub(super) async fn show_blocked(&self, claim: &Inbound, role: Role) {
        let all = persist(&self.clock, || self.store.blocked_members(&claim.event.corp)).await;
        let mut blocked = Vec::new();
        for one in all {
            let Ok(member) = MemberId::parse(&one.member) else { continue };
            if blocked.len() < LISTED && self.is_in_reach(claim, role, Power::SeeBlocked, &member).await {
                blocked.push(one);
            }
        }
        let blocked: Vec<_> =
            blocked.into_iter().map(|one| (self.settings.time_zone.local(one.at), one.member, one.reason)).collect();
        self.reply(claim, Words::Blocked(&blocked)).await;
    }

    pub(super) async fn announce(&self, claim: &Inbound, argument: &str) {
        let language = self.language(claim).await;
        let step = match argument.to_lowercase().as_str() {
            "send" | "发送" => Step::Send(None),
            "cancel" | "取消" => Step::Cancel(None),
            _ => Step::Show(Words::Announcement(argument).render(self.settings.language)),
        };
        let card = self.shows_cards(claim).await.then(|| Confirmation::of(claim, language));
        self.step(claim, step, card).await;
    }

    /// Ends a message with a step of an announcement; one that is shown gets this card below it.
    pub(super) async fn step(&self, claim: &Inbound, step: Step, card: Option<Confirmation>) {
        let language = self.language(claim).await;
        let words = move |stepped: Stepped| {
            let mut parts = plain(&Words::Stepped(&stepped).render(language));
            if let (Stepped::Shown { id, recipients, .. }, Some(card)) = (&stepped, &card) {
                parts.extend(card.part(*id, *recipients));
            }
            parts
        };
        let step = || self.store.step_announcement(claim, step.clone(), words.clone(), self.clock.now());
        ended_or_lost(claim, persist(&self.clock, step).await);
    }
}

pub(super) fn ended_or_lost(claim: &Inbound, ended: Result<(), LeaseLost>) {
    if let Err(lost) = ended {
        tracing::error!(inbox.seq = claim.seq, %lost, "what an operator asked for is not done");
    }
}
