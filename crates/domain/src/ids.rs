//! Identities: UUIDv7 (RFC 9562, section 5.7), one type a kind of record, so that none is taken for another.

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

/// A UUIDv7 that sorts by `now`, in milliseconds, and is random after that.
pub fn uuid_at(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

/// The least UUIDv7 of the millisecond of `moment`: everything made since sorts at or after it.
pub fn uuid_floor(moment: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(moment.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "schema", schema(value_type = String, format = Uuid))]
        #[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Uuid))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identity that sorts by `now`.
            pub fn at(now: DateTime<Utc>) -> Self {
                Self(uuid_at(now))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::serialize::ToSql<diesel::sql_types::Uuid, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Uuid, diesel::pg::Pg>::to_sql(&self.0, out)
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::deserialize::FromSql<diesel::sql_types::Uuid, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                <Uuid as diesel::deserialize::FromSql<diesel::sql_types::Uuid, diesel::pg::Pg>>::from_sql(bytes).map(Self)
            }
        }
    };
}

id! { /// A firm that keeps its data here.
OrganizationId }
id! { /// A user of one organization.
OperatorId }
id! { /// A script's key to the API.
ApiKeyId }
id! { /// One sign-in: the family of refresh tokens that descend from it.
SignInId }
id! { /// A company or person that the firm deals with.
CustomerId }
id! { /// A contact person at a customer.
PersonId }
id! { /// The price of an hour from a day on.
HourlyRateId }
id! { /// One contact with a customer.
InteractionId }
id! { /// The ordered stages that a sale goes through.
PipelineId }
id! { /// A step of a pipeline.
StageId }
id! { /// A sale that may come about.
OpportunityId }
id! { /// One move of an opportunity to a stage.
StageChangeId }
id! { /// Interactions and tasks about one matter.
ThreadId }
id! { /// Work to do, by a date or without one.
TaskId }
id! { /// A task that comes again and again.
TaskSeriesId }
id! { /// Time that somebody spent on a task.
WorkEntryId }
id! { /// A month whose time is settled.
MonthLockId }
id! { /// A sequence of invoice numbers.
NumberSeriesId }
id! { /// How invoices look as PDF.
InvoiceLayoutId }
id! { /// What is billed: lines, terms, texts.
InvoiceTemplateId }
id! { /// New prices of a template from a day on.
PriceChangeId }
id! { /// What a currency was worth on a day.
ExchangeRateId }
id! { /// A template put on a customer with a schedule.
SubscriptionId }
id! { /// A line that a subscription has once, on its next invoice.
ExtraLineId }
id! { /// One period of one subscription.
OccurrenceId }
id! { /// One execution of "issue everything due".
InvoiceRunId }
id! { /// An invoice, draft or issued.
InvoiceId }
id! { /// An invoice on its way to somebody by e-mail.
InvoiceEmailId }
id! { /// Money that came from a customer.
PaymentId }
id! { /// Something uploaded: its name, and what it holds.
FileId }
id! { /// Bytes in the file store.
FileObjectId }
id! { /// One line of an invoice.
InvoiceLineId }
id! { /// A file on a record.
AttachmentId }
id! { /// One record of the audit log.
AuditEntryId }
id! { /// One event of the change feed.
EventId }
id! { /// A calendar as a calendar program subscribes to it.
CalendarFeedId }
id! { /// A place for articles.
ArticleCategoryId }
id! { /// An answer to a question that keeps coming back.
ArticleId }
id! { /// A text that an article had.
ArticleRevisionId }
id! { /// Whether an article helped somebody.
ArticleVoteId }
id! { /// An interaction that an article answered.
ArticleUseId }
id! { /// Words and phrases of one meaning.
SynonymGroupId }
id! { /// Questions to be asked of customers.
SurveyId }
id! { /// One customer's answers to a survey.
SurveyResponseId }
id! { /// A secret address at which a customer answers a survey.
SurveyLinkId }
id! { /// The steps by which a firm serves its customers.
ProcedureId }
id! { /// One execution of a procedure.
ProcedureRunId }
id! { /// A step of a run.
ProcedureStepId }
id! { /// A procedure that is started by itself.
ProcedureScheduleId }

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).expect("a moment")
    }

    proptest! {
        #[test]
        fn ids_sort_by_the_moment_they_were_made_at(first in 0_i64..4_102_444_800_000, later in 1_i64..100_000) {
            let (earlier, later) = (CustomerId::at(moment(first)), CustomerId::at(moment(first + later)));
            prop_assert!(earlier < later);
            prop_assert!(uuid_floor(moment(first)) <= earlier.0 && earlier.0 < uuid_floor(moment(first + 1)));
            prop_assert_eq!(earlier.0.get_version_num(), 7);
        }

        #[test]
        fn an_id_is_read_as_it_is_written(bits in any::<u128>()) {
            let id = InvoiceId(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).expect("JSON");
            prop_assert_eq!(&json, &format!("\"{id}\""));
            prop_assert_eq!(serde_json::from_str::<InvoiceId>(&json).ok(), Some(id));
        }

        #[test]
        fn no_moment_panics(seconds in any::<i64>()) {
            if let Some(moment) = DateTime::from_timestamp(seconds, 0) {
                let _ = (uuid_at(moment), uuid_floor(moment));
            }
        }
    }
}
