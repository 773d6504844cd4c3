//! How long an AMR file plays, without decoding it.

use std::time::Duration;

/// What a narrow-band file begins with (RFC 4867 §5.1).
const MAGIC: &[u8] = b"#!AMR\n";
/// Bytes behind the first of a frame, by the frame's type; the types that are not here do not exist in a file.
const SPEECH: [usize; 9] = [12, 13, 15, 17, 19, 20, 26, 31, 5];
/// A frame without anything: its type, which has no bytes behind it.
const NO_DATA: u8 = 15;
/// How long a frame plays.
const FRAME: Duration = Duration::from_millis(20);

/// How long a narrow-band AMR file of one channel plays; `None` when it is none, or broken. A last frame that is cut
/// does not count.
pub fn duration(amr: &[u8]) -> Option<Duration> {
    let mut rest = amr.strip_prefix(MAGIC)?;
    let mut frames = 0;
    while let Some((head, behind)) = rest.split_first() {
        let kind = head >> 3 & 0x0f;
        let length = if kind == NO_DATA { 0 } else { *SPEECH.get(usize::from(kind))? };
        let Some(next) = behind.get(length..) else { break };
        frames += 1;
        rest = next;
    }
    Some(FRAME * frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::voice::Recording;

    #[test]
    fn it_plays_as_long_as_it_was_recorded() {
        let amr = Recording { sample_rate: 8000, samples: vec![1000; 8000 * 3] }.to_amr().expect("encoded");
        assert_eq!(duration(&amr), Some(Duration::from_secs(3)));
        assert_eq!(duration(&amr[..amr.len() - 1]), Some(Duration::from_millis(2980)));
        assert_eq!(duration(b"#!AMR\n"), Some(Duration::ZERO));
        for other in [&b"#!AMR-WB\n"[..], b"ID3", b"", b"#!AMR\n\x4c\x4c"] {
            assert_eq!(duration(other), None);
        }
    }
}
