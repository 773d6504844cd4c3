//! Members and departments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Timestamp, zone::Zone},
    model::{
        id::MemberId,
        person::{
            Edit, Person, Premium,
            hours::ServiceHours,
            table::{read_expiry, read_hours, read_premium, read_role, short, shown_premium},
        },
    },
};

/// What is to be changed of a member. What is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedMember {
    /// `owner`, `operator`, `auditor`, `manager` or `member`.
    pub role: Option<String>,
    /// The last day of their access, as `2026-12-31`, or `never`.
    pub expires: Option<String>,
    /// The last day of their premium models, `inherit` or `off`.
    pub premium: Option<String>,
    /// Their own service hours, as `Mon-Fri 08:00-20:00`, `always`, or `inherit`.
    pub hours: Option<String>,
    /// What administrators want to remember of them: one line of at most 500 characters.
    pub note: Option<String>,
    /// Whether their questions are refused.
    pub blocked: Option<bool>,
    /// Why they are blocked; goes with `"blocked": true`.
    pub blocked_reason: Option<String>,
    /// `true`: forgets that WeCom said they are outside of an application's visible range.
    pub readmit: bool,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", right[1])]
pub struct WrongMember {
    /// The field.
    pub field: &'static str,
    /// What would be right, in Chinese and in English.
    pub right: [&'static str; 2],
}

impl WantedMember {
    /// The change of this member; dates are days of `zone`.
    ///
    /// # Errors
    /// [`WrongMember`], which says what would be right.
    pub fn parse(&self, member: MemberId, zone: &Zone) -> Result<Edit, WrongMember> {
        fn read<T>(
            field: &'static str,
            text: Option<&String>,
            read: impl Fn(&str) -> Result<T, [&'static str; 2]>,
        ) -> Result<Option<T>, WrongMember> {
            text.map(|text| read(text).map_err(|right| WrongMember { field, right })).transpose()
        }
        let reason = read("blocked_reason", self.blocked_reason.as_ref(), short)?;
        let blocked = match (self.blocked, reason) {
            (Some(true), reason) => Some(Some(reason.unwrap_or_default())),
            (Some(false), None) => Some(None),
            (None, None) => None,
            (Some(false) | None, Some(_)) => {
                let right = ["原因只能和 \"blocked\": true 一起填写", "a reason goes with \"blocked\": true"];
                return Err(WrongMember { field: "blocked_reason", right });
            }
        };
        Ok(Edit {
            role: read("role", self.role.as_ref(), read_role)?,
            expires_at: read("expires", self.expires.as_ref(), |text| read_expiry(text, zone))?,
            premium: read("premium", self.premium.as_ref(), |text| read_premium(text, zone))?,
            hours: read("hours", self.hours.as_ref(), read_hours)?,
            note: read("note", self.note.as_ref(), short)?,
            blocked,
            readmit: self.readmit,
            ..Edit::of(member)
        })
    }
}

/// A member.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Member {
    /// The enterprise.
    pub corp: String,
    /// The userid, as WeCom wrote it last.
    pub userid: String,
    /// Their name; `null`: not known.
    pub name: Option<String>,
    /// `owner`, `operator`, `auditor`, `manager` or `member`.
    pub role: &'static str,
    /// The last day of their access; `null`: it does not end.
    pub expires: Option<String>,
    /// The end of that day.
    pub expires_at_ms: Option<i64>,
    /// The last day of their premium models, `inherit` or `off`.
    pub premium: String,
    /// Their own service hours; `null`: those of their departments, or of everybody.
    pub hours: Option<String>,
    /// Whether their questions are refused.
    pub blocked: bool,
    /// Why, where somebody said so.
    pub blocked_reason: Option<String>,
    /// What administrators want to remember of them.
    pub note: String,
    /// WeCom's numbers of the departments that they are directly in.
    pub departments: Vec<u64>,
    /// The AgentIds of applications in whose visible range WeCom said that they are not; 0: they left the enterprise.
    pub outside_of_agents: Vec<u64>,
    /// Their first message; `null`: none yet.
    pub first_message_at_ms: Option<i64>,
}

impl Member {
    /// As the store knows them; dates are days of `zone`.
    pub fn of(person: &Person, zone: &Zone) -> Self {
        Self {
            corp: person.corp.to_string(),
            userid: person.member.to_string(),
            name: person.name.clone(),
            role: person.role.as_str(),
            expires: person.expires_at.map(|at| zone.last_date(at)),
            expires_at_ms: person.expires_at.map(Timestamp::as_millis),
            premium: match person.premium {
                Premium::Inherit => "inherit".to_owned(),
                other => shown_premium(other, zone),
            },
            hours: person.hours.as_ref().map(ToString::to_string),
            blocked: person.blocked.is_some(),
            blocked_reason: person.blocked.clone(),
            note: person.note.clone(),
            departments: person.departments.clone(),
            outside_of_agents: person.outside.clone(),
            first_message_at_ms: person.first_at.map(Timestamp::as_millis),
        }
    }
}

/// A department.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Department {
    /// WeCom's number.
    pub id: u64,
    /// The number of the one above; 0: there is none.
    pub parent: u64,
    /// Its name; `null`: not known.
    pub name: Option<String>,
    /// How many members are directly in it.
    pub members: u64,
    /// Its service hours; `null`: those of the one above, or of everybody.
    pub hours: Option<String>,
}

/// When questions are answered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Such as `Mon-Fri 08:00-20:00; Sat 09:00-12:00`, `always`, or `inherit` for none of its own.
    pub hours: String,
}

impl Hours {
    /// As they are.
    pub fn of(hours: Option<&ServiceHours>) -> Self {
        Self { hours: hours.map_or_else(|| "inherit".to_owned(), ToString::to_string) }
    }

    /// What is wanted; `None`: none of its own.
    ///
    /// # Errors
    /// [`WrongMember`], which says what would be right.
    pub fn parse(&self) -> Result<Option<ServiceHours>, WrongMember> {
        read_hours(&self.hours).map_err(|right| WrongMember { field: "hours", right })
    }
}
