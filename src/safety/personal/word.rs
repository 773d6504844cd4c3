//! Words: keys by how their makers begin them, web tokens, private keys, e-mail addresses.

use std::ops::Range;

use super::Kind;

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
    ("ya29.", 30),
];
/// How a PEM block begins; what it is stands before `PRIVATE KEY-----`.
const PEM: &str = "-----BEGIN ";
/// Within so many bytes its first line says what it is.
const PEM_HEAD: usize = 60;
/// How a web token (RFC 7519) begins: `{"` in Base64.
const JWT: &str = "eyJ";
/// Characters that each of its three parts has at least.
const JWT_PART: usize = 10;

/// Adds the secrets in `text`.
pub(super) fn secrets(text: &str, found: &mut Vec<(Range<usize>, Kind)>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begins = at == 0 || !is_key_byte(bytes[at - 1]);
        let end = match bytes[at] {
            b'-' if bytes[at..].starts_with(PEM.as_bytes()) => private_key(text, at),
            b's' | b'A' | b'L' | b'g' | b'x' | b'h' | b'n' | b'r' | b'y' | b'e' if begins => key(text, at),
            _ => None,
        };
        match end {
            Some(end) => {
                found.push((at..end, Kind::Secret));
                at = end;
            }
            None => at += 1,
        }
    }
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
    let is_secret = secret.len() >= *least && secret.bytes().any(|byte| byte.is_ascii_digit() || *prefix == "ya29.");
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
