//! What members are told about their allowance: which limit, how much of how much, when there is room again, whom to
//! ask.

use super::grouped;
use crate::{
    clock::{Timestamp, zone::Zone},
    meter::allowances::{NearlyUsed, Refusal},
    model::{
        language::Language,
        quota::{
            amounts::{Measure, show_money},
            book::{Exceeded, Standing},
            plan::{Limit, Right},
            subject::Subject,
            window::QuotaWindow,
        },
    },
};

/// What the sentences need beside the limit.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// In which language.
    pub language: Language,
    /// The calendar of the company.
    pub zone: &'a Zone,
    /// The currency, as it is shown.
    pub currency: &'a str,
    /// Whom to ask; `None`: the administrator.
    pub contact: Option<&'a str>,
    /// Whether there is somebody who decides about a request for more.
    pub asks: bool,
}

const WEEKDAYS: [[&str; 2]; 7] = [
    ["周一", "Mon"],
    ["周二", "Tue"],
    ["周三", "Wed"],
    ["周四", "Thu"],
    ["周五", "Fri"],
    ["周六", "Sat"],
    ["周日", "Sun"],
];

impl Wording<'_> {
    /// Why a question is not answered.
    pub fn refused(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Limit(exceeded) => self.exceeded(exceeded),
            Refusal::Busy { subject, concurrent } => match self.language {
                Language::Chinese => {
                    format!("{}同时最多回答 {concurrent} 个问题，请等前面的回答完再问一次。", self.whose(subject))
                }
                Language::English => format!(
                    "{} may have {concurrent} answers at once; please ask again when the others are done.",
                    self.whose(subject)
                ),
            },
            Refusal::Right { subject, right } => match self.language {
                Language::Chinese => {
                    format!("{}的方案不包括{}。需要的话请联系{}。", self.whose(subject), zh(*right), self.contact())
                }
                Language::English => format!(
                    "The plan of {} does not include {}. Ask {} if you need it.",
                    self.whose_plan(subject),
                    en(*right),
                    self.contact()
                ),
            },
            Refusal::Denied { why, alias } => self.denied(*why, alias.as_deref()),
            Refusal::Model { subject, alias } => match self.language {
                Language::Chinese => {
                    format!(
                        "{}的方案里没有模型 {alias}。发送 /model 换一个，或联系{}。",
                        self.whose(subject),
                        self.contact()
                    )
                }
                Language::English => format!(
                    "The plan of {} does not have the model {alias}. Send /model to choose another, or ask {}.",
                    self.whose_plan(subject),
                    self.contact()
                ),
            },
        }
    }

    /// That little is left.
    pub fn nearly_used(&self, nearly: &NearlyUsed) -> String {
        let NearlyUsed { limit, allowed, used } = nearly;
        let (used, allowed, window) =
            (self.number(*used, limit.measure), self.amount(*allowed, limit), self.window(limit.window));
        match self.language {
            Language::Chinese => format!("（提示：你{window}的额度已用 {used}，上限 {allowed}。）"),
            Language::English => format!("(By the way: {used} of your {allowed} {window} are used.)"),
        }
    }

    /// The limits that somebody has, a line for each; `None` where there are none.
    pub fn limits(&self, standing: &[Standing]) -> Option<String> {
        if standing.is_empty() {
            return None;
        }
        let lines = standing.iter().map(|standing| {
            let Standing { limit, allowed, used, resets_at } = standing;
            let (used, allowed, window) =
                (self.number(*used, limit.measure), self.amount(*allowed, limit), self.window(limit.window));
            match self.language {
                Language::Chinese => {
                    let until = resets_at.map(|at| format!("，{}恢复", self.moment(at))).unwrap_or_default();
                    format!("\n{window}：已用 {used} / {allowed}{until}")
                }
                Language::English => {
                    let until = resets_at.map(|at| format!("; again {}", self.moment(at))).unwrap_or_default();
                    format!("\n{used} of {allowed} {window}{until}")
                }
            }
        });
        let lines: String = lines.collect();
        Some(match self.language {
            Language::Chinese => format!("你的额度：{lines}"),
            Language::English => format!("Your allowance:{lines}"),
        })
    }

    fn exceeded(&self, exceeded: &Exceeded) -> String {
        let Exceeded { subject, limit, allowed, used, held, resets_at } = exceeded;
        let (whose, window) = (self.whose(subject), self.window(limit.window));
        let (used, allowed) = (self.number(*used, limit.measure), self.amount(*allowed, limit));
        let held = (*held > 0).then(|| self.number(*held, limit.measure));
        let more = self.how_to_get_more(exceeded);
        match self.language {
            Language::Chinese => {
                let held = held.map(|held| format!("，另有 {held} 正在使用")).unwrap_or_default();
                let until = match resets_at {
                    Some(at) => format!("{}恢复。", self.moment(*at)),
                    None if !held.is_empty() => "正在进行的回答结束后可以再试。".to_owned(),
                    None => String::new(),
                };
                format!("{whose}{window}的额度不够了：已用 {used}，上限 {allowed}{held}。{until}{more}")
            }
            Language::English => {
                let held = held.map(|held| format!(", and {held} are in use")).unwrap_or_default();
                let until = match resets_at {
                    Some(at) => format!(" There is room again {}.", self.moment(*at)),
                    None if !held.is_empty() => " Try again when the answers under way are done.".to_owned(),
                    None => String::new(),
                };
                format!("{whose} allowance {window} is not enough: {used} of {allowed} used{held}.{until} {more}")
            }
        }
    }

    fn whose(&self, subject: &Subject) -> &'static str {
        match (subject, self.language) {
            (Subject::Company(_), Language::Chinese) => "全公司",
            (Subject::Company(_), Language::English) => "The company's",
            (Subject::Department(..), Language::Chinese) => "你的部门",
            (Subject::Department(..), Language::English) => "Your department's",
            (Subject::Member(..), Language::Chinese) => "你",
            (Subject::Member(..), Language::English) => "Your",
            (Subject::Key(..), Language::Chinese) => "这个密钥",
            (Subject::Key(..), Language::English) => "This key's",
        }
    }

    /// In English: `The plan of …`.
    const fn whose_plan(&self, subject: &Subject) -> &'static str {
        match subject {
            Subject::Company(_) => "the company",
            Subject::Department(..) => "your department",
            Subject::Member(..) => "you",
            Subject::Key(..) => "this API key",
        }
    }

    pub(super) fn window(&self, window: QuotaWindow) -> String {
        let [zh, en] = match window {
            QuotaWindow::Hour => ["这一小时", "of this hour"],
            QuotaWindow::Day => ["今天", "of today"],
            QuotaWindow::Week => ["本周", "of this week"],
            QuotaWindow::Month => ["本月", "of this month"],
            QuotaWindow::Lifetime => ["总共", "in total"],
            QuotaWindow::Rolling(seconds) => return self.rolling(seconds),
        };
        match self.language {
            Language::Chinese => zh.to_owned(),
            Language::English => en.to_owned(),
        }
    }

    fn rolling(&self, seconds: u32) -> String {
        let (unit, [zh, en]) =
            [(86_400, ["天", "days"]), (3600, ["小时", "hours"]), (60, ["分钟", "minutes"]), (1, ["秒", "seconds"])]
                .into_iter()
                .find(|(unit, _)| seconds.is_multiple_of(*unit))
                .unwrap_or((1, ["秒", "seconds"]));
        match self.language {
            Language::Chinese => format!("最近 {} {zh}", seconds / unit),
            Language::English => format!("of the last {} {en}", seconds / unit),
        }
    }

    /// With its unit.
    pub(super) fn amount(&self, amount: u64, limit: &Limit) -> String {
        let number = self.number(amount, limit.measure);
        let unit = match (limit.measure, self.language) {
            (Measure::Requests, Language::Chinese) => " 个问题",
            (Measure::Requests, Language::English) => " questions",
            (Measure::Tokens, _) => " tokens",
            (Measure::Money, _) => "",
        };
        format!("{number}{unit}")
    }

    pub(super) fn number(&self, amount: u64, measure: Measure) -> String {
        match measure {
            Measure::Money => format!("{} {}", show_money(amount), self.currency),
            Measure::Requests | Measure::Tokens => grouped(amount),
        }
    }

    pub(super) fn moment(&self, at: Timestamp) -> String {
        let local = self.zone.local(at);
        let weekday = WEEKDAYS.get(local.weekday).copied().unwrap_or_default();
        let (month, day, hour, minute) = (local.month, local.day, local.hour, local.minute);
        match self.language {
            Language::Chinese => format!("{month}月{day}日（{}）{hour:02}:{minute:02} ", weekday[0]),
            Language::English => {
                format!("on {} {}-{month:02}-{day:02} at {hour:02}:{minute:02}", weekday[1], local.year)
            }
        }
    }

    pub(super) fn contact(&self) -> &str {
        self.contact.unwrap_or(match self.language {
            Language::Chinese => "管理员",
            Language::English => "your administrator",
        })
    }
}

