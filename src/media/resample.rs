//! Sound at one rate made into sound at a lower one, such as a speech model's 24 kHz into the telephone's 8 kHz.
//!
//! A windowed-sinc low-pass (Kaiser) at the places where the new samples lie. What the new rate cannot hold is removed
//! before it would come back as another tone: everything above 0.53 of the new rate is at least 65 dB down, everything
//! below 0.42 of it (3.4 kHz of 8) unchanged.

use std::f64::consts::PI;

use super::voice::Recording;

/// The middle of the filter's slope, as a share of the new rate.
const CUTOFF: f64 = 0.475;
/// How wide the slope is, in the same measure.
const SLOPE: f64 = 0.11;
/// How far down the rest is, in decibels.
const STOP_DB: f64 = 70.0;

/// `sound` at `rate` samples a second. At that rate already, or below it, it stays as it is.
pub fn to_rate(sound: Recording, rate: u32) -> Recording {
    if sound.sample_rate <= rate || rate == 0 {
        return sound;
    }
    let divisor = greatest_common_divisor(sound.sample_rate, rate);
    let (up, down) = ((rate / divisor) as usize, (sound.sample_rate / divisor) as usize);
    let filter = Filter::new(sound.sample_rate, rate, up);
    let length = sound.samples.len() * up / down;
    let samples = (0..length).map(|n| filter.at(&sound.samples, n * down / up, n * down % up)).collect();
    Recording { sample_rate: rate, samples }
}

/// The low-pass, once for each place that a new sample can have between two old ones.
struct Filter {
    /// Old samples on each side.
    half: usize,
    phases: Vec<Vec<f32>>,
}

impl Filter {
    fn new(from: u32, to: u32, phases: usize) -> Self {
        let (from, to) = (f64::from(from), f64::from(to));
        // Kaiser's formulas for the window's shape and length.
        let beta = 0.1102 * (STOP_DB - 8.7);
        let slope = 2.0 * PI * SLOPE * to / from;
        let half = ((STOP_DB - 8.0) / (2.285 * slope) / 2.0).ceil();
        let cutoff = CUTOFF * to / from;
        let tap = |distance: f64| {
            let inside = (1.0 - (distance / (half + 1.0)).powi(2)).max(0.0);
            let x = 2.0 * PI * cutoff * distance;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            sinc * bessel(beta * inside.sqrt())
        };
        let half = half as usize;
        let phase = |phase: usize| {
            let offset = phase as f64 / phases as f64;
            let taps: Vec<f64> = (0..=2 * half).map(|n| tap(n as f64 - half as f64 - offset)).collect();
            // What does not change stays exactly as loud.
            let sum: f64 = taps.iter().sum();
            taps.into_iter().map(|tap| (tap / sum) as f32).collect()
        };
        Self { half, phases: (0..phases).map(phase).collect() }
    }

    /// The new sample behind old sample `at`, `phase` parts of the way to the next. Around the sound there is silence.
    fn at(&self, samples: &[i16], at: usize, phase: usize) -> i16 {
        let taps = &self.phases[phase];
        let first = at.saturating_sub(self.half);
        let skipped = self.half.saturating_sub(at);
        let old = samples[first..samples.len().min(at + self.half + 1)].iter();
        let sum: f32 = taps[skipped..].iter().zip(old).map(|(tap, old)| tap * f32::from(*old)).sum();
        sum.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
    }
}

/// The modified Bessel function of the first kind, order zero, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..60 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
        if term < sum * 1e-12 {
            break;
        }
    }
    sum
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: f64 = 10_000.0;

    fn tone(rate: u32, hertz: f64) -> Recording {
        let sample = |n: u32| ((f64::from(n) / f64::from(rate) * hertz * 2.0 * PI).sin() * LOUD) as i16;
        Recording { sample_rate: rate, samples: (0..rate).map(sample).collect() }
    }

    /// How loud the middle half is, 1.0 for a tone of [`LOUD`].
    fn loudness(sound: &Recording) -> f64 {
        let middle = &sound.samples[sound.samples.len() / 4..sound.samples.len() * 3 / 4];
        let square: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (square / middle.len() as f64).sqrt() / (LOUD / 2.0_f64.sqrt())
    }

    /// How often it swings in a second.
    fn hertz(sound: &Recording) -> f64 {
        let ups = sound.samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        ups as f64 * f64::from(sound.sample_rate) / sound.samples.len() as f64
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_loudness_and_what_does_not_fit_is_gone() {
        for rate in [11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            for pitch in [100.0, 440.0, 1000.0, 3000.0, 3350.0] {
                let sound = to_rate(tone(rate, pitch), 8000);
                assert_eq!((sound.sample_rate, sound.samples.len()), (8000, 8000), "{rate}");
                assert!((hertz(&sound) - pitch).abs() < 3.0, "{rate}: {pitch} became {}", hertz(&sound));
                assert!((0.99..1.01).contains(&loudness(&sound)), "{rate}: {pitch} is {}", loudness(&sound));
            }
            for pitch in [4300.0, 5000.0] {
                let left = loudness(&to_rate(tone(rate, pitch), 8000));
                assert!(left < 0.002, "{rate}: {left} is left of {pitch}");
            }
        }
    }

    #[test]
    fn silence_stays_silent_and_a_level_stays_level() {
        let level = to_rate(Recording { sample_rate: 22_050, samples: vec![1234; 22_050] }, 8000);
        assert!(level.samples[200..7800].iter().all(|sample| *sample == 1234));
        let silent = to_rate(Recording { sample_rate: 24_000, samples: vec![0; 1000] }, 8000);
        assert!(silent.samples.iter().all(|sample| *sample == 0));
    }

    #[test]
    fn what_is_short_or_slow_enough_is_taken_as_it_is() {
        let slow = tone(8000, 440.0);
        assert_eq!(to_rate(slow.clone(), 8000), slow);
        for length in 0..20 {
            let short = to_rate(Recording { sample_rate: 44_100, samples: vec![i16::MAX; length] }, 8000);
            assert_eq!(short.samples.len(), length * 80 / 441);
        }
    }
}
