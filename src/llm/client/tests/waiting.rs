//! Stories of time: how long an answer is waited for, and when a connection is let go.

use super::*;

#[tokio::test]
async fn an_upstream_that_hangs_is_given_up_and_not_asked_again() {
    let fake = Fake::start([]).await;
    assert!(matches!(fake.after(60, fake.ask()).await, Err(Error::FirstDeltaTimeout)));
    assert_eq!(fake.requests(), 1);

    let (_held, answer) = open();
    let fake = Fake::start([answer]).await;
    assert!(matches!(fake.after(60, fake.ask()).await, Err(Error::FirstDeltaTimeout)));
}

#[tokio::test]
async fn an_answer_that_stops_is_given_up_after_the_gap() {
    let (sender, answer) = open();
    let fake = Fake::start([answer]).await;
    sender.send(HI).unwrap();
    let mut answer = fake.ask().await.expect("it begins");
    assert!(matches!(answer.next().await, Some(Ok(Delta::Text(_)))));
    // The caller's own time is no gap.
    fake.clock.advance(Duration::from_secs(100));
    sender.send(HI).unwrap();
    assert!(matches!(answer.next().await, Some(Ok(Delta::Text(_)))));
    assert!(matches!(fake.after(20, answer.next()).await, Some(Err(Error::GapTimeout))));
    assert!(answer.next().await.is_none());
    sender.closed().await;
}

#[tokio::test]
async fn thinking_is_the_beginning_of_an_answer() {
    let (sender, answer) = open();
    let fake = Fake::start([answer]).await;
    sender.send(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#).unwrap();
    let mut answer = fake.ask().await.expect("it begins");
    assert!(matches!(answer.next().await, Some(Ok(Delta::Thought(thought))) if thought == "hm"));
    assert!(matches!(fake.after(20, answer.next()).await, Some(Err(Error::GapTimeout))));
}

#[tokio::test]
async fn the_whole_answer_has_its_time() {
    let (sender, answer) = open();
    let fake = Fake::start([answer]).await;
    sender.send(HI).unwrap();
    let mut answer = fake.ask().await.expect("it begins");
    assert!(matches!(answer.next().await, Some(Ok(Delta::Text(_)))));
    fake.clock.advance(Duration::from_secs(290));
    assert!(matches!(fake.after(10, answer.next()).await, Some(Err(Error::AnswerTimeout))));
}

#[tokio::test]
async fn an_answer_is_complete_though_the_connection_stays_open() {
    let (sender, answer) = open();
    let fake = Fake::start([answer]).await;
    sender.send(r#"{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}"#).unwrap();
    let answer = fake.ask().await.expect("it begins");
    let (text, end) = fake.after(5, whole(answer)).await;
    assert_eq!((text.as_str(), end.expect("complete")), ("hi", stop(None)));
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let (sender, answer) = open();
    let fake = Fake::start([answer]).await;
    sender.send(HI).unwrap();
    let client = fake.client(&fake.settings());
    let asked = async move { drop(client.stream(&question()).await.expect("it begins")) };
    tokio::spawn(asked).await.expect("no panic");
    sender.closed().await;
}
