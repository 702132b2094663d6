{#- A landed text with offset, such as 2026-03-01T06:00:00+0100, as timestamptz. -#}
{% macro to_instant(text) -%}
    {{ try_cast(text, 'timestamptz') }}
{%- endmacro %}
