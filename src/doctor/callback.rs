//! The callback: whether it is reached from outside, and what became of the callbacks that came.

use super::{
    cause::{Cause, callback::Callback},
    finding::Outcome,
    wecom::of_end,
};
use crate::{
    clock::Timestamp,
    store::sightings::{CallbackHistory, Refusals},
    wecom::echo::NoEcho,
};

/// Domains that platforms lend: a certified enterprise's URL must be of a domain filed under its own name.
const PLATFORM_DOMAINS: [&str; 14] = [
    ".up.railway.app",
    ".onrender.com",
    ".fly.dev",
    ".ngrok.io",
    ".ngrok.app",
    ".ngrok.dev",
    ".ngrok-free.app",
    ".ngrok-free.dev",
    ".trycloudflare.com",
    ".herokuapp.com",
    ".vercel.app",
    ".zeabur.app",
    ".loca.lt",
    ".workers.dev",
];

/// What came of asking our own callback from outside. `url` is shown; `end` is its host and port.
pub(super) fn echoed(outcome: Result<(), NoEcho>, url: &str, end: &str) -> Outcome {
    let ill = |cause, about: &str| Outcome::ill(Cause::Callback(cause), about);
    match outcome {
        Ok(()) => Outcome::well(format!("{url} 应答正确"), format!("{url} answers right")),
        Err(NoEcho::Link(fault)) => Outcome::ill(Cause::Outside(fault), of_end(fault, end)),
        Err(NoEcho::Gateway(status)) => ill(Callback::Gateway, &status.to_string()),
        Err(NoEcho::PathNotFound) => ill(Callback::PathNotFound, url),
        Err(NoEcho::Redirected(to)) => ill(Callback::Redirected, &to),
        Err(NoEcho::OtherToken) => ill(Callback::OtherToken, ""),
        Err(NoEcho::OtherKey) => ill(Callback::OtherKey, ""),
        Err(NoEcho::OtherCorp) => ill(Callback::OtherCorp, ""),
        Err(NoEcho::Changed) => ill(Callback::BodyChanged, ""),
        Err(NoEcho::Page) => ill(Callback::Page, url),
        Err(NoEcho::Refused(status)) => ill(Callback::Blocked, &status.to_string()),
    }
}

/// Whether nothing of ours answered: a daemon that does not run would explain it.
pub(super) const fn may_be_stopped(fault: &NoEcho) -> bool {
    use crate::net::link::LinkFault as F;
    matches!(
        fault,
        NoEcho::Link(F::Refused | F::TimedOut | F::NoRoute | F::Broken)
            | NoEcho::Gateway(_)
            | NoEcho::PathNotFound
            | NoEcho::Page
            | NoEcho::Refused(_)
    )
}

/// Whose domain it is.
pub(super) fn domain(host: &str) -> Outcome {
    let lent = PLATFORM_DOMAINS.iter().any(|domain| host.ends_with(domain));
    if lent { Outcome::ill(Cause::Callback(Callback::PlatformDomain), host) } else { Outcome::well(host, host) }
}

/// Whether WeCom has ever called. `url` is what belongs into the console.
pub(super) fn seen(history: &CallbackHistory, url: &str, now: Timestamp) -> Outcome {
    let ago = |at| Ago::new(now, at);
    match (history.verified_at, history.accepted_at) {
        (None, None) if history.refusals.iter().any(|refusals| meaning(&refusals.reason).is_wecoms()) => {
            Outcome::After(super::finding::Check::Refusals)
        }
        (None, None) => Outcome::ill(Cause::Callback(Callback::NeverCame), url),
        (verified, Some(accepted)) if verified.is_none_or(|verified| verified <= accepted) => Outcome::well(
            format!("最近一条消息在{}", ago(accepted).zh()),
            format!("the last message came {}", ago(accepted).en()),
        ),
        (Some(verified), _) => Outcome::well(
            format!("URL 在{}通过验证", ago(verified).zh()),
            format!("the URL was verified {}", ago(verified).en()),
        ),
        (None, Some(_)) => Outcome::nothing("", ""),
    }
}

/// What the refused callbacks mean. What came before the last good one is over.
pub(super) fn refused(history: &CallbackHistory, now: Timestamp) -> Outcome {
    let last_good = history.verified_at.max(history.accepted_at);
    let open = |refusals: &&Refusals| last_good.is_none_or(|good| refusals.last_at > good);
    let mut of_now: Vec<_> = history.refusals.iter().filter(open).collect();
    // Stable: of equal weight, the latest stays first.
    of_now.sort_by_key(|refusals| !meaning(&refusals.reason).is_wecoms());
    match of_now.first() {
        Some(refusals) => {
            let Refusals { count, last_at, .. } = refusals;
            let ago = Ago::new(now, *last_at);
            let mut about = (format!("{count} 次，最近{}", ago.zh()), format!("{count} times, last {}", ago.en()));
            for Refusals { reason, count, .. } in &of_now[1..] {
                let (zh, en) = short(meaning(reason));
                about.0 += &format!("；另有{zh} {count} 次");
                about.1 += &format!("; {en}: {count}");
            }
            Outcome::IllIn(Cause::Callback(meaning(&refusals.reason)), about.0, about.1)
        }
        None if history.refusals.is_empty() => Outcome::well("没有", "none"),
        None => {
            let count: u64 = history.refusals.iter().map(|refusals| refusals.count).sum();
            Outcome::well(format!("此前 {count} 次，之后恢复正常"), format!("{count} before, well since"))
        }
    }
}

