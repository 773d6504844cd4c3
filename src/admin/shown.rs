//! Operators, tokens, sessions and what is known of secrets as programs read them, the same from commands and over HTTP.
//! Never a secret, nor a hash of one.

use schemars::JsonSchema;
use serde::Serialize;

use super::{By, Operator, login::NewSecondFactor};
use crate::{
    clock::Timestamp,
    model::{
        operator::{self, Scopes},
        second_factor::SecondFactor,
    },
    store::secrets::StoredSecret,
};

/// An operator.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Operator")]
pub struct Account {
    /// By which they log in.
    pub name: String,
    /// `owner`, `operator` or `auditor`.
    pub role: &'static str,
    /// `active`, `invited`, `no password`, `no second factor` or `disabled`.
    pub state: &'static str,
    /// What they may.
    pub scopes: Vec<&'static str>,
    /// When the account was made.
    pub created_ms: i64,
    /// When they set their password.
    pub password_set_ms: Option<i64>,
    /// Until when the code that they were given is good.
    pub code_until_ms: Option<i64>,
    /// Whether they have set up a second factor.
    pub second_factor: bool,
    /// When they logged in last.
    pub last_login_ms: Option<i64>,
    /// Since when nothing of theirs is good.
    pub disabled_ms: Option<i64>,
}

/// An operator, and the code by which they set their password where it is shown, this once.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperatorWithCode {
    /// Who it is.
    #[serde(flatten)]
    pub is: Account,
    /// The whole code. Nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What came of setting a password.
#[derive(Serialize, JsonSchema)]
pub struct Enrolment {
    /// The second factor, which is needed for each login from now on.
    pub second_factor: Enrolled,
}

/// A second factor (TOTP: SHA-1, six digits, thirty seconds), shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewSecondFactor")]
pub struct Enrolled {
    /// Its secret in Base32, to be typed into an authenticator app.
    pub secret: String,
    /// The same as an address, to be made a QR code of, which such apps read.
    pub uri: String,
}

/// A token, and all of it where it is shown, this once.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TokenWithText {
    /// What it is.
    #[serde(flatten)]
    pub is: Token,
    /// The whole token, as a program brings it. Nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A token of an operator's program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OperatorToken")]
pub struct Token {
    /// Names it and opens nothing.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// `good`, `expired` or `revoked`.
    pub state: &'static str,
    /// What it may.
    pub scopes: Vec<&'static str>,
    /// When it was made.
    pub created_ms: i64,
    /// From when on it is refused; `null`: never.
    pub expires_ms: Option<i64>,
    /// When it was used last, to a minute.
    pub last_used_ms: Option<i64>,
    /// Since when it is refused for good.
    pub revoked_ms: Option<i64>,
}

/// An open session of a browser.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct Session {
    /// Names it and opens nothing.
    pub id: String,
    /// Since when it is open.
    pub created_ms: i64,
    /// When it was used last.
    pub used_ms: i64,
    /// When it ends if nothing more is asked.
    pub expires_ms: i64,
    /// From where somebody logged in.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// Whether it is the one by which this is asked.
    pub current: bool,
}

/// An operator to themselves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    /// By which they log in.
    pub name: String,
    /// `owner`, `operator` or `auditor`.
    pub role: &'static str,
    /// What they may by what they brought.
    pub scopes: Vec<&'static str>,
    /// What they brought.
    pub by: Brought,
}

/// By what somebody proved who they are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Brought {
    /// `token` or `session`.
    pub kind: &'static str,
    /// Names it and opens nothing.
    pub id: String,
    /// When it ends; `null`: never.
    pub expires_ms: Option<i64>,
    /// With a session: what every request that changes something brings in `X-CSRF-Token`. Shown to pages of our own
    /// origin alone: no other can read an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
}

/// A secret that is stored, without its value.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoredSecret")]
pub struct Secret {
    /// The setting.
    pub name: String,
    /// When it was set. A Qimate that runs since before uses it from its next start on.
    pub set_ms: i64,
    /// Who set it, as the audit log names them.
    pub set_by: String,
    /// The number of the data key that seals it.
    pub data_key: i64,
    /// By which master key that is wrapped; `null` where the ring has no such key.
    pub master_key: Option<String>,
}

/// The words for what somebody may.
pub fn scopes(scopes: &Scopes) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

/// An operator.
pub fn account(account: &operator::Account, now: Timestamp, rule: SecondFactor) -> Account {
    Account {
        name: account.name.to_string(),
        role: account.role.as_str(),
        state: account.state(now, rule),
        scopes: scopes(&account.role.scopes()),
        created_ms: account.created_at.as_millis(),
        password_set_ms: millis(account.password_set_at),
        code_until_ms: millis(account.invitation.as_ref().map(|open| open.until)),
        second_factor: account.second_factor,
        last_login_ms: millis(account.last_login_at),
        disabled_ms: millis(account.disabled_at),
    }
}

/// A token.
pub fn token(token: &operator::Token, now: Timestamp) -> Token {
    Token {
        id: token.id.to_string(),
        label: token.label.clone(),
        state: token.standing(now).as_str(),
        scopes: scopes(&token.scopes),
        created_ms: token.created_at.as_millis(),
        expires_ms: millis(token.expires_at),
        last_used_ms: millis(token.last_used_at),
        revoked_ms: millis(token.revoked_at),
    }
}

impl From<NewSecondFactor> for Enrolment {
    fn from(NewSecondFactor { secret, uri }: NewSecondFactor) -> Self {
        Self { second_factor: Enrolled { secret: secret.expose().clone(), uri: uri.expose().clone() } }
    }
}

impl Session {
    /// A session of an operator, to them.
    pub fn of(session: &operator::Session, operator: &Operator) -> Self {
        Self {
            id: session.id.to_string(),
            created_ms: session.created_at.as_millis(),
            used_ms: session.used_at.as_millis(),
            expires_ms: session.ends_at().as_millis(),
            address: session.address.clone(),
            agent: session.agent.clone(),
            current: *operator.by.id() == session.id,
        }
    }
}

impl Me {
    /// An operator to themselves.
    pub fn of(operator: &Operator) -> Self {
        let by = match &operator.by {
            By::Token { id, expires_at } => {
                Brought { kind: "token", id: id.to_string(), expires_ms: millis(*expires_at), csrf_token: None }
            }
            By::Session { id, csrf, ends_at } => Brought {
                kind: "session",
                id: id.to_string(),
                expires_ms: Some(ends_at.as_millis()),
                csrf_token: Some(csrf.expose().clone()),
            },
        };
        let (name, role) = (operator.name.to_string(), operator.role.as_str());
        Self { name, role, scopes: scopes(&operator.scopes), by }
    }
}

/// A secret that is stored, without its value.
pub fn secret(secret: &StoredSecret) -> Secret {
    Secret {
        name: secret.name.clone(),
        set_ms: secret.set_at.as_millis(),
        set_by: secret.set_by.clone(),
        data_key: secret.key,
        master_key: secret.master.map(|id| id.to_string()),
    }
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}
