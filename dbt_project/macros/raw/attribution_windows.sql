{#- The keys of an action's element that hold figures: `value` and the windows that loaders/facebook_ads.py asks for
    (action_attribution_windows). The others (action_type, breakdowns) are no figures. -#}
{% macro attribution_windows() -%}
    {{ return(['value', '1d_click', '7d_click', '28d_click', '1d_view']) }}
{%- endmacro %}