/// What a reason's word says of the set-up.
fn meaning(reason: &str) -> Callback {
    match reason {
        "wrong_signature" => Callback::TokenDiffers,
        "undecryptable" => Callback::KeyDiffers,
        "other_receiver" => Callback::CorpDiffers,
        "missing_parameter" => Callback::Strangers,
        "too_large" | "incomplete" | "busy" | "not_saved" => Callback::Unlucky,
        _ => Callback::FormDiffers,
    }
}

/// What a refusal is called beside another.
const fn short(meaning: Callback) -> (&'static str, &'static str) {
    match meaning {
        Callback::TokenDiffers => ("签名不符", "wrong signature"),
        Callback::KeyDiffers => ("无法解密", "not decrypted"),
        Callback::CorpDiffers => ("别家企业的", "of another enterprise"),
        Callback::Strangers => ("缺少参数", "without parameters"),
        Callback::Unlucky => ("没有读完", "not read to the end"),
        _ => ("格式不对", "of another form"),
    }
}

impl Callback {
    /// Whether WeCom itself is behind it, most likely.
    const fn is_wecoms(self) -> bool {
        matches!(self, Self::TokenDiffers | Self::KeyDiffers | Self::CorpDiffers)
    }
}

/// How long something is past.
pub(super) struct Ago(u64);

impl Ago {
    pub(super) fn new(now: Timestamp, at: Timestamp) -> Self {
        Self(now.since(at).as_secs())
    }

    pub(super) fn zh(&self) -> String {
        match self.0 {
            0..=59 => format!(" {} 秒前", self.0),
            60..=7199 => format!(" {} 分钟前", self.0 / 60),
            7200..=172_799 => format!(" {} 小时前", self.0 / 3600),
            _ => format!(" {} 天前", self.0 / 86_400),
        }
    }

    pub(super) fn en(&self) -> String {
        match self.0 {
            0..=59 => format!("{} s ago", self.0),
            60..=7199 => format!("{} min ago", self.0 / 60),
            7200..=172_799 => format!("{} h ago", self.0 / 3600),
            _ => format!("{} days ago", self.0 / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::chat::Language;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn refusals(reason: &str, last_at: Timestamp) -> Refusals {
        Refusals { reason: reason.to_owned(), count: 3, last_at }
    }

    fn cause(history: &CallbackHistory) -> Option<Cause> {
        match refused(history, at(1000)) {
            Outcome::IllIn(cause, ..) => Some(cause),
            _ => None,
        }
    }

    #[test]
    fn each_refusal_means_something_until_a_good_callback_comes() {
        for (reason, expected) in [
            ("wrong_signature", Callback::TokenDiffers),
            ("undecryptable", Callback::KeyDiffers),
            ("other_receiver", Callback::CorpDiffers),
            ("missing_parameter", Callback::Strangers),
            ("malformed_xml", Callback::FormDiffers),
            ("busy", Callback::Unlucky),
        ] {
            let mut history = CallbackHistory { refusals: vec![refusals(reason, at(10))], ..Default::default() };
            assert_eq!(cause(&history), Some(Cause::Callback(expected)), "{reason}");
            history.accepted_at = Some(at(9));
            assert_eq!(cause(&history), Some(Cause::Callback(expected)), "{reason}");
            history.verified_at = Some(at(10));
            assert_eq!(cause(&history), None, "{reason}");
        }
    }

    #[test]
    fn a_scanner_does_not_hide_a_wrong_token() {
        let all = vec![refusals("missing_parameter", at(50)), refusals("wrong_signature", at(10))];
        let history = CallbackHistory { refusals: all, ..Default::default() };
        assert_eq!(cause(&history), Some(Cause::Callback(Callback::TokenDiffers)));
        let told = refused(&history, at(1000)).told(super::super::finding::Check::Refusals, Language::Chinese);
        assert_eq!(told.found, "签名不符，3 次，最近 16 分钟前；另有缺少参数 3 次");
    }

    #[test]
    fn only_domains_that_platforms_lend_are_advised_against() {
        assert!(matches!(domain("bot.up.railway.app"), Outcome::Ill(..)));
        assert!(matches!(domain("bot.example.com"), Outcome::Well(..)));
    }
}
