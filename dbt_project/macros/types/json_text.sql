{#- One field of a landed JSON object as text; NULL where the object is absent or no JSON. -#}
{% macro json_text(object, field) -%}
    {{ return(adapter.dispatch('json_text', 'adstar')(object, field)) }}
{%- endmacro %}

{% macro postgres__json_text(object, field) -%}
    case when pg_input_is_valid({{ object }}, 'jsonb') then cast({{ object }} as jsonb) ->> '{{ field }}' end
{%- endmacro %}

{% macro redshift__json_text(object, field) -%}
    json_extract_path_text({{ object }}, '{{ field }}', true)
{%- endmacro %}
