{#- Meta's `actions` and `action_values` (landed JSON lists of an ad's day) as rows: one for each action type and
    attribution window, with the number and the worth of the conversions. `columns` of the relation are kept, and
    `keys` (name -> expression over ad_days) are computed once for each ad's day, not for each of its rows.
    The element's `value` is Meta's figure under the ad set's own attribution setting: window 'default'. -#}
{% macro unnested_actions(relation, columns, keys, action_key) -%}
    {{ return(adapter.dispatch('unnested_actions', 'adstar')(relation, columns, keys, action_key)) }}
{%- endmacro %}

{#- Keys go through unnest, because Postgres would move plain expressions behind the joins that multiply the rows;
    OFFSET 0 would stop that too, and parallel reading with it. -#}
{% macro postgres__unnested_actions(relation, columns, keys, action_key) -%}
    {%- set windows = attribution_windows() -%}
    {%- set record -%}
        (action_type text{% for window in windows %}, "{{ window }}" text{% endfor %})
    {%- endset %}
    select
        {%- for column in columns %}
        ad_days.{{ column }},
        {%- endfor %}
        {%- for name in keys %}
        ad_keys.{{ name }},
        {%- endfor %}
        acts.action_type,
        action_keys.conversion_action_key,
        figures.attribution_window,
        {{ to_money('figures.conversions') }} as conversions,
        {{ to_money('figures.conversion_value') }} as conversion_value
    from {{ relation }} as ad_days
    cross join lateral unnest(
        {%- for expression in keys.values() %}
        array[{{ expression }}]{{ ',' if not loop.last }}
        {%- endfor %}
    ) as ad_keys ({{ keys.keys() | join(', ') }})
    cross join lateral (
        select
            {%- for window in windows %}
            counts."{{ window }}" as "count_{{ window }}",
            worths."{{ window }}" as "worth_{{ window }}",
            {%- endfor %}
            coalesce(counts.action_type, worths.action_type) as action_type
        from jsonb_to_recordset({{ json_list('ad_days.actions') }}) as counts {{ record }}
        full join jsonb_to_recordset({{ json_list('ad_days.action_values') }}) as worths {{ record }}
            on counts.action_type = worths.action_type
    ) as acts
    cross join lateral unnest(array[{{ action_key }}]) as action_keys (conversion_action_key)
    cross join lateral (
        values
        {%- for window in windows %}
        ('{{ 'default' if window == 'value' else window }}', acts."count_{{ window }}", acts."worth_{{ window }}")
        {{- ',' if not loop.last }}
        {%- endfor %}
    ) as figures (attribution_window, conversions, conversion_value)
    where figures.conversions is not null or figures.conversion_value is not null
{%- endmacro %}

{% macro redshift__unnested_actions(relation, columns, keys, action_key) -%}
    with figures as (
        {%- for list in ['actions', 'action_values'] %}
        select
            {%- for column in columns %}
            ad_days.{{ column }},
            {%- endfor %}
            {%- for name, expression in keys.items() %}
            {{ expression }} as {{ name }},
            {%- endfor %}
            cast(element.action_type as {{ type_text() }}) as action_type,
            case when window_name = 'value' then 'default' else window_name end as attribution_window,
            {{ "'count'" if list == 'actions' else "'worth'" }} as measure,
            {{ try_cast('cast(figure as ' ~ type_text() ~ ')', type_money()) }} as figure
        from
            (
                select
                    *,
                    case when can_json_parse({{ list }}) then json_parse({{ list }}) end as landed_list
                from {{ relation }}
            ) as ad_days,
            ad_days.landed_list as element,
            unpivot element as figure at window_name
        where window_name in ('{{ attribution_windows() | join("', '") }}')
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    )

    select
        {%- for name in columns + keys.keys() | list %}
        acts.{{ name }},
        {%- endfor %}
        acts.action_type,
        {{ action_key }} as conversion_action_key,
        acts.attribution_window,
        sum(case when acts.measure = 'count' then acts.figure end) as conversions,
        sum(case when acts.measure = 'worth' then acts.figure end) as conversion_value
    from figures as acts
    group by
        {%- for name in columns + keys.keys() | list %}
        acts.{{ name }},
        {%- endfor %}
        acts.action_type,
        acts.attribution_window
{%- endmacro %}
