//! What the office bills: its templates, its subscriptions, and the invoices of the months behind.

use super::customers::Known;
use super::dice::Dice;
use super::moment;
use super::{Year, pass_a_minute};
use crate::failure::Failure;
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use opiekun_domain::billing::{LineBasis, LineOverride, LineVat, TemplateLine};
use opiekun_domain::calendar_day::{day_bounds, shift_to_working_day};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Quantity;
use opiekun_domain::ids::{InvoiceTemplateId, NumberSeriesId};
use opiekun_domain::invoice::{InvoiceKind, PaymentMethod, PriceMode};
use opiekun_domain::invoice_email::SubscriptionEmails;
use opiekun_domain::invoice_run::{RunMode, RunStatus};
use opiekun_domain::language::Language;
use opiekun_domain::numbering::Reset;
use opiekun_domain::plan::{Progress, next_planned};
use opiekun_domain::schedule::{BillingTiming, Every, IssueDayShift, Schedule, ScheduleDay, ScheduleRule, Unit};
use opiekun_domain::subscription::CatchUp;
use opiekun_domain::vat::VatCode;
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_persistence::invoice_runs::{self, InvoiceRunFields};
use opiekun_persistence::invoice_templates::InvoiceTemplateFields;
use opiekun_persistence::number_series::NumberSeriesFields;
use opiekun_persistence::subscriptions::{Position, SubscriptionFields};
use opiekun_persistence::{Db, Json, Scope, StoreError, Tx, invoice_templates, number_series, subscriptions};

/// The hour at which the office works on its invoices.
const AT_WORK: TimeDelta = TimeDelta::hours(10);

struct Templates {
    full: InvoiceTemplateId,
    flat: InvoiceTemplateId,
    payroll: InvoiceTemplateId,
}

/// Series, templates and subscriptions, as they were agreed on before the year began.
pub fn create(tx: &mut Tx<'_>, dice: &mut Dice, year: Year, time_zone: Tz, customers: &[Known]) -> Result<(), Failure> {
    let end = tx.now;
    tx.now = day_bounds(year.first_on, time_zone).0 - AT_WORK;
    let templates = templates(tx)?;
    // Of forty customers thirty-two have one subscription for their books, and six a second for their payroll.
    for (place, customer) in customers.iter().enumerate() {
        if place % 10 < 8 {
            let template = if place % 10 < 3 { templates.full } else { templates.flat };
            subscribe(tx, year, customer, template, rule(place, year), overrides(place, dice))?;
        }
        if place % 20 < 3 {
            subscribe(tx, year, customer, templates.payroll, payroll_rule(place, year), employees(dice))?;
        }
    }
    tx.now = end;
    Ok(())
}

/// Runs the invoices of every month before the current one: twice a month, at its start and on its last day.
///
/// Where it was cut off before, the months that are done come to nothing.
pub fn issue_past_months(db: &Db, scope: Scope, year: Year, time_zone: Tz) -> Result<(), Failure> {
    for index in 0..12 {
        let fifth_on = year.month(index) + Days::new(4);
        let last_on = year.month(index + 1) - Days::new(1);
        for day in [shift_to_working_day(fifth_on, IssueDayShift::After), last_on] {
            issue(db, scope, day, day_bounds(day, time_zone).0 + AT_WORK)?;
        }
    }
    Ok(())
}

fn issue(db: &Db, scope: Scope, day: NaiveDate, now: DateTime<Utc>) -> Result<(), Failure> {
    moment::set(now);
    let fields = InvoiceRunFields {
        mode: RunMode::Issue,
        through_on: day,
        issue_on: day,
        subscription_ids: None,
        template_ids: None,
        customer_ids: None,
    };
    let run = db.transaction(scope, now, |tx| invoice_runs::create(tx, fields))?;
    let run = run_to_end(db, moment::clock, scope, run.id)?;
    match run.progress.status {
        RunStatus::Succeeded => Ok(()),
        status => Err(Failure::new(format_args!("the demo's invoices of {day}: {status}"))),
    }
}

