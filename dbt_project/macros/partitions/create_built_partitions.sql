{#- Before every run: makes sure that the table of built_partitions exists. -#}
{% macro create_built_partitions() -%}
    {%- set relation = built_partitions() -%}
    {%- if execute -%}
        {%- do adapter.create_schema(relation) -%}
    {%- endif %}
    create table if not exists {{ relation }} (
        fact_name varchar(64),
        partition_key bigint,
        account_key bigint,
        date_day date,
        state varchar(32),
        is_verified boolean
    )
{%- endmacro %}
