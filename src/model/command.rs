//! What a member can ask the bot itself to do. To add a command, add a variant, its row in [`TABLE`], and follow the
//! compiler into `chat/commands`: the help, the documents, the suggestions and what a menu may hold are made from the
//! table.

use super::{
    language::Language,
    person::{Power, Reach, Role},
};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show what can be done.
    Help,
    /// Begin a new conversation.
    New,
    /// Stop the answer that is being written.
    Stop,
    /// Ask the last question again.
    Retry,
    /// Have a picture made.
    Image,
    /// Choose the model.
    Model,
    /// Choose the part that the bot plays.
    Persona,
    /// Choose the language of the bot's own sentences.
    Lang,
    /// Choose whether voice is answered by voice.
    Voice,
    /// Choose how answers look.
    Markdown,
    /// Show what was used.
    Usage,
    /// Ask for more than a limit allows.
    More,
    /// Show the last questions.
    History,
    /// Get the conversation as a file.
    Export,
    /// Remember a fact.
    Remember,
    /// Show what is remembered.
    Memory,
    /// Forget a fact.
    Forget,
    /// Show, make, rotate and revoke API keys of their own. Only where members may (`v1.member_keys`).
    Key,
    /// Show how the instance is.
    Status,
    /// Listen to a member no more.
    Block,
    /// Listen to a member again.
    Unblock,
    /// Show who is not listened to.
    Blocked,
    /// Write to everybody.
    Announce,
    /// Give a member more, who asked for it.
    Grant,
    /// Not give it.
    Deny,
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Every member.
    Members,
    /// Those whose role has a power: operators, and some others.
    Those(Power),
}

impl Who {
    /// Whether somebody of this role is among them.
    pub fn includes(self, role: Role) -> bool {
        match self {
            Self::Members => true,
            Self::Those(power) => role.reach(power) != Reach::Nobody,
        }
    }
}

/// What may stand behind the name, as the help shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing: a message that goes on is a message.
    None,
    /// Something, in Chinese and in English.
    May(&'static str, &'static str),
    /// Something without which it cannot be done.
    Must(&'static str, &'static str),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which one.
    pub command: Command,
    /// Its names in lower case: the English one, the Chinese one, and others that members are used to. Those that do not
    /// begin with a slash stand alone.
    pub names: &'static [&'static str],
    /// What stands behind the name.
    pub argument: Argument,
    /// Who may.
    pub who: Who,
    /// What it does, in Chinese.
    pub zh: &'static str,
    /// The same in English.
    pub en: &'static str,
}

impl Row {
    const fn new(command: Command, names: &'static [&'static str], zh: &'static str, en: &'static str) -> Self {
        Self { command, names, argument: Argument::None, who: Who::Members, zh, en }
    }

    const fn with(self, argument: Argument) -> Self {
        Self { argument, ..self }
    }

    const fn by_those(self, power: Power) -> Self {
        Self { who: Who::Those(power), ..self }
    }

    /// How it is written, such as `/model [name or number]`.
    pub fn form(&self, language: Language) -> String {
        let name = self.names[0];
        let word = |zh, en| match language {
            Language::Chinese => zh,
            Language::English => en,
        };
        match self.argument {
            Argument::None => name.to_owned(),
            Argument::May(zh, en) => format!("{name} [{}]", word(zh, en)),
            Argument::Must(zh, en) => format!("{name} {}", word(zh, en)),
        }
    }

    /// Its line in the help.
    pub fn line(&self, language: Language) -> String {
        let form = self.form(language);
        match language {
            Language::Chinese => format!("{form}（{}）{}", self.names.get(1).copied().unwrap_or_default(), self.zh),
            Language::English => format!("{form}: {}", self.en),
        }
    }
}

/// Characters of the longest name: a longer word is none, nor one that was misspelt.
const LONGEST: usize = 12;

