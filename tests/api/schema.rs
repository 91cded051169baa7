//! The tables: rules that the catalog of the database is asked about.

use crate::support::{Scratch, at_once, scratch_database, text_rows};
use diesel::pg::PgConnection;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use opiekun_persistence::migrate;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rows that are written once, so that they need no version: each with what they are.
const WRITTEN_ONCE: &[(&str, &str)] = &[
    ("article_indexes", "made of its article, which has a version"),
    ("article_links", "changes only with its article, which has a version"),
    ("article_revisions", "a record of the past"),
    ("article_tags", "follows its article, which has a version"),
    ("audit_entries", "a record of the past"),
    ("customer_tags", "follows its customer, which has a version"),
    ("events", "a record of the past; it gets its place in the order, once"),
    ("file_objects", "what the file store holds; only its state moves on"),
    ("idempotency_keys", "an answer that was given"),
    ("interaction_tags", "follows its interaction, which has a version"),
    ("invoice_balances", "counted by what is issued and paid, each of which has a version"),
    ("invoice_documents", "what was handed out, for good"),
    ("invoice_ksef_numbers", "given once"),
    ("invoice_lines", "changes only with its invoice, which has a version"),
    ("invoice_run_results", "what became of a period in a run"),
    ("invoice_time_entries", "what an invoice bills; changes only with it, which has a version"),
    ("missed_searches", "counted by questions; nobody changes it"),
    ("number_counters", "counted under a lock, changed by nobody's hand but through its series"),
    ("opportunity_tags", "follows its opportunity, which has a version"),
    ("payment_allocations", "changes only with its payment, which has a version"),
    ("posting_lists", "made of articles, which have a version"),
    ("procedure_schedule_customers", "changes only with its schedule, which has a version"),
    ("procedure_versions", "what was published, for good"),
    ("reminder_days", "a record of the past"),
    ("refresh_tokens", "spent once"),
    ("search_entries", "made of records that have a version"),
    ("search_word_keys", "made of its word"),
    ("search_words", "counted by articles and synonyms that have it"),
    ("searched_records", "made of records that have a version"),
    ("sign_ins", "ended once"),
    ("stage_changes", "a record of the past"),
    ("survey_versions", "what was published, for good"),
    ("synonym_keys", "made of its group, which has a version"),
    ("task_reminders", "gone when it was told; changes only with its task, which has a version"),
    ("task_tags", "follows its task, which has a version"),
    ("thread_tags", "follows its thread, which has a version"),
    ("timers", "started and stopped"),
];

