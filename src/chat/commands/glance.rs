//! How the instance is, in few lines.

use std::time::Duration;

use crate::{chat::models::SetAside, clock::zone::Local, metrics::TurnResult};

/// How the instance is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance<'a> {
    pub(super) uptime: Duration,
    /// Messages that are not handled.
    pub(super) waiting: u64,
    /// Parts that are not delivered.
    pub(super) sending: u64,
    pub(super) dead_letters: u64,
    /// The last hour's questions.
    pub(super) turns: &'a [(TurnResult, u64)],
    /// The model's last failure.
    pub(super) model_error: Option<(Local, &'static str)>,
    pub(super) set_aside: &'a [SetAside],
}

impl Glance<'_> {
    pub(super) fn chinese(self) -> String {
        let (hours, minutes) = hours(self.uptime);
        let mut lines = vec![
            format!("已运行 {hours} 小时 {minutes} 分。"),
            format!("等待处理 {} 条，等待发送 {} 条，发不出去 {} 条。", self.waiting, self.sending, self.dead_letters),
            format!("最近一小时的提问：{}。", self.turns("无", "，")),
        ];
        if let Some((at, kind)) = self.model_error {
            lines.push(format!("模型最近一次出错：{at}，{kind}。"));
        }
        lines.extend(self.set_aside.iter().map(|aside| {
            format!("停用的密钥：{} 第 {} 个，模型 {}，{}。", aside.upstream, aside.key, aside.model, aside.reason)
        }));
        lines.join("\n")
    }

    pub(super) fn english(self) -> String {
        let (hours, minutes) = hours(self.uptime);
        let mut lines = vec![
            format!("Running for {hours} h {minutes} min."),
            format!("{} to be handled, {} to be sent, {} dead letters.", self.waiting, self.sending, self.dead_letters),
            format!("Questions of the last hour: {}.", self.turns("none", ", ")),
        ];
        if let Some((at, kind)) = self.model_error {
            lines.push(format!("The model last failed at {at}: {kind}."));
        }
        lines.extend(self.set_aside.iter().map(|aside| {
            format!("Set aside: {}, key {}, model {}: {}.", aside.upstream, aside.key, aside.model, aside.reason)
        }));
        lines.join("\n")
    }

    fn turns(self, none: &str, comma: &str) -> String {
        let each: Vec<_> = self.turns.iter().map(|(result, count)| format!("{} {count}", result.word())).collect();
        if each.is_empty() { none.to_owned() } else { each.join(comma) }
    }
}

fn hours(uptime: Duration) -> (u64, u64) {
    (uptime.as_secs() / 3600, uptime.as_secs() / 60 % 60)
}
