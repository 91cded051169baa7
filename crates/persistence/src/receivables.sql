with paid_since as (
    select a.invoice_id, sum(a.amount) as amount
    from payments p
    join payment_allocations a on a.organization_id = p.organization_id and a.payment_id = p.id
    where p.organization_id = $1 and p.paid_on > $2
    group by a.invoice_id
), corrected_since as (
    select c.corrects_id as invoice_id, sum(c.gross) as amount
    from invoices c
    where c.organization_id = $1 and c.kind = 'correction' and c.status = 'issued' and c.issued_on > $2
    group by c.corrects_id
), candidates as (
    select b.invoice_id, b.customer_id, b.currency, b.issued_on, b.due_on, b.gross - b.paid as owed
    from invoice_balances b
    where b.organization_id = $1 and b.paid < b.gross
    union all
    select b.invoice_id, b.customer_id, b.currency, b.issued_on, b.due_on, b.gross - b.paid
    from invoice_balances b
    where b.organization_id = $1 and b.paid >= b.gross
        and b.invoice_id in (select invoice_id from paid_since union select invoice_id from corrected_since)
), owed as (
    select c.customer_id, c.currency, $2 - c.due_on as days_late,
        c.owed + coalesce(p.amount, 0) - coalesce(k.amount, 0) as owed
    from candidates c
    left join paid_since p on p.invoice_id = c.invoice_id
    left join corrected_since k on k.invoice_id = c.invoice_id
    where c.issued_on <= $2
), sums as (
    select customer_id, currency,
        coalesce(sum(owed) filter (where days_late <= 0), 0) as not_yet_due,
        coalesce(sum(owed) filter (where days_late between 1 and 30), 0) as days_1_to_30,
        coalesce(sum(owed) filter (where days_late between 31 and 60), 0) as days_31_to_60,
        coalesce(sum(owed) filter (where days_late between 61 and 90), 0) as days_61_to_90,
        coalesce(sum(owed) filter (where days_late > 90), 0) as days_over_90,
        sum(owed) as total
    from owed
    where owed > 0
    group by customer_id, currency
)
select s.customer_id, c.name as customer_name, s.currency, s.not_yet_due, s.days_1_to_30, s.days_31_to_60,
    s.days_61_to_90, s.days_over_90, s.total
from sums s
join customers c on c.organization_id = $1 and c.id = s.customer_id
order by c.sort_name, s.customer_id, s.currency
