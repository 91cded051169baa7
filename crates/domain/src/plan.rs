//! The plan of a subscription: which of its periods are due through a day, and what becomes of each.
//!
//! Preview, the automatic run and the run by hand all ask here, so they cannot disagree. The answer depends on the
//! subscription and the day alone, never on the moment: who asks twice is told the same.

use chrono::NaiveDate;

use crate::proration::PartPeriod;
use crate::schedule::{Period, Schedule};
use crate::subscription::CatchUp;

/// How many periods of one subscription are planned at once; a daily one that slept for a year comes in four parts.
pub const PERIODS_MAX: usize = 120;

/// Where a subscription stands: from when until when it runs, and how far it has been billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Periods that start before this day are not the subscription's, unless it prorates.
    pub starts_on: NaiveDate,
    /// The first day on which it no longer runs: a period that starts before it is billed whole, unless the subscription
    /// prorates; one that starts on it or later is not there.
    pub ends_on: Option<NaiveDate>,
    /// Whether the periods that it begins and ends in are billed for the days in which it runs.
    pub prorates: bool,
    /// The first period that nothing has been decided about.
    pub next_index: u32,
}

/// A period and the day on which it is to be invoiced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// The days that are billed. Of a part period those in which the subscription runs, and the issue day counts from
    /// them.
    pub period: Period,
    /// What of the schedule's period they are, where they are not all of it.
    pub part: Option<PartPeriod>,
    pub issue_on: NaiveDate,
}

/// What is to be done for a subscription through a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// To be invoiced, in the order of periods.
    pub bill: Vec<Planned>,
    /// Missed, and by the subscription's rule not billed any more.
    pub skip: Vec<Planned>,
    /// The first period that the plan says nothing about.
    pub next_index: u32,
    /// That period, which is due as well where the cap was reached; `None` where the subscription has run out.
    pub next: Option<Planned>,
}

/// What is known of a period before it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is invoiced or skipped: it is passed over.
    Settled,
    /// It failed before, or somebody asked for it: it is billed once it is due, whatever the catch-up rule.
    Wanted,
}

/// Plans every period that is to be invoiced through a day, at most `cap` of them; a later call goes on from
/// `next_index`. One that nothing is `known` of is judged by [`is_billed`].
pub fn due(
    schedule: &Schedule,
    progress: Progress,
    through_on: NaiveDate,
    catch_up: CatchUp,
    cap: usize,
    known: impl Fn(u32) -> Option<Known>,
) -> Plan {
    let (mut bill, mut skip) = (Vec::new(), Vec::new());
    let (mut next_index, mut next) = next_open(schedule, progress, &known);
    while let Some(planned) = next.filter(|planned| planned.issue_on <= through_on) {
        if bill.len() + skip.len() == cap {
            break;
        }
        let is_wanted = known(planned.period.index) == Some(Known::Wanted);
        if is_wanted || is_billed(schedule, progress, &planned, through_on, catch_up) {
            bill.push(planned)
        } else {
            skip.push(planned)
        }
        let progress = Progress { next_index: planned.period.index.saturating_add(1), ..progress };
        (next_index, next) = next_open(schedule, progress, &known);
    }
    Plan { bill, skip, next_index, next }
}

/// Whether a period that is due through a day, and that nothing is known of, is billed, or else skipped. It is judged by
/// the one after it, so the judgement is the same wherever the cap of [`due`] cuts. It is billed
/// - under [`CatchUp::All`] always;
/// - under [`CatchUp::Latest`] if it is the newest one due;
/// - under [`CatchUp::Skip`] if it is not a full cycle late: the next one is not due, even if the subscription ends
///   before that one.
pub fn is_billed(
    schedule: &Schedule,
    progress: Progress,
    planned: &Planned,
    through_on: NaiveDate,
    catch_up: CatchUp,
) -> bool {
    let successor = planned_at(schedule, progress, planned.period.index.saturating_add(1));
    let successor_is_due = successor.is_some_and(|successor| successor.issue_on <= through_on);
    let has_successor = successor.is_some_and(|successor| progress.has(&successor.period));
    match catch_up {
        CatchUp::All => true,
        CatchUp::Latest => !(successor_is_due && has_successor),
        CatchUp::Skip => !successor_is_due,
    }
}

