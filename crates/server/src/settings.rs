//! The settings: environment variables, read once and checked before anything starts.

use crate::failure::Failure;
use opiekun_files::FileStore;
use opiekun_jobs::invoice_emails::SmtpServer;
use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// A setting, as the README lists it.
pub struct Variable {
    pub name: &'static str,
    /// What holds without it.
    pub default: &'static str,
    pub meaning: &'static str,
}

/// Every setting there is.
pub const VARIABLES: [Variable; 18] = [
    Variable {
        name: "DATABASE_URL",
        default: "a private PostgreSQL",
        meaning: "The database, as `postgres://user:password@host/name`; PostgreSQL 14 or newer. This build speaks no TLS: put the database on a private network or socket.",
    },
    Variable {
        name: "OPIEKUN_DATA_DIR",
        default: "`./.opiekun`",
        meaning: "The folder of the private PostgreSQL and of the signing secret.",
    },
    Variable {
        name: "OPIEKUN_FILES",
        default: "`files` in the data folder",
        meaning: "Where uploaded files lie: a folder, or `s3://bucket/prefix?endpoint=https://s3.example.pl&region=eu-central-1` for an S3-compatible service. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the other AWS_… ways), region and endpoint from AWS_REGION and AWS_ENDPOINT_URL where the address does not say them.",
    },
    Variable {
        name: "OPIEKUN_FILE_SIZE_MAX_MB",
        default: "`256`",
        meaning: "The most that one file may have, in mebibytes.",
    },
    Variable { name: "OPIEKUN_LISTEN", default: "`127.0.0.1:8080`", meaning: "The address and port to serve on." },
    Variable {
        name: "OPIEKUN_ENV",
        default: "`development`",
        meaning: "`production` wants DATABASE_URL and OPIEKUN_JWT_SECRET, and refuses the demo.",
    },
    Variable {
        name: "OPIEKUN_JWT_SECRET",
        default: "made, and kept in the data folder",
        meaning: "What tokens are signed with: 32 bytes or more, such as `openssl rand -hex 32` prints. Several with commas between: the first signs, all are accepted.",
    },
    Variable {
        name: "OPIEKUN_LOG",
        default: "`info`",
        meaning: "What is logged, as `tracing` filters say it: `warn`, `info,opiekun_http=debug`. JSON in production, and wherever standard error is no terminal.",
    },
    Variable {
        name: "OPIEKUN_CORS_ORIGINS",
        default: "none",
        meaning: "The origins of browser front ends that may call, with commas between: `https://crm.example.pl`.",
    },
    Variable {
        name: "OPIEKUN_RATE_LIMIT",
        default: "`600`",
        meaning: "How many requests a minute each operator, key and address may make of one node.",
    },
    Variable {
        name: "OPIEKUN_DATABASE_CONNECTIONS",
        default: "`16`",
        meaning: "The most connections that a node opens for requests; its background work takes up to 17 more.",
    },
    Variable {
        name: "OPIEKUN_AUTO_INVOICING",
        default: "`off`",
        meaning: "`on` lets this node begin the daily automatic runs of the organizations that ask for them (`automatic_invoicing` of `/organization`). Without it, let cron call `opiekun invoices run`.",
    },
    Variable {
        name: "OPIEKUN_SMTP_URL",
        default: "none: no e-mails",
        meaning: "The mail server that sends invoices and reminders: `smtps://user:password@smtp.example.pl`, or `smtp://…` with STARTTLS; in the clear only to this machine, or with `?tls=none`. `?from=faktury@example.pl` is the sender of organizations that have no address of their own, unless the user is one. Letters such as `@` in user and password are written as `%40`.",
    },
    Variable {
        name: "OPIEKUN_REQUIRE_DATABASE_URL",
        default: "`0`",
        meaning: "`1` never starts a private PostgreSQL, so that a lost DATABASE_URL is an error and no empty database.",
    },
    Variable {
        name: "OPIEKUN_PG_BIN",
        default: "looked for",
        meaning: "The folder of the programs `initdb` and `postgres` for the private PostgreSQL.",
    },
    Variable {
        name: "OPIEKUN_PG_USER",
        default: "`postgres`, else `nobody`",
        meaning: "As root: the account that runs the private PostgreSQL.",
    },
    Variable {
        name: "OPIEKUN_PG_WAIT",
        default: "`60`",
        meaning: "The most seconds to wait for the private PostgreSQL to start, or to recover after a crash.",
    },
    Variable {
        name: "OPIEKUN_OWNER_PASSWORD",
        default: "made, and printed once",
        meaning: "The password of the owner that `opiekun organization create` makes.",
    },
];

