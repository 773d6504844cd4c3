//! Runs a target: its corpus as it is, then changed, until the time is over.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::change::changed;

/// What a target says of an input.
pub type Verdict = Result<(), TestCaseError>;

/// Inputs between two looks at the time.
const BATCH: u32 = 64;

fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn place(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Holds `check` against the corpus of `target` and its changes.
pub fn run(target: &str, words: &'static [&'static str], check: impl Fn(&[u8]) -> Verdict) {
    let mut files: Vec<_> = fs::read_dir(place(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, text) in files.iter().zip(&corpus) {
        if let Err(why) = check(text) {
            panic!("{}: {why}", file.display());
        }
    }

    let time = Duration::from_secs(set("QIMATE_FUZZ_SECONDS").unwrap_or(8));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = set("QIMATE_FUZZ_SEED").unwrap_or(now.as_secs());
    let (inputs, started) = (changed(corpus, words), Instant::now());
    let (mut count, mut batch) = (files.len() as u64, 0_u64);
    while started.elapsed() < time {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&batch.to_le_bytes());
        batch += 1;
        // A runner counts its successes, so each batch has its own.
        let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        match runner.run(&inputs, |input| check(&input)) {
            Ok(()) => count += u64::from(BATCH),
            Err(TestError::Fail(why, input)) => {
                let found = place(target).join(format!("found-{seed}"));
                fs::write(&found, &input).unwrap();
                panic!(
                    "QIMATE_FUZZ_SEED={seed}: {why}\nkept as {}: {:?}",
                    found.display(),
                    String::from_utf8_lossy(&input)
                );
            }
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    }
    println!("{target}: {count} inputs, QIMATE_FUZZ_SEED={seed}");
}
