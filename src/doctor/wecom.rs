//! WeCom's API: who answers, our clock, the Secret, our address, the application, and a message end to end.

use std::time::Duration;

use super::{
    cause::{Cause, setup::Setup, wecom::Wecom},
    finding::Outcome,
};
use crate::{
    clock::Timestamp,
    config,
    model::{id::MemberId, reply::Format},
    net::link::{LinkFault, Way},
    wecom::{
        agent::{Agent, AgentError},
        answer::{Refusal, Trouble},
        client::{Client, Delivered, SendError},
        meaning::Meaning,
        message::Content,
        reach::{NotReached, Reached},
        token::TokenError,
    },
};

/// From here on our clock is not WeCom's. An answer's `Date` has whole seconds and takes some on its way; nothing of
/// ours needs a minute (an access token is renewed five before its end), so less is no news, and more is no accident.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Whether WeCom's API is there.
pub(super) fn reach(reached: &Result<Reached, NotReached>, way: &Way) -> Outcome {
    let ill = |cause, about: &str| Outcome::ill(Cause::Wecom(cause), about);
    match reached {
        Ok(_) => match &way.proxy {
            None => Outcome::well(way.server.clone(), way.server.clone()),
            Some(proxy) => Outcome::well(
                format!("{}，经代理 {proxy}", way.server),
                format!("{} through the proxy {proxy}", way.server),
            ),
        },
        Err(NotReached::Link(fault)) => link(*fault, way),
        Err(NotReached::Page) => ill(Wecom::Page, &way.server),
        Err(NotReached::PathNotFound) => ill(Wecom::PathNotFound, &way.server),
        Err(NotReached::Gateway(status)) => ill(Wecom::Gateway, &status.to_string()),
        Err(NotReached::Redirected(to)) => ill(Wecom::Redirected, to),
        Err(NotReached::Stranger(status)) => ill(Wecom::Stranger, &status.to_string()),
    }
}

/// What is in the way, and who is to be looked at.
pub(super) fn link(fault: LinkFault, way: &Way) -> Outcome {
    use LinkFault as F;
    let about = match fault {
        F::ProxyNameNotFound | F::ProxyUnreachable | F::ProxyAuthentication | F::ProxyForbids => way.proxy.clone(),
        _ => None,
    };
    let end = about.unwrap_or_else(|| way.server.clone());
    Outcome::ill(Cause::Link(fault), of_end(fault, &end))
}

/// As much of host and port as a fault is about: a name has no port.
pub(super) fn of_end(fault: LinkFault, end: &str) -> &str {
    match fault {
        LinkFault::NameNotFound | LinkFault::ProxyNameNotFound => end.rsplit_once(':').map_or(end, |(host, _)| host),
        _ => end,
    }
}

/// Our clock against the one in WeCom's answer.
pub(super) fn clock(server_time: Option<Timestamp>, now: Timestamp) -> Outcome {
    let Some(theirs) = server_time else {
        return Outcome::nothing("应答里没有时间", "the answer has no time");
    };
    let off = now.since(theirs).max(theirs.since(now));
    if off > CLOCK_TOLERANCE {
        let seconds = off.as_secs();
        let about = if seconds < 600 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
        Outcome::ill(Cause::Setup(Setup::ClockOff), about)
    } else {
        Outcome::well("与企业微信一致", "as WeCom's")
    }
}

/// The corp id and the Secret.
pub(super) fn secret(checked: Result<(), TokenError>, corp: &str, way: &Way) -> Outcome {
    match checked {
        Ok(()) => Outcome::well(format!("{corp}，Secret 有效"), format!("{corp}, the Secret is valid")),
        Err(TokenError::Unreachable(trouble)) => self::trouble(&trouble, way),
        Err(TokenError::Refused(refusal)) => refused(&refusal),
    }
}

/// What the call for the application says about our address, and about the application.
pub(super) struct Called {
    pub(super) address: Outcome,
    pub(super) agent: Outcome,
}

