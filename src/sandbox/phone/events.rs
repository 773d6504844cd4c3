//! The stream that keeps the page up to date: what was said, what happened, how everything stands.
//!
//! Nothing is queued for a page: it is woken by watches and then reads what is newer than what it has seen, so a slow
//! page costs nothing and misses nothing.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Desk, PhoneParts, Shared, Status};
use crate::sandbox::{
    daemon::{Daemon, DaemonStatus},
    emulator::Line,
    journal::Step,
    model::{DemoModel, Load},
};

/// How often a silent event stream says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the page has seen already.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    line: u64,
    step: u64,
}

/// Everything from where the page stands, as it happens: `message`, `step` and `status` events.
pub(super) async fn events(State(desk): Shared, Query(seen): Query<Seen>) -> Response {
    let PhoneParts { emulator, model, daemon, .. } = &desk.parts;
    let watcher = Watcher {
        lines: emulator.subscribe(),
        steps: emulator.journal().subscribe(),
        switched: desk.switched.subscribe(),
        load: model.as_ref().map(DemoModel::subscribe),
        process: daemon.as_ref().map(Daemon::subscribe),
        seen,
        shown: None,
        desk: Arc::clone(&desk),
    };
    let body = Body::from_stream(stream::unfold(watcher, |mut watcher| async move {
        let news = watcher.next().await;
        Some((Ok::<_, Infallible>(news), watcher))
    }));
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

struct Watcher {
    desk: Arc<Desk>,
    seen: Seen,
    shown: Option<Status>,
    lines: watch::Receiver<u64>,
    steps: watch::Receiver<u64>,
    switched: watch::Receiver<u64>,
    load: Option<watch::Receiver<Load>>,
    process: Option<watch::Receiver<DaemonStatus>>,
}

impl Watcher {
    async fn next(&mut self) -> Bytes {
        loop {
            let news = self.news();
            if !news.is_empty() {
                return news.into();
            }
            tokio::select! {
                () = changed(Some(&mut self.lines)) => {}
                () = changed(Some(&mut self.steps)) => {}
                () = changed(Some(&mut self.switched)) => {}
                () = changed(self.load.as_mut()) => {}
                () = changed(self.process.as_mut()) => {}
                // The browser's connection, not the story, so it is the machine's time.
                () = tokio::time::sleep(KEEP_ALIVE) => return Bytes::from_static(b": still here\n\n"),
            }
        }
    }

    fn news(&mut self) -> String {
        let emulator = &self.desk.parts.emulator;
        let mut news = String::new();
        let steps: Vec<Step> = emulator.journal().after(self.seen.step);
        for step in &steps {
            self.seen.step = step.seq;
            push_event(&mut news, "step", step);
        }
        let lines: Vec<Line> = emulator.lines_after(self.seen.line);
        for line in &lines {
            self.seen.line = line.seq;
            push_event(&mut news, "message", line);
        }
        let status = self.desk.status();
        if self.shown.as_ref() != Some(&status) {
            push_event(&mut news, "status", &status);
            self.shown = Some(status);
        }
        news
    }
}

/// Waits for a change; for ever where there is nothing that could change, or nobody left to change it.
async fn changed<T>(receiver: Option<&mut watch::Receiver<T>>) {
    if let Some(receiver) = receiver
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn push_event(events: &mut String, name: &str, data: &impl Serialize) {
    // Plain structs with string keys always serialize.
    if let Ok(data) = serde_json::to_string(data) {
        events.push_str(&format!("event: {name}\ndata: {data}\n\n"));
    }
}
