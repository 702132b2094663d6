{#- The keys of an action's element that hold figures, as a list of literals: `value` and the attribution windows
    that Meta names. The others (action_type, breakdowns) are no figures. -#}
{% macro attribution_windows() -%}
    'value', '1d_click', '7d_click', '28d_click', '1d_view', '1d_ev', 'dda', 'inline'
{%- endmacro %}
