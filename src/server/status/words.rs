//! The status as lines for people, in Chinese or English.

use std::{
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    config::chat::Language,
    doctor,
    web::status::{FirstPart, LastError, Left, OfApp, Paused, SetAside, Status, UnreadDirectory, Waiting, Wecom},
};

/// The last second that has a date of four digits for its year: what is said elsewhere is not believed beyond that.
const LAST_DATE: u64 = 253_402_300_799;

/// A line and what stands in front of it.
struct Line {
    label: &'static str,
    text: String,
}

/// All lines, each with its line end.
pub(super) fn table(status: &Status, language: Language) -> String {
    let words = Words(language);
    let lines = lines(status, words);
    let widest = lines.iter().map(|line| width(line.label)).max().unwrap_or(0);
    let since = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(status.started_at.min(LAST_DATE)));
    let up = words.time(status.uptime_seconds as f64);
    let head = words.either(
        || format!("企伴 Qimate {}，已运行 {up}（自 {since}）", status.version),
        || format!("Qimate {}, up {up} (since {since})", status.version),
    );
    let mut table = head + "\n";
    for Line { label, text } in lines {
        let space = " ".repeat(widest - width(label) + 2);
        table.push_str(&format!("  {label}{space}{text}\n"));
    }
    table
}

fn lines(status: &Status, words: Words) -> Vec<Line> {
    let line = |chinese, english, text| Line { label: words.either(|| chinese, || english), text };
    let ready = match &status.not_ready {
        None => words.say("就绪", "ready"),
        Some(why) => words.either(|| format!("未就绪：{why}"), || format!("NOT READY: {why}")),
    };
    let mut lines = vec![
        line("状态", "state", ready),
        line("模型", "model", model(status, words)),
        line("回调", "callbacks", callbacks(status, words)),
        line("待处理", "inbox", waiting(status.inbox, words)),
        line("待发送", "outbox", waiting(status.outbox, words)),
        line("死信", "dead letters", dead_letters(status, words)),
        line("回答", "answers", answers(status, words)),
        line("首段等待", "first part", first_part(status.turns.first_part, words)),
        line("资源", "machine", machine(status, words)),
    ];
    lines.extend(status.audit_head.as_ref().map(|head| line("审计记录", "audit log", head.clone())));
    if !status.model.set_aside.is_empty() {
        lines.insert(2, line("停用的 key", "set aside", set_aside(status, words)));
    }
    if !status.callbacks.refused.is_empty() {
        let refused: Vec<_> = status
            .callbacks
            .refused
            .iter()
            .map(|(reason, count)| format!("{} {count}", words.either(|| refusal(reason), || reason.as_str())))
            .collect();
        let place = if status.model.set_aside.is_empty() { 3 } else { 4 };
        lines.insert(place, line("被拒绝的回调", "refused callbacks", refused.join(words.either(|| "，", || ", "))));
    }
    let ways: Vec<_> = match status.apps.as_slice() {
        [] => vec![line("企业微信", "WeCom", wecom(&status.wecom, words))],
        several => several.iter().map(|app| line("应用", "app", of_app(app, words))).collect(),
    };
    let left = status.left_alone.iter().map(|left| line("未配置的应用", "left alone", left_alone(left, words)));
    let unread = status.unread_directories.iter().map(|one| line("通讯录", "address book", unread(one, words)));
    lines.splice(1..1, ways.into_iter().chain(left).chain(unread));
    lines
}

/// One of several applications.
fn of_app(app: &OfApp, words: Words) -> String {
    let OfApp { name, inbox, outbox, wecom: way } = app;
    let number = |number: &Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let (inbox, outbox, way) = (number(inbox), number(outbox), wecom(way, words));
    words.either(
        || format!("{name}：{way}；待处理 {inbox}，待发送给 {outbox} 人"),
        || format!("{name}: {way}; inbox {inbox}, members owed {outbox}"),
    )
}

