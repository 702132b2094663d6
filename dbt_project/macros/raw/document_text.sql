{#- A SUPER value as the text it landed from: lists and objects as JSON, a text without quotes (Redshift only). -#}
{% macro document_text(value) -%}
    case when is_varchar({{ value }}) then cast({{ value }} as {{ type_text() }}) else json_serialize({{ value }}) end
{%- endmacro %}
