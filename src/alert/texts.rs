//! What is said of each condition: what is wrong, what to do, and what is well again. Chinese and English side by side,
//! so that neither is forgotten.
//!
//! Says since when by how long ago: the phone shows the time of a message itself, and whose time zone ours would be is
//! not known here.

use std::time::Duration;

use super::{condition::Condition, judge::Finding, observation::SetAside};
use crate::config::chat::Language;

/// Bytes of somebody else's words that are repeated.
const QUOTE: usize = 300;

/// What is wrong, in a sentence.
pub(super) fn detail(finding: &Finding, language: Language) -> String {
    match language {
        Language::Chinese => chinese_detail(finding),
        Language::English => english_detail(finding),
    }
}

/// What to do about it, in a sentence or two.
pub(super) fn remedy(finding: &Finding, language: Language) -> String {
    match language {
        Language::Chinese => chinese_remedy(finding),
        Language::English => english_remedy(finding),
    }
}

fn chinese_detail(finding: &Finding) -> String {
    match finding {
        Finding::WecomRefused { errcode, .. } => format!("企业微信拒绝了本应用（错误码 {errcode}），消息发不出去。"),
        Finding::WecomAddress { address } => {
            let address = address.as_deref().unwrap_or("（企业微信未说明）");
            format!("企业微信不信任本服务器的 IP 地址 {address}（错误码 60020），消息发不出去。")
        }
        Finding::WecomUnreachable => "连不上企业微信，消息发不出去。".to_owned(),
        Finding::WecomSlowDown => "企业微信限制了本应用的调用频率，消息暂时发不出去。".to_owned(),
        Finding::ModelKey { aside } if !aside.is_empty() => {
            format!("模型服务商拒绝了{}，已停用；其余 key 能回答的仍会回答。", chinese_keys(aside))
        }
        Finding::ModelCredit { aside } if !aside.is_empty() => {
            format!("{}的账户余额不足，已停用；其余 key 能回答的仍会回答。", chinese_keys(aside))
        }
        Finding::ModelSettings { aside } if !aside.is_empty() => {
            format!("{}设置有误（模型名或接口地址），已停用；其余 key 能回答的仍会回答。", chinese_keys(aside))
        }
        Finding::ModelKey { .. } => "模型服务商拒绝了 API Key，无法回答。".to_owned(),
        Finding::ModelCredit { .. } => "模型服务商的账户余额不足，无法回答。".to_owned(),
        Finding::ModelSettings { .. } => "模型设置有误（模型名或接口地址），无法回答。".to_owned(),
        Finding::ModelFailing { in_a_row } => format!("模型没有回应或出错，最近连续 {in_a_row} 个问题没有答成。"),
        Finding::AnswersFailing { failed, of } => format!("最近 {of} 个问题中有 {failed} 个没有答成。"),
        Finding::InboxWaiting => "有员工的问题在排队，等不到处理。".to_owned(),
        Finding::OutboxWaiting => "有回答积压，没有发送出去。".to_owned(),
        Finding::DiskSpace { free_mib } => format!("数据目录所在磁盘只剩 {free_mib} MiB。"),
        Finding::DatabaseSize { used_mib, limit_mib } => {
            format!("数据库已用 {used_mib} MiB，快到上限 {limit_mib} MiB（storage.max_size_mib）。")
        }
        Finding::DatabaseUnwritable { error } => format!("数据库无法写入，新消息收不下来：{}", quote(error)),
        Finding::DeadLetters { count } => format!("最近一小时有 {count} 条消息无法送达。"),
        Finding::CertificateEnding { days: Some(days), .. } => format!("HTTPS 证书还有 {days} 天到期，仍未续期。"),
        Finding::CertificateEnding { days: None, .. } => {
            "HTTPS 证书已过期，企业微信的回调可能已经无法送达。".to_owned()
        }
        Finding::SafetyRules { count } => {
            format!("最近一小时有 {count} 处内容命中了 [safety] 中设为告警的规则，已放行。")
        }
        Finding::Crashed => "企伴上次没有正常停止（崩溃、被强制结束或断电），现已重新启动。".to_owned(),
    }
}

