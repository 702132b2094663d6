{#- What stands at a path of a SUPER value as text; NULL where nothing does, or JSON's null (Redshift only). -#}
{% macro member_text(path) -%}
    case when json_typeof({{ path }}) <> 'null' then {{ document_text(path) }} end
{%- endmacro %}
