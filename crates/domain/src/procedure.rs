//! Procedures: the steps by which a firm serves a customer, who does each, by which day, and what it waits for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::calendar_day::shift_to_working_day;
use crate::ids::{ArticleId, OperatorId, SurveyId};
use crate::schedule::{IssueDayShift, ScheduleDay};
use crate::task::TaskPriority;

vocabulary! {
    /// How far a run has come.
    RunState { Open = "open", Done = "done", Cancelled = "cancelled" }
}

vocabulary! {
    /// How far a step has come: it waits for others, can be done, is done, or is not to be done this time.
    StepState { Waiting = "waiting", Open = "open", Done = "done", Skipped = "skipped" }
}

/// One step of a procedure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Names it among the others.
    pub key: String,
    pub title: String,
    pub instructions: Option<String>,
    pub assignee: Assignee,
    pub due: Option<DueRule>,
    pub priority: TaskPriority,
    /// The keys of the steps that come before it.
    pub waits_for: Vec<String>,
    /// How many files are on it before it is done.
    pub files_required: i16,
    /// What is filled in before it is done.
    pub survey_id: Option<SurveyId>,
    /// What explains it.
    pub article_id: Option<ArticleId>,
}

/// Who does a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assignee {
    /// This operator.
    Named { operator_id: OperatorId },
    /// The customer's caretaker.
    Caretaker,
    /// Whoever starts the run; the customer's caretaker where nobody does.
    Starter,
    /// These operators in turn, run by run.
    RoundRobin { operator_ids: Vec<OperatorId> },
}

/// Who could do a step of a run.
#[derive(Debug, Clone, Copy)]
pub struct Hands {
    pub caretaker_id: Option<OperatorId>,
    pub starter_id: Option<OperatorId>,
    /// The how manieth run of the procedure it is, from 0.
    pub turn: i64,
}

impl Assignee {
    /// Who does the step in a run, of those who are at work: the customer's caretaker where nobody else is, and nobody where
    /// there is none either. In a team whoever is not there is passed over.
    pub fn operator(&self, hands: Hands, works: impl Fn(OperatorId) -> bool) -> Option<OperatorId> {
        let meant = match self {
            Self::Named { operator_id } => Some(*operator_id),
            Self::Caretaker => None,
            Self::Starter => hands.starter_id,
            Self::RoundRobin { operator_ids } => {
                let count = i64::try_from(operator_ids.len()).unwrap_or(i64::MAX).max(1);
                let turn = usize::try_from(hands.turn.rem_euclid(count)).unwrap_or_default();
                let in_turn = operator_ids.iter().cycle().skip(turn).take(operator_ids.len());
                in_turn.copied().find(|id| works(*id))
            }
        };
        meant.into_iter().chain(hands.caretaker_id).find(|id| works(*id))
    }

    /// Who does a step that is opened, of those who are at work: whom the rule means now, which is the customer's present
    /// caretaker or the operator whom it names, and otherwise who was found when the run was started, `planned`. Where that
    /// one is gone it is the customer's present caretaker, too, and nobody where there is none.
    pub fn operator_at_opening(
        &self,
        planned: Option<OperatorId>,
        caretaker_id: Option<OperatorId>,
        works: impl Fn(OperatorId) -> bool,
    ) -> Option<OperatorId> {
        let meant = match self {
            Self::Named { operator_id } => Some(*operator_id),
            Self::Caretaker => None,
            Self::Starter | Self::RoundRobin { .. } => planned,
        };
        meant.into_iter().chain(caretaker_id).find(|id| works(*id))
    }

    /// Everybody whom it names.
    pub fn named(&self) -> &[OperatorId] {
        match self {
            Self::Named { operator_id } => std::slice::from_ref(operator_id),
            Self::RoundRobin { operator_ids } => operator_ids,
            Self::Caretaker | Self::Starter => &[],
        }
    }
}

/// By which day a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DueRule {
    /// So many working days after the day on which the run starts, whether that is one or not; 0 is that day, or the first
    /// working day after it.
    AfterStart { working_days: u16 },
    /// A day of the month in which the period begins, or of a later one, moved to a working day.
    DayOfMonth {
        #[serde(with = "day_as_text")]
        day: ScheduleDay,
        /// 0 is the month in which the period begins, 1 the next.
        month_offset: u8,
        shift: IssueDayShift,
    },
}

