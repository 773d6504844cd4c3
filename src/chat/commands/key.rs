//! A member's own API keys: shown, offered by a one-time link, taken back. Who may have which decides
//! [`crate::meter::own_keys`]; the key itself is made and shown by the page behind the link, and never said here.

use super::operator::ended_or_lost;
use crate::{
    chat::{allowance::payer, persist::persist, render::plain, turn::Turns},
    meter::own_keys::OwnKeys,
    model::{
        key::{KeyId, KeyText, is_name},
        key_link::{Hindrance, KeyWish},
        language::Language,
    },
    store::{
        inbox::{Ending, Inbound},
        keys::Revoked,
    },
};

/// What stands behind the command.
enum Asked<'a> {
    /// To see them.
    List,
    /// A new one; empty: without a name.
    New(&'a str),
    /// Another secret for the one of this id.
    Rotate(&'a str),
    /// This one no longer.
    Revoke(&'a str),
    /// Something else.
    Unknown,
}

impl<'a> Asked<'a> {
    fn parse(argument: &'a str) -> Self {
        let (word, rest) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
        let rest = rest.trim();
        match word.to_lowercase().as_str() {
            "" => Self::List,
            "new" | "新建" => Self::New(rest),
            "rotate" | "更换" => Self::Rotate(rest),
            "revoke" | "停用" => Self::Revoke(rest),
            _ => Self::Unknown,
        }
    }
}

/// The key that is meant: by its id, or by all of it, where somebody writes a key that should not have been written.
fn meant(text: &str) -> Option<KeyId> {
    KeyId::parse(&text.to_lowercase()).ok().or_else(|| KeyText::parse(text).ok().map(|key| key.id))
}

impl Turns {
    /// Whether a member can make keys here: members may, and their plan does not say otherwise.
    pub(super) async fn makes_keys(&self, claim: &Inbound) -> bool {
        match &self.own_keys {
            Some(keys) => keys.permit(payer(claim)).await.is_ok(),
            None => false,
        }
    }

    pub(super) async fn own_keys(&self, claim: &Inbound, argument: &str) {
        let preferences = self.preferences(claim).await;
        let (wording, language) = (self.wording(&preferences), preferences.language(self.settings.language));
        let Some(keys) = &self.own_keys else { return self.tell(claim, &wording.no_keys()).await };
        match Asked::parse(argument) {
            Asked::List => {
                let all = persist(&self.clock, || keys.list(payer(claim))).await;
                self.tell(claim, &wording.keys(&all, keys.most(), self.clock.now())).await;
            }
            Asked::New(name) => {
                let name = match (name.split_whitespace().collect::<Vec<_>>().join(" "), language) {
                    (name, Language::Chinese) if name.is_empty() => "我的密钥".to_owned(),
                    (name, Language::English) if name.is_empty() => "my key".to_owned(),
                    (name, _) => name,
                };
                if !is_name(&name) {
                    return self.tell(claim, &wording.no_key_name()).await;
                }
                self.offer_key(claim, keys, KeyWish { name, rotates: None, language }).await;
            }
            Asked::Rotate(id) => {
                let Some(id) = meant(id) else { return self.tell(claim, &wording.no_key_id()).await };
                let all = persist(&self.clock, || keys.list(payer(claim))).await;
                let name = all.into_iter().find(|key| key.id == id).map(|key| key.name).unwrap_or_default();
                self.offer_key(claim, keys, KeyWish { name, rotates: Some(id), language }).await;
            }
            Asked::Revoke(id) => {
                let Some(id) = meant(id) else { return self.tell(claim, &wording.no_key_id()).await };
                let phrases = self.phrases();
                let words = move |revoked: Revoked| plain(&phrases.wording(language).key_revoked(revoked));
                ended_or_lost(claim, persist(&self.clock, || keys.revoke(claim, &id, words.clone())).await);
            }
            Asked::Unknown => self.tell(claim, &wording.how_to_keys()).await,
        }
    }

    /// A link, for those who may have a key.
    async fn offer_key(&self, claim: &Inbound, keys: &OwnKeys, wish: KeyWish) {
        if let Err(refusal) = keys.permit(payer(claim)).await {
            let parts = self.not_allowed(claim, &refusal, &*self.preferences(claim).await).await;
            return self.finish(claim, Ending::Says(parts)).await;
        }
        let (phrases, most, language, rotates) = (self.phrases(), keys.most(), wish.language, wish.rotates.is_some());
        let words = move |offered: Result<String, Hindrance>| {
            let offered = offered.as_deref().map_err(|hindrance| *hindrance);
            plain(&phrases.wording(language).key_offered(offered, rotates, most))
        };
        ended_or_lost(claim, persist(&self.clock, || keys.offer(claim, wish.clone(), words.clone())).await);
    }

    async fn tell(&self, claim: &Inbound, text: &str) {
        self.finish(claim, Ending::Says(plain(text))).await;
    }
}
