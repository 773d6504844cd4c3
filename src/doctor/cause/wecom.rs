//! What WeCom's API can say of the set-up, and who can answer in its place.

use super::{Texts, causes};

causes! {
    /// What is wrong between us and WeCom, once somebody answers.
    Wecom {
        /// A web page answers.
        Page,
        /// Nothing is on the API's path.
        PathNotFound,
        /// A relay cannot reach WeCom.
        Gateway,
        /// A relay sends us elsewhere.
        Redirected,
        /// Something else answers.
        Stranger,
        /// 40013
        CorpIdWrong,
        /// 40001
        SecretWrong,
        /// 40091
        SecretOfAnotherCorp,
        /// 45031
        SecretExpired,
        /// 48002
        NotSelfBuilt,
        /// 301007
        CorpBlocked,
        /// 45009
        TooManyCalls,
        /// -1 and the like
        Busy,
        /// An errcode that says nothing we know of the set-up.
        Refuses,
        /// 60020, and nothing was ever sent.
        AddressNotTrusted,
        /// 60020, and it worked before.
        AddressChanged,
        /// 301002, 40056
        AgentOfAnotherSecret,
        /// `close`, 50003, 48006
        AgentDisabled,
        /// Nobody sees the application.
        NobodySees,
        /// `invaliduser`, 81013
        NoRecipient,
        /// A message may have arrived.
        Unsure,
        /// The address book may not be read: 60011, 48002 and others.
        DirectoryRefused,
        /// The address book was not read to its end.
        DirectoryUnread,
    }
}

