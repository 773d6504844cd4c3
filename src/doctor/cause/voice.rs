//! What the endpoint that writes down voice messages can say.

use super::{Texts, causes};

causes! {
    /// What is wrong with the transcription, once somebody answers.
    Voice {
        /// A page instead of an API.
        Page,
        /// Nothing is on the API's path.
        PathNotFound,
        /// 401 or 403
        KeyRefused,
        /// No such model.
        ModelNotFound,
        /// 402, or 429 with a word for it.
        QuotaExhausted,
        /// 429
        RateLimited,
        /// Another refusal.
        Rejected,
        /// 5xx
        Upstream,
        /// Nothing in time.
        TooSlow,
        /// An answer that is no transcript.
        NoTranscript,
    }
}

impl Voice {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Page => Texts::new(
                [
                    "{about} 返回的不是接口，而是网页",
                    "voice.transcription_url 是官网或控制台的地址",
                    "改为服务商文档里的 API 地址，通常以 /v1 结尾",
                    "",
                ],
                [
                    "{about} is a web page and no API",
                    "voice.transcription_url is the address of a site or console",
                    "use the API's address of the provider's documents; it often ends in /v1",
                    "",
                ],
            ),
            Self::PathNotFound => Texts::new(
                [
                    "{about} 上没有 /audio/transcriptions",
                    "语音转文字的地址不对，或这家服务商没有这个接口",
                    "把 voice.transcription_url 设为有这个接口的服务商的 API 地址，不含 /audio/transcriptions",
                    "",
                ],
                [
                    "{about} has no /audio/transcriptions",
                    "the address is wrong, or this provider does not write down speech",
                    "set voice.transcription_url to the API's address of one that does, without /audio/transcriptions",
                    "",
                ],
            ),
            Self::KeyRefused => Texts::new(
                [
                    "语音转文字的 key 被拒绝：{about}",
                    "voice.transcription_key（没有填则为 llm.api_key）不正确，或不允许使用语音模型",
                    "在服务商控制台新建 key，写入 voice.transcription_key",
                    "服务商控制台 → API keys",
                ],
                [
                    "the key for transcription is refused: {about}",
                    "voice.transcription_key (or, without one, llm.api_key) is wrong, or not for models of speech",
                    "make a new key and set voice.transcription_key",
                    "the provider's console → API keys",
                ],
            ),
            Self::ModelNotFound => Texts::new(
                [
                    "没有这个语音模型：{about}",
                    "voice.transcription_model 写错，或这个 key 用不了它",
                    "从服务商的模型列表复制名称到 voice.transcription_model",
                    "服务商控制台 → 模型",
                ],
                [
                    "there is no such model of speech: {about}",
                    "voice.transcription_model is mistyped, or not for this key",
                    "copy the name from the provider's list into voice.transcription_model",
                    "the provider's console → models",
                ],
            ),
            Self::QuotaExhausted => Texts::new(
                ["余额或额度用完：{about}", "语音服务商的账户没有余额", "充值，或提高额度", "服务商控制台 → 账单"],
                [
                    "nothing left on the account: {about}",
                    "the account at the provider of speech has no credit",
                    "pay in, or raise the limit",
                    "the provider's console → billing",
                ],
            ),
            Self::RateLimited => Texts::new(
                [
                    "请求太频繁（429）",
                    "超过了语音服务商每分钟的限制",
                    "稍后再试；经常出现请提高限额",
                    "服务商控制台 → 限额",
                ],
                [
                    "too many requests (429)",
                    "the limit a minute of the provider of speech is reached",
                    "try again later; raise the limit if it happens often",
                    "the provider's console → limits",
                ],
            ),
            Self::Rejected => Texts::new(
                [
                    "请求被拒绝：{about}",
                    "这个模型不是语音转文字模型，或不接受 voice.language",
                    "核对 voice.transcription_model 和 voice.language",
                    "",
                ],
                [
                    "the request is refused: {about}",
                    "the model does not write down speech, or does not take voice.language",
                    "compare voice.transcription_model and voice.language with the provider's documents",
                    "",
                ],
            ),
            Self::Upstream => Texts::new(
                ["语音服务故障：{about}", "语音转文字服务一时不可用", "过几分钟再试，或查看服务商的状态页", ""],
                [
                    "the provider of speech has a fault: {about}",
                    "its service is not well",
                    "try again in some minutes, or read the provider's status page",
                    "",
                ],
            ),
            Self::TooSlow => Texts::new(
                [
                    "{about} 内没有结果",
                    "语音转文字服务过载，或模型太慢",
                    "换一个更快的模型，或加大 voice.timeout_seconds",
                    "",
                ],
                [
                    "nothing within {about}",
                    "the service is overloaded, or the model too slow",
                    "use a faster model, or raise voice.timeout_seconds",
                    "",
                ],
            ),
            Self::NoTranscript => Texts::new(
                [
                    "应答里没有文字",
                    "{about} 不兼容 OpenAI 的 /audio/transcriptions",
                    "核对 voice.transcription_url",
                    "",
                ],
                [
                    "the answer has no transcript",
                    "{about} does not speak like OpenAI's /audio/transcriptions",
                    "compare voice.transcription_url",
                    "",
                ],
            ),
        }
    }
}
