//! The address book, as an application sees it: who is in its visible range, with names and departments.
//!
//! `agent/get` (page 90227) names the range; `department/simplelist` (95350) the departments below, `user/simplelist`
//! (90200) who is directly in one, `user/get` (90196) and `department/get` (95351) the names of single ones. A list counts
//! as complete only when every call of it was answered. What the application may not read at all (60011, 48002, 60020, ...)
//! is [`ContactError::Refused`], and nothing is known then.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use super::{
    agent::{Agent, AgentError},
    client::Client,
    contact::{ContactError, Departments},
    meaning::Meaning,
};
use crate::model::{
    directory::{ListedDepartment, ListedMember, Listing},
    id::MemberId,
};

/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 64;
/// A member who is disabled, and one who left.
const CANNOT_USE_WECOM: [u64; 2] = [2, 5];

#[derive(Deserialize)]
struct DepartmentIds {
    #[serde(default)]
    department_id: Vec<DepartmentId>,
}

#[derive(Deserialize)]
struct DepartmentId {
    id: u64,
    #[serde(default)]
    parentid: u64,
}

#[derive(Deserialize)]
struct Users {
    #[serde(default)]
    userlist: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    userid: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    department: Vec<u64>,
    #[serde(default)]
    status: u64,
}

impl Client {
    /// Reads who is in the application's visible range.
    ///
    /// # Errors
    /// [`ContactError`]: WeCom did not say, so nothing is known of anybody.
    pub async fn listing(&self) -> Result<Listing, ContactError> {
        let agent = self.agent().await.map_err(|error| match error {
            AgentError::AccessToken(error) => ContactError::AccessToken(error),
            AgentError::Trouble(trouble) => ContactError::Trouble(trouble),
            AgentError::Refused(refusal) => ContactError::Refused(refusal),
        })?;
        let mut departments = Vec::new();
        let mut found = HashMap::new();
        if !agent.departments.is_empty() {
            let all: DepartmentIds = self.look_up("department/simplelist", &[]).await?;
            let visible = below(&agent.departments, &all.department_id);
            for id in &visible {
                let id = id.to_string();
                let users: Users = self.look_up("user/simplelist", &[("department_id", id.as_str())]).await?;
                for user in users.userlist {
                    found.extend(listed(user).map(|member| (member.member.key(), member)));
                }
            }
            departments = self.named(all.department_id, &visible).await?;
        }
        self.add_single(&agent, &mut found).await?;
        let mut members: Vec<_> = found.into_values().collect();
        members.sort_by_key(|listed| listed.member.key());
        // Nobody at all is what a set-up looks like that is not finished.
        let is_complete = agent.visible.tags == 0 && !members.is_empty();
        Ok(Listing { members, departments, is_complete })
    }

    /// The departments with their names, where the application may read them.
    async fn named(
        &self,
        departments: Vec<DepartmentId>,
        visible: &BTreeSet<u64>,
    ) -> Result<Vec<ListedDepartment>, ContactError> {
        let (mut named, mut may_read) = (Vec::new(), true);
        for DepartmentId { id, parentid: parent } in departments {
            let mut name = None;
            if may_read && visible.contains(&id) {
                let number = id.to_string();
                match self.look_up::<Departments>("department/get", &[("id", number.as_str())]).await {
                    Ok(found) => name = short(&found.department.name),
                    Err(ContactError::Refused(_)) => may_read = false,
                    Err(error) => return Err(error),
                }
            }
            named.push(ListedDepartment { id, parent, name });
        }
        Ok(named)
    }

    /// The members who are named one by one. Of one who is refused, WeCom only says that they are there.
    async fn add_single(&self, agent: &Agent, found: &mut HashMap<String, ListedMember>) -> Result<(), ContactError> {
        let mut may_read = true;
        for userid in &agent.members {
            let Ok(member) = MemberId::parse(userid) else { continue };
            if found.contains_key(&member.key()) {
                continue;
            }
            let mut listed_member = Some(ListedMember::unnamed(member.clone()));
            if may_read {
                match self.look_up::<User>("user/get", &[("userid", member.as_str())]).await {
                    Ok(user) => listed_member = listed(user),
                    // This one, or anybody.
                    Err(ContactError::Refused(refusal)) => may_read = refusal.errcode.meaning() == Meaning::NoRecipient,
                    Err(error) => return Err(error),
                }
            }
            found.extend(listed_member.map(|listed| (member.key(), listed)));
        }
        Ok(())
    }
}

/// `None` for somebody who cannot use WeCom.
fn listed(user: User) -> Option<ListedMember> {
    let member = MemberId::parse(&user.userid).ok()?;
    let departments = Some(user.department);
    let usable = !CANNOT_USE_WECOM.contains(&user.status);
    usable.then(|| ListedMember { member, name: short(&user.name), departments })
}

/// A name as one line. An empty one is not known.
pub(super) fn short(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The departments of the visible range, and all below them.
fn below(first: &[u64], all: &[DepartmentId]) -> BTreeSet<u64> {
    let mut children: HashMap<u64, Vec<u64>> = HashMap::new();
    for department in all {
        children.entry(department.parentid).or_default().push(department.id);
    }
    let (mut open, mut seen) = (first.to_vec(), HashSet::new());
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(children.get(&id).into_iter().flatten());
        }
    }
    seen.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn departments_come_with_all_below_them_and_a_circle_ends() {
        let all = [(1, 0), (2, 1), (5, 2), (6, 5), (7, 1), (8, 9), (9, 8)];
        let all = all.map(|(id, parentid)| DepartmentId { id, parentid });
        assert_eq!(below(&[2], &all), [2, 5, 6].into());
        assert_eq!(below(&[7, 8], &all), [7, 8, 9].into());
        assert_eq!(below(&[44], &all), [44].into());
    }
}