/// Whether our address is trusted, and the application is well. `sent_before`: whether a message ever got through.
pub(super) fn agent(asked: Result<Agent, AgentError>, sent_before: bool, way: &Way) -> Called {
    let trusted = || Outcome::well("企业微信接受这台机器的调用", "WeCom takes calls from this machine");
    let unknown = || Outcome::After(super::finding::Check::Address);
    match asked {
        Ok(agent) => Called { address: trusted(), agent: application(&agent) },
        Err(AgentError::Refused(refusal)) if refusal.errcode.meaning() == Meaning::AddressNotTrusted => {
            Called { address: not_trusted(refusal.address, sent_before), agent: unknown() }
        }
        Err(AgentError::Refused(refusal)) => Called { address: trusted(), agent: refused(&refusal) },
        Err(AgentError::AccessToken(TokenError::Refused(refusal))) => {
            Called { address: refused(&refusal), agent: unknown() }
        }
        Err(AgentError::AccessToken(TokenError::Unreachable(cause))) => {
            Called { address: trouble(&cause, way), agent: unknown() }
        }
        Err(AgentError::Trouble(cause)) => Called { address: trouble(&cause, way), agent: unknown() },
    }
}

fn not_trusted(address: Option<String>, sent_before: bool) -> Outcome {
    let cause = if sent_before { Wecom::AddressChanged } else { Wecom::AddressNotTrusted };
    Outcome::ill(Cause::Wecom(cause), address.unwrap_or_else(|| "?".to_owned()))
}

fn application(agent: &Agent) -> Outcome {
    let Agent { name, disabled, visible, .. } = agent;
    let named = format!("「{name}」");
    if *disabled {
        return Outcome::ill(Cause::Wecom(Wecom::AgentDisabled), named);
    }
    if visible.is_nobody() {
        return Outcome::ill(Cause::Wecom(Wecom::NobodySees), named);
    }
    let mut zh = Vec::new();
    let mut en = Vec::new();
    for (count, zh_noun, en_noun) in [
        (visible.departments, "个部门", "departments"),
        (visible.members, "名成员", "members"),
        (visible.tags, "个标签", "tags"),
    ] {
        if count > 0 {
            zh.push(format!("{count} {zh_noun}"));
            en.push(format!("{en_noun}: {count}"));
        }
    }
    Outcome::well(format!("{named}，可见范围：{}", zh.join("、")), format!("{named}, visible to {}", en.join(", ")))
}

/// Whether alerts can reach `operators`.
pub(super) async fn operators(client: &Client, agent: &Agent, operators: &[MemberId]) -> Outcome {
    let only_named = agent.visible.departments + agent.visible.tags == 0;
    let (mut unseen, mut unknown) = (Vec::new(), Vec::new());
    for operator in operators {
        if agent.members.iter().any(|member| *member == operator.as_str().to_lowercase()) {
            continue;
        }
        if only_named {
            unseen.push(operator.as_str());
            continue;
        }
        // The lists of departments and tags do not say who is in them.
        match client.sees(operator).await {
            Ok(true) => {}
            Ok(false) => unseen.push(operator.as_str()),
            Err(_) => unknown.push(operator.as_str()),
        }
    }
    if !unseen.is_empty() {
        return Outcome::ill(Cause::Wecom(Wecom::NoRecipient), unseen.join("、"));
    }
    if !unknown.is_empty() {
        let who = unknown.join("、");
        return Outcome::nothing(
            format!("看不出 {who} 能否收到：企业微信没有说"),
            format!("cannot tell whether {who} can be written to: WeCom does not say"),
        );
    }
    let names: Vec<_> = operators.iter().map(MemberId::as_str).collect();
    Outcome::well(names.join("、"), names.join(", "))
}

