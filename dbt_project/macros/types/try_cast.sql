{#- A landed text as a type; NULL where it is none, so that one odd value neither stops the build nor loses its row
    (assert_fields_are_as_declared names it). Asking Postgres costs a tenth of a regular expression. -#}
{% macro try_cast(text, type) -%}
    {{ return(adapter.dispatch('try_cast', 'adstar')(text, type)) }}
{%- endmacro %}

{% macro postgres__try_cast(text, type) -%}
    case when pg_input_is_valid({{ text }}, '{{ type }}') then cast({{ text }} as {{ type }}) end
{%- endmacro %}

{% macro redshift__try_cast(text, type) -%}
    try_cast({{ text }} as {{ type }})
{%- endmacro %}
