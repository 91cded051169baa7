-- The invoices of January, computed and written by one statement: net prices, VAT by rate on the sum of its lines.
with due as materialized (
    select
        s.organization_id, s.id as subscription_id, s.customer_id, s.template_id, gen_random_uuid() as invoice_id,
        row_number() over (order by s.id) as number,
        t.series_id, t.currency, t.price_mode, t.payment_days, t.payment_method, t.language, t.lines,
        jsonb_build_object('name', o.legal_name, 'tax_scheme', o.tax_scheme, 'tax_country', o.tax_country,
            'tax_number', o.tax_number, 'address', o.address) as seller,
        jsonb_build_object('name', c.name, 'tax_scheme', c.tax_scheme, 'tax_country', c.tax_country,
            'tax_number', c.tax_number, 'address', c.billing_address) as buyer
    from subscriptions s
    join invoice_templates t on t.organization_id = s.organization_id and t.id = s.template_id
    join customers c on c.organization_id = s.organization_id and c.id = s.customer_id
    join organizations o on o.id = s.organization_id
    where s.state = 'active' and s.next_issue_on <= '2026-01-31'
),
written as (
    insert into invoices (
        organization_id, id, kind, status, series_id, number, customer_id, template_id, subscription_id, seller, buyer,
        issued_on, sold_on, period_start_on, period_end_on, due_on, currency, price_mode, payment_method, language,
        vat_totals, net, vat, gross, created_at, updated_at
    )
    select
        d.organization_id, d.invoice_id, 'invoice', 'issued', d.series_id, 'FV/' || d.number || '/01/2026',
        d.customer_id, d.template_id, d.subscription_id, d.seller, d.buyer, '2026-01-31', '2026-01-31', '2026-01-01',
        '2026-02-01', date '2026-01-31' + d.payment_days, d.currency, d.price_mode, d.payment_method, d.language,
        sums.vat_totals, sums.net, sums.vat, sums.net + sums.vat, now(), now()
    from due d
    cross join lateral (
        select
            sum(r.net) as net, sum(r.vat) as vat,
            jsonb_agg(jsonb_build_object('code', r.code, 'net', r.net, 'vat', r.vat, 'gross', r.net + r.vat)) as vat_totals
        from (
            select code, sum(net) as net, round(sum(net) * code::numeric / 100, 2) as vat
            from (
                select
                    line #>> '{vat,code}' as code,
                    round((line ->> 'quantity')::numeric * (line ->> 'unit_price')::numeric, 2) as net
                from jsonb_array_elements(d.lines) line
            ) lines
            group by code
        ) r
    ) sums
)
insert into invoice_lines (
    organization_id, invoice_id, position, key, text, quantity, unit, unit_price, vat_code, annex_15, net
)
select
    d.organization_id, d.invoice_id, line.position, line.value ->> 'key',
    replace(line.value ->> 'text', '{{period.month_name}} {{period.year}}', 'styczeń 2026'),
    (line.value ->> 'quantity')::numeric, line.value ->> 'unit', (line.value ->> 'unit_price')::numeric,
    line.value #>> '{vat,code}', coalesce((line.value ->> 'annex_15')::boolean, false),
    round((line.value ->> 'quantity')::numeric * (line.value ->> 'unit_price')::numeric, 2)
from due d
cross join lateral jsonb_array_elements(d.lines) with ordinality line (value, position);
