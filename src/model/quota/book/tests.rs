use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::quota::window::QuotaWindow::{Day, Hour, Lifetime, Month, Rolling, Week};

/// Noon of a Saturday in Shanghai.
const NOON: Timestamp = Timestamp::from_secs(1_795_233_600);

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").expect("a zone")
}

fn member(name: &str) -> Subject {
    Subject::Member("ww1".to_owned(), name.to_owned())
}

fn company() -> Subject {
    Subject::Company("ww1".to_owned())
}

fn limit(measure: Measure, window: QuotaWindow, amount: u64) -> Limit {
    Limit { measure, window, amount }
}

fn plan(limits: &[Limit]) -> Plan {
    Plan { limits: limits.to_vec(), ..Plan::default() }
}

fn level<'a>(subject: &'a Subject, plan: &'a Plan) -> Level<'a> {
    Level { subject, plan, extra: Amounts::ZERO }
}

fn ask(input: u64, output: u64) -> Ask {
    Ask { requests: 1, input, output, least_output: output.min(10), price: Price::default(), beside: 0 }
}

/// Reserves; what is not known was never used.
fn reserve(book: &mut Book, levels: &[Level<'_>], ask: Ask, now: Timestamp) -> Decision {
    match book.reserve(levels, ask, now) {
        Decision::Unknown(unknown) => {
            for (subject, window) in unknown {
                book.learn(subject, window, [], now);
            }
            book.reserve(levels, ask, now)
        }
        decision => decision,
    }
}

fn held(decision: Decision) -> Hold {
    match decision {
        Decision::Held(hold) => hold,
        other => panic!("{other:?}"),
    }
}

fn exceeded(decision: Decision) -> Exceeded {
    match decision {
        Decision::Exceeded(exceeded) => *exceeded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_level_must_have_room_and_the_one_without_is_named() {
    let mut book = Book::new(zone());
    let (all, one) = (plan(&[limit(Measure::Requests, Day, 3)]), plan(&[limit(Measure::Requests, Hour, 2)]));
    let (company, zhang, li) = (company(), member("zhang"), member("li"));
    let mut asks = |who: &Subject| {
        let decision = reserve(&mut book, &[level(&company, &all), level(who, &one)], ask(1, 1), NOON);
        match decision {
            Decision::Held(hold) => {
                book.settle(hold, Amounts { requests: 1, ..Amounts::ZERO }, NOON);
                None
            }
            other => Some(exceeded(other)),
        }
    };
    assert_eq!([asks(&zhang), asks(&zhang)], [None, None]);
    let own = asks(&zhang).expect("the hour's two are used");
    assert_eq!((&own.subject, own.used, own.allowed), (&zhang, 2, 2));
    assert_eq!(own.resets_at, Some(NOON + Duration::from_secs(3600)));
    assert_eq!(asks(&li), None);
    let of_all = asks(&li).expect("the company's three are used");
    assert_eq!((&of_all.subject, of_all.used), (&company, 3));
    assert_eq!(of_all.resets_at, Some(NOON + Duration::from_secs(12 * 3600)), "midnight in Shanghai, not in London");
}

#[test]
fn what_is_held_is_not_given_twice_and_comes_back() {
    let mut book = Book::new(zone());
    let (zhang, tokens) = (member("zhang"), plan(&[limit(Measure::Tokens, Day, 1000)]));
    let levels = [level(&zhang, &tokens)];
    let first = held(reserve(&mut book, &levels, ask(100, 600), NOON));
    let second = held(reserve(&mut book, &levels, ask(100, 600), NOON));
    assert_eq!((first.output(), second.output()), (600, 200), "the second answer must be shorter");
    let third = exceeded(reserve(&mut book, &levels, ask(100, 600), NOON));
    assert_eq!((third.used, third.held, third.resets_at), (0, 1000, None), "room comes when the others end");
    book.settle(first, Amounts { requests: 1, tokens: 150, money: 0 }, NOON);
    book.release(second);
    assert_eq!(held(reserve(&mut book, &levels, ask(100, 9000), NOON)).output(), 750);
}

#[test]
fn zero_is_a_number_and_money_is_counted_to_the_millionth() {
    let mut book = Book::new(zone());
    let zhang = member("zhang");
    let nothing = plan(&[limit(Measure::Money, Month, 0)]);
    let priced = Ask { price: Price { input: 1, output: 1 }, ..ask(1, 1) };
    let refused = exceeded(reserve(&mut book, &[level(&zhang, &nothing)], priced, NOON));
    assert_eq!((refused.allowed, refused.resets_at), (0, None), "no month brings room");
    let _free = held(reserve(&mut book, &[level(&zhang, &nothing)], ask(1, 1), NOON));

    let mut book = Book::new(zone());
    let yuan = plan(&[limit(Measure::Money, Week, 1_000_000)]);
    let price = Price { input: 2_000_000, output: 8_000_000 };
    let dear = Ask { requests: 1, input: 100_000, output: 500_000, least_output: 100, price, beside: 0 };
    let hold = held(reserve(&mut book, &[level(&zhang, &yuan)], dear, NOON));
    assert_eq!(hold.output(), 100_000, "0.2 for the prompt leaves 0.8 for the answer");
    let extra = Level { extra: Amounts { money: 800_000, ..Amounts::ZERO }, ..level(&zhang, &yuan) };
    let granted = held(reserve(&mut book, &[extra], dear, NOON));
    assert_eq!(granted.output(), 75_000, "what was granted is there at once");
}

#[test]
fn windows_pass_without_anybody_resetting_them() {
    let mut book = Book::new(zone());
    let (zhang, day) = (member("zhang"), plan(&[limit(Measure::Requests, Day, 1)]));
    let levels = [level(&zhang, &day)];
    let one = Amounts { requests: 1, ..Amounts::ZERO };
    let hold = held(reserve(&mut book, &levels, ask(1, 1), NOON));
    book.settle(hold, one, NOON);
    let midnight = NOON + Duration::from_secs(12 * 3600);
    exceeded(reserve(&mut book, &levels, ask(1, 1), midnight - Duration::from_millis(1)));
    // Held before midnight, used after it: it counts for the new day.
    let late = held(reserve(&mut book, &levels, ask(1, 1), midnight));
    book.settle(late, one, midnight + Duration::from_secs(5));
    assert_eq!(book.used(&zhang, Day, midnight), Some(one));
    // The clock is set back: yesterday's use is asked for again and not guessed.
    assert_eq!(book.used(&zhang, Day, NOON), None);
    assert!(matches!(book.reserve(&levels, ask(1, 1), NOON), Decision::Unknown(_)));
}

#[test]
fn a_rolling_window_gives_back_what_it_took_bit_by_bit() {
    let mut book = Book::new(zone());
    let (zhang, rolling) = (member("zhang"), plan(&[limit(Measure::Tokens, Rolling(600), 300)]));
    let levels = [level(&zhang, &rolling)];
    let minutes = |n: u64| NOON + Duration::from_secs(60 * n);
    for minute in 0..3 {
        let hold = held(reserve(&mut book, &levels, ask(50, 50), minutes(minute)));
        book.settle(hold, Amounts { requests: 1, tokens: 100, money: 0 }, minutes(minute));
    }
    let full = exceeded(reserve(&mut book, &levels, Ask { least_output: 100, ..ask(100, 100) }, minutes(5)));
    assert_eq!((full.used, full.resets_at), (300, Some(minutes(11))), "when the first two are ten minutes old");
    let _hold = held(reserve(&mut book, &levels, ask(50, 50), minutes(10)));
}

#[test]
fn a_changed_plan_keeps_what_was_used_and_acts_at_once() {
    let mut book = Book::new(zone());
    let zhang = member("zhang");
    let (small, large) = (plan(&[limit(Measure::Requests, Day, 1)]), plan(&[limit(Measure::Requests, Day, 2)]));
    let one = Amounts { requests: 1, ..Amounts::ZERO };
    for (plan, fits) in [(&small, true), (&small, false), (&large, true), (&small, false)] {
        match reserve(&mut book, &[level(&zhang, plan)], ask(1, 1), NOON) {
            Decision::Held(hold) if fits => drop(book.settle(hold, one, NOON)),
            Decision::Exceeded(_) if !fits => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_so_many_answers_at_once() {
    let mut book = Book::new(zone());
    let (zhang, two) = (member("zhang"), Plan { concurrent: Some(2), ..Plan::default() });
    let levels = [level(&zhang, &two)];
    let first = held(book.reserve(&levels, ask(1, 1), NOON));
    let second = held(book.reserve(&levels, ask(1, 1), NOON));
    let busy = Decision::Busy { subject: zhang.clone(), concurrent: 2 };
    assert_eq!(book.reserve(&levels, ask(1, 1), NOON), busy);
    book.release(first);
    book.release(second);
    assert!(book.accounts.is_empty(), "nothing is kept of who has no limits and asks nothing");
}

/// What can happen to a company of three.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask { member: usize, input: u64, output: u64 },
    Settle { which: usize, share: u64 },
    Release { which: usize },
    Crash,
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u64..40_000).prop_map(Step::Wait),
        6 => (0_usize..3, 0_u64..200, 0_u64..400).prop_map(|(member, input, output)| Step::Ask { member, input, output }),
        4 => (0_usize..8, 0_u64..=100).prop_map(|(which, share)| Step::Settle { which, share }),
        1 => (0_usize..8).prop_map(|which| Step::Release { which }),
        1 => Just(Step::Crash),
        1 => Just(Step::Idle),
    ]
}

/// The same rules, plainly: everything that was ever used, added up each time.
#[derive(Default)]
struct Plainly {
    used: Vec<(Subject, Timestamp, Amounts)>,
    held: Vec<(Vec<Subject>, Amounts)>,
}

impl Plainly {
    fn used(&self, subject: &Subject, window: QuotaWindow, now: Timestamp) -> Amounts {
        let from = window.span(now, &zone()).from;
        let counts = |at: Timestamp| if matches!(window, Rolling(_)) { at > from } else { at >= from };
        let of_subject = self.used.iter().filter(|(counted, at, _)| counted == subject && counts(*at));
        of_subject.fold(Amounts::ZERO, |sum, (_, _, amounts)| sum.plus(*amounts))
    }

    fn held(&self, subject: &Subject) -> Amounts {
        let of_subject = self.held.iter().filter(|(subjects, _)| subjects.contains(subject));
        of_subject.fold(Amounts::ZERO, |sum, (_, amounts)| sum.plus(*amounts))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However calls, crashes and time interleave: no limit is ever exceeded, what calendars decide is what the plain
    /// rules decide, and in the end nothing is held.
    #[test]
    fn nothing_is_exceeded_and_nothing_leaks(steps in proptest::collection::vec(step(), 1..120)) {
        let price = Price { input: 3_000_000, output: 5_000_000 };
        let of_company = plan(&[limit(Measure::Tokens, Month, 40_000), limit(Measure::Requests, Week, 60)]);
        let of_member = plan(&[
            limit(Measure::Tokens, Hour, 900), limit(Measure::Money, Day, 12_000), limit(Measure::Requests, Lifetime, 25),
            limit(Measure::Tokens, Rolling(1800), 800),
        ]);
        let all = company();
        let members = [member("a"), member("b"), member("c")];
        let mut now = NOON;
        let mut book = Book::new(zone());
        let mut plainly = Plainly::default();
        let mut holds: Vec<Hold> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Step::Ask { member, input, output } => {
                    let who = &members[member];
                    let levels = [level(&all, &of_company), level(who, &of_member)];
                    let ask = Ask { price, ..ask(input, output) };
                    let mut decision = book.reserve(&levels, ask, now);
                    if let Decision::Unknown(unknown) = decision {
                        for (subject, window) in unknown {
                            let history = plainly.used.iter().filter(|(counted, at, _)| {
                                *counted == subject && *at >= window.span(now, &zone()).from
                            });
                            book.learn(subject.clone(), window, history.map(|(_, at, used)| (*at, *used)), now);
                        }
                        decision = book.reserve(&levels, ask, now);
                    }
                    let has_room = |exact: bool| levels.iter().all(|level| level.plan.limits.iter().all(|limit| {
                        let rolls = matches!(limit.window, Rolling(_));
                        let used = plainly.used(level.subject, limit.window, now).plus(plainly.held(level.subject));
                        (exact && rolls)
                            || used.plus(ask.amounts(ask.least_output)).get(limit.measure) <= limit.amount
                    }));
                    match decision {
                        Decision::Held(hold) => {
                            prop_assert!(has_room(false), "it was given what was not there");
                            plainly.held.push((hold.subjects.clone(), hold.amounts));
                            holds.push(hold);
                        }
                        Decision::Exceeded(exceeded) => {
                            let rolls = matches!(exceeded.limit.window, Rolling(_));
                            prop_assert!(rolls || !has_room(true), "it was refused what was there: {exceeded:?}");
                        }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                Step::Settle { which, share } if !holds.is_empty() => {
                    let at = which % holds.len();
                    let (hold, (subjects, amounts)) = (holds.remove(at), plainly.held.remove(at));
                    let part = |whole: u64| whole * share / 100;
                    let cost = Amounts { requests: 1, tokens: part(amounts.tokens), money: part(amounts.money) };
                    for subject in book.settle(hold, cost, now) {
                        plainly.used.push((subject, now, cost));
                    }
                    prop_assert_eq!(subjects.len(), 2);
                }
                Step::Release { which } if !holds.is_empty() => {
                    let at = which % holds.len();
                    plainly.held.remove(at);
                    book.release(holds.remove(at));
                }
                Step::Crash => {
                    holds.clear();
                    plainly.held.clear();
                    book = Book::new(zone());
                }
                Step::Idle => book.forget_idle(now - Duration::from_secs(1000)),
                Step::Settle { .. } | Step::Release { .. } => {}
            }
            for (subject, plan) in std::iter::once((&all, &of_company)).chain(members.iter().map(|it| (it, &of_member))) {
                let held = plainly.held(subject);
                for limit in &plan.limits {
                    let used = plainly.used(subject, limit.window, now).plus(held).get(limit.measure);
                    prop_assert!(used <= limit.amount, "{subject}: {used} of {limit:?}");
                }
                let kept = book.accounts.get(subject).map_or(Amounts::ZERO, |account| account.held);
                prop_assert_eq!(kept, held);
            }
        }
        for hold in holds {
            book.release(hold);
        }
        prop_assert!(book.accounts.values().all(|account| account.held == Amounts::ZERO && account.calls == 0));
    }
}
