//! The address of a database: what is wrong with it, and how it is shown without its password.

/// Finds what would make libpq fail in words that help nobody, or that tell the password.
pub fn check(url: &str) -> Result<(), String> {
    let parts = Parts::of(url);
    if let Some(authority) = parts.authority
        && authority.matches('@').count() > 1
    {
        return Err("has more than one @: one that belongs to the password is written %40".to_owned());
    }
    if let Some(mode) = parts.parameter("sslmode")
        && matches!(mode, "require" | "verify-ca" | "verify-full")
    {
        return Err(format!(
            "asks for sslmode={mode}, and this build speaks no TLS: leave it out and reach the database over a \
             private network, a Unix socket, or a tunnel (stunnel, a proxy of your provider)"
        ));
    }
    Ok(())
}

/// The database, for people: without user, password and parameters.
pub fn shown(url: &str) -> String {
    let parts = Parts::of(url);
    let Some(authority) = parts.authority else {
        let value = |name| parts.parameter(name).unwrap_or("the default");
        return format!("database {} on {}", value("dbname"), value("host"));
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if host.is_empty() { parts.parameter("host").unwrap_or("a local socket") } else { host };
    format!("database {} on {host}", parts.database.unwrap_or("of the user's name"))
}

/// A message about the database without the password that it may quote.
pub fn redacted(message: &str, url: &str) -> String {
    let parts = Parts::of(url);
    let in_authority = parts
        .authority
        .and_then(|authority| authority.rsplit_once('@'))
        .and_then(|(user, _)| user.split_once(':'))
        .map(|(_, password)| password);
    [in_authority, parts.parameter("password")]
        .into_iter()
        .flatten()
        .filter(|password| !password.is_empty())
        .fold(message.to_owned(), |message, password| message.replace(password, "***"))
}

/// An address in either of libpq's forms: a URI, or `host=… dbname=…`.
struct Parts<'a> {
    /// User, password, hosts and ports of a URI.
    authority: Option<&'a str>,
    database: Option<&'a str>,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
            let parameters = url.split_whitespace().filter_map(|word| word.split_once('='));
            let parameters = parameters.map(|(name, value)| (name, value.trim_matches('\''))).collect();
            return Self { authority: None, database: None, parameters };
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A slash may stand in a password that nobody has encoded; the last one is before the database.
        let (authority, database) = path.rsplit_once('/').unwrap_or((path, ""));
        Self {
            authority: Some(authority),
            database: Some(database).filter(|name| !name.is_empty()),
            parameters: query.split('&').filter_map(|word| word.split_once('=')).collect(),
        }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_password() {
        for (url, expected) in [
            ("postgres://opiekun:tajne@db.example:5432/crm?connect_timeout=5", "database crm on db.example:5432"),
            ("postgresql://db.example/crm", "database crm on db.example"),
            ("postgres://opiekun:ta/jne@db.example/crm", "database crm on db.example"),
            ("postgres://opiekun@/crm?host=%2Ftmp%2Fpg", "database crm on %2Ftmp%2Fpg"),
            ("host=db.example dbname=crm user=opiekun password=tajne", "database crm on db.example"),
            ("postgres://db.example", "database of the user's name on db.example"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn messages_lose_the_password() {
        let url = "postgres://opiekun:ta%jne@db.example/crm";
        let message = redacted("invalid percent-encoded token: \"ta%jne\"", url);
        assert_eq!(message, "invalid percent-encoded token: \"***\"");
        assert_eq!(redacted("bad tajne", "host=db password='tajne'"), "bad ***");
        assert_eq!(redacted("refused", "postgres://opiekun:@db/crm"), "refused");
    }

    #[test]
    fn tls_and_a_stray_at_sign_are_refused_in_clear_words() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let problem = check(&format!("postgres://o:p@db/crm?sslmode={mode}")).expect_err(mode);
            assert!(problem.contains("no TLS"), "{problem}");
            assert!(check(&format!("host=db sslmode={mode}")).is_err());
        }
        assert_eq!(check("postgres://o:p@db/crm?sslmode=prefer"), Ok(()));
        let problem = check("postgres://o:taj@ne@db/crm").expect_err("two");
        assert!(problem.contains("%40") && !problem.contains("taj"), "{problem}");
    }
}
