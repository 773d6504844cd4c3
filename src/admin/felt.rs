//! A change over HTTP is felt before it is answered: who holds in memory what was changed reads it again.

use tokio::sync::{mpsc, oneshot};

/// Asks for it. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Felt(mpsc::Sender<oneshot::Sender<()>>);

/// Where it is asked.
#[derive(Debug)]
pub struct Asked(mpsc::Receiver<oneshot::Sender<()>>);

/// Both ends.
pub fn channel() -> (Felt, Asked) {
    let (ask, asked) = mpsc::channel(64);
    (Felt(ask), Asked(asked))
}

impl Felt {
    /// Waits until everything was read again that was read before this. Where nobody reads any more, the process stops.
    pub async fn now(&self) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(done).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

impl Asked {
    /// The next who waits: to be told when it was read. Never, where nobody can ask any more.
    pub async fn next(&mut self) -> oneshot::Sender<()> {
        match self.0.recv().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }
}