/// A refusal by its errcode.
fn refused(refusal: &Refusal) -> Outcome {
    let cause = match refusal.errcode.meaning() {
        Meaning::CorpIdWrong => Wecom::CorpIdWrong,
        Meaning::SecretWrong => Wecom::SecretWrong,
        Meaning::SecretOfAnotherCorp => Wecom::SecretOfAnotherCorp,
        Meaning::SecretExpired => Wecom::SecretExpired,
        Meaning::AgentOfAnotherSecret => Wecom::AgentOfAnotherSecret,
        Meaning::NotSelfBuilt => Wecom::NotSelfBuilt,
        Meaning::CorpBlocked => Wecom::CorpBlocked,
        Meaning::TooManyCalls => Wecom::TooManyCalls,
        Meaning::Busy => Wecom::Busy,
        Meaning::AgentDisabled => return Outcome::ill(Cause::Wecom(Wecom::AgentDisabled), ""),
        Meaning::AddressNotTrusted => return not_trusted(refusal.address.clone(), false),
        Meaning::NoRecipient | Meaning::Other => {
            let words = refusal.errmsg.as_deref().unwrap_or_default().split(", hint:").next().unwrap_or_default();
            return Outcome::ill(Cause::Wecom(Wecom::Refuses), format!("{} {words}", refusal.errcode));
        }
    };
    Outcome::ill(Cause::Wecom(cause), refusal.errcode.to_string())
}

/// A call that broke although the API was there a moment ago.
fn trouble(trouble: &Trouble, way: &Way) -> Outcome {
    let stranger = |cause, about: String| Outcome::ill(Cause::Wecom(cause), about);
    match trouble {
        Trouble::Connect(error) | Trouble::Broken(error) => link(way.fault_of(error), way),
        Trouble::TimedOut(_) => link(LinkFault::TimedOut, way),
        Trouble::Status(status @ 502..=504) => stranger(Wecom::Gateway, status.to_string()),
        Trouble::Status(status) => stranger(Wecom::Stranger, status.to_string()),
        Trouble::TooLong | Trouble::NotJson(_) | Trouble::Incomplete(_) => stranger(Wecom::Stranger, "200".to_owned()),
    }
}

/// Sends `to` a message, once. The time in it makes each different: WeCom does not show equal ones twice.
pub(super) async fn send(client: &Client, settings: &config::Wecom, to: &MemberId, now: Timestamp) -> Outcome {
    let time = std::time::UNIX_EPOCH + Duration::from_millis(now.as_millis().unsigned_abs());
    let text = format!("企伴测试消息 / Qimate test message\n{}", httpdate::fmt_http_date(time));
    sent(client.send(settings.agent_id, to, &Content::words(Format::Text, text)).await, to, client.way())
}

fn sent(outcome: Result<Delivered, SendError>, to: &MemberId, way: &Way) -> Outcome {
    let no_recipient = || Outcome::ill(Cause::Wecom(Wecom::NoRecipient), to.as_str());
    match outcome {
        Ok(delivered) if delivered.invalid_users.contains(&to.as_str().to_lowercase()) => no_recipient(),
        Ok(_) => Outcome::well(format!("已发给 {to}"), format!("sent to {to}")),
        Err(SendError::BadRecipient { .. }) => no_recipient(),
        Err(SendError::IpRefused { address }) => not_trusted(address, false),
        Err(SendError::Misconfigured { refusal } | SendError::Refused { refusal } | SendError::Unknown { refusal }) => {
            refused(&refusal)
        }
        Err(SendError::SlowDown { errcode, .. }) => {
            Outcome::ill(Cause::Wecom(Wecom::TooManyCalls), errcode.to_string())
        }
        Err(SendError::Busy { errcode }) => Outcome::ill(Cause::Wecom(Wecom::Busy), errcode.to_string()),
        Err(SendError::Unreachable { cause }) => trouble(&cause, way),
        Err(SendError::Unsure { cause }) => Outcome::ill(Cause::Wecom(Wecom::Unsure), cause.to_string()),
    }
}
