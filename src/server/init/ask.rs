//! Asks question by question until the configuration takes the answer.

use anyhow::bail;

use super::{
    Language, Options, generate,
    questions::{PROVIDERS, QUESTIONS, Question},
    terminal::Terminal,
};
use crate::config::{Draft, chat};

const TOKEN: &str = "wecom.callback_token";
const AES_KEY: &str = "wecom.encoding_aes_key";
const BASE_URL: &str = "llm.base_url";
const MODEL: &str = "llm.model";

/// The one who asks.
pub(super) struct Asker<'a> {
    pub(super) draft: &'a mut Draft,
    pub(super) terminal: &'a mut Terminal,
    pub(super) options: &'a Options,
    pub(super) language: Language,
}

impl Asker<'_> {
    /// Asks everything. Says whether Token and EncodingAESKey were drawn.
    ///
    /// # Errors
    /// The input has ended, or a flag gives a value that is not asked for and is wrong.
    pub(super) fn ask_all(&mut self) -> anyhow::Result<bool> {
        for (key, text) in &self.options.given {
            if !QUESTIONS.iter().any(|question| question.key == *key)
                && let Err(fault) = self.draft.answer(key, text)
            {
                bail!("{fault}");
            }
        }
        let mut drawn = false;
        for question in QUESTIONS {
            match question.key {
                TOKEN if self.wants_new_keys()? => {
                    for (key, secret) in [(TOKEN, generate::token()?), (AES_KEY, generate::encoding_aes_key()?)] {
                        let variable = self.variable_of(key);
                        self.draft.answer(key, secret.expose())?;
                        variable.iter().for_each(|variable| self.warn_of(variable));
                    }
                    self.say("  ✓ 已生成", "  ✓ generated");
                    drawn = true;
                }
                AES_KEY if drawn => {}
                _ => self.ask(question)?,
            }
        }
        Ok(drawn)
    }

    fn wants_new_keys(&mut self) -> anyhow::Result<bool> {
        if self.options.generate {
            return Ok(true);
        }
        if self.given(TOKEN).is_some() || self.given(AES_KEY).is_some() {
            return Ok(false);
        }
        let has_keys = self.draft.text(TOKEN).is_some() && self.draft.text(AES_KEY).is_some();
        self.say("", "");
        let (zh, en) = if has_keys {
            (
                "重新生成 Token 和 EncodingAESKey 吗？（不生成则沿用现有的）",
                "Draw a new Token and EncodingAESKey? (Otherwise those that are set are kept.)",
            )
        } else {
            (
                "替您生成 Token 和 EncodingAESKey 吗？（已在管理后台生成的话，请选 n 并粘贴过来）",
                "Draw a Token and an EncodingAESKey for you? (Answer n to paste those of the console.)",
            )
        };
        self.terminal.confirm(self.language.pick(zh, en), !has_keys)
    }

    fn ask(&mut self, question: &Question) -> anyhow::Result<()> {
        let [zh, en] = question.title;
        let suggestion = self.suggestion(question.key);
        let mut given = self.given(question.key);
        let variable = self.variable_of(question.key);
        if given.is_none() {
            self.say("", "");
            self.say(zh, en);
            if question.key == BASE_URL {
                for (number, provider) in PROVIDERS.iter().enumerate() {
                    self.terminal.say(&format!("  {}  {:<50} {}", number + 1, provider.base_url, provider.name));
                }
            }
        }
        loop {
            let was_given = given.is_some();
            let text = match given.take() {
                Some(text) => text,
                None => self.read(question, suggestion)?,
            };
            let text = self.expanded(question, &text);
            let outcome = match text.as_str() {
                "" if !was_given && suggestion.is_some() => {
                    self.draft.answer(question.key, suggestion.unwrap_or_default())
                }
                "" if !was_given && self.draft.text(question.key).is_some() => self.draft.keep(question.key),
                "" if !question.is_optional => {
                    self.say("  ✗ 这一项不能留空。", "  ✗ This one is needed.");
                    continue;
                }
                text => self.draft.answer(question.key, text),
            };
            match outcome {
                Ok(()) => {
                    if let (Some(variable), false) = (&variable, text.is_empty()) {
                        self.warn_of(variable);
                    }
                    return Ok(());
                }
                Err(fault) => {
                    let told = match self.language {
                        Language::Zh => {
                            format!("  ✗ 格式不对（收到 {} 个字符）：{}。", text.chars().count(), question.right)
                        }
                        Language::En => format!("  ✗ {}.", fault.sentence(chat::Language::English)),
                    };
                    if was_given {
                        self.say(zh, en);
                    }
                    self.terminal.say(&told);
                }
            }
        }
    }

    /// One line, with what an empty one means.
    fn read(&mut self, question: &Question, suggestion: Option<&str>) -> anyhow::Result<String> {
        let now = suggestion.or_else(|| self.draft.text(question.key));
        let kept = match (now, question.is_secret) {
            (None, _) => String::new(),
            (Some(now), false) => format!("[{now}] "),
            (Some(_), true) => {
                let origin = self.draft.origin(question.key).unwrap_or_default();
                match self.language {
                    Language::Zh => format!("[已设置：{origin}，回车保留] "),
                    Language::En => format!("[set by {origin}; Enter keeps it] "),
                }
            }
        };
        let prompt = format!("  {kept}> ");
        if !question.is_secret {
            return self.terminal.ask(&prompt);
        }
        let text = self.terminal.ask_secret(&prompt)?;
        if !text.is_empty() {
            let length = text.chars().count();
            self.terminal.say(&match self.language {
                Language::Zh => format!("  收到 {length} 个字符"),
                Language::En => format!("  {length} characters"),
            });
        }
        Ok(text)
    }

    /// What a number of the list stands for.
    fn expanded(&self, question: &Question, text: &str) -> String {
        if question.key == BASE_URL
            && let Ok(number) = text.parse::<usize>()
            && let Some(provider) = number.checked_sub(1).and_then(|index| PROVIDERS.get(index))
        {
            return provider.base_url.to_owned();
        }
        text.to_owned()
    }

    /// A model of the API that was just chosen, unless one is set already.
    fn suggestion(&self, key: &str) -> Option<&'static str> {
        if key != MODEL || self.draft.origin(MODEL).is_some() {
            return None;
        }
        let base_url = self.draft.text(BASE_URL)?;
        PROVIDERS.iter().find(|provider| provider.base_url == base_url).map(|provider| provider.model)
    }

    fn given(&self, key: &str) -> Option<String> {
        self.options.given.iter().find(|(given, _)| *given == key).map(|(_, text)| text.clone())
    }

    /// The variable that sets `key` now, if one does.
    fn variable_of(&self, key: &str) -> Option<String> {
        self.draft.is_variable(key).then(|| self.draft.origin(key)).flatten()
    }

    fn warn_of(&self, variable: &str) {
        self.terminal.say(&match self.language {
            Language::Zh => {
                format!("  注意：环境变量 {variable} 仍然有效，会盖过文件里的值。请删除它，或改成相同的值。")
            }
            Language::En => format!("  Note: the variable {variable} wins over the file. Remove it, or set it alike."),
        });
    }

    fn say(&self, zh: &str, en: &str) {
        self.terminal.say(match self.language {
            Language::Zh => zh,
            Language::En => en,
        });
    }
}
