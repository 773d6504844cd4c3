//! The second factor at the door: by what seed an operator's code is judged. Seeds are in memory as they are stored, sealed,
//! and opened for as long as a code is looked at.

use std::sync::Arc;

use tracing::{error, warn};

use super::{Admin, Refused, roll::Roll};
use crate::{
    clock::Timestamp,
    config::{Fault, chat::Language},
    model::{
        operator::Account,
        second_factor::{SecondFactor, Seed, stored_name},
    },
    secret::Secret,
    vault::{KeyRing, MasterKeys, Unreadable},
};

/// What is asked for, and what opens the seeds.
#[derive(Clone, Debug, Default)]
pub struct SecondFactors {
    /// Whether operators need one.
    pub rule: SecondFactor,
    /// `None`: there is no master key, so none can be set up.
    pub keys: Option<Arc<MasterKeys>>,
}

/// Why a code proves nothing.
#[derive(Debug)]
pub(super) enum Unproved {
    /// The operator has no second factor.
    NotSetUp,
    /// What is stored of it cannot be read.
    Unreadable(Unreadable),
    /// There was no code.
    NoCode,
    /// It is not the code of this moment.
    WrongCode,
}

impl Unproved {
    /// A word that never changes, for the log.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NotSetUp => "no_second_factor",
            Self::Unreadable(_) => "second_factor_unreadable",
            Self::NoCode => "no_code",
            Self::WrongCode => "wrong_code",
        }
    }
}

impl SecondFactors {
    /// By which keys the seed of a new second factor is sealed; `None`: none is set up.
    ///
    /// # Errors
    /// [`Refused::NoMasterKey`]
    pub fn keys_for_new(&self) -> Result<Option<&MasterKeys>, Refused> {
        match self.rule {
            SecondFactor::Off => Ok(None),
            SecondFactor::Required => self.keys.as_deref().map(Some).ok_or(Refused::NoMasterKey),
        }
    }

    /// Looks at a code: the step that it is of, or `None` where none is asked for.
    pub(super) fn prove(
        &self,
        roll: &Roll,
        account: &Account,
        code: Option<&Secret<String>>,
        now: Timestamp,
    ) -> Result<Option<i64>, Unproved> {
        if self.rule == SecondFactor::Off {
            return Ok(None);
        }
        let seed = self.seed(roll, account).map_err(Unproved::Unreadable)?.ok_or(Unproved::NotSetUp)?;
        let code = code.ok_or(Unproved::NoCode)?;
        seed.step_of(code, now).map(Some).ok_or(Unproved::WrongCode)
    }

    fn seed(&self, roll: &Roll, account: &Account) -> Result<Option<Seed>, Unreadable> {
        let name = stored_name(&account.name);
        let Some(sealed) = roll.seeds.values.iter().find(|value| value.name == name) else { return Ok(None) };
        let text = KeyRing::open(&roll.seeds.keys, self.keys.as_deref())?.value(sealed)?;
        Seed::parse(&text).map(Some).ok_or(Unreadable::DamagedValue { name })
    }

    /// Tells the log who cannot log in, and what to do about it.
    pub(super) fn tell(&self, roll: &Roll) {
        if self.rule == SecondFactor::Off {
            return;
        }
        for account in roll.with_password() {
            match self.seed(roll, account) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let operator = &account.name;
                    warn!(%operator, "an operator has no second factor and cannot log in; `qimate operator reset` gives one");
                }
                Err(why) => tell_unreadable(&why),
            }
        }
    }
}

impl Admin {
    /// What is asked for as a second factor.
    pub fn second_factors(&self) -> &SecondFactors {
        &self.0.second_factors
    }
}

pub(super) fn tell_unreadable(why: &Unreadable) {
    error!(cause = %Fault::from(why).told(Language::English), "a second factor cannot be read");
}