fn chinese_remedy(finding: &Finding) -> String {
    match finding {
        Finding::WecomRefused { .. } => {
            "请在 应用管理 → 本应用 核对 Secret、企业ID、AgentId 及应用是否启用；改过设置后请重启企伴。".to_owned()
        }
        Finding::WecomAddress { address } => {
            let address = address.as_deref().unwrap_or("本服务器的出口 IP");
            format!("请在 应用管理 → 本应用 → 企业可信IP 填入 {address}，约一分钟后生效；积压的消息会自动补发。")
        }
        Finding::WecomUnreachable => {
            "请检查服务器的网络、DNS，以及 wecom.proxy、wecom.api_base；恢复后积压的消息会自动补发。".to_owned()
        }
        Finding::WecomSlowDown => "一般会自行恢复；若同一应用还有别的程序在调用接口，请减少其调用。".to_owned(),
        Finding::ModelKey { aside } if !aside.is_empty() => {
            "请检查 [[llm.upstreams]] 里的这个 key 是否正确、是否有权使用该模型，改好后重启企伴。".to_owned()
        }
        Finding::ModelSettings { aside } if !aside.is_empty() => {
            "请核对 [[llm.upstreams]] 里的 models 和 base_url，改好后重启企伴。".to_owned()
        }
        Finding::ModelKey { .. } => "请检查 llm.api_key 是否正确、是否有权使用该模型，改好后重启企伴。".to_owned(),
        Finding::ModelCredit { .. } => "请到模型服务商处充值或提高限额；到账后会自动恢复。".to_owned(),
        Finding::ModelSettings { .. } => "请核对 llm.model 和 llm.base_url，改好后重启企伴。".to_owned(),
        Finding::ModelFailing { .. } => {
            "请查看模型服务商的状态，以及 llm.base_url、llm.proxy 和服务器网络；原因见日志。".to_owned()
        }
        Finding::AnswersFailing { .. } => "请在日志中搜索 “could not answer”，那里有每次失败的原因。".to_owned(),
        Finding::InboxWaiting => {
            "可能是提问的人多或模型太慢：可调高 chat.max_concurrent_turns，或检查模型的速度。".to_owned()
        }
        Finding::OutboxWaiting => "请在日志中搜索 “sent again” 看原因；可调高 wecom.max_concurrent_sends。".to_owned(),
        Finding::DiskSpace { .. } => "请清理磁盘或扩容；磁盘写满后将无法接收消息。".to_owned(),
        Finding::DatabaseSize { .. } => {
            "请调高 storage.max_size_mib，或调低 storage.keep_days，然后重启企伴。".to_owned()
        }
        Finding::DatabaseUnwritable { .. } => "请检查磁盘空间、storage.data_dir 的权限和挂载。".to_owned(),
        Finding::DeadLetters { .. } => {
            "用 qimate dead-letters list 查看原因；处理后可用 qimate dead-letters retry 重新发送。".to_owned()
        }
        Finding::CertificateEnding { renews_itself: true, .. } => {
            "自动续期（ACME）一直没有成功：日志中搜索 certificate 可看到原因，多为 443 端口从外网不可达或域名解析有误。"
                .to_owned()
        }
        Finding::CertificateEnding { .. } => {
            "请更新 tls.certificate 和 tls.private_key 指向的文件，无需重启。".to_owned()
        }
        Finding::SafetyRules { .. } => {
            "命中的内容不记录；/metrics 的 qimate_safety_hits_total 有分类计数，规则在 [safety]。".to_owned()
        }
        Finding::Crashed => "已收到的消息不会丢失。请查看重启前的日志，以及系统是否因内存不足结束了进程。".to_owned(),
    }
}

/// As many keys are named, so that an alert stays one message.
const NAMED_KEYS: usize = 5;

fn chinese_keys(aside: &[SetAside]) -> String {
    let named = aside.iter().take(NAMED_KEYS);
    let named = named.map(|one| format!(" {} 的第 {} 个 key（{}）", one.upstream, one.key, one.model));
    let named = named.collect::<Vec<_>>().join("、");
    if aside.len() > NAMED_KEYS { format!("{named}等 {} 项", aside.len()) } else { named }
}