/// Every command, in the order of the help. `#清除记忆` is what members of chatgpt-on-wechat are used to.
pub const TABLE: &[Row] = &[
    Row::new(
        Command::New,
        &["/new", "/新对话", "新对话", "#清除记忆"],
        "开始新对话，之前的内容不再参考",
        "begins a new conversation and forgets the one before",
    ),
    Row::new(Command::Stop, &["/stop", "/停止"], "停止正在写的回答", "stops the answer that is being written"),
    Row::new(Command::Retry, &["/retry", "/重试"], "把上一个问题再问一遍", "asks your last question again"),
    Row::new(Command::Image, &["/image", "/画", "/画图"], "画一张图", "draws a picture")
        .with(Argument::Must("画面", "WHAT")),
    Row::new(Command::Model, &["/model", "/模型"], "查看或选择模型", "shows the models, or chooses one")
        .with(Argument::May("名称或序号", "name or number")),
    Row::new(Command::Persona, &["/persona", "/角色"], "查看或选择角色", "shows the parts I can play, or chooses one")
        .with(Argument::May("名称或序号", "name or number")),
    Row::new(Command::Lang, &["/lang", "/语言"], "提示语用中文或英文", "the language of my own sentences")
        .with(Argument::May("中文|英文", "zh|en")),
    Row::new(
        Command::Voice,
        &["/voice", "/语音"],
        "语音提问时是否用语音回答",
        "whether what you ask by voice is answered by voice",
    )
    .with(Argument::May("开|关", "on|off")),
    Row::new(Command::Markdown, &["/markdown", "/格式"], "回答是否带格式", "whether answers are formatted")
        .with(Argument::May("开|关|自动", "on|off|auto")),
    Row::new(Command::Usage, &["/usage", "/用量", "用量"], "查看用量", "what you used"),
    Row::new(
        Command::More,
        &["/more", "/申请", "申请额度"],
        "额度快用完时，向管理员申请更多",
        "asks the operators for more, when a limit is nearly used up",
    )
    .with(Argument::May("原因", "reason")),
    Row::new(Command::History, &["/history", "/历史"], "最近问过的问题", "your last questions"),
    Row::new(Command::Export, &["/export", "/导出"], "导出本次对话", "this conversation to keep"),
    Row::new(Command::Remember, &["/remember", "/记住"], "让我记住一件事", "lets me remember something")
        .with(Argument::Must("内容", "TEXT")),
    Row::new(Command::Memory, &["/memory", "/记忆"], "查看我记住的事", "what I remember"),
    Row::new(Command::Forget, &["/forget", "/忘记"], "忘掉其中一件或全部", "forgets one of it, or all")
        .with(Argument::Must("序号|全部", "NUMBER|all")),
    Row::new(
        Command::Key,
        &["/key", "/密钥", "/keys"],
        "查看、新建、更换或停用自己的 API 密钥",
        "your own API keys: shows them, makes, rotates or revokes one",
    )
    .with(Argument::May("新建 名称|更换 编号|停用 编号", "new NAME|rotate ID|revoke ID")),
    Row::new(Command::Help, &["/help", "/帮助"], "显示这段说明", "shows this"),
    Row::new(Command::Status, &["/status", "/状态"], "运行状态", "how I am").by_those(Power::Look),
    Row::new(Command::Block, &["/block", "/停用"], "停用一位成员", "lets me no longer listen to a member")
        .with(Argument::Must("账号 [原因]", "USERID [reason]"))
        .by_those(Power::Block),
    Row::new(Command::Unblock, &["/unblock", "/恢复"], "恢复一位成员", "lets me listen to a member again")
        .with(Argument::Must("账号", "USERID"))
        .by_those(Power::Block),
    Row::new(Command::Blocked, &["/blocked", "/停用名单"], "已停用的成员", "to whom I do not listen")
        .by_those(Power::SeeBlocked),
    Row::new(
        Command::Announce,
        &["/announce", "/公告"],
        "给所有人发公告，先预览",
        "writes to everybody; shown to you first",
    )
    .with(Argument::Must("内容|发送|取消", "TEXT|send|cancel"))
    .by_those(Power::Announce),
    Row::new(
        Command::Grant,
        &["/grant", "/同意"],
        "同意一份额度申请：到本期结束，或若干天",
        "gives what a member asked for: until its window ends, or for some days",
    )
    .with(Argument::Must("编号 [天数]", "NUMBER [days]"))
    .by_those(Power::Grant),
    Row::new(Command::Deny, &["/deny", "/不同意"], "不同意一份额度申请", "does not give what a member asked for")
        .with(Argument::Must("编号", "NUMBER"))
        .by_those(Power::Grant),
];

/// A message that is a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Which one.
    pub command: Command,
    /// What stands behind its name, without white space around it. Empty: nothing.
    pub argument: &'a str,
}