impl Wecom {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Page => Texts::new(
                [
                    "{about} 返回的是网页",
                    "wecom.api_base 指向了别的网站，或网络需要登录认证",
                    "核对 wecom.api_base；不用转发时恢复默认值",
                    "",
                ],
                [
                    "{about} answers with a web page",
                    "wecom.api_base leads to another site, or the network wants a login",
                    "compare wecom.api_base; leave the default where there is no relay",
                    "",
                ],
            ),
            Self::PathNotFound => Texts::new(
                [
                    "{about} 上没有 /cgi-bin",
                    "转发服务的路径不对",
                    "让转发保留 /cgi-bin/… 整个路径，或在 wecom.api_base 写上前缀",
                    "",
                ],
                [
                    "{about} has no /cgi-bin",
                    "the relay has another path",
                    "let the relay keep the whole path /cgi-bin/…, or write its prefix into wecom.api_base",
                    "",
                ],
            ),
            Self::Gateway => Texts::new(
                [
                    "中转返回 HTTP {about}",
                    "转发服务在运行，但它连不上企业微信",
                    "在转发服务器上检查到 qyapi.weixin.qq.com 的网络",
                    "",
                ],
                [
                    "the relay answers HTTP {about}",
                    "the relay runs, and does not reach WeCom",
                    "look at the relay's way to qyapi.weixin.qq.com",
                    "",
                ],
            ),
            Self::Redirected => Texts::new(
                [
                    "被重定向到 {about}",
                    "wecom.api_base 不是最终地址，常见是写了 http 而对方要求 https",
                    "把 wecom.api_base 改为最终地址",
                    "",
                ],
                [
                    "redirected to {about}",
                    "wecom.api_base is not the final address; often http instead of https",
                    "write the final address into wecom.api_base",
                    "",
                ],
            ),
            Self::Stranger => Texts::new(
                [
                    "应答不是企业微信的（HTTP {about}）",
                    "wecom.api_base 上是别的服务",
                    "核对 wecom.api_base；不用转发时恢复默认值",
                    "",
                ],
                [
                    "the answer is not WeCom's (HTTP {about})",
                    "something else is at wecom.api_base",
                    "compare wecom.api_base; leave the default where there is no relay",
                    "",
                ],
            ),
            Self::CorpIdWrong => Texts::new(
                [
                    "企业ID不正确（{about}）",
                    "wecom.corp_id 不是这家企业的企业ID",
                    "重新复制企业ID",
                    "我的企业 → 企业信息 → 企业ID",
                ],
                [
                    "the corp id is wrong ({about})",
                    "wecom.corp_id is not that of an enterprise",
                    "copy the 企业ID again",
                    "我的企业 → 企业信息 → 企业ID",
                ],
            ),
            Self::SecretWrong => Texts::new(
                [
                    "Secret 不正确（{about}）",
                    "wecom.secret 不是该应用的 Secret，或后台已重置",
                    "重新查看并复制 Secret",
                    "应用管理 → 自建 → 您的应用 → Secret",
                ],
                [
                    "the Secret is wrong ({about})",
                    "wecom.secret is not the app's Secret, or it was reset",
                    "copy the Secret again",
                    "应用管理 → 自建 → the app → Secret",
                ],
            ),
            Self::SecretOfAnotherCorp => Texts::new(
                [
                    "Secret 属于另一家企业（{about}）",
                    "wecom.corp_id 与 wecom.secret 来自不同的企业",
                    "从同一家企业的后台复制这两项",
                    "我的企业 → 企业信息；应用管理 → 您的应用",
                ],
                [
                    "the Secret is another enterprise's ({about})",
                    "wecom.corp_id and wecom.secret are of two enterprises",
                    "copy both from the same console",
                    "我的企业 → 企业信息; 应用管理 → the app",
                ],
            ),
            Self::SecretExpired => Texts::new(
                [
                    "企业微信要求更换 Secret（{about}）",
                    "这个 Secret 已失效",
                    "重置 Secret，把新值写入 wecom.secret",
                    "应用管理 → 自建 → 您的应用 → Secret",
                ],
                [
                    "WeCom wants another Secret ({about})",
                    "this one is not valid any more",
                    "reset the Secret and set wecom.secret",
                    "应用管理 → 自建 → the app → Secret",
                ],
            ),
            Self::NotSelfBuilt => Texts::new(
                [
                    "这个 Secret 不能调用应用接口（{about}）",
                    "用的是通讯录同步等其他 Secret",
                    "换成自建应用的 Secret",
                    "应用管理 → 自建 → 您的应用 → Secret",
                ],
                [
                    "this Secret may not call an app's API ({about})",
                    "it is that of 通讯录同步 or the like",
                    "use the Secret of a self-built app",
                    "应用管理 → 自建 → the app → Secret",
                ],
            ),
            Self::CorpBlocked => Texts::new(
                ["企业已解散或被封（{about}）", "企业微信停用了这家企业", "联系企业微信客服", ""],
                [
                    "the enterprise was dissolved or blocked ({about})",
                    "WeCom does not serve it any more",
                    "ask WeCom's support",
                    "",
                ],
            ),
            Self::TooManyCalls => Texts::new(
                [
                    "调用过于频繁（{about}）",
                    "企业微信暂时限流，常因别的程序用了同一个 Secret",
                    "等待一小时；停掉用同一 Secret 的其他程序",
                    "",
                ],
                [
                    "too many calls ({about})",
                    "WeCom blocks for a while; often another program uses the same Secret",
                    "wait an hour; stop other programs with this Secret",
                    "",
                ],
            ),
            Self::Busy => Texts::new(
                ["企业微信繁忙（{about}）", "企业微信一时不可用", "过几分钟再试", ""],
                ["WeCom is busy ({about})", "WeCom is not well at this moment", "try again in some minutes", ""],
            ),
            Self::Refuses => Texts::new(
                [
                    "企业微信拒绝：{about}",
                    "应用的设置或权限不允许",
                    "按错误码查询：open.work.weixin.qq.com/devtool/query",
                    "应用管理 → 自建 → 您的应用",
                ],
                [
                    "WeCom refuses: {about}",
                    "the app's settings or permissions do not allow it",
                    "look the errcode up: open.work.weixin.qq.com/devtool/query",
                    "应用管理 → 自建 → the app",
                ],
            ),
            Self::AddressNotTrusted => Texts::new(
                [
                    "企业微信不信任出口 IP {about}（60020）",
                    "应用的可信 IP 里没有这个地址",
                    "先让回调地址通过验证（或设置可信域名），再填入 {about}；约 1 分钟生效",
                    "应用管理 → 自建 → 您的应用 → 企业可信IP",
                ],
                [
                    "WeCom does not trust our address {about} (60020)",
                    "it is not on the app's list of trusted addresses",
                    "first have the callback URL verified (or set a trusted domain), then enter {about}; it works about a minute later",
                    "应用管理 → 自建 → the app → 企业可信IP",
                ],
            ),
            Self::AddressChanged => Texts::new(
                [
                    "企业微信不信任出口 IP {about}（60020）",
                    "以前能发送：出口 IP 变了，名单里是旧地址",
                    "把旧地址换成 {about}，约 1 分钟生效；地址常变请用固定 IP 的代理（wecom.proxy）",
                    "应用管理 → 自建 → 您的应用 → 企业可信IP",
                ],
                [
                    "WeCom does not trust our address {about} (60020)",
                    "it worked before: our address changed, the list has the old one",
                    "replace the old one by {about}, it works about a minute later; use a proxy with a fixed address (wecom.proxy) if it changes often",
                    "应用管理 → 自建 → the app → 企业可信IP",
                ],
            ),
            Self::AgentOfAnotherSecret => Texts::new(
                [
                    "AgentId 与 Secret 不属于同一应用（{about}）",
                    "wecom.agent_id 与 wecom.secret 来自两个应用，或 AgentId 抄错",
                    "从同一个应用的页面复制这两项",
                    "应用管理 → 自建 → 您的应用 → AgentId 和 Secret",
                ],
                [
                    "AgentId and Secret are not of one app ({about})",
                    "wecom.agent_id and wecom.secret are of two apps, or the number is mistyped",
                    "copy both from the page of one app",
                    "应用管理 → 自建 → the app → AgentId and Secret",
                ],
            ),
            Self::AgentDisabled => Texts::new(
                [
                    "应用{about}已停用",
                    "管理员在后台停用了它，或长期未用被停用",
                    "启用该应用",
                    "应用管理 → 自建 → 您的应用 → 启用",
                ],
                [
                    "the app{about} is switched off",
                    "an administrator did it, or WeCom because it was long unused",
                    "switch it on",
                    "应用管理 → 自建 → the app → 启用",
                ],
            ),
            Self::NobodySees => Texts::new(
                [
                    "应用{about}的可见范围是空的",
                    "没有成员、部门或标签能看到它，消息发不到任何人",
                    "添加可见的部门或成员",
                    "应用管理 → 自建 → 您的应用 → 可见范围",
                ],
                [
                    "nobody sees the app{about}",
                    "its visible range has no member, department or tag: no message arrives",
                    "add departments or members",
                    "应用管理 → 自建 → the app → 可见范围",
                ],
            ),
            Self::NoRecipient => Texts::new(
                [
                    "{about} 收不到",
                    "通讯录里没有这个 userid，或不在应用的可见范围内",
                    "核对 userid（账号），并把此人加入可见范围",
                    "通讯录 → 成员 → 账号；您的应用 → 可见范围",
                ],
                [
                    "{about} cannot be written to",
                    "there is no such userid, or it is not in the app's visible range",
                    "compare the userid (账号), and add the member to the range",
                    "通讯录 → 成员 → 账号; the app → 可见范围",
                ],
            ),
            Self::Unsure => Texts::new(
                ["不知道是否送达（{about}）", "消息发出了，但没有收到企业微信的应答", "看手机上是否收到，再试一次", ""],
                [
                    "it may have arrived ({about})",
                    "the message left, and WeCom's answer did not come",
                    "look at the phone, and try again",
                    "",
                ],
            ),
            Self::DirectoryRefused => Texts::new(
                [
                    "企业微信不让应用读通讯录（{about}）",
                    "应用没有读取成员和部门的权限（60011、48002），或出口 IP 不可信（60020）；员工只能通过消息被认识",
                    "在应用的可见范围和权限里放开通讯录读取后运行 qimate member sync；不需要时把 team.sync_hours 设为 0",
                    "应用管理 → 自建 → 您的应用 → 可见范围",
                ],
                [
                    "WeCom does not let the address book be read ({about})",
                    "the application may not read members and departments (60011, 48002), or its address is not \
                     trusted (60020); members are known by their messages alone",
                    "let it read them, then run qimate member sync; where that is not wanted, team.sync_hours = 0",
                    "应用管理 → 自建 → the app → 可见范围",
                ],
            ),
            Self::DirectoryUnread => Texts::new(
                [
                    "通讯录没有读完（{about}）",
                    "读到一半时连不上企业微信，或应答不完整；谁能使用没有因此改变",
                    "十分钟后会自动再试；要立即再试，运行 qimate member sync",
                    "",
                ],
                [
                    "the address book was not read to its end ({about})",
                    "WeCom was not reached, or did not answer in full; nobody's access changed by that",
                    "it is tried again ten minutes later; qimate member sync tries it now",
                    "",
                ],
            ),
        }
    }
}