/// What waits of an application that nobody serves.
fn left_alone(left: &Left, words: Words) -> String {
    let Left { app, inbox, outbox } = left;
    words.either(
        || format!("{app}：{inbox} 条消息和 {outbox} 人的回答在等待；重新配置该应用后继续"),
        || format!("{app}: {inbox} messages and {outbox} members wait; they go on when it is configured again"),
    )
}

/// An address book that could not be read: when, why, and what to do.
fn unread(one: &UnreadDirectory, words: Words) -> String {
    let UnreadDirectory { app, seconds_ago, errcode, message } = one;
    let why = errcode.map_or_else(|| message.clone().unwrap_or_default(), |errcode| format!("errcode {errcode}"));
    let (ago, remedy) = (words.ago(*seconds_ago), doctor::directory::remedy(errcode.is_some(), words.0));
    words.either(
        || format!("{app}：{ago}没有读到（{why}），谁能使用没有因此改变；{remedy}"),
        || format!("{app}: NOT READ {ago} ({why}), which changed nobody's access; {remedy}"),
    )
}

fn wecom(way: &Wecom, words: Words) -> String {
    let token = match way.access_token_age_seconds {
        Some(age) => {
            let age = words.ago(age);
            words.either(|| format!("access_token 于 {age}获取"), || format!("access token fetched {age}"))
        }
        None => words.say("还没有获取过 access_token", "no access token fetched yet"),
    };
    let Some(Paused { reason, message, since_seconds, again_in_seconds }) = &way.paused else {
        return words.either(|| format!("可以发送；{token}"), || format!("messages can be sent; {token}"));
    };
    let since = words.time(*since_seconds);
    let again = again_in_seconds.map_or_else(
        || words.say("正在重试", "being tried now"),
        |seconds| {
            let time = words.time(seconds);
            words.either(|| format!("{time}后重试"), || format!("tried again in {time}"))
        },
    );
    words.either(
        || format!("受阻已 {since}，{again}：{}", blocked(reason, message)),
        || format!("PAUSED ({reason}) for {since}, {again}: {message}"),
    )
}

/// Why nothing can be sent, in Chinese.
fn blocked(reason: &str, message: &str) -> String {
    match reason {
        "ip_refused" => {
            let address = message.split(' ').find_map(|word| word.parse::<IpAddr>().ok());
            let address = address.map_or_else(|| "（企业微信未说明）".to_owned(), |address| address.to_string());
            format!("企业微信不信任出口 IP {address}（60020），请填入 应用管理 → 自建 → 您的应用 → 企业可信IP")
        }
        "slow_down" => format!("企业微信嫌调用太频繁，不用处理（{message}）"),
        "misconfigured" => format!("企业微信不接受本应用的设置，请运行 qimate doctor（{message}）"),
        "unreachable" => format!("连不上企业微信，请运行 qimate doctor（{message}）"),
        other => format!("{other}：{message}"),
    }
}

fn model(status: &Status, words: Words) -> String {
    let answered = match status.model.last_answer_seconds_ago {
        Some(seconds) => {
            let ago = words.ago(seconds);
            words.either(|| format!("上次完整回答 {ago}"), || format!("last whole answer {ago}"))
        }
        None => words.say("启动后还没有完整回答", "no whole answer since the start"),
    };
    let failed = match &status.model.last_error {
        Some(LastError { seconds_ago, kind, message }) => {
            let ago = words.ago(*seconds_ago);
            words.either(
                || format!("上次出错 {ago}（{}）：{message}", model_error(kind)),
                || format!("last error {ago} ({kind}): {message}"),
            )
        }
        None => words.say("没有出错", "no error"),
    };
    words.either(|| format!("{answered}；{failed}"), || format!("{answered}; {failed}"))
}

fn set_aside(status: &Status, words: Words) -> String {
    let one = |aside: &SetAside| {
        let SetAside { upstream, key, model, reason, since_seconds } = aside;
        let since = words.time(*since_seconds);
        words.either(
            || format!("{upstream} 的第 {key} 个 key（{model}）：{reason}，已 {since}"),
            || format!("key {key} of {upstream} ({model}): {reason}, for {since}"),
        )
    };
    let all: Vec<_> = status.model.set_aside.iter().map(one).collect();
    all.join(words.either(|| "；", || "; "))
}

