//! Every kind of call has its row, with what it cost and the department that it was for.

use qimate::{
    media::voice::Recording,
    model::quota::plan::{Limit, Plan},
    sandbox::model::{ModelReply, Transcript},
    store::plans::Holder,
};

use super::calls;
use crate::{
    harness::within,
    v1::{Scene, question},
};

pub(super) fn spoken() -> Vec<u8> {
    let samples = (0..8000).map(|n| if n % 20 < 10 { 6000 } else { -6000 }).collect();
    Recording { sample_rate: 8000, samples }.to_amr().unwrap()
}

#[tokio::test]
async fn whatever_is_called_has_its_row() {
    let mut scene = Scene::open_with(|config| {
        config.images.model = Some("gpt-image-1".to_owned());
        config.images.price = 3_000_000;
        config.voice.transcription_model = Some("whisper-1".to_owned());
        config.voice.transcription_price = 60_000_000;
    })
    .await;
    scene.app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let rows = "INSERT INTO department (corp, id, parent, name, changed_at)
                    VALUES ('ww1436e0e65a779aee', 7, 1, '销售部', 0);
                INSERT INTO member_of (corp, member, department) VALUES ('ww1436e0e65a779aee', 'zhangsan', 7);";
    scene.app.database().execute_batch(rows).unwrap();
    scene.app.say("zhangsan", "画一只猫").await;
    scene.app.texts("zhangsan", 1).await;
    scene.app.settled().await;
    scene.app.model.push_transcript(Transcript::Text("你好".to_owned()));
    within(scene.app.wecom.speak("zhangsan", Some(spoken()))).await;
    scene.app.texts("zhangsan", 3).await;
    scene.app.settled().await;
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
    let none = Plan { limits: vec![Limit::parse("requests=0/day").unwrap()], ..Plan::default() };
    scene.attach(&Holder::EveryMember, "none", &none).await;
    scene.app.say("wang", "一").await;
    scene.app.texts("wang", 1).await;
    scene.app.settled().await;
    scene.app.stop().await;
    let is_key = "CASE WHEN api_key IS NULL THEN 'chat' ELSE 'key' END";
    let seen = calls(&scene.app, &format!("member, {is_key}, kind, department, result, money"));
    assert_eq!(
        seen,
        [
            "zhangsan chat picture 7 ok 3000000",
            "zhangsan chat transcription 7 ok 1000000",
            "zhangsan chat chat 7 ok 0",
            "li key chat ok 0",
            "wang chat chat refused 0",
        ]
    );
}
