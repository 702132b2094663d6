{{ config(dist='all', sort='date_day') }}

with digits as (
    {%- for digit in range(10) %}
    select {{ digit }} as digit{{ ' union all' if not loop.last }}
    {%- endfor %}
),

days as (
    select
        cast('{{ var("calendar_since") }}' as date)
        + (1000 * thousands.digit + 100 * hundreds.digit + 10 * tens.digit + ones.digit) as date_day
    from digits as thousands
    cross join digits as hundreds
    cross join digits as tens
    cross join digits as ones
)

select
    date_day,
    cast(extract(year from date_day) as integer) as year_number,
    cast(extract(quarter from date_day) as integer) as quarter_of_year,
    cast(extract(month from date_day) as integer) as month_of_year,
    cast(extract(day from date_day) as integer) as day_of_month,
    cast(extract(dow from date_day) as integer) as day_of_week,
    cast(trim(to_char(date_day, 'Day')) as {{ type_text() }}) as day_name,
    cast(trim(to_char(date_day, 'Month')) as {{ type_text() }}) as month_name,
    cast(date_trunc('week', date_day) as date) as week_start_date,
    cast(date_trunc('month', date_day) as date) as month_start_date,
    cast(date_trunc('quarter', date_day) as date) as quarter_start_date,
    cast(date_trunc('year', date_day) as date) as year_start_date,
    extract(dow from date_day) in (0, 6) as is_weekend
from days
where date_day <= cast('{{ var("calendar_until") }}' as date)
