//! What an answer needs beside the model's words: the page behind a link, and tools that the model calls.
//!
//! Each step is committed before it begins and when it has ended, with what the member is told of it: a crash neither
//! loses it nor does it twice. A call that was under way when the process ended is made again only if it changes nothing;
//! of any other the model is told that its outcome is not known. What fails is said to the model, and a tool that is down
//! to the member too; the answer goes on without it.

mod words;
mod work;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tracing::{debug, info, warn};

use self::work::Target;
pub use self::work::Work;
use super::{persist::persist, render::render, stops::Running, texts::Text};
use crate::{
    clock::Clock,
    config,
    llm::tools::{Calls, Round, ToolCall},
    mcp::{client::McpError, servers::Servers},
    model::{
        event::EventKind,
        language::Language,
        reply::{Format, ReplyPart},
    },
    net::fetch::Fetcher,
    store::{LeaseLost, Store, conversation::TurnRecord, inbox::Inbound, steps::Step},
};

/// How long a turn waits, right after the start, for the servers to say for the first time what they offer.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// What a step is called that reads the page behind a shared link.
const LINK: &str = "";

/// Why a round of calls did not end.
#[derive(Debug)]
pub enum Halt {
    /// The member stopped it.
    Stopped,
    /// Somebody else has the claim.
    Lost(LeaseLost),
}

/// Who hears what is called, and may stop it.
#[derive(Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) language: Language,
    pub(super) running: &'a Running,
}

/// What tools there are, for one application.
pub struct Tooling {
    store: Store,
    clock: Clock,
    settings: config::Tools,
    read_links: bool,
    max_page_chars: usize,
    fetcher: Fetcher,
    servers: Arc<Servers>,
    /// The application's name.
    app: Option<Arc<str>>,
    /// Aliases of models that take no tools.
    unwilling: Mutex<BTreeSet<String>>,
}

impl Tooling {
    /// For the application of this name, as it is set.
    pub fn new(
        store: Store,
        clock: Clock,
        config: &config::Config,
        fetcher: Fetcher,
        servers: Arc<Servers>,
        app: Option<Arc<str>>,
    ) -> Self {
        let (read_links, max_page_chars) = (config.web.read_links, config.web.max_chars);
        let (settings, unwilling) = (config.tools.clone(), Mutex::default());
        Self { store, clock, settings, read_links, max_page_chars, fetcher, servers, app, unwilling }
    }

    /// Whether anything may be read or called for this message.
    pub(super) fn concerns(&self, claim: &Inbound) -> bool {
        let is_link = matches!(claim.event.kind, EventKind::Link { .. });
        is_link || self.settings.web || !self.servers.is_empty()
    }

    /// What the answer of `turn` may call, with what was read and called before a crash; for a link, with its page.
    /// `None` for most turns: nothing.
    ///
    /// # Errors
    /// [`LeaseLost`]: whatever is answered would reach nobody.
    pub(super) async fn open(
        &self,
        claim: &Inbound,
        turn: &TurnRecord,
        alias: Option<&str>,
    ) -> Result<Option<Box<Work>>, LeaseLost> {
        let link = match &claim.event.kind {
            EventKind::Link { url, .. } => Some(url),
            _ => None,
        };
        let has_tools = self.settings.web || !self.servers.is_empty();
        let (offers, silent) = match has_tools && self.is_willing(alias) {
            true => {
                let offers = self.servers.offers(self.app.as_deref());
                let none = || (Vec::new(), Vec::new());
                if self.servers.is_empty() {
                    none()
                } else {
                    self.clock.timeout(FIRST_LOOK, offers).await.unwrap_or_else(|_| none())
                }
            }
            false => (Vec::new(), Vec::new()),
        };
        let reads_pages = self.settings.web && self.is_willing(alias);
        let mut work = Box::new(Work::new(reads_pages, offers, &silent));
        let steps = match claim.claims {
            1 => Vec::new(),
            _ => persist(&self.clock, || self.store.find_steps(claim.seq)).await,
        };
        let read = steps.iter().find(|step| step.tool == LINK).and_then(|step| step.result.clone());
        match (link, read) {
            (Some(_), Some(read)) => (work.material, work.next) = (read, 1),
            (Some(url), None) => self.read_link(claim, turn, url, &mut work).await?,
            (None, _) => {}
        }
        for mut step in steps.into_iter().filter(|step| step.tool != LINK) {
            if step.result.is_none() {
                info!(inbox.seq = claim.seq, turn.id = %turn.id, tool = step.tool, "a call was under way at the end");
                let again = work.target(&step.tool).filter(|target| target.changes_nothing());
                step.result = Some(match again {
                    Some(target) => self.call(target, &step.arguments).await.0,
                    None => words::UNKNOWN.to_owned(),
                });
                self.record(claim, turn, 0, &[], &step).await?;
            }
            work.resume(step);
        }
        work.enough = work.made >= self.settings.max_calls;
        Ok((!work.is_nothing()).then_some(work))
    }

    async fn read_link(&self, claim: &Inbound, turn: &TurnRecord, url: &str, work: &mut Work) -> Result<(), LeaseLost> {
        if !self.read_links {
            work.material = words::UNREAD.to_owned();
            return Ok(());
        }
        let read = self.fetcher.read(url, self.max_page_chars).await;
        match &read {
            Ok(page) => {
                debug!(inbox.seq = claim.seq, turn.id = %turn.id, bytes = page.text.len(), "read a shared page")
            }
            Err(error) => info!(inbox.seq = claim.seq, turn.id = %turn.id, "could not read a shared page: {error}"),
        }
        work.material = words::linked(&read);
        let step = Step { result: Some(work.material.clone()), ..Step::default() };
        work.next = 1;
        // From now on it is not read again, whatever happens.
        self.record(claim, turn, 0, &[], &step).await
    }

