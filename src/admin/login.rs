//! Passwords at the door: logging in and out, and setting one.

use tracing::{error, info, warn};

use super::{
    Admin, By, Caller, Operator, Refused,
    passwords::{self, Full, HashError, Queue},
    place,
    second_factor::{Unproved, tell_unreadable},
    throttle::Try,
};
use crate::{
    model::{
        key::KeyId,
        operator::{Account, InvitationText, OperatorName, PasswordHash},
    },
    secret::Secret,
    store::operators::{
        Changed,
        passwords::Accepted,
        sessions::{Login, Opened},
    },
};

/// What is kept of what a browser calls itself, in characters.
const AGENT: usize = 120;

/// A second factor as its operator takes it into their app, shown this once.
#[derive(Clone, Debug)]
pub struct NewSecondFactor {
    /// To be typed in.
    pub secret: Secret<String>,
    /// To be made a picture of, which apps read.
    pub uri: Secret<String>,
}

/// What is told to who brought the right password.
fn unproved(why: &Unproved, account: &Account) -> Refused {
    match why {
        Unproved::NotSetUp => Refused::NoSecondFactor(account.name.clone()),
        Unproved::Unreadable(why) => {
            tell_unreadable(why);
            Refused::Unreadable
        }
        Unproved::NoCode | Unproved::WrongCode => Refused::Login,
    }
}

impl From<HashError> for Refused {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Full => Self::Busy,
            HashError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        Self::Busy
    }
}

