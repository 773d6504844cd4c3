//! Who a member is, as far as WeCom lets the application read it.

use std::sync::Arc;

/// The longest name, in characters: it is written into every prompt.
const LONGEST: usize = 64;

/// A member's names. `None`: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The member's name.
    pub name: Option<Arc<str>>,
    /// The name of the main department.
    pub department: Option<Arc<str>>,
}

impl Profile {
    /// From names as somebody wrote them: one line each, at most 64 characters. An empty one is not known.
    pub fn new(name: &str, department: &str) -> Self {
        let plain = |name: &str| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            let name = name.trim();
            (!name.is_empty()).then(|| name.into())
        };
        Self { name: plain(name), department: plain(department) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        let profile = Profile::new(" 张\n三 ", &"长".repeat(100));
        assert_eq!(profile.name.as_deref(), Some("张三"));
        assert_eq!(profile.department.map(|name| name.chars().count()), Some(LONGEST));
        assert_eq!(Profile::new(" \t", ""), Profile::default());
    }
}
