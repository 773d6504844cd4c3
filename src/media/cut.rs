//! Sound that is longer than one voice message, cut where it is quiet.

use std::time::Duration;

use super::voice::Recording;

/// A cut lies within this time before the limit.
const SEARCHED: Duration = Duration::from_secs(12);
/// What is compared: how loud so long a stretch is.
const STRETCH: Duration = Duration::from_millis(100);

/// `sound` in pieces of at most `most`, each cut at the quietest place near its end. Never an empty piece.
pub fn into_pieces(sound: Recording, most: Duration) -> Vec<Recording> {
    let samples_in = |time: Duration| (time.as_secs_f64() * f64::from(sound.sample_rate)) as usize;
    let (most, searched, stretch) = (samples_in(most).max(1), samples_in(SEARCHED), samples_in(STRETCH).max(1));
    let mut pieces = Vec::new();
    let mut rest = sound.samples.as_slice();
    while rest.len() > most {
        let from = most.saturating_sub(searched.min(most / 2)).max(1);
        let at = quietest(&rest[from..most], stretch).map_or(most, |at| from + at);
        let (piece, behind) = rest.split_at(at);
        pieces.push(Recording { sample_rate: sound.sample_rate, samples: piece.to_vec() });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Recording { sample_rate: sound.sample_rate, samples: rest.to_vec() });
    }
    pieces
}

/// The middle of the quietest stretch, the last of several.
fn quietest(samples: &[i16], stretch: usize) -> Option<usize> {
    let loudness = |samples: &[i16]| samples.iter().map(|sample| u64::from(sample.unsigned_abs())).sum::<u64>();
    let starts = (0..samples.len().checked_sub(stretch)? + 1).step_by(stretch.div_ceil(4));
    let start = starts.rev().min_by_key(|start| loudness(&samples[*start..*start + stretch]))?;
    Some(start + stretch / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a tone, with silence from `quiet` for half a second.
    fn sound(seconds: usize, quiet: &[f64]) -> Recording {
        let mut samples: Vec<i16> = (0..seconds * 8000).map(|n| if n % 20 < 10 { 5000 } else { -5000 }).collect();
        for at in quiet {
            let start = (at * 8000.0) as usize;
            samples[start..start + 4000].fill(0);
        }
        Recording { sample_rate: 8000, samples }
    }

    #[test]
    fn a_long_sound_is_cut_in_its_pauses_and_nothing_is_lost() {
        let whole = sound(150, &[20.0, 52.0, 57.0, 110.0]);
        let pieces = into_pieces(whole.clone(), Duration::from_secs(60));
        let seconds: Vec<f64> = pieces.iter().map(|piece| piece.duration().as_secs_f64()).collect();
        assert_eq!(pieces.len(), 3, "{seconds:?}");
        assert!(
            (57.0..57.5).contains(&seconds[0]) && (110.0..110.5).contains(&(seconds[0] + seconds[1])),
            "{seconds:?}"
        );
        let joined: Vec<i16> = pieces.iter().flat_map(|piece| piece.samples.clone()).collect();
        assert_eq!(joined, whole.samples);
    }

    #[test]
    fn without_a_pause_it_is_cut_all_the_same_and_what_fits_is_one() {
        let pieces = into_pieces(sound(125, &[]), Duration::from_secs(60));
        assert!(pieces.iter().all(|piece| piece.duration() <= Duration::from_secs(60)), "{}", pieces.len());
        assert_eq!(pieces.iter().map(|piece| piece.samples.len()).sum::<usize>(), 125 * 8000);
        assert_eq!(into_pieces(sound(60, &[]), Duration::from_secs(60)).len(), 1);
        assert!(into_pieces(Recording { sample_rate: 8000, samples: vec![] }, Duration::from_secs(60)).is_empty());
    }
}
