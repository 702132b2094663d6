{#- Is a Google campaign of a type whose spend has no ad rows? -#}
{% macro is_without_ad_rows(channel_type) -%}
    coalesce({{ channel_type }} in ('PERFORMANCE_MAX', 'SMART'), false)
{%- endmacro %}
