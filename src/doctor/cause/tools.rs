//! What can be wrong with a server of tools, once somebody answers.

use super::{Texts, causes};

causes! {
    /// What is wrong with a server of tools.
    Tools {
        /// The program cannot be run.
        Program,
        /// A refusal.
        Refused,
        /// Not the protocol.
        NoProtocol,
        /// No answer in time.
        TooSlow,
        /// Tools that are allowed and not there.
        Missing,
    }
}

impl Tools {
    pub(super) const fn texts(self) -> Texts {
        match self {
            Self::Program => Texts::new(
                [
                    "程序不能运行：{about}",
                    "command 写错、没有执行权限，或程序一启动就退出",
                    "用 qimate 的用户在命令行试运行一次，再核对 tools.mcp 的 command、args 和 env",
                    "",
                ],
                [
                    "the program does not run: {about}",
                    "command is mistyped or may not be executed, or the program ends at once",
                    "start it by hand as qimate's user; then compare command, args and env of tools.mcp",
                    "",
                ],
            ),
            Self::Refused => Texts::new(
                [
                    "服务拒绝了请求：{about}",
                    "地址的路径不对，或缺少有效的密钥",
                    "核对 tools.mcp 的 url（通常以 /mcp 结尾）和 headers",
                    "",
                ],
                [
                    "the server refuses: {about}",
                    "the path of the address is wrong, or a valid key is missing",
                    "compare url (it often ends in /mcp) and headers of tools.mcp",
                    "",
                ],
            ),
            Self::NoProtocol => Texts::new(
                [
                    "应答不是 MCP：{about}",
                    "这个地址上不是 streamable HTTP 的 MCP 服务；旧的 HTTP+SSE 方式不支持",
                    "使用服务文档里 streamable HTTP 的地址",
                    "",
                ],
                [
                    "what answers is not MCP: {about}",
                    "no MCP server with streamable HTTP is there; the older HTTP+SSE is not spoken",
                    "use the address for streamable HTTP of the server's documents",
                    "",
                ],
            ),
            Self::TooSlow => Texts::new(
                ["{about} 内没有应答", "服务过载，或卡住了", "查看服务的日志，或加大 tools.timeout_seconds", ""],
                [
                    "no answer within {about}",
                    "the server is overloaded, or stuck",
                    "read the server's log, or raise tools.timeout_seconds",
                    "",
                ],
            ),
            Self::Missing => Texts::new(
                [
                    "服务里没有允许的工具：{about}",
                    "allow 里的名字写错，或服务不再提供它",
                    "从服务的工具列表复制名称到 tools.mcp 的 allow",
                    "",
                ],
                [
                    "the server has no such tools: {about}",
                    "a name in allow is mistyped, or the server does not offer it any more",
                    "copy the names from the server's list into allow of tools.mcp",
                    "",
                ],
            ),
        }
    }
}
