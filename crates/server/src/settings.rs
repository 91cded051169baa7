//! Settings, all from the environment: one list, which README.md repeats and a test compares.

use opiekun_http::SECRET_BYTES_MIN;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// One setting, as its documentation has it.
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

/// Every setting there is.
pub const ALL: &[Setting] = &[
    Setting {
        name: "DATABASE_URL",
        default: "a private PostgreSQL",
        meaning: "`postgres://user:password@host/database` of PostgreSQL 14 or newer",
    },
    Setting { name: "OPIEKUN_LISTEN", default: "127.0.0.1:8080", meaning: "Address and port to serve on" },
    Setting {
        name: "OPIEKUN_DATA_DIR",
        default: "./.opiekun",
        meaning: "Where the private PostgreSQL and the generated signing secret are kept",
    },
    Setting {
        name: "OPIEKUN_ENV",
        default: "development",
        meaning: "`production` demands `DATABASE_URL` and `OPIEKUN_JWT_SECRET`, and logs JSON",
    },
    Setting {
        name: "OPIEKUN_JWT_SECRET",
        default: "made and kept in the data folder",
        meaning: "At least 32 bytes. Several, separated by commas: the first signs, all are taken",
    },
    Setting { name: "OPIEKUN_LOG", default: "info", meaning: "What is logged: `debug`, `opiekun_http=debug,info`, …" },
    Setting {
        name: "OPIEKUN_CORS_ORIGINS",
        default: "none",
        meaning: "Origins of browsers that may call, separated by commas",
    },
    Setting {
        name: "OPIEKUN_RATE_LIMIT",
        default: "600",
        meaning: "Requests a minute for each operator, key and address",
    },
    Setting {
        name: "OPIEKUN_DATABASE_CONNECTIONS",
        default: "16",
        meaning: "Connections for requests; background work takes 6 more",
    },
    Setting {
        name: "OPIEKUN_PG_BIN",
        default: "looked for",
        meaning: "Folder of `initdb` and `postgres` for the private PostgreSQL",
    },
    Setting {
        name: "OPIEKUN_PG_USER",
        default: "postgres, else nobody",
        meaning: "As root: the account that the private PostgreSQL runs as",
    },
    Setting {
        name: "OPIEKUN_REQUIRE_DATABASE_URL",
        default: "off",
        meaning: "`1`: without `DATABASE_URL` stop instead of starting a private PostgreSQL",
    },
    Setting {
        name: "OPIEKUN_OWNER_PASSWORD",
        default: "made and shown",
        meaning: "The first owner's password, for `opiekun organization create`",
    },
];

/// The settings, read and checked.
pub struct Settings {
    pub database_url: Option<String>,
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub is_production: bool,
    /// Empty: one is made and kept in the data folder.
    pub jwt_secrets: Vec<String>,
    pub log: String,
    pub cors_origins: Vec<String>,
    pub requests_a_minute: NonZeroU32,
    pub database_connections: u32,
    pub pg_bin: Option<PathBuf>,
    pub pg_user: Option<String>,
    pub owner_password: Option<String>,
    /// Names that start like ours and are none: typing errors, most likely.
    pub unknown: Vec<String>,
}

/// A setting that can't be used, said so that the reader can mend it. Values are never repeated: they may be secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct BadSetting {
    pub name: &'static str,
    pub problem: String,
}

