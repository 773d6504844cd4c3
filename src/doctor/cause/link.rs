//! What can be in the way: from us to WeCom or the model, and from outside to us.

use super::Texts;
use crate::net::link::LinkFault;

/// Whether it can happen on the way from outside to us: that way has no proxy of ours.
pub(super) const fn is_outside(fault: LinkFault) -> bool {
    use LinkFault as F;
    !matches!(fault, F::ProxyNameNotFound | F::ProxyUnreachable | F::ProxyAuthentication | F::ProxyForbids)
}

/// From us to an API. `{about}` is its host and port, or the proxy's.
pub(super) const fn on_the_way_out(fault: LinkFault) -> Texts {
    use LinkFault as F;
    match fault {
        F::NameNotFound => Texts::new(
            [
                "找不到域名 {about}",
                "{key} 里的域名写错，或本机的 DNS 不通",
                "核对 {key}；在本机执行 nslookup 检查 DNS",
                "",
            ],
            [
                "{about} has no address",
                "the name in {key} is wrong, or DNS does not work here",
                "compare {key}; try nslookup on this machine",
                "",
            ],
        ),
        F::Refused => Texts::new(
            ["{about} 拒绝连接", "该端口上没有服务", "核对 {key} 的主机和端口；自建服务请确认已启动", ""],
            [
                "{about} refuses the connection",
                "nothing listens on that port",
                "compare host and port in {key}; is the service running?",
                "",
            ],
        ),
        F::TimedOut => Texts::new(
            [
                "{about} 没有回应",
                "防火墙或安全组挡住了出站连接，或对方停机",
                "放行到 {about} 的出站连接；不能直连时设置 {proxy}",
                "",
            ],
            [
                "{about} does not respond",
                "a firewall drops outgoing connections, or the server is down",
                "allow connections to {about}; set {proxy} where there is no direct way",
                "",
            ],
        ),
        F::NoRoute => Texts::new(
            ["没有到 {about} 的网络", "本机没有外网，或只有 IPv6", "检查本机网络；不能直连时设置 {proxy}", ""],
            [
                "no network to {about}",
                "this machine has no way out, or IPv6 only",
                "look at the network; set {proxy} where there is no direct way",
                "",
            ],
        ),
        F::Untrusted => Texts::new(
            [
                "{about} 的证书不受信任",
                "证书是自签的、缺中间证书，或网络中有解密 HTTPS 的设备",
                "换成受信任的证书；公司自己的 CA 请装进系统（或用 SSL_CERT_FILE）",
                "",
            ],
            [
                "the certificate of {about} is not trusted",
                "it is self-signed, lacks its chain, or a device on the way decrypts HTTPS",
                "use a trusted certificate; install your own CA in the system (or SSL_CERT_FILE)",
                "",
            ],
        ),
        F::WrongName => Texts::new(
            [
                "{about} 的证书是给别的域名的",
                "{key} 的域名与证书不符，或 DNS 指到了别处",
                "在 {key} 中使用证书上的域名，或更换证书",
                "",
            ],
            [
                "the certificate of {about} is for another name",
                "{key} has another name than the certificate, or DNS leads elsewhere",
                "use the certificate's name in {key}, or another certificate",
                "",
            ],
        ),
        F::Expired => Texts::new(
            ["{about} 的证书已过期", "对方没有续期，或本机时间偏快", "续期证书；并核对本机时间", ""],
            [
                "the certificate of {about} has expired",
                "it was not renewed, or this machine's clock is ahead",
                "renew it; look at this machine's clock too",
                "",
            ],
        ),
        F::NotYetValid => Texts::new(
            ["{about} 的证书尚未生效", "多半是本机时间偏慢", "校正本机时间", ""],
            [
                "the certificate of {about} is not valid yet",
                "most likely this machine's clock is behind",
                "set this machine's clock",
                "",
            ],
        ),
        F::NoTls => Texts::new(
            ["{about} 不会说 HTTPS", "对方是 HTTP 端口，或 TLS 版本太旧", "核对 {key} 的 https 与端口", ""],
            [
                "{about} does not speak HTTPS",
                "it is a plain HTTP port, or its TLS is too old",
                "compare https and the port in {key}",
                "",
            ],
        ),
        F::Broken => Texts::new(
            [
                "与 {about} 的连接中断",
                "对方或中间设备断开了连接，或说的不是 HTTP",
                "核对 {key} 的 http/https 与端口，再试一次",
                "",
            ],
            [
                "the connection to {about} broke",
                "the server or a device on the way ended it, or it does not speak HTTP",
                "compare http/https and the port in {key}, and try again",
                "",
            ],
        ),
        F::ProxyNameNotFound => Texts::new(
            ["找不到代理的域名 {about}", "{proxy} 里的域名写错，或本机的 DNS 不通", "核对 {proxy}", ""],
            [
                "the proxy {about} has no address",
                "the name in {proxy} is wrong, or DNS does not work here",
                "compare {proxy}",
                "",
            ],
        ),
        F::ProxyUnreachable => Texts::new(
            ["连不上代理 {about}", "代理没有运行、端口不对，或被防火墙挡住", "核对 {proxy} 并确认代理在运行", ""],
            [
                "the proxy {about} cannot be reached",
                "it does not run, the port is wrong, or a firewall is between",
                "compare {proxy}; is the proxy running?",
                "",
            ],
        ),
        F::ProxyAuthentication => Texts::new(
            [
                "代理 {about} 要求认证（407）",
                "{proxy} 里没有用户名密码，或不正确",
                "在 {proxy} 中写 http://用户:密码@主机:端口，特殊字符用百分号编码",
                "",
            ],
            [
                "the proxy {about} wants a password (407)",
                "{proxy} has none, or a wrong one",
                "write http://user:password@host:port into {proxy}, special characters percent-encoded",
                "",
            ],
        ),
        F::ProxyForbids => Texts::new(
            [
                "代理 {about} 不放行",
                "代理的规则不允许，或代理自己连不上目标",
                "在代理上放行目标主机，再看代理的日志",
                "",
            ],
            [
                "the proxy {about} does not let us through",
                "its rules forbid it, or it cannot reach the server itself",
                "allow the server in the proxy, and read the proxy's log",
                "",
            ],
        ),
    }
}