/// The settings, for `opiekun --help`.
pub fn help() -> String {
    VARIABLES.iter().fold("Settings, which are environment variables:".to_owned(), |help, variable| {
        format!("{help}\n\n  {} (default: {})\n    {}", variable.name, variable.default, variable.meaning)
    })
}

/// Names that only tests read.
const OF_TESTS: &str = "OPIEKUN_TEST_";

/// All settings, checked. It holds secrets, and so is never printed.
pub struct Settings {
    /// Without it there is a private PostgreSQL.
    pub database_url: Option<String>,
    pub data_dir: PathBuf,
    pub listen: String,
    pub is_production: bool,
    /// The first signs, all are accepted. None means the ones in the data folder.
    pub jwt_secrets: Vec<String>,
    pub cors_origins: Vec<String>,
    /// Requests a minute.
    pub rate_limit: NonZeroU32,
    pub database_connections: NonZeroU16,
    /// A folder or an address of S3; without it, in the data folder.
    pub files: Option<String>,
    pub file_bytes_max: u64,
    /// Whether this node begins the automatic runs of organizations.
    pub auto_invoicing: bool,
    /// The mail server; it can be read.
    pub smtp_url: Option<String>,
    pub postgres: PostgresSettings,
    pub owner_password: Option<String>,
    log: String,
    unknown: Vec<String>,
}

/// What the private PostgreSQL is told.
pub struct PostgresSettings {
    pub programs_dir: Option<PathBuf>,
    pub run_as: Option<String>,
    pub wait_seconds: u64,
}

impl Settings {
    /// Reads the process's environment. A variable that is set to nothing counts as not set.
    pub fn from_environment() -> Result<Self, Failure> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok().filter(|name| is_ours(name))?;
                Some(match value.into_string() {
                    Ok(value) => Ok((name, value)),
                    Err(_) => Err(Failure::new(format_args!("{name} is not text in UTF-8"))),
                })
            })
            .collect::<Result<_, _>>()?;
        Self::read(variables)
    }

    fn read(variables: BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut reader = Reader { left: variables };
        let is_production = reader.one_of("OPIEKUN_ENV", &["development", "production"])? == Some(1);
        let needs_url = reader.switch("OPIEKUN_REQUIRE_DATABASE_URL")?;
        let database_url = reader.text("DATABASE_URL").map(checked_url).transpose()?;
        if database_url.is_none() && (is_production || needs_url) {
            let why = if is_production { "OPIEKUN_ENV=production" } else { "OPIEKUN_REQUIRE_DATABASE_URL=1" };
            return Err(Failure::new(format_args!(
                "DATABASE_URL is missing, and {why} allows no private PostgreSQL: set it to \
                 postgres://user:password@host/name"
            )));
        }
        let jwt_secrets = match reader.text("OPIEKUN_JWT_SECRET") {
            Some(secrets) => {
                let secrets = list(&secrets, ',');
                crate::secrets::check(&secrets, "OPIEKUN_JWT_SECRET")?;
                secrets
            }
            None if is_production => {
                return Err(Failure::new(
                    "OPIEKUN_JWT_SECRET is missing, and OPIEKUN_ENV=production makes none by itself: set it to what \
                     `openssl rand -hex 32` prints, the same on every node",
                ));
            }
            None => Vec::new(),
        };
        let settings = Self {
            database_url,
            data_dir: reader.text("OPIEKUN_DATA_DIR").unwrap_or_else(|| ".opiekun".to_owned()).into(),
            listen: reader
                .parsed("OPIEKUN_LISTEN", "an address and port such as 127.0.0.1:8080", listen_address)?
                .unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            is_production,
            jwt_secrets,
            cors_origins: reader
                .parsed("OPIEKUN_CORS_ORIGINS", "origins such as https://crm.example.pl", origins)?
                .unwrap_or_default(),
            rate_limit: reader
                .parsed("OPIEKUN_RATE_LIMIT", "a whole number from 1 on", number)?
                .unwrap_or(NonZeroU32::MIN.saturating_add(599)),
            database_connections: reader
                .parsed("OPIEKUN_DATABASE_CONNECTIONS", "a whole number from 2 to 1000", |text| {
                    number(text).filter(|count: &NonZeroU16| (2..=1000).contains(&count.get()))
                })?
                .unwrap_or(NonZeroU16::MIN.saturating_add(15)),
            files: reader.text("OPIEKUN_FILES"),
            file_bytes_max: reader
                .parsed("OPIEKUN_FILE_SIZE_MAX_MB", "mebibytes from 1 to 10240", |text| {
                    number(text).filter(|size: &u64| (1..=10_240).contains(size))
                })?
                .unwrap_or(256)
                << 20,
            smtp_url: reader.text("OPIEKUN_SMTP_URL").map(checked_smtp_url).transpose()?,
            auto_invoicing: reader.switch("OPIEKUN_AUTO_INVOICING")?,
            postgres: PostgresSettings {
                programs_dir: reader.text("OPIEKUN_PG_BIN").map(PathBuf::from),
                run_as: reader.text("OPIEKUN_PG_USER"),
                wait_seconds: reader
                    .parsed("OPIEKUN_PG_WAIT", "seconds from 1 to 3600", |text| {
                        number(text).filter(|seconds| (1..=3600).contains(seconds))
                    })?
                    .unwrap_or(60),
            },
            owner_password: reader.text("OPIEKUN_OWNER_PASSWORD"),
            log: reader
                .parsed("OPIEKUN_LOG", "a filter such as info,opiekun_http=debug", |text| {
                    EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
                })?
                .unwrap_or_else(|| "info".to_owned()),
            unknown: reader.left.into_keys().filter(|name| !name.starts_with(OF_TESTS)).collect(),
        };
        Ok(settings)
    }

    /// What is logged. The web framework's own start and stop lines say nothing that ours don't.
    pub fn log_filter(&self) -> EnvFilter {
        EnvFilter::new(format!("actix_server=warn,{}", self.log))
    }

    /// A name that is misspelt is a setting that does not hold.
    pub fn warn_of_unknown(&self) {
        for name in &self.unknown {
            tracing::warn!(name, "this is not a setting of Opiekun and changes nothing");
        }
    }

    /// Opens the file store.
    pub fn open_files(&self) -> Result<FileStore, Failure> {
        let in_data_dir = || self.data_dir.join("files").to_string_lossy().into_owned();
        let setting = self.files.clone().unwrap_or_else(in_data_dir);
        FileStore::open(&setting).map_err(|fault| Failure::new(format_args!("OPIEKUN_FILES: {fault}")))
    }

    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

