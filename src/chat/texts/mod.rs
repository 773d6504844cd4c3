//! What the bot itself says: help, notices, failures. Chinese and English side by side, so that neither is forgotten.

pub mod quota;

use super::{
    command::{TABLE, Who},
    hearing::Unheard,
    seeing::Unseen,
    turn::Undrawn,
};
use crate::{
    config::chat::Language,
    llm,
    model::{event::EventKind, id::TurnId},
};

/// A sentence of the bot's own.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// What can be done here.
    Help {
        /// Whether those of operators are among them.
        operator: bool,
    },
    /// The operators do not want the bot to listen to this member.
    Blocked,
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

/// Why there is no whole answer, as far as it concerns the member.
#[derive(Clone, Copy, Debug)]
pub enum Failure<'a> {
    /// The model failed.
    Model(&'a llm::error::Error),
    /// The model finished without a word.
    Empty,
    /// The answer reached the length limit.
    TooLong,
    /// The provider's content filter cut in.
    Filtered,
    /// The rules of this house keep the question from the model.
    Refused,
    /// The rules of this house hold back the rest of the answer.
    Withheld,
    /// A voice message gave no words.
    Unheard(&'a Unheard),
    /// A picture could not be looked at.
    Unseen(&'a Unseen),
    /// The model does not see pictures.
    Blind,
    /// A wish gave no picture.
    Undrawn(&'a Undrawn),
    /// Our own fault.
    Internal,
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
            Self::Help { operator } => {
                let own = help(Who::Members, Language::Chinese);
                let more = match operator {
                    true => format!("\n\n管理员命令：\n{}", help(Who::Operators, Language::Chinese)),
                    false => String::new(),
                };
                format!("直接发消息，我就会回答。\n\n可用的命令：\n{own}{more}")
            }
            Self::Blocked => "抱歉，管理员暂停了你对我的使用。如有疑问，请联系管理员。".to_owned(),
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
            Self::Blind => CHINESE_BLIND.to_owned(),
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
            Self::Failed(failure, turn) => {
                let sentence = match failure {
                    Failure::TooLong => "（回答达到了长度上限。发“继续”，我接着写。）".to_owned(),
                    Failure::Refused => chinese_cause(&llm::error::Error::Withheld).to_owned(),
                    Failure::Withheld => "（回答里含有公司规定不能显示的内容，到这里为止。）".to_owned(),
                    Failure::Filtered => "这个问题的回答被模型服务商的内容审核拦下了，请换个说法再试。".to_owned(),
                    Failure::Empty => "抱歉，模型这次没有给出回答，请再问一次。".to_owned(),
                    Failure::Internal => "抱歉，我这边出了故障，没能回答。请再发一次。".to_owned(),
                    Failure::Unheard(unheard) => chinese_unheard(unheard).to_owned(),
                    Failure::Unseen(unseen) => chinese_unseen(unseen).to_owned(),
                    Failure::Blind => CHINESE_BLIND.to_owned(),
                    Failure::Undrawn(undrawn) => return chinese_undrawn(undrawn, turn),
                    Failure::Model(error) => chinese_cause(error).to_owned(),
                };
                format!("{sentence}\n编号 {}", turn.reference())
            }
        }
    }

    fn english(self) -> String {
        match self {
            Self::Help { operator } => {
                let own = help(Who::Members, Language::English);
                let more = match operator {
                    true => format!("\n\nFor operators:\n{}", help(Who::Operators, Language::English)),
                    false => String::new(),
                };
                format!("Just write, and I will answer.\n\nCommands:\n{own}{more}")
            }
            Self::Blocked => {
                "Sorry, your administrator does not want me to answer you at the moment. Please ask them.".to_owned()
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
            Self::Blind => ENGLISH_BLIND.to_owned(),
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
            Self::Failed(failure, turn) => {
                let sentence = match failure {
                    Failure::TooLong => "(The answer reached its length limit. Write “go on” for the rest.)".to_owned(),
                    Failure::Refused => english_cause(&llm::error::Error::Withheld).to_owned(),
                    Failure::Withheld => {
                        "(The answer ends here: it holds something that the company's rules do not show.)".to_owned()
                    }
                    Failure::Filtered => {
                        "The model provider's content filter held this answer back. Please put it differently."
                            .to_owned()
                    }
                    Failure::Empty => "Sorry, the model gave no answer this time. Please ask again.".to_owned(),
                    Failure::Internal => "Sorry, something broke on my side. Please send it again.".to_owned(),
                    Failure::Unheard(unheard) => english_unheard(unheard).to_owned(),
                    Failure::Unseen(unseen) => english_unseen(unseen).to_owned(),
                    Failure::Blind => ENGLISH_BLIND.to_owned(),
                    Failure::Undrawn(undrawn) => return english_undrawn(undrawn, turn),
                    Failure::Model(error) => english_cause(error).to_owned(),
                };
                format!("{sentence}\nReference {}", turn.reference())
            }
        }
    }
}

/// The commands of these, one a line.
fn help(who: Who, language: Language) -> String {
    let rows = TABLE.iter().filter(|row| row.who == who);
    rows.map(|row| row.line(language)).collect::<Vec<_>>().join("\n")
}

/// What a member can do about a voice message that gave no words.
const fn chinese_unheard(unheard: &Unheard) -> &'static str {
    match unheard {
        Unheard::Fetch(_) => "抱歉，没能从企业微信取到这段语音。请再发一次，或用文字告诉我。",
        Unheard::Unusable(_) => "抱歉，这段语音无法识别（格式不支持或已损坏）。请再说一次，或用文字告诉我。",
        Unheard::TooLong => "这段语音太长，请分成几段再发，或用文字告诉我。",
        Unheard::Nothing => "抱歉，我没有听清这段语音。请再说一次，或用文字告诉我。",
        Unheard::Transcription(_) | Unheard::Broken => {
            "抱歉，语音暂时无法转成文字。请过一会儿再发一次，或用文字告诉我。"
        }
    }
}

const fn english_unheard(unheard: &Unheard) -> &'static str {
    match unheard {
        Unheard::Fetch(_) => {
            "Sorry, I could not get this voice message from WeCom. Please send it again, or tell me in writing."
        }
        Unheard::Unusable(_) => {
            "Sorry, this voice message cannot be read (its format, or it is broken). Please speak again, or tell me in \
             writing."
        }
        Unheard::TooLong => "This voice message is too long. Please send it in pieces, or tell me in writing.",
        Unheard::Nothing => {
            "Sorry, I could not understand this voice message. Please speak again, or tell me in writing."
        }
        Unheard::Transcription(_) | Unheard::Broken => {
            "Sorry, voice cannot be turned into text at the moment. Please send it again in a while, or tell me in \
             writing."
        }
    }
}