fn english_keys(aside: &[SetAside]) -> String {
    let named = aside.iter().take(NAMED_KEYS);
    let named = named.map(|one| format!("key {} of {} ({})", one.key, one.upstream, one.model));
    let named = named.collect::<Vec<_>>().join(", ");
    if aside.len() > NAMED_KEYS { format!("{named} and {} more", aside.len() - NAMED_KEYS) } else { named }
}

fn english_detail(finding: &Finding) -> String {
    match finding {
        Finding::WecomRefused { errcode, .. } => {
            format!("WeCom refuses the application (errcode {errcode}); no message can be sent.")
        }
        Finding::WecomAddress { address } => {
            let address = address.as_deref().unwrap_or("(WeCom did not name it)");
            format!("WeCom does not trust this server's address {address} (errcode 60020); no message can be sent.")
        }
        Finding::WecomUnreachable => "WeCom cannot be reached; no message can be sent.".to_owned(),
        Finding::WecomSlowDown => "WeCom wants fewer calls from the application; messages have to wait.".to_owned(),
        Finding::ModelKey { aside } if !aside.is_empty() => {
            format!("The model provider refuses {}; what other keys can answer is answered.", english_keys(aside))
        }
        Finding::ModelCredit { aside } if !aside.is_empty() => {
            format!("The account of {} has nothing left; what other keys can answer is answered.", english_keys(aside))
        }
        Finding::ModelSettings { aside } if !aside.is_empty() => {
            let keys = english_keys(aside);
            format!("The settings of {keys} are wrong (name or address); what other keys can answer is answered.")
        }
        Finding::ModelKey { .. } => "The model provider refuses the API key; nothing can be answered.".to_owned(),
        Finding::ModelCredit { .. } => {
            "The account at the model provider has nothing left; nothing can be answered.".to_owned()
        }
        Finding::ModelSettings { .. } => {
            "The model's settings are wrong (its name or address); nothing can be answered.".to_owned()
        }
        Finding::ModelFailing { in_a_row } => {
            format!("The model does not respond or fails: the last {in_a_row} questions got no whole answer.")
        }
        Finding::AnswersFailing { failed, of } => format!("{failed} of the last {of} questions got no whole answer."),
        Finding::InboxWaiting => "Employees' questions wait and are not taken up.".to_owned(),
        Finding::OutboxWaiting => "Answers wait and are not sent.".to_owned(),
        Finding::DiskSpace { free_mib } => format!("The disk of the data directory has {free_mib} MiB left."),
        Finding::DatabaseSize { used_mib, limit_mib } => {
            format!("The database has {used_mib} of its {limit_mib} MiB in use (storage.max_size_mib).")
        }
        Finding::DatabaseUnwritable { error } => {
            format!("The database cannot be written, so no message can be accepted: {}", quote(error))
        }
        Finding::DeadLetters { count } => format!("{count} messages of the last hour could not be delivered."),
        Finding::CertificateEnding { days: Some(days), .. } => {
            format!("The HTTPS certificate ends in {days} days and was not renewed.")
        }
        Finding::CertificateEnding { days: None, .. } => {
            "The HTTPS certificate has ended; WeCom's callbacks may no longer arrive.".to_owned()
        }
        Finding::SafetyRules { count } => {
            format!("Rules of [safety] with the action alert fitted {count} times within an hour; all of it passed.")
        }
        Finding::Crashed => {
            "Qimate was not stopped in good order (crash, kill or power cut) and has been started again.".to_owned()
        }
    }
}

