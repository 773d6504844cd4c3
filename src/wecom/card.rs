//! Changes a template card that a member pressed (page 94888).

use serde_json::{Value, json};

use super::{
    answer::{Outcome, Trouble, ask},
    client::{Client, SendError},
    errcode::Class,
    token::AccessToken,
};
use crate::model::id::MemberId;

impl Client {
    /// Puts `done` in the place of the buttons of the card that `member` pressed, so that it cannot be pressed again.
    /// `response_code` came with the press; it serves once, for 72 hours.
    ///
    /// # Errors
    /// [`SendError`]: the card stays as it is, as far as we know.
    pub async fn update_card(&self, member: &MemberId, response_code: &str, done: &str) -> Result<(), SendError> {
        let change = json!({
            "userids": [member.as_str()],
            "agentid": self.agent.get(),
            "response_code": response_code,
            "button": { "replace_name": done },
        });
        let mut access_token = self.tokens.get().await?;
        let mut outcome = self.post_change(&access_token, &change).await?;
        if outcome.class() == Class::TokenStale {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await?;
            outcome = self.post_change(&access_token, &change).await?;
        }
        match outcome.refusal(access_token.expose()) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    async fn post_change(&self, access_token: &AccessToken, change: &Value) -> Result<Outcome, Trouble> {
        let url = format!("{}/cgi-bin/message/update_template_card", self.api_base);
        let request = self.http.post(url).query(&[("access_token", access_token.expose())]).json(change);
        ask(&self.clock, self.timeout, request).await
    }
}
