//! The numbers of a batch's invoices.

use super::batch::{BatchError, Result};
use super::lanes::Ticket;
use chrono::NaiveDate;
use opiekun_domain::ids::NumberSeriesId;
use opiekun_domain::invoice_run::RunProblem;
use opiekun_domain::numbering::NumberPattern;
use opiekun_persistence::Tx;
use opiekun_persistence::number_series::{self, NumberSeries};
use std::collections::BTreeMap;

/// Numbers of a batch that are not given to an invoice yet.
pub struct Numbers {
    issue_on: NaiveDate,
    /// Whether they are still to be taken.
    are_foreseen: bool,
    blocks: BTreeMap<NumberSeriesId, Block>,
}

/// Numbers of one series, one behind the other.
struct Block {
    series: NumberSeries,
    pattern: NumberPattern,
    first: i64,
    count: i64,
    given: i64,
}

impl Block {
    fn new(series: NumberSeries, first: i64, count: i64) -> Result<Self, RunProblem> {
        let pattern = NumberPattern::new(&series.fields.pattern, series.fields.reset).map_err(|problem| {
            tracing::error!(series = %series.id, %problem, "a series has a pattern that is none");
            RunProblem::Internal
        })?;
        Ok(Self { series, pattern, first, count, given: 0 })
    }
}

impl Numbers {
    /// Takes `counts` numbers of series, and locks them: it is the batch's turn.
    pub fn take(tx: &mut Tx<'_>, issue_on: NaiveDate, counts: &BTreeMap<NumberSeriesId, i64>) -> Result<Self> {
        let ids: Vec<NumberSeriesId> = counts.keys().copied().collect();
        let mut blocks = BTreeMap::new();
        for series in number_series::lock_all(tx, &ids)? {
            check_date(&series, issue_on)?;
            let count = counts.get(&series.id).copied().unwrap_or_default();
            let key = series.fields.reset.counter_key(issue_on);
            let first = number_series::take(tx, &series, &key, count, issue_on)?;
            blocks.insert(series.id, Block::new(series, first, count)?);
        }
        Ok(Self { issue_on, are_foreseen: false, blocks })
    }

    /// Foresees which numbers [`take`](Self::take) would take, and locks nothing. `None` where it had better be taken.
    pub fn foresee(
        tx: &mut Tx<'_>,
        ticket: &Ticket<'_>,
        issue_on: NaiveDate,
        counts: &BTreeMap<NumberSeriesId, i64>,
    ) -> Result<Option<Self>> {
        let ids: Vec<NumberSeriesId> = counts.keys().copied().collect();
        let all = number_series::find_all(tx, &ids)?;
        let keys: Vec<_> = all.iter().map(|series| (series.id, series.fields.reset.counter_key(issue_on))).collect();
        let first = ticket.foresee(counts, || {
            let counters = number_series::counters(tx, &keys)?;
            Ok(counters.into_iter().map(|((id, _), counter)| (id, counter.next_number)).collect())
        })?;
        let Some(first) = first else { return Ok(None) };
        let mut blocks = BTreeMap::new();
        for series in all {
            let (Some(first), Some(count)) = (first.get(&series.id), counts.get(&series.id)) else { continue };
            blocks.insert(series.id, Block::new(series, *first, *count)?);
        }
        Ok(Some(Self { issue_on, are_foreseen: true, blocks }))
    }

    /// Takes what was foreseen, if anything was, once it is the batch's turn, or finds itself overtaken.
    ///
    /// Nobody who holds a series is waited for: he may wait for a number that this batch has written.
    pub fn confirm(&self, tx: &mut Tx<'_>, ticket: &Ticket<'_>) -> Result<()> {
        if !self.are_foreseen {
            return Ok(());
        }
        tx.check_deferred()?;
        if !ticket.keeps() {
            return Err(BatchError::Overtaken);
        }
        let ids: Vec<NumberSeriesId> = self.blocks.keys().copied().collect();
        let locked = number_series::try_lock_all(tx, &ids)?;
        if locked.len() < ids.len() {
            return Err(BatchError::Overtaken);
        }
        for series in locked {
            check_date(&series, self.issue_on)?;
            let foreseen = self.blocks.get(&series.id).filter(|foreseen| foreseen.series.fields == series.fields);
            let Some(foreseen) = foreseen else { return Err(BatchError::Overtaken) };
            let key = series.fields.reset.counter_key(self.issue_on);
            if number_series::take(tx, &series, &key, foreseen.count, self.issue_on)? != foreseen.first {
                return Err(BatchError::Overtaken);
            }
        }
        Ok(())
    }

    /// The next number of a series, as it stands on the invoice.
    pub fn next(&mut self, series_id: NumberSeriesId) -> Result<String, RunProblem> {
        let block = self.blocks.get_mut(&series_id).ok_or(RunProblem::Internal)?;
        let number = u32::try_from(block.first + block.given).map_err(|_| RunProblem::Internal)?;
        block.given += 1;
        Ok(block.pattern.render(number, self.issue_on))
    }
}

/// The invoices of a series go on in time.
pub fn check_date(series: &NumberSeries, issue_on: NaiveDate) -> Result<(), RunProblem> {
    match series.last_issued_on {
        Some(last) if last > issue_on => Err(RunProblem::IssuedBeforeLast),
        _ => Ok(()),
    }
}
