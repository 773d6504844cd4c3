//! What can become of a callback before it is ours, and what refused ones say.

use super::{Texts, causes};

causes! {
    /// What is wrong with the callback.
    Callback {
        /// A proxy or platform in front has nobody behind it.
        Gateway,
        /// Nothing is on the path.
        PathNotFound,
        /// The address sends callers elsewhere.
        Redirected,
        /// A web page answers.
        Page,
        /// Something in front refuses.
        Blocked,
        /// A Qimate with another Token answers.
        OtherToken,
        /// A Qimate with another EncodingAESKey answers.
        OtherKey,
        /// A Qimate of another enterprise answers.
        OtherCorp,
        /// Something on the way changes the body.
        BodyChanged,
        /// WeCom never called.
        NeverCame,
        /// Callbacks are signed with another Token.
        TokenDiffers,
        /// Callbacks are encrypted with another EncodingAESKey.
        KeyDiffers,
        /// Callbacks are for another enterprise.
        CorpDiffers,
        /// Callbacks have another form.
        FormDiffers,
        /// Requests that are none of WeCom's.
        Strangers,
        /// Callbacks that were too long, too slow or too many.
        Unlucky,
        /// A platform's domain, which certified enterprises cannot use.
        PlatformDomain,
    }
}

impl Callback {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Gateway => Texts::new(
                [
                    "反向代理或平台返回 HTTP {about}",
                    "代理后面没有可用的 qimate：没有启动，或转发的端口不对",
                    "让代理转发到 server.listen 的端口，并确认 qimate 在运行",
                    "",
                ],
                [
                    "the proxy or platform answers HTTP {about}",
                    "no qimate is behind it: not started, or the wrong port",
                    "forward to the port of server.listen; is qimate running?",
                    "",
                ],
            ),
            Self::PathNotFound => Texts::new(
                [
                    "{about} 返回 404",
                    "路径不对：反向代理改了路径，或 server.callback_path 不同",
                    "让反向代理原样转发路径；后台的 URL 也要用这个路径",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → URL",
                ],
                [
                    "{about} answers 404",
                    "the path is another: the proxy changes it, or server.callback_path differs",
                    "let the proxy keep the path; the URL in the console needs the same",
                    "应用管理 → 自建 → the app → 接收消息 → URL",
                ],
            ),
            Self::Redirected => Texts::new(
                [
                    "被重定向到 {about}",
                    "企业微信不跟随重定向（常见：http 跳 https、自动加斜杠）",
                    "在 server.public_url 和后台填写最终地址，或关闭这条跳转",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → URL",
                ],
                [
                    "redirected to {about}",
                    "WeCom does not follow redirections (often http to https, or a slash)",
                    "write the final address into server.public_url and the console, or take the redirection away",
                    "应用管理 → 自建 → the app → 接收消息 → URL",
                ],
            ),
            Self::Page => Texts::new(
                [
                    "{about} 返回的是别的内容",
                    "该地址上是网站、登录页或中转提示页，不是 qimate",
                    "让反向代理把该路径转发给 qimate",
                    "",
                ],
                [
                    "{about} answers with something else",
                    "a web site, a login or an interstitial page is there, not qimate",
                    "let the reverse proxy forward this path to qimate",
                    "",
                ],
            ),
            Self::Blocked => Texts::new(
                [
                    "前面的服务拒绝了请求（HTTP {about}）",
                    "防火墙（WAF）、访问控制或反向代理拦住了它",
                    "放行回调路径，包括它的查询参数",
                    "",
                ],
                [
                    "something in front refuses the request (HTTP {about})",
                    "a firewall (WAF), an access rule or the reverse proxy stops it",
                    "let the callback path through, with its query",
                    "",
                ],
            ),
            Self::OtherToken => Texts::new(
                [
                    "应答的 qimate 用的是另一个 Token",
                    "该地址上是另一个 qimate，或它还没有用新配置重启",
                    "核对域名指向，用当前配置重启 qimate",
                    "",
                ],
                [
                    "a qimate with another Token answers",
                    "another qimate is at this address, or it was not restarted with these settings",
                    "look where the domain leads, and restart qimate",
                    "",
                ],
            ),
            Self::OtherKey => Texts::new(
                [
                    "应答的 qimate 用的是另一个 EncodingAESKey",
                    "该地址上是另一个 qimate，或它还没有用新配置重启",
                    "核对域名指向，用当前配置重启 qimate",
                    "",
                ],
                [
                    "a qimate with another EncodingAESKey answers",
                    "another qimate is at this address, or it was not restarted with these settings",
                    "look where the domain leads, and restart qimate",
                    "",
                ],
            ),
            Self::OtherCorp => Texts::new(
                [
                    "应答的 qimate 属于另一个企业ID",
                    "该地址上是另一家企业的 qimate，或它还没有用新配置重启",
                    "核对域名指向和 wecom.corp_id，再重启 qimate",
                    "",
                ],
                [
                    "a qimate of another corp id answers",
                    "another enterprise's qimate is at this address, or it was not restarted",
                    "look where the domain leads and at wecom.corp_id, and restart qimate",
                    "",
                ],
            ),
            Self::BodyChanged => Texts::new(
                [
                    "应答内容被改动过",
                    "中间的代理加了引号、换行或 JSON 外壳，企业微信会判为验证失败",
                    "让代理原样返回应答内容",
                    "",
                ],
                [
                    "the answer was changed on the way",
                    "a proxy adds quotes, a line end or JSON around it: WeCom's verification fails",
                    "let the proxy return the answer as it is",
                    "",
                ],
            ),
            Self::NeverCame => Texts::new(
                [
                    "还没有收到过企业微信的回调",
                    "后台没有保存 URL，填的是别的地址，或从外部访问不到",
                    "在手机上给应用发一句话；没有反应就在后台填写并保存 URL：{about}",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → 设置API接收",
                ],
                [
                    "no callback of WeCom's has come yet",
                    "the URL is not saved in the console, is another, or cannot be reached",
                    "write to the app on your phone; if nothing happens, enter and save the URL in the console: {about}",
                    "应用管理 → 自建 → the app → 接收消息 → 设置API接收",
                ],
            ),
            Self::TokenDiffers => Texts::new(
                [
                    "签名不符，{about}",
                    "wecom.callback_token 与后台的 Token 不同",
                    "从后台复制 Token 到 wecom.callback_token，重启 qimate",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → Token",
                ],
                [
                    "signature does not match, {about}",
                    "wecom.callback_token is not the console's Token",
                    "copy the Token into wecom.callback_token and restart",
                    "应用管理 → 自建 → the app → 接收消息 → Token",
                ],
            ),
            Self::KeyDiffers => Texts::new(
                [
                    "无法解密，{about}",
                    "wecom.encoding_aes_key 与后台的 EncodingAESKey 不同（Token 是对的）",
                    "从后台复制 EncodingAESKey，重启 qimate",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → EncodingAESKey",
                ],
                [
                    "cannot be decrypted, {about}",
                    "wecom.encoding_aes_key is not the console's EncodingAESKey (the Token is right)",
                    "copy the EncodingAESKey and restart",
                    "应用管理 → 自建 → the app → 接收消息 → EncodingAESKey",
                ],
            ),
            Self::CorpDiffers => Texts::new(
                [
                    "接收方不是本企业或本应用，{about}",
                    "wecom.corp_id 或 wecom.agent_id 与发来回调的不同（Token 和密钥是对的），或 URL 填到了别的应用",
                    "重新复制企业ID 和 AgentId，核对每个应用的 URL，重启 qimate",
                    "我的企业 → 企业信息 → 企业ID",
                ],
                [
                    "meant for another enterprise or application, {about}",
                    "wecom.corp_id or wecom.agent_id is not that of who calls (Token and key are right), or the URL is another application's",
                    "copy the 企业ID and the AgentId again, look at the URL of each application, and restart",
                    "我的企业 → 企业信息 → 企业ID",
                ],
            ),
            Self::FormDiffers => Texts::new(
                [
                    "内容格式不对，{about}",
                    "来的不是自建应用的回调，或代理改动了请求体",
                    "确认 URL 填在自建应用的“接收消息”里，代理原样转发",
                    "应用管理 → 自建 → 您的应用 → 接收消息",
                ],
                [
                    "not in WeCom's form, {about}",
                    "it is not a self-built app's callback, or a proxy changes the body",
                    "enter the URL under 接收消息 of a self-built app; let the proxy change nothing",
                    "应用管理 → 自建 → the app → 接收消息",
                ],
            ),
            Self::Strangers => Texts::new(
                [
                    "缺少参数，{about}",
                    "有人用浏览器或扫描器打开了回调地址；不影响使用",
                    "无需处理；要测试请在后台点“保存”",
                    "",
                ],
                [
                    "parameters are missing, {about}",
                    "somebody opened the URL in a browser, or a scanner did; no harm",
                    "nothing to do; to test it, press 保存 in the console",
                    "",
                ],
            ),
            Self::Unlucky => Texts::new(
                [
                    "没有读完，{about}",
                    "请求过大、过慢或同时太多，多半不是企业微信",
                    "偶尔出现无需处理；经常出现请查反向代理",
                    "",
                ],
                [
                    "not read to the end, {about}",
                    "too long, too slow or too many at once; most likely not WeCom",
                    "nothing to do now and then; look at the reverse proxy if often",
                    "",
                ],
            ),
            Self::PlatformDomain => Texts::new(
                [
                    "{about} 是平台的域名",
                    "已认证的企业只能用自己备案的域名，后台保存时会提示主体不符",
                    "已认证的企业：绑定自己的备案域名；未认证的企业可以继续使用",
                    "应用管理 → 自建 → 您的应用 → 接收消息 → URL",
                ],
                [
                    "{about} is a platform's domain",
                    "a certified enterprise can use only a domain filed (备案) under its own name",
                    "certified: use your own filed domain; otherwise go on as you are",
                    "应用管理 → 自建 → the app → 接收消息 → URL",
                ],
            ),
        }
    }
}
