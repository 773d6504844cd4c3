//! What the bot itself says: help, notices, failures. Chinese and English side by side, so that neither is forgotten.

mod access;
mod failures;
mod key;
pub mod more;
pub mod quota;

pub use self::failures::Failure;
use crate::{
    config::chat::Language,
    model::{
        command::{Command, TABLE, Who},
        event::EventKind,
        id::TurnId,
        person::Role,
        privacy::Privacy,
    },
};

/// A sentence of the bot's own.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// What can be done here.
    Help {
        /// For whom: a role may have some of its own.
        role: Role,
        /// What is kept of what is said.
        privacy: Privacy,
        /// For how many days, where the application has days of its own.
        days: Option<u64>,
        /// Whether the member can make API keys.
        keys: bool,
    },
    /// A word that looks like a command, and the one that is meant.
    Meant(&'static str),
    /// A new conversation began.
    NewConversation,
    /// The running answer was stopped.
    Stopped,
    /// There was nothing to stop.
    NothingToStop,
    /// It takes a while.
    Slow,
    /// What stands above what the model thought.
    Thoughts,
    /// What is said at the end of an answer of which not all is spoken.
    RestInWriting,
    /// What a conversation says where a picture was the answer.
    Drawn,
    /// The member has so many messages before this one.
    Backlog(u32),
    /// The model that the member chose is not offered any more; the usual one answers.
    ModelGone(&'a str),
    /// The persona that the member chose is not there any more.
    PersonaGone(&'a str),
    /// These tools are called now.
    Calling(&'a str),
    /// This tool is down; the answer goes on without it.
    ToolDown(&'a str),
    /// A kind of message that is not understood yet.
    NotYet(&'a EventKind),
    /// The model does not see pictures.
    Blind,
    /// WeCom takes a part of the answer under no circumstances.
    Unshown(TurnId),
    /// A file of the answer cannot be sent.
    Unsendable(TurnId),
    /// Code is in the file that follows.
    CodeFile {
        /// Its name.
        name: &'a str,
        /// How many lines it has.
        lines: usize,
    },
    /// A table is in the file that follows.
    TableFile {
        /// Its name.
        name: &'a str,
        /// How many rows it has, the header not counted.
        rows: usize,
        /// How many columns.
        columns: usize,
    },
    /// The whole answer is in the file that follows.
    AnswerFile {
        /// Its name.
        name: &'a str,
    },
    /// The model gave no answer, or none that can be shown.
    Failed(Failure<'a>, TurnId),
}

impl Text<'_> {
    /// The sentence in a language.
    pub fn render(self, language: Language) -> String {
        match language {
            Language::Chinese => self.chinese(),
            Language::English => self.english(),
        }
    }

    fn chinese(self) -> String {
        match self {
            Self::Help { role, privacy, days, keys } => {
                let [own, more] = help(role, keys, Language::Chinese);
                let kept = match (privacy, days) {
                    (Privacy::Full, None) => String::new(),
                    (Privacy::Full, Some(days)) => format!("\n\n本应用的聊天内容保存 {days} 天，之后自动删除。"),
                    (Privacy::Metadata, _) => {
                        "\n\n本应用不保存聊天内容：回答送达后即删除，对话最多记住半小时。".to_owned()
                    }
                    (Privacy::Nothing, _) => {
                        "\n\n本应用不保存聊天内容：回答送达后即删除，每个问题单独回答，不记得前面说过的。".to_owned()
                    }
                };
                let more = if more.is_empty() { more } else { format!("\n\n管理员命令：\n{more}") };
                format!("直接发消息，我就会回答。\n\n可用的命令：\n{own}{more}{kept}")
            }
            Self::Meant(name) => format!("没有这个命令。你是不是想发 {name}？发 /help 查看全部命令。"),
            Self::NewConversation => "好的，已开始新对话，之前的内容不再参考。".to_owned(),
            Self::Stopped => "好的，已停止。".to_owned(),
            Self::NothingToStop => "现在没有正在写的回答。".to_owned(),
            Self::Thoughts => "思考".to_owned(),
            Self::RestInWriting => "其余内容请看文字。".to_owned(),
            Self::Drawn => "（画了一张图）".to_owned(),
            Self::Slow => "收到，正在处理，请稍等。".to_owned(),
            Self::Backlog(waiting) => format!("消息都收到了。这一条前面还有 {waiting} 条，我会按顺序逐条回答。"),
            Self::ModelGone(alias) => {
                format!("你选的模型“{alias}”已经下线，我先用默认模型回答。发 /model 可以另选。")
            }
            Self::PersonaGone(name) => format!("你选的角色“{name}”已经取消，我先照常回答。发 /persona 可以另选。"),
            Self::Calling(tools) => format!("🔧 正在查询：{tools}…"),
            Self::ToolDown(tool) => format!("⚠️ {tool} 暂时用不了，下面的回答没有用到它。"),
            Self::NotYet(kind) => {
                let what = match kind {
                    EventKind::Image { .. } => "图片",
                    EventKind::Voice { .. } => "语音",
                    EventKind::Video { .. } => "视频",
                    _ => "这种消息",
                };
                format!("{what}我还看不懂，请用文字告诉我，我马上回答。")
            }
            Self::Blind => failures::CHINESE_BLIND.to_owned(),
            Self::Unshown(reference) => format!(
                "抱歉，企业微信拒绝显示这次回答中的内容。请换个问法，或把下面的编号发给管理员。\n编号 {}",
                reference.reference()
            ),
            Self::CodeFile { name, lines } => format!("📎 代码共 {lines} 行，放在文件里：{name}"),
            Self::TableFile { name, rows, columns } => {
                format!("📎 表格共 {rows} 行 {columns} 列，放在文件里，可用 Excel 打开：{name}")
            }
            Self::AnswerFile { name } => format!("📎 回答较长，全文在文件里：{name}"),
            Self::Unsendable(reference) => format!(
                "抱歉，这里本来有一个文件，但没能发给你。请再问一次，或把下面的编号发给管理员。\n编号 {}",
                reference.reference()
            ),
            Self::Failed(failure, turn) => failure.chinese(turn),
        }
    }

    fn english(self) -> String {
        match self {
            Self::Help { role, privacy, days, keys } => {
                let [own, more] = help(role, keys, Language::English);
                let kept = match (privacy, days) {
                    (Privacy::Full, None) => String::new(),
                    (Privacy::Full, Some(days)) => {
                        format!("\n\nWhat is said here is kept for {}, and then deleted.", count_of_days(days))
                    }
                    (Privacy::Metadata, _) => {
                        "\n\nWhat is said here is not kept: it goes when the answer is delivered, and I know the conversation \
                         for half an hour at most."
                            .to_owned()
                    }
                    (Privacy::Nothing, _) => {
                        "\n\nWhat is said here is not kept: it goes when the answer is delivered, and I answer each question \
                         for itself."
                            .to_owned()
                    }
                };
                let more = if more.is_empty() { more } else { format!("\n\nFor operators:\n{more}") };
                format!("Just write, and I will answer.\n\nCommands:\n{own}{more}{kept}")
            }
            Self::Meant(name) => format!("There is no such command. Did you mean {name}? /help shows them all."),
            Self::NewConversation => "A new conversation has begun; what was said before no longer counts.".to_owned(),
            Self::Stopped => "Stopped.".to_owned(),
            Self::NothingToStop => "No answer is being written at the moment.".to_owned(),
            Self::Thoughts => "Reasoning".to_owned(),
            Self::RestInWriting => " For the rest, see the text.".to_owned(),
            Self::Drawn => "(A picture was drawn.)".to_owned(),
            Self::Slow => "Got it. This takes a little while.".to_owned(),
            Self::Backlog(waiting) => {
                format!("I have all your messages. {waiting} come before this one, and I answer them in order.")
            }
            Self::ModelGone(alias) => format!(
                "The model that you chose, {alias}, is no longer offered; the usual one answers. Send /model to choose \
                 another."
            ),
            Self::PersonaGone(name) => format!(
                "The persona that you chose, {name}, is no longer there; I answer as usual. Send /persona to choose \
                 another."
            ),
            Self::Calling(tools) => format!("🔧 Looking it up: {tools}…"),
            Self::ToolDown(tool) => format!("⚠️ {tool} is not available now; the answer goes on without it."),
            Self::NotYet(kind) => {
                let what = match kind {
                    EventKind::Image { .. } => "pictures",
                    EventKind::Voice { .. } => "voice messages",
                    EventKind::Video { .. } => "videos",
                    _ => "messages of this kind",
                };
                format!("I cannot read {what} yet. Tell me in words, and I will answer at once.")
            }
            Self::Blind => failures::ENGLISH_BLIND.to_owned(),
            Self::Unshown(reference) => format!(
                "Sorry, WeCom refuses to show what was answered. Please ask in other words, or give this reference to \
                 your administrator.\nReference {}",
                reference.reference()
            ),
            Self::CodeFile { name, lines } => format!("📎 The code has {lines} lines and is in the file {name}"),
            Self::TableFile { name, rows, columns } => {
                format!("📎 The table has {rows} rows and {columns} columns and is in the file {name}")
            }
            Self::AnswerFile { name } => format!("📎 The answer is long; all of it is in the file {name}"),
            Self::Unsendable(reference) => format!(
                "Sorry, there should be a file here, but it could not be sent. Please ask again, or give this reference \
                 to your administrator.\nReference {}",
                reference.reference()
            ),
            Self::Failed(failure, turn) => failure.english(turn),
        }
    }
}

/// The commands that everybody has, and those that this role has beside them, one a line.
fn help(role: Role, keys: bool, language: Language) -> [String; 2] {
    let lines = |whose: &dyn Fn(Who) -> bool| {
        let rows = TABLE.iter().filter(|row| whose(row.who) && (keys || row.command != Command::Key));
        rows.map(|row| row.line(language)).collect::<Vec<_>>().join("\n")
    };
    [lines(&|who| who == Who::Members), lines(&|who| who != Who::Members && who.includes(role))]
}

/// `1 day`, `7 days`.
pub(super) fn count_of_days(days: u64) -> String {
    format!("{days} {}", if days == 1 { "day" } else { "days" })
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), shown);
        }
    }
}
