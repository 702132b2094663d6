{#- Names of the columns of a raw table that hold JSON as such: on Redshift those of type SUPER. Postgres has them as
    text, byte for byte. -#}
{% macro landed_documents(relation) -%}
    {{ return(adapter.dispatch('landed_documents', 'adstar')(relation)) }}
{%- endmacro %}

{% macro postgres__landed_documents(relation) -%}
    {{ return([]) }}
{%- endmacro %}

{% macro redshift__landed_documents(relation) -%}
    {%- set found = load_relation(relation) if execute else none -%}
    {%- if found is none -%}{{ return([]) }}{%- endif -%}
    {{ return(
        adapter.get_columns_in_relation(found) | selectattr('dtype', 'equalto', 'super') | map(attribute='name') | list
    ) }}
{%- endmacro %}
