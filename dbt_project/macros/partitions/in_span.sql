{#- A condition that bounds days by the first and last one that `query` answers, as constants; false where it has none. -#}
{% macro in_span(column, query) -%}
    {%- set span = run_query(query).rows[0] -%}
    {%- if span[0] is none -%}
        false
    {%- else -%}
        {{ column }} between cast('{{ span[0] }}' as date) and cast('{{ span[1] }}' as date)
    {%- endif -%}
{%- endmacro %}
