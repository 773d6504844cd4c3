//! Changes to a corpus: what a cut connection, a hostile sender or a slip of the keyboard makes of a good text.

use proptest::{collection::vec, prelude::*, sample::Index};

/// One change.
#[derive(Clone, Debug)]
enum Change {
    /// Another byte.
    Byte(Index, u8),
    /// Some bytes are gone.
    Cut(Index, usize),
    /// Bytes that mean something, or not, are put in.
    Insert(Index, Vec<u8>),
    /// A piece comes several times.
    Repeat(Index, usize, usize),
    /// From here on it is another text.
    Splice(Index, Index, Vec<u8>),
}

/// Texts of the corpus with up to eight changes; `words` are what the target's language is made of.
pub fn changed(corpus: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let one_of = prop::sample::select(corpus);
    let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let change = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<Index>(), word).prop_map(|(at, word)| Change::Insert(at, word)),
        (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1_usize..60, 1_usize..60).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (any::<Index>(), any::<Index>(), one_of.clone()).prop_map(|(at, from, other)| Change::Splice(at, from, other)),
    ];
    (one_of, vec(change, 0..8)).prop_map(|(mut text, changes)| {
        for change in changes {
            change.make(&mut text);
        }
        text
    })
}

impl Change {
    fn make(self, text: &mut Vec<u8>) {
        let place = |at: Index, text: &[u8]| at.index(text.len() + 1);
        match self {
            Self::Byte(at, byte) => {
                let at = place(at, text);
                if let Some(old) = text.get_mut(at) {
                    *old = byte;
                }
            }
            Self::Cut(at, length) => {
                let at = place(at, text);
                text.drain(at..(at + length).min(text.len()));
            }
            Self::Insert(at, bytes) => {
                let at = place(at, text);
                text.splice(at..at, bytes);
            }
            Self::Repeat(at, length, times) => {
                let at = place(at, text);
                let piece = text[at..(at + length).min(text.len())].repeat(times);
                text.splice(at..at, piece);
            }
            Self::Splice(at, from, other) => {
                text.truncate(place(at, text));
                text.extend_from_slice(&other[place(from, &other)..]);
            }
        }
    }
}
