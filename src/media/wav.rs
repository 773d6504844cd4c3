//! WAV files as speech models write them: uncompressed samples of 16 bits, one channel or more.

use std::time::Duration;

use super::voice::{Recording, Unusable};

/// Rates that are read: from a telephone's to a studio's.
const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
/// The code of uncompressed samples in a WAV's head, and the one that says "look further on".
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
/// The only size of a sample that is read, in bits.
const SAMPLE_BITS: u16 = 16;
/// The longest that is read, in samples at the lowest rate: ten minutes.
const MOST_SECONDS: usize = 600;

/// What is known of the samples.
struct Head {
    channels: u16,
    sample_rate: u32,
}

/// Reads a WAV file. A stream's length is not known when its head is written, so one that claims more than there is
/// goes to the end of the file; several channels become one.
///
/// # Errors
/// [`Unusable`]; [`Unusable::NotAmr`] never.
pub fn read(wav: &[u8]) -> Result<Recording, Unusable> {
    let riff = wav.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)).and_then(|rest| rest.strip_prefix(b"WAVE"));
    let mut rest = riff.ok_or(Unusable::NotWav)?;
    let mut head = None;
    loop {
        let (name, length) = match rest {
            [a, b, c, d, e, f, g, h, ..] => ([*a, *b, *c, *d], u32::from_le_bytes([*e, *f, *g, *h]) as usize),
            _ => return Err(Unusable::Broken),
        };
        let body = &rest[8..];
        let chunk = &body[..length.min(body.len())];
        match &name {
            b"fmt " => head = Some(read_head(chunk)?),
            b"data" => return samples(chunk, head.ok_or(Unusable::Broken)?),
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(length.saturating_add(length % 2)..).ok_or(Unusable::Broken)?;
    }
}

/// How long a WAV file is that [`read`] reads, or would if it were shorter; `None`: it is none.
pub fn length(wav: &[u8]) -> Option<Duration> {
    let riff = wav.strip_prefix(b"RIFF")?.get(4..)?;
    let (mut rest, mut head) = (riff.strip_prefix(b"WAVE")?, None);
    while let [a, b, c, d, e, f, g, h, body @ ..] = rest {
        let length = u32::from_le_bytes([*e, *f, *g, *h]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &[*a, *b, *c, *d] {
            b"fmt " => head = Some(read_head(chunk).ok()?),
            b"data" => {
                let Head { channels, sample_rate } = head?;
                let fits = (1..=8).contains(&channels) && RATES.contains(&sample_rate);
                let second = u64::from(sample_rate) * u64::from(channels) * 2;
                return fits.then(|| Duration::from_millis((chunk.len() as u64 * 1000).div_ceil(second)));
            }
            _ => {}
        }
        rest = body.get(length.saturating_add(length % 2)..)?;
    }
    None
}

/// Bare samples of 16 bits, one channel, at this rate.
///
/// # Errors
/// [`Unusable`].
pub fn read_bare(pcm: &[u8], sample_rate: u32) -> Result<Recording, Unusable> {
    samples(pcm, Head { channels: 1, sample_rate })
}

fn read_head(chunk: &[u8]) -> Result<Head, Unusable> {
    let word = |at: usize| chunk.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let (Some(mut code), Some(channels), Some(low), Some(high), Some(bits)) =
        (word(0), word(2), word(4), word(6), word(14))
    else {
        return Err(Unusable::Broken);
    };
    if code == EXTENSIBLE {
        code = word(24).ok_or(Unusable::Broken)?;
    }
    if code != PCM || bits != SAMPLE_BITS {
        return Err(Unusable::NotWav);
    }
    Ok(Head { channels, sample_rate: u32::from(high) << 16 | u32::from(low) })
}

fn samples(data: &[u8], Head { channels, sample_rate }: Head) -> Result<Recording, Unusable> {
    if !(1..=8).contains(&channels) || !RATES.contains(&sample_rate) {
        return Err(Unusable::NotWav);
    }
    let channels = usize::from(channels);
    if data.len() / 2 / channels > MOST_SECONDS * sample_rate as usize {
        return Err(Unusable::TooLong);
    }
    let mean = |frame: &[u8]| {
        let sum: i32 = frame.chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]]))).sum();
        (sum / channels as i32) as i16
    };
    let samples: Vec<i16> = data.chunks_exact(2 * channels).map(mean).collect();
    if samples.is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(Recording { sample_rate, samples })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recording() -> Recording {
        Recording { sample_rate: 24_000, samples: (0..1000).map(|n| n * 31 % 997).collect() }
    }

    #[test]
    fn what_was_written_is_read_and_so_is_a_stream_without_a_length() {
        let wav = recording().to_wav();
        assert_eq!(read(&wav), Ok(recording()));
        let mut stream = wav.clone();
        stream[4..8].fill(0xff);
        stream[40..44].fill(0xff);
        assert_eq!(read(&stream), Ok(recording()));
        // Something else before the samples, of an odd length.
        let note = [&wav[..36], b"LIST\x03\0\0\0abc\0", &wav[36..]].concat();
        assert_eq!(read(&note), Ok(recording()));
        assert_eq!(read_bare(&wav[44..], 24_000), Ok(recording()));
    }

    #[test]
    fn two_channels_become_one() {
        let mut wav = Recording { sample_rate: 16_000, samples: vec![100, 300, -100, -300] }.to_wav();
        wav[22] = 2;
        assert_eq!(read(&wav), Ok(Recording { sample_rate: 16_000, samples: vec![200, -200] }));
    }

    #[test]
    fn what_is_none_is_named() {
        let wav = recording().to_wav();
        let with = |at: usize, byte: u8| {
            let mut wav = wav.clone();
            wav[at] = byte;
            read(&wav)
        };
        assert_eq!(read(b"ID3"), Err(Unusable::NotWav));
        assert_eq!(read(&wav[..30]), Err(Unusable::Broken));
        assert_eq!(read(&wav[..44]), Err(Unusable::Empty));
        assert_eq!(with(20, 3), Err(Unusable::NotWav), "floating point");
        assert_eq!(with(34, 8), Err(Unusable::NotWav), "eight bits");
        assert_eq!(with(22, 0), Err(Unusable::NotWav), "no channel");
        assert_eq!(with(26, 9), Err(Unusable::NotWav), "too fast");
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..2044) {
            let _ = read(&[b"RIFF\0\0\0\0WAVE", body.as_slice()].concat());
            let wav = recording().to_wav();
            let _ = read(&wav[..cut.min(wav.len())]);
        }
    }
}