fn tables() -> Vec<String> {
    let sql = "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
               and relname not like '\\_\\_diesel%' order by 1";
    text_rows(sql).into_iter().flatten().collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn each_table_is_keyed_by_organization() {
    let sql = "select c.relname || ': ' || coalesce((
                   select string_agg(a.attname, ', ' order by k.place)
                   from pg_index i, unnest(i.indkey) with ordinality k (attnum, place), pg_attribute a
                   where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.attnum
               ), 'none')
               from pg_class c
               where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and c.relname not like '\\_\\_diesel%'";
    let keys: Vec<_> = text_rows(sql).into_iter().flatten().collect();
    assert!(keys.len() > 10, "{keys:?}");
    // An organization is one itself.
    let others = keys.iter().filter(|key| !key.contains(": organization_id, ") && *key != "organizations: id");
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn no_row_is_without_organization() {
    let sql = "select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
               from information_schema.columns where table_schema = 'public' and column_name = 'organization_id'";
    let wrong: Vec<_> = text_rows(sql).into_iter().flatten().filter(|column| !column.ends_with(" uuid NO")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn references_stay_within_the_organization() {
    let sql = "select con.conname || ': ' || (
                   select string_agg(a.attname, ', ' order by k.place)
                   from unnest(con.conkey) with ordinality k (attnum, place), pg_attribute a
                   where a.attrelid = con.conrelid and a.attnum = k.attnum
               ) || ' -> ' || con.confrelid::regclass || ' (' || (
                   select string_agg(a.attname, ', ' order by k.place)
                   from unnest(con.confkey) with ordinality k (attnum, place), pg_attribute a
                   where a.attrelid = con.confrelid and a.attnum = k.attnum
               ) || ')'
               from pg_constraint con where con.contype = 'f' and con.connamespace = 'public'::regnamespace";
    let references: Vec<_> = text_rows(sql).into_iter().flatten().collect();
    assert!(references.len() > 15, "{references:?}");
    let wrong: Vec<_> = references
        .iter()
        .filter(|reference| {
            let (_, columns) = reference.split_once(": ").unwrap();
            let is_composite = columns.starts_with("organization_id, ") && columns.contains("(organization_id, ");
            // An organization is one itself.
            let is_its_own = *columns == *"id, logo_file_id -> files (organization_id, id)";
            columns != "organization_id -> organizations (id)" && !is_composite && !is_its_own
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_column_that_names_a_record_is_a_reference() {
    // What a record of the past names may be gone, or be of any kind.
    const WITHOUT: &[&str] = &[
        "audit_entries.actor_id",
        "audit_entries.request_id",
        "audit_entries.resource_id",
        "customers.external_id",
        "events.resource_id",
        // The file store's own.
        "file_objects.multipart_id",
        "hourly_rates.holder_id",
        "idempotency_keys.caller_id",
        "invoice_emails.requested_by_id",
        "invoice_runs.requested_by_id",
        "invoice_time_entries.entry_id",
        // Of any kind, and kept by triggers of the records.
        "search_entries.organization_id",
        "search_entries.record_id",
        "searched_records.record_id",
        // Written with every invoice, and only ever compared with the run that asks.
        "subscriptions.last_run_id",
    ];
    let sql = "select c.relname || '.' || a.attname
               from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and a.attname like '%\\_id'
               and not exists (
                   select 1 from pg_constraint con
                   where con.conrelid = c.oid and con.contype = 'f' and a.attnum = any (con.conkey)
               ) order by 1";
    let columns: Vec<_> = text_rows(sql).into_iter().flatten().collect();
    assert_eq!(columns, WITHOUT);
}

#[test]
fn each_row_that_changes_has_a_version() {
    let sql = "select table_name || '.' || column_name from information_schema.columns
               where table_schema = 'public' and is_nullable = 'NO'
               and (column_name, data_type) in (
                   ('version', 'integer'), ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone')
               )";
    let columns: BTreeSet<_> = text_rows(sql).into_iter().flatten().collect();
    let mut lacking = Vec::new();
    for table in tables() {
        let wanted = ["version", "created_at", "updated_at"].map(|column| format!("{table}.{column}"));
        let has = wanted.iter().all(|column| columns.contains(column));
        if has == WRITTEN_ONCE.iter().any(|(once, _)| *once == table) {
            lacking.push(table);
        }
    }
    assert!(lacking.is_empty(), "a version and both moments, or a line in WRITTEN_ONCE: {lacking:?}");
}

#[test]
fn each_table_has_an_index_by_organization() {
    let sql = "select distinct i.indrelid::regclass
               from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
               where a.attname = 'organization_id' or (a.attname = 'id' and i.indrelid = 'organizations'::regclass)";
    let indexed: BTreeSet<_> = text_rows(sql).into_iter().flatten().collect();
    let lacking: Vec<_> = tables().into_iter().filter(|table| !indexed.contains(table)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn moments_know_their_zone_and_sums_are_exact() {
    let sql = "select table_name || '.' || column_name || ' ' || data_type from information_schema.columns
               where table_schema = 'public'
               and data_type in ('timestamp without time zone', 'real', 'double precision', 'money', 'character varying', 'json')
               and table_name not like '\\_\\_diesel%'";
    assert_eq!(text_rows(sql), []);
    let numeric = "select table_name || '.' || column_name from information_schema.columns
                   where table_schema = 'public' and data_type = 'numeric' and numeric_scale is null";
    assert_eq!(text_rows(numeric), [], "without a number of places");
}

#[test]
fn what_a_caller_may_break_has_a_name() {
    // A violation is told by the constraint's name; those that PostgreSQL makes up end in a number.
    let sql = "select conname from pg_constraint where connamespace = 'public'::regnamespace and contype in ('u', 'f')
               and conname ~ '[0-9]$'";
    assert_eq!(text_rows(sql), []);
}

#[test]
fn the_code_knows_the_columns_as_they_are() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sql = "select table_name || ' ' || column_name || ' ' || case when is_nullable = 'YES' then 'Nullable<' || udt_name || '>' else udt_name end
               from information_schema.columns
               where table_schema = 'public' and table_name not like '\\_\\_diesel%' order by table_name, ordinal_position";
    for column in text_rows(sql).into_iter().flatten() {
        let (table, column) = column.split_once(' ').unwrap();
        found.entry(table.to_owned()).or_default().push(column.to_owned());
    }
    let text = std::fs::read_to_string(repository().join("crates/persistence/src/schema.rs")).unwrap();
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut table, mut sql_name) = (None, None);
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            table = Some(name.to_owned());
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"").and_then(|line| line.strip_suffix("\"]")) {
            sql_name = Some(name.to_owned());
        } else if let (Some(table), Some((column, kind))) = (&table, line.trim_end_matches(',').split_once(" -> ")) {
            let column = sql_name.take().unwrap_or_else(|| column.to_owned());
            known.entry(table.clone()).or_default().push(format!("{column} {}", postgres_kind(kind)));
        } else if line == "}" {
            table = None;
        }
    }
    assert!(known.len() > 10, "schema.rs is not read: {known:?}");
    assert_eq!(known, found, "crates/persistence/src/schema.rs is not of these tables: diesel print-schema writes it");
}

/// What PostgreSQL calls a type of diesel's.
fn postgres_kind(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>')) {
        return format!("Nullable<{}>", postgres_kind(inner));
    }
    if let Some(inner) = kind.strip_prefix("Array<").and_then(|kind| kind.strip_suffix('>')) {
        return format!("_{}", postgres_kind(inner));
    }
    kind.to_lowercase()
}

fn migrations() -> FileBasedMigrations {
    FileBasedMigrations::from_path(repository().join("migrations")).unwrap()
}

/// Everything that is in a database, as text.
fn inventory(scratch: &Scratch) -> BTreeSet<String> {
    let sql = "select 'relation ' || relkind::text || ' ' || relname from pg_class
               where relnamespace = 'public'::regnamespace and relname not like '\\_\\_diesel%'
               union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
               from pg_attribute a join pg_class c on c.oid = a.attrelid
               where c.relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
               union all select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
               from pg_constraint where connamespace = 'public'::regnamespace
               union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
               union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
               union all select 'trigger ' || tgrelid::regclass || ' ' || tgname from pg_trigger where not tgisinternal
               union all select 'type ' || typname from pg_type
               where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
               union all select 'extension ' || extname from pg_extension";
    scratch.text_rows(sql).into_iter().flatten().filter(|thing| !thing.contains("__diesel_schema_migrations")).collect()
}

#[test]
fn each_migration_is_undone_by_its_down() {
    let scratch = scratch_database();
    let mut conn: PgConnection = scratch.connection();
    let mut before = vec![inventory(&scratch)];
    while conn.has_pending_migration(migrations()).unwrap() {
        conn.run_next_migration(migrations()).unwrap();
        let after = inventory(&scratch);
        let name = conn.revert_last_migration(migrations()).unwrap().to_string();
        assert_eq!(&inventory(&scratch), before.last().unwrap(), "the down of {name}");
        conn.run_next_migration(migrations()).unwrap();
        assert_eq!(inventory(&scratch), after, "the up of {name}, again");
        before.push(after);
    }
    assert!(before.len() > 4);
    conn.revert_all_migrations(migrations()).unwrap();
    assert_eq!(inventory(&scratch), before[0], "something is left");
}

#[test]
fn servers_that_start_together_migrate_once() {
    let scratch = scratch_database();
    let ran = at_once(4, |_| migrate(&scratch.url).unwrap());
    let all = ran.iter().map(Vec::len).max().unwrap();
    assert!(all > 4);
    assert_eq!(ran.iter().map(Vec::len).sum::<usize>(), all, "{ran:?}");
    assert_eq!(migrate(&scratch.url).unwrap(), Vec::<String>::new());
}

#[test]
fn migrations_are_named_by_their_moment() {
    let mut names: Vec<_> = std::fs::read_dir(repository().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in &names {
        let (moment, what) = name.split_once('_').unwrap();
        assert!(moment.len() == 17 && moment.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{name}");
        assert!(what.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        for file in ["up.sql", "down.sql"] {
            assert!(repository().join("migrations").join(name).join(file).is_file(), "{name} lacks {file}");
        }
    }
}
