//! What is asked, in the order in which an administrator meets it in WeCom's console.

use super::Language;

/// One value that is asked for.
#[derive(Debug)]
pub(super) struct Question {
    /// The setting that it fills.
    pub(super) key: &'static str,
    /// What it is called, and where to find it.
    pub(super) title: [&'static str; 2],
    /// What it must look like, for whom the answer was refused: the configuration's own sentence is English.
    pub(super) right: &'static str,
    /// The line above it in the file.
    pub(super) comment: [&'static str; 2],
    /// Whether it is not shown while it is typed, and not as a default.
    pub(super) is_secret: bool,
    /// Whether it may be left empty.
    pub(super) is_optional: bool,
}

/// All of them.
pub(super) const QUESTIONS: &[Question] = &[
    Question {
        key: "wecom.corp_id",
        title: ["企业ID（我的企业 → 企业信息 → 企业ID）", "Corp id (我的企业 → 企业信息 → 企业ID)"],
        right: "应为字母和数字，例如 ww1436e0e65a779aee",
        comment: ["我的企业 → 企业信息 → 企业ID", "Corp id: 我的企业 → 企业信息 → 企业ID"],
        is_secret: false,
        is_optional: false,
    },
    Question {
        key: "wecom.agent_id",
        title: ["AgentId（应用管理 → 自建 → 您的应用）", "AgentId (应用管理 → 自建 → your app)"],
        right: "应为纯数字，例如 1000002",
        comment: ["应用的 AgentId", "The app's AgentId"],
        is_secret: false,
        is_optional: false,
    },
    Question {
        key: "wecom.secret",
        title: [
            "Secret（同一页面，点击“查看”后在手机上接收；输入时不显示）",
            "Secret (same page; 查看 sends it to your phone; not shown while you type)",
        ],
        right: "应按原样复制，不含空格和中文",
        comment: ["应用的 Secret，请勿外传", "The app's Secret; keep it to yourself"],
        is_secret: true,
        is_optional: false,
    },
    Question {
        key: "wecom.callback_token",
        title: ["回调的 Token（接收消息 → 设置API接收）", "The callback's Token (接收消息 → 设置API接收)"],
        right: "应为 1 到 32 个字母和数字",
        comment: ["接收消息 → Token", "The callback's Token: 接收消息 → Token"],
        is_secret: true,
        is_optional: false,
    },
    Question {
        key: "wecom.encoding_aes_key",
        title: ["EncodingAESKey（同一页面）", "EncodingAESKey (same page)"],
        right: "应为正好 43 个字母和数字",
        comment: ["接收消息 → EncodingAESKey", "The callback's EncodingAESKey: 接收消息 → EncodingAESKey"],
        is_secret: true,
        is_optional: false,
    },
    Question {
        key: "llm.base_url",
        title: [
            "模型接口（输入编号，或直接粘贴地址）",
            "The model's API (a number of the list, or an address of your own)",
        ],
        right: "应为 http:// 或 https:// 开头的地址，含版本号，不含 /chat/completions，例如 https://api.deepseek.com/v1",
        comment: ["模型接口", "The model's API"],
        is_secret: false,
        is_optional: false,
    },
    Question {
        key: "llm.api_key",
        title: [
            "模型的 API Key（本地模型可留空；输入时不显示）",
            "The model's API key (empty for a local model; not shown while you type)",
        ],
        right: "OpenAI 官方接口必须填写；应按原样复制，不含空格和中文",
        comment: ["模型的 API Key", "The API key of the model"],
        is_secret: true,
        is_optional: true,
    },
    Question {
        key: "llm.model",
        title: ["模型名称", "The model's name"],
        right: "应为接口所用的模型名称",
        comment: ["模型名称", "The model's name"],
        is_secret: false,
        is_optional: false,
    },
    Question {
        key: "server.public_url",
        title: [
            "企业微信从外部访问本机的地址，不含路径（例如 https://qimate.example.com；可留空）",
            "The address by which WeCom reaches this server, without a path (https://qimate.example.com; may be empty)",
        ],
        right: "应以 http:// 或 https:// 开头，不含路径，例如 https://qimate.example.com",
        comment: ["外部访问地址，不含路径", "The address from outside, without the path"],
        is_secret: false,
        is_optional: true,
    },
];

/// A model's API that many use.
#[derive(Debug)]
pub(super) struct Provider {
    /// What people call it.
    pub(super) name: &'static str,
    /// Its OpenAI-compatible base URL, as its documentation gives it.
    pub(super) base_url: &'static str,
    /// One of its models to begin with.
    pub(super) model: &'static str,
}

/// The short list.
pub(super) const PROVIDERS: &[Provider] = &[
    Provider { name: "OpenAI", base_url: "https://api.openai.com/v1", model: "gpt-4o-mini" },
    Provider { name: "DeepSeek", base_url: "https://api.deepseek.com/v1", model: "deepseek-chat" },
    Provider {
        name: "通义千问 Qwen",
        base_url: "https://dashscope.aliyuncs.com/compatible-mode/v1",
        model: "qwen-plus",
    },
    Provider { name: "智谱 GLM", base_url: "https://open.bigmodel.cn/api/paas/v4", model: "glm-4-flash" },
    Provider { name: "Moonshot Kimi", base_url: "https://api.moonshot.cn/v1", model: "moonshot-v1-8k" },
    Provider { name: "Ollama", base_url: "http://127.0.0.1:11434/v1", model: "qwen2.5" },
];

/// The line above `key` in the file.
pub(super) fn comment(key: &str, language: Language) -> Option<&'static str> {
    let [zh, en] = QUESTIONS.iter().find(|question| question.key == key)?.comment;
    Some(language.pick(zh, en))
}
