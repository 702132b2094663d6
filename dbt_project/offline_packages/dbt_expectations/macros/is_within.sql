{#- A condition: the expression lies within the bounds, of which one may be missing. -#}
{% macro is_within(expression, min_value, max_value, strictly) -%}
    {%- if min_value is none and max_value is none -%}
        {{ exceptions.raise_compiler_error("give min_value, max_value or both: without a bound nothing is tested") }}
    {%- endif -%}
    {%- set equal = "" if strictly else "=" -%}
    {%- set conditions = [] -%}
    {%- if min_value is not none -%}
        {%- do conditions.append(expression ~ " >" ~ equal ~ " " ~ min_value) -%}
    {%- endif -%}
    {%- if max_value is not none -%}
        {%- do conditions.append(expression ~ " <" ~ equal ~ " " ~ max_value) -%}
    {%- endif -%}
    {{ conditions | join(" and ") }}
{%- endmacro %}
