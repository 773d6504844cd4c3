//! Bytes that nobody reads or changes without the key.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::NoRandomBytes;

/// Of every key.
pub(super) const KEY_BYTES: usize = 32;

/// What is written before what is sealed, so that another way can follow.
const VERSION: u8 = 1;

/// A key, overwritten when it is dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// A new key.
pub(super) fn random_key() -> Result<Key, NoRandomBytes> {
    let mut key = Key::default();
    getrandom::fill(&mut *key).map_err(|_| NoRandomBytes)?;
    Ok(key)
}

/// Seals `plain` for `context`: what it is and whose. The same again is another text each time.
pub(super) fn seal(key: &Key, context: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, NoRandomBytes> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| NoRandomBytes)?;
    let head = 1 + NONCE_LEN;
    // Large enough from the beginning: a copy that moved would leave the plain text behind.
    let mut sealed = Vec::with_capacity(head + plain.len() + CHACHA20_POLY1305.tag_len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    // Neither fails with a key of this length and a text that fits into memory.
    let tag = cipher(key)
        .and_then(|cipher| cipher.seal_in_place_separate_tag(nonce, bound(context), &mut sealed[head..]).ok())
        .ok_or(NoRandomBytes)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// What was sealed with this key for this context; `None` where it is anything else.
pub(super) fn open(key: &Key, context: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (&version, rest) = sealed.split_first()?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
    if version != VERSION {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let length = cipher(key)?.open_in_place(nonce, bound(context), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn cipher(key: &Key) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, &**key).ok().map(LessSafeKey::new)
}

/// Each part with its length before it, so that no two contexts are written alike.
fn bound(context: &[&[u8]]) -> Aad<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in context {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_texts_are_sealed_differently_and_nothing_of_them_shows() {
        let key = random_key().unwrap();
        let [one, two] = [(); 2].map(|()| seal(&key, &[b"a"], b"hunter2hunter2").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(4).any(|part| part == b"hunt"), "{one:?}");
        assert_eq!(open(&key, &[b"a"], &two).unwrap().as_slice(), b"hunter2hunter2");
    }

    #[test]
    fn contexts_are_not_written_alike() {
        let key = random_key().unwrap();
        let sealed = seal(&key, &[b"ab", b"c"], b"x").unwrap();
        for other in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"c", b"ab"]] {
            assert!(open(&key, other, &sealed).is_none(), "{other:?}");
        }
        assert!(open(&random_key().unwrap(), &[b"ab", b"c"], &sealed).is_none());
    }

    proptest! {
        /// Whatever bit is turned, and wherever it is cut: it is refused, and never read as something else.
        #[test]
        fn what_was_changed_is_refused(plain in prop::collection::vec(any::<u8>(), 0..80), bit in any::<prop::sample::Index>()) {
            let key = random_key().unwrap();
            let sealed = seal(&key, &[b"name"], &plain).unwrap();
            let opened = open(&key, &[b"name"], &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), &plain[..]);
            let at = bit.index(sealed.len() * 8);
            let mut turned = sealed.clone();
            turned[at / 8] ^= 1 << (at % 8);
            prop_assert!(open(&key, &[b"name"], &turned).is_none());
            prop_assert!(open(&key, &[b"name"], &sealed[..at / 8]).is_none());
        }
    }
}
