{% test expect_table_aggregation_to_equal_other_table(
    model,
    expression,
    compare_model,
    compare_expression=none,
    group_by=none,
    compare_group_by=none,
    row_condition=none,
    compare_row_condition=none,
    tolerance=0.0,
    tolerance_percent=none
) %}
{%- set keys = group_by or [] -%}
{%- set compare_keys = compare_group_by or keys -%}
with this_side as (
    {{ dbt_expectations.aggregate_by(model, expression, keys, row_condition) }}
),

other_side as (
    {{ dbt_expectations.aggregate_by(
        compare_model, compare_expression or expression, compare_keys, compare_row_condition or row_condition
    ) }}
),

difference as (
    select
        {%- for key in keys %}
        coalesce(this_side.key_{{ loop.index }}, other_side.key_{{ loop.index }}) as key_{{ loop.index }},
        {%- endfor %}
        coalesce(this_side.aggregate, 0) as aggregate,
        coalesce(other_side.aggregate, 0) as other_aggregate,
        abs(coalesce(this_side.aggregate, 0) - coalesce(other_side.aggregate, 0)) as distance
    from this_side
    full outer join other_side
        on this_side.key_0 = other_side.key_0
        {%- for key in keys %}
        and this_side.key_{{ loop.index }} = other_side.key_{{ loop.index }}
        {%- endfor %}
)

select *
from difference
{%- if tolerance_percent %}
where 1.0 * distance / nullif(aggregate, 0) > {{ tolerance_percent }}
{%- else %}
where distance > {{ tolerance }}
{%- endif %}
{% endtest %}
