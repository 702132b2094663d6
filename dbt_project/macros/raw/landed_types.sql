{#- The types of the columns that a raw table has at run time, by name, in order; none where the table does not exist.
    The database is asked, not dbt's memory of it: dbt enters the tables of a schema that it doesn't write to one by one,
    so that another of its threads may find a part of them, and a source would be built as if nothing had landed. What
    dbt has for columns also asks, on Redshift, for those of every view there is. -#}
{% macro landed_types(relation) -%}
    {%- set types = {} -%}
    {%- if execute -%}
        {%- for name, type in run_query(
            "select column_name, data_type from information_schema.columns where table_schema = '" ~ relation.schema
            ~ "' and table_name = '" ~ relation.identifier ~ "' order by ordinal_position"
        ).rows -%}
            {%- do types.update({name | lower: type}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(types) }}
{%- endmacro %}
