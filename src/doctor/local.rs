//! What can be checked without calling anybody: the key's form, the directory, the disk, the volume, the database.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Database,
    cause::{Cause, setup::Setup},
    finding::{Check, Outcome},
    surroundings::Surroundings,
};
use crate::{
    config::{Config, Platform, Wecom, v1::Lack},
    metrics::machine,
    store,
    wecom::crypto::{CallbackToken, EncodingAesKey},
};

const MIB: u64 = 1024 * 1024;

/// Whether the callback's secrets are of their form, the older ones too.
pub(super) fn callback_key(settings: &Wecom) -> Outcome {
    let keys = [Some(&settings.encoding_aes_key), settings.previous_encoding_aes_key.as_ref()];
    let tokens = [Some(&settings.callback_token), settings.previous_callback_token.as_ref()];
    let good = keys.into_iter().flatten().all(|key| EncodingAesKey::parse(key.expose()).is_ok())
        && tokens.into_iter().flatten().all(|token| CallbackToken::parse(token.expose()).is_ok());
    if good {
        Outcome::well("EncodingAESKey 可解出 32 字节", "the EncodingAESKey decodes to 32 bytes")
    } else {
        Outcome::ill(Cause::Setup(Setup::EncodingAesKey), "")
    }
}

/// Whether members can make API keys; `None` where they are not to.
pub(super) fn member_keys(config: &Config) -> Option<Outcome> {
    let most = config.v1.member_keys.most;
    let lack = match config.v1.handed_out_at(config.server.public_url.as_deref()) {
        Ok(None) => return None,
        Ok(Some(base)) => {
            let (zh, en) =
                (format!("/key，每人最多 {most} 个，{base}/key/…"), format!("/key, {most} each, {base}/key/…"));
            return Some(Outcome::well(zh, en));
        }
        Err(lack) => lack,
    };
    Some(Outcome::ill(
        Cause::Setup(match lack {
            Lack::V1 => Setup::KeysWithoutV1,
            Lack::PublicUrl => Setup::KeysWithoutUrl,
            Lack::Https => Setup::KeysWithoutHttps,
        }),
        config.server.public_url.as_deref().unwrap_or_default(),
    ))
}

/// Whether the data directory is there or can be made, and can be written.
pub(super) fn data_dir(config: &Config) -> Outcome {
    let dir = absolute(&config.storage.data_dir);
    let shown = dir.display();
    let there = nearest_existing(&dir);
    if !there.is_dir() {
        return Outcome::ill(Cause::Setup(Setup::DataDirNotADirectory), there.display().to_string());
    }
    match tempfile::Builder::new().prefix(".qimate-doctor-").tempfile_in(&there) {
        Ok(_) if there == dir => Outcome::well(format!("{shown} 可写"), format!("{shown} can be written")),
        Ok(_) => Outcome::well(
            format!("{shown} 还不存在，首次启动时创建"),
            format!("{shown} is not there yet, the first start makes it"),
        ),
        // Writing fails on a full disk too, and that is the disk's finding.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            Outcome::well(format!("{shown} 已存在"), format!("{shown} is there"))
        }
        Err(_) => Outcome::ill(Cause::Setup(Setup::DataDirNotWritable), there.display().to_string()),
    }
}

/// Whether there is room on the disk.
pub(super) fn disk(config: &Config) -> Outcome {
    match machine::disk_free(&nearest_existing(&absolute(&config.storage.data_dir))) {
        Some(bytes) if bytes / MIB < config.alerts.disk_free_mib => {
            Outcome::ill(Cause::Setup(Setup::DiskLow), size(bytes))
        }
        Some(bytes) => Outcome::well(format!("剩余 {}", size(bytes)), format!("{} free", size(bytes))),
        None => Outcome::nothing("系统没有给出剩余空间", "the system does not say how much is free"),
    }
}

/// Whether the data outlives the container.
pub(super) fn volume(config: &Config, surroundings: &Surroundings) -> Outcome {
    let dir = resolved(&config.storage.data_dir);
    let shown = dir.display().to_string();
    match &config.platform {
        Platform::Railway { volume: None } => Outcome::ill(Cause::Setup(Setup::RailwayWithoutVolume), shown),
        Platform::Railway { volume: Some(volume) } if dir.starts_with(resolved(volume)) => Outcome::well(
            format!("在 Railway Volume {} 上", volume.display()),
            format!("on the Railway volume {}", volume.display()),
        ),
        Platform::Railway { volume: Some(volume) } => {
            Outcome::ill(Cause::Setup(Setup::RailwayBesideVolume), format!("{shown} ≠ {}", volume.display()))
        }
        Platform::Any if !surroundings.in_container => {
            Outcome::well("不在容器里，数据在本机磁盘上", "no container: the data is on this machine's disk")
        }
        Platform::Any => match surroundings.mount_of(&dir) {
            None => Outcome::nothing("系统没有给出挂载信息", "the system does not say what is mounted"),
            Some(mount) => match mount.is_fleeting() {
                Some(true) => Outcome::ill(Cause::Setup(Setup::ContainerWithoutVolume), shown),
                Some(false) => Outcome::well(
                    format!("在挂载的卷 {} 上", mount.point.display()),
                    format!("on the mounted volume {}", mount.point.display()),
                ),
                None => Outcome::nothing(
                    format!("容器的根文件系统是 {}，看不出是否会保留", mount.kind),
                    format!("the container's root is {}: it cannot be seen whether it is kept", mount.kind),
                ),
            },
        },
    }
}

/// Whether there is a database that this version reads.
pub(super) fn database(database: &Database) -> Outcome {
    match database {
        Database::Open(_) => Outcome::well("可以读取", "can be read"),
        Database::Failed(store::Error::Missing(_)) => {
            Outcome::nothing("还没有：qimate 尚未启动过", "none yet: qimate was not started yet")
        }
        Database::Failed(store::Error::NewerSchema { found, known }) => {
            Outcome::ill(Cause::Setup(Setup::DatabaseNewer), format!("{found} > {known}"))
        }
        Database::Failed(error) => Outcome::ill(Cause::Setup(Setup::DatabaseUnreadable), error.to_string()),
        Database::Unasked => Outcome::After(Check::DataDir),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = absolute(path);
    let there = nearest_existing(&path);
    let rest = path.strip_prefix(&there).unwrap_or(Path::new("")).to_owned();
    let real = there.canonicalize().unwrap_or(there);
    if rest.as_os_str().is_empty() { real } else { real.join(rest) }
}

fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/")).to_owned()
}

fn size(bytes: u64) -> String {
    match bytes / MIB {
        mib if mib < 10 * 1024 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib / 1024),
    }
}
