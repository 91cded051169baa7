//! Reminders of invoices that are not paid: by steps, so many days after the day of payment.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::automatic_run::DailyRun;
use crate::language::Language;

/// When an organization reminds of invoices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderSchedule {
    /// From 0 to 23, on the organization's clocks.
    pub hour: i16,
    /// Each of another day.
    pub steps: Vec<ReminderStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderStep {
    /// Before the day of payment where it is less than 0.
    pub days_after_due: i16,
    /// Whether the customer's caretaker is given a task, too.
    pub open_task: bool,
    /// Those that are not the organization's texts of reminders.
    pub texts: Vec<StepWords>,
}

/// What a step says in a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepWords {
    pub language: Language,
    pub subject: String,
    pub body: String,
}

/// An invoice that is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpaid {
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// The last step that it was reminded at.
    pub reminded_at: Option<i16>,
}

impl ReminderSchedule {
    /// When it is looked what is to be reminded of, set at a moment.
    pub const fn daily(&self, set_at: DateTime<Utc>) -> DailyRun {
        DailyRun { hour: self.hour, set_at }
    }

    /// The step that an invoice is at today, where it was not reminded at that or a later one: of several whose day has
    /// come, which nobody was there to see, the last. Steps of days before the schedule was set, or the invoice issued, are
    /// none.
    pub fn due(&self, unpaid: Unpaid, set_on: NaiveDate, today: NaiveDate) -> Option<&ReminderStep> {
        let day_of =
            |step: &ReminderStep| unpaid.due_on.checked_add_signed(TimeDelta::days(step.days_after_due.into()));
        let has_come = |step: &&ReminderStep| day_of(step).is_some_and(|day| day <= today);
        let last = self.steps.iter().filter(has_come).max_by_key(|step| step.days_after_due)?;
        let is_new = unpaid.reminded_at.is_none_or(|reminded_at| reminded_at < last.days_after_due);
        let counts = day_of(last).is_some_and(|day| day >= set_on && day > unpaid.issued_on);
        (is_new && counts).then_some(last)
    }

    /// The days of payment, from the first to the last, between which invoices can be at a step today.
    pub fn due_between(&self, set_on: NaiveDate, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let days = self.steps.iter().map(|step| step.days_after_due);
        let (least, most) = (days.clone().min()?, days.max()?);
        let from = set_on.checked_sub_signed(TimeDelta::days(most.into())).unwrap_or(NaiveDate::MIN);
        let through = today.checked_sub_signed(TimeDelta::days(least.into())).unwrap_or(NaiveDate::MAX);
        Some((from, through))
    }

    /// What a step says of its own in a language.
    pub fn words(&self, days_after_due: i16, language: Language) -> Option<&StepWords> {
        let step = self.steps.iter().find(|step| step.days_after_due == days_after_due)?;
        step.texts.iter().find(|text| text.language == language)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn schedule(days: &[i16]) -> ReminderSchedule {
        let step =
            |days_after_due: &i16| ReminderStep { days_after_due: *days_after_due, open_task: false, texts: vec![] };
        ReminderSchedule { hour: 9, steps: days.iter().map(step).collect() }
    }

    fn due(days: &[i16], set_on: &str, today: &str, reminded_at: Option<i16>) -> Option<i16> {
        let unpaid = Unpaid { issued_on: day("2026-03-01"), due_on: day("2026-03-15"), reminded_at };
        schedule(days).due(unpaid, day(set_on), day(today)).map(|step| step.days_after_due)
    }

    #[test]
    fn each_step_comes_on_its_day_and_once() {
        let steps = [10, -3, 3];
        for (today, reminded_at, step) in [
            ("2026-03-11", None, None),
            ("2026-03-12", None, Some(-3)),
            ("2026-03-13", Some(-3), None),
            ("2026-03-18", Some(-3), Some(3)),
            ("2026-03-24", Some(3), None),
            ("2026-03-25", Some(3), Some(10)),
            ("2027-03-25", Some(10), None),
        ] {
            assert_eq!(due(&steps, "2026-01-01", today, reminded_at), step, "{today}");
        }
    }

    #[test]
    fn of_several_that_were_missed_the_last_is_made_up_for() {
        assert_eq!(due(&[-3, 3, 10], "2026-01-01", "2026-04-01", None), Some(10));
        assert_eq!(due(&[-3, 3, 10], "2026-01-01", "2026-03-20", Some(-3)), Some(3));
        // A step that was put before those that have been does not come behind them.
        assert_eq!(due(&[3, 7], "2026-01-01", "2026-03-23", Some(10)), None);
    }

    #[test]
    fn what_lies_before_the_schedule_or_the_invoice_is_not_made_up_for() {
        assert_eq!(due(&[3], "2026-03-18", "2026-03-19", None), Some(3));
        assert_eq!(due(&[3], "2026-03-19", "2026-03-19", None), None);
        assert_eq!(due(&[-14], "2026-01-01", "2026-03-02", None), None);
        assert_eq!(due(&[-13], "2026-01-01", "2026-03-02", None), Some(-13));
    }

    proptest! {
        #[test]
        fn who_is_at_a_step_has_a_day_of_payment_between_the_bounds(
            days in proptest::collection::vec(-60_i16..366, 1..6), due_in in -500_i64..500, set_before in 0_i64..400,
        ) {
            let today = day("2026-06-15");
            let unpaid = Unpaid {
                issued_on: day("2020-01-01"), due_on: today + TimeDelta::days(due_in), reminded_at: None,
            };
            let (set_on, schedule) = (today - TimeDelta::days(set_before), schedule(&days));
            let (from, through) = schedule.due_between(set_on, today).expect("steps");
            if schedule.due(unpaid, set_on, today).is_some() {
                prop_assert!(from <= unpaid.due_on && unpaid.due_on <= through);
            }
        }
    }
}
