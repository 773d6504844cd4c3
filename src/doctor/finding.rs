//! What a check found, and all of them together.

use serde::{Serialize, Serializer};

use super::cause::Cause;
use crate::config::chat::Language;

/// A check, in the order in which an administrator mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The settings.
    Configuration,
    /// The EncodingAESKey's form.
    CallbackKey,
    /// The data directory.
    DataDir,
    /// Room on the disk.
    Disk,
    /// Whether the data outlives the container.
    Volume,
    /// The database.
    Database,
    /// Whether WeCom's API can be reached.
    Wecom,
    /// Our clock against WeCom's.
    Clock,
    /// The corp id and the Secret.
    Secret,
    /// Whether the callback is reached from outside.
    CallbackUrl,
    /// Whose domain it is.
    Domain,
    /// Whether WeCom calls.
    Callbacks,
    /// Which callbacks were refused.
    Refusals,
    /// Whether WeCom trusts our address.
    Address,
    /// The application.
    Agent,
    /// The address book; only where it was read, or tried.
    Directory,
    /// Whether the model's API can be reached.
    Model,
    /// Its key.
    ApiKey,
    /// The model's name.
    ModelName,
    /// Whether it answers.
    Answer,
    /// Whether voice messages can be written down; only where a model for it is set.
    Transcription,
    /// Whether alerts reach their operators; only where some are set.
    Operators,
    /// The servers of tools, where there are any.
    Tools,
    /// Whether members can make API keys; only where they are to.
    MemberKeys,
    /// A message, end to end.
    Send,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 25] = [
        Self::Configuration,
        Self::CallbackKey,
        Self::DataDir,
        Self::Disk,
        Self::Volume,
        Self::Database,
        Self::Wecom,
        Self::Clock,
        Self::Secret,
        Self::CallbackUrl,
        Self::Domain,
        Self::Callbacks,
        Self::Refusals,
        Self::Address,
        Self::Agent,
        Self::Directory,
        Self::Model,
        Self::ApiKey,
        Self::ModelName,
        Self::Answer,
        Self::Transcription,
        Self::Operators,
        Self::Tools,
        Self::MemberKeys,
        Self::Send,
    ];

    /// A word that never changes, for machines.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::CallbackKey => "callback.key",
            Self::DataDir => "storage.directory",
            Self::Disk => "storage.disk",
            Self::Volume => "storage.volume",
            Self::Database => "storage.database",
            Self::Wecom => "wecom.reach",
            Self::Clock => "clock",
            Self::Secret => "wecom.secret",
            Self::CallbackUrl => "callback.url",
            Self::Domain => "callback.domain",
            Self::Callbacks => "callback.seen",
            Self::Refusals => "callback.refused",
            Self::Address => "wecom.address",
            Self::Agent => "wecom.agent",
            Self::Directory => "wecom.directory",
            Self::Model => "model.reach",
            Self::ApiKey => "model.key",
            Self::ModelName => "model.name",
            Self::Answer => "model.answer",
            Self::Transcription => "voice.transcription",
            Self::Operators => "alerts.operators",
            Self::Tools => "tools",
            Self::MemberKeys => "member_keys",
            Self::Send => "send",
        }
    }

    /// What people call it.
    pub fn label(self, language: Language) -> &'static str {
        let (zh, en) = match self {
            Self::Configuration => ("配置", "Configuration"),
            Self::CallbackKey => ("回调密钥", "Callback key"),
            Self::DataDir => ("数据目录", "Data directory"),
            Self::Disk => ("磁盘空间", "Disk"),
            Self::Volume => ("数据持久", "Volume"),
            Self::Database => ("数据库", "Database"),
            Self::Wecom => ("连接企业微信", "WeCom"),
            Self::Clock => ("时间", "Clock"),
            Self::Secret => ("企业ID和Secret", "Corp id, Secret"),
            Self::CallbackUrl => ("回调地址", "Callback URL"),
            Self::Domain => ("回调域名", "Domain"),
            Self::Callbacks => ("收到回调", "Callbacks"),
            Self::Refusals => ("被拒的回调", "Refused"),
            Self::Address => ("企业可信IP", "Trusted address"),
            Self::Agent => ("应用", "App"),
            Self::Directory => ("通讯录", "Address book"),
            Self::Model => ("连接模型", "Model API"),
            Self::ApiKey => ("API key", "API key"),
            Self::ModelName => ("模型", "Model"),
            Self::Answer => ("模型应答", "Answer"),
            Self::Transcription => ("语音转文字", "Transcription"),
            Self::Operators => ("告警接收人", "Operators"),
            Self::Tools => ("工具服务", "Tools"),
            Self::MemberKeys => ("成员密钥", "Members' keys"),
            Self::Send => ("发送测试", "Test message"),
        };
        pick(language, zh, en)
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Nothing is broken, and something is worth knowing.
    Advice,
    /// Something is broken.
    Problem,
    /// It could not be checked, or there was nothing to check.
    Skipped,
}

/// What a check found, in the administrator's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub id: Check,
    /// Which application, where it is not the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Which key of which upstream, with which model, where several are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How it ended.
    pub status: Status,
    /// The cause's word, for machines.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "code")]
    pub code: Option<Cause>,
    /// What was found; for a skipped one, why it was skipped.
    pub found: String,
    /// Why it is so. Empty where nothing is to be mended, as the next two.
    pub cause: String,
    /// How it is mended.
    pub remedy: String,
    /// Where.
    #[serde(rename = "where")]
    pub place: String,
}

fn code<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    match cause {
        Some(cause) => cause.serialize(serializer),
        None => serializer.serialize_none(),
    }
}

