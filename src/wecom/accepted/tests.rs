use proptest::prelude::*;

use super::*;
use crate::wecom::{
    callback::CallbackQuery,
    crypto::{
        self,
        tests::{Vector, vector},
    },
};

const OTHER_KEYS: [&str; 2] =
    ["6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"];

fn token(text: &str) -> CallbackToken {
    CallbackToken::parse(text).expect("token")
}

fn key(text: &str) -> EncodingAesKey {
    EncodingAesKey::parse(text).expect("key")
}

fn corp(text: &str) -> CorpId {
    CorpId::parse(text).expect("corp id")
}

fn published(vector: &Vector) -> SignedCallback {
    SignedCallback::verification(CallbackQuery {
        msg_signature: Some(vector.msg_signature.clone()),
        timestamp: Some(vector.timestamp.clone()),
        nonce: Some(vector.nonce.clone()),
        echostr: Some(vector.encrypt.clone()),
    })
    .expect("callback")
}

/// A callback by whoever has these.
fn made_with(token: &CallbackToken, key: &EncodingAesKey, receive_id: &str, message: &[u8]) -> SignedCallback {
    let encrypt = crypto::encrypt(key, receive_id, message, [7; 16]);
    SignedCallback::verification(CallbackQuery {
        msg_signature: Some(crypto::signature(token, "1790000000", "nonce", &encrypt)),
        timestamp: Some("1790000000".to_owned()),
        nonce: Some("nonce".to_owned()),
        echostr: Some(encrypt),
    })
    .expect("callback")
}

#[test]
fn the_published_callbacks_open_by_the_values_in_force_and_by_those_of_before() {
    for id in ["A", "B", "D", "E"] {
        let vector = vector(id);
        let theirs = || (token(&vector.token), key(&vector.encoding_aes_key));
        let (new_token, new_key) = (token("NewToken"), key(OTHER_KEYS[1]));
        let (their_token, their_key) = theirs();
        let cases = [
            (AcceptedKeys::new(their_token.clone(), their_key.clone()), Values::Current),
            // Both changed, and not yet in the console.
            (
                AcceptedKeys::new(new_token.clone(), new_key.clone()).with_previous(Some(theirs().0), Some(theirs().1)),
                Values::Previous,
            ),
            // Only one of them changed.
            (
                AcceptedKeys::new(new_token.clone(), their_key.clone()).with_previous(Some(theirs().0), None),
                Values::Previous,
            ),
            (
                AcceptedKeys::new(their_token.clone(), new_key.clone()).with_previous(None, Some(theirs().1)),
                Values::Previous,
            ),
            // One is in the console already, the other is not.
            (
                AcceptedKeys::new(their_token.clone(), new_key.clone())
                    .with_previous(Some(new_token.clone()), Some(theirs().1)),
                Values::Previous,
            ),
            (
                AcceptedKeys::new(new_token.clone(), their_key.clone())
                    .with_previous(Some(theirs().0), Some(new_key.clone())),
                Values::Previous,
            ),
            // Both are in the console; the values of before are not needed any more.
            (AcceptedKeys::new(their_token, their_key).with_previous(Some(new_token), Some(new_key)), Values::Current),
        ];
        for (number, (keys, expected)) in cases.iter().enumerate() {
            let (payload, by) = keys.open(published(&vector), &corp(&vector.receive_id)).expect(id);
            assert_eq!(payload.bytes(), vector.plaintext.as_bytes(), "{id}, case {number}");
            assert_eq!(by, *expected, "{id}, case {number}");
        }
    }
}

#[test]
fn a_rejection_names_what_the_sender_would_have_to_change() {
    let (new, old, foreign) = (token("NewToken"), token("OldToken"), token("Foreign"));
    let (new_key, old_key) = (key(OTHER_KEYS[0]), key(OTHER_KEYS[1]));
    let foreign_key = key("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C");
    let both = AcceptedKeys::new(new.clone(), new_key.clone()).with_previous(Some(old.clone()), Some(old_key.clone()));
    let only_token = AcceptedKeys::new(new.clone(), new_key.clone()).with_previous(Some(old.clone()), None);
    let cases = [
        (&both, &foreign, &old_key, "ww1", "wrong_signature", "wecom.callback_token "),
        (&both, &new, &foreign_key, "ww1", "undecryptable", "wecom.encoding_aes_key "),
        (&both, &old, &foreign_key, "ww1", "undecryptable", "wecom.previous_encoding_aes_key "),
        // The key of before was changed too, and left out here.
        (&only_token, &old, &old_key, "ww1", "undecryptable", "wecom.previous_encoding_aes_key "),
        (&both, &new, &new_key, "ww2", "other_receiver", "`ww2`"),
        (&both, &old, &old_key, "ww2", "other_receiver", "`ww2`"),
        (&both, &new, &old_key, "ww2", "other_receiver", "`ww2`"),
    ];
    for (keys, token, key, receive_id, reason, telling) in cases {
        let outcome = keys.open(made_with(token, key, receive_id, b"<xml/>"), &corp("ww1"));
        let rejection = outcome.map(|(_, by)| by).expect_err(reason);
        assert_eq!(rejection.reason(), reason);
        assert!(rejection.to_string().contains(telling), "{rejection}");
    }
}

#[test]
fn accepted_keys_do_not_show_themselves() {
    let keys = AcceptedKeys::new(token("Secret1"), key(OTHER_KEYS[0]))
        .with_previous(Some(token("Secret2")), Some(key(OTHER_KEYS[1])));
    let shown = format!("{keys:?}");
    assert!(!shown.contains("Secret") && !shown.contains("6qkd") && !shown.contains("abcd"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whoever_has_one_of_the_tokens_and_one_of_the_keys_is_heard_and_nobody_else(
        message in proptest::collection::vec(any::<u8>(), 0..200),
        signs_with in 0_usize..3,
        encrypts_with in 0_usize..3,
        previous_token: bool,
        previous_key: bool,
        same_corp: bool,
    ) {
        // 0 is in force, 1 is of before, 2 is somebody else's.
        let tokens = [token("NewToken"), token("OldToken"), token("Foreign")];
        let keys = [key(OTHER_KEYS[0]), key(OTHER_KEYS[1]), key("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")];
        let accepted = AcceptedKeys::new(tokens[0].clone(), keys[0].clone()).with_previous(
            previous_token.then(|| tokens[1].clone()),
            previous_key.then(|| keys[1].clone()),
        );
        let receive_id = if same_corp { "ww1" } else { "ww2" };
        let signed = made_with(&tokens[signs_with], &keys[encrypts_with], receive_id, &message);

        let known = |index: usize, previous: bool| index == 0 || index == 1 && previous;
        let outcome = accepted.open(signed, &corp("ww1"));
        if !known(signs_with, previous_token) {
            prop_assert_eq!(outcome.err(), Some(Rejection::WrongSignature));
        } else if !known(encrypts_with, previous_key) {
            let rejection = outcome.map(|(_, by)| by).expect_err("foreign key");
            let of_previous = matches!(rejection, Rejection::PreviousUndecryptable(_));
            prop_assert_eq!(rejection.reason(), "undecryptable");
            prop_assert_eq!(of_previous, signs_with == 1);
        } else if !same_corp {
            prop_assert_eq!(outcome.err(), Some(Rejection::OtherReceiver { found: "ww2".to_owned() }));
        } else {
            let (payload, by) = outcome.expect("opens");
            prop_assert_eq!(payload.bytes(), message);
            let expected = if signs_with + encrypts_with == 0 { Values::Current } else { Values::Previous };
            prop_assert_eq!(by, expected);
        }
    }
}
