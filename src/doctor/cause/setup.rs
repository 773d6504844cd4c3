//! What can be wrong with the machine and with the configuration.

use super::{Texts, causes};

causes! {
    /// What can be wrong before anybody is called.
    Setup {
        /// A setting is wrong.
        Configuration,
        /// The EncodingAESKey is no key.
        EncodingAesKey,
        /// There is something else where the data directory should be.
        DataDirNotADirectory,
        /// The data directory cannot be written.
        DataDirNotWritable,
        /// The disk is nearly full.
        DiskLow,
        /// Railway, and no volume.
        RailwayWithoutVolume,
        /// Railway, and the data is beside the volume.
        RailwayBesideVolume,
        /// A container whose data is in its own file system.
        ContainerWithoutVolume,
        /// A newer Qimate wrote the database.
        DatabaseNewer,
        /// The database cannot be read.
        DatabaseUnreadable,
        /// Messages wait of an application that is not configured.
        AppGone,
        /// Our clock and WeCom's differ.
        ClockOff,
        /// Members are to make keys, and no program is answered.
        KeysWithoutV1,
        /// Members are to make keys, and there is no address for the link.
        KeysWithoutUrl,
        /// Members are to make keys, and everybody on the way could read them.
        KeysWithoutHttps,
    }
}

