//! The assistant's longer sentences, in both languages.

use crate::{
    config::chat,
    web::Knock,
    wecom::{answer::Refusal, answer::Trouble, callback::Rejection},
};

/// In which language the assistant speaks.
///
/// Chinese, unless it is told otherwise: by `--language`, or by `chat.language`. The variable LANG is not asked. It
/// says little about who sits there, for most servers in China run with `en_US.UTF-8` or `C`; and WeCom's console,
/// which the assistant leads through, is Chinese.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 中文
    Zh,
    /// English
    En,
}

impl Language {
    /// By the name that the configuration uses.
    pub(super) fn of(name: Option<&str>) -> Self {
        if name.is_some_and(|name| name.eq_ignore_ascii_case("en")) { Self::En } else { Self::Zh }
    }

    /// The same, as a setting.
    pub(super) const fn of_the_daemon(self) -> chat::Language {
        match self {
            Self::Zh => chat::Language::Chinese,
            Self::En => chat::Language::English,
        }
    }

    /// The text in this language.
    pub(super) const fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

pub(super) const WELCOME_ZH: &str = "\
企伴 · 接入企业微信（English: qimate init --language en）

用管理员账号登录 https://work.weixin.qq.com ，在“应用管理 → 自建”里创建一个应用，然后回答下面的问题。
方括号里是默认值，直接回车即采用。Ctrl-C 随时退出。";
pub(super) const WELCOME_EN: &str = "\
Qimate · connect it with WeCom

Log in at https://work.weixin.qq.com as an administrator, create an application under 应用管理 → 自建, and answer
these questions. Enter alone takes what stands in brackets. Ctrl-C leaves at any time.";

pub(super) const HEAD_ZH: &str = "企伴的配置，由 qimate init 写成。含有密钥，请勿外传。\n\
                                  未写出的设置保持默认值，全部设置见 config.example.toml。";
pub(super) const HEAD_EN: &str = "Qimate's configuration, written by qimate init. It holds secrets: keep it to yourself.\n\
                                  What is left out keeps its default; config.example.toml lists every setting.";

pub(super) const PASTE_ZH: &str = "\n在管理后台打开：应用管理 → 您的应用 → 接收消息 → 设置API接收，填写：\n";
pub(super) const PASTE_EN: &str =
    "\nIn WeCom's console open 应用管理 → your app → 接收消息 → 设置API接收 and fill in:\n";
pub(super) const SHOWN_ZH: &str = "\n  以上两个密钥只为粘贴而显示，请勿截图外传；其余密钥一概不显示。";
pub(super) const SHOWN_EN: &str =
    "\n  These two are shown only to be pasted: let nobody see them. No other secret is shown.";

/// Why WeCom gives no access token.
pub(super) fn refused(refusal: &Refusal, language: Language) -> String {
    let errcode = refusal.errcode;
    let (zh, en) = match errcode.0 {
        40001 | 41004 | 40091 => (
            "Secret 不对，或不属于这个企业。请在“应用管理 → 您的应用 → Secret”重新查看并复制",
            "the Secret is wrong or of another enterprise; copy it again (应用管理 → your app → Secret)",
        ),
        40013 | 41002 => (
            "企业ID 不对。请在“我的企业 → 企业信息”最下方重新复制",
            "the corp id is wrong; copy it again (我的企业 → 企业信息 → 企业ID)",
        ),
        45009 => ("调用太频繁，请过一会儿再试", "too many calls; try again later"),
        _ => ("请在管理后台检查该应用", errcode.remedy().unwrap_or("look at the application in WeCom's console")),
    };
    match language {
        Language::Zh => format!(
            "✗ 企业微信拒绝了企业ID 和 Secret（errcode {errcode}）：{zh}。\n  改正：再次运行 qimate init，先答 y，不用改的值直接回车。"
        ),
        Language::En => format!(
            "✗ WeCom refuses the corp id and Secret (errcode {errcode}): {en}.\n  \
             To mend it, run qimate init again and say y; Enter keeps the other values."
        ),
    }
}

/// Why WeCom could not be asked.
pub(super) fn unreachable(cause: &Trouble, api_base: &str, language: Language) -> String {
    let mut causes = cause.to_string();
    let mut next = std::error::Error::source(cause);
    while let Some(source) = next {
        causes = format!("{causes}: {source}");
        next = source.source();
    }
    match language {
        Language::Zh => format!(
            "✗ 连不上企业微信 {api_base}（{causes}），所以没能检查企业ID 和 Secret。\n  请检查本机的网络、DNS、防火墙和 wecom.proxy。"
        ),
        Language::En => format!(
            "✗ WeCom at {api_base} cannot be reached ({causes}), so corp id and Secret were not checked.\n  \
             Look at this machine's network, DNS and firewall, and at wecom.proxy."
        ),
    }
}

/// What a request says about the set-up.
pub(super) fn knock(knock: &Knock, callback_path: &str, language: Language) -> String {
    let (zh, en) = match knock {
        Knock::Verified => ("✓ 企业微信已验证回调地址".to_owned(), "✓ WeCom verified the callback URL".to_owned()),
        Knock::Refused(Rejection::WrongSignature) => (
            "✗ 收到验证请求，但签名不对：后台填写的 Token 与配置里的不同。请重新粘贴 Token，再点保存。".to_owned(),
            "✗ A verification came, but its signature is wrong: the Token in the console differs from the \
             configuration's. Paste the Token again and save."
                .to_owned(),
        ),
        Knock::Refused(Rejection::Undecryptable(_)) => (
            "✗ 收到验证请求，Token 正确，但无法解密：后台的 EncodingAESKey 与配置里的不同。请重新粘贴，再点保存。"
                .to_owned(),
            "✗ A verification came, its Token is right, but it does not decrypt: the EncodingAESKey in the console \
             differs from the configuration's. Paste it again and save."
                .to_owned(),
        ),
        Knock::Refused(Rejection::OtherReceiver { found }) => (
            format!("✗ 收到验证请求，Token 和 EncodingAESKey 正确，但它属于企业 {found}：配置里的企业ID 不同。"),
            format!("✗ A verification came with the right keys, but for the enterprise {found}: the corp id differs."),
        ),
        Knock::Refused(Rejection::MissingParameter(name)) => (
            format!("✗ 收到的请求缺少参数 {name}：请检查反向代理是否丢掉了“?”之后的部分。"),
            format!("✗ A request came without `{name}`: let no proxy drop what stands after the `?`."),
        ),
        Knock::Refused(rejection) => (format!("✗ 拒绝了一个请求：{rejection}"), format!("✗ Refused: {rejection}")),
        Knock::Bare => (
            "· 有人打开了回调地址，但不带企业微信的参数（浏览器、扫描器，或反向代理丢掉了“?”之后的部分）。\
             说明地址可以访问；请在管理后台点保存。"
                .to_owned(),
            "· Somebody asked for the callback URL without WeCom's parameters (a browser, a scanner, or a proxy that \
             drops what stands after the `?`). So the address can be reached; save in the console."
                .to_owned(),
        ),
        Knock::WrongPath { path } => (
            format!("✗ 收到验证请求，但路径是 {path}，应为 {callback_path}。请检查后台 URL 的末尾，或反向代理的路径。"),
            format!(
                "✗ A verification came to the path {path} instead of {callback_path}. Look at the end of the URL in \
                 the console, or at the proxy's paths."
            ),
        ),
        Knock::Message => (
            "· 收到一条消息：回调地址早已验证过。请运行 qimate 来回答；企业微信会重发。".to_owned(),
            "· A message came: the URL was verified before. Run qimate to answer; WeCom sends it again.".to_owned(),
        ),
        Knock::Stranger => (
            "· 有人访问了别的路径（浏览器或扫描器），与企业微信无关。".to_owned(),
            "· Somebody asked for another path (a browser or a scanner); this was not WeCom.".to_owned(),
        ),
    };
    match language {
        Language::Zh => zh,
        Language::En => en,
    }
}

/// What to do when the set-up is done. `command` starts the daemon.
pub(super) fn next(command: &str, language: Language) -> String {
    match language {
        Language::Zh => format!(
            "\n接下来：\n  \
             1. 运行  {command}\n  \
             2. 应用管理 → 您的应用 → 企业可信IP：填写本机的公网出口 IP。不填则发送被拒绝（60020），日志里会写明该填的 IP\n  \
             3. 应用管理 → 您的应用 → 可见范围：选上要使用的同事\n  \
             4. 在企业微信的工作台打开应用，说“你好”"
        ),
        Language::En => format!(
            "\nNext:\n  \
             1. Run  {command}\n  \
             2. 应用管理 → your app → 企业可信IP: enter this machine's public address. Without it WeCom refuses to \
             send (60020), and the log names the address to enter\n  \
             3. 应用管理 → your app → 可见范围: choose the colleagues who may use it\n  \
             4. Open the app in WeCom's 工作台 and say hello"
        ),
    }
}
