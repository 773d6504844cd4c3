//! `[server]`: where Qimate listens, what it is called from outside, and how it stops.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported, key, texts},
    setting::Value,
    url,
};
use crate::secret::Secret;

/// The section's values.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The path of the callback, beginning with `/`, without a trailing one.
    pub callback_path: String,
    /// What the server is reached by from outside: scheme, host and port.
    pub public_url: Option<String>,
    /// Where metrics and the like are answered without a key.
    pub operations_listen: Option<SocketAddr>,
    /// With it, they are answered on `listen` too.
    pub operator_key: Option<Secret<String>>,
    /// The files by which WeCom checks a domain: name and content.
    pub domain_files: BTreeMap<String, String>,
    /// Whether the checks of `qimate doctor` run once at start.
    pub check_at_start: bool,
    /// How long open turns and deliveries may go on after the first stop signal.
    pub stop_timeout: Duration,
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let listen = reader.text("server.listen", address);
        let callback_path = reader.text("server.callback_path", path);
        let public_url = reader.optional_text("server.public_url", url::origin);
        let operations_listen = reader.optional_text("server.operations_listen", address);
        let operator_key = reader.optional_text("server.operator_key", |text| key(text, 24));
        let stop_timeout = reader.whole("server.stop_timeout_seconds", 1..=3600);
        let check_at_start = reader.flag("server.check_at_start");
        let domain_files = reader.take("server.domain_files", |value| domain_files(value).map(named));
        Ok(Self {
            listen: listen?,
            callback_path: callback_path?,
            public_url: public_url?,
            operations_listen: operations_listen?,
            operator_key: operator_key?,
            domain_files: domain_files?,
            check_at_start: check_at_start?,
            stop_timeout: Duration::from_secs(stop_timeout?),
        })
    }
}

/// Below these there is what the server answers itself.
const OURS: [&str; 3] = ["/v1", "/admin", "/key"];
/// Paths that the server answers itself.
const RESERVED: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/status", "/upstreams/clear"];

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            ["不是带端口的地址", "is not an address with a port"],
            ["例如 0.0.0.0:8080 或 [::]:8080", "expected such as 0.0.0.0:8080 or [::]:8080"],
        )
    })
}

/// Letters that mean themselves in a URL and in a route, so that the path in WeCom's console is this one.
pub(super) fn path(text: &str) -> Result<String, Wrong> {
    const RIGHT: [&str; 2] = ["例如 /wxcomapp", "expected such as /wxcomapp"];
    let Some(segments) = text.strip_prefix('/') else {
        return Err(Wrong::new(["不是以 / 开头", "does not begin with /"], RIGHT));
    };
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if segments.split('/').any(|segment| matches!(segment, "" | "." | "..") || !segment.chars().all(plain)) {
        return Err(Wrong::new(
            [
                "有空的一段，或有字母、数字和 - . _ ~ 以外的字符",
                "has an empty part, or a character other than letters, digits and - . _ ~",
            ],
            RIGHT,
        ));
    }
    let path = format!("/{segments}");
    let is_below = |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if RESERVED.contains(&path.as_str()) || path.starts_with("/WW_verify_") || OURS.iter().any(|room| is_below(room)) {
        return Err(Wrong::new(["已被企伴自己使用", "is taken by Qimate itself"], RIGHT));
    }
    Ok(path)
}

/// Only names that WeCom gives such files: nobody gets a web server by this key.
fn domain_files(value: &Value) -> Result<BTreeMap<String, String>, Wrong> {
    const LONGEST: usize = 1024;
    let mut files = BTreeMap::new();
    for (name, content) in texts(value, "server.domain_files")? {
        let middle = name.strip_prefix("WW_verify_").and_then(|rest| rest.strip_suffix(".txt"));
        if !middle.is_some_and(|id| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return Err(Wrong::new(
                ["里有企业微信不会给的文件名", "holds a name that WeCom does not give"],
                [
                    "应为下载时的文件名，例如 WW_verify_AbC123.txt",
                    "expected names such as WW_verify_AbC123.txt, as downloaded",
                ],
            ));
        }
        let content = content.trim().to_owned();
        if content.is_empty() || content.len() > LONGEST || content.chars().any(char::is_control) {
            return Err(Wrong::new(
                ["里有文件没有内容", "holds a file without its content"],
                ["应为文件里的那一行", "expected the one line that the file holds"],
            ));
        }
        files.insert(name, content);
    }
    Ok(files)
}

/// The names are shown; the contents say nothing to a reader.
fn named(files: BTreeMap<String, String>) -> (BTreeMap<String, String>, String) {
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let shown = if names.is_empty() { NOT_SET.to_owned() } else { names.join(", ") };
    (files, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_path_is_plain_and_free() {
        for (text, taken) in
            [("/wxcomapp", "/wxcomapp"), ("/wxcomapp/", "/wxcomapp"), ("/a/b-1.c", "/a/b-1.c"), ("/v12", "/v12")]
        {
            assert_eq!(path(text).ok().as_deref(), Some(taken));
        }
        for bad in [
            "/",
            "wxcomapp",
            "/a?b",
            "/a#b",
            "/{a}",
            "/a//b",
            "/a//",
            "/../a",
            "/应用",
            "/healthz",
            "/readyz/",
            "/WW_verify_a.txt",
            "/v1/wecom",
            "/admin",
            "/admin/api/wecom",
            "/key",
            "/key/wecom",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_wecoms_own_files_are_taken() {
        let files = |json: &str| domain_files(&Value::Untyped(json.to_owned())).ok();
        assert_eq!(files("").map(|files| files.len()), Some(0));
        let taken = files(r#"{"WW_verify_AbC123.txt":" AbC123\n"}"#).expect("taken");
        assert_eq!(taken.get("WW_verify_AbC123.txt").map(String::as_str), Some("AbC123"));
        for bad in [
            r#"{"robots.txt":"x"}"#,
            r#"{"WW_verify_../x.txt":"x"}"#,
            r#"{"WW_verify_.txt":"x"}"#,
            r#"{"WW_verify_a.txt":""}"#,
            r#"["WW_verify_a.txt"]"#,
        ] {
            assert!(files(bad).is_none(), "{bad}");
        }
    }
}