fn callbacks(status: &Status, words: Words) -> String {
    let callbacks = &status.callbacks;
    let (accepted, duplicate, verified) = (callbacks.accepted, callbacks.duplicate, callbacks.verified);
    let refused: u64 = callbacks.refused.values().sum();
    let last = match callbacks.last_accepted_seconds_ago {
        Some(seconds) => {
            let ago = words.ago(seconds);
            words.either(|| format!("上次收到 {ago}"), || format!("last accepted {ago}"))
        }
        None => words.say("还没有收到过", "none accepted yet"),
    };
    words.either(
        || format!("{last}；启动后收到 {accepted}，重复 {duplicate}，验证 URL {verified}，拒绝 {refused}"),
        || {
            format!("{last}; since the start {accepted} accepted, {duplicate} repeated, {verified} URL checks, {refused} refused")
        },
    )
}

fn waiting(waiting: Option<Waiting>, words: Words) -> String {
    match waiting {
        None => words.say("未知（数据库读不出来）", "not known (the database cannot be read)"),
        Some(Waiting { messages: 0, .. }) => "0".to_owned(),
        Some(Waiting { messages, oldest_seconds }) => {
            let oldest = words.time(oldest_seconds);
            words.either(
                || format!("{messages}，最早的已等 {oldest}"),
                || format!("{messages}, the oldest waits {oldest}"),
            )
        }
    }
}

fn dead_letters(status: &Status, words: Words) -> String {
    match status.dead_letters {
        None => words.say("未知", "not known"),
        Some(0) => "0".to_owned(),
        Some(letters) => words.either(
            || format!("{letters}（qimate dead-letters list 查看原因）"),
            || format!("{letters} (qimate dead-letters list says why)"),
        ),
    }
}

fn answers(status: &Status, words: Words) -> String {
    let turns = &status.turns;
    let window = words.time(turns.window_seconds as f64);
    let results: Vec<_> =
        turns.by_result.iter().map(|(result, count)| format!("{} {count}", words.result(result))).collect();
    let results =
        if results.is_empty() { words.say("没有", "none") } else { results.join(words.either(|| "，", || ", ")) };
    let running = turns.running;
    words.either(
        || format!("最近 {window}：{results}；正在写 {running}"),
        || format!("last {window}: {results}; {running} being written"),
    )
}

fn first_part(first_part: Option<FirstPart>, words: Words) -> String {
    let Some(FirstPart { answers, p50_seconds, p95_seconds }) = first_part else {
        return words.say("没有数据", "nothing to go by");
    };
    words.either(
        || format!("一半不超过 {p50_seconds:.1} 秒，95% 不超过 {p95_seconds:.1} 秒（{answers} 个回答）"),
        || format!("half within {p50_seconds:.1} s, 95% within {p95_seconds:.1} s ({answers} answers)"),
    )
}

fn machine(status: &Status, words: Words) -> String {
    let unknown = || words.say("未知", "not known");
    let disk = status.disk_free_bytes.map_or_else(unknown, size);
    let memory = status.memory_bytes.map_or_else(unknown, size);
    words.either(|| format!("内存 {memory}，磁盘剩余 {disk}"), || format!("memory {memory}, disk free {disk}"))
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1024.0 * 1024.0);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// Columns that a terminal gives a text: two for what is not ASCII, as of the words here that is all Chinese.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// How a call of the model failed, in Chinese. The log and the metrics have the English word.
fn model_error(kind: &str) -> &str {
    match kind {
        "misconfigured" => "模型设置有误",
        "unauthorized" => "API Key 被拒绝",
        "model_not_found" => "没有这个模型",
        "rate_limited" => "调用太频繁",
        "quota_exhausted" => "余额或额度用完",
        "too_long" => "对话太长",
        "content_filtered" => "被内容审核拦下",
        "rejected" => "请求被拒绝",
        "upstream" => "模型服务故障",
        "unreachable" => "连不上模型服务",
        "first_delta_timeout" => "迟迟不开始回答",
        "gap_timeout" => "回答中途没了下文",
        "answer_timeout" => "整个回答超时",
        "cut" => "回答中途断开",
        "garbage" => "应答看不懂",
        "stream_error" => "回答中途报错",
        other => other,
    }
}

