//! `qimate key`: a key is shown once and kept nowhere; what bounds its owner bounds it; it goes with its owner.

use qimate::model::key::{KeyId, KeyText};
use serde_json::Value;

use crate::{company::Company, disk::holds_nowhere};

async fn company() -> Company {
    let mut company = Company::open(&[]).await;
    company.start().await;
    company
}

fn text(made: &Value) -> String {
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let mut company = company().await;
    let made = company.json("key create reports --service --days 7 --from 10.0.0.0/8 --endpoints chat").await;
    let rotated = company.json(&format!("key rotate {}", made["id"].as_str().unwrap())).await;
    let secrets = [text(&made), text(&rotated)];
    let parsed = secrets.each_ref().map(|text| KeyText::parse(text).unwrap());
    assert_eq!(parsed[0].id, parsed[1].id);
    assert!(!parsed[0].hash().is(&parsed[1].hash()));
    for arguments in ["key", "key list", "key list --json", &format!("key show {}", parsed[0].id)] {
        let (ok, shown) = company.tell(arguments).await;
        assert!(ok && shown.contains(parsed[0].id.as_str()), "{arguments}: {shown}");
        // The secret is the part behind the second underscore.
        for text in &secrets {
            assert!(!shown.contains(&text[16..40]), "{arguments}: {shown}");
        }
    }
    company.terminate().await;
    for text in &secrets {
        holds_nowhere(company.dir.path(), &text[16..40]);
        holds_nowhere(company.dir.path(), hex::decode(&text[16..80]).unwrap());
    }
    let kept: Vec<u8> = company.database().query_row("SELECT hash FROM api_key", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, parsed[1].hash().bytes(), "its hash is");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_system_calls_a_key_is_one_key() {
    let company = company().await;
    let first = company.json("key create crm --service --external-id crm-1").await;
    let again = company.json("key create crm-2 --service --external-id crm-1 --models qimate-demo").await;
    assert_eq!((&again["id"], &again["name"]), (&first["id"], &"crm-2".into()));
    assert_eq!(
        (&again["key"], &again["models"][0]),
        (&Value::Null, &"qimate-demo".into()),
        "the secret is not shown again"
    );
    let (ok, said) = company.tell("key create mine --member li --external-id crm-1").await;
    assert!(!ok && said.contains("whose owner cannot change"), "{said}");
    let id = first["id"].as_str().unwrap();
    assert!(company.tell(&format!("key revoke {id}")).await.0);
    assert!(company.tell(&format!("key revoke {id}")).await.1.contains("was revoked before"));
    assert!(company.tell(&format!("key rotate {id}")).await.1.contains("is revoked; make a new one"));
    let third = company.json("key create crm --service --external-id crm-1").await;
    assert_ne!(third["id"], first["id"], "a revoked key never comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_a_key_given_for_an_id_is_not_repeated() {
    let company = company().await;
    for (arguments, words) in [
        ("key create a --service --models gpt-9", "there is no model gpt-9; there are qimate-demo"),
        ("key create a --service --endpoints chats", "expected some of chat, responses, embeddings"),
        ("key create a --service --from 10.0.0.5/8", "expected a network such as 10.0.0.0/8"),
        ("key create a --service --corp ww2", "say with --corp which: ww1436e0e65a779aee"),
        ("key create a", "--member"),
        ("key show 000000000000", "there is no key 000000000000"),
        ("plan attach x --key 000000000000", "there is no key 000000000000"),
    ] {
        let (ok, said) = company.tell(arguments).await;
        assert!(!ok && said.contains(words), "{arguments}: {said}");
    }
    let made = text(&company.json("key create a --service").await);
    for arguments in [format!("key show {made}"), format!("key revoke {made}"), format!("plan attach x --key {made}")] {
        let (ok, said) = company.tell(&arguments).await;
        assert!(!ok && said.contains("and not the key itself") && !said.contains(&made[16..]), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_for_a_key_and_goes_with_it() {
    let company = company().await;
    let made = company.json("key create a --service").await;
    let id = KeyId::parse(made["id"].as_str().unwrap()).unwrap();
    assert!(company.tell("plan set small --limit requests=3/day").await.0);
    assert!(company.tell(&format!("plan attach small --key {id}")).await.0);
    assert!(company.tell("plan").await.1.contains(&format!("for key {id}")));
    assert!(!company.tell("plan remove small").await.0, "it is attached");
    assert!(company.tell(&format!("key revoke {id}")).await.0);
    assert!(company.tell("plan remove small").await.0, "and gone with the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_keys_are_exported_and_erased_with_the_member() {
    let company = company().await;
    assert!(company.wecom.say("li", "喂").await.accepted());
    company.until("SELECT COUNT(*) > 0 FROM outbox WHERE state = 'sent'", 1).await;
    let theirs = company.json("key create laptop --member Li").await;
    let other = company.json("key create laptop --member wang").await;
    assert!(company.tell("plan set small --limit requests=3/day").await.0);
    assert!(company.tell(&format!("plan attach small --key {}", theirs["id"].as_str().unwrap())).await.0);
    let (ok, exported) = company.tell("member export li").await;
    assert!(ok && exported.contains(theirs["id"].as_str().unwrap()), "{exported}");
    assert!(!exported.contains(&text(&theirs)[16..40]) && !exported.contains(other["id"].as_str().unwrap()));
    assert!(company.tell("member erase li --yes").await.0);
    let left = company.json("key list").await;
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &other["id"]));
    company.until("SELECT COUNT(*) FROM plan_of", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_member_made_is_told_apart_and_an_operators_word_is_the_last() {
    let mut company = Company::open(&[("QIMATE_V1__ENABLED", "true"), ("QIMATE_V1__MEMBER_KEYS", "2")]).await;
    let base = format!("http://127.0.0.1:{}", company.port());
    company.set("QIMATE_SERVER__PUBLIC_URL", &base);
    company.start().await;
    company.json("key create desk --member li").await;
    assert!(company.wecom.say("Li", "/key new 笔记本").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
    let said = company.wecom.messages_for("li").pop().unwrap().content;
    let link = said.lines().last().unwrap();
    let page = reqwest::Client::new().post(link).header("origin", &base).send().await.unwrap().text().await.unwrap();
    let key = page.split_once("<code id=\"key\">").and_then(|(_, rest)| rest.split_once("</code>")).expect("a key").0;
    let id = KeyText::parse(key).unwrap().id;
    let all = company.json("key list").await;
    let made = |place: usize| (all[place]["name"].as_str().unwrap(), all[place]["self_made"].as_bool().unwrap());
    assert_eq!((made(0), made(1)), (("desk", false), ("笔记本", true)));
    for command in ["key list".to_owned(), format!("key show {id}")] {
        let (_, shown) = company.tell(&command).await;
        assert_eq!(shown.matches("made by the member").count(), 1, "{shown}");
        assert!(shown.contains("笔记本 (made by the member)") && !shown.contains(&key[16..40]), "{shown}");
    }
    let (_, audit) = company.tell("audit list").await;
    assert!(audit.contains("member/ww1436e0e65a779aee/li  key.create"), "{audit}");
    let models = async || {
        let ask = reqwest::Client::new().get(format!("{base}/v1/models")).bearer_auth(key).send();
        ask.await.unwrap().status().as_u16()
    };
    assert_eq!(models().await, 200);
    assert!(company.tell(&format!("key revoke {id}")).await.0);
    crate::harness::within(async { while models().await != 401 {} }).await;
    let (ok, exported) = company.tell("member export li").await;
    assert!(ok && exported.contains("\"self_made\": true"), "{exported}");
    assert!(company.tell("audit verify").await.0);
}
