{% test expect_column_values_to_match_regex(model, column_name, regex, row_condition=none, is_raw=false, flags="") %}
select *
from (select * {{ dbt_expectations.rows_of(model, row_condition) }}) as checked
where not ({{ dbt_expectations.matches_regex(column_name, regex, flags, is_raw) }})
{% endtest %}
