use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<(&str, &'static str)> {
    let kinds = Kind::ALL.into_iter().collect();
    find(text, kinds).into_iter().map(|(range, kind)| (&text[range], kind.name())).collect()
}

#[test]
fn each_kind_is_found_and_what_only_looks_like_it_is_not() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----";
    for (text, expected) in [
        // Identity cards: the standard's own example, with X, in groups, full-width; a wrong checksum; a wrong month.
        ("身份证11010519491231002X。", &[("11010519491231002X", "id_card")] as &[_]),
        ("440524188001010014", &[("440524188001010014", "id_card")]),
        ("440524 18800101 0014", &[("440524 18800101 0014", "id_card")]),
        ("１１０１０５１９４９１２３１００２Ｘ", &[("１１０１０５１９４９１２３１００２Ｘ", "id_card")]),
        ("110105194912310021", &[]),
        ("110105194913310022", &[]),
        ("11010519491231002Xyz", &[]),
        // Bank cards.
        ("卡号 6222021234567890128", &[("6222021234567890128", "bank_card")]),
        ("4111 1111 1111 1111", &[("4111 1111 1111 1111", "bank_card")]),
        ("378282246310005", &[("378282246310005", "bank_card")]),
        ("4111111111111112", &[]),
        ("2026112112345678", &[]),
        // Phones.
        ("打13812345678吧", &[("13812345678", "phone")]),
        ("+86 138-1234-5678", &[("86 138-1234-5678", "phone")]),
        ("8613812345678", &[("8613812345678", "phone")]),
        ("13812345678 13987654321", &[("13812345678", "phone"), ("13987654321", "phone")]),
        ("12812345678、138123456789、a13812345678、id_13812345678", &[]),
        // E-mail.
        ("写给 li.ming+x@mail.example.com.", &[("li.ming+x@mail.example.com", "email")]),
        ("@li a@b a@.com x@1.2", &[]),
        // Secrets.
        ("key=sk-proj-abc123DEF456ghi789", &[("sk-proj-abc123DEF456ghi789", "secret")]),
        ("AKIAIOSFODNN7EXAMPLE", &[("AKIAIOSFODNN7EXAMPLE", "secret")]),
        ("task-management-of-2026-projects", &[]),
        ("sk-learn-and-other-libraries", &[]),
        (jwt, &[(jwt, "secret")]),
        ("eyJhbGciOiJIUzI1NiJ9", &[]),
        (pem, &[(pem, "secret")]),
        ("-----BEGIN CERTIFICATE-----", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn a_private_key_without_its_end_is_masked_to_the_end() {
    let text = "看：\n-----BEGIN PRIVATE KEY-----\nMIIE";
    assert_eq!(found(text), [("-----BEGIN PRIVATE KEY-----\nMIIE", "secret")]);
}

#[test]
fn only_what_is_asked_for_is_found() {
    let text = "13812345678 a@b.cn 11010519491231002X";
    for kind in Kind::ALL {
        let found = find(text, [kind].into_iter().collect());
        assert!(found.iter().all(|(_, found)| *found == kind), "{kind:?}");
        assert_eq!(found.len(), usize::from(!matches!(kind, Kind::BankCard | Kind::Secret)), "{kind:?}");
    }
}

#[test]
fn hostile_text_is_read_in_linear_time() {
    for piece in ["1", "1 ", "@", "a@", "-----BEGIN ", "eyJ", "sk-", "e", "13812345678 ", "６", "1-"] {
        let text = piece.repeat(100_000);
        assert!(find(&text, Kind::ALL.into_iter().collect()).len() <= 100_000);
    }
}

proptest! {
    #[test]
    fn findings_stand_in_order_within_the_text(text in "([0-9xX@a.\\- ６，]|sk-|13812345678|eyJ){0,60}") {
        let mut end = 0;
        for (range, _) in find(&text, Kind::ALL.into_iter().collect()) {
            prop_assert!(range.start >= end && range.end > range.start);
            prop_assert!(text.get(range.clone()).is_some());
            end = range.end;
        }
    }
}
