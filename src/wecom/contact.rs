//! Who a member is: `user/get` (page 90196) and the name of their department.
//!
//! WeCom says only what the application may see: members outside its visible range are refused with 60011, and to
//! applications made since 2022 it may leave names out.

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    client::Client,
    errcode::Class,
    token::TokenError,
};
use crate::model::{id::MemberId, profile::Profile};

/// WeCom did not say who it is.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// There was no access token to ask with. Try again later.
    #[error("no access token")]
    AccessToken(#[from] TokenError),
    /// No answer of WeCom's came. Try again later.
    #[error("no answer of WeCom's")]
    Trouble(#[from] Trouble),
    /// WeCom refused: it will go on doing so until somebody changes something in its console.
    #[error("WeCom refused")]
    Refused(#[source] Refusal),
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    name: String,
    #[serde(default)]
    main_department: u64,
    #[serde(default)]
    department: Vec<u64>,
}

#[derive(Deserialize)]
struct Departments {
    #[serde(default)]
    department: Department,
}

#[derive(Default, Deserialize)]
struct Department {
    #[serde(default)]
    name: String,
}

impl Client {
    /// What WeCom lets the application read of a member: the name, and that of the main department. Where only the
    /// department is refused, it is left out.
    ///
    /// # Errors
    /// [`ContactError`].
    pub async fn profile(&self, member: &MemberId) -> Result<Profile, ContactError> {
        let found: Member = self.look_up("user/get", [("userid", member.as_str())]).await?;
        let main = Some(found.main_department).filter(|id| *id > 0).or(found.department.first().copied());
        let mut profile = Profile::new(&found.name, "");
        if let Some(id) = main {
            let id = id.to_string();
            match self.look_up::<Departments>("department/get", [("id", id.as_str())]).await {
                Ok(found) => profile.department = Profile::new("", &found.department.name).department,
                Err(ContactError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(profile)
    }

    async fn look_up<T: DeserializeOwned>(&self, api: &str, of: [(&str, &str); 1]) -> Result<T, ContactError> {
        /// The part that every answer has, and the rest.
        #[derive(Deserialize)]
        struct Answer {
            #[serde(flatten)]
            outcome: Outcome,
            #[serde(flatten)]
            rest: serde_json::Value,
        }
        let url = format!("{}/cgi-bin/{api}", self.api_base);
        let mut fresh = false;
        loop {
            let access_token = self.tokens.get().await?;
            let query = [("access_token", access_token.expose()), of[0]];
            let answer: Answer = ask(&self.clock, self.timeout, self.http.get(&url).query(&query)).await?;
            if answer.outcome.class() == Class::TokenStale && !fresh {
                self.tokens.invalidate(&access_token);
                fresh = true;
                continue;
            }
            if let Some(refusal) = answer.outcome.refusal(access_token.expose()) {
                return Err(ContactError::Refused(refusal));
            }
            return serde_json::from_value(answer.rest).map_err(|error| Trouble::NotJson(error).into());
        }
    }
}
