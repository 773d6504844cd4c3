//! What a person may: a role, and access with its ends.

pub mod hours;
pub mod table;

use std::fmt;

use self::hours::ServiceHours;
use super::id::{CorpId, MemberId};
use crate::clock::{Timestamp, zone::Zone};

/// What somebody may do beyond asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything; is above the operators.
    Owner,
    /// What an administrator does: look, block, announce.
    Operator,
    /// Looks how it is and who is blocked, changes nothing, and never sees what was asked or answered.
    Auditor,
    /// Looks after the members of the own departments, those below included.
    Manager,
    /// Asks.
    #[default]
    Member,
}

/// What a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// See how the instance is.
    Look,
    /// See to whom the bot does not listen.
    SeeBlocked,
    /// Decide to whom the bot listens.
    Block,
    /// Write to everybody.
    Announce,
    /// Decide who gets more than a limit allows.
    Grant,
}

/// On whom somebody may use a power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// On nobody: the role does not have it.
    Nobody,
    /// On the members of the own departments and of those below.
    OwnDepartments,
    /// On everybody of the enterprise.
    Everybody,
}

impl Role {
    /// All of them, the highest first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Operator, Self::Auditor, Self::Manager, Self::Member];

    /// The word for it in the store, in files and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Manager => "manager",
            Self::Member => "member",
        }
    }

    /// Reads what [`Role::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// On whom the role may use a power.
    pub const fn reach(self, power: Power) -> Reach {
        match (self, power) {
            (Self::Owner | Self::Operator, _) => Reach::Everybody,
            (Self::Auditor, Power::Look | Power::SeeBlocked) => Reach::Everybody,
            (Self::Manager, Power::SeeBlocked | Power::Block) => Reach::OwnDepartments,
            (Self::Auditor | Self::Manager | Self::Member, _) => Reach::Nobody,
        }
    }

    /// Whether somebody of this role may block somebody of another: only who stands lower.
    pub const fn is_above(self, other: Self) -> bool {
        self.rank() > other.rank()
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Owner => 3,
            Self::Operator => 2,
            Self::Auditor | Self::Manager => 1,
            Self::Member => 0,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Until when somebody may use the premium models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Premium {
    /// As long as the others.
    #[default]
    Inherit,
    /// Not at all.
    Off,
    /// Until a moment of their own.
    Until(Timestamp),
}

/// Whether, and when, somebody is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// WeCom said that they are not in the application's visible range (any more).
    pub is_outside: bool,
    /// The bot does not listen to them.
    pub is_blocked: bool,
    /// From when on they are not answered any more; `None`: for ever.
    pub expires_at: Option<Timestamp>,
    /// The same for the premium models.
    pub premium: Premium,
    /// When they are answered: whenever one of these is open; empty for always.
    pub hours: Vec<ServiceHours>,
}

/// Why somebody is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not in the application's visible range.
    #[error("is not in the application's visible range")]
    Outside,
    /// Blocked.
    #[error("is blocked")]
    Blocked,
    /// The access ended.
    #[error("has no access any more")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Outside the service hours.
    #[error("asks outside the service hours")]
    Closed {
        /// When they begin again; `None`: not within a week.
        until: Option<Timestamp>,
    },
    /// The model is one of the premium models.
    #[error("may not use the premium models")]
    Premium {
        /// Since when not; `None`: never could.
        since: Option<Timestamp>,
    },
}

impl Access {
    /// Whether they have access at all, at whatever hour.
    ///
    /// # Errors
    /// [`Denied::Outside`], [`Denied::Blocked`] or [`Denied::Expired`].
    pub fn standing(&self, now: Timestamp) -> Result<(), Denied> {
        match self.expires_at {
            _ if self.is_outside => Err(Denied::Outside),
            _ if self.is_blocked => Err(Denied::Blocked),
            Some(at) if at <= now => Err(Denied::Expired { at }),
            _ => Ok(()),
        }
    }

    /// Whether a question of theirs is answered at this moment.
    ///
    /// # Errors
    /// As [`Access::standing`], and [`Denied::Closed`].
    pub fn at(&self, now: Timestamp, zone: &Zone) -> Result<(), Denied> {
        self.standing(now)?;
        if self.hours.is_empty() || self.hours.iter().any(|hours| hours.is_open(now, zone)) {
            return Ok(());
        }
        Err(Denied::Closed { until: self.hours.iter().filter_map(|hours| hours.opens(now, zone)).min() })
    }

    /// Whether they may use a premium model at this moment, their access as a whole aside.
    ///
    /// # Errors
    /// [`Denied::Premium`].
    pub fn premium_at(&self, now: Timestamp) -> Result<(), Denied> {
        match self.premium {
            Premium::Off => Err(Denied::Premium { since: None }),
            Premium::Until(at) if at <= now => Err(Denied::Premium { since: Some(at) }),
            Premium::Inherit | Premium::Until(_) => Ok(()),
        }
    }
}

