//! One spelling for a closed list of words, shared by JSON, SQL and OpenAPI.

/// Declares an enum whose variants have one spelling everywhere: `vocabulary! { TaskStatus { Open = "open" } }`.
///
/// In SQL it is `text` with a check constraint, so that a new word is a migration and not a change of type.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Text))]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::vocabulary::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::vocabulary::UnknownWord { vocabulary: stringify!($name) }),
                }
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, diesel::pg::Pg>::to_sql(self.as_str(), out)
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                Ok(std::str::from_utf8(bytes.as_bytes())?.parse()?)
            }
        }
    };
}

/// A text that is no word of the vocabulary named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a word of {vocabulary}")]
pub struct UnknownWord {
    pub vocabulary: &'static str,
}

#[cfg(test)]
mod tests {
    use super::UnknownWord;

    vocabulary! {
        /// How far a task has come.
        Example { Open = "open", InProgress = "in_progress" }
    }

    #[test]
    fn a_word_has_one_spelling() {
        for word in Example::ALL {
            assert_eq!(word.as_str().parse(), Ok(*word));
            assert_eq!(word.to_string(), word.as_str());
            let json = serde_json::to_string(word).expect("JSON");
            assert_eq!(json, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<Example>(&json).ok(), Some(*word));
        }
    }

    #[test]
    fn another_word_is_refused() {
        for word in ["", "Open", "OPEN", "inprogress", "open "] {
            assert_eq!(word.parse::<Example>(), Err(UnknownWord { vocabulary: "Example" }));
        }
    }

    #[cfg(feature = "schema")]
    #[test]
    fn the_published_spelling_is_the_same() {
        let schema = serde_json::to_value(<Example as utoipa::PartialSchema>::schema()).expect("JSON");
        assert_eq!(schema["enum"], serde_json::json!(["open", "in_progress"]));
        assert_eq!(schema["description"], "How far a task has come.");
    }
}
