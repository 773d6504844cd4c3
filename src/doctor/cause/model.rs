//! What the model's API can say.

use super::{Texts, causes};

causes! {
    /// What is wrong with the model, once somebody answers.
    Model {
        /// A page instead of an API.
        Page,
        /// Nothing is on the API's path.
        PathNotFound,
        /// 401
        KeyRefused,
        /// 403
        Forbidden,
        /// 402, or 429 with a word for it.
        QuotaExhausted,
        /// 429
        RateLimited,
        /// No such model.
        ModelNotFound,
        /// Another refusal.
        Rejected,
        /// 5xx
        Upstream,
        /// No word in time.
        TooSlow,
        /// An answer that is no stream.
        NoStream,
    }
}

impl Model {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Page => Texts::new(
                [
                    "{about} 返回的不是接口，而是网页",
                    "llm.base_url 是官网或控制台的地址",
                    "改为服务商文档里的 API 地址，通常以 /v1 结尾",
                    "",
                ],
                [
                    "{about} is a web page and no API",
                    "llm.base_url is the address of a site or console",
                    "use the API's address of the provider's documents; it often ends in /v1",
                    "",
                ],
            ),
            Self::PathNotFound => Texts::new(
                [
                    "{about} 上没有 /chat/completions",
                    "llm.base_url 的路径不对，常见是少了 /v1",
                    "改为服务商文档里的 API 地址，不含 /chat/completions",
                    "",
                ],
                [
                    "{about} has no /chat/completions",
                    "the path of llm.base_url is wrong; often /v1 is missing",
                    "use the API's address of the provider's documents, without /chat/completions",
                    "",
                ],
            ),
            Self::KeyRefused => Texts::new(
                [
                    "API key 被拒绝：{about}",
                    "llm.api_key 不正确、已删除，或是别家的 key",
                    "在服务商控制台新建 key，写入 llm.api_key",
                    "服务商控制台 → API keys",
                ],
                [
                    "the API key is refused: {about}",
                    "llm.api_key is wrong, deleted, or another provider's",
                    "make a new key and set llm.api_key",
                    "the provider's console → API keys",
                ],
            ),
            Self::Forbidden => Texts::new(
                [
                    "没有权限：{about}",
                    "key 有效，但账号、项目或地区不允许使用这个模型",
                    "在服务商控制台开通模型或调整 key 的权限",
                    "服务商控制台 → 权限",
                ],
                [
                    "not allowed: {about}",
                    "the key is valid; the account, project or region may not use this model",
                    "enable the model, or change the key's permissions",
                    "the provider's console → permissions",
                ],
            ),
            Self::QuotaExhausted => Texts::new(
                ["余额或额度用完：{about}", "服务商账户没有余额", "充值，或提高额度", "服务商控制台 → 账单"],
                [
                    "nothing left on the account: {about}",
                    "the provider's account has no credit",
                    "pay in, or raise the limit",
                    "the provider's console → billing",
                ],
            ),
            Self::RateLimited => Texts::new(
                [
                    "请求太频繁（429）",
                    "超过了服务商每分钟的限制",
                    "稍后再试；经常出现请提高限额",
                    "服务商控制台 → 限额",
                ],
                [
                    "too many requests (429)",
                    "the provider's limit a minute is reached",
                    "try again later; raise the limit if it happens often",
                    "the provider's console → limits",
                ],
            ),
            Self::ModelNotFound => Texts::new(
                [
                    "没有这个模型：{about}",
                    "llm.model 写错，或这个 key 用不了它",
                    "从服务商的模型列表复制名称到 llm.model",
                    "服务商控制台 → 模型",
                ],
                [
                    "there is no such model: {about}",
                    "llm.model is mistyped, or not for this key",
                    "copy the name from the provider's list into llm.model",
                    "the provider's console → models",
                ],
            ),
            Self::Rejected => Texts::new(
                [
                    "请求被拒绝：{about}",
                    "某项设置这个模型不支持（temperature、reasoning_effort 等）",
                    "按上面的提示清空 [llm] 里对应的设置",
                    "",
                ],
                [
                    "the request is refused: {about}",
                    "a setting is not for this model (temperature, reasoning_effort or the like)",
                    "empty the setting that the message names in [llm]",
                    "",
                ],
            ),
            Self::Upstream => Texts::new(
                ["服务商故障：{about}", "模型服务一时不可用", "过几分钟再试，或查看服务商的状态页", ""],
                [
                    "the provider has a fault: {about}",
                    "the model's service is not well",
                    "try again in some minutes, or read the provider's status page",
                    "",
                ],
            ),
            Self::TooSlow => Texts::new(
                [
                    "{about} 内没有一个字",
                    "模型过载，或思考太久",
                    "换一个更快的模型，或加大 llm.first_delta_timeout_seconds",
                    "",
                ],
                [
                    "no word within {about}",
                    "the model is overloaded, or thinks too long",
                    "use a faster model, or raise llm.first_delta_timeout_seconds",
                    "",
                ],
            ),
            Self::NoStream => Texts::new(
                [
                    "应答不是对话接口的流",
                    "{about} 不兼容 OpenAI 的 chat completions，或代理截断了流",
                    "核对 llm.base_url；让代理不缓冲、不改动应答",
                    "",
                ],
                [
                    "the answer is no stream of chat completions",
                    "{about} does not speak like OpenAI, or a proxy cuts the stream",
                    "compare llm.base_url; let the proxy neither buffer nor change answers",
                    "",
                ],
            ),
        }
    }
}