mod day_as_text {
    use super::ScheduleDay;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(day: &ScheduleDay, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScheduleDay, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

impl DueRule {
    /// How many working days after the start a step may be due.
    pub const WORKING_DAYS_MAX: u16 = 366;
    /// How many months after the period's a step may be due.
    pub const MONTH_OFFSET_MAX: u8 = 12;

    /// The day by which a step is done in a run that starts on a day, for a period that begins on another. Without a period
    /// the month is the one of the start.
    ///
    /// Where the calendar ends, with the year 9999, it is the day of the start.
    pub fn due_on(self, started_on: NaiveDate, period_start_on: Option<NaiveDate>) -> NaiveDate {
        match self {
            Self::AfterStart { working_days } => {
                if working_days == 0 {
                    return shift_to_working_day(started_on, IssueDayShift::After);
                }
                let mut day = started_on;
                for _ in 0..working_days {
                    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
                    day = shift_to_working_day(next, IssueDayShift::After);
                }
                day
            }
            Self::DayOfMonth { day, month_offset, shift } => {
                let first = period_start_on.unwrap_or(started_on).with_day(1);
                let month = first.and_then(|first| first.checked_add_months(Months::new(month_offset.into())));
                let due_on = month.and_then(|month| day.in_month_of(month)).unwrap_or(started_on);
                let shifted = shift_to_working_day(due_on, shift);
                if shifted.year() > Self::YEAR_MAX { started_on } else { shifted }
            }
        }
    }

    /// The last year that RFC 3339 tells.
    const YEAR_MAX: i32 = 9999;

    /// Whether the day that it gives is always a working one.
    pub const fn keeps_to_working_days(self) -> bool {
        match self {
            Self::AfterStart { .. } => true,
            Self::DayOfMonth { shift, .. } => matches!(shift, IssueDayShift::Before | IssueDayShift::After),
        }
    }
}

/// What is wrong with steps, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProblem {
    /// A JSON Pointer into the list of steps.
    pub pointer: String,
    pub fault: StepFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepFault {
    #[error("another step has this key")]
    KeyRepeated,
    #[error("there is no such step")]
    UnknownStep,
    #[error("the step is named twice")]
    WaitRepeated,
    #[error("the step would wait for itself, by way of those that it waits for")]
    Cycle,
}

impl StepFault {
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyRepeated | Self::WaitRepeated => "duplicate",
            Self::UnknownStep => "unknown_step",
            Self::Cycle => "cycle",
        }
    }
}

/// A step as the graph of what waits for what knows it.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    pub key: &'a str,
    pub waits_for: &'a [String],
}

impl<'a> From<&'a Step> for Node<'a> {
    fn from(step: &'a Step) -> Self {
        Self { key: &step.key, waits_for: &step.waits_for }
    }
}

/// Everything that is wrong with the graph of steps: keys that come twice, waits for steps that there are none of, and
/// each step that waits in a circle. Every other graph can be worked through to its end.
pub fn check(steps: &[Node<'_>]) -> Vec<StepProblem> {
    let mut problems = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        if places.contains_key(step.key) {
            problems.push(StepProblem { pointer: format!("/{index}/key"), fault: StepFault::KeyRepeated });
        } else {
            places.insert(step.key, index);
        }
    }
    for (index, step) in steps.iter().enumerate() {
        let mut named = BTreeSet::new();
        for (place, key) in step.waits_for.iter().enumerate() {
            let fault = if !named.insert(key) {
                StepFault::WaitRepeated
            } else if !places.contains_key(key.as_str()) {
                StepFault::UnknownStep
            } else {
                continue;
            };
            problems.push(StepProblem { pointer: format!("/{index}/waits_for/{place}"), fault });
        }
    }
    if problems.is_empty() {
        // Whoever is left when all are taken away that wait for nobody who is left waits in a circle, or for one who does.
        let mut left: BTreeSet<&str> = places.keys().copied().collect();
        loop {
            let free: Vec<&str> = steps
                .iter()
                .filter(|step| left.contains(step.key))
                .filter(|step| !step.waits_for.iter().any(|key| left.contains(key.as_str())))
                .map(|step| step.key)
                .collect();
            if free.is_empty() {
                break;
            }
            free.iter().for_each(|key| _ = left.remove(key));
        }
        let stuck = steps.iter().enumerate().filter(|(_, step)| left.contains(step.key));
        problems.extend(
            stuck.map(|(index, _)| StepProblem { pointer: format!("/{index}/waits_for"), fault: StepFault::Cycle }),
        );
    }
    problems
}

