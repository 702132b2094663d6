{% test expect_column_values_to_be_in_set(model, column_name, value_set, quote_values=true, row_condition=none) %}
{%- set members = [] -%}
{%- for value in value_set -%}
    {%- do members.append("cast('" ~ value ~ "' as " ~ dbt.type_string() ~ ")" if quote_values else value) -%}
{%- endfor %}
select *
from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
where not coalesce({{ column_name }} in ({{ members | join(", ") }}), false)
{% endtest %}