fn english_remedy(finding: &Finding) -> String {
    match finding {
        Finding::WecomRefused { remedy, .. } => {
            let remedy = remedy.unwrap_or("look at the application in WeCom's console (应用管理)");
            format!("What to do: {remedy}; restart Qimate after a change of its settings.")
        }
        Finding::WecomAddress { address } => {
            let address = address.as_deref().unwrap_or("this server's outgoing address");
            format!(
                "Enter {address} under 应用管理 → the app → 企业可信IP; it works a minute later, and what waits is sent \
                 then."
            )
        }
        Finding::WecomUnreachable => {
            "Look at the server's network, DNS, wecom.proxy and wecom.api_base; what waits is sent later.".to_owned()
        }
        Finding::WecomSlowDown => {
            "It usually passes; if another program uses the same application, let it call less.".to_owned()
        }
        Finding::ModelKey { aside } if !aside.is_empty() => {
            "Check this key in [[llm.upstreams]] and that it may use the model; restart Qimate after the change."
                .to_owned()
        }
        Finding::ModelSettings { aside } if !aside.is_empty() => {
            "Check models and base_url in [[llm.upstreams]]; restart Qimate after the change.".to_owned()
        }
        Finding::ModelKey { .. } => {
            "Check llm.api_key and that it may use the model; restart Qimate after the change.".to_owned()
        }
        Finding::ModelCredit { .. } => {
            "Pay in or raise the limit at the model provider; it then goes on by itself.".to_owned()
        }
        Finding::ModelSettings { .. } => {
            "Check llm.model and llm.base_url; restart Qimate after the change.".to_owned()
        }
        Finding::ModelFailing { .. } => {
            "Look at the provider's status page, llm.base_url, llm.proxy and the network; the log has the causes."
                .to_owned()
        }
        Finding::AnswersFailing { .. } => {
            "Search the log for \"could not answer\": it has the cause of each.".to_owned()
        }
        Finding::InboxWaiting => {
            "Many ask, or the model is slow: raise chat.max_concurrent_turns, or look at the model's speed.".to_owned()
        }
        Finding::OutboxWaiting => {
            "Search the log for \"sent again\" for the cause, or raise wecom.max_concurrent_sends.".to_owned()
        }
        Finding::DiskSpace { .. } => {
            "Free some space or enlarge the disk: when it is full, no message can be accepted.".to_owned()
        }
        Finding::DatabaseSize { .. } => {
            "Raise storage.max_size_mib or lower storage.keep_days, and restart Qimate.".to_owned()
        }
        Finding::DatabaseUnwritable { .. } => {
            "Look at the disk's space, and at the rights and the mount of storage.data_dir.".to_owned()
        }
        Finding::DeadLetters { .. } => {
            "`qimate dead-letters list` shows why; `qimate dead-letters retry` sends them again.".to_owned()
        }
        Finding::CertificateEnding { renews_itself: true, .. } => {
            "ACME has not renewed it: search the log for \"certificate\"; mostly port 443 cannot be reached from outside, \
             or the domain's address is wrong."
                .to_owned()
        }
        Finding::CertificateEnding { .. } => {
            "Renew the files that tls.certificate and tls.private_key name; no restart is needed.".to_owned()
        }
        Finding::SafetyRules { .. } => {
            "What it was is not kept; qimate_safety_hits_total in /metrics has counts by kind, and [safety] the rules."
                .to_owned()
        }
        Finding::Crashed => {
            "No accepted message is lost. Look at the log before the start, and whether memory ran out.".to_owned()
        }
    }
}

