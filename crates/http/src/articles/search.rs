//! Finding the article that answers a question.

use super::{ArticleBody, reader};
use crate::actor::Actor;
use crate::listing::Filters;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::Method;
use actix_web::{HttpRequest, get, web};
use opiekun_domain::ids::ArticleCategoryId;
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_persistence::article_search::{self, ArticleSearch, FoundArticle};
use opiekun_persistence::articles::{Article, ArticleReader};
use opiekun_persistence::{Tx, missed_searches, organizations};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: u16 = 10;
/// Near misses are shown to find out what is meant: a few will do.
const NEAR_MISSES_MAX: usize = 5;

/// What is asked.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleSearchQuery {
    /// The question, as somebody puts it: in any form of its words, with or without diacritics, with a slip here and there.
    #[param(min_length = 1, max_length = 400, example = "fakturami")]
    q: String,
    language: Option<Language>,
    /// In this category, or in one below it.
    category_id: Option<ArticleCategoryId>,
    /// Whether articles that hold no longer are found, too.
    include_expired: Option<bool>,
    /// How many answers at most; 10 unless told.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u16>,
}

/// What may answer a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArticleAnswers {
    /// The best first.
    #[schema(max_items = 50)]
    items: Vec<ArticleAnswer>,
    /// Where nothing answers: articles that have something of the question.
    #[schema(max_items = 5)]
    near_misses: Vec<ArticleAnswer>,
}

/// An article that may answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArticleAnswer {
    article: ArticleBody,
    /// How much of the question it answers: 1000 where every word of it is what the article is about. To compare answers to
    /// one question by.
    #[schema(minimum = 1, maximum = 1000, example = 640)]
    score: i32,
    /// The part of the article in which most of the question is, as a piece of HTML: text that is escaped, and `mark`
    /// elements around the words that were asked for, in whatever form they stand. Nothing of the article's markup is in it.
    #[schema(max_length = 8000, example = "By the 25th of the month that follows the <mark>return</mark> is sent.")]
    excerpt: String,
}

impl ArticleAnswer {
    fn all(tx: &mut Tx<'_>, reader: ArticleReader, found: Vec<FoundArticle>) -> Result<Vec<Self>, ApiError> {
        let rows: Vec<Article> = found.iter().map(|found| found.article.clone()).collect();
        let bodies = ArticleBody::all(tx, reader, rows)?;
        let answers = bodies.into_iter().zip(found);
        Ok(answers.map(|(article, FoundArticle { score, excerpt, .. })| Self { article, score, excerpt }).collect())
    }
}

/// Find the article that answers a question.
///
/// Among the published ones, by their titles, tags and texts. The question is taken as it is spoken: other forms of a word
/// count as the word, diacritics may be missing, slips are corrected, and synonyms (`/synonyms`) count a little less than
/// the word itself. Not all words have to be there; rare ones count more, and greetings, thanks and "I have a question" are
/// not asked for. A question that nothing answers is counted for
/// `/reports/searches-without-result`, without who asked and without what may name somebody; not where a language or
/// a category narrows the choice.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), params(ArticleSearchQuery),
    responses((status = 200, body = ArticleAnswers)))]
#[get("/articles/search")]
pub async fn search_articles(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    query: Filters<ArticleSearchQuery>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    let ArticleSearchQuery { q, language, category_id, include_expired, limit } = query.0;
    let question = q.clone();
    // Where the choice is narrowed, that may be why nothing answers.
    let is_whole = language.is_none() && category_id.is_none();
    let limit = usize::from(limit.unwrap_or(LIMIT_DEFAULT));
    let reader = reader(&actor);
    let answers = state
        .snapshot(scope, move |tx| {
            let valid_on = match include_expired {
                Some(true) => None,
                _ => Some(organizations::today(tx)?),
            };
            let limit_of_both = limit.max(NEAR_MISSES_MAX);
            let search = ArticleSearch { question, language, category_id, valid_on, limit: limit_of_both };
            let found = article_search::search(tx, &search)?;
            // Beside an answer stands what is nearly as good as the best one.
            let best = found.iter().filter(|found| found.answers).map(|found| found.score).max();
            let is_shown = |found: &FoundArticle| found.answers || best.is_some_and(|best| found.score * 2 >= best);
            let (mut answers, mut near): (Vec<_>, Vec<_>) = found.into_iter().partition(is_shown);
            answers.truncate(limit);
            near.truncate(if answers.is_empty() { NEAR_MISSES_MAX } else { 0 });
            Ok(ArticleAnswers {
                items: ArticleAnswer::all(tx, reader, answers)?,
                near_misses: ArticleAnswer::all(tx, reader, near)?,
            })
        })
        .await?;
    if answers.items.is_empty() && is_whole && req.method() != Method::HEAD {
        let scope = actor.scope(Permission::KnowledgeRead)?;
        state
            .transaction(scope, move |tx| {
                let today = organizations::today(tx)?;
                Ok(missed_searches::count(tx, &q, today)?)
            })
            .await?;
    }
    Ok(Reply::ok(&answers))
}
