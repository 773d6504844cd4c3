//! `[web]`: pages that are read for members.

use std::time::Duration;

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported},
    setting::Value,
};
use crate::{net::fetch::AllowedHost, secret::Secret};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Web {
    /// Whether the page behind a link that a member shares is read.
    pub read_links: bool,
    /// Hosts inside the house that may be read.
    pub allow_hosts: Vec<AllowedHost>,
    /// Ports that may be asked.
    pub ports: Vec<u16>,
    /// Bytes of a page that are read.
    pub max_bytes: usize,
    /// Characters of its text that the model is shown.
    pub max_chars: usize,
    /// How long a page may take.
    pub timeout: Duration,
    /// Through which pages are read.
    pub proxy: Option<Secret<String>>,
}

impl Web {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let read_links = reader.flag("web.read_links");
        let allow_hosts = reader.take("web.allow_hosts", |value| listed(value, host));
        let ports = reader.take("web.ports", |value| listed(value, port));
        let max_kib = reader.whole("web.max_kib", 16..=16_384_usize);
        let max_chars = reader.whole("web.max_chars", 200..=500_000);
        let timeout = reader.whole("web.timeout_seconds", 1..=300);
        let proxy = reader.proxy("web.proxy");
        Ok(Self {
            read_links: read_links?,
            allow_hosts: allow_hosts?,
            ports: ports?,
            max_bytes: max_kib? * 1024,
            max_chars: max_chars?,
            timeout: Duration::from_secs(timeout?),
            proxy: proxy?,
        })
    }
}

/// A list in a file; in a variable its items are separated by commas.
pub(super) fn listed<T>(value: &Value, rule: impl Fn(&str) -> Result<T, Wrong>) -> Result<(Vec<T>, String), Wrong> {
    let items: Vec<String> = match value {
        Value::List(items) => items
            .iter()
            .map(|item| match item {
                Value::Whole(number) => Ok(number.to_string()),
                item => item.text().map(str::to_owned),
            })
            .collect::<Result<_, _>>()?,
        Value::Untyped(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        other => return Err(other.unexpected(["列表", "a list"])),
    };
    let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
    let values = items.iter().map(|item| rule(item)).collect::<Result<Vec<_>, _>>()?;
    Ok((values, if items.is_empty() { NOT_SET.to_owned() } else { items.join(", ") }))
}

fn host(text: &str) -> Result<AllowedHost, Wrong> {
    let wrong = || {
        Wrong::new(
            ["有一项不是主机名", "holds something that is no host"],
            [
                "应为主机名或地址，可带端口，如 wiki.example.com 或 10.0.0.5:8080，不含 http://",
                "expected a name or an address, with a port or without, such as wiki.example.com or 10.0.0.5:8080, \
                 and no http://",
            ],
        )
    };
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address stands in brackets, as in URLs.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
        _ => (text, None),
    };
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_v6 = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || !is_name(host) && !is_v6 {
        return Err(wrong());
    }
    Ok(AllowedHost { host: host.trim_end_matches('.').to_ascii_lowercase(), port })
}

fn port(text: &str) -> Result<u16, Wrong> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        Wrong::new(
            ["有一项不是端口", "holds something that is no port"],
            ["应为 1 到 65535 的整数", "expected whole numbers from 1 to 65535"],
        )
    })
}
