{#- A landed text that is JSON as Postgres spells it (spaces, order of keys); any other text as it is. -#}
{% macro json_spelled(text) -%}
    case
        when pg_input_is_valid({{ text }}, 'jsonb') then cast(cast({{ text }} as jsonb) as text)
        else {{ text }}
    end
{%- endmacro %}
