//! One line for each thing that can be seen, and what is to be thought of it.

use super::*;
use crate::alert::observation::{DeadLetters, SafetyHits};

const NOW: i64 = 1_790_000_000;

/// So many seconds before now.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_secs(NOW - seconds)
}

/// A day like any other.
fn quiet() -> Observation {
    Observation {
        now: ago(0),
        started_at: ago(86_400),
        crashed: false,
        wecom: Wecom::Works { since: ago(86_400) },
        app: None,
        others: Vec::new(),
        answers: vec![Answer { at: ago(600), end: End::Answered }],
        set_aside: Vec::new(),
        inbox_waiting_since: None,
        outbox_waiting_since: None,
        disk_free: Some(100_000 * MIB),
        size: None,
        database: Database::Writable { since: ago(86_400) },
        dead_letters: None,
        certificate: None,
        safety: None,
    }
}

fn settings() -> config::Alerts {
    config::Alerts {
        operators: Vec::new(),
        webhook_url: None,
        webhook_secret: None,
        max_per_hour: 12,
        queue_age: Duration::from_secs(300),
        failed_percent: 30,
        disk_free_mib: 512,
        app: None,
    }
}

fn blocked(seconds: i64, reason: Block) -> Observation {
    Observation { wecom: Wecom::Blocked { since: ago(seconds), reason }, ..quiet() }
}

/// Answers, the last of them a second ago, one a second.
fn answered(ends: &[End]) -> Observation {
    answered_until(1, ends)
}

fn answered_until(seconds: i64, ends: &[End]) -> Observation {
    let count = i64::try_from(ends.len()).expect("few");
    let answers = (0..).zip(ends).map(|(n, end)| Answer { at: ago(seconds + count - 1 - n), end: *end }).collect();
    Observation { answers, ..quiet() }
}

#[derive(Debug, PartialEq, Eq)]
enum Thought {
    Wrong,
    Well,
    Unclear,
}

fn judged(seen: &Observation, condition: Condition, raised: &[Condition]) -> Thought {
    let verdicts = judge(seen, &settings(), &raised.iter().copied().collect());
    assert_eq!(verdicts.iter().map(|(of, _)| *of).collect::<Vec<_>>(), Condition::ALL, "each is judged once");
    match verdicts.into_iter().find(|(of, _)| *of == condition).expect("judged").1 {
        Wrong { .. } => Thought::Wrong,
        Well => Thought::Well,
        Unclear => Thought::Unclear,
    }
}

#[test]
fn on_a_quiet_day_everything_is_well() {
    for condition in Condition::ALL {
        assert_eq!(judged(&quiet(), condition, &[]), Thought::Well, "{condition:?}");
    }
}