impl Command {
    /// Recognises a message that is a command. A message that merely begins like one is a message: behind a command
    /// that takes nothing there must be nothing, and behind another one a space.
    pub fn parse(message: &str) -> Option<Asked<'_>> {
        let message = message.trim();
        let (name, argument) = message.split_once(char::is_whitespace).unwrap_or((message, ""));
        let (name, argument) = (normal(name)?, argument.trim());
        let row = TABLE.iter().find(|row| row.names.contains(&name.as_str()))?;
        let stands_alone = row.argument == Argument::None || !name.starts_with('/');
        (argument.is_empty() || !stands_alone).then_some(Asked { command: row.command, argument })
    }

    /// The command that an entry of the application's menu stands for, by its key: `qimate:` and the name, such as
    /// `qimate:new`; what follows behind a second colon is not looked at. Only one that needs nothing behind its name.
    pub fn of_key(key: &str) -> Option<Asked<'static>> {
        let name = key.strip_prefix("qimate:")?;
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let row = TABLE.iter().find(|row| row.names[0].strip_prefix('/') == Some(name))?;
        (!matches!(row.argument, Argument::Must(..))).then_some(Asked { command: row.command, argument: "" })
    }

    /// The key of an entry of a menu that stands for it.
    pub fn key(self) -> String {
        format!("qimate:{}", self.row().names[0].trim_start_matches('/'))
    }

    /// Whether it can be chosen from a menu: it needs nothing behind its name.
    pub fn stands_alone(self) -> bool {
        !matches!(self.row().argument, Argument::Must(..))
    }

    /// The command's name that somebody most likely meant who wrote one word with a slash before it. `None` where it
    /// looks like something else, such as a path. Never [`Command::Key`]: it is not everywhere, and near to it are words.
    pub fn meant(message: &str) -> Option<&'static str> {
        let word = normal(message.trim())?;
        let rest = word.strip_prefix('/')?;
        if rest.is_empty() || !rest.chars().all(char::is_alphabetic) {
            return None;
        }
        let rows = TABLE.iter().filter(|row| row.command != Self::Key);
        let names = rows.flat_map(|row| row.names.iter().copied()).filter(|name| name.starts_with('/'));
        let near = names.map(|name| (strsim::damerau_levenshtein(rest, &name[1..]), name)).min()?;
        // One slip in a short word, two in a long one.
        let slips = if rest.chars().count() >= 6 { 2 } else { 1 };
        (rest.chars().count() >= 3 && near.0 <= slips).then_some(near.1)
    }

    /// Whether it asks the model, as a question does.
    pub const fn asks_the_model(self) -> bool {
        matches!(self, Self::Retry | Self::Image)
    }

    /// The row of a command.
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.command == self).unwrap_or(&TABLE[0])
    }
}

/// A name as the table has it; `None`: it is longer than any, as most of what is written to a bot.
fn normal(name: &str) -> Option<String> {
    let may_be_one = name.chars().nth(LONGEST).is_none();
    may_be_one.then(|| name.replacen('／', "/", 1).to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whole_messages_are_commands_and_others_are_messages() {
        let alone = |command| Some(Asked { command, argument: "" });
        for (message, command) in [
            ("/help", alone(Command::Help)),
            (" /New\n", alone(Command::New)),
            ("／stop", alone(Command::Stop)),
            ("#清除记忆", alone(Command::New)),
            ("新对话", alone(Command::New)),
            ("/model", alone(Command::Model)),
            ("/模型  smart ", Some(Asked { command: Command::Model, argument: "smart" })),
            ("/remember 我在\n上海", Some(Asked { command: Command::Remember, argument: "我在\n上海" })),
            ("/etc/passwd 里有什么？", None),
            ("/newer", None),
            ("/models", None),
            ("/stop it", None),
            ("新对话 怎么写", None),
            ("model smart", None),
            ("", None),
        ] {
            assert_eq!(Command::parse(message), command, "{message:?}");
        }
    }

    #[test]
    fn a_menu_entry_is_a_command_that_needs_nothing() {
        let command = |key| Command::of_key(key).map(|asked| asked.command);
        for (key, meant) in [
            ("qimate:new", Some(Command::New)),
            ("qimate:model", Some(Command::Model)),
            ("qimate:model:3f2a9c01", Some(Command::Model)),
            ("qimate:remember", None),
            ("qimate:/new", None),
            ("qimate:", None),
            ("new", None),
        ] {
            assert_eq!(command(key), meant, "{key}");
        }
    }

    #[test]
    fn a_slip_is_noticed_and_a_path_is_not_one() {
        for (message, meant) in [
            ("/modle", Some("/model")),
            ("/hlep", Some("/help")),
            ("／usgae", Some("/usage")),
            ("/rememebr", Some("/remember")),
            ("/newer", None),
            ("/etc", None),
            ("/etc/passwd", None),
            ("/tmp", None),
            ("/model.rs", None),
            ("modle", None),
            ("/hey", None),
            ("/", None),
        ] {
            assert_eq!(Command::meant(message), meant, "{message:?}");
        }
    }

    #[test]
    fn every_command_has_one_row_and_every_name_is_one_commands() {
        let mut names = HashSet::new();
        for row in TABLE {
            assert_eq!(row.command.row().names, row.names);
            assert!(row.names.len() >= 2 && row.names[1].starts_with('/'), "{:?}: English and Chinese", row.command);
            for name in row.names {
                assert!(names.insert(name), "{name} twice");
                assert_eq!(normal(name).as_deref(), Some(*name));
                assert!(!name.contains(char::is_whitespace));
            }
        }
    }
}
