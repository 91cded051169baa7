//! A customer's timeline: everything that happened with it, of whatever kind.

use crate::db::Tx;
use crate::error::Result;
use crate::interactions::{self, Interaction, InteractionFilter, InteractionSort};
use crate::page::{Page, PageRequest};
use opiekun_domain::ids::CustomerId;

/// Something that happened with a customer, or is planned to.
#[derive(Debug, Clone)]
pub enum TimelineEntry {
    Interaction(Interaction),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimelineSort {
    /// The moment that an entry is about.
    #[default]
    At,
}

/// A page of the timeline of a customer.
pub fn of_customer(tx: &mut Tx<'_>, id: CustomerId, page: &PageRequest<TimelineSort>) -> Result<Page<TimelineEntry>> {
    let filter = InteractionFilter { customer_id: Some(id), ..InteractionFilter::default() };
    let TimelineSort::At = page.sort;
    let page = PageRequest {
        sort: InteractionSort::StartedAt,
        descending: page.descending,
        limit: page.limit,
        after: page.after.clone(),
        count: page.count,
    };
    let Page { items, next, total } = interactions::list(tx, &filter, &page)?;
    Ok(Page { items: items.into_iter().map(TimelineEntry::Interaction).collect(), next, total })
}