#[test]
fn each_condition_begins_and_ends_at_its_limits_and_stays_between_them() {
    use Condition as C;
    use End::{Answered as A, KeyRefused as K, ModelFailed as F, NoCredit as N};
    let refused = || Block::Refused { errcode: 40001, remedy: None };
    let works = |seconds| Observation { wecom: Wecom::Works { since: ago(seconds) }, ..quiet() };
    let inbox = |seconds| Observation { inbox_waiting_since: Some(ago(seconds)), ..quiet() };
    let outbox = |seconds| Observation { outbox_waiting_since: Some(ago(seconds)), ..quiet() };
    let disk = |mib: u64| Observation { disk_free: Some(mib * MIB), ..quiet() };
    let size = |used: u64| Observation { size: Some(Size { used: used * MIB, limit: 1000 * MIB }), ..quiet() };
    let failing = |seconds| Observation {
        database: Database::Failing { since: ago(seconds), error: "full".to_owned() },
        ..quiet()
    };
    let writable = |seconds| Observation { database: Database::Writable { since: ago(seconds) }, ..quiet() };
    let run = |crashed, seconds| Observation { crashed, started_at: ago(seconds), ..quiet() };
    let hits = SafetyHits { count: 2, newest_at: ago(60) };
    let certificate = |days: i64, left: i64| Certificate {
        begins_at: ago((days - left) * 86_400),
        ends_at: ago(-left * 86_400),
        renews_itself: true,
    };
    let letters = DeadLetters { count: 2, newest_at: ago(60) };
    let many = |failed: usize, of: usize| {
        // Scattered, so that it is a share and not a row.
        let end = |n: usize| if n % 2 == 1 && n / 2 < failed { F } else { A };
        answered(&(0..of).map(end).collect::<Vec<_>>())
    };
    for (seen, condition, expected) in [
        (blocked(0, refused()), C::WecomRefused, Thought::Wrong),
        (blocked(900, Block::Unreachable), C::WecomRefused, Thought::Unclear),
        (works(59), C::WecomRefused, Thought::Unclear),
        (works(60), C::WecomRefused, Thought::Well),
        (blocked(0, Block::Address(None)), C::WecomAddress, Thought::Wrong),
        (works(59), C::WecomAddress, Thought::Unclear),
        (blocked(119, Block::Unreachable), C::WecomUnreachable, Thought::Unclear),
        (blocked(120, Block::Unreachable), C::WecomUnreachable, Thought::Wrong),
        (blocked(299, Block::SlowDown), C::WecomSlowDown, Thought::Unclear),
        (blocked(300, Block::SlowDown), C::WecomSlowDown, Thought::Wrong),
        // The model: one refused key is enough, one failure is not, and no news changes nothing.
        (answered(&[A, K]), C::ModelKey, Thought::Wrong),
        (answered(&[K, A]), C::ModelKey, Thought::Unclear),
        (answered_until(299, &[K, A]), C::ModelKey, Thought::Well),
        (answered_until(900, &[K, F]), C::ModelKey, Thought::Unclear),
        (answered(&[]), C::ModelKey, Thought::Unclear),
        (answered(&[N]), C::ModelCredit, Thought::Wrong),
        (answered(&[End::Misconfigured]), C::ModelSettings, Thought::Wrong),
        (answered(&[F]), C::ModelFailing, Thought::Unclear),
        (answered(&[A, F, F]), C::ModelFailing, Thought::Unclear),
        (answered(&[A, F, F, F]), C::ModelFailing, Thought::Wrong),
        (answered(&[F, F, F, A]), C::ModelFailing, Thought::Unclear),
        (answered_until(299, &[F, F, F, A]), C::ModelFailing, Thought::Well),
        // The share: of at least ten, and well from three quarters of the limit on.
        (many(4, 9), C::AnswersFailing, Thought::Unclear),
        (many(3, 10), C::AnswersFailing, Thought::Wrong),
        (many(5, 20), C::AnswersFailing, Thought::Unclear),
        (many(4, 20), C::AnswersFailing, Thought::Well),
        (answered(&[]), C::AnswersFailing, Thought::Unclear),
        (answered(&[F]), C::AnswersFailing, Thought::Unclear),
        (inbox(300), C::InboxWaiting, Thought::Unclear),
        (inbox(301), C::InboxWaiting, Thought::Wrong),
        (inbox(150), C::InboxWaiting, Thought::Well),
        (outbox(301), C::OutboxWaiting, Thought::Wrong),
        (outbox(200), C::OutboxWaiting, Thought::Unclear),
        (outbox(150), C::OutboxWaiting, Thought::Well),
        (disk(511), C::DiskSpace, Thought::Wrong),
        (disk(639), C::DiskSpace, Thought::Unclear),
        (disk(640), C::DiskSpace, Thought::Well),
        (Observation { disk_free: None, ..quiet() }, C::DiskSpace, Thought::Unclear),
        (size(900), C::DatabaseSize, Thought::Wrong),
        (size(850), C::DatabaseSize, Thought::Unclear),
        (size(849), C::DatabaseSize, Thought::Well),
        (failing(9), C::DatabaseUnwritable, Thought::Unclear),
        (failing(10), C::DatabaseUnwritable, Thought::Wrong),
        (writable(59), C::DatabaseUnwritable, Thought::Unclear),
        (writable(60), C::DatabaseUnwritable, Thought::Well),
        (Observation { certificate: Some(certificate(90, 15)), ..quiet() }, C::CertificateEnding, Thought::Well),
        (Observation { certificate: Some(certificate(90, 13)), ..quiet() }, C::CertificateEnding, Thought::Wrong),
        (Observation { certificate: Some(certificate(90, -1)), ..quiet() }, C::CertificateEnding, Thought::Wrong),
        // One for six days is renewed when two are left.
        (Observation { certificate: Some(certificate(6, 3)), ..quiet() }, C::CertificateEnding, Thought::Well),
        (Observation { certificate: Some(certificate(6, 1)), ..quiet() }, C::CertificateEnding, Thought::Wrong),
        (Observation { safety: Some(hits), ..quiet() }, C::SafetyRules, Thought::Wrong),
        (Observation { dead_letters: Some(letters), ..quiet() }, C::DeadLetters, Thought::Wrong),
        (run(true, 0), C::Crashed, Thought::Wrong),
        (run(true, 600), C::Crashed, Thought::Well),
        (run(false, 0), C::Crashed, Thought::Unclear),
        (run(false, 600), C::Crashed, Thought::Well),
    ] {
        assert_eq!(judged(&seen, condition, &[]), expected, "{condition:?}: {seen:?}");
    }
}

