//! What somebody reads whose question is not answered: why, when again, whom to ask.

use super::quota::Wording;
use crate::model::{language::Language, person::Denied};

impl Wording<'_> {
    /// Why a question is not answered; `model` is the one that was to answer.
    pub fn denied(&self, denied: Denied, model: Option<&str>) -> String {
        match self.language {
            Language::Chinese => self.denied_in_chinese(denied, model),
            Language::English => self.denied_in_english(denied, model),
        }
    }

    fn denied_in_chinese(&self, denied: Denied, model: Option<&str>) -> String {
        let contact = self.contact();
        match denied {
            Denied::Outside => format!("抱歉，你现在不在这个应用的可见范围内，我不能回答。如有疑问，请联系{contact}。"),
            Denied::Blocked => format!("抱歉，管理员暂停了你对我的使用。如有疑问，请联系{contact}。"),
            Denied::Expired { at } => {
                format!("抱歉，你的使用期限已到（{} 为最后一天）。需要延期请联系{contact}。", self.zone.last_date(at))
            }
            Denied::Closed { until: Some(at) } => {
                format!("现在不在服务时间内，{}开始可以提问。如有疑问，请联系{contact}。", self.moment(at))
            }
            Denied::Closed { until: None } => format!("现在不在服务时间内。如有疑问，请联系{contact}。"),
            Denied::Premium { since } => {
                let model = model.unwrap_or_default();
                let why = match since {
                    Some(at) => format!("你使用高级模型的期限已到（{} 为最后一天）", self.zone.last_date(at)),
                    None => "你还不能使用高级模型".to_owned(),
                };
                format!("{why}，{model} 是其中之一。发送 /model 换一个，或联系{contact}。")
            }
        }
    }

    fn denied_in_english(&self, denied: Denied, model: Option<&str>) -> String {
        let contact = self.contact();
        match denied {
            Denied::Outside => format!(
                "Sorry, you are not in the visible range of this application, so I cannot answer. Please ask {contact}."
            ),
            Denied::Blocked => {
                format!("Sorry, your administrator does not want me to answer you at the moment. Please ask {contact}.")
            }
            Denied::Expired { at } => {
                format!(
                    "Sorry, your access ended; {} was its last day. Ask {contact} for more.",
                    self.zone.last_date(at)
                )
            }
            Denied::Closed { until: Some(at) } => {
                format!(
                    "I answer during service hours; they begin again {}. Ask {contact} if in doubt.",
                    self.moment(at)
                )
            }
            Denied::Closed { until: None } => {
                format!("I answer during service hours, and these are not. Ask {contact} if in doubt.")
            }
            Denied::Premium { since } => {
                let model = model.unwrap_or_default();
                let why = match since {
                    Some(at) => format!(
                        "Your time with the premium models is over ({} was its last day)",
                        self.zone.last_date(at)
                    ),
                    None => "You may not use the premium models".to_owned(),
                };
                format!("{why}, and {model} is one of them. Send /model to choose another, or ask {contact}.")
            }
        }
    }
}
