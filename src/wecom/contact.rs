//! Who a member is, and whether the application sees them: `user/get` (page 90196) and the name of their department.
//!
//! WeCom says only what the application may see: members outside its visible range are refused with 60011, and to
//! applications made since 2022 it may leave names out.

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    client::Client,
    errcode::Class,
    meaning::Meaning,
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

/// What `department/get` says.
#[derive(Deserialize)]
pub(super) struct Departments {
    #[serde(default)]
    pub(super) department: Department,
}

/// A department of it.
#[derive(Default, Deserialize)]
pub(super) struct Department {
    #[serde(default)]
    pub(super) name: String,
}

impl Client {
    /// What WeCom lets the application read of a member: the name, and that of the main department. Where only the
    /// department is refused, it is left out.
    ///
    /// # Errors
    /// [`ContactError`].
    pub async fn profile(&self, member: &MemberId) -> Result<Profile, ContactError> {
        let found: Member = self.look_up("user/get", &[("userid", member.as_str())]).await?;
        let main = Some(found.main_department).filter(|id| *id > 0).or(found.department.first().copied());
        let mut profile = Profile::new(&found.name, "");
        if let Some(id) = main {
            let id = id.to_string();
            match self.look_up::<Departments>("department/get", &[("id", id.as_str())]).await {
                Ok(found) => profile.department = Profile::new("", &found.department.name).department,
                Err(ContactError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(profile)
    }

    /// Whether `member` is there and in the application's visible range: it may ask about those and about nobody else.
    ///
    /// # Errors
    /// [`ContactError`]: WeCom did not say.
    pub async fn sees(&self, member: &MemberId) -> Result<bool, ContactError> {
        match self.look_up::<serde_json::Value>("user/get", &[("userid", member.as_str())]).await {
            Ok(_) => Ok(true),
            Err(ContactError::Refused(refusal)) if refusal.errcode.meaning() == Meaning::NoRecipient => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks `api` about the address book; with a fresh access token where that is needed.
    pub(super) async fn look_up<T: DeserializeOwned>(&self, api: &str, of: &[(&str, &str)]) -> Result<T, ContactError> {
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
            let request = self.http.get(&url).query(&[("access_token", access_token.expose())]).query(of);
            let answer: Answer = ask(&self.clock, self.timeout, request).await?;
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
