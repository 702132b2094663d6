{#- A landed JSON list as jsonb (Postgres only); NULL, and so no elements, where it is absent or none. -#}
{% macro json_list(text) -%}
    case
        when {{ text }} like '[%' and pg_input_is_valid({{ text }}, 'jsonb') then cast({{ text }} as jsonb)
    end
{%- endmacro %}
