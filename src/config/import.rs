//! From a chatgpt-on-wechat `config.json` to a configuration file of ours.
//!
//! The names that both have a meaning for are those of `legacy`, in small letters; here is what only the file has, and
//! what to say about the rest. It is read as chatgpt-on-wechat itself reads it: as strict JSON, the last of equal keys
//! counting; beyond that, a byte order mark is passed over.

use serde_json::Value;

use super::{Config, Faults, fault::Wrong, legacy, loaded::one_line, write::NewFile};

/// Where it listens when its file does not say.
const ITS_PORT: &str = "9898";

/// Why a file could not be taken over. Quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not JSON.
    #[error(
        "line {line}, column {column}: is not JSON; comments and commas before a closing bracket are not allowed, \
         chatgpt-on-wechat does not start with them either"
    )]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("is not a config.json: expected {{ ... }} with keys and values")]
    NotAnObject,
}

/// A value that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its key there.
    pub from: String,
    /// Its key here.
    pub to: &'static str,
    /// What may be shown of it.
    pub shown: String,
}

/// A key that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its key there.
    pub key: String,
    /// Why, and what there is instead.
    pub why: String,
}

/// What became of a `config.json`.
#[derive(Clone)]
pub struct Imported {
    /// The file to be written. Holds the secrets.
    pub file: NewFile,
    /// What is in it.
    pub taken: Vec<Taken>,
    /// What is not.
    pub left: Vec<Left>,
}

const HEAD: &str = "Taken over from a chatgpt-on-wechat config.json by `qimate import-cow`.\n\
                    config.example.toml explains these and all other settings. 其余设置见 config.example.toml。";

/// Takes over what has a counterpart, and says what has none.
///
/// # Errors
/// [`ImportError`] when it is not JSON.
pub fn import_cow(text: &str) -> Result<Imported, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let json: Value = serde_json::from_str(text)
        .map_err(|error| ImportError::NotJson { line: error.line(), column: error.column() })?;
    let Value::Object(entries) = json else { return Err(ImportError::NotAnObject) };
    let mut imported = Imported { file: NewFile::new(HEAD), taken: Vec::new(), left: Vec::new() };
    let azure = entries.get("use_azure_chatgpt").is_some_and(|value| *value == Value::Bool(true));
    let mut port = None;
    for (key, value) in &entries {
        let Some(text) = plain(value) else {
            if !is_nothing(value) {
                imported.leave(key, remark(key));
            }
            continue;
        };
        match key.to_ascii_lowercase().as_str() {
            _ if text.starts_with("YOUR ") => imported.leave(key, "is the placeholder of the template"),
            "wechatcomapp_port" => port = Some((key.clone(), text)),
            "temperature" => imported.take(key, "llm.temperature", &text),
            "subscribe_msg" => imported.take(key, "chat.welcome", &text.replace("{trigger_prefix}", "")),
            "channel_type" if text == "wechatcom_app" => {}
            "open_ai_api_base" if azure => imported.leave(key, AZURE),
            lower => match legacy::NAMES.iter().find(|name| name.variable.eq_ignore_ascii_case(lower)) {
                Some(name) => match (name.adapt)(&text) {
                    Ok(adapted) => imported.take(key, name.key, &adapted),
                    Err(wrong) => imported.leave(key, &told(&wrong)),
                },
                None => imported.leave(key, remark(lower)),
            },
        }
    }
    // Not the default of ours: the proxy or the firewall in front knows that port.
    let (from, port) =
        port.unwrap_or_else(|| (format!("{} (its default)", legacy::PORT.to_lowercase()), ITS_PORT.into()));
    imported.take(&from, "server.listen", &format!("0.0.0.0:{port}"));
    imported.drop_what_is_refused();
    Ok(imported)
}

impl Imported {
    /// What must still be set before Qimate starts with this file. Empty when it starts.
    pub fn missing(&self) -> Vec<String> {
        match self.load() {
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
            Ok(()) => Vec::new(),
        }
    }

    fn take(&mut self, from: &str, to: &'static str, text: &str) {
        const SECRETS: [&str; 5] =
            ["wecom.secret", "wecom.callback_token", "wecom.encoding_aes_key", "llm.api_key", "llm.proxy"];
        match to {
            "wecom.agent_id" | "chat.context_tokens" | "chat.idle_minutes" => match text.parse::<i64>() {
                Ok(number) => self.file.set(to, number, ""),
                Err(_) => return self.leave(from, "is not a whole number"),
            },
            "llm.temperature" => match text.parse::<f64>() {
                Ok(number) => self.file.set(to, number, ""),
                Err(_) => return self.leave(from, "is not a number"),
            },
            _ => self.file.set(to, text, ""),
        }
        let shown = if SECRETS.contains(&to) { "***".to_owned() } else { one_line(text) };
        self.taken.push(Taken { from: from.to_owned(), to, shown });
    }

    fn leave(&mut self, key: &str, why: &str) {
        self.left.push(Left { key: key.to_owned(), why: why.to_owned() });
    }

    /// A value that Qimate would refuse must not keep it from starting.
    fn drop_what_is_refused(&mut self) {
        let Err(faults) = self.load() else { return };
        for fault in faults.iter() {
            if let Some(at) = self.taken.iter().position(|taken| taken.to == fault.place()) {
                let taken = self.taken.remove(at);
                self.file.unset(taken.to);
                self.leave(&taken.from, &format!("not taken: {fault}"));
            }
        }
    }

