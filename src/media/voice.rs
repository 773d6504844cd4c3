//! Voice as WeCom sends it (AMR, RFC 4867 §5) to what speech recognition takes (WAV), and back.
//!
//! WeCom's voice messages are AMR narrow-band; a high-definition client sends wide-band.

use std::{panic, time::Duration};

use codec_core::{
    codecs::amr::{
        AmrCodec,
        mode::{AmrFrameType, AmrVariant},
        payload::AmrPayloadFrame,
        storage::{self, AmrStorageReader},
    },
    types::{AudioCodec, CodecConfig, CodedFrame, FrameKind, VariableRateCodec},
};

/// A frame lasts so many milliseconds, in either variant.
const FRAME_MS: u32 = 20;
/// The longest recording that is read: WeCom's own are 60 s at most, a file may be longer.
const MOST_FRAMES: usize = 10 * 60 * 1000 / FRAME_MS as usize;

/// Sound, one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Samples in a second.
    pub sample_rate: u32,
    /// 16-bit samples.
    pub samples: Vec<i16>,
}

/// Why nothing can be made of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It does not begin as AMR does.
    #[error("it is not AMR")]
    NotAmr,
    /// It is no WAV file of uncompressed samples, or of a kind that is not read.
    #[error("it is no WAV of 16-bit samples at 8 to 48 kHz")]
    NotWav,
    /// It begins as AMR, and what follows is not.
    #[error("it is broken")]
    Broken,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is longer than ten minutes.
    #[error("it is too long")]
    TooLong,
}

/// Decodes an `.amr` file. A last frame that is cut is left out: a recording that was stopped early is still one.
///
/// # Errors
/// [`Unusable`].
pub fn decode(amr: &[u8]) -> Result<Recording, Unusable> {
    // The codec is young, and what is decoded comes from strangers: a bug in it must not take the worker along.
    panic::catch_unwind(|| decode_frames(amr)).unwrap_or(Err(Unusable::Broken))
}

fn decode_frames(amr: &[u8]) -> Result<Recording, Unusable> {
    let mut reader = AmrStorageReader::new(amr).map_err(|_| Unusable::NotAmr)?;
    let variant = reader.variant();
    let mut codec = AmrCodec::new(&config(variant)).map_err(|_| Unusable::Broken)?;
    let mut samples = Vec::new();
    let mut frames = 0;
    let mut mode = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        frames += 1;
        if frames > MOST_FRAMES {
            return Err(Unusable::TooLong);
        }
        let kind = match frame.frame_type {
            AmrFrameType::Speech(speech) => {
                mode = speech.index();
                FrameKind::Speech
            }
            AmrFrameType::Sid(_) => FrameKind::ComfortNoise,
            AmrFrameType::NoData => FrameKind::NoData,
            AmrFrameType::SpeechLost => FrameKind::Lost,
        };
        let coded = CodedFrame { mode, kind, data: frame.data, quality_ok: frame.quality_ok };
        match codec.decode_frame(&coded) {
            Ok(decoded) => samples.extend_from_slice(&decoded),
            // One bad frame is twenty milliseconds of silence.
            Err(_) => samples.resize(samples.len() + codec.frame_size(), 0),
        }
    }
    if frames == 0 {
        let magic = variant.storage_magic().len();
        return Err(if amr.len() > magic { Unusable::Broken } else { Unusable::Empty });
    }
    Ok(Recording { sample_rate: variant.sample_rate(), samples })
}

fn config(variant: AmrVariant) -> CodecConfig {
    match variant {
        AmrVariant::NarrowBand => CodecConfig::amr_nb(),
        AmrVariant::WideBand => CodecConfig::amr_wb(),
    }
}

