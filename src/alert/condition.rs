//! What can be wrong: a closed list, and what is known of each.

/// Something that is worth an alert. Its [`Condition::name`] is in the database, in the webhook and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// WeCom refuses the application: wrong secret, corp or agent, or something to be mended in its console.
    WecomRefused,
    /// WeCom does not trust this server's address (60020).
    WecomAddress,
    /// WeCom does not answer.
    WecomUnreachable,
    /// WeCom wants fewer calls, and has wanted it for long.
    WecomSlowDown,
    /// The model refuses the API key.
    ModelKey,
    /// The account at the model provider has nothing left.
    ModelCredit,
    /// The model's name, or another of its settings, is wrong.
    ModelSettings,
    /// The model does not answer, or fails.
    ModelFailing,
    /// Many answers fail.
    AnswersFailing,
    /// Questions wait for a worker.
    InboxWaiting,
    /// Answers wait to be sent, although WeCom takes messages.
    OutboxWaiting,
    /// The disk is nearly full.
    DiskSpace,
    /// The database has nearly reached `storage.max_size_mib`.
    DatabaseSize,
    /// The database cannot be written.
    DatabaseUnwritable,
    /// Messages could not be delivered.
    DeadLetters,
    /// The certificate ends soon, or has ended, and nobody renewed it.
    CertificateEnding,
    /// Rules of `[safety]` fitted that operators want to hear of.
    SafetyRules,
    /// The process ended without being told to.
    Crashed,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::WecomRefused,
        Self::WecomAddress,
        Self::WecomUnreachable,
        Self::WecomSlowDown,
        Self::ModelKey,
        Self::ModelCredit,
        Self::ModelSettings,
        Self::ModelFailing,
        Self::AnswersFailing,
        Self::InboxWaiting,
        Self::OutboxWaiting,
        Self::DiskSpace,
        Self::DatabaseSize,
        Self::DatabaseUnwritable,
        Self::DeadLetters,
        Self::CertificateEnding,
        Self::SafetyRules,
        Self::Crashed,
    ];

    /// Its name, the same in every version.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WecomRefused => "wecom_refused",
            Self::WecomAddress => "wecom_address",
            Self::WecomUnreachable => "wecom_unreachable",
            Self::WecomSlowDown => "wecom_slow_down",
            Self::ModelKey => "model_key",
            Self::ModelCredit => "model_credit",
            Self::ModelSettings => "model_settings",
            Self::ModelFailing => "model_failing",
            Self::AnswersFailing => "answers_failing",
            Self::InboxWaiting => "inbox_waiting",
            Self::OutboxWaiting => "outbox_waiting",
            Self::DiskSpace => "disk_space",
            Self::DatabaseSize => "database_size",
            Self::DatabaseUnwritable => "database_unwritable",
            Self::DeadLetters => "dead_letters",
            Self::CertificateEnding => "certificate_ending",
            Self::SafetyRules => "safety_rules",
            Self::Crashed => "crashed",
        }
    }

    /// The condition of this name, unless another version wrote it.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.name() == name)
    }

    /// Whether it is WeCom that fails: a message about it would arrive when it is over.
    pub const fn concerns_wecom(self) -> bool {
        matches!(self, Self::WecomRefused | Self::WecomAddress | Self::WecomUnreachable | Self::WecomSlowDown)
    }

    /// Whether the operators hear of it only when it is over: their messages go through the outbox to WeCom, and one or
    /// the other is what fails.
    pub const fn is_told_afterwards(self) -> bool {
        self.concerns_wecom() || matches!(self, Self::DatabaseUnwritable)
    }

    /// Whether it is the model that fails, so that failed answers are explained.
    pub const fn concerns_the_model(self) -> bool {
        matches!(self, Self::ModelKey | Self::ModelCredit | Self::ModelSettings | Self::ModelFailing)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_different_and_lead_back() {
        let names: HashSet<_> = Condition::ALL.iter().map(|condition| condition.name()).collect();
        assert_eq!(names.len(), Condition::ALL.len());
        for condition in Condition::ALL {
            assert_eq!(Condition::find(condition.name()), Some(condition));
        }
        assert_eq!(Condition::find("of a newer version"), None);
    }
}
