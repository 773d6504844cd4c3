//! `qimate init`: from nothing to a verified callback, in the terminal.
//!
//! Asks for what WeCom's console shows and for the model, writes a configuration file, says what to paste where, and
//! waits until WeCom has verified the callback URL. What a value must look like is the configuration's to say
//! ([`Draft`]); what is wrong with a callback is `wecom`'s. To ask for one more value, add it to `questions`.

mod ask;
mod generate;
mod questions;
mod terminal;
mod wait;
mod words;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};

pub use self::words::Language;
use self::{ask::Asker, questions::QUESTIONS, terminal::Terminal};
use crate::{
    clock::Clock,
    config::{Config, Draft, Environment, write::Present},
    net,
    wecom::token::{AccessTokens, TokenError},
};

/// What the command line says.
#[derive(Debug, Default)]
pub struct Options {
    /// The file to write; otherwise what `QIMATE_CONFIG` names, or `config.toml`.
    pub config: Option<PathBuf>,
    /// The language of the assistant; otherwise Chinese, unless `chat.language` is set to English already.
    pub language: Option<Language>,
    /// Answers that need not be asked for: key and text.
    pub given: Vec<(&'static str, String)>,
    /// Replace an existing file without asking. The old one is kept as a backup.
    pub overwrite: bool,
    /// Draw a new Token and EncodingAESKey without asking.
    pub generate: bool,
    /// Show Token and EncodingAESKey at the end although they were not drawn now.
    pub show_keys: bool,
    /// End when the file is written: WeCom is not called and not waited for.
    pub no_wait: bool,
}

/// Leads through the set-up.
///
/// # Errors
/// The input ended before everything was answered, the file cannot be written, what cannot be asked for is wrong in the
/// environment, or the address is taken.
pub async fn run(options: Options, environment: &Environment) -> anyhow::Result<()> {
    let path = options.config.clone().unwrap_or_else(|| environment.config_file());
    let mut draft = Draft::begin(&path, environment);
    let language = options.language.unwrap_or_else(|| Language::of(draft.text("chat.language")));
    let pick = |zh: &'static str, en: &'static str| language.pick(zh, en);
    let mut terminal = Terminal::new(language);
    terminal.say(pick(words::WELCOME_ZH, words::WELCOME_EN));

    let asked: Vec<_> = QUESTIONS.iter().map(|question| question.key).collect();
    if let Err(faults) = draft.check_beside(&asked) {
        bail!(
            "{}\n{}",
            pick("以下设置有误，请先改正：", "mend these settings first:"),
            faults.told(language.of_the_daemon())
        );
    }
    if path.symlink_metadata().is_ok() && !options.overwrite && !may_replace(&mut terminal, &path, language)? {
        terminal.say(pick("没有改动任何文件。", "Nothing was changed."));
        return Ok(());
    }
    let mut asker = Asker { draft: &mut draft, terminal: &mut terminal, options: &options, language };
    let drawn = asker.ask_all()?;

    let file = draft.file(pick(words::HEAD_ZH, words::HEAD_EN), |key| questions::comment(key, language));
    let backup = file
        .write(&path, Present::BackedUp)
        .with_context(|| format!("{} {}", pick("无法写入", "cannot write"), path.display()))?;
    terminal.say("");
    if let Some(backup) = backup {
        terminal.say(&format!("✓ {} {}", pick("旧文件备份为", "the old file is kept as"), backup.display()));
    }
    terminal.say(&format!(
        "✓ {} {}{}",
        pick("已写入", "written:"),
        path.display(),
        pick("（只有您的账户可以读取）", " (readable by your account only)")
    ));
    let config = match Config::load(Some(&path), environment) {
        Ok(loaded) => loaded.config,
        Err(faults) => bail!(
            "{}\n{}",
            pick("文件已写入，但还有问题：", "written, but something is wrong:"),
            faults.told(language.of_the_daemon())
        ),
    };

    let show = drawn
        || options.show_keys
        || terminal.confirm(
            pick(
                "要在屏幕上显示 Token 和 EncodingAESKey，以便粘贴到管理后台吗？",
                "Show Token and EncodingAESKey on the screen, to paste them into the console?",
            ),
            false,
        )?;
    say_what_to_paste(&terminal, &config, language, show);
    if options.no_wait {
        say_what_is_next(&terminal, &path, language);
        return Ok(());
    }
    check_secret(&terminal, &config, language).await?;
    terminal.leave_interrupts();
    if wait::for_verification(&terminal, &config, &path, language).await? {
        say_what_is_next(&terminal, &path, language);
    }
    Ok(())
}

fn may_replace(terminal: &mut Terminal, path: &std::path::Path, language: Language) -> anyhow::Result<bool> {
    let question = match language {
        Language::Zh => {
            format!("{} 已存在。其中的值会作为默认值；最后用新文件替换它（旧文件会备份）。继续吗？", path.display())
        }
        Language::En => format!(
            "{} exists. Its values are taken as defaults, and in the end it is replaced (a backup is kept). Go on?",
            path.display()
        ),
    };
    terminal.confirm(&question, false)
}

/// The console's form, filled in. The two keys are shown only where they are new or asked for.
fn say_what_to_paste(terminal: &Terminal, config: &Config, language: Language, show: bool) {
    let pick = |zh: &'static str, en: &'static str| language.pick(zh, en);
    let url = match &config.server.public_url {
        Some(public_url) => format!("{public_url}{}", config.server.callback_path),
        None => format!("https://{}{}", pick("您的域名", "your-domain"), config.server.callback_path),
    };
    let hidden = pick("（与您填写的相同，未显示）", "(as you entered it, not shown)");
    let (token, key) = match show {
        true => (
            config.apps.first.wecom.callback_token.expose().as_str(),
            config.apps.first.wecom.encoding_aes_key.expose().as_str(),
        ),
        false => (hidden, hidden),
    };
    terminal.say(pick(words::PASTE_ZH, words::PASTE_EN));
    terminal.say(&format!("    URL             {url}"));
    terminal.say(&format!("    Token           {token}"));
    terminal.say(&format!("    EncodingAESKey  {key}"));
    if show {
        terminal.say(pick(words::SHOWN_ZH, words::SHOWN_EN));
    }
}

/// Asks WeCom for an access token, and says what is wrong where it gives none.
async fn check_secret(terminal: &Terminal, config: &Config, language: Language) -> anyhow::Result<()> {
    net::install_crypto();
    let http = net::http_client(config.apps.first.wecom.proxy.as_ref(), config.apps.first.wecom.timeout)
        .context("wecom.proxy")?;
    terminal.say("");
    let outcome = AccessTokens::new(http, &config.apps.first.wecom, Clock::System, Arc::default()).get().await;
    terminal.say(&match outcome {
        Ok(_) => {
            language.pick("✓ 企业微信接受企业ID 和 Secret", "✓ WeCom accepts the corp id and the Secret").to_owned()
        }
        Err(TokenError::Refused(refusal)) => words::refused(&refusal, language),
        Err(TokenError::Unreachable(cause)) => words::unreachable(&cause, &config.apps.first.wecom.api_base, language),
    });
    Ok(())
}

fn say_what_is_next(terminal: &Terminal, path: &std::path::Path, language: Language) {
    let command = match path.to_str() {
        Some("config.toml") => "qimate".to_owned(),
        _ => format!("qimate --config {}", path.display()),
    };
    terminal.say(&words::next(&command, language));
}
