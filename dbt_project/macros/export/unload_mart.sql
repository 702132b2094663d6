{#- `dbt run-operation unload_mart --args '{mart: dim_ad, to: "s3://bucket/once/dim_ad/"}'`: write a mart to S3, once
    and without a manifest of adstar's; arguments as `unload`. With `only_print: true` the statement is only printed:
    scripts/export runs it itself, in the transaction in which it has seen what there is to write. -#}
{% macro unload_mart(mart, to, partitioned_by=none, months=[], only_print=false) -%}
    {%- set relation = api.Relation.create(schema=generate_schema_name('marts', none), identifier=mart) -%}
    {%- set statement = unload(relation, to, partitioned_by, months) -%}
    {%- if only_print -%}
        {%- do print(statement) -%}
    {%- else -%}
        {%- do run_query(statement) -%}
    {%- endif -%}
{%- endmacro %}
