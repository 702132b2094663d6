{#- Names of the columns of a raw table that hold JSON as such: on Redshift those of type SUPER. Postgres has them as
    text, byte for byte. -#}
{% macro landed_documents(relation) -%}
    {{ return(adapter.dispatch('landed_documents', 'adstar')(relation)) }}
{%- endmacro %}

{% macro postgres__landed_documents(relation) -%}
    {{ return([]) }}
{%- endmacro %}

{% macro redshift__landed_documents(relation) -%}
    {%- set documents = [] -%}
    {%- for name, type in landed_types(relation).items() if type == 'super' -%}
        {%- do documents.append(name) -%}
    {%- endfor -%}
    {{ return(documents) }}
{%- endmacro %}
