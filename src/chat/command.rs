//! What a member can ask the bot itself to do. To add a command, add a variant, its names and its line in the help.

/// A command of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show what can be done.
    Help,
    /// Begin a new conversation.
    New,
    /// Stop the answer that is being written.
    Stop,
}

/// Every name of every command, in lower case. `#清除记忆` is what members of chatgpt-on-wechat are used to.
const NAMES: &[(&str, Command)] = &[
    ("/help", Command::Help),
    ("/帮助", Command::Help),
    ("/new", Command::New),
    ("/新对话", Command::New),
    ("新对话", Command::New),
    ("#清除记忆", Command::New),
    ("/stop", Command::Stop),
    ("/停止", Command::Stop),
];

impl Command {
    /// Recognises a message that is a command as a whole. A message that merely begins like one is a message.
    pub fn parse(message: &str) -> Option<Self> {
        let message = message.trim().replacen('／', "/", 1).to_lowercase();
        NAMES.iter().find(|(name, _)| *name == message).map(|(_, command)| *command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_are_commands_and_others_are_messages() {
        for (message, command) in [
            ("/help", Some(Command::Help)),
            (" /New\n", Some(Command::New)),
            ("／stop", Some(Command::Stop)),
            ("#清除记忆", Some(Command::New)),
            ("新对话", Some(Command::New)),
            ("/etc/passwd 里有什么？", None),
            ("/newer", None),
            ("/stop it", None),
            ("", None),
        ] {
            assert_eq!(Command::parse(message), command, "{message:?}");
        }
    }
}
