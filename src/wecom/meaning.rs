//! What an errcode says of the set-up: which of an administrator's values is wrong.
//!
//! Beside [`super::errcode::Class`], which says what a running daemon does about it.

use super::errcode::{Class, Errcode};

/// What is wrong with the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// There is no such enterprise.
    CorpIdWrong,
    /// The Secret is not that of any application of the enterprise, or was reset.
    SecretWrong,
    /// The Secret is another enterprise's.
    SecretOfAnotherCorp,
    /// WeCom wants the Secret to be reset.
    SecretExpired,
    /// The AgentId is not that of the Secret's application.
    AgentOfAnotherSecret,
    /// The Secret is that of another kind of application, such as the contacts'.
    NotSelfBuilt,
    /// The application is switched off.
    AgentDisabled,
    /// The enterprise is blocked or gone.
    CorpBlocked,
    /// Our address is not among the trusted ones.
    AddressNotTrusted,
    /// Too many calls.
    TooManyCalls,
    /// WeCom is not well.
    Busy,
    /// The member is gone or does not see the application.
    NoRecipient,
    /// Something else.
    Other,
}

impl Errcode {
    /// What it says of the set-up.
    pub const fn meaning(self) -> Meaning {
        match self.0 {
            40013 | 41002 | 2000002 => Meaning::CorpIdWrong,
            40001 | 41004 => Meaning::SecretWrong,
            40091 => Meaning::SecretOfAnotherCorp,
            45031 => Meaning::SecretExpired,
            40056 | 301002 => Meaning::AgentOfAnotherSecret,
            48002 => Meaning::NotSelfBuilt,
            50003 | 48006 => Meaning::AgentDisabled,
            301007 => Meaning::CorpBlocked,
            60020 => Meaning::AddressNotTrusted,
            _ => match self.class() {
                Class::SlowDown => Meaning::TooManyCalls,
                Class::Busy | Class::TokenStale => Meaning::Busy,
                Class::BadRecipient => Meaning::NoRecipient,
                _ => Meaning::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errcodes_of_a_wrong_set_up_are_known() {
        for (errcode, meaning) in [
            (40013, Meaning::CorpIdWrong),
            (40001, Meaning::SecretWrong),
            (40091, Meaning::SecretOfAnotherCorp),
            (40056, Meaning::AgentOfAnotherSecret),
            (301002, Meaning::AgentOfAnotherSecret),
            (60020, Meaning::AddressNotTrusted),
            (45009, Meaning::TooManyCalls),
            (-1, Meaning::Busy),
            (81013, Meaning::NoRecipient),
            (987_654, Meaning::Other),
        ] {
            assert_eq!(Errcode(errcode).meaning(), meaning, "{errcode}");
        }
    }
}
