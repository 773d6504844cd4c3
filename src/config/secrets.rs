//! `[secrets]`: the master keys by which secrets in the database are sealed, and what to say when they cannot be read.

use super::{
    Fault,
    fault::Wrong,
    reader::{Reader, Reported},
};
use crate::{
    model::second_factor::whose,
    vault::{Malformed, MasterKey, MasterKeys, Unreadable},
};

/// The key of the current master key.
const MASTER_KEY: &str = "secrets.master_key";
/// That of the one of before.
const PREVIOUS: &str = "secrets.previous_master_key";

/// The section's values.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// `None`: none is set, so nothing can be stored.
    pub keys: Option<MasterKeys>,
}

impl Secrets {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let current = reader.optional_text(MASTER_KEY, master_key);
        let previous = reader.optional_text(PREVIOUS, master_key);
        match (current?, previous?) {
            (Some(current), previous) => Ok(Self { keys: Some(MasterKeys { current, previous }) }),
            (None, None) => Ok(Self { keys: None }),
            (None, Some(_)) => {
                let wrong = Wrong::new(
                    ["单独出现，没有 secrets.master_key", "stands alone, without secrets.master_key"],
                    [
                        "新的主密钥写在 secrets.master_key，旧的写在这里；只有一个主密钥时写在 secrets.master_key",
                        "expected the new master key in secrets.master_key beside the old one here; where there is only one, it belongs there",
                    ],
                );
                Err(reader.contradiction(PREVIOUS, wrong))
            }
        }
    }
}

fn master_key(text: &str) -> Result<MasterKey, Wrong> {
    MasterKey::parse(text).map_err(|malformed| {
        let problem = match malformed {
            Malformed::NotBase64 => ["不是 Base64", "is not Base64"].map(str::to_owned),
            Malformed::Bytes(count) => [format!("有 {count} 字节"), format!("has {count} bytes")],
        };
        let right = [
            "应为 32 字节的 Base64，qimate secrets new-master-key 或 openssl rand -base64 32 可以生成",
            "expected 32 bytes in Base64, such as `qimate secrets new-master-key` or `openssl rand -base64 32` makes",
        ];
        Wrong::new(problem, right.map(str::to_owned))
    })
}

/// That a stored secret cannot be read: what is wrong, and how to mend it.
impl From<&Unreadable> for Fault {
    fn from(why: &Unreadable) -> Self {
        match why {
            Unreadable::NoMasterKey { needed } => {
                let problem = [
                    format!("没有填写，而数据库中保存有用主密钥 {needed} 加密的密钥"),
                    format!(
                        "is missing, and the database holds secrets that are encrypted with the master key {needed}"
                    ),
                ];
                Self::at(MASTER_KEY, Wrong::new(problem, where_the_right_one_is()))
            }
            Unreadable::OtherMasterKey { needed, set } => {
                let set: Vec<_> = set.iter().map(ToString::to_string).collect();
                let problem = [
                    format!("是另一个主密钥（{}）：数据库中的密钥是用主密钥 {needed} 加密的", set.join("、")),
                    format!(
                        "is another master key ({}) than the one with which secrets in the database are encrypted ({needed})",
                        set.join(", ")
                    ),
                ];
                Self::at(MASTER_KEY, Wrong::new(problem, where_the_right_one_is()))
            }
            Unreadable::DamagedKey { number } => {
                let problem = [
                    format!("正确，但密钥环中的 {number} 号密钥已损坏"),
                    format!("is the right one, but key {number} of the ring is damaged"),
                ];
                let remedy = [
                    "请恢复备份（qimate restore），或用 qimate secrets remove --all 删除后重新保存",
                    "restore a backup (`qimate restore`), or `qimate secrets remove --all` and set the secrets anew",
                ];
                Self::at(MASTER_KEY, Wrong::new(problem, remedy.map(str::to_owned)))
            }
            Unreadable::DamagedValue { name } => {
                let problem = [
                    "在数据库中的值已损坏，或被换成了别的",
                    "is damaged in the database, or was put there in the place of another",
                ];
                let remedy = match whose(name) {
                    Some(operator) => [
                        format!("请用 qimate operator reset {operator} 重新设置"),
                        format!("`qimate operator reset {operator}` gives a code by which it is set up anew"),
                    ],
                    None => [
                        format!("请用 qimate secrets set {name} 重新保存，或用 qimate secrets remove {name} 删除"),
                        format!(
                            "`qimate secrets set {name}` stores it anew, `qimate secrets remove {name}` takes it away"
                        ),
                    ],
                };
                Self::at(name.as_str(), Wrong::new(problem.map(str::to_owned), remedy))
            }
        }
    }
}

fn where_the_right_one_is() -> [String; 2] {
    [
        "请把那个主密钥填在 secrets.master_key（环境变量 QIMATE_SECRETS__MASTER_KEY，或用 \
         QIMATE_SECRETS__MASTER_KEY_FILE 指定文件）；更换期间，旧的填在 secrets.previous_master_key。主密钥已丢失时，用 \
         qimate secrets remove --all 删除，再重新保存，管理员的第二因素用 qimate operator reset 重新设置",
        "expected that one in secrets.master_key (QIMATE_SECRETS__MASTER_KEY, or a file by \
         QIMATE_SECRETS__MASTER_KEY_FILE), or in secrets.previous_master_key while another takes its place; if it is lost, \
         `qimate secrets remove --all` and set the secrets anew, and second factors of operators by `qimate operator reset`",
    ]
    .map(str::to_owned)
}
