use std::error::Error as StdError;

use axum::{Router, extract::Query, http::StatusCode, routing::get};
use serde_json::{Value, json};

use super::{callback::Outcome, *};
use crate::{clock::ManualClock, sandbox::Served};

type Result<T = ()> = std::result::Result<T, Box<dyn StdError>>;

fn settings() -> Result<EmulatorSettings> {
    Ok(EmulatorSettings::invent(CorpId::parse("wwdemo")?, AgentId::new(7)))
}

async fn emulator() -> Result<(Emulator, ManualClock)> {
    let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    Ok((Emulator::start(settings()?, Clock::Manual(manual.clone())).await?, manual))
}

async fn fetch_access_token(emulator: &Emulator, corp: &str, secret: &str) -> Result<Value> {
    let url = format!("{}/cgi-bin/gettoken?corpid={corp}&corpsecret={secret}", emulator.api_base());
    Ok(emulator.cloud.http.get(url).send().await?.json().await?)
}

async fn access_token(emulator: &Emulator) -> Result<String> {
    let answer = fetch_access_token(emulator, "wwdemo", emulator.settings().secret.expose()).await?;
    Ok(answer["access_token"].as_str().ok_or("no access token")?.to_owned())
}

async fn send(emulator: &Emulator, access_token: &str, content: &str) -> reqwest::Result<reqwest::Response> {
    let body = json!({"touser": "Ann", "msgtype": "text", "agentid": 7, "text": {"content": content}});
    let url = format!("{}/cgi-bin/message/send?access_token={access_token}", emulator.api_base());
    emulator.cloud.http.post(url).json(&body).send().await
}

async fn errcode(emulator: &Emulator, access_token: &str, content: &str) -> Result<i64> {
    let answer: Value = send(emulator, access_token, content).await?.json().await?;
    Ok(answer["errcode"].as_i64().ok_or("no errcode")?)
}

/// A daemon that answers everything with `status` and, to a GET, with `echo`.
async fn daemon(status: StatusCode, echo: fn(String) -> String) -> Result<Served> {
    let verify = move |Query(query): Query<std::collections::HashMap<String, String>>| async move {
        echo(query.get("echostr").cloned().unwrap_or_default())
    };
    let router = Router::new().route("/callback", get(verify).post(move || async move { status }));
    Ok(serve(router, 0).await?)
}

#[tokio::test]
async fn an_access_token_is_needed_and_errors_have_wecoms_shape() -> Result {
    let (emulator, _) = emulator().await?;
    for (corp, secret, expected) in
        [("", "x", 41002), ("wwdemo", "", 41004), ("ww", "x", 40013), ("wwdemo", "x", 40001)]
    {
        assert_eq!(fetch_access_token(&emulator, corp, secret).await?["errcode"], expected, "{corp} {secret}");
    }
    let response = send(&emulator, "forged", "hello").await?;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await?;
    let errmsg = answer["errmsg"].as_str().unwrap_or_default();
    assert_eq!(answer["errcode"], 40014);
    assert!(errmsg.starts_with("invalid access_token, hint: ["), "{errmsg}");
    assert!(errmsg.contains("from ip: 203.0.113.7, more info at https://") && errmsg.ends_with("e=40014"), "{errmsg}");

    let token = access_token(&emulator).await?;
    assert_eq!(access_token(&emulator).await?, token);
    assert_eq!(errcode(&emulator, &token, "hello").await?, 0);
    assert_eq!(emulator.messages_for("ANN").len(), 1);
    assert_eq!(emulator.counters(), Counters { gettoken: 6, sends: 2, ..Counters::default() });
    Ok(())
}

