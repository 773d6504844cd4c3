//! A member with a new userid is the same member: what was used before is theirs, and their keys give them nothing anew.

use std::time::Duration;

use qimate::{
    model::{
        id::{CorpId, MemberId},
        quota::{
            plan::{Limit, Plan},
            subject::Subject,
        },
    },
    sandbox::model::ModelReply,
    store::plans::Holder,
};
use rusqlite::Connection;

use super::{LOOK, calls};
use crate::{
    harness::{App, ask, within},
    v1::{Scene, question},
};

/// What the file of usage answers, once it is `wanted`.
async fn until(app: &App, sql: &str, wanted: &str) {
    let look = || -> Option<String> {
        let conn = Connection::open(app.dir.path().join("usage.db")).ok()?;
        conn.query_row(sql, [], |row| row.get(0)).ok().flatten()
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while look().as_deref() != Some(wanted) {
            tokio::time::sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "{:?} instead of {wanted}", look());
}

const MEMBERS: &str = "SELECT group_concat(text, ' ') FROM (SELECT text FROM name WHERE kind = 1 ORDER BY text)";
/// The sums of members by the hour and by the day that are not what their calls add up to.
const WRONG: &str = "SELECT group_concat(grain || ':' || name || ':' || calls) FROM
     (SELECT grain, name, SUM(calls) AS calls, SUM(input) AS input, SUM(money) AS money FROM total
      WHERE dimension = 1 GROUP BY grain, name)
     WHERE (name, calls, input, money) NOT IN
           (SELECT member, COUNT(*), SUM(input), SUM(money) FROM call GROUP BY member)";

async fn renamed(app: &App, from: &str, to: &str) {
    let fields = [("UserID", from), ("NewUserID", to)];
    assert!(within(app.wecom.change_contact("update_user", &fields)).await.accepted());
}

#[tokio::test]
async fn calls_and_sums_follow_a_new_userid_and_so_do_keys() {
    let scene = Scene::open_with(|_| {}).await;
    let app = &scene.app;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let corp = CorpId::parse("ww1436e0e65a779aee").unwrap();
    let li = Subject::member(&corp, &MemberId::parse("li").unwrap());
    let plan = Plan { limits: vec![Limit::parse("requests=3/day").unwrap()], ..Plan::default() };
    scene.attach(&Holder::One(li), "three", &plan).await;
    ask(app, "Li", "一").await;
    assert_eq!(scene.ask(&question("二")).await.status(), 200);
    // WeCom tells it after the first message under the new userid: both are known then.
    ask(app, "LiSi", "三").await;
    until(app, "SELECT COUNT(*) || '' FROM call", "3").await;
    renamed(app, "li", "LiSi").await;
    app.felt().await;
    until(app, MEMBERS, "ww1436e0e65a779aee/lisi").await;
    assert_eq!(calls(app, "member"), ["lisi"; 3]);
    until(app, &format!("SELECT IFNULL(({WRONG}), 'none')"), "none").await;
    // The key is theirs, and their plan and what they used came along: nothing is left of three.
    app.comes_to("SELECT COUNT(*) FROM api_key WHERE userid = 'LiSi'", 1).await;
    app.felt().await;
    assert_eq!(scene.ask(&question("四")).await.status(), 429);
    assert!(ask(app, "LiSi", "五").await.starts_with("你今天的额度不够了：已用 3，上限 3 个问题。"));
    until(app, MEMBERS, "ww1436e0e65a779aee/lisi").await;
}

#[tokio::test]
async fn a_crash_right_after_the_event_loses_nothing_and_a_new_owner_of_the_userid_is_somebody_else() {
    let mut app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    ask(&app, "li", "一").await;
    until(&app, MEMBERS, "ww1436e0e65a779aee/li").await;
    renamed(&app, "li", "lisi").await;
    app.drop_everything().await;
    until(&app, MEMBERS, "ww1436e0e65a779aee/li").await;
    app.launch().await;
    until(&app, MEMBERS, "ww1436e0e65a779aee/lisi").await;
    // A minute later somebody else is called so, and it is not done again after a restart.
    app.clock.advance(Duration::from_secs(60));
    ask(&app, "li", "二").await;
    until(&app, MEMBERS, "ww1436e0e65a779aee/li ww1436e0e65a779aee/lisi").await;
    app.stop().await;
    app.launch().await;
    ask(&app, "li", "三").await;
    until(&app, "SELECT COUNT(*) || '' FROM call", "3").await;
    assert_eq!(calls(&app, "member"), ["lisi", "li", "li"]);
    app.stop().await;
    // Who erases the member erases what they were called before, too.
    let lisi = MemberId::parse("lisi").unwrap();
    let now = qimate::clock::Clock::Manual(app.clock.clone()).now();
    qimate::store::member::erase(&app.config.storage, &qimate::model::audit::Actor::Daemon, &lisi, now).unwrap();
    assert_eq!(app.count("SELECT COUNT(*) FROM renamed"), 0);
    assert_eq!(calls(&app, "member LIKE '#%'"), ["1", "0", "0"]);
    let left = Connection::open(app.dir.path().join("usage.db")).unwrap();
    assert_eq!(left.query_row("SELECT COUNT(*) FROM renamed", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
