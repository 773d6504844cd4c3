//! Which keys members may make themselves: decided here alone, for the chat, which gives a link, and for the page behind
//! it, which gives the key.

use std::sync::Arc;

use super::{
    Payer,
    allowances::{Allowances, Refusal},
};
use crate::{
    clock::Clock,
    config::v1::MemberKeys,
    model::{
        key::{ApiKey, KeyId},
        key_link::{Hindrance, KeyLink, KeyWish, LinkToken},
        quota::plan::Right,
        reply::ReplyPart,
    },
    store::{
        Error, LeaseLost, Store,
        inbox::Inbound,
        key_links::{Bounds, Taken},
        keys::Revoked,
    },
};

/// The keys that members make themselves, within what operators allow. Clones share it.
#[derive(Clone, Debug)]
pub struct OwnKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    allowances: Arc<Allowances>,
    bounds: Bounds,
    /// This service from outside: scheme, host and port.
    base: String,
}

impl OwnKeys {
    /// Within `settings`, by links below `base`: this service from outside, without a trailing slash.
    pub fn new(store: Store, clock: Clock, allowances: Arc<Allowances>, settings: &MemberKeys, base: &str) -> Self {
        let MemberKeys { most, life, scope } = settings.clone();
        let (bounds, base) = (Bounds { most, scope, life }, base.to_owned());
        Self(Arc::new(Inner { store, clock, allowances, bounds, base }))
    }

    /// How many a member may have.
    pub fn most(&self) -> u32 {
        self.0.bounds.most
    }

    /// This service from outside: scheme, host and port.
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// Whether somebody may have a key made, or renewed, at all. Asked when a link is made and when it is used; outside
    /// the service hours too.
    ///
    /// # Errors
    /// [`Refusal`]: they may not.
    pub async fn permit(&self, payer: Payer<'_>) -> Result<(), Refusal> {
        let allowances = &self.0.allowances;
        let admitted = allowances.people().admit(payer, false, false).await;
        admitted.map_err(|why| Refusal::Denied { why, alias: None })?;
        allowances.permit(payer, Right::Keys).await
    }

    /// Those of somebody that are not revoked, newest first, whoever made them.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn list(&self, payer: Payer<'_>) -> Result<Vec<ApiKey>, Error> {
        self.0.store.keys_of(payer.corp, payer.member).await
    }

    /// Ends a permitted member's command with a link, which `words` put into a message.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn offer(
        &self,
        claim: &Inbound,
        wish: KeyWish,
        words: impl Fn(Result<String, Hindrance>) -> Vec<ReplyPart> + Send + 'static,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let Inner { store, clock, bounds, base, .. } = &*self.0;
        let base = base.clone();
        let words = move |offered: Result<&LinkToken, Hindrance>| {
            words(offered.map(|token| format!("{base}/key/{}", token.text().expose())))
        };
        store.offer_key(claim, wish, bounds.most, words, clock.now()).await
    }

    /// Ends a member's command with one of their keys revoked.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn revoke(
        &self,
        claim: &Inbound,
        id: &KeyId,
        words: impl Fn(Revoked) -> Vec<ReplyPart> + Send + 'static,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let Inner { store, clock, allowances, .. } = &*self.0;
        let ended = store.revoke_own_key(claim, id, words, clock.now()).await?;
        allowances.people().keys_changed();
        Ok(ended)
    }

    /// The link in which this stands, where it is good and its member may have it used. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn look(&self, token: &str) -> Result<Option<KeyLink>, Error> {
        let Ok(token) = LinkToken::parse(token) else { return Ok(None) };
        let Inner { store, clock, .. } = &*self.0;
        let Some(link) = store.key_link(&token.hash(), clock.now()).await? else { return Ok(None) };
        let payer = Payer { corp: &link.corp, agent: link.agent, member: &link.member };
        let permitted = self.permit(payer).await.is_ok();
        Ok(permitted.then_some(link))
    }

    /// Uses a link that [`OwnKeys::look`] gave.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn take(&self, link: &KeyLink) -> Result<Taken, Error> {
        let Inner { store, clock, bounds, allowances, .. } = &*self.0;
        let taken = store.take_key(link, bounds, clock.now()).await?;
        // Whoever answers programs reads it at once; this is for where that fails.
        allowances.people().keys_changed();
        Ok(taken)
    }
}
