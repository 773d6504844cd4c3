//! What is said about a member's own API keys. Never a key: that is shown once, by the page behind a link.

use super::quota::Wording;
use crate::{
    clock::Timestamp,
    model::{
        key::{ApiKey, LONGEST_NAME, Standing},
        key_link::{GRACE, Hindrance, LINK_VALID},
        language::Language,
    },
    store::keys::Revoked,
};

/// Keys that are listed; nobody reads more.
const LISTED: usize = 20;

impl Wording<'_> {
    /// Members make none here.
    pub fn no_keys(&self) -> String {
        let contact = self.contact();
        match self.language {
            Language::Chinese => format!("这里没有开启自己生成 API 密钥。需要的话请联系{contact}。"),
            Language::English => format!("Members make no API keys here. Ask {contact} if you need one."),
        }
    }

    /// How to write it.
    pub fn how_to_keys(&self) -> String {
        match self.language {
            Language::Chinese => {
                "发 /key 查看自己的 API 密钥，发“/key new 名称”新建，发“/key rotate 编号”更换，发“/key revoke 编号”停用。"
                    .to_owned()
            }
            Language::English => "/key shows your API keys; “/key new NAME” makes one, “/key rotate ID” gives one another \
                                  secret, “/key revoke ID” takes one back."
                .to_owned(),
        }
    }

    /// No key can be called so.
    pub fn no_key_name(&self) -> String {
        match self.language {
            Language::Chinese => format!("名称太长：最多 {LONGEST_NAME} 个字。"),
            Language::English => format!("That name is too long: it may have {LONGEST_NAME} characters."),
        }
    }

    /// It is no id of a key.
    pub fn no_key_id(&self) -> String {
        match self.language {
            Language::Chinese => "这不是密钥的编号。编号有 12 位，发 /key 可以看到。".to_owned(),
            Language::English => "This is no id of a key. An id has 12 digits; /key shows them.".to_owned(),
        }
    }

    /// The keys of a member, who may have `most` of their own making.
    pub fn keys(&self, keys: &[ApiKey], most: u32, now: Timestamp) -> String {
        let good = keys.iter().filter(|key| key.self_made && key.standing(now) == Standing::Good).count();
        let more = most.saturating_sub(u32::try_from(good).unwrap_or(u32::MAX));
        let (lines, how): (Vec<_>, _) =
            (keys.iter().take(LISTED).map(|key| self.key(key, now)).collect(), self.how_to_keys());
        let lines = lines.join("\n");
        match (self.language, keys.is_empty()) {
            (Language::Chinese, true) => format!("你还没有 API 密钥，可以新建 {most} 个。\n\n{how}"),
            (Language::Chinese, false) => format!("你的 API 密钥：\n{lines}\n\n还可以新建 {more} 个。{how}"),
            (Language::English, true) => format!("You have no API keys; you may make {most}.\n\n{how}"),
            (Language::English, false) => format!("Your API keys:\n{lines}\n\nYou may make {more} more. {how}"),
        }
    }

    fn key(&self, key: &ApiKey, now: Timestamp) -> String {
        let ApiKey { id, name, .. } = key;
        let date = |at: Timestamp| self.zone.local(at).to_string();
        let is_over = key.standing(now) == Standing::Expired;
        match self.language {
            Language::Chinese => {
                let made = if key.self_made { "" } else { "，管理员建立" };
                let used = key.last_used_at.map_or("还没用过".to_owned(), |at| format!("最后使用 {}", date(at)));
                let end = match key.expires_at {
                    Some(at) if is_over => format!("，已于 {} 到期", date(at)),
                    Some(at) => format!("，{} 到期", date(at)),
                    None => String::new(),
                };
                format!("{id} {name}：{used}{end}{made}")
            }
            Language::English => {
                let made = if key.self_made { "" } else { ", made by an operator" };
                let used = key.last_used_at.map_or("not used yet".to_owned(), |at| format!("last used {}", date(at)));
                let end = match key.expires_at {
                    Some(at) if is_over => format!(", ended {}", date(at)),
                    Some(at) => format!(", ends {}", date(at)),
                    None => String::new(),
                };
                format!("{id} {name}: {used}{end}{made}")
            }
        }
    }

    /// The link behind which the key is; or why there is none. `rotates`: one that is there gets another secret.
    pub fn key_offered(&self, offered: Result<&str, Hindrance>, rotates: bool, most: u32) -> String {
        let minutes = LINK_VALID.as_secs() / 60;
        let hours = GRACE.as_secs() / 3600;
        match (offered, self.language) {
            (Ok(url), Language::Chinese) => {
                let what = if rotates {
                    format!("打开下面的链接，领取新的密钥；领取后旧的还能用 {hours} 小时。")
                } else {
                    "打开下面的链接，生成并领取密钥。".to_owned()
                };
                format!("{what}链接只能用一次，{minutes} 分钟内有效，不要转发给别人：\n{url}")
            }
            (Ok(url), Language::English) => {
                let what = if rotates {
                    format!("Open this link to get the new key; the old one stays good for {hours} hours after that.")
                } else {
                    "Open this link to make your key and get it.".to_owned()
                };
                format!("{what} The link works once, within {minutes} minutes; do not pass it on:\n{url}")
            }
            (Err(Hindrance::Full), Language::Chinese) => {
                format!(
                    "每人最多自己建立 {most} 个密钥，已经到了。发 /key 查看，发“/key revoke 编号”停用一个后可以再建。"
                )
            }
            (Err(Hindrance::Full), Language::English) => format!(
                "You have the {most} keys that you may make. /key shows them; after “/key revoke ID” you can make another."
            ),
            (Err(Hindrance::NotTheirs), Language::Chinese) => {
                "没有这样一个你自己建立、还有效的密钥。发 /key 查看。".to_owned()
            }
            (Err(Hindrance::NotTheirs), Language::English) => {
                "There is no such key that you made and that is good. /key shows them.".to_owned()
            }
        }
    }

    /// What came of taking a key back.
    pub fn key_revoked(&self, revoked: Revoked) -> String {
        match (revoked, self.language) {
            (Revoked::Yes, Language::Chinese) => "好的，这个密钥已停用，不能恢复。".to_owned(),
            (Revoked::Yes, Language::English) => "This key is revoked, for good.".to_owned(),
            (Revoked::Already, Language::Chinese) => "这个密钥早已停用。".to_owned(),
            (Revoked::Already, Language::English) => "This key was revoked before.".to_owned(),
            (Revoked::NotThere, Language::Chinese) => "你没有这个编号的密钥。发 /key 查看。".to_owned(),
            (Revoked::NotThere, Language::English) => "You have no key with this id. /key shows them.".to_owned(),
        }
    }
}
