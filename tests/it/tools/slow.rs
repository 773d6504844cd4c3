//! A tool that takes long.

use std::time::Duration;

use qimate::sandbox::model::{Gate, ModelReply};

use super::{calls, server::Manner, with_crm};
use crate::harness::within;

#[tokio::test]
async fn a_slow_tool_that_nobody_is_shown_and_a_slow_model_are_announced_once_between_them() {
    let (app, crm) = with_crm(|config| config.tools.show_calls = false).await;
    crm.set_manner(Manner::Hangs);
    app.model.push(calls("", &[("crm_find_customer", "{}")]));
    let gate = Gate::new();
    app.model
        .push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "现在查不到。".to_owned() });
    app.say("zhangsan", "张三登记了吗？").await;
    within(crm.wait_calls(1)).await;
    app.advance_to_sleeper(19.0..=20.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"], "while the tool is still at work");
    app.sent().await;
    app.advance_to_sleeper(9.0..=11.0).await;
    app.texts("zhangsan", 2).await;
    within(app.model.wait_load(|load| load.taken == 2)).await;
    app.sent().await;
    app.clock.advance(Duration::from_secs(30));
    gate.open();
    let down = "⚠️ crm 查客户 暂时用不了，下面的回答没有用到它。";
    assert_eq!(app.texts("zhangsan", 3).await[1..], [down, "现在查不到。"]);
    app.settled().await;
    assert_eq!(app.wecom.messages_for("zhangsan").len(), 3);
}