const CHINESE_BLIND: &str = "现在用的模型看不了图片。请用文字告诉我图里的内容，我马上回答。";
const ENGLISH_BLIND: &str =
    "The model in use cannot see pictures. Tell me in words what it shows, and I will answer at once.";

/// What a member can do about a picture that cannot be looked at.
const fn chinese_unseen(unseen: &Unseen) -> &'static str {
    match unseen {
        Unseen::Expired(_) => "这张图片在企业微信里已经过期，取不到了。请再发一次。",
        Unseen::Fetch(_) => "抱歉，没能从企业微信取到这张图片。请再发一次。",
        Unseen::Unusable(_) => "抱歉，这张图片打不开（格式不支持或已损坏）。请换成 JPG 或 PNG 再发一次。",
        Unseen::TooLarge => "这张图片太大了。请不要勾选“原图”，或裁剪后再发一次。",
        Unseen::Gone => "这张图片已经不在了（超过了保存期限，或没有随备份恢复）。请再发一次。",
        Unseen::Broken => "抱歉，这张图片暂时处理不了。请过一会儿再发一次，或用文字告诉我。",
    }
}

const fn english_unseen(unseen: &Unseen) -> &'static str {
    match unseen {
        Unseen::Expired(_) => "This picture has expired in WeCom and cannot be fetched any more. Please send it again.",
        Unseen::Fetch(_) => "Sorry, I could not get this picture from WeCom. Please send it again.",
        Unseen::Unusable(_) => {
            "Sorry, this picture cannot be opened (its format, or it is broken). Please send it again as JPG or PNG."
        }
        Unseen::TooLarge => {
            "This picture is too large. Please send it without “original size”, or cut it, and send it again."
        }
        Unseen::Gone => "This picture is not kept any more. Please send it again.",
        Unseen::Broken => {
            "Sorry, this picture cannot be prepared at the moment. Please send it again in a while, or tell me in words."
        }
    }
}

