{% test expect_column_pair_values_A_to_be_greater_than_B(
    model, column_A, column_B, or_equal=false, row_condition=none
) %}
select *
from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
where not ({{ column_A }} {{ ">=" if or_equal else ">" }} {{ column_B }})
{% endtest %}
