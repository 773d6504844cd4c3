//! The second factor of an operator: a seed that their authenticator app and the store share, and the codes that follow
//! from it and from the time (TOTP, RFC 6238). SHA-1, six digits and thirty seconds, because that is what every app can.

use hmac::{Hmac, KeyInit, Mac, digest::Key};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::operator::OperatorName;
use crate::{clock::Timestamp, secret::Secret};

/// Bytes of a seed: as many as SHA-1 has, which RFC 4226 recommends.
pub const SEED_BYTES: usize = 20;
/// Seconds of a step.
const PERIOD: i64 = 30;
const DIGITS: usize = 6;
/// Of Base32 (RFC 4648).
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Before an operator's name, in the names of secrets that are stored: no setting is called so.
const STORED: &str = "operator/";

/// Whether operators need one to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondFactor {
    /// Each of them, with no exception.
    #[default]
    Required,
    /// None is asked for, and none is set up.
    Off,
}

impl SecondFactor {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Required, Self::Off];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

/// Under which name the seed of an operator is stored, sealed. It is bound to that name, so that no operator's seed can be
/// put in the place of another's.
pub fn stored_name(operator: &OperatorName) -> String {
    format!("{STORED}{operator}")
}

/// Whose seed is stored under this name; `None`: it is the name of a setting.
pub fn whose(stored: &str) -> Option<&str> {
    stored.strip_prefix(STORED)
}

/// A seed. Shows itself to nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(Secret<[u8; SEED_BYTES]>);

impl Seed {
    /// From bytes that were drawn.
    pub const fn of(bytes: [u8; SEED_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Reads what [`Seed::text`] writes.
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        from_base32(text.expose())?.try_into().ok().map(Self::of)
    }

    /// In Base32, as people type it into their app.
    pub fn text(&self) -> Secret<String> {
        Secret::new(to_base32(self.0.expose()))
    }

    /// What apps read from a picture of it.
    pub fn uri(&self, operator: &OperatorName) -> Secret<String> {
        // Of the letters of a name this one alone has a meaning there.
        let (label, secret) = (operator.as_str().replace('@', "%40"), self.text());
        Secret::new(format!(
            "otpauth://totp/Qimate:{label}?secret={}&issuer=Qimate&algorithm=SHA1&digits={DIGITS}&period={PERIOD}",
            secret.expose()
        ))
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> Secret<String> {
        // HMAC fills a key that is shorter than a block of its hash with zeros.
        let mut key = Key::<Hmac<Sha1>>::default();
        key[..SEED_BYTES].copy_from_slice(self.0.expose());
        let mut mac = Hmac::<Sha1>::new(&key);
        mac.update(&step.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let at = usize::from(hash[hash.len() - 1] & 0x0f);
        let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
        Secret::new(format!("{:0DIGITS$}", number % 10_u32.pow(DIGITS as u32)))
    }

    /// The step of which this is the code: that of now, or the one before, since people need time to type. `None`: it is
    /// the code of neither. Spaces, with which apps show it, do not matter. Takes the same time whichever it is.
    pub fn step_of(&self, code: &Secret<String>, now: Timestamp) -> Option<i64> {
        let code: String = code.expose().chars().filter(|c| !c.is_whitespace()).collect();
        let is_of = |step: i64| -> bool { self.code(step).expose().as_bytes().ct_eq(code.as_bytes()).into() };
        let now = step_at(now);
        let (is_of_now, is_of_before) = (is_of(now), is_of(now - 1));
        if is_of_now { Some(now) } else { is_of_before.then_some(now - 1) }
    }
}

/// The number of the step that is at this time.
pub const fn step_at(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(PERIOD)
}

/// Without the `=` at the end, as apps expect it.
fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut bits = [0; 8];
        bits[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(bits);
        let letters = (group.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|n| char::from(ALPHABET[usize::from((bits >> (35 - 5 * n)) as u8 & 31)])));
    }
    text
}

/// What was written so; `None`: it was not.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 5 | value as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0 && count < 5).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::of(*b"12345678901234567890")
    }

    fn code(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    /// RFC 6238, appendix B, the rows of SHA-1; of its eight digits the last six.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (at, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let now = Timestamp::from_secs(at);
            assert_eq!(seed().code(step_at(now)).expose(), &eight[2..], "{at}");
            assert_eq!(seed().step_of(&code(&eight[2..]), now), Some(at / 30), "{at}");
        }
    }

    #[test]
    fn a_code_is_good_in_its_step_and_in_the_next() {
        let (seed, step) = (seed(), 1_111_111_111 / 30);
        let good = seed.code(step);
        let at = |step: i64, second: i64| Timestamp::from_secs(step * 30 + second);
        for (now, is_good) in [
            (at(step - 1, 29), false),
            (at(step, 0), true),
            (at(step, 29), true),
            (at(step + 1, 0), true),
            (at(step + 1, 29), true),
            (at(step + 2, 0), false),
        ] {
            assert_eq!(seed.step_of(&good, now).is_some(), is_good, "{now:?}");
        }
        assert_eq!(seed.step_of(&good, at(step + 1, 3)), Some(step), "that of the code, not of the clock");
        assert_eq!(seed.step_of(&code(" 050 471\n"), at(step, 0)), Some(step));
        for wrong in ["", "50471", "0504710", "050472", "05047l", "０５０４７１"] {
            assert_eq!(seed.step_of(&code(wrong), at(step, 0)), None, "{wrong}");
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, padded) in [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ] {
            let text = padded.trim_end_matches('=');
            assert_eq!(to_base32(bytes.as_bytes()), text);
            assert_eq!(from_base32(text).as_deref(), Some(bytes.as_bytes()));
        }
        for wrong in ["mzxw6ytb", "MZXW6YT1", "MZXW6YQ=", "M", "MZX", "MZ"] {
            assert_eq!(from_base32(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_seed_is_read_as_it_was_written_and_shown_nowhere() {
        let (seed, text) = (seed(), seed().text());
        assert_eq!(text.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(Seed::parse(&text), Some(seed.clone()));
        assert_eq!(Seed::parse(&code("GEZDGNBV")), None);
        assert_eq!(format!("{seed:?}"), "Seed(***)");
        let uri = seed.uri(&OperatorName::parse("zhang.san@example.com").unwrap());
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Qimate:zhang.san%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Qimate\
             &algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn what_is_stored_of_it_is_called_as_no_setting_is() {
        let name = stored_name(&OperatorName::parse("Li").unwrap());
        assert_eq!((name.as_str(), whose(&name)), ("operator/li", Some("li")));
        assert_eq!(whose("wecom.secret"), None);
        assert!(crate::config::SecretName::parse(&name).is_err());
    }
}
