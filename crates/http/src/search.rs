//! One search over records of all kinds: what a search box asks as one types.

use crate::actor::Actor;
use crate::articles;
use crate::listing::{AnyOf, Filters};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::CustomerId;
use opiekun_domain::search::SearchType;
use opiekun_persistence::search::{self, Hit, Search};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(search_everything);
}

const LIMIT_DEFAULT: u16 = 20;

/// What is looked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// What has been typed so far: words, a telephone or tax number, or the number of an invoice.
    #[param(min_length = 1, max_length = 200, example = "umow")]
    q: String,
    /// Only these types, several with commas between. Those that the caller may not read have no hits.
    #[param(value_type = Option<Vec<SearchType>>, min_items = 1, max_items = 20)]
    types: Option<AnyOf<SearchType>>,
    /// Whether archived customers and articles are found, too, and articles that hold no longer.
    include_archived: Option<bool>,
    /// How many hits at most; 20 unless told.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u16>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHits {
    /// The best first, types mixed.
    #[schema(max_items = 50)]
    items: Vec<SearchHit>,
}

/// A record that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHit {
    #[serde(rename = "type")]
    kind: SearchType,
    /// The record's, in the collection of its type: `/customers/{id}`, `/invoices/{id}`.
    id: Uuid,
    /// Its name, subject, title or number.
    #[schema(max_length = 255, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    title: String,
    /// What tells it from others that are called alike: a customer's tax number and city, a person's position, the media
    /// type of a file.
    #[schema(max_length = 255, example = "5260001246, Kraków")]
    subtitle: Option<String>,
    /// The part of its text (notes, description, outcome, body) that has what is looked for, as a piece of HTML: text that
    /// is escaped, and `mark` elements around the words. Null where the text has none of them.
    #[schema(max_length = 8000, example = "Prosi o nową <mark>umowę</mark> najmu.")]
    excerpt: Option<String>,
    /// Whom the record is about; a customer itself. Null for articles and files.
    customer: Option<SearchHitCustomer>,
    /// When an interaction is, a task is due, an invoice was issued, an article was changed; when any other record was
    /// written down.
    at: DateTime<Utc>,
    /// To compare hits of one search by: names and titles count more than texts, the word as typed more than its other
    /// forms and longer words, the new more than the old.
    #[schema(minimum = 1, maximum = 1000, example = 820)]
    score: i32,
}

/// The customer of a hit.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHitCustomer {
    id: CustomerId,
    /// The short name, else the name.
    #[schema(max_length = 240, example = "Złoty Kłos")]
    name: String,
}

impl From<Hit> for SearchHit {
    fn from(hit: Hit) -> Self {
        let Hit { kind, id, title, subtitle, excerpt, customer_id, customer_name, at, score } = hit;
        let customer = customer_id.zip(customer_name).map(|(id, name)| SearchHitCustomer { id, name });
        Self { kind, id, title, subtitle, excerpt, customer, at, score }
    }
}

/// Search everything.
///
/// Customers and people by name, by telephone number in any spelling (with or without +48, spaces, dashes), customers also
/// by tax number and `external_id`; threads, tasks, interactions, opportunities and articles by their titles and texts;
/// files by name; invoices by number, with or without the letters that the numbers of their series begin with. Case and
/// diacritics make no difference.
///
/// A record has to have every word, in whatever form; the last word is taken as the beginning of one, so that a search box
/// may ask with every letter that is typed (two at least). Some of the words may be what the customer of a thread, task,
/// interaction or opportunity is called, or a person there: `Kwiatkowski leasing`. Such hits come last.
///
/// Each type has hits only for callers who may read such records: `crm:read`, `knowledge:read` (articles that are not
/// published with `knowledge:write`), `billing:read`, and for each file whoever may read that. A change is found from its
/// commit on. Of words that are in very many records, of customers with very many, and of very many customers who are
/// called alike, the newest ones are looked at, and of a text its first 1000 different words. To answer a question by an
/// article, use `/articles/search`.
#[utoipa::path(tag = "Search", security(("sign_in" = [])), params(SearchQuery),
    responses((status = 200, body = SearchHits)))]
#[get("/search")]
async fn search_everything(
    state: web::Data<State>,
    actor: Actor,
    query: Filters<SearchQuery>,
) -> Result<Reply, ApiError> {
    let SearchQuery { q, types, include_archived, limit } = query.0;
    let may_read =
        |kind: &SearchType| kind.read_permission().is_none_or(|permission| actor.permissions.contains(permission));
    let wanted = types.map_or_else(|| SearchType::ALL.to_vec(), |types| types.0);
    let search = Search {
        text: q,
        types: wanted.into_iter().filter(may_read).collect(),
        files: actor.reader(),
        articles: articles::reader(&actor),
        include_archived: include_archived.unwrap_or_default(),
        limit: usize::from(limit.unwrap_or(LIMIT_DEFAULT)),
    };
    state
        .snapshot(actor.own_scope(), move |tx| {
            let hits = search::search(tx, &search)?;
            Ok(Reply::ok(&SearchHits { items: hits.into_iter().map(SearchHit::from).collect() }))
        })
        .await
}
