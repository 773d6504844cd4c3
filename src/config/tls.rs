//! `[tls]`: HTTPS without a proxy in front.

use std::path::PathBuf;

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported, any},
    url,
};

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP: something else in front speaks TLS.
    Off,
    /// Two PEM files, read again when they change.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// Its key.
        private_key: PathBuf,
    },
    /// A certificate authority that speaks ACME (RFC 8555).
    Acme(Acme),
}

/// What ACME needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The domains of the certificate, at least one.
    pub domains: Vec<String>,
    /// Where the authority can write to.
    pub email: Option<String>,
    /// The authority's directory.
    pub directory: String,
    /// The authority's own root certificate, in a PEM file.
    pub root: Option<PathBuf>,
}

impl Tls {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let certificate = reader.optional_text("tls.certificate", any);
        let private_key = reader.optional_text("tls.private_key", any);
        let domains = reader.take("tls.acme_domains", |value| {
            let domains = value.text()?.split(',').map(str::trim).filter(|name| !name.is_empty()).map(domain);
            let domains: Vec<String> = domains.collect::<Result<_, _>>()?;
            let shown = shown(&domains.join(", "));
            Ok((domains, shown))
        });
        let email = reader.optional_text("tls.acme_email", email);
        let directory = reader.text("tls.acme_directory", url::api);
        let root = reader.optional_text("tls.acme_root", any);
        let (certificate, private_key, domains) = (certificate?, private_key?, domains?);
        match (certificate, private_key, domains.is_empty()) {
            (None, None, true) => Ok(Self::Off),
            (Some(certificate), Some(private_key), true) => {
                Ok(Self::Files { certificate: certificate.into(), private_key: private_key.into() })
            }
            (None, None, false) => {
                Ok(Self::Acme(Acme { domains, email: email?, directory: directory?, root: root?.map(PathBuf::from) }))
            }
            (Some(_), None, true) => {
                Err(reader.missing("tls.private_key", ["证书的私钥文件", "the file with the certificate's key"]))
            }
            (None, Some(_), true) => {
                Err(reader.missing("tls.certificate", ["证书文件", "the file with the certificate"]))
            }
            _ => Err(reader.contradiction(
                "tls.acme_domains",
                Wrong::new(
                    ["与 tls.certificate 同时设置", "stands beside tls.certificate"],
                    ["证书文件和 ACME 二选一", "expected either files or ACME"],
                ),
            )),
        }
    }
}

fn shown(text: &str) -> String {
    if text.is_empty() { NOT_SET.to_owned() } else { text.to_owned() }
}

fn domain(text: &str) -> Result<String, Wrong> {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.contains('.') && text.split('.').all(label) && text.parse::<std::net::IpAddr>().is_err() {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Wrong::new(
            ["里有不是域名的内容", "holds something that is no domain"],
            ["例如 qimate.example.com，多个用逗号分隔", "expected such as qimate.example.com, separated by commas"],
        ))
    }
}

fn email(text: &str) -> Result<String, Wrong> {
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(Wrong::new(
            ["不是邮箱地址", "is not an e-mail address"],
            ["例如 it@example.com", "expected such as it@example.com"],
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_name_with_a_dot() {
        assert_eq!(domain("Bot.Example.com").ok().as_deref(), Some("bot.example.com"));
        for bad in ["localhost", "1.2.3.4", "*.example.com", "https://a.b", "a..b", "-a.b", "企伴.公司"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }
}
