//! Words: keys by how their makers begin them, web tokens, private keys, e-mail addresses.

use std::ops::Range;

use super::Kind;

/// The one beginning with something else than letters, digits, `_` and `-` in it.
const DOTTED: &str = "ya29.";
/// How keys begin, and how many letters, digits, `_` and `-` at least follow. Of `sk-` at least one is a digit, since
/// people write such words too.
const KEYS: [(&str, usize); 24] = [
    ("sk-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AKID", 16),
    ("LTAI", 12),
    ("AIza", 30),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xoxa-", 20),
    ("xoxr-", 20),
    ("hf_", 30),
    ("npm_", 30),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("gsk_", 30),
    (DOTTED, 30),
];
/// How a PEM block begins; what it is stands before `PRIVATE KEY-----`. Letters and hyphens, and a space behind them.
const PEM: &str = "-----BEGIN ";
/// Within so many bytes its first line says what it is.
const PEM_HEAD: usize = 60;
/// How a web token (RFC 7519) begins: `{"` in Base64.
const JWT: &str = "eyJ";
/// Characters that each of its three parts has at least.
const JWT_PART: usize = 10;

/// Every secret has a part of so many letters, digits, `_` and `-` without anything between them.
const SHORTEST: usize = 10;

/// Adds the secrets in `text`.
pub(super) fn secrets(text: &str, found: &mut Vec<(Range<usize>, Kind)>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(run) = next_run(bytes, at) {
        let dotted = text[..run.start].ends_with(DOTTED).then(|| run.start - DOTTED.len());
        let begins = |at: &usize| *at == 0 || !is_key_byte(bytes[at - 1]);
        let mut begins = dotted.into_iter().chain([run.start]).filter(begins);
        let secret = begins.find_map(|at| Some(at..key(text, at)?)).or_else(|| {
            // Its space ends the run.
            let at = (run.end + 1).checked_sub(PEM.len()).filter(|at| text[*at..].starts_with(PEM))?;
            Some(at..private_key(text, at)?)
        });
        at = secret.as_ref().map_or(run.end, |secret| secret.end);
        found.extend(secret.map(|secret| (secret, Kind::Secret)));
    }
}

/// The next part from `at` on that is long enough for a secret. Most of a text is none: only each tenth byte is looked at
/// before one is found.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from + SHORTEST - 1;
    while at < bytes.len() {
        if !is_key_byte(bytes[at]) {
            at += SHORTEST;
            continue;
        }
        let start = at - bytes[from..at].iter().rev().take_while(|byte| is_key_byte(**byte)).count();
        let end = at + bytes[at..].iter().take_while(|byte| is_key_byte(**byte)).count();
        if end - start >= SHORTEST {
            return Some(start..end);
        }
        at = end + SHORTEST;
    }
    None
}

/// Where the key or web token ends that begins at `at`.
fn key(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let run = |text: &str| text.bytes().take_while(|byte| is_key_byte(*byte)).count();
    if rest.starts_with(JWT) {
        let part = |text: &str| Some(run(text)).filter(|length| *length >= JWT_PART);
        let head = part(rest)?;
        let behind = rest[head..].strip_prefix('.')?;
        let claims = part(behind)?;
        let signature = part(behind[claims..].strip_prefix('.')?)?;
        return Some(at + head + claims + 2 + signature);
    }
    let (prefix, least) = KEYS.iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let secret = &rest[prefix.len()..][..run(&rest[prefix.len()..])];
    let is_secret = secret.len() >= *least && secret.bytes().any(|byte| byte.is_ascii_digit() || *prefix == DOTTED);
    is_secret.then(|| at + prefix.len() + secret.len())
}

/// Where the private key ends that begins at `at`: behind its last line, or, when that is missing, with the text.
fn private_key(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let head = &rest[..rest.floor_char_boundary(PEM_HEAD)];
    if !head.lines().next().is_some_and(|line| line.contains("PRIVATE KEY")) {
        return None;
    }
    let Some(last) = rest.find("-----END ") else { return Some(text.len()) };
    let behind = last + "-----END ".len();
    let end = rest[behind..].find("-----").map_or(rest.len(), |dashes| behind + dashes + 5);
    Some(at + end)
}

/// Adds the e-mail addresses in `text`.
pub(super) fn emails(text: &str, found: &mut Vec<(Range<usize>, Kind)>) {
    let bytes = text.as_bytes();
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    // Each character is looked at once from each side, however many signs there are.
    let mut free = 0;
    for (at, _) in text.match_indices('@') {
        let local = bytes[free..at].iter().rev().take_while(|byte| is_local(byte)).count();
        let host = bytes[at + 1..].iter().take_while(|byte| is_host(byte)).count();
        free = at + 1;
        let host = text[at + 1..at + 1 + host].trim_end_matches(['.', '-']);
        let is_domain = host.rsplit_once('.').is_some_and(|(name, top)| {
            !name.is_empty() && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        if local > 0 && is_domain {
            free += host.len();
            found.push((at - local..free, Kind::Email));
        }
    }
}

const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, looking everywhere.
    fn secrets_anywhere(text: &str) -> Vec<(Range<usize>, Kind)> {
        let (bytes, mut found, mut at) = (text.as_bytes(), Vec::new(), 0);
        while at < bytes.len() {
            let begins = at == 0 || !is_key_byte(bytes[at - 1]);
            let end = match text.get(at..) {
                Some(rest) if rest.starts_with(PEM) => private_key(text, at),
                Some(_) if begins => key(text, at),
                _ => None,
            };
            found.extend(end.map(|end| (at..end, Kind::Secret)));
            at = end.unwrap_or(at + 1);
        }
        found
    }

    proptest! {
        #[test]
        fn nothing_is_missed_where_nothing_is_looked_at(
            text in "(密|[ .-]|[a-z0-9]{1,12}|sk-[a-z]{12,18}[0-9]|ya29\\.|[a-z]{29,31}|eyJ[a-z]{6,9}|-{4,6}BEGIN |PRIVATE KEY|-----END ){0,24}",
        ) {
            let mut found = Vec::new();
            secrets(&text, &mut found);
            prop_assert_eq!(found, secrets_anywhere(&text), "{}", text);
        }
    }
}