impl Settings {
    /// Reads the settings from the environment's variables.
    pub fn read(variables: impl Iterator<Item = (String, String)>) -> Result<Self, BadSetting> {
        let set: BTreeMap<String, String> =
            variables.filter(|(_, value)| !value.trim().is_empty()).map(|(name, value)| (name, value.trim().to_owned())).collect();
        let given = |name: &str| set.get(name).cloned();
        let bad = |name, problem: &str| BadSetting { name, problem: problem.to_owned() };

        let is_production = match given("OPIEKUN_ENV").as_deref() {
            None | Some("development") => false,
            Some("production") => true,
            Some(_) => return Err(bad("OPIEKUN_ENV", "is `development` or `production`")),
        };
        let database_url = given("DATABASE_URL");
        let must_have_url = is_production || is_on(given("OPIEKUN_REQUIRE_DATABASE_URL"), "OPIEKUN_REQUIRE_DATABASE_URL")?;
        if must_have_url && database_url.is_none() {
            return Err(bad("DATABASE_URL", "is not set, and a private PostgreSQL is not to be started here"));
        }
        if let Some(url) = &database_url {
            check_url(url)?;
        }
        let jwt_secrets = list(given("OPIEKUN_JWT_SECRET"));
        if is_production && jwt_secrets.is_empty() {
            return Err(bad("OPIEKUN_JWT_SECRET", "is not set, which production demands"));
        }
        if jwt_secrets.iter().any(|secret| secret.len() < SECRET_BYTES_MIN) {
            return Err(bad("OPIEKUN_JWT_SECRET", &format!("needs at least {SECRET_BYTES_MIN} bytes for each secret")));
        }
        let listen = given("OPIEKUN_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let listen = listen.parse().map_err(|_| bad("OPIEKUN_LISTEN", "is no address with a port, such as 127.0.0.1:8080"))?;
        let requests_a_minute = number(given("OPIEKUN_RATE_LIMIT"), "OPIEKUN_RATE_LIMIT", 600)?;
        let connections = number(given("OPIEKUN_DATABASE_CONNECTIONS"), "OPIEKUN_DATABASE_CONNECTIONS", 16)?;
        let unknown = set
            .keys()
            .filter(|name| name.starts_with("OPIEKUN_") && !name.starts_with("OPIEKUN_TEST_"))
            .filter(|name| !ALL.iter().any(|setting| setting.name == name.as_str()))
            .cloned()
            .collect();
        Ok(Self {
            database_url,
            listen,
            data_dir: given("OPIEKUN_DATA_DIR").map_or_else(|| PathBuf::from(".opiekun"), PathBuf::from),
            is_production,
            jwt_secrets,
            log: given("OPIEKUN_LOG").unwrap_or_else(|| "info".to_owned()),
            cors_origins: list(given("OPIEKUN_CORS_ORIGINS")),
            requests_a_minute,
            database_connections: connections.get().min(1_000),
            pg_bin: given("OPIEKUN_PG_BIN").map(PathBuf::from),
            pg_user: given("OPIEKUN_PG_USER"),
            owner_password: given("OPIEKUN_OWNER_PASSWORD"),
            unknown,
        })
    }
}

/// The library for PostgreSQL is built without TLS, and would say so less clearly.
fn check_url(url: &str) -> Result<(), BadSetting> {
    let bad = |problem: &str| Err(BadSetting { name: "DATABASE_URL", problem: problem.to_owned() });
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return bad("starts with postgres://");
    }
    if ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"].iter().any(|mode| url.contains(mode)) {
        return bad("demands TLS, which this build has not: connect through a private network or a local proxy");
    }
    Ok(())
}

fn list(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn number(value: Option<String>, name: &'static str, default: u32) -> Result<NonZeroU32, BadSetting> {
    let number = value.map_or(Ok(default), |value| value.parse());
    number
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| BadSetting { name, problem: "is a whole number above zero".to_owned() })
}

fn is_on(value: Option<String>, name: &'static str) -> Result<bool, BadSetting> {
    match value.as_deref() {
        None | Some("0" | "off" | "false") => Ok(false),
        Some("1" | "on" | "true") => Ok(true),
        Some(_) => Err(BadSetting { name, problem: "is `1` or `0`".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        read(variables).err().unwrap().to_string()
    }

    const SECRET: &str = "a secret of more than thirty-two bytes";

    #[test]
    fn nothing_needs_to_be_set() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.requests_a_minute.get(), 600);
        assert!(settings.database_url.is_none() && settings.jwt_secrets.is_empty() && !settings.is_production);
    }

    #[test]
    fn production_demands_a_database_and_a_secret() {
        assert!(refused(&[("OPIEKUN_ENV", "production")]).starts_with("DATABASE_URL"));
        let url = ("DATABASE_URL", "postgres://db/opiekun");
        assert!(refused(&[("OPIEKUN_ENV", "production"), url]).starts_with("OPIEKUN_JWT_SECRET"));
        assert!(read(&[("OPIEKUN_ENV", "production"), url, ("OPIEKUN_JWT_SECRET", SECRET)]).unwrap().is_production);
    }

    #[test]
    fn several_secrets_are_taken_and_a_weak_one_is_not() {
        let settings = read(&[("OPIEKUN_JWT_SECRET", &format!("{SECRET}, {SECRET} too"))]).unwrap();
        assert_eq!(settings.jwt_secrets, [SECRET.to_owned(), format!("{SECRET} too")]);
        let message = refused(&[("OPIEKUN_JWT_SECRET", "short")]);
        assert!(message.starts_with("OPIEKUN_JWT_SECRET needs") && !message.contains("short"));
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        for (name, value) in [
            ("OPIEKUN_LISTEN", "everywhere"),
            ("OPIEKUN_RATE_LIMIT", "0"),
            ("OPIEKUN_DATABASE_CONNECTIONS", "many"),
            ("OPIEKUN_ENV", "prod"),
            ("OPIEKUN_REQUIRE_DATABASE_URL", "perhaps"),
            ("DATABASE_URL", "mysql://db/opiekun"),
            ("DATABASE_URL", "postgres://db/opiekun?sslmode=require"),
        ] {
            assert!(refused(&[(name, value)]).starts_with(name), "{name}={value}");
        }
    }

    #[test]
    fn a_misspelt_name_is_noticed() {
        assert_eq!(read(&[("OPIEKUN_LISTN", "127.0.0.1:1")]).unwrap().unknown, ["OPIEKUN_LISTN"]);
    }

    #[test]
    fn the_readme_lists_every_setting() {
        let readme = include_str!("../../../README.md");
        for Setting { name, default, meaning } in ALL {
            let row = format!("| `{name}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "README.md lacks the line\n{row}");
        }
    }
}
