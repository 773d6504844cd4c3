//! What is said about asking for more than a limit allows: to whoever asks, to the operators, and of what they decide.

use super::quota::Wording;
use crate::{
    model::{
        language::Language,
        quota::{
            amounts::{Measure, show_money},
            book::{Exceeded, Standing, is_nearly_used},
            plan::Limit,
            subject::Subject,
            window::QuotaWindow,
        },
    },
    store::quota_requests::{Asked, Decided, Granted, QuotaRequest, Wanted},
};

/// Whether more of a limit can be asked for: the same amount again must be something.
pub fn can_be_asked_for(limit: &Limit, used: u64, allowed: u64) -> bool {
    limit.amount > 0 && is_nearly_used(used, allowed)
}

impl Wording<'_> {
    /// How somebody gets more than a limit allows that has no room.
    pub(super) fn how_to_get_more(&self, exceeded: &Exceeded) -> String {
        let Exceeded { subject, limit, allowed, used, .. } = exceeded;
        let asks = self.asks && matches!(subject, Subject::Member(..)) && can_be_asked_for(limit, *used, *allowed);
        match (self.language, asks, self.contact) {
            (Language::Chinese, false, _) => format!("需要更多请联系{}。", self.contact()),
            (Language::Chinese, true, None) => "发送 /申请 可以申请更多。".to_owned(),
            (Language::Chinese, true, Some(contact)) => format!("发送 /申请 可以申请更多，也可以联系{contact}。"),
            (Language::English, false, _) => format!("Ask {} for more.", self.contact()),
            (Language::English, true, None) => "Send /more to ask for more.".to_owned(),
            (Language::English, true, Some(contact)) => format!("Send /more to ask for more, or ask {contact}."),
        }
    }

    /// That there is enough left of what somebody may use, to ask for more.
    pub fn enough_left(&self, standing: &[Standing]) -> String {
        match (self.limits(standing), self.language) {
            (None, Language::Chinese) => "你没有额度限制，不用申请。".to_owned(),
            (None, Language::English) => "Nothing limits you; there is no need to ask.".to_owned(),
            (Some(limits), Language::Chinese) => format!("额度还够用，用到 80% 以上才可以申请。\n\n{limits}"),
            (Some(limits), Language::English) => {
                format!("There is enough left; you can ask for more from 80 % on.\n\n{limits}")
            }
        }
    }

    /// What became of asking.
    pub fn asked(&self, asked: Asked, wanted: &Wanted) -> String {
        let contact = self.contact();
        match (asked, self.language) {
            (Asked::PassedOn(_), Language::Chinese) => {
                format!("好的，已转给管理员：{}。有结果我会告诉你。", self.stands(wanted))
            }
            (Asked::PassedOn(_), Language::English) => {
                format!("All right, I passed it on: {}. I will tell you what is decided.", self.stands(wanted))
            }
            (Asked::Waits { since }, Language::Chinese) => {
                format!("{}已经把你的申请转给管理员，请等他们决定。", self.moment(since))
            }
            (Asked::Waits { since }, Language::English) => {
                format!("I passed it on {} already; please wait for what is decided.", self.moment(since))
            }
            (Asked::Denied, Language::Chinese) => format!("管理员没有同意你的申请。有需要请联系{contact}。"),
            (Asked::Denied, Language::English) => {
                format!("Your request was not granted. Ask {contact} if you need it.")
            }
            (Asked::Nobody, Language::Chinese) => format!("没有可以处理申请的管理员，请联系{contact}。"),
            (Asked::Nobody, Language::English) => format!("There is no operator who could decide; ask {contact}."),
        }
    }

    /// A request, for an operator who decides in writing.
    pub fn request(&self, request: &QuotaRequest) -> String {
        let QuotaRequest { id, wanted, member, .. } = request;
        let (who, stands) = (self.who(request), self.stands(wanted));
        let Limit { measure, amount, .. } = wanted.limit;
        let flag = match measure {
            Measure::Money => show_money(amount),
            Measure::Requests | Measure::Tokens => amount.to_string(),
        };
        let command = format!("qimate grant add --member {member} --{measure} {flag} --days 7");
        let rest = self.rest(wanted.limit.window);
        match self.language {
            Language::Chinese => {
                let reason = if wanted.reason.is_empty() { "没有写" } else { &wanted.reason };
                format!(
                    "{who} 申请更多额度：{stands}。\n原因：{reason}\n\n发“/grant {id}”{rest}再给一份，发“/grant {id} 7”7 \
                     天内再给一份，发“/deny {id}”不同意。也可以在服务器上运行：\n{command}"
                )
            }
            Language::English => {
                let reason = if wanted.reason.is_empty() { "none given" } else { &wanted.reason };
                format!(
                    "{who} asks for more: {stands}.\nReason: {reason}\n\nThe same amount again: send “/grant {id}” ({rest}) \
                     or “/grant {id} 7” (7 days); “/deny {id}” for no. Or run on the server:\n{command}"
                )
            }
        }
    }

    /// What a decision came to, for the operator.
    pub fn decided(&self, decided: &Decided) -> String {
        match (decided, self.language) {
            (Decided::Now(request, Some(granted)), Language::Chinese) => {
                format!("好的，{} {}。已告诉对方。", self.who(request), self.grants(&request.wanted.limit, granted))
            }
            (Decided::Now(request, Some(granted)), Language::English) => {
                format!("Done, and {} is told: {}.", self.who(request), self.grants(&request.wanted.limit, granted))
            }
            (Decided::Now(request, None), Language::Chinese) => {
                format!("好的，没有同意 {} 的申请。已告诉对方。", self.who(request))
            }
            (Decided::Now(request, None), Language::English) => {
                format!("Done, and {} is told: not granted.", self.who(request))
            }
            (Decided::Before { by: None, .. }, Language::Chinese) => "这份申请已经过期，对方重新申请过。".to_owned(),
            (Decided::Before { by: None, .. }, Language::English) => {
                "This request is out of date: the member asked again since.".to_owned()
            }
            (Decided::Before { by: Some(by), granted }, Language::Chinese) => {
                let by = if by.is_empty() { "另一位管理员" } else { by };
                format!("{by} 已经决定：{}。", if *granted { "同意" } else { "不同意" })
            }
            (Decided::Before { by: Some(by), granted }, Language::English) => {
                let by = if by.is_empty() { "Another operator" } else { by };
                format!("{by} decided already: {}.", if *granted { "granted" } else { "not granted" })
            }
            (Decided::Nothing, Language::Chinese) => "没有这份申请。".to_owned(),
            (Decided::Nothing, Language::English) => "There is no such request.".to_owned(),
        }
    }

    /// What was decided, for the member.
    pub fn decision(&self, limit: &Limit, granted: Option<&Granted>) -> String {
        match (granted, self.language) {
            (Some(granted), Language::Chinese) => format!("管理员同意了你的申请：{}。", self.grants(limit, granted)),
            (Some(granted), Language::English) => format!("Your request was granted: {}.", self.grants(limit, granted)),
            (None, _) => {
                self.asked(Asked::Denied, &Wanted { limit: *limit, allowed: 0, used: 0, reason: String::new() })
            }
        }
    }

    /// The member by name, where it is known, and userid.
    pub fn who(&self, request: &QuotaRequest) -> String {
        match (&request.name, self.language) {
            (Some(name), Language::Chinese) => format!("{name}（{}）", request.member),
            (Some(name), Language::English) => format!("{name} ({})", request.member),
            (None, _) => request.member.to_string(),
        }
    }

    /// How much of what was used, over which time.
    pub fn stands(&self, wanted: &Wanted) -> String {
        let Wanted { limit, allowed, used, .. } = wanted;
        let (used, allowed, window) =
            (self.number(*used, limit.measure), self.amount(*allowed, limit), self.window(limit.window));
        match self.language {
            Language::Chinese => format!("{window}已用 {used}，上限 {allowed}"),
            Language::English => format!("{used} of {allowed} {window} used"),
        }
    }

    /// For how long a grant is that ends with its window; it fits on a button.
    pub fn rest(&self, window: QuotaWindow) -> &'static str {
        let [zh, en] = match window {
            QuotaWindow::Hour => ["这一小时", "this hour"],
            QuotaWindow::Day => ["今天", "today"],
            QuotaWindow::Week => ["本周", "this week"],
            QuotaWindow::Month => ["本月", "this month"],
            QuotaWindow::Lifetime | QuotaWindow::Rolling(_) => ["24 小时内", "24 hours"],
        };
        match self.language {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    fn grants(&self, limit: &Limit, granted: &Granted) -> String {
        let Granted { more, allowed, until } = granted;
        let (more, allowed, until) = (self.amount(*more, limit), self.amount(*allowed, limit), self.moment(*until));
        let each = match (limit.window, self.language) {
            (QuotaWindow::Hour, Language::Chinese) => "每小时".to_owned(),
            (QuotaWindow::Hour, Language::English) => "of each hour".to_owned(),
            (QuotaWindow::Day, Language::Chinese) => "每天".to_owned(),
            (QuotaWindow::Day, Language::English) => "of each day".to_owned(),
            (QuotaWindow::Week, Language::Chinese) => "每周".to_owned(),
            (QuotaWindow::Week, Language::English) => "of each week".to_owned(),
            (QuotaWindow::Month, Language::Chinese) => "每月".to_owned(),
            (QuotaWindow::Month, Language::English) => "of each month".to_owned(),
            (window, _) => self.window(window),
        };
        match self.language {
            Language::Chinese => format!("{each}的额度增加 {more}，现在的上限是 {allowed}，{until}前有效"),
            Language::English => format!("{more} {each} more, which makes {allowed}; it ends {until}"),
        }
    }
}
