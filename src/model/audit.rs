//! What the audit log says: who did what to what, and what is another by it.
//!
//! Never a secret and never a text of a conversation. What belongs to a member (their userid, what an administrator wrote
//! about them) is marked as theirs, so that it can go when they are erased while the entry stays.

use serde_json::{Map, Value};

use super::{
    id::{CorpId, MemberId},
    quota::subject::Subject,
};

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A command on this machine.
    Command {
        /// The name of the system's user, and who that was before `sudo`.
        user: String,
    },
    /// An operator over HTTP.
    Operator {
        /// The operator's name.
        name: String,
        /// The id of the token or session; never the token itself.
        by: String,
    },
    /// A member in the chat.
    Member(CorpId, MemberId),
    /// The daemon itself.
    Daemon,
}

/// To what something was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A member of an enterprise.
    Member(CorpId, MemberId),
    /// A member, wherever.
    Anywhere(MemberId),
    /// Anything that is no person, such as `plan/standard`: what it is, and which.
    Named(String),
}

impl Object {
    /// Whoever can have an allowance.
    pub fn of(subject: &Subject) -> Self {
        Self::of_key(&subject.to_string())
    }

    /// The same, as [`Subject`] is written.
    pub fn of_key(subject: &str) -> Self {
        let member = subject.strip_prefix("member/").and_then(|rest| rest.split_once('/'));
        match member.map(|(corp, member)| (CorpId::parse(corp), MemberId::parse(member))) {
            Some((Ok(corp), Ok(member))) => Self::Member(corp, member),
            _ => Self::Named(subject.to_owned()),
        }
    }

    /// The member that it is.
    pub const fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Member(_, member) | Self::Anywhere(member) => Some(member),
            Self::Named(_) => None,
        }
    }
}

/// A field before or after.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// What is no person's: numbers, dates, names of plans. `null`: nothing.
    Plain(Value),
    /// What goes with the member when they are erased.
    Of(MemberId, String),
}

impl Shown {
    /// Not there.
    pub const NOTHING: Self = Self::Plain(Value::Null);
}

impl<T: Into<Value>> From<T> for Shown {
    fn from(value: T) -> Self {
        Self::Plain(value.into())
    }
}

/// A field that is another than before.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub field: String,
    /// As it was.
    pub before: Shown,
    /// As it is.
    pub after: Shown,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What, as `plan.set`: a noun, a dot, a verb.
    pub action: &'static str,
    /// To what.
    pub object: Object,
    /// What is another.
    pub changes: Vec<Change>,
    /// What came of it: `done`, or a word of its own, such as `refused`.
    pub result: &'static str,
}

impl Entry {
    /// Something that was done to this.
    pub const fn new(action: &'static str, object: Object) -> Self {
        Self { action, object, changes: Vec::new(), result: "done" }
    }

    /// Something that was done to what this names, such as `plan/standard`.
    pub fn named(action: &'static str, object: impl Into<String>) -> Self {
        Self::new(action, Object::Named(object.into()))
    }

    /// With a field that is this now, or was told.
    #[must_use]
    pub fn with(self, field: &str, after: impl Into<Shown>) -> Self {
        self.changed(field, Shown::NOTHING, after)
    }

    /// With a field before and after.
    #[must_use]
    pub fn changed(mut self, field: &str, before: impl Into<Shown>, after: impl Into<Shown>) -> Self {
        self.changes.push(Change { field: field.to_owned(), before: before.into(), after: after.into() });
        self
    }

    /// With every field in which the two differ. Those that `of` names are the member's: they go with them.
    #[must_use]
    pub fn between(
        mut self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        of: Option<(&MemberId, &[&str])>,
    ) -> Self {
        let fields = before.keys().chain(after.keys().filter(|field| !before.contains_key(*field)));
        for field in fields {
            let shown = |fields: &Map<String, Value>| match (fields.get(field), of) {
                (Some(Value::String(text)), Some((member, theirs))) if theirs.contains(&field.as_str()) => {
                    Shown::Of(member.clone(), text.clone())
                }
                (value, _) => Shown::Plain(value.cloned().unwrap_or_default()),
            };
            let (before, after) = (shown(before), shown(after));
            if before != after {
                self.changes.push(Change { field: field.clone(), before, after });
            }
        }
        self
    }

    /// With this result.
    #[must_use]
    pub fn resulted(self, result: &'static str) -> Self {
        Self { result, ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_said_and_what_is_a_members_is_marked() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let member = MemberId::parse("li").expect("a userid");
        let (before, after) = (
            map(json!({ "role": "member", "note": "old", "gone": 1 })),
            map(json!({ "role": "member", "note": "new" })),
        );
        let entry = Entry::named("member.change", "x").between(&before, &after, Some((&member, &["note"])));
        let of = |text: &str| Shown::Of(member.clone(), text.to_owned());
        let change = |field: &str, before, after| Change { field: field.to_owned(), before, after };
        let wanted = [change("gone", 1.into(), Shown::NOTHING), change("note", of("old"), of("new"))];
        assert_eq!(entry.changes, wanted);
    }
}
