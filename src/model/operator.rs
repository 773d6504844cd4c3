//! Operators: who administers by HTTP, what they may, and by what they prove it.
//!
//! Not the members whose role in the chat is that of an operator (`model/person`): these have accounts of their own.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::{
    key::{KeyHash, KeyId, Purpose, SecretText, Standing},
    second_factor::SecondFactor,
};
use crate::{clock::Timestamp, secret::Secret};

/// How long a code is good by which an operator sets their password.
pub const INVITATION_LIFE: Duration = Duration::from_secs(30 * 60);
/// After so long without a request a session is over.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// After so long a session is over in any case.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest name of a token, in characters.
pub const LONGEST_LABEL: usize = 64;

/// A text that is no name of an operator, or none of what is listed. The message says what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// The name by which an operator logs in, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorName(String);

impl OperatorName {
    /// Takes 2 to 64 letters and digits of ASCII, `.`, `_`, `-` and `@`, in large or small letters.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if (2..=64).contains(&text.len()) && text.bytes().all(plain) && begins_well {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid("expected 2 to 64 letters, digits and . _ - @, such as zhang.san or zhangsan@example.com"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody may ask or change. Each change needs its own; `Read` changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Look at everything that is no secret and no conversation.
    Read,
    /// Change members and departments: roles, dates, hours, blocks.
    People,
    /// Change plans, for whom they are, and what is granted.
    Plans,
    /// Make, change and revoke API keys.
    Keys,
    /// Make and change operators, and end their tokens and sessions.
    Operators,
    /// Put secrets of the configuration into the database, and take them out. Whoever may this decides where questions and
    /// messages go.
    Secrets,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::People, Self::Plans, Self::Keys, Self::Operators, Self::Secrets];

    /// The word in commands, answers and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::People => "people",
            Self::Plans => "plans",
            Self::Keys => "keys",
            Self::Operators => "operators",
            Self::Secrets => "secrets",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// Several of them.
pub type Scopes = BTreeSet<Scope>;

/// What an operator is to the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, the other operators too.
    Owner,
    /// Everything but the operators and secrets.
    Operator,
    /// Looks, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them, the highest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Operator, Self::Auditor];

    /// The word in commands, answers and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The most that somebody of this role may.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Owner => Scope::ALL.into(),
            Self::Operator => [Scope::Read, Scope::People, Scope::Plans, Scope::Keys].into(),
            Self::Auditor => [Scope::Read].into(),
        }
    }
}

/// Operators' programs: what a token begins with.
#[derive(Clone, Copy, Debug)]
pub enum OperatorTokens {}

impl Purpose for OperatorTokens {
    const PREFIX: &'static str = "qmo_";
}

/// A whole token, as a program brings it.
pub type TokenText = SecretText<OperatorTokens>;

/// Codes by which operators set their passwords.
#[derive(Clone, Copy, Debug)]
pub enum Invitations {}

impl Purpose for Invitations {
    const PREFIX: &'static str = "qmi_";
}

/// A whole code, as an operator brings it.
pub type InvitationText = SecretText<Invitations>;

/// Sessions of operators' browsers.
#[derive(Clone, Copy, Debug)]
pub enum Sessions {}

impl Purpose for Sessions {
    const PREFIX: &'static str = "qms_";
}

/// What a browser has of a session.
pub type SessionText = SecretText<Sessions>;

/// What is kept of a password: a hash with its salt and its costs. Shows itself to nobody, since a weak password can be
/// found by trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash(Secret<String>);

impl PasswordHash {
    /// From the text that `admin::passwords` makes and reads.
    pub const fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// That text.
    pub const fn expose(&self) -> &String {
        self.0.expose()
    }
}

/// A code that was given out and not used.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its public part.
    pub id: KeyId,
    /// Of its secret.
    pub hash: KeyHash,
    /// From when on it is refused.
    pub until: Timestamp,
}

