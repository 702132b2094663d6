{% test expect_column_distinct_count_to_equal(model, column_name, value, group_by=none, row_condition=none) %}
select {% for key in group_by or [] %}{{ key }}, {% endfor %}count(distinct {{ column_name }}) as distinct_count
{{ dbt_expectations.rows_of(model, row_condition) }}
{{ dbt_expectations.group_clause(group_by) }}
having count(distinct {{ column_name }}) <> {{ value }}
{% endtest %}