fn templates(tx: &mut Tx<'_>) -> Result<Templates, StoreError> {
    let invoices = series(tx, "Faktury", "FV/{number}/{month}/{year}", Reset::Monthly)?;
    let payroll = series(tx, "Kadry i płace", "KP/{number:3}/{year}", Reset::Yearly)?;
    Ok(Templates {
        full: template(
            tx,
            "Pełna księgowość",
            invoices,
            vec![
                line(
                    "ksiegi",
                    "Prowadzenie ksiąg rachunkowych za {{period.month_name}} {{period.year}}",
                    "usł.",
                    "1250.00",
                ),
                line("deklaracje", "Deklaracje i JPK za {{period.month_name}} {{period.year}}", "usł.", "200.00"),
            ],
        )?,
        flat: template(
            tx,
            "Księgowość: ryczałt i KPiR",
            invoices,
            vec![line(
                "ewidencja",
                "Usługi księgowe za okres {{period.start_on}} – {{period.last_on}}",
                "usł.",
                "390.00",
            )],
        )?,
        payroll: template(
            tx,
            "Kadry i płace",
            payroll,
            vec![line(
                "pracownicy",
                "Obsługa kadrowo-płacowa za {{period.month_name}} {{period.year}}, pracownicy",
                "os.",
                "55.00",
            )],
        )?,
    })
}

fn series(tx: &mut Tx<'_>, name: &str, pattern: &str, reset: Reset) -> Result<NumberSeriesId, StoreError> {
    pass_a_minute(tx);
    let fields =
        NumberSeriesFields { name: name.to_owned(), kind: InvoiceKind::Invoice, pattern: pattern.to_owned(), reset };
    Ok(number_series::create(tx, fields)?.id)
}

fn template(
    tx: &mut Tx<'_>,
    name: &str,
    series_id: NumberSeriesId,
    lines: Vec<TemplateLine>,
) -> Result<InvoiceTemplateId, StoreError> {
    pass_a_minute(tx);
    let fields = InvoiceTemplateFields {
        name: name.to_owned(),
        series_id,
        currency: Currency::PLN,
        price_mode: PriceMode::Net,
        lines: Json(lines),
        payment_days: 14,
        payment_method: PaymentMethod::Transfer,
        bank_account: None,
        notes: Some("Dziękujemy za współpracę.".to_owned()),
        language: Language::Polish,
        layout_id: None,
    };
    Ok(invoice_templates::create(tx, fields)?.id)
}

fn line(key: &str, text: &str, unit: &str, unit_price: &str) -> TemplateLine {
    TemplateLine {
        key: key.to_owned(),
        basis: LineBasis::Fixed { quantity: Quantity::ONE, unit_price: unit_price.parse().unwrap_or_default() },
        text: text.to_owned(),
        unit: unit.to_owned(),
        discount_percent: None,
        vat: LineVat { code: VatCode::Percent23, exemption_basis: None },
        pkwiu: Some("69.20.2".to_owned()),
        gtu: None,
        annex_15: false,
    }
}

fn subscribe(
    tx: &mut Tx<'_>,
    year: Year,
    customer: &Known,
    template_id: InvoiceTemplateId,
    rule: ScheduleRule,
    line_overrides: Vec<LineOverride>,
) -> Result<(), Failure> {
    pass_a_minute(tx);
    let starts_on = rule.anchor_on;
    let schedule = Schedule::new(rule).map_err(Failure::new)?;
    // One in twenty left in the course of the year.
    let ends_on = (starts_on == year.month(1)).then(|| year.month(9));
    let progress = Progress { starts_on, ends_on, prorates: false, next_index: 0 };
    let fields = SubscriptionFields {
        template_id,
        customer_id: customer.id,
        schedule: (&schedule).into(),
        starts_on,
        ends_on,
        line_overrides: Json(line_overrides),
        catch_up: CatchUp::All,
        prorate: false,
        email_invoices: SubscriptionEmails::AsOrganization,
    };
    subscriptions::create(tx, fields, Position::new(0, next_planned(&schedule, progress)))?;
    Ok(())
}