/// An operator as they are kept.
#[derive(Clone, Debug)]
pub struct Account {
    /// Their number, by which tokens and sessions are theirs.
    pub number: i64,
    /// By which they log in.
    pub name: OperatorName,
    /// What they are.
    pub role: Role,
    /// Of their password; `None` where they have set none since the last reset.
    pub password: Option<PasswordHash>,
    /// When they set it.
    pub password_set_at: Option<Timestamp>,
    /// The code by which they may set one.
    pub invitation: Option<Invitation>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Since when nothing of theirs is good.
    pub disabled_at: Option<Timestamp>,
    /// When they logged in last.
    pub last_login_at: Option<Timestamp>,
    /// Whether they have set up a second factor.
    pub second_factor: bool,
}

impl Account {
    /// The word for how it is with the account.
    pub fn state(&self, now: Timestamp, rule: SecondFactor) -> &'static str {
        if self.disabled_at.is_some() {
            "disabled"
        } else if self.password.is_some() && !self.second_factor && rule == SecondFactor::Required {
            "no second factor"
        } else if self.password.is_some() {
            "active"
        } else if self.invitation.as_ref().is_some_and(|invitation| now < invitation.until) {
            "invited"
        } else {
            "no password"
        }
    }
}

/// A token as it is kept.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its number.
    pub number: i64,
    /// Its public part.
    pub id: KeyId,
    /// Whose it is, by number.
    pub operator: i64,
    /// What people call it.
    pub label: String,
    /// What it may, within what its operator may.
    pub scopes: Scopes,
    /// Of its secret.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused for good.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Token {
    /// Whether it is good.
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(self.revoked_at, self.expires_at, now)
    }
}

/// A session as it is kept.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its public part: it names the session and opens nothing.
    pub id: KeyId,
    /// Whose it is, by number.
    pub operator: i64,
    /// Of what the browser has.
    pub hash: KeyHash,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was used last, to a minute after a crash.
    pub used_at: Timestamp,
    /// From which address it was begun.
    pub address: String,
    /// What the browser calls itself, shortened.
    pub agent: String,
}

impl Session {
    /// When it ends if nothing more is asked.
    pub fn ends_at(&self) -> Timestamp {
        (self.used_at + SESSION_IDLE).min(self.created_at + SESSION_LIFE)
    }

    /// Whether it still is. One that begins in the future is not: the clock was set back, and nobody knows how old it is.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.created_at <= now + Duration::from_secs(60) && now < self.ends_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::{ID_BYTES, KeyText, SECRET_BYTES};

    #[test]
    fn a_name_is_one_in_large_and_small_letters() {
        assert_eq!(OperatorName::parse("Zhang.San"), OperatorName::parse("zhang.san"));
        for wrong in ["", "a", "张三", "-a", "a b", "a/b", &"a".repeat(65)] {
            assert!(OperatorName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_good_for_one_purpose() {
        let (id, secret) = (KeyId::of([1; ID_BYTES]), [2; SECRET_BYTES]);
        let key = KeyText::of(id.clone(), secret).text();
        let token = TokenText::of(id.clone(), secret).text();
        let code = InvitationText::of(id, secret).text();
        assert!(KeyText::parse(key.expose()).is_ok() && TokenText::parse(key.expose()).is_err());
        assert!(TokenText::parse(token.expose()).is_ok() && KeyText::parse(token.expose()).is_err());
        assert!(InvitationText::parse(code.expose()).is_ok() && TokenText::parse(code.expose()).is_err());
        assert!(InvitationText::parse(&token.expose().replacen("qmo_", "qmi_", 1)).is_err(), "the checksum knows");
    }

    #[test]
    fn a_session_ends_after_half_an_hour_of_rest_and_after_twelve_hours() {
        let at = Timestamp::from_secs;
        let hash = KeyText::of(KeyId::of([1; ID_BYTES]), [2; SECRET_BYTES]).hash();
        let session = |created: i64, used: i64| Session {
            id: KeyId::of([1; ID_BYTES]),
            operator: 1,
            hash: hash.clone(),
            created_at: at(created),
            used_at: at(used),
            address: String::new(),
            agent: String::new(),
        };
        assert!(session(0, 0).is_open(at(1799)) && !session(0, 0).is_open(at(1800)));
        assert!(session(0, 43_000).is_open(at(43_199)) && !session(0, 43_000).is_open(at(43_200)));
        assert!(session(100, 100).is_open(at(50)) && !session(100, 100).is_open(at(30)));
    }
}
