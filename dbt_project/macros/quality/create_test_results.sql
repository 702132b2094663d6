{#- Before every run: makes sure that the table of test_results exists. -#}
{% macro create_test_results() -%}
    {%- set relation = test_results() -%}
    {%- if execute -%}
        {%- do adapter.create_schema(relation) -%}
    {%- endif %}
    create table if not exists {{ relation }} (
        build_id varchar(64),
        built_at timestamptz,
        test_name varchar(200),
        subject varchar(200),
        subject_kind varchar(16),
        dimension varchar(16),
        severity varchar(16),
        status varchar(16),
        failures bigint
    )
{%- endmacro %}