/// From outside to us. `{about}` is the host and port of `server.public_url`.
pub(super) const fn on_the_way_in(fault: LinkFault) -> Texts {
    use LinkFault as F;
    match fault {
        F::NameNotFound => Texts::new(
            [
                "找不到域名 {about}",
                "域名没有解析记录，或 server.public_url 写错",
                "在域名服务商处添加指向本服务器的解析",
                "域名服务商 → DNS 解析",
            ],
            [
                "{about} has no address",
                "the domain has no DNS record, or server.public_url is wrong",
                "add a DNS record that leads to this server",
                "your DNS provider",
            ],
        ),
        F::Refused => Texts::new(
            ["{about} 拒绝连接", "反向代理没有运行，或端口没有转发到本机", "启动反向代理，检查端口映射", ""],
            [
                "{about} refuses the connection",
                "the reverse proxy does not run, or the port is not forwarded",
                "start the reverse proxy, look at the port mapping",
                "",
            ],
        ),
        F::TimedOut | F::NoRoute => Texts::new(
            [
                "{about} 没有回应",
                "防火墙或安全组没有放行入站端口；也可能是本机访问不了自己的公网地址",
                "放行该端口，并用手机流量打开 {about} 验证",
                "云服务商 → 安全组",
            ],
            [
                "{about} does not respond",
                "a firewall drops incoming connections; or this machine cannot reach its own public address",
                "open the port, and try {about} from a phone's network",
                "your cloud → security group",
            ],
        ),
        F::Untrusted => Texts::new(
            [
                "{about} 的证书不受信任",
                "证书是自签的或缺中间证书，企业微信不接受",
                "换成受信任的证书（如 Let's Encrypt），并带上完整证书链",
                "",
            ],
            [
                "the certificate of {about} is not trusted",
                "it is self-signed or lacks its chain; WeCom does not take it",
                "use a trusted one (such as Let's Encrypt's) with its whole chain",
                "",
            ],
        ),
        F::WrongName => Texts::new(
            ["{about} 的证书是给别的域名的", "证书不含这个域名", "为该域名签发证书", ""],
            [
                "the certificate of {about} is for another name",
                "it does not hold this domain",
                "get a certificate for this domain",
                "",
            ],
        ),
        F::Expired => Texts::new(
            ["{about} 的证书已过期", "自动续期没有成功", "续期证书，并检查自动续期", ""],
            [
                "the certificate of {about} has expired",
                "its renewal failed",
                "renew it, and look at the automatic renewal",
                "",
            ],
        ),
        F::NotYetValid => Texts::new(
            ["{about} 的证书尚未生效", "证书的起始时间在将来，或本机时间偏慢", "核对本机时间，或重新签发证书", ""],
            [
                "the certificate of {about} is not valid yet",
                "it begins in the future, or this machine's clock is behind",
                "look at this machine's clock, or get a new certificate",
                "",
            ],
        ),
        F::NoTls => Texts::new(
            [
                "{about} 不会说 HTTPS",
                "该端口是 HTTP，没有配置证书",
                "在反向代理上配置 HTTPS，或把 server.public_url 改为 http://",
                "",
            ],
            [
                "{about} does not speak HTTPS",
                "the port is plain HTTP without a certificate",
                "set up HTTPS in the reverse proxy, or write http:// into server.public_url",
                "",
            ],
        ),
        _ => Texts::new(
            ["与 {about} 的连接中断", "反向代理断开了连接，或该端口不是 HTTP", "查看反向代理的日志", ""],
            [
                "the connection to {about} broke",
                "the reverse proxy ended it, or the port is not HTTP",
                "read the reverse proxy's log",
                "",
            ],
        ),
    }
}
