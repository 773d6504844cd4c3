//! A model, as far as speed needs it: streams an answer that names its question, in one of a few manners.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::http::Incoming;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// About as long as a short answer is, and in as many deltas as need not be looked at for their own sake.
const WORDS: [&str; 8] = [
    "可以的。请先打开",
    "企业微信的工作台，",
    "在里面找到报销应用，",
    "点击右上角的新建，",
    "按照提示填写金额、",
    "日期和事由，",
    "上传发票的照片，",
    "最后提交给直属上级审批。",
];
/// A question that begins so is never answered.
pub(crate) const HANG: &str = "hang";

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing for so long, then the whole answer.
    After(Duration),
    /// Nothing until the manner is another.
    Hold,
    /// A paragraph, and a second one a little later.
    Paragraphs,
}

/// The model behind one address.
#[derive(Debug)]
pub(crate) struct Model {
    address: SocketAddr,
    manner: watch::Sender<Manner>,
    in_flight: AtomicUsize,
    /// When the last blank line behind a first paragraph was written.
    border_at: Mutex<Option<Instant>>,
}

impl Model {
    pub(crate) async fn start(manner: Manner) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let model = Arc::new(Self {
            address: listener.local_addr()?,
            manner: watch::Sender::new(manner),
            in_flight: AtomicUsize::new(0),
            border_at: Mutex::default(),
        });
        let serving = Arc::clone(&model);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).converse(stream));
            }
        });
        Ok(model)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers in another manner from now on, and goes on with those that were held.
    pub(crate) fn set_manner(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// How many questions are being answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// When the blank line behind the last first paragraph left.
    pub(crate) fn border_at(&self) -> Option<Instant> {
        *self.border_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let mut incoming = Incoming::new(stream)?;
        while let Some(request) = incoming.next().await? {
            let question = question(request).to_owned();
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let played = self.play(&mut incoming, &question).await;
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            played?;
        }
        Ok(())
    }

    async fn play(&self, incoming: &mut Incoming, question: &str) -> io::Result<()> {
        if question.starts_with(HANG) {
            return incoming.closed().await;
        }
        let mut manner = self.manner.subscribe();
        let manner = match manner.wait_for(|manner| *manner != Manner::Hold).await {
            Ok(manner) => *manner,
            Err(_) => return Ok(()),
        };
        let mut answer = HEAD.to_owned();
        push_event(&mut answer, r#"{"role":"assistant","content":""}"#);
        match manner {
            Manner::After(delay) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                push_text(&mut answer, &format!("〔{question}〕"));
                WORDS.iter().for_each(|words| push_text(&mut answer, words));
            }
            Manner::Paragraphs => {
                push_text(&mut answer, &format!("〔{question}〕"));
                WORDS.iter().for_each(|words| push_text(&mut answer, words));
                incoming.answer(answer.as_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
                answer.clear();
                push_text(&mut answer, "\\n\\n");
                *self.border_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                incoming.answer(answer.as_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(30)).await;
                answer.clear();
                push_text(&mut answer, "这是第二段，完。");
            }
            Manner::Hold => {}
        }
        push_end(&mut answer);
        incoming.answer(answer.as_bytes()).await
    }
}

/// The text of the last message, which needs no escapes.
fn question(request: &[u8]) -> &str {
    const KEY: &[u8] = b"\"content\":\"";
    let last = request.windows(KEY.len()).rposition(|window| window == KEY).map_or(request.len(), |at| at + KEY.len());
    let end = request[last..].iter().position(|byte| *byte == b'"').map_or(request.len(), |length| last + length);
    str::from_utf8(&request[last..end]).unwrap_or_default()
}

fn push_text(answer: &mut String, text: &str) {
    push_event(answer, &format!(r#"{{"content":"{text}"}}"#));
}

fn push_event(answer: &mut String, delta: &str) {
    push_chunk(
        answer,
        &format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\
             \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
        ),
    );
}

fn push_end(answer: &mut String) {
    push_chunk(
        answer,
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":80,\"total_tokens\":280}}\n\n\
         data: [DONE]\n\n",
    );
    answer.push_str("0\r\n\r\n");
}

fn push_chunk(answer: &mut String, data: &str) {
    answer.push_str(&format!("{:x}\r\n{data}\r\n", data.len()));
}
