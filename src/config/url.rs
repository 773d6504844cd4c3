//! Addresses of APIs and proxies.

use reqwest::Url;

use super::fault::Wrong;
use crate::secret::Secret;

/// A proxy: what is used, and what may be shown.
pub(super) struct Proxy {
    pub(super) url: Secret<String>,
    pub(super) shown: String,
}

/// An API's address, without a trailing slash. It holds no password and no query: it is printed and logged as it is.
pub(super) fn api(text: &str) -> Result<String, Wrong> {
    const RIGHT: [&str; 2] =
        ["应为网址，例如 https://api.example.com/v1", "expected a URL such as https://api.example.com/v1"];
    let url = with_scheme(text, &["http", "https"], RIGHT)?;
    // Anywhere, not only where the parser sees it: a slash in a password makes the rest of it a path.
    if text.contains('@') {
        return Err(Wrong::new(
            ["含有用户名或密码", "holds a user name or password"],
            ["网址里不要写用户名和密码", "expected the URL without them"],
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(["含有 ? 或 #", "holds a ? or #"], RIGHT));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A server's address from outside: scheme, host and port, without a trailing slash.
pub(super) fn origin(text: &str) -> Result<String, Wrong> {
    const RIGHT: [&str; 2] = [
        "应为 https://qimate.example.com 这样的地址，不含路径",
        "expected such as https://qimate.example.com, without the path",
    ];
    let url = api(text)?;
    match Url::parse(&url) {
        Ok(parsed) if matches!(parsed.path(), "" | "/") => Ok(url),
        _ => Err(Wrong::new(["含有路径", "has a path"], RIGHT)),
    }
}

/// Any address over HTTP, secret parts and all.
pub(super) fn any_http(text: &str) -> Result<String, Wrong> {
    with_scheme(
        text,
        &["http", "https"],
        ["应为网址，例如 https://hooks.example.com/qimate", "expected a URL such as https://hooks.example.com/qimate"],
    )
    .map(String::from)
}

/// A proxy's address, maybe with a user and a password.
pub(super) fn proxy(text: &str) -> Result<Proxy, Wrong> {
    const RIGHT: [&str; 2] = [
        "应为 http://、https://、socks5:// 或 socks5h://，接 主机:端口 或 用户名:密码@主机:端口；密码里的特殊字符用百分号编码",
        "expected http://, https://, socks5:// or socks5h://, then host:port or user:password@host:port, special \
         characters of the password percent-encoded",
    ];
    let url = with_scheme(text, &["http", "https", "socks5", "socks5h"], RIGHT)?;
    // A password with an unencoded / ? or # ends here, with its beginning taken for the port.
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(["在主机和端口之后还有内容", "goes on after the host and port"], RIGHT));
    }
    let user = if text.contains('@') { "***@" } else { "" };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let shown = format!("{}://{user}{host}{port}", url.scheme());
    Ok(Proxy { url: Secret::new(text.to_owned()), shown })
}

fn with_scheme(text: &str, schemes: &[&str], right: [&'static str; 2]) -> Result<Url, Wrong> {
    let known = text.split_once("://").is_some_and(|(scheme, _)| schemes.contains(&&*scheme.to_ascii_lowercase()));
    if !known {
        return Err(Wrong::new(
            [
                format!("不是以 {}:// 开头", schemes.join(":// 或 ")),
                format!("does not begin with {}://", schemes.join(":// or ")),
            ],
            right,
        ));
    }
    match Url::parse(text) {
        Ok(url) if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        _ => Err(Wrong::new(["不是可用的网址", "is not a usable URL"], right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_http_without_anything_secret() {
        assert_eq!(api("https://api.example.com/v1//").ok().as_deref(), Some("https://api.example.com/v1"));
        assert_eq!(api("HTTP://10.0.0.7:8000").ok().as_deref(), Some("http://10.0.0.7:8000"));
        for bad in [
            "api.example.com/v1",
            "localhost:8000",
            "ftp://a",
            "https://",
            "https://a b",
            "https://user:pw@a",
            "https://user:1/w@a",
            "https://a/v1?key=x",
            "https://a/#",
        ] {
            assert!(api(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_user() {
        let cases = [
            ("http://proxy:3128", Some("http://proxy:3128")),
            ("http://u:hunter2@proxy:3128/", Some("http://***@proxy:3128")),
            ("http://u:p@hunter2@proxy:3128", Some("http://***@proxy:3128")),
            ("socks5h://hunter2@[::1]:1080", Some("socks5h://***@[::1]:1080")),
            ("http://u:1/hunter2@proxy", None),
            ("http://u:1#hunter2@proxy", None),
            ("http://u:1?hunter2@proxy", None),
            ("proxy:3128", None),
            ("socks4://proxy", None),
            ("socks5://", None),
        ];
        for (text, shown) in cases {
            assert_eq!(proxy(text).ok().map(|proxy| proxy.shown).as_deref(), shown, "{text}");
        }
    }
}