#[test]
fn what_explains_another_keeps_it_quiet() {
    // Everything waits because the address is refused: that is one alert.
    let held = Observation { outbox_waiting_since: Some(ago(3600)), ..blocked(3600, Block::Address(None)) };
    assert_eq!(judged(&held, Condition::OutboxWaiting, &[]), Thought::Unclear);

    // The model fails again and again: that is one alert, before, while and after it is raised.
    let failures = answered(&[End::ModelFailed; 20]);
    assert_eq!(judged(&failures, Condition::ModelFailing, &[]), Thought::Wrong);
    assert_eq!(judged(&failures, Condition::AnswersFailing, &[]), Thought::Unclear);
    let mut over = [End::ModelFailed; 20].to_vec();
    over.extend([End::Answered; 3]);
    let over = answered_until(400, &over);
    assert_eq!(judged(&over, Condition::AnswersFailing, &[Condition::ModelFailing]), Thought::Unclear);
    assert_eq!(judged(&over, Condition::AnswersFailing, &[]), Thought::Well);

    // A gateway that refuses every second key is an alert about the key, not about answers.
    let keys = answered(&[[End::Answered, End::KeyRefused]; 10].concat());
    assert_eq!(judged(&keys, Condition::ModelKey, &[]), Thought::Wrong);
    assert_eq!(judged(&keys, Condition::AnswersFailing, &[]), Thought::Unclear);
}

#[test]
fn the_share_forgets_what_is_old() {
    let scattered = [[End::Answered, End::OtherwiseFailed]; 10].concat();
    assert_eq!(judged(&answered_until(1, &scattered), Condition::AnswersFailing, &[]), Thought::Wrong);
    assert_eq!(judged(&answered_until(1800, &scattered), Condition::AnswersFailing, &[]), Thought::Unclear);
}

#[test]
fn a_key_that_is_set_aside_is_wrong_while_others_answer_and_well_when_it_is_back() {
    let aside = |end| SetAside { since: ago(30), end, upstream: "a".to_owned(), key: 2, model: "m".to_owned() };
    for (end, condition) in [
        (End::KeyRefused, Condition::ModelKey),
        (End::NoCredit, Condition::ModelCredit),
        (End::Misconfigured, Condition::ModelSettings),
    ] {
        let seen = Observation { set_aside: vec![aside(end)], ..answered(&[End::Answered]) };
        assert_eq!(judged(&seen, condition, &[]), Thought::Wrong);
        assert_eq!(judged(&answered(&[End::Answered]), condition, &[condition]), Thought::Well);
        let others = [Condition::ModelKey, Condition::ModelCredit, Condition::ModelSettings];
        for other in others.into_iter().filter(|other| *other != condition) {
            assert_eq!(judged(&seen, other, &[]), Thought::Well, "{other:?}");
        }
    }
}
