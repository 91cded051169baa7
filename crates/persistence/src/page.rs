//! Pages of a list: a keyset over the column that it is sorted by and, last, the id.

use crate::error::{Result, StoreError};
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Where a page ended: the sorted column's value and the id of its last row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub key: Value,
    pub id: Uuid,
}

impl Cursor {
    pub(crate) fn new(key: impl Serialize, id: impl Into<Uuid>) -> Self {
        Self { key: serde_json::to_value(key).unwrap_or(Value::Null), id: id.into() }
    }

    pub(crate) fn key<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.key.clone()).map_err(|_| StoreError::Cursor)
    }
}

/// Which page of a list is asked for. `S` is the list's own choice of sort columns.
#[derive(Debug, Clone)]
pub struct PageRequest<S> {
    pub sort: S,
    pub descending: bool,
    pub limit: u16,
    pub after: Option<Cursor>,
    /// Whether the rows of all pages are to be counted, up to [`COUNT_MAX`].
    pub count: bool,
}

/// A count goes no further than this: past it the number says "many", and costs no more.
pub const COUNT_MAX: i64 = 10_000;

impl<S> PageRequest<S> {
    /// One row more than the page, which tells whether another follows.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Runs `count` with the cap, if a count was asked for.
    pub(crate) fn total(&self, count: impl FnOnce(i64) -> diesel::QueryResult<Vec<i32>>) -> Result<Option<i64>> {
        if !self.count {
            return Ok(None);
        }
        let rows = count(COUNT_MAX)?.len();
        Ok(Some(i64::try_from(rows).unwrap_or(COUNT_MAX)))
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
    pub total: Option<i64>,
}

impl<T> Page<T> {
    /// Cuts what [`PageRequest::fetch`] loaded down to the page.
    pub(crate) fn cut<S>(
        mut items: Vec<T>,
        page: &PageRequest<S>,
        total: Option<i64>,
        cursor: impl Fn(&T) -> Cursor,
    ) -> Self {
        let limit = usize::from(page.limit);
        let next = if items.len() > limit {
            items.truncate(limit);
            items.last().map(cursor)
        } else {
            None
        };
        Self { items, next, total }
    }
}

/// Whether an id is among those that any of some queries find. Each has the order and the limit of the page: as one
/// condition, "any of" would have all that it holds for read and sorted.
pub(crate) struct Among<'a, C> {
    id: C,
    queries: Vec<Box<dyn QueryFragment<Pg> + Send + 'a>>,
}

impl<'a, C> Among<'a, C> {
    pub(crate) const fn new(id: C) -> Self {
        Self { id, queries: Vec::new() }
    }

    pub(crate) fn push(&mut self, query: impl QueryFragment<Pg> + Send + 'a) {
        self.queries.push(Box::new(query));
    }
}

impl<C> Expression for Among<'_, C> {
    type SqlType = Bool;
}

impl<C, GroupBy> ValidGrouping<GroupBy> for Among<'_, C> {
    type IsAggregate = is_aggregate::No;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for Among<'_, C> {}

impl<C> QueryId for Among<'_, C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: QueryFragment<Pg>> QueryFragment<Pg> for Among<'_, C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> diesel::QueryResult<()> {
        self.id.walk_ast(out.reborrow())?;
        // An array is looked up by key, where a planner may also run through the rows in their order to join them.
        out.push_sql(" = any (array(select null::uuid where false");
        for query in &self.queries {
            out.push_sql(" union all (");
            query.walk_ast(out.reborrow())?;
            out.push_sql(")");
        }
        out.push_sql("))");
        Ok(())
    }
}

/// The range of folded texts that start with `prefix`, folded as the column is.
pub(crate) fn prefix_range(prefix: &str) -> (String, String) {
    let from = opiekun_domain::text::fold(prefix);
    let before = format!("{from}\u{10FFFF}");
    (from, before)
}

/// Sorts a boxed query by a column and the id, and starts it behind the page's cursor.
///
/// The bound stands on the column alone as well as on the pair, which is the form that an index
/// `(organization_id, column, id)` serves as one range.
macro_rules! keyset {
    ($query:expr, $page:expr, $column:expr => $key:ty, $id:expr) => {{
        let after = match &$page.after {
            Some(cursor) => Some((cursor.key::<$key>()?, cursor.id)),
            None => None,
        };
        let mut query = $query.limit($page.fetch());
        if $page.descending {
            query = query.order(($column.desc(), $id.desc()));
            if let Some((key, id)) = after {
                query = query.filter($column.le(key.clone()).and($column.lt(key).or($id.lt(id))));
            }
        } else {
            query = query.order(($column.asc(), $id.asc()));
            if let Some((key, id)) = after {
                query = query.filter($column.ge(key.clone()).and($column.gt(key).or($id.gt(id))));
            }
        }
        query
    }};
    ($query:expr, $page:expr, $id:expr) => {{
        let mut query = $query.limit($page.fetch());
        if $page.descending {
            query = query.order($id.desc());
            if let Some(cursor) = &$page.after {
                query = query.filter($id.lt(cursor.id));
            }
        } else {
            query = query.order($id.asc());
            if let Some(cursor) = &$page.after {
                query = query.filter($id.gt(cursor.id));
            }
        }
        query
    }};
}
pub(crate) use keyset;
