//! The flags of `qimate init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use qimate::server::init;

/// Answers that `init` need not ask for. Others can see the secrets among them in the list of processes: where that
/// matters, set them as variables (QIMATE_WECOM__SECRET) or type them.
#[derive(Debug, Args)]
pub(crate) struct InitFlags {
    /// The language of the assistant: zh or en.
    #[arg(long, value_enum)]
    language: Option<Language>,
    /// wecom.corp_id
    #[arg(long, value_name = "ID")]
    corp_id: Option<String>,
    /// wecom.agent_id
    #[arg(long, value_name = "NUMBER")]
    agent_id: Option<String>,
    /// wecom.secret
    #[arg(long)]
    secret: Option<String>,
    /// wecom.callback_token
    #[arg(long)]
    token: Option<String>,
    /// wecom.encoding_aes_key
    #[arg(long, value_name = "KEY")]
    aes_key: Option<String>,
    /// wecom.api_base, where it is not WeCom's own
    #[arg(long, value_name = "URL")]
    api_base: Option<String>,
    /// llm.base_url
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// llm.api_key
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// llm.model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// server.public_url
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// server.listen
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Draw a new Token and EncodingAESKey without asking.
    #[arg(long, conflicts_with_all = ["token", "aes_key"])]
    generate: bool,
    /// Show Token and EncodingAESKey at the end without asking.
    #[arg(long)]
    show_keys: bool,
    /// Replace an existing file without asking; a backup is kept.
    #[arg(long)]
    overwrite: bool,
    /// End when the file is written: do not call WeCom, and do not wait for it.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Zh,
    En,
}

impl InitFlags {
    /// As what asks takes them.
    pub(crate) fn options(self, config: Option<PathBuf>) -> init::Options {
        let given = [
            ("wecom.corp_id", self.corp_id),
            ("wecom.agent_id", self.agent_id),
            ("wecom.secret", self.secret),
            ("wecom.callback_token", self.token),
            ("wecom.encoding_aes_key", self.aes_key),
            ("wecom.api_base", self.api_base),
            ("llm.base_url", self.base_url),
            ("llm.api_key", self.api_key),
            ("llm.model", self.model),
            ("server.public_url", self.public_url),
            ("server.listen", self.listen),
        ];
        init::Options {
            config,
            language: self.language.map(|language| match language {
                Language::Zh => init::Language::Zh,
                Language::En => init::Language::En,
            }),
            given: given.into_iter().filter_map(|(key, text)| Some((key, text?))).collect(),
            overwrite: self.overwrite,
            generate: self.generate,
            show_keys: self.show_keys,
            no_wait: self.no_wait,
        }
    }
}
