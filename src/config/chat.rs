//! `[chat]`: how the bot behaves.

use std::time::Duration;

use super::{
    Apps, Config, Storage,
    fault::Wrong,
    persona::{Persona, personas},
    reader::{Reader, Reported, any},
    storage::{DAY, DAYS},
};
pub use crate::model::language::Language;
use crate::{
    clock::zone::Zone,
    model::{preferences::Output, privacy::Privacy},
};

/// What becomes of what a model thinks aloud before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// Nobody sees it.
    #[default]
    Hide,
    /// The member sees it, shortened, as a quote before the answer.
    Quote,
}

/// The section's values.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The language of the bot's own sentences.
    pub language: Language,
    /// The time zone of the dates that the model is told.
    pub time_zone: Zone,
    /// A conversation that rests this long ends; `None`: never.
    pub idle: Option<Duration>,
    /// How many members are answered at once.
    pub max_concurrent_turns: usize,
    /// Whether finished paragraphs are sent while the model still writes.
    pub progressive: bool,
    /// How answers look to members who did not choose.
    pub output: Output,
    /// How many lines of a bubble a block of code or a table takes before it goes as a file; 0: any number.
    pub file_lines: usize,
    /// How many messages an answer takes before the whole goes as a file; 0: any number.
    pub file_messages: usize,
    /// Messages that follow one another within this time are one turn; zero: none are.
    pub join: Duration,
    /// How many model tokens of conversation (system prompt, history, question) a request may hold.
    pub context_tokens: usize,
    /// Whether WeCom is asked who a member is, where a prompt names them.
    pub member_profile: bool,
    /// Whether what no longer fits into `context_tokens` is summed up.
    pub summary: bool,
    /// The model that sums up, by its alias; `None`: that of the answers.
    pub summary_model: Option<String>,
    /// What a member who opens the chat is greeted with, at most once a day; `None`: nothing.
    pub welcome: Option<String>,
    /// After how long without a word of the answer the member is told that it takes a while; `None`: never.
    pub slow_notice: Option<Duration>,
    /// From how many waiting messages on a member is told that they are in the queue; 0: never.
    pub backlog_notice: u32,
    /// The parts that members can let the bot play, in the order of their names.
    pub personas: Vec<Persona>,
    /// What becomes of what the model thinks aloud.
    pub reasoning: Reasoning,
    /// What is kept of conversations.
    pub privacy: Privacy,
    /// How long, where it is shorter than [`super::Storage::keep`] or as long; `None`: as long as that.
    pub keep: Option<Duration>,
}

impl Chat {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let language = reader.choice("chat.language", &Language::ALL.map(|language| (language.as_str(), language)));
        let time_zone = reader.text("chat.time_zone", zone);
        let idle = reader.whole_or_none("chat.idle_minutes", 1..=525_600_u64);
        let max_concurrent_turns = reader.whole("chat.max_concurrent_turns", 1..=10_000);
        let progressive = reader.flag("chat.progressive");
        let join = reader.fraction_or_none("chat.join_seconds", 0.0..=30.0);
        let output = reader.choice("chat.output", &Output::ALL.map(|output| (output.as_str(), output)));
        let file_lines = reader.whole("chat.file_lines", 0..=10_000);
        let file_messages = reader.whole("chat.file_messages", 0..=1000);
        let context_tokens = reader.whole("chat.context_tokens", 256..=10_000_000);
        let member_profile = reader.flag("chat.member_profile");
        let summary = reader.flag("chat.summary");
        let summary_model = reader.optional_text("chat.summary_model", any);
        let welcome = reader.optional_text("chat.welcome", any);
        let slow_notice = reader.whole_or_none("chat.slow_notice_seconds", 1..=3600);
        let backlog_notice = reader.whole("chat.backlog_notice", 0..=10_000);
        let personas = reader.take("chat.personas", personas);
        let reasoning = reader.choice("chat.reasoning", &[("hide", Reasoning::Hide), ("quote", Reasoning::Quote)]);
        let privacy = reader.choice("chat.privacy", &Privacy::ALL.map(|privacy| (privacy.as_str(), privacy)));
        let keep_days = reader.whole_or_none("chat.keep_days", DAYS);
        let privacy = privacy?;
        Ok(Self {
            language: language?,
            time_zone: time_zone?,
            idle: idle?.map(|minutes| Duration::from_secs(minutes * 60)),
            max_concurrent_turns: max_concurrent_turns?,
            progressive: progressive?,
            output: output?,
            file_lines: file_lines?,
            file_messages: file_messages?,
            join: Duration::from_secs_f64(join?.unwrap_or_default()),
            context_tokens: context_tokens?,
            member_profile: member_profile?,
            // There is nothing to be summed up where no texts are kept.
            summary: summary? && privacy.keeps_texts(),
            summary_model: summary_model?,
            welcome: welcome?,
            slow_notice: slow_notice?.map(Duration::from_secs),
            backlog_notice: backlog_notice?,
            personas: personas?,
            reasoning: reasoning?,
            privacy,
            keep: keep_days?.map(|days| Duration::from_secs(days * DAY)),
        })
    }

    /// For how many days conversations are kept, where that is said.
    pub fn keep_days(&self) -> Option<u64> {
        self.keep.map(|keep| keep.as_secs() / DAY)
    }

    fn look_at_days(&self, reader: &mut Reader<'_>, storage: &Storage) {
        let most = storage.keep.as_secs() / DAY;
        if let Some(days) = self.keep_days().filter(|days| *days > most) {
            let problem = [
                format!("是 {days}，多于 storage.keep_days 的 {most}"),
                format!("is {days}, and storage.keep_days is {most}"),
            ];
            let remedy = [
                format!("应为 1 到 {most} 的整数，或 0（与它相同）；要保存更久，请调大 storage.keep_days"),
                format!("expected 1 to {most}, or 0 for as long as that; to keep more, raise storage.keep_days"),
            ];
            reader.own_contradiction("chat.keep_days", Wrong::new(problem, remedy));
        }
    }
}

/// Reports days, for all or of one application, that are more than `storage` keeps anything for.
pub(super) fn look_at_days(reader: &mut Reader<'_>, (all, apps): (Option<&Chat>, Option<&Apps>), storage: &Storage) {
    if let Some(chat) = all {
        chat.look_at_days(reader, storage);
    }
    for app in apps.iter().flat_map(|apps| apps.iter()) {
        if let (Some(name), Some(own)) = (&app.name, &app.own) {
            reader.for_app(name, |reader| own.chat.look_at_days(reader, storage));
        }
    }
}

/// That of its sentences.
impl From<&Config> for Language {
    fn from(config: &Config) -> Self {
        config.chat.language
    }
}

fn zone(name: &str) -> Result<Zone, Wrong> {
    Zone::parse(name).map_err(|_| {
        Wrong::new(
            ["不是时区的名字", "is not the name of a time zone"],
            ["应为 IANA 名称，例如 Asia/Shanghai", "expected an IANA name such as Asia/Shanghai or America/New_York"],
        )
    })
}