/// A member as the store knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The enterprise.
    pub corp: CorpId,
    /// Who.
    pub member: MemberId,
    /// Their name, where it is known.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// See [`Access::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// See [`Access::premium`].
    pub premium: Premium,
    /// Their own service hours; `None`: those of their departments, or of everybody.
    pub hours: Option<ServiceHours>,
    /// Why they are blocked, perhaps in no words; `None`: they are not.
    pub blocked: Option<String>,
    /// What an administrator wrote down.
    pub note: String,
    /// WeCom's numbers of the departments that they are directly in.
    pub departments: Vec<u64>,
    /// Applications, by their AgentId, in whose visible range WeCom said that they are not; 0: they left the enterprise.
    pub outside: Vec<u64>,
    /// Their first message; `None`: none yet.
    pub first_at: Option<Timestamp>,
}

/// A change of a member. `None` leaves a thing as it is; a member who is not there yet comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Whom it is about.
    pub member: MemberId,
    /// See [`Person::name`].
    pub name: Option<Option<String>>,
    /// See [`Person::departments`].
    pub departments: Option<Vec<u64>>,
    /// See [`Person::role`].
    pub role: Option<Role>,
    /// See [`Person::expires_at`].
    pub expires_at: Option<Option<Timestamp>>,
    /// See [`Person::premium`].
    pub premium: Option<Premium>,
    /// See [`Person::hours`].
    pub hours: Option<Option<ServiceHours>>,
    /// See [`Person::blocked`].
    pub blocked: Option<Option<String>>,
    /// See [`Person::note`].
    pub note: Option<String>,
    /// Whatever WeCom said of the visible range is forgotten: they are let in until it says so again.
    pub readmit: bool,
}

impl Edit {
    /// One that changes nothing yet.
    pub const fn of(member: MemberId) -> Self {
        Self {
            member,
            name: None,
            departments: None,
            role: None,
            expires_at: None,
            premium: None,
            hours: None,
            blocked: None,
            note: None,
            readmit: false,
        }
    }

    /// Whether something of a member becomes another by it.
    pub fn changes(&self, person: &Person) -> bool {
        fn other<T: PartialEq>(wanted: Option<&T>, is: &T) -> bool {
            wanted.is_some_and(|wanted| wanted != is)
        }
        let departments = self.departments.as_ref().map(|departments| {
            let mut departments = departments.clone();
            departments.sort_unstable();
            departments.dedup();
            departments
        });
        other(self.name.as_ref(), &person.name)
            || other(departments.as_ref(), &person.departments)
            || other(self.role.as_ref(), &person.role)
            || other(self.expires_at.as_ref(), &person.expires_at)
            || other(self.premium.as_ref(), &person.premium)
            || other(self.hours.as_ref(), &person.hours)
            || other(self.blocked.as_ref(), &person.blocked)
            || other(self.note.as_ref(), &person.note)
            || (self.readmit && !person.outside.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_role_reaches_as_far_as_it_says() {
        use Reach::{Everybody, Nobody, OwnDepartments};
        for (role, reaches) in [
            (Role::Owner, [Everybody; 5]),
            (Role::Operator, [Everybody; 5]),
            (Role::Auditor, [Everybody, Everybody, Nobody, Nobody, Nobody]),
            (Role::Manager, [Nobody, OwnDepartments, OwnDepartments, Nobody, Nobody]),
            (Role::Member, [Nobody; 5]),
        ] {
            let powers = [Power::Look, Power::SeeBlocked, Power::Block, Power::Announce, Power::Grant];
            assert_eq!(powers.map(|power| role.reach(power)), reaches, "{role}");
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert!(!role.is_above(role));
        }
        assert!(Role::Owner.is_above(Role::Operator) && !Role::Operator.is_above(Role::Owner));
        assert!(Role::Manager.is_above(Role::Member) && !Role::Manager.is_above(Role::Auditor));
    }

    proptest! {
        /// Whatever takes access away takes it away whatever else is allowed, and without it nothing is denied.
        #[test]
        fn access_is_the_least_of_all_that_is_said(
            is_outside: bool, is_blocked: bool, expires in prop::option::of(0..100_i64), now in 0..100_i64,
            open in prop::collection::vec(any::<bool>(), 0..3),
        ) {
            let zone = Zone::parse("UTC").expect("a zone");
            // The epoch began on a Thursday.
            let hours = |open| ServiceHours::parse(if open { "Thu 00:00-24:00" } else { "Mon 00:00-24:00" });
            let hours: Vec<_> = open.iter().map(|open| hours(*open).expect("hours")).collect();
            let expires_at = expires.map(Timestamp::from_secs);
            let access = Access { is_outside, is_blocked, expires_at, hours, ..Access::default() };
            let stands = !is_outside && !is_blocked && expires.is_none_or(|at| at > now);
            let now = Timestamp::from_secs(now);
            prop_assert_eq!(access.standing(now).is_ok(), stands);
            let is_open = open.is_empty() || open.contains(&true);
            prop_assert_eq!(access.at(now, &zone).is_ok(), stands && is_open);
        }

        #[test]
        fn premium_ends_where_it_says(until in prop::option::of(0..100_i64), now in 0..100_i64) {
            let premium = until.map_or(Premium::Inherit, |at| Premium::Until(Timestamp::from_secs(at)));
            let access = Access { premium, ..Access::default() };
            prop_assert_eq!(access.premium_at(Timestamp::from_secs(now)).is_ok(), until.is_none_or(|at| at > now));
            let off = Access { premium: Premium::Off, ..Access::default() };
            prop_assert!(off.premium_at(Timestamp::from_secs(now)).is_err());
        }
    }
}