/// The variables that nothing has asked for yet.
struct Reader {
    left: BTreeMap<String, String>,
}

impl Reader {
    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.left.remove(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let value = parse(&text);
        value.map(Some).ok_or_else(|| Failure::new(format_args!("{name} is {text:?}, but {expected} is expected")))
    }

    fn one_of(&mut self, name: &str, words: &[&str]) -> Result<Option<usize>, Failure> {
        self.parsed(name, &words.join(" or "), |text| words.iter().position(|word| *word == text))
    }

    fn switch(&mut self, name: &str) -> Result<bool, Failure> {
        let words = ["0", "1", "off", "on", "false", "true"];
        Ok(self.one_of(name, &words)?.is_some_and(|place| place % 2 == 1))
    }
}

fn is_ours(name: &str) -> bool {
    name == "DATABASE_URL" || name.starts_with("OPIEKUN_")
}

/// What is between separators, without the empty and the space around.
pub fn list(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn checked_url(url: String) -> Result<String, Failure> {
    crate::address::check(&url).map_err(|fault| Failure::new(format_args!("DATABASE_URL {fault}")))?;
    Ok(url)
}

fn checked_smtp_url(url: String) -> Result<String, Failure> {
    SmtpServer::parse(&url).map_err(|fault| Failure::new(format_args!("OPIEKUN_SMTP_URL {fault}")))?;
    Ok(url)
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn listen_address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| text.to_owned())
}

