//! What the bot says where there is no whole answer: what went wrong, as far as it concerns the member, and what can be
//! done about it. The cause in full is in the log, under the reference that each of these ends with.

use crate::{
    chat::{hearing::Unheard, seeing::Unseen, turn::Undrawn},
    llm,
    model::id::TurnId,
    net::fetch::FetchError,
};

/// What a member can do where the model sees no pictures.
pub(super) const CHINESE_BLIND: &str = "现在用的模型看不了图片。请用文字告诉我图里的内容，我马上回答。";
pub(super) const ENGLISH_BLIND: &str =
    "The model in use cannot see pictures. Tell me in words what it shows, and I will answer at once.";

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

impl Failure<'_> {
    pub(super) fn chinese(self, turn: TurnId) -> String {
        let sentence = match self {
            Self::TooLong => "（回答达到了长度上限。发“继续”，我接着写。）".to_owned(),
            Self::Refused => chinese_cause(&llm::error::Error::Withheld).to_owned(),
            Self::Withheld => "（回答里含有公司规定不能显示的内容，到这里为止。）".to_owned(),
            Self::Filtered => "这个问题的回答被模型服务商的内容审核拦下了，请换个说法再试。".to_owned(),
            Self::Empty => "抱歉，模型这次没有给出回答，请再问一次。".to_owned(),
            Self::Internal => "抱歉，我这边出了故障，没能回答。请再发一次。".to_owned(),
            Self::Unheard(unheard) => chinese_unheard(unheard).to_owned(),
            Self::Unseen(unseen) => chinese_unseen(unseen).to_owned(),
            Self::Blind => CHINESE_BLIND.to_owned(),
            Self::Undrawn(undrawn) => return chinese_undrawn(undrawn, turn),
            Self::Model(error) => chinese_cause(error).to_owned(),
        };
        format!("{sentence}\n编号 {}", turn.reference())
    }

    pub(super) fn english(self, turn: TurnId) -> String {
        let sentence = match self {
            Self::TooLong => "(The answer reached its length limit. Write “go on” for the rest.)".to_owned(),
            Self::Refused => english_cause(&llm::error::Error::Withheld).to_owned(),
            Self::Withheld => {
                "(The answer ends here: it holds something that the company's rules do not show.)".to_owned()
            }
            Self::Filtered => {
                "The model provider's content filter held this answer back. Please put it differently.".to_owned()
            }
            Self::Empty => "Sorry, the model gave no answer this time. Please ask again.".to_owned(),
            Self::Internal => "Sorry, something broke on my side. Please send it again.".to_owned(),
            Self::Unheard(unheard) => english_unheard(unheard).to_owned(),
            Self::Unseen(unseen) => english_unseen(unseen).to_owned(),
            Self::Blind => ENGLISH_BLIND.to_owned(),
            Self::Undrawn(undrawn) => return english_undrawn(undrawn, turn),
            Self::Model(error) => english_cause(error).to_owned(),
        };
        format!("{sentence}\nReference {}", turn.reference())
    }
}

/// Whether waiting mends nothing: somebody has to change the settings, or to pay.
const fn is_for_administrators(error: &llm::error::Error) -> bool {
    use llm::error::Error as E;
    matches!(
        error,
        E::QuotaExhausted { .. } | E::Unauthorized { .. } | E::Misconfigured { .. } | E::ModelNotFound { .. }
    )
}

/// What a member can do about a voice message that gave no words.
const fn chinese_unheard(unheard: &Unheard) -> &'static str {
    match unheard {
        Unheard::Fetch(_) => "抱歉，没能从企业微信取到这段语音。请再发一次，或用文字告诉我。",
        Unheard::Unusable(_) => "抱歉，这段语音无法识别（格式不支持或已损坏）。请再说一次，或用文字告诉我。",
        Unheard::TooLong => "这段语音太长，请分成几段再发，或用文字告诉我。",
        Unheard::Quota(_) => "现在不能为你识别语音，请用文字告诉我。",
        Unheard::Nothing => "抱歉，我没有听清这段语音。请再说一次，或用文字告诉我。",
        Unheard::Transcription(error) if is_for_administrators(error) => chinese_cause(error),
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
        Unheard::Quota(_) => "I may not write down what you say now. Please tell me in writing.",
        Unheard::Nothing => {
            "Sorry, I could not understand this voice message. Please speak again, or tell me in writing."
        }
        Unheard::Transcription(error) if is_for_administrators(error) => english_cause(error),
        Unheard::Transcription(_) | Unheard::Broken => {
            "Sorry, voice cannot be turned into text at the moment. Please send it again in a while, or tell me in \
             writing."
        }
    }
}

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
        Undrawn::Model(E::Withheld) => return Failure::Refused.chinese(turn),
        Undrawn::Model(E::TooLong) => "描述太长，模型读不下了。请写短一些再试。",
        Undrawn::Model(error) if is_for_administrators(error) => chinese_cause(error),
        Undrawn::Model(E::RateLimited { .. }) => "抱歉，现在画图的人太多，没有排上。请过一会儿再试。",
        Undrawn::Unfetched { source: FetchError::Forbidden, .. } => {
            "抱歉，图画好了，但放在不允许访问的地址，取不回来。请把下面的编号发给管理员。"
        }
        Undrawn::Unfetched { .. } => "抱歉，图画好了，但没有取回来。请过一会儿再试。",
        // Of the allowance `texts::quota` says more.
        Undrawn::Model(_) | Undrawn::Unusable(_) | Undrawn::Broken | Undrawn::Quota(_) => {
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
        Undrawn::Model(E::Withheld) => return Failure::Refused.english(turn),
        Undrawn::Model(E::TooLong) => "The description is too long for the model. Please write less.",
        Undrawn::Model(error) if is_for_administrators(error) => english_cause(error),
        Undrawn::Model(E::RateLimited { .. }) => {
            "Sorry, too many people want pictures at the moment. Please try again in a while."
        }
        Undrawn::Unfetched { source: FetchError::Forbidden, .. } => {
            "Sorry, the picture was made, but it lies at an address that may not be visited. Please give the reference \
             below to your administrator."
        }
        Undrawn::Unfetched { .. } => {
            "Sorry, the picture was made, but it could not be fetched. Please try again in a while."
        }
        Undrawn::Model(_) | Undrawn::Unusable(_) | Undrawn::Broken | Undrawn::Quota(_) => {
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