/// The first period that nothing has been decided about, settled ones passed over, and its index; where the
/// subscription has run out, the index behind its last.
pub fn next_open(
    schedule: &Schedule,
    mut progress: Progress,
    known: impl Fn(u32) -> Option<Known>,
) -> (u32, Option<Planned>) {
    while let Some(planned) = next_planned(schedule, progress) {
        if known(planned.period.index) != Some(Known::Settled) {
            return (planned.period.index, Some(planned));
        }
        progress.next_index = planned.period.index.saturating_add(1);
    }
    (progress.next_index, None)
}

/// The period of the subscription that begins on a day, be it behind it or before it.
pub fn planned_on(schedule: &Schedule, progress: Progress, start_on: NaiveDate) -> Option<Planned> {
    let beginning = Progress { next_index: 0, ..progress };
    let first = next_planned(schedule, beginning)?;
    if first.period.start_on == start_on {
        return Some(first);
    }
    let index = schedule.first_index_from(start_on).ok()?.max(first.period.index);
    planned_at(schedule, progress, index)
        .filter(|planned| planned.period.start_on == start_on && progress.has(&planned.period))
}

/// The periods to be invoiced on the days from `from_on` until before `until_on`, in their order.
pub fn fell_due(schedule: &Schedule, mut progress: Progress, from_on: NaiveDate, until_on: NaiveDate) -> Vec<Planned> {
    let mut fell_due = Vec::new();
    progress.next_index = last_index_before(schedule, progress, from_on);
    while let Some(planned) = next_planned(schedule, progress).filter(|planned| planned.issue_on < until_on) {
        progress.next_index = planned.period.index.saturating_add(1);
        if planned.issue_on >= from_on {
            fell_due.push(planned);
        }
    }
    fell_due
}

/// The last undecided period to be invoiced before a day, or the first one where none is, by its index. Issue days go on
/// with the periods, so it is found by halving, however many there are.
fn last_index_before(schedule: &Schedule, progress: Progress, day: NaiveDate) -> u32 {
    let Some(first) = next_planned(schedule, progress) else { return progress.next_index };
    let is_before = |index| planned_at(schedule, progress, index).is_some_and(|planned| planned.issue_on < day);
    let (mut index, mut stride) = (first.period.index, 1_u32);
    while is_before(index.saturating_add(stride)) {
        index = index.saturating_add(stride);
        stride = stride.saturating_mul(2);
    }
    while stride > 1 {
        stride /= 2;
        if is_before(index.saturating_add(stride)) {
            index = index.saturating_add(stride);
        }
    }
    index
}

/// The first period that nothing has been decided about, due or not; `None` where the subscription has run out.
pub fn next_planned(schedule: &Schedule, progress: Progress) -> Option<Planned> {
    let first_index = schedule.first_index_from(progress.starts_on).ok()?;
    let is_in_the_one_before = progress.prorates
        && first_index > 0
        && schedule.period(first_index).is_ok_and(|first| first.start_on > progress.starts_on);
    let first_index = if is_in_the_one_before { first_index - 1 } else { first_index };
    planned_at(schedule, progress, first_index.max(progress.next_index)).filter(|planned| progress.has(&planned.period))
}

impl Progress {
    fn has(&self, period: &Period) -> bool {
        self.ends_on.is_none_or(|ends_on| period.start_on < ends_on)
    }
}

