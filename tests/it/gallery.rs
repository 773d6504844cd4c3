//! A picture that the model does not send along but leaves at an address: fetched once, from where it may be, and shown.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use qimate::{config::Config, sandbox::model::made::picture, secret::Secret};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{App, within};

/// An upstream that makes pictures and says where they are. Clones are the same one.
#[derive(Clone)]
struct Gallery {
    address: SocketAddr,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    /// What it answers to a wish.
    answer: Mutex<Value>,
    wishes: Mutex<u32>,
    /// The names that were asked for, each with its headers.
    visits: watch::Sender<Vec<(String, HeaderMap)>>,
}

impl Gallery {
    async fn start() -> Self {
        let desk = Arc::<Desk>::default();
        let router = Router::new()
            .route("/v1/images/generations", post(made))
            .route("/files/{name}", get(file))
            .with_state(Arc::clone(&desk));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, desk }
    }

    /// Its pictures are at `url` from now on.
    fn hang_at(&self, url: &str) {
        self.says(json!({"created": 0, "data": [{"url": url}]}));
    }

    fn says(&self, answer: Value) {
        *self.desk.answer.lock().unwrap() = answer;
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/files/{name}", self.address)
    }

    fn wishes(&self) -> u32 {
        *self.desk.wishes.lock().unwrap()
    }

    fn visits(&self) -> Vec<String> {
        self.desk.visits.borrow().iter().map(|(name, _)| name.clone()).collect()
    }

    async fn wait_visits(&self, count: usize) {
        within(self.desk.visits.subscribe().wait_for(|visits| visits.len() >= count)).await.unwrap();
    }

    fn serves(&self, config: &mut Config) {
        config.images.model = Some("cogview-4".to_owned());
        config.images.base_url = Some(format!("http://{}/v1", self.address));
        config.images.api_key = Some(Secret::new("painter-key".to_owned()));
    }

    async fn app(&self) -> App {
        App::start_with(|config| self.serves(config)).await
    }
}

async fn made(State(desk): State<Arc<Desk>>) -> Json<Value> {
    *desk.wishes.lock().unwrap() += 1;
    Json(desk.answer.lock().unwrap().clone())
}

