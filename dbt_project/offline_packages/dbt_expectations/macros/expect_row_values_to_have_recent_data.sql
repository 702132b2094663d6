{% test expect_row_values_to_have_recent_data(model, column_name, datepart, interval, row_condition=none) %}
{%- set moment = "cast(" ~ column_name ~ " as timestamp)" -%}
with newest as (
    select max({{ moment }}) as newest_at
    from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
    where {{ moment }} <= {{ dbt_expectations.local_now() }}
)

select newest_at
from newest
where
    coalesce(newest_at, cast('1970-01-01' as timestamp))
    < {{ dbt.dateadd(datepart, interval * -1, dbt_expectations.local_now()) }}
{% endtest %}
