{#- The table that remembers in which state each fact last built each partition, and whether the tests of the fact's
    grain and keys have passed since. Written in the fact's own transaction, so it can't be ahead of it or behind it;
    without it every partition counts as changed. `built_by` is the dbt command that wrote the partition last: what was
    rebuilt is published anew, also where the state is the same, as after a full refresh. -#}
{% macro built_partitions() -%}
    {{ return(api.Relation.create(
        database=target.database,
        schema=generate_schema_name('intermediate', none) | trim,
        identifier='built_partitions',
    )) }}
{%- endmacro %}
