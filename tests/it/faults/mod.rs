//! Faults survived: every fault that was thought of, each a real run through real sockets, in one table.
//!
//! `cargo test --test it fault_table -- --nocapture` runs them all, prints the table, and compares it with the one in
//! `docs/reliability.md`; `QIMATE_UPDATE_DOCS=1` writes it there instead, and `QIMATE_FAULT=words` runs only the rows
//! whose name has these words. A row's numbers are counted at the phone; what is asserted beside them is in its file.
//!
//! To add a fault, add a [`Job`] to the file of its group.

mod burst;
mod clock;
mod company;
mod disk;
mod model;
mod names;
mod process;
mod scene;
mod soak;
mod table;
mod wecom;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use self::table::Row;

/// How many rows run at once. Most of them wait, for a process, the disk or a pause; a few keep a core busy.
const SIDE_BY_SIDE: usize = 4;

/// What came of a row.
pub enum Ran {
    Row(Row),
    /// This machine cannot do it, and why.
    Skipped(String),
}

impl From<Row> for Ran {
    fn from(row: Row) -> Self {
        Self::Row(row)
    }
}

type Story = Pin<Box<dyn Future<Output = Ran>>>;

/// A fault, and the run that survives it.
pub struct Job {
    fault: String,
    long: bool,
    run: Box<dyn FnOnce(String) -> Story + Send>,
}

impl Job {
    pub fn new<F>(fault: impl Into<String>, run: impl FnOnce(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output: Into<Ran>> + 'static,
    {
        let run = move |fault| -> Story {
            let story = run(fault);
            Box::pin(async move { story.await.into() })
        };
        Self { fault: fault.into(), long: false, run: Box::new(run) }
    }

    /// It takes long, so it begins first.
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Runs it on a thread's own runtime, so that what is logged is its own.
    fn play(self) -> Result<Ran, String> {
        let (fault, run) = (self.fault.clone(), self.run);
        catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(fault))
        }))
        .map_err(|_| self.fault)
    }
}

fn jobs() -> Vec<Job> {
    [
        process::jobs(),
        model::jobs(),
        wecom::jobs(),
        disk::jobs(),
        clock::jobs(),
        names::jobs(),
        burst::jobs(),
        soak::jobs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn fault_table() {
    let only = std::env::var("QIMATE_FAULT").ok();
    let chosen = |job: &Job| only.as_ref().is_none_or(|words| job.fault.contains(words.as_str()));
    let mut todo: VecDeque<(usize, Job)> = jobs().into_iter().filter(chosen).enumerate().collect();
    let count = todo.len();
    assert!(count > 0, "no fault has these words");
    todo.make_contiguous().sort_by_key(|(_, job)| !job.long);
    let todo = Mutex::new(todo);
    let done = Mutex::new(Vec::new());
    let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((place, job)) = next() {
                    let (fault, started) = (job.fault.clone(), Instant::now());
                    let ran = job.play();
                    eprintln!("{:6.1} s  {fault}", started.elapsed().as_secs_f64());
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, ran));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let (mut rows, mut skipped, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (_, ran) in done {
        match ran {
            Ok(Ran::Row(row)) => rows.push(row),
            Ok(Ran::Skipped(why)) => skipped.push(why),
            Err(fault) => failed.push(fault),
        }
    }
    println!("{}", table::markdown(&rows));
    for why in &skipped {
        println!("skipped: {why}");
    }
    assert!(failed.is_empty(), "not survived: {failed:#?}");
    assert_eq!(rows.len() + skipped.len(), count);
    for row in &rows {
        assert_eq!((row.lost, row.twice), (0, 0), "{}", row.fault);
    }
    if only.is_none() {
        table::compare_with_document(&rows, skipped.len());
    }
}
