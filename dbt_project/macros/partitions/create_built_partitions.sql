{#- Before every run: makes sure that the table of built_partitions exists. -#}
{% macro create_built_partitions() -%}
    {%- set relation = built_partitions() -%}
    {%- if execute -%}
        {%- do adapter.create_schema(relation) -%}
        {%- set present = load_relation(relation) -%}
        {%- if present and 'built_by' not in adapter.get_columns_in_relation(present) | map(attribute='name') -%}
            {#- Made before it was noted which build wrote a partition. -#}
    alter table {{ relation }} add column built_by varchar(64);
        {%- endif -%}
    {%- endif %}
    create table if not exists {{ relation }} (
        fact_name varchar(64),
        partition_key bigint,
        account_key bigint,
        date_day date,
        state varchar(32),
        is_verified boolean,
        built_by varchar(64)
    )
{%- endmacro %}
