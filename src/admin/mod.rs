//! Who administers over HTTP: operators, by what they prove who they are, and what they may.
//!
//! Knows nothing of HTTP beyond that tokens, cookies and codes are texts: `web::admin` turns what is said here into
//! statuses. Accounts, tokens and sessions are in memory, so that whoever tries some costs no database anything; they
//! are read again when something here or a command changed them. What is administered is not here: it has its functions
//! in `store`, which commands use alike.

pub mod felt;
mod guessable;
pub mod login;
pub mod passwords;
mod roll;
mod second_factor;
pub mod shown;
mod throttle;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::{
    passwords::{Passwords, Weak},
    roll::Rolls,
    throttle::Throttle,
};
pub use self::{second_factor::SecondFactors, throttle::place};
use crate::{
    clock::{Clock, Timestamp},
    model::{
        audit::Actor,
        key::{KeyId, Standing},
        operator::{OperatorName, Role, Scope, Scopes, Session, SessionText, TokenText},
    },
    secret::Secret,
    store::{self, Store},
};

/// How often it is remembered when tokens and sessions were used.
const SAVE_USED: Duration = Duration::from_secs(60);

/// Who may administer. Clones share it.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    rolls: Rolls,
    passwords: Passwords,
    throttle: Throttle,
    second_factors: SecondFactors,
    store: Store,
    clock: Clock,
}

/// Who asks, known and allowed in.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Their number in the store.
    pub number: i64,
    /// By which they log in.
    pub name: OperatorName,
    /// What they are.
    pub role: Role,
    /// What they may by what they brought: never more than their role.
    pub scopes: Scopes,
    /// What they brought.
    pub by: By,
}

/// By what somebody proved who they are.
#[derive(Clone, Debug)]
pub enum By {
    /// A program has a token.
    Token {
        /// Its public part.
        id: KeyId,
        /// From when on it is refused.
        expires_at: Option<Timestamp>,
    },
    /// A browser has a session.
    Session {
        /// Its public part.
        id: KeyId,
        /// What every request that changes something brings beside the cookie.
        csrf: Secret<String>,
        /// When it ends if nothing more is asked.
        ends_at: Timestamp,
    },
}

impl Operator {
    /// Whether they may do this.
    ///
    /// # Errors
    /// [`Refused::Scope`].
    pub fn may(&self, scope: Scope) -> Result<(), Refused> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(Refused::Scope(scope)) }
    }

    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        Actor::Operator { name: self.name.to_string(), by: self.by.id().to_string() }
    }
}

impl By {
    /// The public part of what was brought, for logs.
    pub const fn id(&self) -> &KeyId {
        match self {
            Self::Token { id, .. } | Self::Session { id, .. } => id,
        }
    }
}

/// From where somebody asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The address.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub agent: String,
}

/// Why somebody is not let in, or not to this.
#[derive(Debug)]
pub enum Refused {
    /// Nothing that was brought opens anything (any more).
    Unknown,
    /// It is a token whose time is over.
    Expired,
    /// What was brought is not for this.
    Scope(Scope),
    /// Only who logged in may do this.
    SessionOnly,
    /// The name, the password or the code of the second factor is wrong; it is not told which.
    Login,
    /// The password is right, and there is no second factor of this operator.
    NoSecondFactor(OperatorName),
    /// A second factor is required, and there is no master key under which it would be kept.
    NoMasterKey,
    /// What is stored of second factors cannot be read; the log says why.
    Unreadable,
    /// The code is not good, was used, or its time is over.
    Code,
    /// The password is not one that is taken.
    Weak(Weak),
    /// It was tried too often: after this long it is looked at again.
    TooOften(Duration),
    /// Too many passwords are being looked at.
    Busy,
    /// There is no such session.
    NotThere,
    /// The database cannot be used at the moment.
    Store(store::Error),
}

