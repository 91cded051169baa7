//! Lists: which page of which order, and cursors that lead from one page to the next.

use crate::actor::Actor;
use crate::context::Asked;
use crate::problem::{ApiError, Code};
use crate::state::State;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use opiekun_persistence::{Cursor, PageRequest};
use std::future::{Ready, ready};
use std::marker::PhantomData;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

const LIMIT_DEFAULT: u16 = 50;
const LIMIT_MAX: u16 = 200;

/// The columns that a list can be sorted by, each served by an index.
pub trait Sorting: Copy + Default + PartialEq + 'static {
    /// The word for each in `sort`.
    const WORDS: &'static [(&'static str, Self)];
    /// Whether the default order is from the greatest down.
    const DESCENDING: bool = true;
}

/// A list with one order: by creation, newest first.
impl Sorting for () {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", ())];
}

/// The page that is asked for.
#[derive(Debug)]
pub struct Listing<S> {
    pub page: PageRequest<S>,
}

impl<S: Sorting> FromRequest for Listing<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(listing_of(req))
    }
}

fn listing_of<S: Sorting>(req: &HttpRequest) -> Result<Listing<S>, ApiError> {
    let asked = Asked::of(req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
    let (sort, descending) = match asked.parameter("sort") {
        None => (S::default(), S::DESCENDING),
        Some(word) => {
            let column = word.strip_prefix('-').unwrap_or(word);
            let sort = S::WORDS.iter().find(|(name, _)| *name == column).map(|(_, sort)| *sort);
            (sort.unwrap_or_default(), word.starts_with('-'))
        }
    };
    let limit = asked.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT_DEFAULT);
    let after = asked.parameter("cursor").map(|cursor| Cursors::of(req)?.read(cursor)).transpose()?;
    let count = asked.parameter("count").is_some();
    Ok(Listing { page: PageRequest { sort, descending, limit, after, count } })
}

/// Writes and reads the cursors of one list, for one caller's organization, filter and order.
pub(crate) struct Cursors {
    state: web::Data<State>,
    /// What a cursor is good for: it is signed together with it.
    bound_to: String,
    path: String,
    query: Vec<(String, String)>,
}

impl Cursors {
    pub(crate) fn of(req: &HttpRequest) -> Result<Self, ApiError> {
        let (Some(asked), Some(state)) = (Asked::of(req), req.app_data::<web::Data<State>>()) else {
            return Err(ApiError::internal("a request that passed no gate"));
        };
        let organization = asked.actor.as_ref().map(|actor: &Actor| actor.organization_id.to_string());
        let mut query: Vec<_> = asked.query.iter().filter(|(name, _)| name != "cursor").cloned().collect();
        query.sort();
        // Neither the page's size nor the records' look changes which records come next.
        let filters =
            query.iter().filter(|(name, _)| !matches!(name.as_str(), "limit" | "fields" | "expand" | "count"));
        let filters = serde_urlencoded::to_string(filters.collect::<Vec<_>>()).map_err(ApiError::internal)?;
        let bound_to = format!("{} {} {filters}", organization.unwrap_or_default(), asked.instance);
        Ok(Self { state: state.clone(), bound_to, path: asked.instance.clone(), query })
    }

    pub(crate) fn write(&self, cursor: &Cursor) -> String {
        let payload = serde_json::to_vec(&(&cursor.key, cursor.id)).unwrap_or_default();
        let mut bytes = self.state.keys.sign_cursor(&[self.bound_to.as_bytes(), &payload]).to_vec();
        bytes.extend_from_slice(&payload);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, text: &str) -> Result<Cursor, ApiError> {
        let invalid = || ApiError::new(Code::CursorInvalid);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let (signature, payload) = bytes.split_at_checked(16).ok_or_else(invalid)?;
        if !self.state.keys.is_cursor(&[self.bound_to.as_bytes(), payload], signature) {
            return Err(invalid());
        }
        let (key, id) = serde_json::from_slice(payload).map_err(|_| invalid())?;
        Ok(Cursor { key, id })
    }

    /// A `Link` header to the next page (RFC 8288).
    pub(crate) fn link(&self, cursor: &str) -> String {
        let mut query = self.query.clone();
        query.push(("cursor".to_owned(), cursor.to_owned()));
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        format!("<{}?{query}>; rel=\"next\"", self.path)
    }
}

impl<S: Sorting> IntoParams for Listing<S> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let of_type = |kind: Type| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
        let parameter = |name: &str, description: String, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(schema))
                .build()
        };
        let words: Vec<String> =
            S::WORDS.iter().flat_map(|(word, _)| [(*word).to_owned(), format!("-{word}")]).collect();
        let default =
            S::WORDS.iter().find(|(_, sort)| *sort == S::default()).map(|(word, _)| *word).unwrap_or_default();
        let sign = if S::DESCENDING { "-" } else { "" };
        vec![
            parameter(
                "limit",
                format!("How many records a page holds; {LIMIT_DEFAULT} unless told."),
                of_type(Type::Integer).minimum(Some(1)).maximum(Some(f64::from(LIMIT_MAX))),
            ),
            parameter(
                "cursor",
                "`next_cursor` of the page before, with the same filters and order.".to_owned(),
                of_type(Type::String).min_length(Some(1)).max_length(Some(2000)),
            ),
            parameter(
                "sort",
                format!("The order, `-` for the greatest first; `{sign}{default}` unless told. The id decides ties."),
                of_type(Type::String).enum_values(Some(words)),
            ),
            parameter(
                "count",
                "`exact` adds `total_count`, counted up to 10 000.".to_owned(),
                of_type(Type::String).enum_values(Some(["exact"])),
            ),
        ]
    }
}

/// The items of a comma-separated parameter: any of them will do.
#[derive(Debug, Clone)]
pub struct AnyOf<T>(pub Vec<T>);

impl<'de, T: std::str::FromStr> serde::Deserialize<'de> for AnyOf<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<T: std::str::FromStr> serde::de::Visitor<'_> for Items<T> {
            type Value = AnyOf<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("items with commas between")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AnyOf<T>, E> {
                let items = text.split(',').map(|item| item.parse().map_err(|_| E::custom("not an item")));
                items.collect::<Result<_, _>>().map(AnyOf)
            }
        }
        deserializer.deserialize_str(Items(PhantomData))
    }
}

/// The filters of a list, read from the query that the gate has checked.
#[derive(Debug)]
pub struct Filters<T>(pub T);

impl<T: serde::de::DeserializeOwned + 'static> FromRequest for Filters<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let asked = Asked::of(req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
            let query = serde_urlencoded::to_string(&asked.query).map_err(ApiError::internal)?;
            serde_urlencoded::from_str(&query)
                .map(Self)
                .map_err(|_| ApiError::new(Code::ParameterInvalid).detail("A filter's value is not one that exists"))
        };
        ready(read())
    }
}

/// The id in the path of a single record.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: std::str::FromStr + 'static> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = Asked::of(req)
            .and_then(|asked| asked.path_values.iter().find(|(name, _)| name == "id").map(|(_, id)| id.clone()))
            .and_then(|id| id.parse().ok());
        ready(id.map(Self).ok_or_else(|| ApiError::new(Code::NotFound)))
    }
}
