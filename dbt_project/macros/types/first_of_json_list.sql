{#- The first item of a landed JSON list as text; NULL where it is absent, empty or none. -#}
{% macro first_of_json_list(text) -%}
    {{ return(adapter.dispatch('first_of_json_list', 'adstar')(text)) }}
{%- endmacro %}

{% macro postgres__first_of_json_list(text) -%}
    ({{ json_list(text) }}) ->> 0
{%- endmacro %}

{% macro redshift__first_of_json_list(text) -%}
    nullif(json_extract_array_element_text({{ text }}, 0, true), '')
{%- endmacro %}