impl Recording {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.sample_rate.max(1)))
    }

    /// As a WAV file: 16-bit PCM, one channel.
    pub fn to_wav(&self) -> Vec<u8> {
        let data = u32::try_from(self.samples.len() * 2).unwrap_or(u32::MAX);
        let mut wav = Vec::with_capacity(44 + self.samples.len() * 2);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&data.saturating_add(36).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt ");
        wav.extend_from_slice(&16_u32.to_le_bytes());
        wav.extend_from_slice(&1_u16.to_le_bytes()); // PCM
        wav.extend_from_slice(&1_u16.to_le_bytes()); // one channel
        wav.extend_from_slice(&self.sample_rate.to_le_bytes());
        wav.extend_from_slice(&(self.sample_rate * 2).to_le_bytes()); // bytes in a second
        wav.extend_from_slice(&2_u16.to_le_bytes()); // bytes in a sample
        wav.extend_from_slice(&16_u16.to_le_bytes()); // bits in a sample
        wav.extend_from_slice(b"data");
        wav.extend_from_slice(&data.to_le_bytes());
        wav.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        wav
    }

    /// As an AMR narrow-band file at 12.2 kbit/s, about 1.6 kB a second: what WeCom takes for a voice message. The
    /// sample rate must be 8000.
    ///
    /// # Errors
    /// [`Unusable::Broken`] when the rate is another one, [`Unusable::Empty`] when there is nothing to say.
    pub fn to_amr(&self) -> Result<Vec<u8>, Unusable> {
        if self.samples.is_empty() {
            return Err(Unusable::Empty);
        }
        let variant = AmrVariant::NarrowBand;
        if self.sample_rate != variant.sample_rate() {
            return Err(Unusable::Broken);
        }
        let mut codec = AmrCodec::new(&config(variant)).map_err(|_| Unusable::Broken)?;
        let mut frames: Vec<AmrPayloadFrame> = Vec::new();
        for chunk in self.samples.chunks(codec.frame_size()) {
            let mut frame = chunk.to_vec();
            frame.resize(codec.frame_size(), 0);
            let coded = codec.encode_frame(&frame).map_err(|_| Unusable::Broken)?;
            let frame_type = AmrFrameType::from_index(variant, coded.mode).map_err(|_| Unusable::Broken)?;
            frames.push(AmrPayloadFrame { frame_type, quality_ok: true, data: coded.data });
        }
        storage::write(variant, &frames).map_err(|_| Unusable::Broken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tone of 440 Hz that swells.
    fn tone(seconds: f64) -> Recording {
        let samples = (0..(8000.0 * seconds) as usize).map(|n| {
            let t = n as f64 / 8000.0;
            ((t * 440.0 * std::f64::consts::TAU).sin() * 8000.0 * (t / seconds)) as i16
        });
        Recording { sample_rate: 8000, samples: samples.collect() }
    }

    fn loudness(samples: &[i16]) -> f64 {
        (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    /// A question spoken by espeak-ng and encoded by OpenCORE, which is what phones use. The digest is of what OpenCORE's
    /// own decoder makes of it.
    #[test]
    fn a_spoken_question_is_decoded_to_the_last_bit() {
        use sha2::{Digest, Sha256};
        let heard = decode(include_bytes!("../../tests/fixtures/voice/ask-zh.amr")).expect("decoded");
        assert_eq!((heard.sample_rate, heard.samples.len()), (8000, 37440));
        let bytes: Vec<u8> = heard.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            "a1604e73e9bdf3f28366b715ae0a57c2dd37643af959f51167ef47eb06ce5a39"
        );
    }

    #[test]
    fn what_was_encoded_sounds_the_same_decoded() {
        let said = tone(1.0);
        let amr = said.to_amr().expect("encoded");
        assert_eq!(amr.len(), 6 + 50 * 32, "12.2 kbit/s");
        let heard = decode(&amr).expect("decoded");
        assert_eq!((heard.sample_rate, heard.duration()), (8000, Duration::from_secs(1)));
        for part in 1..5 {
            let range = part * 1600..(part + 1) * 1600;
            let (before, after) = (loudness(&said.samples[range.clone()]), loudness(&heard.samples[range]));
            assert!((0.8..1.25).contains(&(after / before)), "{part}: {before} and {after}");
        }
    }

    #[test]
    fn a_wav_is_what_its_head_says() {
        let wav = Recording { sample_rate: 8000, samples: vec![1, -2] }.to_wav();
        assert_eq!(
            hex::encode(&wav),
            "524946462800000057415645666d74201000000001000100401f0000803e00000200100064617461040000000100feff"
        );
    }

    #[test]
    fn what_is_no_recording_is_named() {
        let amr = tone(0.1).to_amr().expect("encoded");
        assert_eq!(decode(b""), Err(Unusable::NotAmr));
        assert_eq!(decode(b"ID3\x03"), Err(Unusable::NotAmr));
        assert_eq!(decode(b"#!AMR\n"), Err(Unusable::Empty));
        assert_eq!(decode(b"#!AMR\n\x4c\x4c\x4c"), Err(Unusable::Broken), "a reserved kind of frame");
        assert_eq!(decode(&amr[..amr.len() - 1]).map(|cut| cut.samples.len()), Ok(4 * 160), "the last frame is cut");
        let long: Vec<u8> = b"#!AMR\n".iter().copied().chain(std::iter::repeat_n(0x7c, MOST_FRAMES + 1)).collect();
        assert_eq!(decode(&long), Err(Unusable::TooLong));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever comes, it ends, and what was made of it is as long as it may be.
        #[test]
        fn anything_is_decoded_or_refused(wide: bool, body in prop::collection::vec(any::<u8>(), 0..2000)) {
            let magic: &[u8] = if wide { b"#!AMR-WB\n" } else { b"#!AMR\n" };
            if let Ok(heard) = decode(&[magic, &body].concat()) {
                prop_assert!(heard.samples.len() <= body.len() * 320);
            }
        }
    }
}
