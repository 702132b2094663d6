{% test expect_compound_columns_to_be_unique(
    model, column_list, quote_columns=false, ignore_row_if="all_values_are_missing", row_condition=none
) %}
{%- set connectives = {"all_values_are_missing": " or ", "any_value_is_missing": " and "} -%}
{%- if ignore_row_if not in connectives -%}
    {{ exceptions.raise_compiler_error(
        "ignore_row_if is '" ~ ignore_row_if ~ "'; it can be " ~ connectives | join(" or ")
    ) }}
{%- endif -%}
{%- if not column_list -%}
    {{ exceptions.raise_compiler_error("column_list is empty: name the columns that make the key") }}
{%- endif -%}
{%- set keys = [] -%}
{%- set present = [] -%}
{%- for column in column_list -%}
    {%- set key = adapter.quote(column) if quote_columns else column -%}
    {%- do keys.append(key) -%}
    {%- do present.append(key ~ " is not null") -%}
{%- endfor %}
select {{ keys | join(", ") }}, count(*) as row_count
from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
where {{ present | join(connectives[ignore_row_if]) }}
{{ dbt_expectations.group_clause(keys) }}
having count(*) > 1
{% endtest %}