const fn zh(right: Right) -> &'static str {
    match right {
        Right::Pictures => "看图",
        Right::Voice => "语音提问",
        Right::Drawing => "画图",
        Right::Speech => "语音回答",
        Right::Tools => "工具",
        Right::Keys => "自己生成 API 密钥",
    }
}

const fn en(right: Right) -> &'static str {
    match right {
        Right::Pictures => "looking at pictures",
        Right::Voice => "questions by voice",
        Right::Drawing => "drawing",
        Right::Speech => "answers by voice",
        Right::Tools => "tools",
        Right::Keys => "API keys of your own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(language: Language, zone: &Zone) -> Wording<'_> {
        Wording { language, zone, currency: "元", contact: Some("张三"), asks: false }
    }

    #[test]
    fn a_member_reads_which_limit_how_much_when_again_and_whom_to_ask() {
        let zone = Zone::parse("Asia/Shanghai").expect("a zone");
        let member = Subject::Member("ww1".to_owned(), "li".to_owned());
        let limit = Limit { measure: Measure::Requests, window: QuotaWindow::Week, amount: 1500 };
        let resets_at = Some(Timestamp::from_secs(1_795_363_200));
        let exceeded = Exceeded { subject: member, limit, allowed: 1500, used: 1500, held: 0, resets_at };
        let refusal = Refusal::Limit(Box::new(exceeded));
        assert_eq!(
            wording(Language::Chinese, &zone).refused(&refusal),
            "你本周的额度不够了：已用 1,500，上限 1,500 个问题。11月23日（周一）00:00 恢复。需要更多请联系张三。"
        );
        assert_eq!(
            wording(Language::English, &zone).refused(&refusal),
            "Your allowance of this week is not enough: 1,500 of 1,500 questions used. There is room again on Mon \
             2026-11-23 at 00:00. Ask 张三 for more."
        );
        let money = Limit { measure: Measure::Money, window: QuotaWindow::Rolling(18_000), amount: 2_500_000 };
        let of_all = Exceeded {
            subject: Subject::Company("ww1".to_owned()),
            limit: money,
            allowed: 2_500_000,
            used: 2_000_000,
            held: 600_000,
            resets_at: None,
        };
        assert_eq!(
            wording(Language::Chinese, &zone).refused(&Refusal::Limit(Box::new(of_all))),
            "全公司最近 5 小时的额度不够了：已用 2.00 元，上限 2.50 元，另有 0.60 元 正在使用。正在进行的回答结束后可以再试。需要更多请联系张三。"
        );
        let nearly = NearlyUsed { limit, allowed: 1500, used: 1200 };
        assert_eq!(
            wording(Language::Chinese, &zone).nearly_used(&nearly),
            "（提示：你本周的额度已用 1,200，上限 1,500 个问题。）"
        );
    }
}
