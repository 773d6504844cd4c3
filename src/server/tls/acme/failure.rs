//! Why there is no certificate, and what helps: for the administrator, who sees it in the log.

use std::{error::Error as _, fmt, time::Duration};

use instant_acme::{Error, Problem};

use crate::{config, server::tls::certificate::Fault};

/// The sentence for the log: what happened, and what to do. Equal failures are told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    what: String,
    remedy: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.remedy)
    }
}

const REACH_US: &str = "port 443 of the domain must lead to this server, through every firewall, and not through a \
                        proxy that speaks TLS itself: server.listen is that port, or it is forwarded to it";
const DNS: &str = "the domain needs an A or AAAA record with this server's public address, and no other; after a \
                   change it takes until the record's old time to live is over";
const LEAD: &str = "the domain needs an A or AAAA record with this server's public address, and port 443 of it must lead \
                    to this server";
const CAA: &str = "the domain's CAA record names other certificate authorities: add this one, or remove the record";
const RATE: &str =
    "the authority allows no more for now; while trying, use its staging directory in tls.acme_directory";
const IDENTIFIER: &str = "the authority gives no certificate for this domain: look at tls.acme_domains";
const DIRECTORY: &str = "the authority must be reached from here: look at tls.acme_directory, at this machine's way out, \
                         and at tls.acme_root for an authority of your own";
const ACCOUNT: &str = "the authority does not take the account: look at tls.acme_email, or whether it wants accounts \
                       that were registered by hand, which Qimate cannot use";
const LATER: &str = "it lies with the authority and is tried again";
const HERE: &str = "it lies with this machine";

impl Failure {
    /// The order ended with this error.
    pub(super) fn of(settings: &config::tls::Acme, error: Error) -> Self {
        match error {
            Error::Api(problem) => {
                let remedy = remedy(&problem).unwrap_or(LATER);
                Self { what: format!("{} says: {}", settings.directory, said(&problem)), remedy }
            }
            Error::Timeout(_) => {
                Self { what: format!("{} does not come to an end", settings.directory), remedy: REACH_US }
            }
            Error::Crypto | Error::KeyRejected => Self { what: error.to_string(), remedy: HERE },
            error => {
                let mut what = format!("{}: {error}", settings.directory);
                let mut source = error.source();
                while let Some(cause) = source {
                    what = format!("{what}: {cause}");
                    source = cause.source();
                }
                Self { what, remedy: DIRECTORY }
            }
        }
    }

    /// The authority refused this domain.
    pub(super) fn of_domain(settings: &config::tls::Acme, domain: &str, problem: &Problem) -> Self {
        let what = format!("{} could not check {domain}: {}", settings.directory, said(problem));
        Self { what, remedy: remedy(problem).unwrap_or(LEAD) }
    }

    /// The authority refused, and did not say why.
    pub(super) fn refused(settings: &config::tls::Acme) -> Self {
        Self { what: format!("{} refused the order", settings.directory), remedy: REACH_US }
    }

    /// The authority does not check in the one way that we know.
    pub(super) fn no_challenge(settings: &config::tls::Acme) -> Self {
        let what = format!("{} does not offer tls-alpn-01", settings.directory);
        Self { what, remedy: "take another authority, or a certificate in files: tls.certificate and tls.private_key" }
    }

    /// No key could be made.
    pub(super) fn no_key(error: &rcgen::Error) -> Self {
        Self { what: format!("cannot make a key: {error}"), remedy: HERE }
    }

    /// The certificate that came cannot be used.
    pub(super) fn unusable(fault: &Fault) -> Self {
        Self { what: format!("what the authority sent {fault}"), remedy: LATER }
    }

    /// It took too long.
    pub(super) fn too_slow(settings: &config::tls::Acme, limit: Duration) -> Self {
        Self { what: format!("{} took over {limit:?}", settings.directory), remedy: REACH_US }
    }

    /// Whether the authority does not know the account that was kept.
    pub(super) fn is_unknown_account(error: &Error) -> bool {
        matches!(error, Error::Api(problem) if kind(problem) == "accountDoesNotExist")
    }
}

fn kind(problem: &Problem) -> &str {
    problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or("")
}

/// The authority's words, on one line and not endless.
fn said(problem: &Problem) -> String {
    const LONGEST: usize = 400;
    let words = problem.to_string();
    words.strip_prefix("API error: ").unwrap_or(&words).chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// The kinds of RFC 8555, section 6.7.
fn remedy(problem: &Problem) -> Option<&'static str> {
    Some(match kind(problem) {
        "connection" | "tls" | "unauthorized" | "incorrectResponse" => REACH_US,
        "dns" => DNS,
        "caa" => CAA,
        "rateLimited" => RATE,
        "rejectedIdentifier" | "unsupportedIdentifier" => IDENTIFIER,
        "invalidContact" | "unsupportedContact" | "externalAccountRequired" | "userActionRequired" => ACCOUNT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_authority_says_leads_to_what_helps() {
        let settings = config::tls::Acme {
            domains: vec!["bot.example.com".to_owned()],
            email: None,
            directory: "https://ca.example/dir".to_owned(),
            root: None,
        };
        let problem = |kind: &str| -> Problem {
            let kind = format!("urn:ietf:params:acme:error:{kind}");
            serde_json::from_value(serde_json::json!({"type": kind, "detail": "so\nit is"})).expect("problem")
        };
        for (kind, telling) in [
            ("connection", "port 443"),
            ("tls", "port 443"),
            ("dns", "A or AAAA record"),
            ("caa", "CAA"),
            ("rateLimited", "staging"),
            ("rejectedIdentifier", "tls.acme_domains"),
            ("externalAccountRequired", "registered by hand"),
            ("malformed", "A or AAAA record"),
        ] {
            let told = Failure::of_domain(&settings, "bot.example.com", &problem(kind)).to_string();
            assert!(told.contains(telling) && told.contains("soit is") && told.contains("bot.example.com"), "{told}");
        }
        let told = Failure::of(&settings, Error::Api(problem("serverInternal"))).to_string();
        assert!(told.contains("https://ca.example/dir") && told.contains("tried again"), "{told}");
        assert!(Failure::is_unknown_account(&Error::Api(problem("accountDoesNotExist"))));
        assert!(!Failure::is_unknown_account(&Error::Api(problem("malformed"))));
    }
}