    /// Loads the file as Qimate would, with nothing beside it.
    fn load(&self) -> Result<(), Faults> {
        Config::load_text(&self.file.text()).map(|_| ())
    }
}

fn told(wrong: &Wrong) -> String {
    format!("not taken: {wrong}")
}

/// A value that is one text, or can be written as one. Nothing is `None`, too.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("true".to_owned()),
        _ => None,
    }
}

/// Whether a value says that nothing was wanted.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

const AZURE: &str = "for Azure, set llm.base_url = \"https://RESOURCE.openai.azure.com/openai/v1\" and llm.model to the \
                     deployment's name";

/// What is said of keys that begin so; the first that fits counts.
const REMARKS: &[(&str, &str)] = &[
    ("use_azure_chatgpt", AZURE),
    ("azure_deployment_id", AZURE),
    ("azure_api_version", "not needed with Azure's /openai/v1"),
    ("bot_type", "every API that speaks like OpenAI's is asked the same way: llm.base_url and llm.model"),
    ("moonshot_", "set llm.base_url = \"https://api.moonshot.cn/v1\" and put the key into llm.api_key"),
    ("zhipu_ai_", "set llm.base_url = \"https://open.bigmodel.cn/api/paas/v4\" and put the key into llm.api_key"),
    (
        "dashscope_",
        "set llm.base_url = \"https://dashscope.aliyuncs.com/compatible-mode/v1\" and put the key into llm.api_key",
    ),
    ("qwen_", "use the compatible mode of DashScope: llm.base_url and llm.api_key"),
    ("gemini_", "set llm.base_url = \"https://generativelanguage.googleapis.com/v1beta/openai\" and llm.api_key"),
    ("claude_api_key", "set llm.base_url = \"https://api.anthropic.com/v1\" and put the key into llm.api_key"),
    ("linkai_", "set llm.base_url to the provider's address that speaks like OpenAI's, and llm.api_key"),
    ("use_linkai", "set llm.base_url to the provider's address that speaks like OpenAI's, and llm.api_key"),
    ("minimax_", "set llm.base_url to the provider's address that speaks like OpenAI's, and llm.api_key"),
    ("xunfei_", "set llm.base_url to the provider's address that speaks like OpenAI's, and llm.api_key"),
    ("baidu_wenxin_", "set llm.base_url to the provider's address that speaks like OpenAI's, and llm.api_key"),
    ("single_chat_", "not needed: whatever a member writes to the app is answered, and nothing is put around it"),
    ("group_", "an app of WeCom has no groups"),
    ("nick_name_", "who may write is set in WeCom: the app's visible range"),
    ("trigger_by_self", "an app does not write to itself"),
    ("concurrency_in_session", "each member's messages are answered one at a time, in order"),
    ("rate_limit_", "there is no such limit; WeCom's own limits are kept without a setting"),
    ("request_timeout", "llm.first_delta_timeout_seconds, llm.gap_timeout_seconds and llm.answer_timeout_seconds"),
    ("timeout", "llm.max_retries, and the timeouts of [llm]"),
    ("top_p", "left to the API"),
    ("frequency_penalty", "left to the API"),
    ("presence_penalty", "left to the API"),
    ("clear_memory_commands", "the commands are /new, 新对话 and #清除记忆"),
    ("debug", "log.level = \"debug\""),
    ("appdata_dir", "storage.data_dir; what chatgpt-on-wechat stored is not taken over"),
    ("channel_type", "Qimate serves self-built apps of WeCom (wechatcom_app) and no other channel"),
    ("image_", "pictures are not made"),
    ("text_to_image", "pictures are not made"),
    ("dalle3_", "pictures are not made"),
    ("azure_openai_dalle", "pictures are not made"),
    ("max_media_send_count", "pictures are not sent"),
    ("media_send_interval", "pictures are not sent"),
    ("speech_recognition", "voice is not understood yet; the member is told so"),
    ("voice_", "voice is not understood yet; the member is told so"),
    ("always_reply_voice", "answers are text"),
    ("text_to_voice", "answers are text"),
    ("tts_", "answers are text"),
    ("azure_voice_", "voice is not understood yet"),
    ("xi_", "answers are text"),
    ("baidu_", "voice and translation are not there"),
    ("translate", "ask the model to translate"),
    ("chat_", "there are no service hours"),
    ("plugin_", "there are no plugins"),
    ("use_global_plugin_config", "there are no plugins"),
    ("wechatmp_", "another channel: Qimate serves WeCom only"),
    ("wechaty_", "another channel: Qimate serves WeCom only"),
    ("wework_", "another channel: Qimate serves WeCom only"),
    ("feishu_", "another channel: Qimate serves WeCom only"),
    ("dingtalk_", "another channel: Qimate serves WeCom only"),
    ("hot_reload", "another channel: Qimate serves WeCom only"),
];

fn remark(key: &str) -> &'static str {
    let key = key.to_ascii_lowercase();
    REMARKS.iter().find(|(begin, _)| key.starts_with(begin)).map_or("is not known to Qimate", |(_, remark)| remark)
}
