{% test expect_table_row_count_to_be_between(
    model, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false
) %}
select {% for key in group_by or [] %}{{ key }}, {% endfor %}count(*) as row_count
{{ dbt_expectations.rows_of(model, row_condition) }}
{{ dbt_expectations.group_clause(group_by) }}
having not ({{ dbt_expectations.is_within("count(*)", min_value, max_value, strictly) }})
{% endtest %}
