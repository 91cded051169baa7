//! What the complete responses to a version of a survey come to: counted by the database, handed over row by row.

use crate::db::Tx;
use crate::error::{Result, StoreError};
use crate::page::{Cursor, Page, PageRequest};
use chrono::{DateTime, Utc};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::decimal::SurveyNumber;
use opiekun_domain::ids::{CustomerId, OperatorId, SurveyId, SurveyResponseId};
use opiekun_domain::survey::Question;

/// Which responses count: complete ones, to one version of a survey.
#[derive(Debug, Clone)]
pub struct Counted {
    pub survey_id: SurveyId,
    pub survey_version: i32,
    /// When they were completed.
    pub from: Option<DateTime<Utc>>,
    pub before: Option<DateTime<Utc>>,
    /// Who asked.
    pub operator_id: Option<OperatorId>,
    /// Of customers that have this tag now.
    pub customer_tag: Option<String>,
}

/// How many responses give one answer to one question.
#[derive(Debug, Clone, QueryableByName)]
pub struct AnswerCount {
    /// The place of the question, from 1.
    #[diesel(sql_type = Integer)]
    pub place: i32,
    /// The answer of a choice, of yes and no, or a day; of a scale or number it is told as one. Neither where all that
    /// have an answer are counted, which comes first of each question.
    #[diesel(sql_type = Nullable<Text>)]
    pub word: Option<String>,
    #[diesel(sql_type = Nullable<Numeric>)]
    pub number: Option<SurveyNumber>,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

/// How many responses give one answer to a question and one to another.
#[derive(Debug, Clone, QueryableByName)]
pub struct PairCount {
    #[diesel(sql_type = Text)]
    pub row_word: String,
    #[diesel(sql_type = Text)]
    pub column_word: String,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

/// An answer in words.
#[derive(Debug, Clone, QueryableByName)]
pub struct TextAnswer {
    #[diesel(sql_type = Uuid)]
    pub response_id: SurveyResponseId,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub customer_id: Option<CustomerId>,
    #[diesel(sql_type = Timestamptz)]
    pub completed_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextAnswerSort {
    #[default]
    CompletedAt,
}

/// The responses that count, by `$1` to `$7`.
const CHOSEN: &str = "
    select r.id, r.customer_id, r.completed_at, r.answers from survey_responses r
    where r.organization_id = $1 and r.survey_id = $2 and r.survey_version = $3 and r.completed_at is not null
        and ($4::timestamptz is null or r.dated_at >= $4) and ($5::timestamptz is null or r.dated_at < $5)
        and ($6::uuid is null or r.operator_id = $6)
        and ($7::text is null or exists (
            select from customer_tags t
            where t.organization_id = $1 and t.tag = $7 and t.customer_id = r.customer_id
        ))";

macro_rules! counted {
    ($sql:expr, $tx:expr, $counted:expr) => {
        diesel::sql_query($sql)
            .bind::<Uuid, _>($tx.organization_id())
            .bind::<Uuid, _>($counted.survey_id)
            .bind::<Integer, _>($counted.survey_version)
            .bind::<Nullable<Timestamptz>, _>($counted.from)
            .bind::<Nullable<Timestamptz>, _>($counted.before)
            .bind::<Nullable<Uuid>, _>($counted.operator_id)
            .bind::<Nullable<Text>, _>($counted.customer_tag.as_deref())
    };
}

/// How many responses count.
pub fn responses(tx: &mut Tx<'_>, counted: &Counted) -> Result<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let sql = format!("select count(*) from ({CHOSEN}) chosen");
    Ok(counted!(sql, tx, counted).get_result::<Row>(tx.conn)?.count)
}

/// Hands over how often each answer was given: the questions in their order, of each first how many have an answer, then
/// the answers from the least to the greatest. Of texts only how many there are.
pub fn answers(
    tx: &mut Tx<'_>,
    counted: &Counted,
    questions: &[Question],
    mut each: impl FnMut(AnswerCount),
) -> Result<()> {
    let keys: Vec<&str> = questions.iter().map(|question| question.key.as_str()).collect();
    let kinds: Vec<&str> = questions.iter().map(|question| question.kind.as_str()).collect();
    let sql = format!(
        "with chosen as materialized ({CHOSEN}),
            questions as (
                select key, kind, place::integer from unnest($8::text[], $9::text[]) with ordinality as q (key, kind, place)
            )
        select * from (
        select q.place, null::text as word, null::numeric as number, count(*) as count
        from chosen c join questions q on jsonb_exists(c.answers, q.key) group by q.place
        union all
        select q.place, answer.word, null, count(*)
        from chosen c join questions q on jsonb_exists(c.answers, q.key)
            and q.kind in ('single_choice', 'multiple_choice', 'yes_no', 'date'),
            lateral ({WORDS}) as answer (word)
        group by q.place, answer.word
        union all
        select q.place, null, (c.answers ->> q.key)::numeric, count(*)
        from chosen c join questions q on jsonb_exists(c.answers, q.key) and q.kind in ('scale', 'number')
        group by q.place, (c.answers ->> q.key)::numeric
        ) counts
        order by place, number nulls first, word collate \"C\" nulls first",
        WORDS = words("q.key"),
    );
    let rows = counted!(sql, tx, counted)
        .bind::<Array<Text>, _>(keys)
        .bind::<Array<Text>, _>(kinds)
        .load_iter::<AnswerCount, PgRowByRowLoadingMode>(tx.conn)?;
    for row in rows {
        each(row?);
    }
    Ok(())
}

/// How often each pair of answers to two questions was given, sorted by both; at most so many.
pub fn pairs(tx: &mut Tx<'_>, counted: &Counted, row: &str, column: &str, most: i64) -> Result<Vec<PairCount>> {
    let sql = format!(
        "select rows.word as row_word, columns.word as column_word, count(*) as count
        from ({CHOSEN}) c, lateral ({}) as rows (word), lateral ({}) as columns (word)
        where jsonb_exists(c.answers, $8) and jsonb_exists(c.answers, $9)
        group by 1, 2 order by 1, 2 limit $10",
        words("$8"),
        words("$9"),
    );
    Ok(counted!(sql, tx, counted).bind::<Text, _>(row).bind::<Text, _>(column).bind::<BigInt, _>(most).load(tx.conn)?)
}

/// A page of the answers in words to a question.
pub fn texts(
    tx: &mut Tx<'_>,
    counted: &Counted,
    key: &str,
    page: &PageRequest<TextAnswerSort>,
) -> Result<Page<TextAnswer>> {
    #[derive(QueryableByName)]
    struct One {
        #[diesel(sql_type = Integer)]
        one: i32,
    }
    let TextAnswerSort::CompletedAt = page.sort;
    let total = page.total(|cap| {
        let sql = format!("select 1 as one from ({CHOSEN}) c where jsonb_exists(c.answers, $8) limit $9");
        let rows: Vec<One> = counted!(sql, tx, counted).bind::<Text, _>(key).bind::<BigInt, _>(cap).load(tx.conn)?;
        Ok(rows.into_iter().map(|row| row.one).collect())
    })?;
    let after = match &page.after {
        Some(cursor) => Some((cursor.key::<DateTime<Utc>>()?, cursor.id)),
        None => None,
    };
    let (order, past) = if page.descending { ("desc", "<") } else { ("asc", ">") };
    let sql = format!(
        "select c.id as response_id, c.customer_id, c.completed_at, c.answers ->> $8 as text from ({CHOSEN}) c
        where jsonb_exists(c.answers, $8)
            and ($9::timestamptz is null or (c.completed_at, c.id) {past} ($9, $10::uuid))
        order by c.completed_at {order}, c.id {order} limit $11"
    );
    let rows: Vec<TextAnswer> = counted!(sql, tx, counted)
        .bind::<Text, _>(key)
        .bind::<Nullable<Timestamptz>, _>(after.map(|(at, _)| at))
        .bind::<Nullable<Uuid>, _>(after.map(|(_, id)| id))
        .bind::<BigInt, _>(page.fetch())
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |answer| Cursor::new(answer.completed_at, answer.response_id)))
}

/// How many complete responses each version of a survey has.
pub fn by_version(tx: &mut Tx<'_>, survey_id: SurveyId) -> Result<Vec<(i32, i64)>> {
    use crate::schema::survey_responses;
    survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::survey_id.eq(survey_id))
        .filter(survey_responses::completed_at.is_not_null())
        .group_by(survey_responses::survey_version)
        .select((survey_responses::survey_version, diesel::dsl::count_star()))
        .load(tx.conn)
        .map_err(StoreError::from)
}

/// The words that answer the question whose key `key` is: each of a list, or the one that there is.
fn words(key: &str) -> String {
    format!(
        "select jsonb_array_elements_text(case jsonb_typeof(c.answers -> {key}) when 'array' then c.answers -> {key}
            else jsonb_build_array(c.answers -> {key}) end)"
    )
}