impl Admin {
    /// Begins a session, and gives who it is and what the browser is to keep. Whoever has no account, no password, or is
    /// disabled, hears the same after the same time as for a wrong password, and so does whoever brings the right password
    /// and not the code of the second factor. A code opens one session.
    ///
    /// # Errors
    /// [`Refused::Login`], [`Refused::TooOften`], [`Refused::Busy`], [`Refused::Store`]; to who has the right password
    /// [`Refused::NoSecondFactor`] and [`Refused::Unreadable`].
    pub async fn login(
        &self,
        name: &str,
        password: &Secret<String>,
        code: Option<&Secret<String>>,
        from: &Caller,
    ) -> Result<(Operator, Secret<String>), Refused> {
        let roll = self.0.rolls.now();
        let account = OperatorName::parse(name).ok().and_then(|name| roll.named(&name));
        let place = place(from.address);
        let is_known = account.is_some_and(|account| roll.knows(account.number, &place));
        let this = Try::new(name, place.clone(), is_known);
        let hash = account.and_then(|account| account.password.as_ref());
        // A name that nobody has is not written down: it may be a password that was typed into the wrong field.
        let who = account.map_or("nobody", |account| account.name.as_str());
        // Looked at before it is known whether the password is right, so that it takes no time then.
        let proved = account.map(|account| self.0.second_factors.prove(&roll, account, code, self.0.clock.now()));
        let is_right = self.try_password(&this, password, hash).await;
        let refused = |reason: &'static str| {
            warn!(operator = who, address = %from.address, reason, "refused a login");
        };
        if let Err(why @ (Refused::TooOften(_) | Refused::Busy)) = is_right {
            info!(operator = who, address = %from.address, reason = why.reason(), "a login was not looked at");
            return Err(why);
        }
        let (Some(account), Some(hash), Some(proved), Ok(true)) = (account, hash, proved, &is_right) else {
            let why = is_right.err().unwrap_or(Refused::Login);
            refused(why.reason());
            return Err(why);
        };
        // From here on somebody knows the password: the reason says so, the answer does not.
        let step = proved.map_err(|why| {
            refused(why.reason());
            unproved(&why, account)
        })?;
        let login = Login {
            operator: account.number,
            password: hash.clone(),
            address: from.address.to_string(),
            place,
            agent: from.agent.chars().filter(|c| !c.is_control()).take(AGENT).collect(),
            step,
        };
        let opened = self.0.store.open_session(login, self.0.clock.now()).await;
        let session = match opened.inspect_err(|_| self.0.throttle.succeeded(&this))? {
            Opened::Yes(session) => session,
            Opened::CodeUsed => {
                refused("used_code");
                return Err(Refused::Login);
            }
            Opened::Changed => {
                refused("changed");
                return Err(Refused::Login);
            }
        };
        self.0.throttle.succeeded(&this);
        self.reload().await?;
        let text = session.text();
        let operator = self.by_session(text.expose())?;
        info!(operator = who, address = %from.address, session.id = %session.id, "an operator logged in");
        Ok((operator, text))
    }

    /// Ends the session by which this was asked.
    ///
    /// # Errors
    /// [`Refused::SessionOnly`], [`Refused::Store`].
    pub async fn logout(&self, operator: &Operator) -> Result<(), Refused> {
        let By::Session { id, .. } = &operator.by else { return Err(Refused::SessionOnly) };
        self.0.store.end_session(operator.number, id, self.0.clock.now()).await?;
        self.changed().await;
        info!(operator = %operator.name, session.id = %id, "an operator logged out");
        Ok(())
    }

    /// Ends one of an operator's sessions.
    ///
    /// # Errors
    /// [`Refused::NotThere`], [`Refused::Store`].
    pub async fn end_session(&self, operator: &Operator, id: &KeyId) -> Result<(), Refused> {
        let ended = self.0.store.end_session(operator.number, id, self.0.clock.now()).await?;
        self.changed().await;
        match ended {
            Changed::Yes | Changed::Already => {
                info!(operator = %operator.name, session.id = %id, "an operator ended a session");
                Ok(())
            }
            Changed::NotThere => Err(Refused::NotThere),
        }
    }

    /// Sets the password of who has this code, once, and gives the second factor that was set up with it, where one is asked
    /// for: nobody can show it again. Their sessions end.
    ///
    /// # Errors
    /// [`Refused::Code`], [`Refused::Weak`], [`Refused::NoMasterKey`], [`Refused::Unreadable`], [`Refused::Busy`],
    /// [`Refused::Store`].
    pub async fn accept_invitation(
        &self,
        code: &Secret<String>,
        password: &Secret<String>,
        from: &Caller,
    ) -> Result<Option<NewSecondFactor>, Refused> {
        let refused = || {
            warn!(operator = "nobody", address = %from.address, "refused a code for a password");
            Refused::Code
        };
        let code = InvitationText::parse(code.expose().trim()).map_err(|_| refused())?;
        let (roll, now) = (self.0.rolls.now(), self.0.clock.now());
        let account = roll.invited(&code.id).ok_or_else(refused)?;
        let is_good = account.invitation.as_ref().is_some_and(|open| open.hash.is(&code.hash()) && now < open.until);
        if !is_good {
            warn!(operator = %account.name, address = %from.address, "refused a code for a password");
            return Err(Refused::Code);
        }
        passwords::check(password, &account.name).map_err(Refused::Weak)?;
        let keys = self.0.second_factors.keys_for_new()?;
        let hash = self.0.passwords.hash(Queue::Known, password).await?;
        let accepted =
            self.0.store.accept_invitation(&code, hash, place(from.address), keys, self.0.clock.now()).await?;
        let seed = match accepted {
            Accepted::Yes(seed) => seed,
            Accepted::No => return Err(Refused::Code),
            Accepted::Unreadable(why) => {
                tell_unreadable(&why);
                return Err(Refused::Unreadable);
            }
        };
        self.changed().await;
        let second_factor = seed.is_some();
        info!(operator = %account.name, address = %from.address, second_factor, "an operator set a password by a code");
        Ok(seed.map(|seed| NewSecondFactor { secret: seed.text(), uri: seed.uri(&account.name) }))
    }

    /// Puts a password in the place of the one of now. Their sessions end, the one that asks too.
    ///
    /// # Errors
    /// [`Refused::SessionOnly`], [`Refused::Login`] for a wrong one of now, otherwise as [`Admin::login`] and
    /// [`Admin::accept_invitation`].
    pub async fn change_password(
        &self,
        operator: &Operator,
        current: &Secret<String>,
        password: &Secret<String>,
        from: &Caller,
    ) -> Result<(), Refused> {
        if !matches!(operator.by, By::Session { .. }) {
            return Err(Refused::SessionOnly);
        }
        let roll = self.0.rolls.now();
        let account = roll.good_account(operator.number).ok_or(Refused::Unknown)?;
        let before = account.password.as_ref().ok_or(Refused::Login)?;
        passwords::check(password, &operator.name).map_err(Refused::Weak)?;
        // A session is no licence to try passwords.
        let this = Try::new(operator.name.as_str(), place(from.address), true);
        if !self.try_password(&this, current, Some(before)).await? {
            warn!(operator = %operator.name, address = %from.address, "refused to change a password");
            return Err(Refused::Login);
        }
        self.0.throttle.succeeded(&this);
        let hash = self.0.passwords.hash(Queue::Known, password).await?;
        if !self.0.store.change_password(operator.number, before.clone(), hash, self.0.clock.now()).await? {
            return Err(Refused::Login);
        }
        self.changed().await;
        info!(operator = %operator.name, address = %from.address, "an operator changed their password");
        Ok(())
    }

    /// Whether it is right, unless it is tried too often. It counts as a failure until whoever asks takes that back.
    async fn try_password(
        &self,
        this: &Try,
        password: &Secret<String>,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Refused> {
        let Self(inner) = self;
        inner.throttle.admit(this, inner.clock.uptime()).map_err(Refused::TooOften)?;
        let queue = if this.is_known() { Queue::Known } else { Queue::Others };
        let is_right = inner.passwords.is(queue, password, hash).await;
        Ok(is_right.inspect_err(|Full| inner.throttle.succeeded(this))?)
    }

    /// What was changed is saved; that it could not be read again is no reason to say otherwise.
    async fn changed(&self) {
        if let Err(error) = self.reload().await {
            error!(%error, "cannot read the operators again; trying every second until what was changed is felt");
        }
    }
}