/// What a member can do about a picture that was not made. What is said of the model elsewhere is said here too.
fn chinese_undrawn(undrawn: &Undrawn, turn: TurnId) -> String {
    use llm::error::Error as E;
    let sentence = match undrawn {
        Undrawn::Model(E::ContentFiltered) => "这张图没能通过模型服务商的内容审核，请换个描述再试。",
        Undrawn::Model(E::Withheld) => return Text::Failed(Failure::Refused, turn).chinese(),
        Undrawn::Model(E::TooLong) => "描述太长，模型读不下了。请写短一些再试。",
        Undrawn::Model(error @ (E::QuotaExhausted { .. } | E::Unauthorized { .. } | E::Misconfigured { .. })) => {
            chinese_cause(error)
        }
        Undrawn::Model(E::RateLimited { .. }) => "抱歉，现在画图的人太多，没有排上。请过一会儿再试。",
        // Of the allowance `texts::quota` says more.
        Undrawn::Model(_) | Undrawn::Unusable(_) | Undrawn::Elsewhere | Undrawn::Broken | Undrawn::Quota(_) => {
            "抱歉，这张图没有画成。请过一会儿再试，或换个描述。"
        }
    };
    format!("{sentence}\n编号 {}", turn.reference())
}

fn english_undrawn(undrawn: &Undrawn, turn: TurnId) -> String {
    use llm::error::Error as E;
    let sentence = match undrawn {
        Undrawn::Model(E::ContentFiltered) => {
            "The model provider's content filter held this picture back. Please describe it differently."
        }
        Undrawn::Model(E::Withheld) => return Text::Failed(Failure::Refused, turn).english(),
        Undrawn::Model(E::TooLong) => "The description is too long for the model. Please write less.",
        Undrawn::Model(error @ (E::QuotaExhausted { .. } | E::Unauthorized { .. } | E::Misconfigured { .. })) => {
            english_cause(error)
        }
        Undrawn::Model(E::RateLimited { .. }) => {
            "Sorry, too many people want pictures at the moment. Please try again in a while."
        }
        Undrawn::Model(_) | Undrawn::Unusable(_) | Undrawn::Elsewhere | Undrawn::Broken | Undrawn::Quota(_) => {
            "Sorry, this picture could not be made. Please try again in a while, or describe it differently."
        }
    };
    format!("{sentence}\nReference {}", turn.reference())
}

/// What a member can do about a failure of the model. The cause in full is in the log, under the reference.
const fn chinese_cause(error: &llm::error::Error) -> &'static str {
    use llm::error::Error as E;
    match error {
        E::Misconfigured { .. } | E::Unauthorized { .. } | E::ModelNotFound { .. } | E::Rejected { .. } => {
            "抱歉，模型拒绝了请求，需要管理员检查设置。请把下面的编号发给管理员。"
        }
        E::QuotaExhausted { .. } => "抱歉，公司在模型服务商的账户余额不足。请把下面的编号发给管理员。",
        E::TooLong => "这段对话太长，模型读不下了。请发 /new 开始新对话，或缩短消息再试。",
        E::Withheld => "这条消息含有公司规定不能发给模型的内容，没有发送。请修改后再试。",
        E::ContentFiltered => "这个问题的回答被模型服务商的内容审核拦下了，请换个说法再试。",
        E::RateLimited { .. } => "抱歉，现在问模型的人太多，没有排上。请过一会儿再问一次。",
        E::Cut { .. } | E::GapTimeout | E::AnswerTimeout | E::StreamError { .. } => {
            "（回答在这里中断了，没有写完。请再问一次。）"
        }
        E::Upstream { .. } | E::Unreachable(_) | E::FirstDeltaTimeout | E::Garbage { .. } => {
            "抱歉，模型暂时没有回应。请过一会儿再问一次。"
        }
    }
}

const fn english_cause(error: &llm::error::Error) -> &'static str {
    use llm::error::Error as E;
    match error {
        E::Misconfigured { .. } | E::Unauthorized { .. } | E::ModelNotFound { .. } | E::Rejected { .. } => {
            "Sorry, the model refused the request; the settings need a look. Please give this reference to your \
             administrator."
        }
        E::QuotaExhausted { .. } => {
            "Sorry, the company's account at the model provider has nothing left. Please give this reference to your \
             administrator."
        }
        E::TooLong => "This conversation is too long for the model. Send /new to begin a new one, or write less.",
        E::Withheld => {
            "This message holds something that the company's rules keep from the model, so it was not sent. Please \
             change it and try again."
        }
        E::ContentFiltered => "The model provider's content filter held this answer back. Please put it differently.",
        E::RateLimited { .. } => "Sorry, too many people are asking the model. Please ask again in a while.",
        E::Cut { .. } | E::GapTimeout | E::AnswerTimeout | E::StreamError { .. } => {
            "(The answer broke off here. Please ask again.)"
        }
        E::Upstream { .. } | E::Unreachable(_) | E::FirstDeltaTimeout | E::Garbage { .. } => {
            "Sorry, the model does not respond at the moment. Please ask again in a while."
        }
    }
}
