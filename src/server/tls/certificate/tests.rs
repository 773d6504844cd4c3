use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// A certificate and its key, in PEM.
fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().expect("key");
    let names = vec!["bot.example.com".to_owned(), "www.example.com".to_owned()];
    let mut params = CertificateParams::new(names).expect("params");
    change(&mut params);
    (params.self_signed(&key).expect("certificate").pem(), key.serialize_pem())
}

fn read(certificates: &str, key: &str) -> Result<Certificate, Fault> {
    Certificate::from_pem(certificates.as_bytes(), key.as_bytes())
}

#[test]
fn a_pair_says_for_whom_and_until_when_it_is_good() {
    let (certificate, key) = made(|params| {
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
    });
    let pair = read(&certificate, &key).expect("a pair");
    assert_eq!(pair.names, "bot.example.com, www.example.com");
    assert_eq!((pair.not_before.as_secs(), pair.not_after.as_secs()), (1_767_225_600, 1_775_001_600));

    let (intermediate, _) = made(|_| {});
    let chain = read(&format!("What this is\n{certificate}\n{intermediate}"), &key).expect("a chain");
    assert_eq!(chain.key.cert.len(), 2);
    let one_file = format!("{key}{certificate}");
    assert!(read(&one_file, &one_file).is_ok(), "both in one file");
}

#[test]
fn what_is_wrong_is_said_of_the_right_file() {
    let (certificate, key) = made(|_| {});
    let (other_certificate, other_key) = made(|_| {});
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let cases = [
        (String::new(), key.clone(), Fault::NoCertificate),
        ("not PEM".to_owned(), key.clone(), Fault::NoCertificate),
        (key.clone(), key.clone(), Fault::NoCertificate),
        (half(&certificate), key.clone(), Fault::BrokenCertificate),
        (format!("{certificate}{}", half(&other_certificate)), key.clone(), Fault::BrokenCertificate),
        (not_a_certificate.to_owned(), key.clone(), Fault::UnreadableCertificate),
        (certificate.clone(), String::new(), Fault::NoKey),
        (certificate.clone(), certificate.clone(), Fault::NoKey),
        (certificate.clone(), half(&key), Fault::BrokenKey),
        (certificate.clone(), encrypted.to_owned(), Fault::EncryptedKey),
        (certificate.clone(), not_a_key.to_owned(), Fault::UnusableKey),
        (certificate.clone(), other_key, Fault::OtherKey),
        // The chain is there, but not in its order.
        (format!("{other_certificate}{certificate}"), key.clone(), Fault::OtherKey),
    ];
    for (number, (certificates, key, expected)) in cases.into_iter().enumerate() {
        let fault = read(&certificates, &key).err();
        assert_eq!(fault.as_ref(), Some(&expected), "case {number}");
        assert_eq!(expected.is_about_the_key(), number >= 6, "case {number}");
    }
}