/// What is well again, in a sentence.
pub(super) const fn well(condition: Condition, language: Language) -> &'static str {
    match language {
        Language::Chinese => match condition {
            Condition::WecomRefused
            | Condition::WecomAddress
            | Condition::WecomUnreachable
            | Condition::WecomSlowDown => "企业微信的消息发送已恢复，积压的消息已补发或正在补发。",
            Condition::ModelKey | Condition::ModelCredit | Condition::ModelSettings | Condition::ModelFailing => {
                "模型已恢复，可以正常回答。"
            }
            Condition::AnswersFailing => "回答失败的比例已恢复正常。",
            Condition::InboxWaiting => "排队的问题已在正常处理。",
            Condition::OutboxWaiting => "积压的回答已在正常发送。",
            Condition::DiskSpace => "磁盘空间已恢复充足。",
            Condition::DatabaseSize => "数据库大小已低于上限。",
            Condition::DatabaseUnwritable => "数据库已恢复写入。",
            Condition::DeadLetters => "最近没有新的无法送达的消息。",
            Condition::CertificateEnding => "HTTPS 证书已续期。",
            Condition::SafetyRules => "最近一小时没有内容再命中设为告警的规则。",
            Condition::Crashed => "企伴重启后已稳定运行十分钟。",
        },
        Language::English => match condition {
            Condition::WecomRefused
            | Condition::WecomAddress
            | Condition::WecomUnreachable
            | Condition::WecomSlowDown => "Messages get through to WeCom again; what waited is being sent.",
            Condition::ModelKey | Condition::ModelCredit | Condition::ModelSettings | Condition::ModelFailing => {
                "The model answers again."
            }
            Condition::AnswersFailing => "The share of failed answers is normal again.",
            Condition::InboxWaiting => "Questions are taken up in time again.",
            Condition::OutboxWaiting => "Answers are sent in time again.",
            Condition::DiskSpace => "The disk has enough room again.",
            Condition::DatabaseSize => "The database has enough room again.",
            Condition::DatabaseUnwritable => "The database can be written again.",
            Condition::DeadLetters => "No more messages failed lately.",
            Condition::CertificateEnding => "The HTTPS certificate has been renewed.",
            Condition::SafetyRules => "No rule of [safety] with the action alert fitted within the last hour.",
            Condition::Crashed => "Qimate has run for ten minutes since.",
        },
    }
}

/// A message that something is wrong.
pub(super) fn raised(detail: &str, remedy: &str, for_long: Duration, language: Language) -> String {
    let long = match language {
        _ if for_long < Duration::from_secs(60) => String::new(),
        Language::Chinese => format!("（已持续 {}）", span(for_long, language)),
        Language::English => format!(" (for {})", span(for_long, language)),
    };
    match language {
        Language::Chinese => format!("【告警】{detail}{long}\n{remedy}"),
        Language::English => format!("[Alert] {detail}{long}\n{remedy}"),
    }
}

/// A message that it is over, with what it was: the message that it began may never have come.
pub(super) fn resolved(condition: Condition, detail: &str, lasted: Duration, language: Language) -> String {
    format!("{}\n{}", ending(condition, lasted, language, true), before(detail, language))
}

/// What is well again and how long it lasted, on one line.
pub(super) fn ending(condition: Condition, lasted: Duration, language: Language, mark: bool) -> String {
    let (well, span) = (well(condition, language), span(lasted, language));
    match language {
        Language::Chinese => format!("{}{well}历时 {span}。", if mark { "【恢复】" } else { "" }),
        Language::English => format!("{}{well} It lasted {span}.", if mark { "[Resolved] " } else { "" }),
    }
}

fn before(detail: &str, language: Language) -> String {
    match language {
        Language::Chinese => format!("之前：{detail}"),
        Language::English => format!("It was: {detail}"),
    }
}

/// That others were not told.
pub(super) fn withheld(others: u32, language: Language) -> String {
    match language {
        Language::Chinese => format!("\n……另有 {others} 条告警超出每小时上限，未发送，见日志。"),
        Language::English => format!("\n… and {others} more, beyond alerts.max_per_hour; see the log."),
    }
}

fn span(duration: Duration, language: Language) -> String {
    let (seconds, chinese) = (duration.as_secs(), matches!(language, Language::Chinese));
    let (number, unit) = match seconds {
        0..=119 => (seconds, if chinese { "秒" } else { "s" }),
        120..=7199 => (seconds / 60, if chinese { "分钟" } else { "min" }),
        7200..=172_799 => (seconds / 3600, if chinese { "小时" } else { "h" }),
        _ => (seconds / 86_400, if chinese { "天" } else { "days" }),
    };
    format!("{number} {unit}")
}

fn quote(words: &str) -> &str {
    &words[..words.floor_char_boundary(QUOTE)]
}

/// The same, of one of several applications.
pub(super) fn of_app(app: Option<&str>, text: String, language: Language) -> String {
    match (app, language) {
        (None, _) => text,
        (Some(app), Language::Chinese) => format!("应用 {app}：{text}"),
        (Some(app), Language::English) => format!("App {app}: {text}"),
    }
}