/// The period of an index, cut to the days in which the subscription runs if it prorates. One behind its end is whole.
fn planned_at(schedule: &Schedule, progress: Progress, index: u32) -> Option<Planned> {
    let whole = schedule.period(index).ok()?;
    let mut period = whole;
    if progress.prorates && progress.has(&whole) {
        period.start_on = whole.start_on.max(progress.starts_on);
        period.end_on = progress.ends_on.map_or(whole.end_on, |ends_on| whole.end_on.min(ends_on));
    }
    let part = PartPeriod::of((whole.start_on, whole.end_on), (period.start_on, period.end_on));
    Some(Planned { period, part, issue_on: schedule.issue_on(&period) })
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{BillingTiming, Every, IssueDayShift, ScheduleRule, Unit, tests::rules};

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn monthly() -> Schedule {
        let rule = ScheduleRule {
            every: Every { unit: Unit::Month, count: 1 },
            anchor_on: day("2026-01-01"),
            day: None,
            billing: BillingTiming::InAdvance,
            issue_offset_days: 0,
            issue_day_shift: IssueDayShift::None,
        };
        Schedule::new(rule).expect("a schedule")
    }

    fn since_january() -> Progress {
        Progress { starts_on: day("2026-01-01"), ends_on: None, prorates: false, next_index: 0 }
    }

    const fn nothing(_: u32) -> Option<Known> {
        None
    }

    fn indexes(planned: &[Planned]) -> Vec<u32> {
        planned.iter().map(|planned| planned.period.index).collect()
    }

    /// The indexes billed, those skipped, and the next one.
    fn outcome(progress: Progress, through_on: &str, catch_up: CatchUp) -> (Vec<u32>, Vec<u32>, u32) {
        let plan = due(&monthly(), progress, day(through_on), catch_up, PERIODS_MAX, nothing);
        (indexes(&plan.bill), indexes(&plan.skip), plan.next_index)
    }

    #[test]
    fn a_period_is_due_from_its_issue_day_on() {
        for catch_up in CatchUp::ALL {
            assert_eq!(outcome(since_january(), "2025-12-31", *catch_up), (vec![], vec![], 0));
            assert_eq!(outcome(since_january(), "2026-01-01", *catch_up), (vec![0], vec![], 1));
            assert_eq!(
                outcome(Progress { next_index: 1, ..since_january() }, "2026-01-31", *catch_up),
                (vec![], vec![], 1)
            );
        }
    }

    #[test]
    fn what_was_missed_is_billed_whole_by_the_newest_or_not() {
        assert_eq!(outcome(since_january(), "2026-04-10", CatchUp::All), (vec![0, 1, 2, 3], vec![], 4));
        assert_eq!(outcome(since_january(), "2026-04-10", CatchUp::Latest), (vec![3], vec![0, 1, 2], 4));
        assert_eq!(outcome(since_january(), "2026-04-10", CatchUp::Skip), (vec![3], vec![0, 1, 2], 4));
    }

    #[test]
    fn only_the_latest_brings_back_an_end_long_past() {
        let ended = Progress { ends_on: Some(day("2026-03-01")), ..since_january() };
        assert_eq!(outcome(ended, "2026-03-31", CatchUp::All), (vec![0, 1], vec![], 2));
        assert_eq!(outcome(ended, "2026-03-31", CatchUp::Latest), (vec![1], vec![0], 2));
        assert_eq!(outcome(ended, "2026-03-31", CatchUp::Skip), (vec![], vec![0, 1], 2));
        assert_eq!(outcome(ended, "2026-02-28", CatchUp::Skip), (vec![1], vec![0], 2));
        assert_eq!(next_planned(&monthly(), Progress { next_index: 2, ..ended }), None);
        // One day into March is March, whole.
        let later = Progress { ends_on: Some(day("2026-03-02")), ..since_january() };
        assert_eq!(outcome(later, "2026-12-31", CatchUp::All), (vec![0, 1, 2], vec![], 3));
    }

    #[test]
    fn a_subscription_begins_with_the_first_whole_period() {
        let progress = Progress { starts_on: day("2026-02-02"), ..since_january() };
        assert_eq!(outcome(progress, "2026-04-01", CatchUp::All), (vec![2, 3], vec![], 4));
        assert_eq!(outcome(progress, "2026-02-28", CatchUp::All), (vec![], vec![], 2));
        let next = next_planned(&monthly(), progress).expect("a period");
        assert_eq!((next.period.index, next.issue_on), (2, day("2026-03-01")));
    }

    #[test]
    fn a_cap_leaves_the_rest_for_the_next_call() {
        let plan = due(&monthly(), since_january(), day("2026-04-10"), CatchUp::Latest, 3, nothing);
        assert_eq!((indexes(&plan.bill), indexes(&plan.skip)), (vec![], vec![0, 1, 2]));
        assert_eq!(plan.next.map(|next| (next.period.index, next.issue_on)), Some((3, day("2026-04-01"))));
        assert_eq!(due(&monthly(), since_january(), day("2026-04-10"), CatchUp::All, 0, nothing).next_index, 0);
    }

    #[test]
    fn what_is_settled_is_passed_over_and_what_is_wanted_is_billed() {
        // January failed or was asked for, February and April are settled.
        let known = |index: u32| match index {
            0 => Some(Known::Wanted),
            1 | 3 => Some(Known::Settled),
            _ => None,
        };
        let plan = |through_on, catch_up, cap| due(&monthly(), since_january(), day(through_on), catch_up, cap, known);
        let skipping = plan("2026-05-10", CatchUp::Skip, PERIODS_MAX);
        assert_eq!((indexes(&skipping.bill), indexes(&skipping.skip), skipping.next_index), (vec![0, 4], vec![2], 5));
        // What is settled takes no place under the cap, and none of what is told to come next.
        let capped = plan("2026-05-10", CatchUp::All, 1);
        assert_eq!((indexes(&capped.bill), capped.next.map(|next| next.period.index)), (vec![0], Some(2)));
        let april = plan("2026-03-31", CatchUp::All, PERIODS_MAX);
        assert_eq!((indexes(&april.bill), april.next.map(|next| next.period.index)), (vec![0, 2], Some(4)));
        // Nor is what is wanted billed ahead of its day.
        assert_eq!(indexes(&plan("2025-12-31", CatchUp::All, PERIODS_MAX).bill), Vec::<u32>::new());
    }

    #[test]
    fn a_period_is_known_by_its_first_day() {
        let progress =
            Progress { starts_on: day("2026-01-11"), ends_on: Some(day("2026-03-15")), prorates: true, next_index: 2 };
        let index = |text| planned_on(&monthly(), progress, day(text)).map(|planned| planned.period.index);
        assert_eq!([index("2026-01-11"), index("2026-02-01"), index("2026-03-01")], [Some(0), Some(1), Some(2)]);
        assert_eq!([index("2026-01-01"), index("2026-02-02"), index("2026-04-01")], [None, None, None]);
        let whole = Progress { prorates: false, ..progress };
        assert_eq!(planned_on(&monthly(), whole, day("2026-01-11")), None);
    }

    #[test]
    fn what_fell_due_lies_between_two_days() {
        let between = |from, until| {
            let ended = Progress { ends_on: Some(day("2026-06-01")), ..since_january() };
            indexes(&fell_due(&monthly(), ended, day(from), day(until)))
        };
        assert_eq!(between("2026-02-01", "2026-04-01"), [1, 2]);
        assert_eq!(between("2026-02-02", "2026-04-02"), [2, 3]);
        assert_eq!(between("2026-05-01", "2027-01-01"), [4]);
        assert_eq!(between("2026-02-02", "2026-02-02"), [0_u32; 0]);
    }

    /// The days that are billed of the periods, in their order.
    fn days_billed(progress: Progress, through_on: &str) -> Vec<String> {
        let plan = due(&monthly(), progress, day(through_on), CatchUp::All, PERIODS_MAX, nothing);
        let days = |planned: &Planned| {
            let Planned { period, part, issue_on } = planned;
            let part = part.map_or(String::new(), |part| format!(" {}/{}", part.used_days(), part.period_days()));
            format!("{} {}{part}, {issue_on}", period.start_on, period.end_on)
        };
        plan.bill.iter().map(days).collect()
    }

    #[test]
    fn first_and_last_period_are_billed_by_their_days() {
        let progress = Progress {
            starts_on: day("2026-01-11"),
            ends_on: Some(day("2026-03-15")),
            prorates: true,
            ..since_january()
        };
        assert_eq!(
            days_billed(progress, "2026-12-31"),
            [
                "2026-01-11 2026-02-01 21/31, 2026-01-11",
                "2026-02-01 2026-03-01, 2026-02-01",
                "2026-03-01 2026-03-15 14/31, 2026-03-01",
            ]
        );
        // Both within one period.
        let short = Progress { ends_on: Some(day("2026-01-21")), ..progress };
        assert_eq!(days_billed(short, "2026-12-31"), ["2026-01-11 2026-01-21 10/31, 2026-01-11"]);
        // From the first day on, until the last: whole.
        let whole = Progress { starts_on: day("2026-01-01"), ends_on: Some(day("2026-02-01")), ..progress };
        assert_eq!(days_billed(whole, "2026-12-31"), ["2026-01-01 2026-02-01, 2026-01-01"]);
        // Before the anchor there is no period.
        let early = Progress { starts_on: day("2025-12-11"), ends_on: Some(day("2026-02-01")), ..progress };
        assert_eq!(days_billed(early, "2026-12-31"), ["2026-01-01 2026-02-01, 2026-01-01"]);
    }

    fn progress_of(
        schedule: &Schedule,
        (starts_after, ends_after): (u64, Option<u64>),
        prorates: bool,
        next_index: u32,
    ) -> Progress {
        let after = |days| schedule.rule().anchor_on.checked_add_days(Days::new(days)).expect("a day");
        Progress { starts_on: after(starts_after), ends_on: ends_after.map(after), prorates, next_index }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_period_due_is_billed_or_skipped_once_and_in_order(
            rule in rules(),
            (starts_after, ends_after, through_after) in (0_u64..800, proptest::option::of(0_u64..2000), 0_u64..2000),
            (next_index, cap) in (0_u32..30, 0_usize..40),
            prorates in proptest::bool::ANY,
            catch_up in proptest::sample::select(CatchUp::ALL),
        ) {
            let schedule = Schedule::new(rule).expect("a schedule");
            let progress = progress_of(&schedule, (starts_after, ends_after), prorates, next_index);
            let through_on = schedule.rule().anchor_on.checked_add_days(Days::new(through_after)).expect("a day");
            let plan = due(&schedule, progress, through_on, catch_up, cap, nothing);

            let mut decided: Vec<_> = plan.bill.iter().chain(&plan.skip).copied().collect();
            decided.sort_by_key(|planned| planned.period.index);
            prop_assert!(decided.len() <= cap);
            prop_assert!(decided.windows(2).all(|pair| pair[0].period.index + 1 == pair[1].period.index));
            for planned in &decided {
                prop_assert!(planned.issue_on <= through_on && planned.period.start_on >= progress.starts_on);
                prop_assert!(progress.ends_on.is_none_or(|ends_on| planned.period.start_on < ends_on));
                prop_assert!(planned.period.index >= next_index && planned.period.index < plan.next_index);
            }
            match catch_up {
                CatchUp::All => prop_assert!(plan.skip.is_empty()),
                CatchUp::Latest | CatchUp::Skip => prop_assert!(plan.bill.len() <= 1),
            }
            if let Some(next) = plan.next {
                prop_assert_eq!(next.period.index, plan.next_index);
                prop_assert!(next.issue_on > through_on || decided.len() == cap);
            }
        }

        #[test]
        fn asking_in_parts_gives_what_asking_at_once_gives(
            rule in rules(),
            (ends_after, through_after) in (proptest::option::of(0_u64..2000), 0_u64..2000),
            cap in 1_usize..20,
            prorates in proptest::bool::ANY,
            catch_up in proptest::sample::select(CatchUp::ALL),
        ) {
            let schedule = Schedule::new(rule).expect("a schedule");
            let mut progress = progress_of(&schedule, (0, ends_after), prorates, 0);
            let through_on = schedule.rule().anchor_on.checked_add_days(Days::new(through_after)).expect("a day");
            let whole = due(&schedule, progress, through_on, catch_up, usize::MAX, nothing);

            let (mut bill, mut skip) = (Vec::new(), Vec::new());
            loop {
                let part = due(&schedule, progress, through_on, catch_up, cap, nothing);
                if part.next_index == progress.next_index {
                    break;
                }
                progress.next_index = part.next_index;
                bill.extend(part.bill);
                skip.extend(part.skip);
            }
            prop_assert_eq!((bill, skip, progress.next_index), (whole.bill, whole.skip, whole.next_index));
        }

        #[test]
        fn what_fell_due_is_every_period_between_two_days(
            rule in rules(),
            (starts_after, ends_after) in (0_u64..800, proptest::option::of(0_u64..2000)),
            (from_after, days) in (0_u64..2000, 0_u64..500),
            next_index in 0_u32..30,
            prorates in proptest::bool::ANY,
            catch_up in proptest::sample::select(CatchUp::ALL),
        ) {
            let schedule = Schedule::new(rule).expect("a schedule");
            let progress = progress_of(&schedule, (starts_after, ends_after), prorates, next_index);
            let after = |days| schedule.rule().anchor_on.checked_add_days(Days::new(days)).expect("a day");
            let (from_on, until_on) = (after(from_after), after(from_after + days));
            let through_on = until_on.pred_opt().expect("a day");
            let all = due(&schedule, progress, through_on, CatchUp::All, usize::MAX, nothing).bill;
            let between: Vec<_> = all.into_iter().filter(|planned| planned.issue_on >= from_on).collect();
            prop_assert_eq!(fell_due(&schedule, progress, from_on, until_on), between.clone());
            // Each is judged alone as it is among all.
            let plan = due(&schedule, progress, through_on, catch_up, usize::MAX, nothing);
            for planned in &between {
                let billed = is_billed(&schedule, progress, planned, through_on, catch_up);
                prop_assert_eq!((plan.bill.contains(planned), plan.skip.contains(planned)), (billed, !billed));
            }
        }

        #[test]
        fn who_prorates_is_billed_for_each_day_once(
            rule in rules(),
            (starts_after, days) in (0_u64..800, 1_u64..1000),
        ) {
            let schedule = Schedule::new(rule).expect("a schedule");
            let progress = progress_of(&schedule, (starts_after, Some(starts_after + days)), true, 0);
            let first_on = schedule.period(0).expect("a period").start_on.max(progress.starts_on);
            let ends_on = progress.ends_on.expect("an end");
            let plan = due(&schedule, progress, day("9999-12-31"), CatchUp::All, usize::MAX, nothing);
            let mut covered_until = first_on;
            for planned in &plan.bill {
                prop_assert_eq!(planned.period.start_on, covered_until);
                prop_assert!(planned.period.end_on > planned.period.start_on);
                covered_until = planned.period.end_on;
            }
            prop_assert_eq!(covered_until, ends_on.max(first_on));
            prop_assert!(plan.bill.windows(2).all(|pair| pair[0].issue_on <= pair[1].issue_on));
            let inner = plan.bill.iter().skip(1).rev().skip(1);
            prop_assert!(inner.into_iter().all(|planned| planned.part.is_none()));
        }
    }
}