/// Why a callback was refused, in Chinese. The log and the metrics have the English word.
fn refusal(reason: &str) -> &str {
    match reason {
        "missing_parameter" => "缺少参数",
        "missing_encrypt" => "没有密文",
        "wrong_signature" => "签名不对（Token）",
        "undecryptable" => "无法解密（EncodingAESKey）",
        "other_receiver" => "属于别的企业或应用",
        "malformed_xml" | "dtd_present" | "incomplete" => "内容不完整",
        "too_large" => "太大",
        "busy" => "太忙",
        "not_saved" => "存不了盘",
        other => other,
    }
}

/// Says things in one of two languages.
#[derive(Clone, Copy)]
struct Words(Language);

impl Words {
    fn either<T>(self, chinese: impl FnOnce() -> T, english: impl FnOnce() -> T) -> T {
        match self.0 {
            Language::Chinese => chinese(),
            Language::English => english(),
        }
    }

    fn say(self, chinese: &str, english: &str) -> String {
        self.either(|| chinese, || english).to_owned()
    }

    fn time(self, seconds: f64) -> String {
        // Whole seconds are enough, and a negative time there is none.
        let seconds = seconds.max(0.0) as u64;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match seconds {
            0..=119 => self.either(|| format!("{seconds} 秒"), || format!("{seconds} s")),
            120..=3599 => self.either(|| format!("{minutes} 分钟"), || format!("{minutes} min")),
            3600..=86_399 if minutes == 0 => self.either(|| format!("{hours} 小时"), || format!("{hours} h")),
            3600..=86_399 => {
                self.either(|| format!("{hours} 小时 {minutes} 分钟"), || format!("{hours} h {minutes} min"))
            }
            _ => self.either(|| format!("{days} 天 {hours} 小时"), || format!("{days} d {hours} h")),
        }
    }

    fn ago(self, seconds: f64) -> String {
        let time = self.time(seconds);
        self.either(|| format!("{time}前"), || format!("{time} ago"))
    }

    /// A result of a turn.
    fn result(self, word: &str) -> String {
        let (chinese, english) = match word {
            "answered" => ("回答完", "answered"),
            "length_limit" => ("达到长度上限", "cut at the length limit"),
            "stopped" => ("被员工停止", "stopped by the member"),
            "empty" => ("模型没有给出内容", "empty"),
            "filtered" => ("被内容审核拦下", "filtered by the provider"),
            "quota" => ("额度用完", "over quota"),
            "model" => ("模型出错", "failed by the model"),
            "internal" => ("程序故障", "failed by our own fault"),
            other => (other, other),
        };
        self.say(chinese, english)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_told_in_chinese() {
        let told = blocked("ip_refused", "WeCom does not trust the address 203.0.113.7 (errcode 60020); enter it");
        assert_eq!(told, "企业微信不信任出口 IP 203.0.113.7（60020），请填入 应用管理 → 自建 → 您的应用 → 企业可信IP");
        assert_eq!(blocked("of_tomorrow", "why"), "of_tomorrow：why");
    }

    #[test]
    fn times_are_short() {
        for (seconds, chinese, english) in [
            (0.4, "0 秒", "0 s"),
            (119.0, "119 秒", "119 s"),
            (600.0, "10 分钟", "10 min"),
            (3600.0, "1 小时", "1 h"),
            (11_520.0, "3 小时 12 分钟", "3 h 12 min"),
            (200_000.0, "2 天 7 小时", "2 d 7 h"),
        ] {
            assert_eq!(Words(Language::Chinese).time(seconds), chinese);
            assert_eq!(Words(Language::English).time(seconds), english);
        }
        assert_eq!((size(31 * 1024 * 1024), size(3 << 30)), ("31 MiB".to_owned(), "3.0 GiB".to_owned()));
    }
}
