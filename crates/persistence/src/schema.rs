// @generated automatically by Diesel CLI.

pub mod sql_types {
    #[derive(diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    #[diesel(postgres_type(name = "tsvector", schema = "pg_catalog"))]
    pub struct Tsvector;
}

diesel::table! {
    api_keys (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        scopes -> Array<Text>,
        secret_hash -> Bytea,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    article_categories (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        parent_id -> Nullable<Uuid>,
        position -> Int4,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    article_indexes (organization_id, article_id) {
        organization_id -> Uuid,
        article_id -> Uuid,
        search_version -> Int4,
        words -> Array<Text>,
        terms -> Array<Text>,
        number -> Int4,
    }
}

diesel::table! {
    article_links (organization_id, article_id, related_article_id) {
        organization_id -> Uuid,
        article_id -> Uuid,
        related_article_id -> Uuid,
        position -> Int2,
    }
}

diesel::table! {
    article_revisions (organization_id, article_id, number) {
        organization_id -> Uuid,
        id -> Uuid,
        article_id -> Uuid,
        number -> Int4,
        title -> Text,
        body -> Text,
        language -> Text,
        tags -> Array<Text>,
        restored_from -> Nullable<Int4>,
        registered_by_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        published_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    article_tags (organization_id, tag, article_id) {
        organization_id -> Uuid,
        tag -> Text,
        article_id -> Uuid,
        sort_title -> Text,
    }
}

diesel::table! {
    article_uses (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        article_id -> Uuid,
        interaction_id -> Uuid,
        registered_by_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    article_votes (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        article_id -> Uuid,
        operator_id -> Nullable<Uuid>,
        helpful -> Bool,
        comment -> Nullable<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    articles (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        title -> Text,
        sort_title -> Text,
        body -> Text,
        language -> Text,
        status -> Text,
        category_id -> Nullable<Uuid>,
        tags -> Array<Text>,
        valid_until_on -> Nullable<Date>,
        published_at -> Nullable<Timestamptz>,
        registered_by_id -> Nullable<Uuid>,
        revision -> Int4,
        helpful_votes -> Int4,
        unhelpful_votes -> Int4,
        uses -> Int4,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    attachments (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        file_id -> Uuid,
        interaction_id -> Nullable<Uuid>,
        task_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        thread_id -> Nullable<Uuid>,
        invoice_id -> Nullable<Uuid>,
        of_customer_id -> Nullable<Uuid>,
        of_thread_id -> Nullable<Uuid>,
        of_caretaker_id -> Nullable<Uuid>,
        description -> Nullable<Text>,
        registered_by_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        article_id -> Nullable<Uuid>,
        of_draft -> Bool,
        area -> Text,
    }
}

diesel::table! {
    audit_entries (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        at -> Timestamptz,
        actor_kind -> Text,
        actor_id -> Nullable<Uuid>,
        action -> Text,
        resource_type -> Text,
        resource_id -> Uuid,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
        request_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    calendar_feeds (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        reader_id -> Uuid,
        operator_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        kinds -> Array<Text>,
        tasks_as -> Text,
        past_days -> Int4,
        future_days -> Int4,
        secret_hash -> Bytea,
        last_used_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    customer_tags (organization_id, tag, customer_id) {
        organization_id -> Uuid,
        tag -> Text,
        customer_id -> Uuid,
        sort_name -> Text,
    }
}

diesel::table! {
    customers (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        name -> Text,
        short_name -> Nullable<Text>,
        sort_name -> Text,
        tax_scheme -> Text,
        tax_country -> Nullable<Text>,
        tax_number -> Nullable<Text>,
        billing_address -> Nullable<Jsonb>,
        correspondence_address -> Nullable<Jsonb>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        caretaker_id -> Nullable<Uuid>,
        tags -> Array<Text>,
        payment_days -> Nullable<Int2>,
        round_up_minutes -> Nullable<Int4>,
        currency -> Text,
        language -> Text,
        external_id -> Nullable<Text>,
        notes -> Nullable<Text>,
        archived_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        send_reminders -> Bool,
    }
}

diesel::table! {
    events (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        ordinal -> Int8,
        sequence -> Nullable<Int8>,
        #[sql_name = "type"]
        type_ -> Text,
        at -> Timestamptz,
        resource_type -> Text,
        resource_id -> Uuid,
        resource_version -> Int4,
    }
}

diesel::table! {
    exchange_rates (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        currency -> Text,
        quoted_on -> Date,
        rate -> Numeric,
        source -> Text,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    extra_lines (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        subscription_id -> Uuid,
        text -> Text,
        quantity -> Numeric,
        unit -> Text,
        unit_price -> Numeric,
        discount_percent -> Nullable<Numeric>,
        vat_code -> Text,
        exemption_basis -> Nullable<Text>,
        pkwiu -> Nullable<Text>,
        gtu -> Nullable<Text>,
        annex_15 -> Bool,
        invoice_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    file_objects (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        state -> Text,
        multipart_id -> Nullable<Text>,
        sha256 -> Nullable<Bytea>,
        size_bytes -> Nullable<Int8>,
        touched_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    files (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        object_id -> Uuid,
        object_state -> Text,
        name -> Text,
        media_type -> Text,
        sha256 -> Bytea,
        size_bytes -> Int8,
        registered_by_id -> Nullable<Uuid>,
        registered_by_key_id -> Nullable<Uuid>,
        crm_uses -> Int4,
        billing_uses -> Int4,
        logo_uses -> Int4,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        knowledge_uses -> Int4,
        draft_uses -> Int4,
    }
}

diesel::table! {
    hourly_rates (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        operator_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        holder_id -> Uuid,
        amount -> Numeric,
        currency -> Text,
        valid_from_on -> Date,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (organization_id, caller_id, route, key) {
        organization_id -> Uuid,
        caller_id -> Uuid,
        route -> Text,
        key -> Text,
        fingerprint -> Bytea,
        status -> Int2,
        headers -> Jsonb,
        body -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    interaction_tags (organization_id, tag, interaction_id) {
        organization_id -> Uuid,
        tag -> Text,
        interaction_id -> Uuid,
        started_at -> Timestamptz,
    }
}

diesel::table! {
    interactions (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        person_id -> Nullable<Uuid>,
        operator_id -> Uuid,
        registered_by_id -> Nullable<Uuid>,
        caretaker_id -> Nullable<Uuid>,
        channel -> Text,
        direction -> Text,
        status -> Text,
        started_at -> Timestamptz,
        duration_minutes -> Int4,
        subject -> Text,
        description -> Nullable<Text>,
        outcome -> Nullable<Text>,
        billable -> Bool,
        hourly_rate -> Nullable<Numeric>,
        billed_minutes -> Int4,
        resolved_rate -> Nullable<Numeric>,
        rate_source -> Nullable<Text>,
        cost -> Nullable<Numeric>,
        currency -> Text,
        tags -> Array<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        opportunity_id -> Nullable<Uuid>,
        stage_id -> Nullable<Uuid>,
        thread_id -> Nullable<Uuid>,
        parent_task_id -> Nullable<Uuid>,
        parent_interaction_id -> Nullable<Uuid>,
        invoice_id -> Nullable<Uuid>,
        is_given_back -> Bool,
    }
}

diesel::table! {
    invoice_balances (organization_id, invoice_id) {
        organization_id -> Uuid,
        invoice_id -> Uuid,
        customer_id -> Uuid,
        currency -> Text,
        issued_on -> Date,
        due_on -> Date,
        gross -> Numeric,
        paid -> Numeric,
    }
}

diesel::table! {
    invoice_documents (organization_id, invoice_id, format) {
        organization_id -> Uuid,
        invoice_id -> Uuid,
        format -> Text,
        content -> Bytea,
        sha256 -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_emails (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        invoice_id -> Uuid,
        customer_id -> Uuid,
        reason -> Text,
        days_after_due -> Nullable<Int2>,
        status -> Text,
        problem -> Nullable<Text>,
        problem_detail -> Nullable<Text>,
        recipients -> Array<Text>,
        cc -> Array<Text>,
        subject -> Nullable<Text>,
        body -> Nullable<Text>,
        from_address -> Nullable<Text>,
        attach_pdf -> Bool,
        attach_xml -> Bool,
        requested_by_kind -> Text,
        requested_by_id -> Nullable<Uuid>,
        attempts -> Int4,
        queued_at -> Timestamptz,
        next_attempt_at -> Nullable<Timestamptz>,
        sent_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_ksef_numbers (organization_id, invoice_id) {
        organization_id -> Uuid,
        invoice_id -> Uuid,
        ksef_number -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_layouts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        source -> Nullable<Text>,
        color -> Text,
        footer -> Nullable<Text>,
        labels -> Text,
        is_default -> Bool,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    invoice_lines (organization_id, invoice_id, position) {
        organization_id -> Uuid,
        invoice_id -> Uuid,
        position -> Int2,
        key -> Nullable<Text>,
        text -> Text,
        quantity -> Numeric,
        unit -> Text,
        unit_price -> Numeric,
        discount_percent -> Nullable<Numeric>,
        vat_code -> Text,
        exemption_basis -> Nullable<Text>,
        pkwiu -> Nullable<Text>,
        gtu -> Nullable<Text>,
        net -> Numeric,
        annex_15 -> Bool,
    }
}

diesel::table! {
    invoice_run_results (organization_id, run_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        run_id -> Uuid,
        subscription_id -> Uuid,
        customer_id -> Uuid,
        period_start_on -> Date,
        period_end_on -> Date,
        scheduled_on -> Date,
        outcome -> Text,
        problem -> Nullable<Text>,
        invoice_id -> Nullable<Uuid>,
        currency -> Nullable<Text>,
        net -> Nullable<Numeric>,
        vat -> Nullable<Numeric>,
        gross -> Nullable<Numeric>,
    }
}

diesel::table! {
    invoice_runs (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        mode -> Text,
        through_on -> Date,
        issue_on -> Date,
        subscription_ids -> Nullable<Array<Uuid>>,
        template_ids -> Nullable<Array<Uuid>>,
        customer_ids -> Nullable<Array<Uuid>>,
        status -> Text,
        requested_by_kind -> Text,
        requested_by_id -> Nullable<Uuid>,
        cancel_requested_at -> Nullable<Timestamptz>,
        done -> Int4,
        total -> Int4,
        planned -> Int4,
        invoiced -> Int4,
        skipped -> Int4,
        failed -> Int4,
        totals -> Jsonb,
        problem -> Nullable<Text>,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        automatic_on -> Nullable<Date>,
    }
}

diesel::table! {
    invoice_templates (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        series_id -> Uuid,
        currency -> Text,
        price_mode -> Text,
        lines -> Jsonb,
        payment_days -> Int2,
        payment_method -> Text,
        bank_account -> Nullable<Text>,
        notes -> Nullable<Text>,
        language -> Text,
        archived_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        series_kind -> Text,
        layout_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    invoice_time_entries (organization_id, invoice_id, position) {
        organization_id -> Uuid,
        invoice_id -> Uuid,
        position -> Int4,
        line_key -> Text,
        kind -> Text,
        entry_id -> Uuid,
        started_at -> Timestamptz,
        started_on -> Date,
        operator_id -> Uuid,
        operator_name -> Text,
        text -> Nullable<Text>,
        duration_minutes -> Int4,
        billed_minutes -> Int4,
        resolved_rate -> Numeric,
        cost -> Numeric,
    }
}

diesel::table! {
    invoices (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        status -> Text,
        series_id -> Nullable<Uuid>,
        number -> Nullable<Text>,
        customer_id -> Uuid,
        template_id -> Nullable<Uuid>,
        subscription_id -> Nullable<Uuid>,
        run_id -> Nullable<Uuid>,
        seller -> Jsonb,
        buyer -> Jsonb,
        issued_on -> Nullable<Date>,
        sold_on -> Nullable<Date>,
        period_start_on -> Nullable<Date>,
        period_end_on -> Nullable<Date>,
        due_on -> Nullable<Date>,
        currency -> Text,
        price_mode -> Text,
        payment_method -> Text,
        bank_account -> Nullable<Text>,
        notes -> Nullable<Text>,
        language -> Text,
        vat_totals -> Jsonb,
        net -> Numeric,
        vat -> Numeric,
        gross -> Numeric,
        issued_in -> Nullable<Int8>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        payment_days -> Nullable<Int2>,
        exchange_rate -> Nullable<Numeric>,
        exchange_rate_on -> Nullable<Date>,
        exchange_rate_source -> Nullable<Text>,
        vat_pln -> Nullable<Numeric>,
        split_payment -> Bool,
        pro_forma_id -> Nullable<Uuid>,
        corrects_id -> Nullable<Uuid>,
        correction_reason -> Nullable<Text>,
        before -> Nullable<Jsonb>,
        correction_takes_effect -> Nullable<Text>,
    }
}

diesel::table! {
    missed_searches (organization_id, searched_on, question) {
        organization_id -> Uuid,
        searched_on -> Date,
        question -> Text,
        searches -> Int4,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    month_locks (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        month_start_on -> Date,
        from_at -> Timestamptz,
        before_at -> Timestamptz,
        locked_by_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    number_counters (organization_id, series_id, key) {
        organization_id -> Uuid,
        series_id -> Uuid,
        key -> Text,
        next_number -> Int8,
        issued -> Int8,
    }
}

diesel::table! {
    number_series (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        pattern -> Text,
        reset -> Text,
        last_issued_on -> Nullable<Date>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        kind -> Text,
    }
}

diesel::table! {
    occurrences (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        subscription_id -> Uuid,
        period_index -> Int4,
        period_start_on -> Date,
        period_end_on -> Date,
        scheduled_on -> Date,
        state -> Text,
        problem -> Nullable<Text>,
        invoice_id -> Nullable<Uuid>,
        attempts -> Int2,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        skip_reason -> Nullable<Text>,
    }
}

diesel::table! {
    operators (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        email -> Text,
        full_name -> Text,
        role -> Text,
        billing -> Text,
        supervisor_id -> Nullable<Uuid>,
        active -> Bool,
        locale -> Text,
        password_hash -> Nullable<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    opportunities (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        title -> Text,
        description -> Nullable<Text>,
        value -> Numeric,
        currency -> Text,
        pipeline_id -> Uuid,
        stage_id -> Uuid,
        stage_kind -> Text,
        stage_entered_at -> Timestamptz,
        caretaker_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        expected_close_on -> Nullable<Date>,
        sort_close_on -> Date,
        closed_at -> Nullable<Timestamptz>,
        tags -> Array<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    opportunity_tags (organization_id, tag, opportunity_id) {
        organization_id -> Uuid,
        tag -> Text,
        opportunity_id -> Uuid,
        sort_close_on -> Date,
    }
}

diesel::table! {
    organizations (id) {
        id -> Uuid,
        legal_name -> Text,
        tax_scheme -> Text,
        tax_country -> Nullable<Text>,
        tax_number -> Nullable<Text>,
        address -> Jsonb,
        bank_accounts -> Jsonb,
        currency -> Text,
        time_zone -> Text,
        locale -> Text,
        round_up_minutes -> Nullable<Int4>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        logo_file_id -> Nullable<Uuid>,
        automatic_invoicing_hour -> Nullable<Int2>,
        automatic_invoicing_set_at -> Nullable<Timestamptz>,
        email -> Jsonb,
        email_invoices -> Bool,
        reminders -> Nullable<Jsonb>,
        reminders_set_at -> Nullable<Timestamptz>,
        search_version -> Int4,
    }
}

diesel::table! {
    payment_allocations (organization_id, payment_id, invoice_id) {
        organization_id -> Uuid,
        payment_id -> Uuid,
        invoice_id -> Uuid,
        amount -> Numeric,
    }
}

diesel::table! {
    payments (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        amount -> Numeric,
        currency -> Text,
        paid_on -> Date,
        reference -> Nullable<Text>,
        allocated -> Numeric,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    people (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        registered_by_id -> Nullable<Uuid>,
        full_name -> Text,
        sort_name -> Text,
        position -> Nullable<Text>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        consents -> Jsonb,
        erased_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    pipelines (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        archived_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    price_changes (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        template_id -> Uuid,
        valid_from_on -> Date,
        percent -> Nullable<Numeric>,
        prices -> Jsonb,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    posting_lists (organization_id, term, first_number) {
        organization_id -> Uuid,
        term -> Text,
        first_number -> Int4,
        postings -> Bytea,
    }
}

diesel::table! {
    procedure_runs (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        procedure_id -> Uuid,
        procedure_version -> Int4,
        customer_id -> Uuid,
        period_start_on -> Nullable<Date>,
        period_end_on -> Nullable<Date>,
        started_on -> Date,
        task_id -> Uuid,
        registered_by_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        state -> Text,
    }
}

diesel::table! {
    procedure_schedule_customers (organization_id, schedule_id, customer_id) {
        organization_id -> Uuid,
        schedule_id -> Uuid,
        customer_id -> Uuid,
        is_listed -> Bool,
        extra_steps -> Jsonb,
    }
}

diesel::table! {
    procedure_schedules (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        procedure_id -> Uuid,
        every_unit -> Text,
        every_count -> Int4,
        first_on -> Date,
        day -> Nullable<Text>,
        timing -> Text,
        start_offset_days -> Int4,
        start_day_shift -> Text,
        ends_on -> Nullable<Date>,
        catch_up -> Text,
        is_listed -> Bool,
        customer_tag -> Nullable<Text>,
        caretaker_id -> Nullable<Uuid>,
        active -> Bool,
        next_index -> Int4,
        next_start_on -> Nullable<Date>,
        reached -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        retry_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    procedure_steps (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        run_id -> Uuid,
        position -> Int2,
        key -> Text,
        waits_for -> Array<Text>,
        task_id -> Uuid,
        caretaker_id -> Nullable<Uuid>,
        due_on -> Nullable<Date>,
        sort_due_on -> Date,
        files_required -> Int2,
        survey_id -> Nullable<Uuid>,
        is_extra -> Bool,
        opened_at -> Nullable<Timestamptz>,
        skip_reason -> Nullable<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
        procedure_id -> Uuid,
        customer_id -> Uuid,
        period_start_on -> Nullable<Date>,
        article_id -> Nullable<Uuid>,
        assignee -> Jsonb,
        is_done -> Bool,
        state -> Text,
    }
}

diesel::table! {
    procedure_versions (organization_id, procedure_id, version) {
        organization_id -> Uuid,
        procedure_id -> Uuid,
        version -> Int4,
        steps -> Jsonb,
        published_at -> Timestamptz,
    }
}

diesel::table! {
    procedures (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        steps -> Jsonb,
        published_version -> Int4,
        runs_started -> Int8,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    refresh_tokens (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        sign_in_id -> Uuid,
        token_hash -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    search_entries (organization_id, word, kind, place, record_id) {
        organization_id -> Uuid,
        word -> Text,
        kind -> Int2,
        place -> Int2,
        record_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::Tsvector;

    searched_records (organization_id, kind, record_id) {
        organization_id -> Uuid,
        kind -> Int2,
        record_id -> Uuid,
        title_words -> Int2,
        words -> Tsvector,
    }
}

diesel::table! {
    search_word_keys (organization_id, key, word) {
        organization_id -> Uuid,
        key -> Text,
        word -> Text,
    }
}

diesel::table! {
    search_words (organization_id, word) {
        organization_id -> Uuid,
        word -> Text,
        uses -> Int4,
    }
}

diesel::table! {
    reminder_days (organization_id, reminded_on) {
        organization_id -> Uuid,
        reminded_on -> Date,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sign_ins (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        operator_id -> Uuid,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    stage_changes (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        opportunity_id -> Uuid,
        from_stage_id -> Nullable<Uuid>,
        from_entered_at -> Nullable<Timestamptz>,
        to_stage_id -> Uuid,
        changed_at -> Timestamptz,
        operator_id -> Nullable<Uuid>,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    stages (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        pipeline_id -> Uuid,
        name -> Text,
        position -> Int2,
        kind -> Text,
        probability_percent -> Int2,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    subscriptions (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        template_id -> Uuid,
        customer_id -> Uuid,
        every_unit -> Text,
        every_count -> Int4,
        anchor_on -> Date,
        on_day -> Nullable<Int2>,
        on_last_day -> Bool,
        billing -> Text,
        issue_offset_days -> Int4,
        issue_day_shift -> Text,
        starts_on -> Date,
        ends_on -> Nullable<Date>,
        line_overrides -> Jsonb,
        catch_up -> Text,
        state -> Text,
        next_period -> Int4,
        next_issue_on -> Nullable<Date>,
        consecutive_failures -> Int2,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        prorate -> Bool,
        paused_on -> Nullable<Date>,
        last_run_id -> Nullable<Uuid>,
        email_invoices -> Text,
    }
}

diesel::table! {
    survey_links (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        survey_id -> Uuid,
        customer_id -> Nullable<Uuid>,
        person_id -> Nullable<Uuid>,
        single_use -> Bool,
        expires_at -> Timestamptz,
        secret_hash -> Bytea,
        used_at -> Nullable<Timestamptz>,
        registered_by_id -> Nullable<Uuid>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        task_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    survey_responses (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        survey_id -> Uuid,
        survey_version -> Int4,
        customer_id -> Nullable<Uuid>,
        person_id -> Nullable<Uuid>,
        operator_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        interaction_id -> Nullable<Uuid>,
        task_id -> Nullable<Uuid>,
        thread_id -> Nullable<Uuid>,
        link_id -> Nullable<Uuid>,
        answers -> Jsonb,
        completed_at -> Nullable<Timestamptz>,
        dated_at -> Timestamptz,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    survey_versions (organization_id, survey_id, version) {
        organization_id -> Uuid,
        survey_id -> Uuid,
        version -> Int4,
        questions -> Jsonb,
        published_at -> Timestamptz,
    }
}

diesel::table! {
    surveys (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        title -> Text,
        description -> Nullable<Text>,
        status -> Text,
        questions -> Jsonb,
        published_version -> Nullable<Int4>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    synonym_keys (organization_id, key, synonym_id) {
        organization_id -> Uuid,
        key -> Text,
        synonym_id -> Uuid,
    }
}

diesel::table! {
    synonyms (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        terms -> Array<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    task_reminders (organization_id, task_id, minutes_before) {
        organization_id -> Uuid,
        task_id -> Uuid,
        minutes_before -> Int4,
        remind_at -> Timestamptz,
    }
}

diesel::table! {
    task_series (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        rule -> Text,
        time_zone -> Text,
        first_at -> Timestamptz,
        ends_before -> Nullable<Timestamptz>,
        all_day -> Bool,
        lead_minutes -> Nullable<Int4>,
        title -> Text,
        description -> Nullable<Text>,
        customer_id -> Nullable<Uuid>,
        caretaker_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        priority -> Text,
        estimate_minutes -> Nullable<Int4>,
        thread_id -> Nullable<Uuid>,
        parent_task_id -> Nullable<Uuid>,
        parent_interaction_id -> Nullable<Uuid>,
        opportunity_id -> Nullable<Uuid>,
        tags -> Array<Text>,
        reminder_minutes -> Array<Int4>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    task_tags (organization_id, tag, task_id) {
        organization_id -> Uuid,
        tag -> Text,
        task_id -> Uuid,
        deadline_at -> Timestamptz,
    }
}

diesel::table! {
    tasks (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        title -> Text,
        description -> Nullable<Text>,
        customer_id -> Nullable<Uuid>,
        caretaker_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        priority -> Text,
        status -> Text,
        percent_done -> Int2,
        start_at -> Nullable<Timestamptz>,
        due_at -> Nullable<Timestamptz>,
        all_day -> Bool,
        deadline_at -> Timestamptz,
        dated_at -> Timestamptz,
        estimate_minutes -> Nullable<Int4>,
        planned_minutes -> Nullable<Int8>,
        thread_id -> Nullable<Uuid>,
        parent_task_id -> Nullable<Uuid>,
        parent_interaction_id -> Nullable<Uuid>,
        opportunity_id -> Nullable<Uuid>,
        task_series_id -> Nullable<Uuid>,
        occurrence_at -> Nullable<Timestamptz>,
        tags -> Array<Text>,
        reminder_minutes -> Array<Int4>,
        assigned_at -> Nullable<Timestamptz>,
        closed_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        starts_at -> Nullable<Timestamptz>,
        ends_at -> Nullable<Timestamptz>,
        length_class -> Nullable<Int2>,
    }
}

diesel::table! {
    thread_tags (organization_id, tag, thread_id) {
        organization_id -> Uuid,
        tag -> Text,
        thread_id -> Uuid,
    }
}

diesel::table! {
    threads (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        subject -> Text,
        description -> Nullable<Text>,
        customer_id -> Nullable<Uuid>,
        caretaker_id -> Nullable<Uuid>,
        registered_by_id -> Nullable<Uuid>,
        status -> Text,
        closed_at -> Nullable<Timestamptz>,
        merged_into_id -> Nullable<Uuid>,
        tags -> Array<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    timers (organization_id, operator_id) {
        organization_id -> Uuid,
        operator_id -> Uuid,
        task_id -> Uuid,
        started_at -> Timestamptz,
        note -> Nullable<Text>,
        billable -> Bool,
    }
}

diesel::table! {
    work_entries (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        task_id -> Uuid,
        customer_id -> Nullable<Uuid>,
        thread_id -> Nullable<Uuid>,
        opportunity_id -> Nullable<Uuid>,
        stage_id -> Nullable<Uuid>,
        operator_id -> Uuid,
        registered_by_id -> Nullable<Uuid>,
        started_at -> Timestamptz,
        duration_minutes -> Int4,
        note -> Nullable<Text>,
        billable -> Bool,
        hourly_rate -> Nullable<Numeric>,
        billed_minutes -> Int4,
        resolved_rate -> Nullable<Numeric>,
        rate_source -> Nullable<Text>,
        cost -> Nullable<Numeric>,
        currency -> Text,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        invoice_id -> Nullable<Uuid>,
        is_given_back -> Bool,
    }
}

diesel::joinable!(api_keys -> organizations (organization_id));
diesel::joinable!(article_categories -> organizations (organization_id));
diesel::joinable!(posting_lists -> organizations (organization_id));
diesel::joinable!(articles -> organizations (organization_id));
diesel::joinable!(audit_entries -> organizations (organization_id));
diesel::joinable!(calendar_feeds -> organizations (organization_id));
diesel::joinable!(customers -> organizations (organization_id));
diesel::joinable!(events -> organizations (organization_id));
diesel::joinable!(exchange_rates -> organizations (organization_id));
diesel::joinable!(file_objects -> organizations (organization_id));
diesel::joinable!(hourly_rates -> organizations (organization_id));
diesel::joinable!(idempotency_keys -> organizations (organization_id));
diesel::joinable!(invoice_layouts -> organizations (organization_id));
diesel::joinable!(invoice_runs -> organizations (organization_id));
diesel::joinable!(invoice_templates -> organizations (organization_id));
diesel::joinable!(missed_searches -> organizations (organization_id));
diesel::joinable!(month_locks -> organizations (organization_id));
diesel::joinable!(number_series -> organizations (organization_id));
diesel::joinable!(operators -> organizations (organization_id));
diesel::joinable!(pipelines -> organizations (organization_id));
diesel::joinable!(searched_records -> organizations (organization_id));
diesel::joinable!(search_words -> organizations (organization_id));
diesel::joinable!(synonyms -> organizations (organization_id));
diesel::joinable!(procedure_schedules -> organizations (organization_id));
diesel::joinable!(procedures -> organizations (organization_id));
diesel::joinable!(surveys -> organizations (organization_id));
diesel::joinable!(reminder_days -> organizations (organization_id));
diesel::joinable!(task_series -> organizations (organization_id));
diesel::joinable!(tasks -> organizations (organization_id));
diesel::joinable!(threads -> organizations (organization_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    article_categories,
    article_indexes,
    article_links,
    article_revisions,
    article_tags,
    article_uses,
    article_votes,
    articles,
    attachments,
    audit_entries,
    calendar_feeds,
    customer_tags,
    customers,
    events,
    exchange_rates,
    extra_lines,
    file_objects,
    files,
    hourly_rates,
    idempotency_keys,
    interaction_tags,
    interactions,
    invoice_balances,
    invoice_documents,
    invoice_emails,
    invoice_ksef_numbers,
    invoice_layouts,
    invoice_lines,
    invoice_run_results,
    invoice_runs,
    invoice_templates,
    invoice_time_entries,
    invoices,
    missed_searches,
    month_locks,
    number_counters,
    number_series,
    occurrences,
    operators,
    opportunities,
    opportunity_tags,
    organizations,
    payment_allocations,
    payments,
    people,
    pipelines,
    price_changes,
    posting_lists,
    procedure_runs,
    procedure_schedule_customers,
    procedure_schedules,
    procedure_steps,
    procedure_versions,
    procedures,
    refresh_tokens,
    search_entries,
    search_word_keys,
    search_words,
    searched_records,
    reminder_days,
    sign_ins,
    stage_changes,
    stages,
    subscriptions,
    synonym_keys,
    synonyms,
    survey_links,
    survey_responses,
    survey_versions,
    surveys,
    task_reminders,
    task_series,
    task_tags,
    tasks,
    thread_tags,
    threads,
    timers,
    work_entries,
);
