//! What WeCom's errcodes (page 90313) ask of us.
//!
//! Knows no request and no retry count. To react to one more errcode, add it to its class; to react in a new way, add
//! a [`Class`] and follow the compiler.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// How long [`Class::SlowDown`] means at least: WeCom blocks for as long as the window that was overrun, and its
/// shortest is a minute (page 90312).
pub const SLOW_DOWN: Duration = Duration::from_secs(60);

/// The `errcode` of an answer. Zero is success; the words beside it (`errmsg`) are no contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Errcode(pub i64);

/// What an errcode asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing: it worked.
    Ok,
    /// Fetch a new access token and try once more.
    TokenStale,
    /// The application as a whole calls too often: everybody waits, a minute to begin with.
    SlowDown,
    /// Try again in a moment.
    Busy,
    /// Our address is not among the application's trusted ones: tell the administrator which it is.
    IpRefused,
    /// Something is to be mended in WeCom's console or in our configuration; trying again does not help until then.
    Misconfigured,
    /// This member, or this group, cannot be written to.
    BadRecipient,
    /// WeCom will never take this content: too long, forbidden words, or our bug.
    BadMessage,
    /// WeCom does not take this file, or has it no longer.
    BadMedia,
    /// It belongs to an interface that Qimate does not use (login codes, suites, customer service, long connections).
    Elsewhere,
    /// WeCom invented it after this was written. Nothing was done, so it may be tried again a few times.
    Unknown,
}

impl Errcode {
    /// What it asks of us.
    pub const fn class(self) -> Class {
        match self.0 {
            0 => Class::Ok,
            40014 | 42001 => Class::TokenStale,
            45009 => Class::SlowDown,
            -1 | 6000 | 45033 => Class::Busy,
            60020 => Class::IpRefused,
            // Credentials and what hangs on them.
            40001 | 40013 | 40056 | 40091 | 41002 | 41004 | 45031 | 301002 | 2000002 => Class::Misconfigured,
            // What the console has to allow: menus, domains, callback URL, verification, permissions, retired APIs.
            40016 | 40054 | 40055 | 40057 | 43009 | 43012 | 48001 | 48002 | 48005 | 48006 | 48009 | 50001 | 50003
            | 80001 | 301007 => Class::Misconfigured,
            40003 | 40066 | 40068 | 40096 | 43004 | 46004 | 50002 | 60011 | 60111 | 60123 | 81013 | 84061 | 301021 => {
                Class::BadRecipient
            }
            // Groups, and the robots in them.
            40050 | 86001 | 86003 | 86008 | 86216 | 86217 | 86220 | 86224 | 93000 | 93004 | 93006 | 93008 => {
                Class::BadRecipient
            }
            40008 | 40033 | 40035 | 40058 | 40063 | 41001 | 41009 | 41011 | 44004 | 45002 | 45008 | 45029 | 45032
            | 45034 | 82001 | 82002 | 82003 | 85002 => Class::BadMessage,
            // Template cards, recall, and the making of groups.
            42014..=42017 | 42019 | 42020 | 42022 | 42027..=42052 | 86004..=86007 | 86215 => Class::BadMessage,
            40004 | 40006 | 40007 | 40009 | 40011 | 41006 | 44001 | 45001 | 45007 | 830002 => Class::BadMedia,
            40029
            | 40078
            | 40093
            | 41008
            | 42003
            | 42007
            | 42009
            | 42012
            | 46003
            | 91040
            | 95000..=95018
            | 846605
            | 846608
            | 846609 => Class::Elsewhere,
            _ => Class::Unknown,
        }
    }

    /// The code where it is one that this version knows, for counting: what WeCom, or whoever answers in its place,
    /// may invent has no end.
    pub fn documented(self) -> Option<i64> {
        (self.class() != Class::Unknown).then_some(self.0)
    }