impl Refused {
    /// A word that never changes, for the log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Scope(_) => "scope",
            Self::SessionOnly => "session_only",
            Self::Login => "login",
            Self::NoSecondFactor(_) => "no_second_factor",
            Self::NoMasterKey => "no_master_key",
            Self::Unreadable => "second_factor_unreadable",
            Self::Code => "code",
            Self::Weak(_) => "weak_password",
            Self::TooOften(_) => "too_often",
            Self::Busy => "busy",
            Self::NotThere => "not_there",
            Self::Store(_) => "unavailable",
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Admin {
    /// Reads who there is.
    ///
    /// # Errors
    /// [`store::Error`] when they cannot be read.
    pub async fn open(store: Store, clock: Clock, second_factors: SecondFactors) -> Result<Self, store::Error> {
        let (rolls, passwords, throttle) = (Rolls::open(&store).await?, Passwords::default(), Throttle::default());
        second_factors.tell(&rolls.now());
        Ok(Self(Arc::new(Inner { rolls, passwords, throttle, second_factors, store, clock })))
    }

    /// Whether there is anybody who may administer. Where there is nobody, there is nothing to be tried.
    pub fn is_open(&self) -> bool {
        self.0.rolls.now().has_operators
    }

    /// Who has this token.
    ///
    /// # Errors
    /// [`Refused::Unknown`], [`Refused::Expired`].
    pub fn by_token(&self, text: &str) -> Result<Operator, Refused> {
        let Inner { rolls, clock, .. } = &*self.0;
        let text = TokenText::parse(text).map_err(|_| Refused::Unknown)?;
        let (roll, now) = (rolls.now(), clock.now());
        let token = roll.tokens.get(&text.id).filter(|token| token.hash.is(&text.hash())).ok_or(Refused::Unknown)?;
        let account = roll.good_account(token.operator).ok_or(Refused::Unknown)?;
        match token.standing(now) {
            Standing::Good => {}
            Standing::Expired => return Err(Refused::Expired),
            Standing::Revoked => return Err(Refused::Unknown),
        }
        rolls.token_used(token.number, now);
        Ok(Operator {
            number: account.number,
            name: account.name.clone(),
            role: account.role,
            scopes: token.scopes.intersection(&account.role.scopes()).copied().collect(),
            by: By::Token { id: token.id.clone(), expires_at: token.expires_at },
        })
    }

    /// Whose session this is. Its half hour begins anew.
    ///
    /// # Errors
    /// [`Refused::Unknown`].
    pub fn by_session(&self, text: &str) -> Result<Operator, Refused> {
        let Inner { rolls, clock, .. } = &*self.0;
        let text = SessionText::parse(text).map_err(|_| Refused::Unknown)?;
        let (roll, now) = (rolls.now(), clock.now());
        let session = roll.sessions.get(&text.id).filter(|session| session.hash.is(&text.hash()));
        let session = rolls.as_used(session.ok_or(Refused::Unknown)?);
        let account = roll.good_account(session.operator).ok_or(Refused::Unknown)?;
        if !session.is_open(now) {
            return Err(Refused::Unknown);
        }
        let ends_at = Session { used_at: now, ..session }.ends_at();
        rolls.session_used(&text.id, now);
        Ok(Operator {
            number: account.number,
            name: account.name.clone(),
            role: account.role,
            scopes: account.role.scopes(),
            by: By::Session { csrf: csrf(&text), id: text.id, ends_at },
        })
    }

    /// The sessions of an operator that are open, oldest first.
    pub fn sessions(&self, operator: &Operator) -> Vec<Session> {
        let Inner { rolls, clock, .. } = &*self.0;
        let (roll, now) = (rolls.now(), clock.now());
        let theirs = roll.sessions.values().filter(|session| session.operator == operator.number);
        let mut theirs: Vec<_> =
            theirs.map(|session| rolls.as_used(session)).filter(|session| session.is_open(now)).collect();
        theirs.sort_by_key(|session| session.created_at);
        theirs
    }

    /// Reads again who there is, because somebody may have changed it: what was taken back opens nothing from now on.
    ///
    /// # Errors
    /// [`store::Error`]: what was known before holds.
    pub async fn reload(&self) -> Result<(), store::Error> {
        self.0.rolls.reload(&self.0.store).await
    }

    /// Whether the last reading failed: what was changed is then not felt yet.
    pub fn is_stale(&self) -> bool {
        self.0.rolls.is_stale()
    }

    /// Remembers now and then when tokens and sessions were used, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Inner { rolls, store, clock, .. } = &*self.0;
        let mut goes_on = true;
        while goes_on {
            goes_on = stop.run_until_cancelled(clock.sleep(SAVE_USED)).await.is_some();
            if let Err(error) = rolls.save_used(store).await {
                debug!(%error, "cannot remember when operators asked");
            }
        }
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

/// Follows from the session alone, so nothing more is kept; the session does not follow from it.
fn csrf(session: &SessionText) -> Secret<String> {
    Secret::new(hex::encode(session.hash_for("csrf").bytes()))
}
