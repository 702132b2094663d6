{#- The types of the columns that a raw table has at run time, by name, in order; none where the table does not exist.
    What dbt has for this also asks, on Redshift, for the columns of every view there is. -#}
{% macro landed_types(relation) -%}
    {%- set found = load_relation(relation) if execute else none -%}
    {%- set types = {} -%}
    {%- if found is not none -%}
        {%- for name, type in run_query(
            "select column_name, data_type from information_schema.columns where table_schema = '" ~ found.schema
            ~ "' and table_name = '" ~ found.identifier ~ "' order by ordinal_position"
        ).rows -%}
            {%- do types.update({name | lower: type}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(types) }}
{%- endmacro %}
