//! What the page says, in the member's language, without anything of another origin: style and script stand in it, and
//! its policy allows these two by their hashes.

use std::{collections::BTreeSet, fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use crate::{
    api::Handed,
    clock::{Timestamp, zone::Zone},
    model::{
        key::{ApiKey, Endpoint},
        key_link::{GRACE, Hindrance, KeyWish, LINK_VALID},
        language::Language,
    },
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const LOGO: &str = r#"<svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9"/><path d="M8 11.5a4 4 0 0 1 4-4h8a4 4 0 0 1 4 4v5a4 4 0 0 1-4 4h-4.6L10 24.6v-4.4a4 4 0 0 1-2-3.7z"/><circle cx="13" cy="14" r="1.5"/><circle cx="19" cy="14" r="1.5"/></svg>"#;

/// The `Content-Security-Policy` of all of them.
pub(super) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; object-src 'none'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        )
    });
    &POLICY
}

/// What the link is for, and the button.
pub(super) fn offer(wish: &KeyWish) -> String {
    let KeyWish { name, rotates, language } = wish;
    let (name, minutes, hours) = (escaped(name), LINK_VALID.as_secs() / 60, GRACE.as_secs() / 3600);
    let (title, what, button, note) = match (language, rotates) {
        (Language::Chinese, None) => (
            "领取 API 密钥",
            format!("点下面的按钮，生成密钥“{name}”。密钥只显示这一次，请先准备好要填写它的程序。"),
            "生成密钥",
            format!("链接只能用一次，发出后 {minutes} 分钟内有效。只打开这个页面不会生成密钥。"),
        ),
        (Language::Chinese, Some(id)) => (
            "更换 API 密钥",
            format!("点下面的按钮，为“{name}”（{id}）生成新的密钥。新密钥只显示这一次，旧的还能用 {hours} 小时。"),
            "生成新密钥",
            format!("链接只能用一次，发出后 {minutes} 分钟内有效。只打开这个页面什么也不会改变。"),
        ),
        (Language::English, None) => (
            "Get your API key",
            format!(
                "The button makes the key “{name}”. It is shown this once, so have the program at hand that needs it."
            ),
            "Make the key",
            format!("The link works once, within {minutes} minutes of being sent. Looking at this page makes no key."),
        ),
        (Language::English, Some(id)) => (
            "Rotate your API key",
            format!(
                "The button makes a new key for “{name}” ({id}). It is shown this once; the old one stays good for \
                 {hours} hours."
            ),
            "Make the new key",
            format!(
                "The link works once, within {minutes} minutes of being sent. Looking at this page changes nothing."
            ),
        ),
    };
    let body = format!(
        "<h1>{title}</h1><p>{what}</p><form method=\"post\"><button class=\"primary\" type=\"submit\">{button}</button>\
         </form><p class=\"note\">{note}</p>"
    );
    page(*language, title, &body)
}

