//! `agent/get` (page 90227): the application as WeCom's console shows it.
//!
//! It is also the cheapest call that WeCom guards with the list of trusted addresses: `gettoken` is not guarded.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    client::Client,
    errcode::Class,
    token::{AccessToken, TokenError},
};

/// What WeCom says of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What employees see it called.
    pub name: String,
    /// Whether an administrator switched it off.
    pub disabled: bool,
    /// How many members, departments and tags may see it; nobody can write to it where all are zero.
    pub visible: Visible,
    /// The members who are named one by one, in lower case.
    pub members: Vec<String>,
    /// The departments, by WeCom's numbers.
    pub departments: Vec<u64>,
}

/// How wide the visible range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visible {
    /// Members named one by one.
    pub members: usize,
    /// Departments.
    pub departments: usize,
    /// Tags.
    pub tags: usize,
}

impl Visible {
    /// Nobody sees the application.
    pub const fn is_nobody(self) -> bool {
        self.members + self.departments + self.tags == 0
    }
}

/// WeCom did not say.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There was no access token to ask with.
    #[error("no access token")]
    AccessToken(#[source] TokenError),
    /// No answer of WeCom's came.
    #[error("no answer of WeCom's")]
    Trouble(#[source] Trouble),
    /// WeCom refused.
    #[error("WeCom refused")]
    Refused(#[source] Refusal),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(default)]
    name: String,
    #[serde(default)]
    close: i64,
    #[serde(default, deserialize_with = "lenient")]
    allow_userinfos: Users,
    #[serde(default, deserialize_with = "lenient")]
    allow_partys: Parties,
    #[serde(default, deserialize_with = "lenient")]
    allow_tags: Tags,
}

#[derive(Default, Deserialize)]
struct Users {
    #[serde(default)]
    user: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct Parties {
    #[serde(default)]
    partyid: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct Tags {
    #[serde(default)]
    tagid: Vec<Value>,
}

/// An empty list may come as `null`.
fn lenient<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(deserializer)?).unwrap_or_default())
}

impl Client {
    /// Whether there is an access token: the one that is held, or a new one.
    ///
    /// # Errors
    /// [`TokenError`]; a refusal stands for some seconds without asking again.
    pub async fn check_access_token(&self) -> Result<(), TokenError> {
        self.tokens.get().await.map(|_| ())
    }

    /// What WeCom says of our application.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn agent(&self) -> Result<Agent, AgentError> {
        let mut access_token = self.tokens.get().await.map_err(AgentError::AccessToken)?;
        let mut answer = self.get_agent(&access_token).await.map_err(AgentError::Trouble)?;
        if answer.outcome.class() == Class::TokenStale {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await.map_err(AgentError::AccessToken)?;
            answer = self.get_agent(&access_token).await.map_err(AgentError::Trouble)?;
        }
        if let Some(refusal) = answer.outcome.refusal(access_token.expose()) {
            return Err(AgentError::Refused(refusal));
        }
        Ok(Agent {
            name: answer.name.chars().filter(|c| !c.is_control()).take(32).collect(),
            disabled: answer.close != 0,
            members: answer
                .allow_userinfos
                .user
                .iter()
                .filter_map(|user| Some(user["userid"].as_str()?.to_lowercase()))
                .collect(),
            departments: answer.allow_partys.partyid.iter().filter_map(Value::as_u64).collect(),
            visible: Visible {
                members: answer.allow_userinfos.user.len(),
                departments: answer.allow_partys.partyid.len(),
                tags: answer.allow_tags.tagid.len(),
            },
        })
    }

    async fn get_agent(&self, access_token: &AccessToken) -> Result<Answer, Trouble> {
        let url = format!("{}/cgi-bin/agent/get", self.api_base);
        let agent = self.agent.get().to_string();
        let query = [("access_token", access_token.expose()), ("agentid", &agent)];
        ask(&self.clock, self.timeout, self.http.get(url).query(&query)).await
    }
}