/// Monthly in advance, as most are.
const fn monthly(anchor_on: NaiveDate) -> ScheduleRule {
    ScheduleRule {
        every: Every { unit: Unit::Month, count: 1 },
        anchor_on,
        day: None,
        billing: BillingTiming::InAdvance,
        issue_offset_days: 0,
        issue_day_shift: IssueDayShift::None,
    }
}

/// The schedule of a customer's books.
fn rule(place: usize, year: Year) -> ScheduleRule {
    let usual = monthly(year.first_on);
    match place % 20 {
        // By the end of the month, and before it where that is no working day.
        2 => ScheduleRule {
            billing: BillingTiming::InArrears,
            issue_offset_days: -1,
            issue_day_shift: IssueDayShift::Before,
            ..usual
        },
        4 => ScheduleRule { day: Some(ScheduleDay::LastDay), ..usual },
        5 => ScheduleRule { day: Some(ScheduleDay::OnDay(31)), ..usual },
        6 => ScheduleRule { day: Some(ScheduleDay::OnDay(10)), issue_day_shift: IssueDayShift::After, ..usual },
        // Quarters of the calendar, when they are over, on a working day.
        7 | 13 => ScheduleRule {
            every: Every { unit: Unit::Quarter, count: 1 },
            anchor_on: quarter_start(year.first_on),
            billing: BillingTiming::InArrears,
            issue_day_shift: IssueDayShift::After,
            ..usual
        },
        14 => monthly(year.month(1)),
        15 => monthly(year.month(5)),
        17 if place < 20 => ScheduleRule { every: Every { unit: Unit::Year, count: 1 }, ..monthly(year.month(2)) },
        _ => usual,
    }
}

/// Wages are paid on the tenth; the invoice follows.
fn payroll_rule(place: usize, year: Year) -> ScheduleRule {
    let starts_on = if place % 20 == 1 { year.month(3) } else { year.first_on };
    ScheduleRule {
        billing: BillingTiming::InArrears,
        issue_offset_days: 9,
        issue_day_shift: IssueDayShift::After,
        ..monthly(starts_on)
    }
}

fn quarter_start(day: NaiveDate) -> NaiveDate {
    let month = day.month0() / 3 * 3 + 1;
    NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
}

/// Some have a price of their own, some a discount.
fn overrides(place: usize, dice: &mut Dice) -> Vec<LineOverride> {
    let key = if place % 10 < 3 { "ksiegi" } else { "ewidencja" };
    let change = LineOverride { key: key.to_owned(), quantity: None, unit_price: None, discount_percent: None };
    match place % 4 {
        1 => {
            let price = if key == "ksiegi" { 1_400 + 50 * dice.below(20) } else { 300 + 10 * dice.below(40) };
            vec![LineOverride { unit_price: price.to_string().parse().ok(), ..change }]
        }
        3 => vec![LineOverride { discount_percent: "10".parse().ok(), ..change }],
        _ => Vec::new(),
    }
}

fn employees(dice: &mut Dice) -> Vec<LineOverride> {
    let quantity = (3 + dice.below(25)).to_string().parse().ok();
    vec![LineOverride { key: "pracownicy".to_owned(), quantity, unit_price: None, discount_percent: None }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_makes_sense_whatever_the_day_and_something_is_due_on_the_first() {
        for today in ["2024-02-29", "2025-12-31", "2026-01-01", "2026-11-01", "2027-03-15"] {
            let year = Year::before(today.parse().expect(today)).expect(today);
            let first_of_month = year.month(12);
            let mut is_due_on_the_first = false;
            for place in 0..40 {
                for rule in [rule(place, year), payroll_rule(place, year)] {
                    assert!(rule.anchor_on < year.today, "{place} begins in the past");
                    let schedule = Schedule::new(rule).expect("a schedule");
                    is_due_on_the_first |=
                        schedule.periods(0).take(15).any(|it| schedule.issue_on(&it) == first_of_month);
                }
            }
            assert!(is_due_on_the_first, "{today}");
        }
    }
}