/// The key, this once, and what a program needs beside it.
pub(super) fn key(handed: &Handed, base: &str, zone: &Zone, wish: &KeyWish) -> String {
    let Handed { key, text, models } = handed;
    let language = wish.language;
    let say = |zh: &'static str, en: &'static str| match language {
        Language::Chinese => zh,
        Language::English => en,
    };
    let title = say("你的 API 密钥", "Your API key");
    let mut body = format!(
        "<h1>{title}</h1><p class=\"warn\">{}</p>",
        say(
            "只显示这一次。请现在复制到要用它的程序里；关掉页面就再也看不到了。",
            "It is shown this once. Copy it into the program that needs it; nobody can show it again."
        )
    );
    value(&mut body, language, ("key", say("密钥", "Key")), text.expose());
    value(&mut body, language, ("base", say("接口地址（Base URL）", "Base URL")), &escaped(&format!("{base}/v1")));
    if !models.is_empty() {
        let _ = write!(body, "<h2>{}</h2><ul>", say("可用的模型", "Models"));
        for model in models {
            let _ = write!(body, "<li><code>{}</code></li>", escaped(model));
        }
        body.push_str("</ul>");
    }
    body.push_str("<dl>");
    for (name, value) in rows(key, zone, wish) {
        let _ = write!(body, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    let _ = write!(
        body,
        "</dl><p class=\"note\">{}</p>",
        say(
            "密钥等于你本人：用量算在你的额度里。不要发到群里，不要写进代码仓库。泄露了就在企业微信里发“/key revoke 编号”停用。",
            "The key speaks for you, and what it uses counts as yours. Do not post it, and do not commit it. If it leaks, \
             send “/key revoke ID” in WeCom."
        )
    );
    page(language, title, &body)
}

/// Names and values of what else is known of a key.
fn rows(key: &ApiKey, zone: &Zone, wish: &KeyWish) -> Vec<(&'static str, String)> {
    let date = |at: Timestamp| zone.local(at).to_string();
    let [name, id, endpoints, end, old] = match wish.language {
        Language::Chinese => ["名称", "编号", "接口", "到期", "旧密钥到期"],
        Language::English => ["Name", "ID", "Endpoints", "Ends", "Old key ends"],
    };
    let previous = key.previous.as_ref().filter(|_| wish.rotates.is_some()).map(|(_, until)| date(*until));
    let some = |all: &BTreeSet<Endpoint>| all.iter().map(|endpoint| endpoint.as_str()).collect::<Vec<_>>().join(", ");
    let rows = [
        (name, Some(key.name.clone())),
        (id, Some(key.id.to_string())),
        (endpoints, key.scope.endpoints.as_ref().map(some)),
        (end, key.expires_at.map(date)),
        (old, previous),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Why there is no key, where the link is good as before.
pub(super) fn hindered(hindrance: Hindrance, most: u32, language: Language) -> String {
    let (title, text) = match (language, hindrance) {
        (Language::Chinese, Hindrance::Full) => (
            "密钥数量已到上限",
            format!(
                "每人最多自己建立 {most} 个密钥。在企业微信里发 /key 查看，发“/key revoke 编号”停用一个，再回来刷新这个页面。"
            ),
        ),
        (Language::Chinese, Hindrance::NotTheirs) => {
            ("这个密钥不能更换", "它已停用或到期。在企业微信里发 /key 查看，或发“/key new 名称”新建。".to_owned())
        }
        (Language::English, Hindrance::Full) => (
            "You have as many keys as you may",
            format!(
                "You may make {most} of your own. In WeCom, /key shows them; send “/key revoke ID” for one that you no \
                 longer need, and load this page again."
            ),
        ),
        (Language::English, Hindrance::NotTheirs) => (
            "This key cannot be rotated",
            "It was revoked, or its time is over. In WeCom, /key shows your keys, and “/key new NAME” makes one."
                .to_owned(),
        ),
    };
    page(language, title, &format!("<h1>{title}</h1><p>{text}</p>"))
}

/// What every link gets that is not good.
pub(super) fn gone() -> String {
    let zh = ("这个链接打不开了", "它可能已经用过、过期或不完整。需要的话，请在企业微信里重新发送 /key 获取新的链接。");
    let en = (
        "This link opens nothing",
        "It may have been used, be too old, or be incomplete. Send /key in WeCom to get another.",
    );
    in_both(zh, en)
}

/// What is said when we cannot know.
pub(super) fn unavailable() -> String {
    let zh = ("暂时打不开", "请过一会儿刷新这个页面；链接还没有用掉。");
    let en = ("Not at this moment", "Please load this page again in a while; the link is not used up.");
    in_both(zh, en)
}

fn in_both(zh: (&str, &str), en: (&str, &str)) -> String {
    let body = format!(
        "<h1>{}</h1><p>{}</p><div lang=\"en\"><h2>{}</h2><p class=\"note\">{}</p></div>",
        zh.0, zh.1, en.0, en.1
    );
    page(Language::Chinese, zh.0, &body)
}

/// Something to copy. `value` is HTML.
fn value(body: &mut String, language: Language, (id, name): (&str, &str), value: &str) {
    let (copy, copied) = match language {
        Language::Chinese => ("复制", "已复制"),
        Language::English => ("Copy", "Copied"),
    };
    let _ = write!(
        body,
        "<h2>{name}</h2><div class=\"value\"><code id=\"{id}\">{value}</code><button class=\"copy\" type=\"button\" hidden \
         data-copy=\"{id}\" data-copied=\"{copied}\">{copy}</button></div>"
    );
}

fn page(language: Language, title: &str, body: &str) -> String {
    let lang = match language {
        Language::Chinese => "zh-CN",
        Language::English => "en",
    };
    format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>{LOGO}{body}</main><script>{SCRIPT}</script></body></html>\n"
    )
}

/// A text as it is shown, whatever stands in it.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_calls_a_key_is_text_and_nothing_else() {
        let wish = |language| KeyWish { name: "<script>x</script>&\"'".to_owned(), rotates: None, language };
        for language in Language::ALL {
            let page = offer(&wish(language));
            assert!(
                page.contains("&lt;script&gt;x&lt;/script&gt;&amp;&quot;&#39;") && !page.contains("<script>x"),
                "{page}"
            );
        }
    }

    /// What stands between the tags, byte for byte, is what the policy has the hash of; and nothing else would be run.
    #[test]
    fn the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else() {
        for html in [gone(), unavailable(), hindered(Hindrance::Full, 3, Language::English)] {
            for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
                let (_, rest) = html.split_once(open).expect("opened");
                let (text, rest) = rest.split_once(close).expect("closed");
                assert!(policy().contains(&BASE64_STANDARD.encode(Sha256::digest(text))), "{open}");
                assert!(!rest.contains(open), "one of each");
            }
            assert!(!html.contains(" style=") && !html.contains(" onclick=") && !html.contains("src="), "{html}");
        }
        assert!(policy().starts_with("default-src 'none'; ") && !policy().contains("unsafe"));
    }
}