impl Setup {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Configuration => Texts::new(
                ["{about}", "这一项配置不能用", "按 config.example.toml 的说明修改", ""],
                ["{about}", "this setting cannot be used", "set it as config.example.toml says", ""],
            ),
            Self::EncodingAesKey => Texts::new(
                [
                    "EncodingAESKey 解不出 32 字节",
                    "wecom.encoding_aes_key 不是后台给出的 43 位字母和数字",
                    "从后台重新复制 EncodingAESKey",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → 设置API接收",
                ],
                [
                    "the EncodingAESKey does not decode to 32 bytes",
                    "wecom.encoding_aes_key is not the 43 letters and digits of WeCom's console",
                    "copy the EncodingAESKey again",
                    "应用管理 → 自建 → the app → 接收消息 → 设置API接收",
                ],
            ),
            Self::AppGone => Texts::new(
                [
                    "有消息属于不再配置的应用（企业ID/AgentId：消息 + 待发送的员工）：{about}",
                    "这些应用已从 [wecom] 或 [apps] 中移除，没有人处理它们的消息；消息不会丢失",
                    "重新配置该应用，消息会继续处理；不再需要时可忽略",
                    "",
                ],
                [
                    "messages wait of applications that are not configured (corp id/AgentId: messages + members owed): {about}",
                    "these applications were taken out of [wecom] or [apps], so nobody works on their messages; none is lost",
                    "configure the application again, and they are worked on; or leave them",
                    "",
                ],
            ),
            Self::DataDirNotADirectory => Texts::new(
                ["{about} 不是目录", "这个路径上是一个文件", "修改 storage.data_dir，或移走该文件", ""],
                [
                    "{about} is not a directory",
                    "there is a file on this path",
                    "change storage.data_dir, or move the file away",
                    "",
                ],
            ),
            Self::DataDirNotWritable => Texts::new(
                [
                    "{about} 不能写入",
                    "运行 qimate 的用户没有权限，或文件系统只读",
                    "把该目录的所有者改为运行 qimate 的用户，或修改 storage.data_dir",
                    "",
                ],
                [
                    "{about} cannot be written",
                    "the user that runs qimate may not write there, or the file system is read-only",
                    "give the directory to that user, or change storage.data_dir",
                    "",
                ],
            ),
            Self::DiskLow => Texts::new(
                [
                    "只剩 {about}",
                    "低于 alerts.disk_free_mib；磁盘写满后收不进新消息",
                    "清理磁盘或扩容；减小 storage.keep_days 也会少占空间",
                    "",
                ],
                [
                    "only {about} left",
                    "less than alerts.disk_free_mib; on a full disk no message can be taken",
                    "make room or enlarge the disk; a smaller storage.keep_days takes less",
                    "",
                ],
            ),
            Self::RailwayWithoutVolume => Texts::new(
                [
                    "{about} 不在数据卷上",
                    "这个 Railway 服务没有 Volume，重新部署后数据全部丢失",
                    "给服务添加 Volume，挂载到数据目录，再重新部署",
                    "Railway → 服务 → 右键 → Attach Volume",
                ],
                [
                    "{about} is not on a volume",
                    "this Railway service has no volume: each deployment loses all data",
                    "attach a volume, mounted at the data directory, and deploy again",
                    "Railway → the service → right click → Attach Volume",
                ],
            ),
            Self::RailwayBesideVolume => Texts::new(
                [
                    "数据目录不在 Volume 里：{about}",
                    "Volume 挂在别处，重新部署后数据全部丢失",
                    "删掉 QIMATE_STORAGE__DATA_DIR（默认就用 Volume），再重新部署",
                    "Railway → 服务 → Variables",
                ],
                [
                    "the data directory is not in the volume: {about}",
                    "the volume is mounted elsewhere: each deployment loses all data",
                    "take QIMATE_STORAGE__DATA_DIR away (the volume is the default), and deploy again",
                    "Railway → the service → Variables",
                ],
            ),
            Self::ContainerWithoutVolume => Texts::new(
                [
                    "{about} 在容器自己的文件系统里",
                    "没有挂载数据卷，删除容器后数据全部丢失",
                    "把数据卷或主机目录挂载到该目录，例如 docker run -v qimate:/data",
                    "",
                ],
                [
                    "{about} is in the container's own file system",
                    "no volume is mounted there: all data goes with the container",
                    "mount a volume or a directory of the host there, such as docker run -v qimate:/data",
                    "",
                ],
            ),
            Self::DatabaseNewer => Texts::new(
                [
                    "数据库比程序新",
                    "更新版本的 qimate 写过这个数据库（{about}）",
                    "换回那个版本的 qimate，或恢复升级前的备份",
                    "",
                ],
                [
                    "the database is newer than the program",
                    "a newer qimate has written it ({about})",
                    "use that qimate again, or restore the copy from before",
                    "",
                ],
            ),
            Self::DatabaseUnreadable => Texts::new(
                [
                    "数据库读不出来：{about}",
                    "文件损坏、被别的程序锁住，或没有权限",
                    "检查文件权限和磁盘；必要时从备份恢复",
                    "",
                ],
                [
                    "the database cannot be read: {about}",
                    "the file is damaged, locked by another program, or not ours",
                    "look at its permissions and at the disk; restore a backup if need be",
                    "",
                ],
            ),
            Self::KeysWithoutV1 => Texts::new(
                [
                    "成员还不能用 /key 生成密钥",
                    "v1.member_keys 已设置，但 v1.enabled 是 false，没有程序能使用密钥",
                    "设置 v1.enabled = true；不需要则设置 v1.member_keys = 0",
                    "",
                ],
                [
                    "members cannot make keys by /key",
                    "v1.member_keys is set, and v1.enabled is false: no program could use a key",
                    "set v1.enabled = true, or v1.member_keys = 0",
                    "",
                ],
            ),
            Self::KeysWithoutUrl => Texts::new(
                [
                    "成员还不能用 /key 生成密钥",
                    "v1.member_keys 已设置，但没有填写 server.public_url，无法给出领取链接",
                    "把 server.public_url 设为成员的浏览器能打开的 https:// 地址",
                    "",
                ],
                [
                    "members cannot make keys by /key",
                    "v1.member_keys is set, and server.public_url is not: there is no address for the link",
                    "set server.public_url to the https:// address that members' browsers can open",
                    "",
                ],
            ),
            Self::KeysWithoutHttps => Texts::new(
                [
                    "成员还不能用 /key 生成密钥",
                    "{about} 不是 https://，密钥会以明文传输",
                    "在前面配置 HTTPS 或使用 [tls]，再把 server.public_url 改为 https:// 地址",
                    "",
                ],
                [
                    "members cannot make keys by /key",
                    "{about} is not https://, so everybody on the way could read a key",
                    "put HTTPS in front or use [tls], and write the https:// address into server.public_url",
                    "",
                ],
            ),
            Self::ClockOff => Texts::new(
                [
                    "本机时间与企业微信相差 {about}",
                    "系统没有对时；会影响日志、会话超时和证书检查",
                    "打开自动对时（timedatectl set-ntp true；容器则在主机上对时）",
                    "",
                ],
                [
                    "this machine's clock and WeCom's differ by {about}",
                    "the clock is not kept in time; logs, idle times and certificates depend on it",
                    "turn on time synchronisation (timedatectl set-ntp true; for a container on its host)",
                    "",
                ],
            ),
        }
    }
}
