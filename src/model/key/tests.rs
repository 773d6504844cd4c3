use super::*;

fn key() -> KeyText {
    KeyText::of(KeyId::of([7; ID_BYTES]), [0xab; SECRET_BYTES])
}

#[test]
fn the_checksum_is_the_well_known_one() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn a_key_is_read_as_it_is_written_and_any_slip_is_seen() {
    let text = key().text().expose().clone();
    assert_eq!(text.len(), 88);
    let read = KeyText::parse(&text).expect("a key");
    assert!(read.id == key().id && read.hash().is(&key().hash()));
    for at in 0..text.len() {
        for other in ["0", "1", "f", "_", "A", "\u{0}", "é"] {
            let slip = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(slip == text || KeyText::parse(&slip).is_err(), "{slip}");
        }
        assert!(KeyText::parse(&text[..at]).is_err(), "cut at {at}");
    }
    for wrong in [&format!("{text}0"), &format!(" {text}"), &text.to_uppercase(), "", "sk-abc", "qm__", "qm_é_"] {
        assert!(KeyText::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn no_format_shows_the_secret() {
    let shown = format!("{:?} {:?}", key(), KeyText::parse(key().text().expose()));
    assert!(!shown.contains("abab"), "{shown}");
}

#[test]
fn the_secret_of_before_is_good_until_its_time_is_over() {
    let (old, at) = (KeyText::of(key().id, [1; SECRET_BYTES]), Timestamp::from_secs);
    let mut kept = ApiKey {
        number: 1,
        id: key().id,
        corp: CorpId::parse("ww1").expect("corp"),
        owner: Owner::Service,
        name: "n".to_owned(),
        scope: Scope::default(),
        external_id: None,
        self_made: false,
        created_at: at(0),
        expires_at: Some(at(100)),
        revoked_at: None,
        last_used_at: None,
        hash: key().hash(),
        previous: Some((old.hash(), at(10))),
    };
    assert!(kept.is_opened_by(&key().hash(), at(50)));
    assert!(kept.is_opened_by(&old.hash(), at(9)) && !kept.is_opened_by(&old.hash(), at(10)));
    assert!(!kept.is_opened_by(&KeyText::of(key().id, [2; SECRET_BYTES]).hash(), at(0)));
    assert_eq!([at(99), at(100)].map(|now| kept.standing(now)), [Standing::Good, Standing::Expired]);
    kept.revoked_at = Some(at(5));
    assert_eq!(kept.standing(at(4)), Standing::Revoked);
}

#[test]
fn a_scope_that_says_nothing_allows_everything() {
    let all = Scope::default();
    let here = "10.1.1.1".parse().expect("address");
    assert!(all.has_model("a") && all.has_endpoint(Endpoint::Chat) && all.has_address(here));
    let some = Scope {
        models: Some(["a".to_owned()].into()),
        endpoints: Some([Endpoint::Models].into()),
        networks: vec![Network::parse("10.2.0.0/16").expect("network")],
    };
    assert!(some.has_model("a") && !some.has_model("b") && !some.has_endpoint(Endpoint::Chat));
    assert!(!some.has_address(here));
}
