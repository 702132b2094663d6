{#- A landed JSON text as jsonb (Postgres only); NULL where it is absent or no JSON. JSON may spell what jsonb can't hold,
    U+0000 and half of a pair of surrogates: in their place stands what raw has in the place of such characters, U+E000
    and their digits (loaders/_core/text.py). Whole pairs are put aside meanwhile, under an escape that JSON lacks. -#}
{% macro json_document(text) -%}
    {%- set unescaped = '(?<!\\\\)((?:\\\\\\\\)*)\\\\' -%}
    {%- set digits = '[0-9a-fA-F]{2}' -%}
    {%- set pair = unescaped ~ 'u([dD][89abAB]' ~ digits ~ ')\\\\u([dD][c-fC-F]' ~ digits ~ ')' -%}
    {%- set aside = "regexp_replace(" ~ text ~ ", '" ~ pair ~ "', '\\1\\\\p\\2\\3', 'g')" -%}
    {%- set unholdable = unescaped ~ 'u(0000|[dD][89a-fA-F]' ~ digits ~ ')' -%}
    {%- set marked = "regexp_replace(" ~ aside ~ ", '" ~ unholdable ~ "', '\\1\\\\ue000\\2', 'g')" -%}
    {%- set holdable = "regexp_replace(" ~ marked ~ ", '" ~ unescaped ~ "p(.{4})(.{4})', '\\1\\\\u\\2\\\\u\\3', 'g')" -%}
    case
        when pg_input_is_valid({{ text }}, 'jsonb') then cast({{ text }} as jsonb)
        when pg_input_is_valid({{ holdable }}, 'jsonb') then cast({{ holdable }} as jsonb)
    end
{%- endmacro %}
