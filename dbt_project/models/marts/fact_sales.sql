{{
    config(
        indexes=[{'columns': ['sold_date']}, {'columns': ['user_key']}],
        dist='user_key',
        sort=['sold_date', 'user_key'],
        post_hook='analyze {{ this }}',
    )
}}
-- A table built whole: who a sale belongs to may change with any new sign-up or merger, however old the sale is.
with lines as (
    select
        *,
        {{ local_date('ordered_at', "'" ~ var('shop_time_zone') ~ "'") }} as sold_date
    from {{ ref('int_order_lines__refunded') }}
)

select
    lines.database_name,
    lines.order_line_id,
    lines.order_id,
    lines.ordered_at as sold_at,
    lines.sold_date,
    coalesce(identities.user_key, {{ unknown_key() }}) as user_key,
    {{ entity_key(['lines.database_name'], 'lines.product_id') }} as product_key,
    lines.order_status,
    lines.quantity,
    lines.unit_price,
    lines.gross_amount,
    lines.refund_amount,
    cast(lines.gross_amount - lines.refund_amount as {{ type_money() }}) as net_amount,
    coalesce(lines.currency_code, 'XXX') as currency_code,
    {{ converted('lines.gross_amount', 'rates.rate') }} as gross_amount_reporting,
    {{ converted('lines.refund_amount', 'rates.rate') }} as refund_amount_reporting,
    {{ converted('lines.gross_amount', 'rates.rate') }}
    - {{ converted('lines.refund_amount', 'rates.rate') }} as net_amount_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    rates.rate as exchange_rate,
    lines.refunded_at,
    lines.run_seq,
    lines.read_at
from lines
left join {{ ref('int_identities__resolved') }} as identities
    on lines.user_pseudonym = identities.identity_pseudonym
-- All of a sale, its refund too, by the rate of the day it was sold on: what was given back was booked at that rate.
left join {{ ref('int_exchange_rates__daily') }} as rates
    on
        lines.sold_date = rates.date_day
        and lines.currency_code = rates.currency_code
