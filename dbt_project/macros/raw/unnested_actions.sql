{#- Meta's `actions` and `action_values` (landed JSON lists of an ad's day) as rows: one for each action type and
    attribution window, with the number and the worth of the conversions. `columns` of the relation are kept.
    The element's `value` is Meta's figure under the ad set's own attribution setting: window 'default'. -#}
{% macro unnested_actions(relation, columns) -%}
    {{ return(adapter.dispatch('unnested_actions', 'adstar')(relation, columns)) }}
{%- endmacro %}

{% macro postgres__unnested_actions(relation, columns) -%}
    select
        {%- for column in columns %}
        ad_days.{{ column }},
        {%- endfor %}
        acts.action_type,
        acts.attribution_window,
        acts.conversions,
        acts.conversion_value
    from {{ relation }} as ad_days
    cross join lateral (
        select
            lists.element ->> 'action_type' as action_type,
            case figures.key when 'value' then 'default' else figures.key end as attribution_window,
            sum(case when lists.is_count then {{ to_money('figures.value') }} end) as conversions,
            sum(case when not lists.is_count then {{ to_money('figures.value') }} end) as conversion_value
        from (
            select
                jsonb_array_elements({{ json_list('ad_days.actions') }}) as element,
                true as is_count
            union all
            select
                jsonb_array_elements({{ json_list('ad_days.action_values') }}) as element,
                false as is_count
        ) as lists
        cross join lateral jsonb_each_text(lists.element) as figures
        where figures.key in ({{ attribution_windows() }})
        group by 1, 2
    ) as acts
{%- endmacro %}

{% macro redshift__unnested_actions(relation, columns) -%}
    select
        {%- for column in columns %}
        acts.{{ column }},
        {%- endfor %}
        acts.action_type,
        acts.attribution_window,
        sum(case when acts.is_count then acts.figure end) as conversions,
        sum(case when not acts.is_count then acts.figure end) as conversion_value
    from (
        {%- for list in ['actions', 'action_values'] %}
        select
            {%- for column in columns %}
            ad_days.{{ column }},
            {%- endfor %}
            cast(element.action_type as {{ type_text() }}) as action_type,
            case when key = 'value' then 'default' else key end as attribution_window,
            {{ 'true' if list == 'actions' else 'false' }} as is_count,
            {{ try_cast('cast(figure as ' ~ type_text() ~ ')', type_money()) }} as figure
        from {{ relation }} as ad_days, ad_days.{{ list }} as element, unpivot element as figure at key
        where key in ({{ attribution_windows() }})
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as acts
    group by
        {%- for column in columns %}
        acts.{{ column }},
        {%- endfor %}
        acts.action_type,
        acts.attribution_window
{%- endmacro %}