    /// Where to mend it, in one line, for what an administrator can mend.
    pub const fn remedy(self) -> Option<&'static str> {
        Some(match self.0 {
            40001 | 41004 => "copy the Secret of the application again (应用管理 → the app → Secret) into wecom.secret",
            40013 | 41002 | 2000002 => "copy the 企业ID (我的企业 → 企业信息) again into wecom.corp_id",
            40056 | 301002 => "wecom.agent_id and wecom.secret must be of the same application (应用管理 → the app)",
            40091 => "wecom.secret belongs to another enterprise than wecom.corp_id",
            45031 => "WeCom asks for a new Secret: reset it (应用管理 → the app → Secret) and set wecom.secret",
            48002 => "use the Secret of a self-built application (应用管理 → 自建), not that of 通讯录同步",
            48006 => "WeCom suspended the application because it was long unused: enable it again in 应用管理",
            50003 => "the application is disabled: enable it in 应用管理 → the app",
            43009 => "the enterprise is not verified: 我的企业 → 企业信息 → 认证",
            43012 | 40057 => "set up the callback URL: 应用管理 → the app → 接收消息 → 设置API接收",
            40054 | 40055 | 50001 | 80001 => "set the trusted domain: 应用管理 → the app → 网页授权及JS-SDK",
            301007 => "WeCom says that the enterprise was dissolved or blocked: ask WeCom's support",
            48005 => "WeCom retired this API: update Qimate",
            60020 => "enter this machine's address: 应用管理 → the app → 企业可信IP; it works a minute later",
            _ => match self.class() {
                Class::Misconfigured => "look at the application and its permissions in WeCom's console (应用管理)",
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Errcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every errcode that WeCom's documentation gives a daemon to handle, in its order.
    #[rustfmt::skip]
    const DOCUMENTED: &[(Class, &[i64])] = &[
        (Class::Busy, &[-1]),
        (Class::Ok, &[0]),
        (Class::Busy, &[6000]),
        (Class::Misconfigured, &[40001]),
        (Class::BadRecipient, &[40003]),
        (Class::BadMedia, &[40004, 40006, 40009, 40011, 40007]),
        (Class::BadMessage, &[40008]),
        (Class::Misconfigured, &[40013]),
        (Class::TokenStale, &[40014]),
        (Class::Misconfigured, &[40016]),
        (Class::Elsewhere, &[40029]),
        (Class::BadMessage, &[40033, 40035]),
        (Class::BadRecipient, &[40050, 86001, 86003]),
        (Class::Misconfigured, &[40054, 40055, 40056, 40057]),
        (Class::BadMessage, &[40058, 40063]),
        (Class::BadRecipient, &[40066, 60123, 40068]),
        (Class::Elsewhere, &[40078]),
        (Class::Misconfigured, &[40091]),
        (Class::Elsewhere, &[40093]),
        (Class::BadRecipient, &[40096]),
        (Class::BadMessage, &[41001]),
        (Class::Misconfigured, &[41002, 41004]),
        (Class::BadMedia, &[41006]),
        (Class::Elsewhere, &[41008]),
        (Class::BadMessage, &[41009, 41011]),
        (Class::TokenStale, &[42001]),
        (Class::Elsewhere, &[42003, 42007, 42009, 42012]),
        (Class::BadMessage, &[42014, 42016, 42017, 42019, 42020, 42015, 42022]),
        (Class::BadMessage, &[42027, 42028, 42029, 42030, 42031, 42033, 42035, 42036, 42037, 42038, 42039, 42040]),
        (Class::BadMessage, &[42041, 42042, 42043, 42044, 42045, 42046, 42047, 42049, 42050, 42051, 42052]),
        (Class::BadRecipient, &[43004]),
        (Class::Misconfigured, &[43009, 43012]),
        (Class::BadMedia, &[44001]),
        (Class::BadMessage, &[44004]),
        (Class::BadMedia, &[45001]),
        (Class::BadMessage, &[45002]),
        (Class::BadMedia, &[45007]),
        (Class::BadMessage, &[45008]),
        (Class::SlowDown, &[45009]),
        (Class::BadMessage, &[45029]),
        (Class::Misconfigured, &[45031]),
        (Class::BadMessage, &[45032, 45034]),
        (Class::Busy, &[45033]),
        (Class::Elsewhere, &[46003]),
        (Class::BadRecipient, &[46004]),
        (Class::Misconfigured, &[48001, 48002, 48005, 48006, 48009, 50001]),
        (Class::BadRecipient, &[50002]),
        (Class::Misconfigured, &[50003]),
        (Class::BadRecipient, &[60011]),
        (Class::IpRefused, &[60020]),
        (Class::BadRecipient, &[60111]),
        (Class::Misconfigured, &[80001]),
        (Class::BadRecipient, &[81013]),
        (Class::BadMessage, &[82001, 82002, 82003]),
        (Class::BadRecipient, &[84061]),
        (Class::BadMessage, &[85002, 86004, 86005, 86006, 86007]),
        (Class::BadRecipient, &[86008]),
        (Class::BadMessage, &[86215]),
        (Class::BadRecipient, &[86216, 86217, 86220, 86224]),
        (Class::Elsewhere, &[91040]),
        (Class::BadRecipient, &[93000, 93004, 93006, 93008]),
        (Class::Elsewhere, &[95000, 95001, 95002, 95003, 95004, 95007, 95011, 95013, 95014, 95016, 95017, 95018]),
        (Class::Misconfigured, &[301002, 301007]),
        (Class::BadRecipient, &[301021]),
        (Class::BadMedia, &[830002]),
        (Class::Elsewhere, &[846605, 846608, 846609]),
        (Class::Misconfigured, &[2000002]),
    ];

    #[test]
    fn every_documented_errcode_has_its_class() {
        for (class, codes) in DOCUMENTED {
            for code in *codes {
                assert_eq!(Errcode(*code).class(), *class, "{code}");
            }
        }
        for code in [-2, 1, 42, 99_999, i64::MIN, i64::MAX] {
            assert_eq!(Errcode(code).class(), Class::Unknown, "{code}");
        }
    }

    #[test]
    fn there_is_a_remedy_exactly_where_an_administrator_can_mend() {
        for (class, codes) in DOCUMENTED {
            let mendable = matches!(class, Class::Misconfigured | Class::IpRefused);
            for code in *codes {
                let remedy = Errcode(*code).remedy();
                assert_eq!(remedy.is_some(), mendable, "{code}");
                assert!(remedy.is_none_or(|line| !line.contains('\n')), "{code}");
            }
        }
    }
}
