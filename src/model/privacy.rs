//! How much of what is said is kept.

/// What an application keeps of its conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    /// All of it, as long as `chat.keep_days` says or, where that says nothing, `storage.keep_days`.
    #[default]
    Full,
    /// Who asked when, and what that took; texts and files go when they are answered and delivered.
    Metadata,
    /// Not that either: only what was used, in sums and figures.
    Nothing,
}

impl Privacy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::Metadata, Self::Nothing];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Metadata => "metadata",
            Self::Nothing => "nothing",
        }
    }

    /// Whether texts are kept.
    pub const fn keeps_texts(self) -> bool {
        matches!(self, Self::Full)
    }
}