/// What an observation comes to, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is well: what is there, in Chinese and in English.
    Well(String, String),
    /// Something is not: the cause, and what was seen.
    Ill(Cause, String),
    /// The same, where what was seen has words: in Chinese and in English.
    IllIn(Cause, String, String),
    /// It depends on another check that failed.
    After(Check),
    /// There is nothing to check: why, in Chinese and in English.
    Nothing(String, String),
    /// One of several applications: its name, the section that it is set in, and what was found of it.
    OfApp(String, String, Box<Self>),
    /// One of several upstreams: which, in Chinese and in English, and what was found there.
    At(String, String, Box<Self>),
}

impl Outcome {
    pub(super) fn well(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Well(zh.into(), en.into())
    }

    pub(super) fn ill(cause: Cause, about: impl Into<String>) -> Self {
        Self::Ill(cause, about.into())
    }

    pub(super) fn nothing(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Nothing(zh.into(), en.into())
    }

    /// What was found of an application, which is set in `section`.
    pub(super) fn of_app(whose: &str, section: String, outcome: Self) -> Self {
        Self::OfApp(whose.to_owned(), section, Box::new(outcome))
    }

    /// What was found of `model` with the key of this number at `upstream`.
    pub(super) fn at(upstream: &str, key: usize, model: &str, outcome: Self) -> Self {
        let zh = format!("{upstream} 的第 {key} 个 key（{model}）");
        Self::At(zh, format!("key {key} of {upstream} ({model})"), Box::new(outcome))
    }

    /// What was found at the server of this name.
    pub(super) fn of_server(name: &str, outcome: Self) -> Self {
        Self::At(name.to_owned(), name.to_owned(), Box::new(outcome))
    }

    /// Whether what depends on it can be checked.
    pub(super) const fn is_well(&self) -> bool {
        match self {
            Self::Well(..) => true,
            Self::Ill(cause, _) | Self::IllIn(cause, ..) => cause.is_advice(),
            Self::After(_) | Self::Nothing(..) => false,
            Self::At(_, _, outcome) | Self::OfApp(_, _, outcome) => outcome.is_well(),
        }
    }

    /// In words.
    pub(super) fn told(self, id: Check, language: Language) -> Finding {
        let plain = |status, found| Finding {
            id,
            app: None,
            upstream: None,
            status,
            code: None,
            found,
            cause: String::new(),
            remedy: String::new(),
            place: String::new(),
        };
        match self {
            Self::Well(zh, en) => plain(Status::Ok, pick(language, zh, en)),
            Self::Nothing(zh, en) => plain(Status::Skipped, pick(language, zh, en)),
            Self::After(check) => {
                let label = check.label(language);
                plain(Status::Skipped, pick(language, format!("先解决：{label}"), format!("first mend: {label}")))
            }
            Self::At(zh, en, outcome) => {
                let (whose, colon) = (pick(language, zh, en), pick(language, "：", ": "));
                let found = outcome.told(id, language);
                // The causes speak of the single form's settings.
                let listed = |text: String| {
                    let of_upstream =
                        [("llm.base_url", "base_url"), ("llm.api_key", "api_keys"), ("llm.proxy", "proxy")];
                    let of_upstream = of_upstream.into_iter().chain([("llm.model", "models")]);
                    of_upstream
                        .fold(text, |text, (single, listed)| text.replace(single, &format!("llm.upstreams {listed}")))
                };
                Finding {
                    found: format!("{whose}{colon}{}", found.found),
                    cause: listed(found.cause),
                    remedy: listed(found.remedy),
                    upstream: Some(whose),
                    ..found
                }
            }
            Self::OfApp(whose, section, outcome) => {
                let found = outcome.told(id, language);
                // The causes speak of the single form's settings.
                let own = |text: String| match section.as_str() {
                    "wecom" => text,
                    section => text
                        .replace("wecom.", &format!("{section}."))
                        .replace("server.callback_path", &format!("{section}.callback_path")),
                };
                let colon = pick(language, "：", ": ");
                Finding {
                    found: format!("{whose}{colon}{}", own(found.found)),
                    cause: own(found.cause),
                    remedy: own(found.remedy),
                    app: Some(whose),
                    ..found
                }
            }
            Self::IllIn(cause, zh, en) => Self::Ill(cause, pick(language, zh, en)).told(id, language),
            Self::Ill(cause, about) => {
                let words = cause.words(language);
                let (key, proxy) = match id {
                    Check::Model => ("llm.base_url", "llm.proxy"),
                    Check::Transcription => ("voice.transcription_url", "llm.proxy"),
                    Check::Tools => ("tools.mcp url", "tools.mcp proxy"),
                    _ => ("wecom.api_base", "wecom.proxy"),
                };
                let filled =
                    |text: &str| text.replace("{key}", key).replace("{proxy}", proxy).replace("{about}", &about);
                Finding {
                    id,
                    app: None,
                    upstream: None,
                    status: if cause.is_advice() { Status::Advice } else { Status::Problem },
                    code: Some(cause),
                    found: filled(words.found),
                    cause: filled(words.why),
                    remedy: filled(words.remedy),
                    place: words.place.to_owned(),
                }
            }
        }
    }
}

/// The findings of one examination, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The language that it is in.
    pub language: Language,
    /// One for each check; several for a faulty configuration.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is broken.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.status != Status::Problem)
    }

    /// How many findings ended so.
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }
}

/// The one in the administrator's language.
pub(super) fn pick<T>(language: Language, zh: T, en: T) -> T {
    match language {
        Language::Chinese => zh,
        Language::English => en,
    }
}