/// Whether a step can be done: nothing that it waits for is left.
pub fn is_ready(waits_for: &[String], is_closed: impl Fn(&str) -> bool) -> bool {
    waits_for.iter().all(|key| is_closed(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar_day::is_working_day;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn on(day: &str, month_offset: u8, shift: IssueDayShift) -> DueRule {
        DueRule::DayOfMonth { day: day.parse().expect(day), month_offset, shift }
    }

    #[test]
    fn the_days_of_an_accounting_office() {
        // The close of October 2026, started on Monday 2 November.
        let due = |rule: DueRule| rule.due_on(day("2026-11-02"), Some(day("2026-10-01"))).to_string();
        assert_eq!(due(on("20", 1, IssueDayShift::After)), "2026-11-20");
        assert_eq!(due(on("25", 1, IssueDayShift::After)), "2026-11-25");
        assert_eq!(due(DueRule::AfterStart { working_days: 3 }), "2026-11-05");
        // 11 November is a day off.
        assert_eq!(due(DueRule::AfterStart { working_days: 7 }), "2026-11-12");
        // 20 September 2026 is a Sunday.
        let september = |shift| on("20", 1, shift).due_on(day("2026-09-01"), Some(day("2026-08-01"))).to_string();
        assert_eq!(september(IssueDayShift::After), "2026-09-21");
        assert_eq!(september(IssueDayShift::Before), "2026-09-18");
        assert_eq!(september(IssueDayShift::None), "2026-09-20");
        let last = on("last_day", 0, IssueDayShift::None);
        assert_eq!(last.due_on(day("2028-02-03"), None).to_string(), "2028-02-29");
        assert_eq!(DueRule::AfterStart { working_days: 0 }.due_on(day("2026-11-11"), None).to_string(), "2026-11-12");
        // Sunday 1 November and one working day are Monday.
        let after_sunday =
            |working_days| DueRule::AfterStart { working_days }.due_on(day("2026-11-01"), None).to_string();
        assert_eq!([0, 1, 2].map(after_sunday), ["2026-11-02", "2026-11-02", "2026-11-03"]);
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let text = r#"{"kind":"day_of_month","day":"last_day","month_offset":1,"shift":"before"}"#;
        let rule: DueRule = serde_json::from_str(text).expect(text);
        assert_eq!(rule, on("last_day", 1, IssueDayShift::Before));
        assert_eq!(serde_json::to_string(&rule).expect("JSON"), text);
    }

    #[test]
    fn a_team_takes_turns() {
        let team: Vec<OperatorId> = (1..=3).map(|n| OperatorId(Uuid::from_u128(n))).collect();
        let hands = |turn| Hands { caretaker_id: Some(team[0]), starter_id: None, turn };
        let rule = Assignee::RoundRobin { operator_ids: team.clone() };
        let turns: Vec<_> = (0..6).map(|turn| rule.operator(hands(turn), |_| true)).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2].map(|place: usize| Some(team[place])));
        assert_eq!(Assignee::Starter.operator(hands(0), |_| true), Some(team[0]));
        // Whoever is gone is passed over, and the caretaker does what was a gone one's.
        let has_left = |gone: u128| move |id: OperatorId| id != OperatorId(Uuid::from_u128(gone + 1));
        let turns: Vec<_> = (0..3).map(|turn| rule.operator(hands(turn), has_left(1))).collect();
        assert_eq!(turns, [Some(team[0]), Some(team[2]), Some(team[2])]);
        let named = Assignee::Named { operator_id: team[2] };
        assert_eq!(named.operator(hands(0), has_left(2)), Some(team[0]));
        assert_eq!(Assignee::Caretaker.operator(hands(0), has_left(0)), None);
        // At its opening it is the present caretaker's, or whose turn it was.
        let (planned, present) = (Some(team[0]), Some(team[1]));
        let all = |_: OperatorId| true;
        assert_eq!(Assignee::Caretaker.operator_at_opening(planned, present, all), present);
        assert_eq!(named.operator_at_opening(planned, present, all), Some(team[2]));
        assert_eq!(named.operator_at_opening(planned, present, has_left(2)), present);
        assert_eq!(rule.operator_at_opening(planned, present, all), planned);
        assert_eq!(Assignee::Starter.operator_at_opening(planned, present, has_left(0)), present);
        assert_eq!(Assignee::Caretaker.operator_at_opening(planned, present, has_left(1)), None);
    }

    fn graph(edges: &[(&str, &[&str])]) -> Vec<(String, &'static str)> {
        let waits: Vec<Vec<String>> =
            edges.iter().map(|(_, waits)| waits.iter().map(|key| (*key).to_owned()).collect()).collect();
        let nodes: Vec<Node<'_>> =
            edges.iter().zip(&waits).map(|((key, _), waits_for)| Node { key, waits_for }).collect();
        check(&nodes).into_iter().map(|problem| (problem.pointer, problem.fault.code())).collect()
    }

    #[test]
    fn what_is_wrong_with_a_graph_is_told_with_its_place() {
        assert_eq!(graph(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]), []);
        assert_eq!(graph(&[("a", &[]), ("a", &[])]), [("/1/key".to_owned(), "duplicate")]);
        assert_eq!(graph(&[("a", &["b"])]), [("/0/waits_for/0".to_owned(), "unknown_step")]);
        assert_eq!(graph(&[("a", &["a"])]), [("/0/waits_for".to_owned(), "cycle")]);
        let both = [("/0/waits_for".to_owned(), "cycle"), ("/1/waits_for".to_owned(), "cycle")];
        assert_eq!(graph(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), both);
    }

    fn any_rule() -> impl Strategy<Value = DueRule> {
        let day_of_month = prop_oneof![(1..=31_u32).prop_map(ScheduleDay::OnDay), Just(ScheduleDay::LastDay)];
        let shifts = proptest::sample::select(IssueDayShift::ALL.to_vec());
        prop_oneof![
            (0..=40_u16).prop_map(|working_days| DueRule::AfterStart { working_days }),
            (day_of_month, 0..=12_u8, shifts).prop_map(|(day, month_offset, shift)| DueRule::DayOfMonth {
                day,
                month_offset,
                shift
            }),
        ]
    }

    fn any_day() -> impl Strategy<Value = NaiveDate> {
        (0..36_500_u64).prop_map(|days| day("1991-01-01") + Days::new(days))
    }

    proptest! {
        /// A rule that keeps to working days gives no other, and one that counts them passes as many as it says.
        #[test]
        fn no_day_off_is_given_by_a_rule_that_keeps_to_working_days(
            rule in any_rule(), started_on in any_day(), period in proptest::option::of(any_day()),
        ) {
            let due_on = rule.due_on(started_on, period);
            if rule.keeps_to_working_days() {
                prop_assert!(is_working_day(due_on), "{rule:?} {started_on} {period:?} gives {due_on}");
            }
            match rule {
                DueRule::AfterStart { working_days } => {
                    let from = started_on + Days::new(1);
                    let passed = from.iter_days().take_while(|day| *day <= due_on).filter(|day| is_working_day(*day)).count();
                    let is_next = working_days == 0 && !is_working_day(started_on);
                    let expected = usize::from(working_days) + usize::from(is_next);
                    prop_assert_eq!(passed, expected);
                }
                DueRule::DayOfMonth { day, month_offset, shift: IssueDayShift::None } => {
                    let first = period.unwrap_or(started_on).with_day(1).expect("a first");
                    let month = first + Months::new(month_offset.into());
                    prop_assert_eq!((due_on.year(), due_on.month()), (month.year(), month.month()));
                    let wanted = match day { ScheduleDay::OnDay(day) => day, ScheduleDay::LastDay => 31 };
                    prop_assert_eq!(due_on.day(), wanted.min(u32::from(month.num_days_in_month())));
                }
                DueRule::DayOfMonth { .. } => {}
            }
        }

        /// A graph is refused for its circles and only for them: what is taken can be worked through, and in what is
        /// refused there is a step that comes back to itself.
        #[test]
        fn the_graph_takes_no_cycle(waits in proptest::collection::vec(proptest::collection::btree_set(0..8_usize, 0..3), 1..8)) {
            let keys: Vec<String> = (0..waits.len()).map(|place| format!("s{place}")).collect();
            let named: Vec<Vec<String>> = waits
                .iter()
                .map(|waits| waits.iter().filter(|place| **place < keys.len()).map(|place| keys[*place].clone()).collect())
                .collect();
            let nodes: Vec<Node<'_>> =
                keys.iter().zip(&named).map(|(key, waits_for)| Node { key, waits_for }).collect();
            // Whom each reaches, by as many steps as there are.
            let mut reaches: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); keys.len()];
            for _ in 0..keys.len() {
                for (place, waits) in waits.iter().enumerate() {
                    for next in waits.iter().filter(|next| **next < keys.len()) {
                        let further = reaches[*next].clone();
                        reaches[place].insert(*next);
                        reaches[place].extend(further);
                    }
                }
            }
            let has_cycle = reaches.iter().enumerate().any(|(place, reaches)| reaches.contains(&place));
            prop_assert_eq!(!check(&nodes).is_empty(), has_cycle);
            if !has_cycle {
                let mut closed = BTreeSet::new();
                for _ in 0..nodes.len() {
                    let ready = nodes.iter().find(|node| {
                        !closed.contains(node.key) && is_ready(node.waits_for, |key| closed.contains(key))
                    });
                    closed.insert(ready.expect("a step that can be done").key);
                }
                prop_assert_eq!(closed.len(), nodes.len());
            }
        }
    }
}
