{#- The table that keeps what every test of every build said. In a schema of its own: dropping and rebuilding the star
    does not take it along, as nothing could bring it back. -#}
{% macro test_results() -%}
    {{ return(api.Relation.create(
        database=target.database,
        schema=generate_schema_name('quality', none) | trim,
        identifier='test_results',
    )) }}
{%- endmacro %}