/// Origins as browsers send them: scheme, host and perhaps a port, nothing behind.
fn origins(text: &str) -> Option<Vec<String>> {
    let origins = list(text, ',');
    let is_origin = |origin: &String| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#', '@']))
    };
    origins.iter().all(is_origin).then_some(origins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const URL: &str = "postgres://opiekun:tajne@db.example/opiekun";

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(owned.collect()).map_err(|failure| failure.to_string())
    }

    #[track_caller]
    fn refusal(variables: &[(&str, &str)]) -> String {
        read(variables).map(|_| ()).expect_err("a refusal")
    }

    #[test]
    fn without_any_there_are_defaults() {
        let settings = read(&[]).expect("defaults");
        assert_eq!(settings.listen, "127.0.0.1:8080");
        assert_eq!(settings.data_dir, PathBuf::from(".opiekun"));
        assert_eq!((settings.rate_limit.get(), settings.database_connections.get()), (600, 16));
        assert_eq!(settings.postgres.wait_seconds, 60);
        assert!(settings.database_url.is_none() && settings.jwt_secrets.is_empty() && settings.cors_origins.is_empty());
        assert!(!settings.is_production && !settings.auto_invoicing);
    }

    #[test]
    fn automatic_runs_are_begun_only_where_that_is_said() {
        let is_on = |value| read(&[("OPIEKUN_AUTO_INVOICING", value)]).expect("a switch").auto_invoicing;
        assert_eq!(["on", "1", "true", "off", "0", ""].map(is_on), [true, true, true, false, false, false]);
    }

    #[test]
    fn a_mail_server_is_read_and_its_password_never_repeated() {
        let url = "smtps://faktury%40example.pl:tajne@smtp.example.pl";
        assert_eq!(read(&[("OPIEKUN_SMTP_URL", url)]).expect("a server").smtp_url.as_deref(), Some(url));
        let message = refusal(&[("OPIEKUN_SMTP_URL", "smtp://user:tajne@smtp.example.pl?tls=none")]);
        assert!(message.starts_with("OPIEKUN_SMTP_URL") && !message.contains("tajne"), "{message}");
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        let settings = read(&[("DATABASE_URL", " "), ("OPIEKUN_LISTEN", ""), ("OPIEKUN_JWT_SECRET", "")]);
        assert_eq!(settings.expect("defaults").listen, "127.0.0.1:8080");
    }

    #[test]
    fn production_wants_a_database_and_a_secret() {
        let production = ("OPIEKUN_ENV", "production");
        assert!(refusal(&[production, ("OPIEKUN_JWT_SECRET", SECRET)]).contains("DATABASE_URL is missing"));
        assert!(refusal(&[production, ("DATABASE_URL", URL)]).contains("OPIEKUN_JWT_SECRET is missing"));
        let both = read(&[production, ("DATABASE_URL", URL), ("OPIEKUN_JWT_SECRET", SECRET)]);
        assert!(both.expect("both").is_production);
        assert!(refusal(&[("OPIEKUN_REQUIRE_DATABASE_URL", "1")]).contains("OPIEKUN_REQUIRE_DATABASE_URL=1"));
        assert!(refusal(&[("OPIEKUN_ENV", "prod")]).contains("development or production"));
    }

    #[test]
    fn several_secrets_are_taken_and_weak_ones_refused() {
        let both = format!("{SECRET}, abcdefghijklmnopqrstuvwxyz012345");
        let settings = read(&[("OPIEKUN_JWT_SECRET", &both)]).expect("two secrets");
        assert_eq!(settings.jwt_secrets, [SECRET, "abcdefghijklmnopqrstuvwxyz012345"]);
        for weak in ["short", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &format!("{SECRET},short"), ","] {
            let message = refusal(&[("OPIEKUN_JWT_SECRET", weak)]);
            assert!(message.starts_with("OPIEKUN_JWT_SECRET"), "{message}");
            assert!(weak.len() < 3 || !message.contains(weak), "no message tells a secret: {message}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        for (name, value) in [
            ("OPIEKUN_LISTEN", "8080"),
            ("OPIEKUN_LISTEN", "127.0.0.1:99999"),
            ("OPIEKUN_RATE_LIMIT", "0"),
            ("OPIEKUN_RATE_LIMIT", "viel"),
            ("OPIEKUN_DATABASE_CONNECTIONS", "1"),
            ("OPIEKUN_CORS_ORIGINS", "https://crm.example.pl/app"),
            ("OPIEKUN_CORS_ORIGINS", "*"),
            ("OPIEKUN_LOG", "info,=,"),
            ("OPIEKUN_REQUIRE_DATABASE_URL", "yes please"),
            ("OPIEKUN_PG_WAIT", "0"),
            ("OPIEKUN_FILE_SIZE_MAX_MB", "0"),
            ("OPIEKUN_AUTO_INVOICING", "daily"),
        ] {
            let message = refusal(&[(name, value)]);
            assert!(message.starts_with(name), "{message}");
        }
    }

    #[test]
    fn origins_are_split_at_commas() {
        let settings = read(&[("OPIEKUN_CORS_ORIGINS", "https://crm.example.pl, http://localhost:5173,")]);
        assert_eq!(settings.expect("origins").cors_origins, ["https://crm.example.pl", "http://localhost:5173"]);
    }

    #[test]
    fn unknown_names_are_kept_for_a_warning_and_those_of_tests_are_not() {
        let settings = read(&[("OPIEKUN_LISTE", "1"), ("OPIEKUN_TEST_KEEP_DB", "1"), ("OPIEKUN_LOG", "warn")]);
        assert_eq!(settings.expect("settings").unknown(), ["OPIEKUN_LISTE"]);
    }

    #[test]
    fn every_listed_variable_is_read() {
        for variable in &VARIABLES {
            let settings = read(&[(variable.name, "")]).expect(variable.name);
            assert!(settings.unknown().is_empty(), "{} is listed and not read", variable.name);
        }
    }

    #[test]
    fn the_readme_lists_the_settings_as_they_are() {
        let readme = include_str!("../../../README.md");
        let table: String = VARIABLES
            .iter()
            .map(|Variable { name, default, meaning }| format!("| `{name}` | {default} | {meaning} |\n"))
            .collect();
        assert!(readme.contains(&table), "the table of settings in README.md should be\n\n{table}");
    }
}
