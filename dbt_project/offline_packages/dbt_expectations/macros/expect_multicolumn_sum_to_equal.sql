{% test expect_multicolumn_sum_to_equal(model, column_list, sum_total, group_by=none, row_condition=none) %}
{%- set sums = [] -%}
{%- for column in column_list -%}
    {%- do sums.append("sum(" ~ column ~ ")") -%}
{%- endfor -%}
{%- set total = sum_total if sum_total is number else "sum(" ~ sum_total ~ ")" %}
select {% for key in group_by or [] %}{{ key }}, {% endfor %}{{ sums | join(" + ") }} as sum_of_columns
{{ dbt_expectations.rows_of(model, row_condition) }}
{{ dbt_expectations.group_clause(group_by) }}
having {{ sums | join(" + ") }} <> {{ total }}
{% endtest %}