    /// Makes the calls that the model asks for, one after the other. `turn` counts what is shown of it.
    ///
    /// # Errors
    /// [`Halt`]: the answer ends here.
    pub(super) async fn make(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        Listener { language, running }: Listener<'_>,
        work: &mut Work,
        calls: Calls,
    ) -> Result<(), Halt> {
        let Calls { calls, thought } = calls;
        let mut line = self.line(work, &calls, language);
        work.rounds.push(Round { text: String::new(), thought: thought.clone(), results: Vec::new() });
        let round = u32::try_from(work.rounds.len()).unwrap_or(u32::MAX);
        for call in calls {
            let result = if work.made >= self.settings.max_calls {
                words::ENOUGH.to_owned()
            } else {
                work.made += 1;
                let ToolCall { id, name, arguments } = call.clone();
                let thought = thought.clone();
                let mut step =
                    Step { number: work.next, round, tool: name, call: id, arguments, thought, result: None };
                work.next += 1;
                self.say(claim, turn, std::mem::take(&mut line), &step).await?;
                let (result, trouble) = match work.target(&call.name) {
                    None => (words::NO_TOOL.to_owned(), None),
                    Some(target) => {
                        let called = Box::pin(self.call(target, &call.arguments));
                        let (result, down) = tokio::select! {
                            biased;
                            () = running.stopped() => return Err(Halt::Stopped),
                            called = called => called,
                        };
                        (result, down.then(|| target.label()))
                    }
                };
                step.result = Some(result.clone());
                let told = trouble.map(|label| Text::ToolDown(&label).render(language));
                self.say(claim, turn, told.unwrap_or_default(), &step).await?;
                result
            };
            if let Some(round) = work.rounds.last_mut() {
                round.results.push((call, result));
            }
        }
        work.enough = work.made >= self.settings.max_calls;
        Ok(())
    }

    /// What members are shown of a round; empty for nothing.
    fn line(&self, work: &Work, calls: &[ToolCall], language: Language) -> String {
        if !self.settings.show_calls || work.made >= self.settings.max_calls {
            return String::new();
        }
        let mut labels: Vec<String> = Vec::new();
        for call in calls {
            let label = match work.target(&call.name) {
                Some(Target::Page) => page_of(&call.arguments).and_then(|url| Fetcher::host_of(&url)),
                Some(target) => Some(target.label()),
                None => None,
            };
            labels.extend(label.filter(|label| !labels.contains(label)));
        }
        if labels.is_empty() { String::new() } else { Text::Calling(&labels.join("、")).render(language) }
    }

    /// Commits a step with a line for the member.
    async fn say(&self, claim: &Inbound, turn: &mut TurnRecord, line: String, step: &Step) -> Result<(), Halt> {
        let parts = render(&line, Format::Text);
        let first_part = turn.parts;
        turn.parts += u32::try_from(parts.len()).unwrap_or(u32::MAX);
        self.record(claim, turn, first_part, &parts, step).await.map_err(Halt::Lost)
    }

    async fn record(
        &self,
        claim: &Inbound,
        turn: &TurnRecord,
        first_part: u32,
        parts: &[ReplyPart],
        step: &Step,
    ) -> Result<(), LeaseLost> {
        let record = || {
            let (turn, parts, step) = (turn.clone(), parts.to_vec(), step.clone());
            self.store.record_step(claim, turn, first_part, parts, step, self.clock.now())
        };
        persist(&self.clock, record).await.inspect_err(|lost| {
            warn!(inbox.seq = claim.seq, turn.id = %turn.id, %lost, "a step of an answer is not kept");
        })
    }

    /// What comes of a call, for the model, and whether the tool is down.
    async fn call(&self, target: &Target, arguments: &str) -> (String, bool) {
        let most = self.settings.max_result_chars;
        let arguments = match serde_json::from_str::<Value>(arguments) {
            Ok(arguments @ Value::Object(_)) => arguments,
            _ => return (words::NO_ARGUMENTS.to_owned(), false),
        };
        match target {
            Target::Page => {
                let url = arguments["url"].as_str().unwrap_or_default();
                match self.clock.timeout(self.settings.timeout, self.fetcher.read(url, most)).await {
                    Ok(Ok(page)) => (words::page(&page), false),
                    Ok(Err(error)) => (words::unread(&error), false),
                    Err(_) => (words::unread(&crate::net::fetch::FetchError::TimedOut), false),
                }
            }
            Target::Server(offer) => {
                let (server, tool) = (&offer.server, &offer.tool.name);
                match self.servers.call(server, tool, arguments).await {
                    Ok(called) => {
                        let failed = if called.failed { "The tool reports an error: " } else { "" };
                        (words::result(&format!("{failed}{}", called.text), most), false)
                    }
                    Err(error @ McpError::Refused { .. }) => (words::result(&error.to_string(), most), false),
                    Err(error) => {
                        warn!(%server, tool, "a tool could not be used: {error}");
                        (words::failed(&error), true)
                    }
                }
            }
        }
    }

    fn is_willing(&self, alias: Option<&str>) -> bool {
        !self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).contains(alias.unwrap_or_default())
    }

    /// Remembers that the model of this alias takes no tools, until the process is started again.
    pub(super) fn is_refused_by(&self, alias: Option<&str>) {
        let alias = alias.unwrap_or_default();
        if self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).insert(alias.to_owned()) {
            warn!(llm.model = alias, "the model takes no tools; it is asked without them from now on");
        }
    }
}

fn page_of(arguments: &str) -> Option<String> {
    Some(serde_json::from_str::<Value>(arguments).ok()?["url"].as_str()?.to_owned())
}
