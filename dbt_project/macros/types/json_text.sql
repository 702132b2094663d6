{#- What stands in a landed JSON object at the path of names that follow it, as text; NULL where nothing does, or where the
    object is absent or no JSON. -#}
{% macro json_text(object) -%}
    {{ return(adapter.dispatch('json_text', 'adstar')(object, varargs)) }}
{%- endmacro %}

{% macro postgres__json_text(object, path) -%}
    ({{ json_document(object) }}) #>> '{% raw %}{{% endraw %}{{ path | join(',') }}}'
{%- endmacro %}

{% macro redshift__json_text(object, path) -%}
    json_extract_path_text({{ object }}, '{{ path | join("', '") }}', true)
{%- endmacro %}
