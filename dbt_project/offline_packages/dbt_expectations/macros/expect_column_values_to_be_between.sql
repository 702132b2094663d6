{% test expect_column_values_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false
) %}
select *
from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
where not ({{ dbt_expectations.is_within(column_name, min_value, max_value, strictly) }})
{% endtest %}
