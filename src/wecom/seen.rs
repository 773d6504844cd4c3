//! `user/get` (page 90196): whether an application sees a member.
//!
//! An application may ask about the members in its visible range and about nobody else, so the errcode says all that is
//! needed; nothing of the answer is kept.

use serde::Deserialize;

use super::{
    agent::AgentError,
    answer::{Outcome, Trouble, ask},
    client::Client,
    errcode::Class,
    meaning::Meaning,
    token::AccessToken,
};
use crate::model::id::MemberId;

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    outcome: Outcome,
}

impl Client {
    /// Whether `member` is there and in the application's visible range.
    ///
    /// # Errors
    /// [`AgentError`]: WeCom did not say.
    pub async fn sees(&self, member: &MemberId) -> Result<bool, AgentError> {
        let mut access_token = self.tokens.get().await.map_err(AgentError::AccessToken)?;
        let mut answer = self.get_user(&access_token, member).await.map_err(AgentError::Trouble)?;
        if answer.outcome.class() == Class::TokenStale {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await.map_err(AgentError::AccessToken)?;
            answer = self.get_user(&access_token, member).await.map_err(AgentError::Trouble)?;
        }
        match answer.outcome.refusal(access_token.expose()) {
            None => Ok(true),
            Some(refusal) if refusal.errcode.meaning() == Meaning::NoRecipient => Ok(false),
            Some(refusal) => Err(AgentError::Refused(refusal)),
        }
    }

    async fn get_user(&self, access_token: &AccessToken, member: &MemberId) -> Result<Answer, Trouble> {
        let url = format!("{}/cgi-bin/user/get", self.api_base);
        let query = [("access_token", access_token.expose()), ("userid", member.as_str())];
        ask(&self.clock, self.timeout, self.http.get(url).query(&query)).await
    }
}
