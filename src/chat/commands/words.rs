//! What the bot says to commands, in both languages. Plain text: names and questions of members stand in it as they are.

use std::sync::Arc;

use super::{
    glance::Glance,
    lists::{blocked_list, chinese_used, english_used, facts_list, history, list, of_personas},
};
use crate::{
    chat::texts::count_of_days,
    clock::zone::Local,
    config::persona::Persona,
    model::{
        command::Command,
        fact::{Fact, LONGEST_FACT, MOST_FACTS, Refused},
        language::Language,
        preferences::Output,
    },
    store::{announcements::Stepped, usage::Usage},
};

/// Something that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice<'a> {
    Model(&'a str),
    /// `None`: none.
    Persona(Option<&'a str>),
    Language(Language),
    Output(Output),
    /// `offered`: whether the bot can speak at all.
    Voice {
        on: bool,
        offered: bool,
    },
}

/// What is said to a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words<'a> {
    /// The command needs something behind its name.
    Lacks(Command),
    NothingToRetry,
    /// The application keeps no texts.
    NotKept,
    /// Nobody makes pictures here.
    NoPictures,
    /// The models that can be chosen.
    Models {
        aliases: &'a [Arc<str>],
        current: &'a str,
        /// What was asked for and is none of them.
        unknown: Option<&'a str>,
    },
    NoPersonas,
    Personas {
        personas: &'a [Persona],
        current: Option<&'a str>,
        unknown: Option<&'a str>,
    },
    Chosen(Choice<'a>),
    /// Somebody else's card was pressed.
    NotYourCard,
    /// A list was sent without anything picked in it.
    NothingChosen,
    /// What was pressed is not offered any more.
    GoneFromCard,
    HowToLang,
    /// `None`: the bot cannot speak.
    HowToVoice {
        now: Option<bool>,
    },
    HowToOutput {
        now: Output,
    },
    Usage {
        used: Usage,
        /// For how many days conversations are kept, where the application has days of its own.
        days: Option<u64>,
    },
    History(&'a [(Local, String)]),
    NothingToExport,
    Exported,
    Remembered,
    Forgotten(usize),
    Facts(&'a [Fact]),
    FactRefused(Refused),
    /// The command is for operators.
    ForOperators,
    Status(Glance<'a>),
    /// It is no userid.
    NoUser,
    BlocksOperator,
    /// A manager decides about the own departments only.
    NotYours,
    IsBlocked(&'a str),
    IsUnblocked(&'a str),
    WasNotBlocked(&'a str),
    /// Since when, who, why.
    Blocked(&'a [(Local, String, String)]),
    /// What everybody gets, of what the operator wrote.
    Announcement(&'a str),
    Stepped(&'a Stepped),
    /// Everybody has it, so many.
    Announced(u64),
}

impl Words<'_> {
    /// The sentence in a language.
    pub(super) fn render(self, language: Language) -> String {
        match language {
            Language::Chinese => self.chinese(),
            Language::English => self.english(),
        }
    }

    fn chinese(self) -> String {
        match self {
            Self::Lacks(command) => format!("请在命令后面写上内容：{}", command.row().form(Language::Chinese)),
            Self::NoPictures => "这里还没有开启画图。需要的话，请联系管理员。".to_owned(),
            Self::NotKept => "本应用不保存聊天内容，所以这里什么也没有，也不能让我记住什么。".to_owned(),
            Self::NothingToRetry => "这次对话里还没有可以重问的问题。".to_owned(),
            Self::Models { aliases, current, unknown } => {
                let head = unknown.map(|name| format!("没有叫“{name}”的模型。")).unwrap_or_default();
                let list = list(aliases.iter().map(|alias| (&**alias, "", **alias == *current)), "（当前）");
                format!(
                    "{head}可以选的模型：\n{list}\n\n发“/model 序号”或“/model 名称”来选择，发“/model 默认”恢复默认。"
                )
            }
            Self::NoPersonas => "管理员还没有设置可选的角色。".to_owned(),
            Self::Personas { personas, current, unknown } => {
                let head = unknown.map(|name| format!("没有叫“{name}”的角色。")).unwrap_or_default();
                format!(
                    "{head}可以选的角色：\n{}\n\n发“/persona 序号”或“/persona 名称”来选择，发“/persona 无”取消。",
                    list(of_personas(personas, current), "（当前）")
                )
            }
            Self::Chosen(choice) => match choice {
                Choice::Model(alias) => format!("好的，以后由 {alias} 回答你。"),
                Choice::Persona(Some(name)) => format!("好的，现在的角色是“{name}”。"),
                Choice::Persona(None) => "好的，不再扮演角色。".to_owned(),
                Choice::Language(Language::Chinese) => "好的，以后用中文提示你。".to_owned(),
                Choice::Language(Language::English) => "All right, I speak English to you from now on.".to_owned(),
                Choice::Output(Output::Markdown) => {
                    "好的，回答会带格式。在微信里看不到带格式的消息；看不到时发“/markdown 关”。".to_owned()
                }
                Choice::Output(Output::Text) => "好的，回答用纯文本。".to_owned(),
                Choice::Output(Output::Auto) => "好的，在企业微信里带格式，在微信里用纯文本。".to_owned(),
                Choice::Voice { on: true, offered: true } => "好的，你用语音提问，我用语音回答。".to_owned(),
                Choice::Voice { on: true, offered: false } => {
                    "记下了。不过管理员还没有开启语音回答，目前仍用文字回答。".to_owned()
                }
                Choice::Voice { on: false, .. } => "好的，一律用文字回答。".to_owned(),
            },
            Self::NotYourCard => "这张卡片不是发给你的。发 /model 或 /persona 可以得到自己的。".to_owned(),
            Self::NothingChosen => "你没有选中任何一项。请先在卡片上选一项，再点确定。".to_owned(),
            Self::GoneFromCard => "这一项已经没有了。发 /model 或 /persona 查看现在可以选的。".to_owned(),
            Self::HowToLang => "发“/lang 中文”或“/lang 英文”选择提示语的语言。回答始终使用你提问的语言。".to_owned(),
            Self::HowToVoice { now } => {
                let now = match now {
                    Some(true) => "目前：语音提问用语音回答。",
                    Some(false) => "目前：一律用文字回答。",
                    None => "管理员还没有开启语音回答。",
                };
                format!("{now}发“/voice 开”或“/voice 关”来选择。")
            }
            Self::HowToOutput { now } => {
                let now = match now {
                    Output::Auto => "自动",
                    Output::Text => "纯文本",
                    Output::Markdown => "带格式",
                };
                format!("目前：{now}。发“/markdown 开”、“/markdown 关”或“/markdown 自动”来选择。")
            }
            Self::Usage { used: Usage { conversation, day, month }, days } => format!(
                "你的用量：\n本次对话：{}\n今天：{}\n本月：{}{}{}",
                chinese_used(conversation),
                chinese_used(day),
                chinese_used(month),
                days.map(|days| format!("\n（只统计最近 {days} 天，更早的对话已删除）")).unwrap_or_default(),
                if month.estimated { "\n（部分 token 数是估算的）" } else { "" }
            ),
            Self::History([]) => "还没有问过问题。".to_owned(),
            Self::History(asked) => format!("最近问过：\n{}", history(asked)),
            Self::NothingToExport => "这次对话里还没有内容可以导出。".to_owned(),
            Self::Exported => "这是本次对话的全部内容，在下面的文件里。".to_owned(),
            Self::Remembered => "好的，我记住了。发 /memory 查看，发“/forget 序号”删除。".to_owned(),
            Self::Forgotten(count) => format!("好的，已忘掉 {count} 件事。"),
            Self::Facts([]) => "我还没有记住什么。发“/remember 内容”，我就记住。".to_owned(),
            Self::Facts(facts) => {
                format!("我记住的事：\n{}\n\n发“/forget 序号”忘掉一件，发“/forget 全部”全部忘掉。", facts_list(facts))
            }
            Self::FactRefused(refused) => match refused {
                Refused::Empty => "里面没有内容。".to_owned(),
                Refused::TooLong { characters } => {
                    format!("太长了：有 {characters} 个字，最多 {LONGEST_FACT} 个。请写短一些。")
                }
                Refused::TooMany => format!("已经记了 {MOST_FACTS} 件事，记不下了。请先用 /forget 忘掉一些。"),
                Refused::Known { number } => format!("这件事我已经记住了，是第 {number} 件。"),
                Refused::NoSuch => "没有这一件。发 /memory 查看我记住的事。".to_owned(),
                Refused::Several(count) => format!("有 {count} 件都符合。请发“/forget 序号”，序号见 /memory。"),
            },
            Self::ForOperators => "这个命令只有管理员能用。需要的话，请联系管理员。".to_owned(),
            Self::Status(glance) => glance.chinese(),
            Self::NoUser => "这不是成员账号。账号见：通讯录 → 成员 → 账号。".to_owned(),
            Self::BlocksOperator => "不能停用管理员。".to_owned(),
            Self::NotYours => "这位成员不在你的部门里，请联系管理员。".to_owned(),
            Self::IsBlocked(user) => format!("好的，已停用 {user}。发“/unblock {user}”恢复。"),
            Self::IsUnblocked(user) => format!("好的，已恢复 {user}。"),
            Self::WasNotBlocked(user) => format!("{user} 没有被停用。"),
            Self::Blocked([]) => "没有停用任何人。".to_owned(),
            Self::Blocked(blocked) => format!("已停用：\n{}", blocked_list(blocked, "：")),
            Self::Announcement(text) => format!("【公告】\n{text}"),
            Self::Stepped(stepped) => match stepped {
                Stepped::Shown { recipients, text, .. } => format!(
                    "预览，将发给 {recipients} 人：\n\n{text}\n\n发“/announce 发送”确认，发“/announce 取消”放弃；10 分钟内有效。"
                ),
                Stepped::Sending { recipients } => {
                    format!("开始发送，共 {recipients} 人。发“/announce 取消”可中止。")
                }
                Stepped::Cancelled { sent: 0 } => "已取消，没有人收到。".to_owned(),
                Stepped::Cancelled { sent } => format!("已取消，其余的人不会收到；已有 {sent} 人收到。"),
                Stepped::Already => {
                    "这条公告已经确认过，不会再发一遍。还没发完的，发“/announce 取消”可中止。".to_owned()
                }
                Stepped::Stale => {
                    "这条预览已经失效：超过了 10 分钟、已取消，或者有了新的预览。需要的话，请重新发“/announce 内容”。"
                        .to_owned()
                }
                Stepped::Nothing => "没有 10 分钟内预览过的公告。先发“/announce 内容”。".to_owned(),
            },
            Self::Announced(sent) => format!("公告已发给 {sent} 人。"),
        }
    }

    fn english(self) -> String {
        match self {
            Self::Lacks(command) => {
                format!("Please write what you mean behind it: {}", command.row().form(Language::English))
            }
            Self::NoPictures => "Pictures are not switched on here. Please ask your administrator.".to_owned(),
            Self::NotKept => {
                "No texts of conversations are kept here: there is nothing to show, and nothing can be remembered."
                    .to_owned()
            }
            Self::NothingToRetry => "There is no question in this conversation that could be asked again.".to_owned(),
            Self::Models { aliases, current, unknown } => {
                let head = unknown.map(|name| format!("There is no model “{name}”. ")).unwrap_or_default();
                let list = list(aliases.iter().map(|alias| (&**alias, "", **alias == *current)), " (yours)");
                format!(
                    "{head}You can choose among:\n{list}\n\nSend “/model” and a number or a name; “/model default” goes \
                     back to the usual one."
                )
            }
            Self::NoPersonas => "No parts have been set up that I could play.".to_owned(),
            Self::Personas { personas, current, unknown } => {
                let head = unknown.map(|name| format!("There is no part “{name}”. ")).unwrap_or_default();
                format!(
                    "{head}You can choose among:\n{}\n\nSend “/persona” and a number or a name; “/persona none” ends it.",
                    list(of_personas(personas, current), " (now)")
                )
            }
            Self::Chosen(choice) => match choice {
                Choice::Model(alias) => format!("From now on {alias} answers you."),
                Choice::Persona(Some(name)) => format!("I now play: {name}."),
                Choice::Persona(None) => "I no longer play a part.".to_owned(),
                Choice::Language(Language::Chinese) => "好的，以后用中文提示你。".to_owned(),
                Choice::Language(Language::English) => "All right, I speak English to you from now on.".to_owned(),
                Choice::Output(Output::Markdown) => {
                    "Answers will be formatted. WeChat does not show such messages; if \
                                                     you see none, send “/markdown off”."
                        .to_owned()
                }
                Choice::Output(Output::Text) => "Answers will be plain text.".to_owned(),
                Choice::Output(Output::Auto) => {
                    "Answers will be formatted in WeCom and plain text in WeChat.".to_owned()
                }
                Choice::Voice { on: true, offered: true } => "What you ask by voice I answer by voice.".to_owned(),
                Choice::Voice { on: true, offered: false } => "Noted. But voice answers are not switched on by your \
                                                               administrator, so for now I answer in writing."
                    .to_owned(),
                Choice::Voice { on: false, .. } => "I answer in writing only.".to_owned(),
            },
            Self::NotYourCard => "This card is not yours. Send /model or /persona for one of your own.".to_owned(),
            Self::NothingChosen => "You chose nothing. Please pick one on the card first.".to_owned(),
            Self::GoneFromCard => "That is no longer offered. /model or /persona shows what is.".to_owned(),
            Self::HowToLang => {
                "Send “/lang zh” or “/lang en” for the language of my own sentences. Answers follow the \
                                language of your question."
                    .to_owned()
            }
            Self::HowToVoice { now } => {
                let now = match now {
                    Some(true) => "At the moment, what you ask by voice is answered by voice.",
                    Some(false) => "At the moment, I answer in writing only.",
                    None => "Voice answers are not switched on by your administrator.",
                };
                format!("{now} Send “/voice on” or “/voice off”.")
            }
            Self::HowToOutput { now } => {
                let now = match now {
                    Output::Auto => "auto",
                    Output::Text => "plain text",
                    Output::Markdown => "formatted",
                };
                format!("At the moment: {now}. Send “/markdown on”, “/markdown off” or “/markdown auto”.")
            }
            Self::Usage { used: Usage { conversation, day, month }, days } => format!(
                "What you used:\nThis conversation: {}\nToday: {}\nThis month: {}{}{}",
                english_used(conversation),
                english_used(day),
                english_used(month),
                days.map(|days| format!("\n(Within {}: older conversations are deleted.)", count_of_days(days)))
                    .unwrap_or_default(),
                if month.estimated { "\n(Some token counts are estimates.)" } else { "" }
            ),
            Self::History([]) => "You have not asked anything yet.".to_owned(),
            Self::History(asked) => format!("Your last questions:\n{}", history(asked)),
            Self::NothingToExport => "There is nothing in this conversation yet.".to_owned(),
            Self::Exported => "This is the whole conversation, in the file below.".to_owned(),
            Self::Remembered => "I will remember it. /memory shows what I remember, “/forget 1” forgets.".to_owned(),
            Self::Forgotten(1) => "It is forgotten.".to_owned(),
            Self::Forgotten(count) => format!("All {count} are forgotten."),
            Self::Facts([]) => "I remember nothing yet. Send “/remember” and what it is.".to_owned(),
            Self::Facts(facts) => {
                format!("I remember:\n{}\n\nSend “/forget” and a number, or “/forget all”.", facts_list(facts))
            }
            Self::FactRefused(refused) => match refused {
                Refused::Empty => "There is nothing in it.".to_owned(),
                Refused::TooLong { characters } => {
                    format!("It is too long: {characters} characters of {LONGEST_FACT}. Please say it shorter.")
                }
                Refused::TooMany => format!("I remember {MOST_FACTS} things already. Please /forget some first."),
                Refused::Known { number } => format!("I remember that already; it is number {number}."),
                Refused::NoSuch => "There is no such thing. /memory shows what I remember.".to_owned(),
                Refused::Several(count) => {
                    format!("{count} of them fit. Please send “/forget” and its number; /memory shows them.")
                }
            },
            Self::ForOperators => "This command is for operators. Ask your administrator if you need it.".to_owned(),
            Self::Status(glance) => glance.english(),
            Self::NoUser => "This is no userid. It stands in the console under 通讯录 → 成员 → 账号.".to_owned(),
            Self::BlocksOperator => "An operator cannot be blocked.".to_owned(),
            Self::NotYours => "This member is not in your departments; ask an operator.".to_owned(),
            Self::IsBlocked(user) => format!("{user} is blocked. “/unblock {user}” takes it back."),
            Self::IsUnblocked(user) => format!("{user} is no longer blocked."),
            Self::WasNotBlocked(user) => format!("{user} was not blocked."),
            Self::Blocked([]) => "Nobody is blocked.".to_owned(),
            Self::Blocked(blocked) => format!("Blocked:\n{}", blocked_list(blocked, ": ")),
            Self::Announcement(text) => format!("[Announcement]\n{text}"),
            Self::Stepped(stepped) => match stepped {
                Stepped::Shown { recipients, text, .. } => format!(
                    "This would go to {recipients}:\n\n{text}\n\nSend “/announce send” within 10 minutes, or “/announce \
                     cancel”."
                ),
                Stepped::Sending { recipients } => {
                    format!("It is being sent to {recipients}. “/announce cancel” stops it.")
                }
                Stepped::Cancelled { sent: 0 } => "Cancelled; nobody has got it.".to_owned(),
                Stepped::Cancelled { sent } => format!("Cancelled; {sent} have got it, the others will not."),
                Stepped::Already => {
                    "This announcement was confirmed already and is not sent again. “/announce cancel” stops what has \
                     not left yet."
                        .to_owned()
                }
                Stepped::Stale => {
                    "That preview is no longer good: it is older than 10 minutes, was cancelled, or another one was \
                     shown since. Please send “/announce” and the text again."
                        .to_owned()
                }
                Stepped::Nothing => {
                    "Nothing was shown to you in the last 10 minutes. Send “/announce” and a text first.".to_owned()
                }
            },
            Self::Announced(sent) => format!("The announcement was sent to {sent}."),
        }
    }
}
