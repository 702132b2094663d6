{#- The key of something the platform names by `id`; the unknown member where the platform gave no id. `scope` are
    the expressions without which the id is not unique. -#}
{% macro entity_key(scope, id) -%}
    case when {{ id }} is null then {{ unknown_key() }} else {{ surrogate_key(scope + [id]) }} end
{%- endmacro %}
