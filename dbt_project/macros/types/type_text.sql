{#- Text of any length. Redshift reads `text` as varchar(256). -#}
{% macro type_text() -%}
    {{ return(adapter.dispatch('type_text', 'adstar')()) }}
{%- endmacro %}

{% macro postgres__type_text() -%} text {%- endmacro %}

{% macro redshift__type_text() -%} varchar(65535) {%- endmacro %}