#[tokio::test]
async fn the_journal_never_shows_a_secret() -> Result {
    let (emulator, _) = emulator().await?;
    let token = access_token(&emulator).await?;
    send(&emulator, &token, &format!("my token is {token}")).await?;
    let shown = serde_json::to_string(&emulator.journal().after(0))?;
    let EmulatorSettings { secret, callback_token, encoding_aes_key, .. } = emulator.settings();
    for secret in [&token, secret.expose(), callback_token.expose(), encoding_aes_key.expose()] {
        assert!(!shown.contains(secret.as_str()));
    }
    assert!(shown.contains("my token is ***") && shown.contains("access_token=***"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn troubles_are_what_they_say() -> Result {
    let (emulator, manual) = emulator().await?;
    let token = access_token(&emulator).await?;
    emulator.trouble(|trouble| trouble.refuse_ip(true));
    assert_eq!(errcode(&emulator, &token, "a").await?, 60020);
    emulator.trouble(|trouble| trouble.refuse_ip(false));
    emulator.trouble(|trouble| trouble.fail_next_sends(1, 45009));
    assert_eq!(errcode(&emulator, &token, "a").await?, 45009);
    assert!(emulator.delivered().is_empty());

    emulator.trouble(|trouble| trouble.lose_answers(1));
    assert!(send(&emulator, &token, "lost answer").await.is_err());
    assert_eq!(emulator.messages_for("ann")[0].content, "lost answer");

    emulator.trouble(|trouble| trouble.bad_gateway(true));
    assert_eq!(send(&emulator, &token, "a").await?.status(), 502);
    emulator.trouble(Trouble::clear);

    emulator.trouble(|trouble| trouble.delay_answers(Duration::from_secs(9)));
    let before = manual.sleepers();
    let (emulator_, token_) = (emulator.clone(), token.clone());
    let slow = tokio::spawn(async move { send(&emulator_, &token_, "late").await });
    while manual.sleepers() == before {
        tokio::task::yield_now().await;
    }
    assert_eq!(emulator.delivered().len(), 1);
    manual.advance(Duration::from_secs(9));
    assert_eq!(slow.await??.status(), 200);
    assert_eq!(emulator.wait_delivered(|list| list.len() == 2).await[1].content, "late");
    Ok(())
}

#[tokio::test]
async fn a_callback_is_sent_once_when_taken_and_three_times_when_not() -> Result {
    let (emulator, _) = emulator().await?;
    assert!(!emulator.say("ann", "nobody to tell").await.accepted());

    let good = daemon(StatusCode::OK, |echo| echo).await?;
    emulator.set_callback_url(format!("http://{}/callback", good.address));
    let receipt = emulator.say("ann", "hello").await;
    assert_eq!((receipt.accepted(), receipt.attempts.len(), receipt.msg_id.is_some()), (true, 1, true));
    emulator.trouble(|trouble| trouble.repeat_callbacks(true));
    assert_eq!(emulator.event("ann", "enter_agent").await.attempts.len(), 3);
    assert!(!emulator.verify_url().await, "gives back the ciphertext");

    let bad = daemon(StatusCode::INTERNAL_SERVER_ERROR, |_| "\"1\"\n".to_owned()).await?;
    emulator.set_callback_url(format!("http://{}/callback", bad.address));
    let receipt = emulator.say("ann", "hello").await;
    assert!(!receipt.accepted());
    let failed = Outcome::Answered { status: 500, body: String::new() };
    assert!(receipt.attempts.len() == 3 && receipt.attempts.iter().all(|attempt| attempt.outcome == failed));
    assert!(!emulator.verify_url().await);
    Ok(())
}

#[tokio::test]
async fn no_answer_within_five_seconds_is_tried_again() -> Result {
    let (emulator, manual) = emulator().await?;
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let silent = move || async move {
        let _ = arrived.send(());
        std::future::pending::<()>().await;
    };
    let silent = serve(Router::new().route("/", axum::routing::post(silent)), 0).await?;
    emulator.set_callback_url(format!("http://{}/", silent.address));
    let (saying, mover) = (emulator.say("ann", "hello"), async {
        for _ in 0..callback::TRIES {
            arrivals.recv().await;
            manual.advance(callback::ANSWER_LIMIT);
        }
    });
    let (receipt, ()) = tokio::join!(saying, mover);
    assert!(receipt.attempts.len() == 3 && receipt.attempts.iter().all(|attempt| attempt.outcome == Outcome::TimedOut));
    Ok(())
}

#[tokio::test]
async fn both_sides_of_a_chat_are_kept_in_order() -> Result {
    let (emulator, _) = emulator().await?;
    let token = access_token(&emulator).await?;
    emulator.say("ann", "question").await;
    send(&emulator, &token, "answer").await?;
    let lines: Vec<_> =
        emulator.lines_after(0).into_iter().map(|line| (line.seq, line.from_member, line.content)).collect();
    assert_eq!(lines, [(1, true, "question".to_owned()), (2, false, "answer".to_owned())]);
    assert_eq!(emulator.lines_after(1).len(), 1);
    Ok(())
}