async fn file(State(desk): State<Arc<Desk>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let mut before = 0;
    desk.visits.send_modify(|visits| {
        before = visits.iter().filter(|(visited, _)| *visited == name).count();
        visits.push((name.clone(), headers));
    });
    let cat = || ([(header::CONTENT_TYPE, "application/octet-stream")], picture("猫")).into_response();
    match (name.as_str(), before) {
        ("hangs", 0) => std::future::pending().await,
        ("stumbles", 0) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        ("cat.png" | "hangs" | "stumbles", _) => cat(),
        ("on", _) => Redirect::temporary("/files/cat.png").into_response(),
        // Nobody listens there, and nobody must be asked.
        ("away", _) => Redirect::temporary("http://127.0.0.1:9/files/cat.png").into_response(),
        ("page", _) => {
            ([(header::CONTENT_TYPE, "image/png")], "<html>please log in to see this</html>").into_response()
        }
        ("large", _) => {
            let mut file = picture("猫");
            file.resize(21 * 1024 * 1024, 0);
            file.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What the member has got: the kinds of messages.
fn got(app: &App) -> Vec<String> {
    app.wecom.messages_for("zhangsan").into_iter().map(|message| message.msgtype).collect()
}

async fn shows_the_cat(app: &App, count: usize) {
    let ids = app.texts("zhangsan", count).await;
    app.settled().await;
    assert_eq!(got(app), vec!["image"; count]);
    assert!(app.wecom.uploaded(&ids[count - 1]).unwrap().bytes == picture("猫"));
}

#[tokio::test]
async fn a_picture_at_an_address_of_the_model_is_fetched_and_shown_once() {
    let gallery = Gallery::start().await;
    let app = gallery.app().await;
    gallery.hang_at(&gallery.url("cat.png"));
    app.say("zhangsan", "画一只猫").await;
    shows_the_cat(&app, 1).await;
    gallery.hang_at(&gallery.url("on"));
    app.say("zhangsan", "画一只猫").await;
    shows_the_cat(&app, 2).await;
    // As SiliconFlow answers: under both names.
    let both = json!([{"url": gallery.url("cat.png")}]);
    gallery.says(json!({"images": both, "data": both, "timings": {"inference": 1.2}}));
    app.say("zhangsan", "画一只猫").await;
    shows_the_cat(&app, 3).await;
    assert_eq!(gallery.visits(), ["cat.png", "on", "cat.png", "cat.png"]);
    for (name, headers) in gallery.desk.visits.borrow().iter() {
        assert!(headers.get("authorization").is_none(), "{name}: the key is for the model alone");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND reason IS NULL"), 3);
}

#[tokio::test]
async fn a_picture_within_the_address_itself_is_shown() {
    let gallery = Gallery::start().await;
    let app = gallery.app().await;
    let file = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, picture("猫"));
    gallery.hang_at(&format!("data:image/png;base64,{file}"));
    app.say("zhangsan", "画一只猫").await;
    shows_the_cat(&app, 1).await;
    assert!(gallery.visits().is_empty());
}

#[tokio::test]
async fn what_lies_in_the_house_or_is_no_picture_is_refused_and_the_member_told() {
    let (gallery, other) = (Gallery::start().await, Gallery::start().await);
    let app = gallery.app().await;
    let stories = [
        (other.url("cat.png"), "不允许访问"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "不允许访问"),
        (gallery.url("away"), "不允许访问"),
        ("file:///etc/passwd".to_owned(), "没有取回来"),
        (gallery.url("page"), "没有取回来"),
        (gallery.url("large"), "没有取回来"),
        (gallery.url("gone"), "没有取回来"),
    ];
    for (number, (url, words)) in stories.iter().enumerate() {
        gallery.hang_at(url);
        app.say("zhangsan", "画一只猫").await;
        let said = app.texts("zhangsan", number + 1).await.pop().unwrap();
        app.settled().await;
        assert!(said.contains(words) && said.contains("\n编号 "), "{url}: {said}");
    }
    assert_eq!(other.visits(), [""; 0], "nobody in the house was asked");
    assert_eq!(gallery.visits(), ["away", "page", "large", "gone"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'failed'"), 7);
    let named = "SELECT COUNT(*) FROM turn WHERE reason LIKE '%169.254.169.254%' AND reason NOT LIKE '%meta-data%'";
    assert_eq!(app.count(named), 1, "the host is named, and no more of the address");
}

#[tokio::test]
async fn a_host_of_the_house_that_is_allowed_may_have_the_pictures() {
    let (gallery, other) = (Gallery::start().await, Gallery::start().await);
    let app = App::start_with(|config| {
        gallery.serves(config);
        let host = qimate::net::fetch::AllowedHost::of(&other.url("")).unwrap();
        config.web.allow_hosts.push(host);
    })
    .await;
    gallery.hang_at(&other.url("cat.png"));
    app.say("zhangsan", "画一只猫").await;
    shows_the_cat(&app, 1).await;
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again_and_one_that_says_nothing_is_left() {
    let gallery = Gallery::start().await;
    let app = gallery.app().await;
    gallery.hang_at(&gallery.url("stumbles"));
    app.say("zhangsan", "画一只猫").await;
    app.advance_to_sleeper(3.0..=3.0).await;
    shows_the_cat(&app, 1).await;
    gallery.hang_at(&gallery.url("hangs"));
    app.say("zhangsan", "画一只猫").await;
    gallery.wait_visits(3).await;
    app.advance_to_sleeper(60.0..=60.0).await;
    let said = app.texts("zhangsan", 2).await.pop().unwrap();
    assert!(said.contains("没有取回来"), "{said}");
    app.settled().await;
    assert_eq!(
        (gallery.wishes(), gallery.visits()),
        (2, ["stumbles", "stumbles", "hangs"].map(str::to_owned).to_vec())
    );
}

#[tokio::test]
async fn a_crash_while_a_picture_is_fetched_fetches_it_again_and_makes_none() {
    let gallery = Gallery::start().await;
    let mut app = gallery.app().await;
    gallery.hang_at(&gallery.url("hangs"));
    app.say("zhangsan", "画一只猫").await;
    gallery.wait_visits(1).await;
    app.drop_everything().await;
    app.launch().await;
    shows_the_cat(&app, 1).await;
    assert_eq!((gallery.wishes(), gallery.visits().len()), (1, 2));
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND reason IS NULL"), 1);
}
